"""Master data of the HES: which meters it has (GetMeterConfig) and which usage points (GetUsagePointConfig), which meter is at one, and put there or taken from it (MasterDataLinkageConfig).

What the CIS shows is what the HES answers, and not what it remembers of its own orders.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from ami_cim.identity import Identified, Name, is_uuid
from ami_cim.message import Header, RequestMessage, ResponseMessage
from ami_cim.message import Property as Option
from ami_cim.payloads import Payload
from ami_cim.payloads.device_assets import DeviceAsset
from ami_cim.payloads.master_data_linkage_config import GetMasterDataLinkageConfig, MasterDataLinkageConfig
from ami_cim.payloads.meter_config import GetMeterConfig, MeterConfig
from ami_cim.payloads.usage_point_config import GetUsagePointConfig, UsagePointAsset, UsagePointConfig
from ami_cis import events
from ami_cis.store import SentRequest
from ami_cis.workflows.exchanges import Exchanges
from ami_cis.workflows.orders import OrderOutcome, Target
from ami_cis.workflows.outcomes import outcome_of
from ami_process.environment import Environment

NOT_LINKED: Final = frozenset({"2.12", "2.13"})
"""Of a usage point that no meter is at, which the HES does not know then, and of a meter that is at none."""
MORE_FOLLOW: Final = "0.2"


class FoundMeters(NamedTuple):
    """How asking ended, the meters that came, and whether the HES has more behind them."""

    outcome: OrderOutcome
    meters: Sequence[DeviceAsset]
    more: bool = False


class FoundUsagePoints(NamedTuple):
    """How asking ended, the usage points that came, and whether the HES has more behind them."""

    outcome: OrderOutcome
    usage_points: Sequence[UsagePointAsset]
    more: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """A meter and the usage point that it is at."""

    meter: Identified
    point: Identified

    def is_of(self, meter: str) -> bool:
        """Whether it is that of the meter with this name or mRID."""
        return meter == self.meter.mrid or meter in [one.name for one in self.meter.names]


class FoundLink(NamedTuple):
    """How asking ended, and the link; None where there is none, or where the outcome is no OK."""

    outcome: OrderOutcome
    link: Link | None

    @property
    def is_known(self) -> bool:
        """Whether it is known that there is one, or that there is none."""
        return self.link is not None or any(one.code in NOT_LINKED for one in self.outcome.errors)


class MasterData:
    """Asks the HES; never raises for what the HES, the network or the store does."""

    def __init__(self, exchanges: Exchanges, environment: Environment) -> None:
        self._exchanges = exchanges
        self._environment = environment

    async def meters(self, targets: Sequence[Target] = (), *, limit: int | None = None, offset: int = 0) -> FoundMeters:
        """These meters, those of groups; all of them where nothing is named."""
        query = GetMeterConfig(
            devices=tuple(Identified(one.device.mrid, one.device.names) for one in targets if one.device),
            usage_points=tuple(one.usage_point for one in targets if one.usage_point),
            end_device_groups=tuple(one.group for one in targets if one.group),
        )
        outcome, response = await self._ask(query, targets, "meters", _page(limit, offset))
        payload = None if response is None else response.payload
        found = payload.devices if isinstance(payload, MeterConfig) else ()
        is_cut = limit is not None and len(found) == limit
        return FoundMeters(outcome, found, is_cut or any(one.code == MORE_FOLLOW for one in outcome.errors))

    async def usage_points(
        self, names: Sequence[str] = (), *, meters: Sequence[str] = (), limit: int | None = None, offset: int = 0
    ) -> FoundUsagePoints:
        """These usage points (names or mRIDs), or those of meters; all of them where nothing is named."""
        query = GetUsagePointConfig(usage_points=tuple(map(identified, names)), meters=tuple(map(identified, meters)))
        targets = [*map(Target.point, names), *map(Target.meter, meters)]
        outcome, response = await self._ask(query, targets, "usage points", _page(limit, offset))
        payload = None if response is None else response.payload
        found = payload.usage_points if isinstance(payload, UsagePointConfig) else ()
        is_cut = limit is not None and len(found) == limit
        return FoundUsagePoints(outcome, found, is_cut or any(one.code == MORE_FOLLOW for one in outcome.errors))

    async def link_of(self, *, meter: str | None = None, point: str | None = None) -> FoundLink:
        """The link of a meter (name or mRID), or of a usage point."""
        query = GetMasterDataLinkageConfig(
            meters=() if meter is None else (identified(meter),),
            usage_points=() if point is None else (identified(point),),
        )
        targets = [Target.meter(meter)] if meter is not None else [Target.point(point or "")]
        outcome, response = await self._ask(query, targets, "link")
        payload = None if response is None else response.payload
        if not isinstance(payload, MasterDataLinkageConfig) or not (payload.meters and payload.usage_points):
            return FoundLink(outcome, None)
        return FoundLink(outcome, Link(payload.meters[0], payload.usage_points[0]))

    async def change_link(self, verb: Literal["create", "close"], link: Link) -> OrderOutcome:
        """Put the meter there, or take it from there."""
        payload = MasterDataLinkageConfig(meters=(link.meter,), usage_points=(link.point,))
        name = link.meter.names[0].name if link.meter.names else link.meter.mrid or ""
        outcome, _ = await self._ask(payload, [Target.meter(name)], f"{verb} link", verb=verb)
        return outcome

    async def _ask(
        self,
        content: Payload,
        targets: Sequence[Target],
        code: str,
        options: tuple[Option, ...] = (),
        *,
        verb: str = "get",
    ) -> tuple[OrderOutcome, ResponseMessage | None]:
        noun = type(content).__name__.removeprefix("Get")
        message_id, labels = str(self._environment.new_uuid()), [target.label for target in targets]
        now = self._environment.now()
        header = Header(
            verb=verb, noun=noun, timestamp=now, source="CIS", message_id=message_id, correlation_id=message_id
        )
        request = (
            RequestMessage(header=header, query=content, options=options)
            if verb == "get"
            else RequestMessage(header=header, payload=content)
        )
        sent = SentRequest(
            message_id=message_id,
            correlation_id=message_id,
            verb=verb,
            noun=noun,
            code=code,
            meters=tuple(labels),
            asynchronous=False,
            sent_at=now,
        )
        sending = events.RequestSent(
            message_id=message_id,
            correlation_id=message_id,
            verb=verb,
            noun=noun,
            code=code,
            control="master data",
            meters=labels,
            asynchronous=False,
        )
        ended = await self._exchanges.run(request, sent, sending)
        outcome = outcome_of(targets, message_id, ended)
        if ended.response is not None:
            errors = [events.ReplyProblem(e.code, e.reason, e.meter) for e in outcome.errors if e.is_failure]
            received = events.ReplyReceived(message_id=message_id, result=outcome.result, errors=errors, ms=outcome.ms)
            self._environment.emit(received)
        return outcome, ended.response


def _page(limit: int | None, offset: int) -> tuple[Option, ...]:
    page = () if limit is None else (Option(name="limit", value=str(limit)),)
    return page + ((Option(name="offset", value=str(offset)),) if offset else ())


def identified(text: str) -> Identified:
    """A thing by its mRID, if this is one, else by its name."""
    return Identified(mrid=text) if is_uuid(text) else Identified(names=(Name(name=text),))
