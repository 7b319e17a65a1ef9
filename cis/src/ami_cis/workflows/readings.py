"""Readings (GetMeterReadings): the RequestMessage of an order, and the values that were kept of its answer, in however many parts it came.

The values come from the store, where each part has put them before it was answered: so a late part, a restart or a repetition is
nothing special here. How a request comes to its end is the same for every noun (`ami_cis.workflows.exchanges`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ami_cim.identity import Identified, Name
from ami_cim.message import Header, RequestMessage
from ami_cim.payloads.get_meter_readings import AskedReading, GetMeterReadings
from ami_cim.payloads.meter_readings import MeterReadings
from ami_cim.periods import Period
from ami_cim.quality import Quality
from ami_cis import events
from ami_cis.store import KeptReading, ReadingQuery, SentRequest, Store, StoreUnavailable
from ami_cis.workflows.exchanges import Ended, Exchanges
from ami_cis.workflows.orders import OrderOutcome, Target
from ami_cis.workflows.outcomes import outcome_of
from ami_process.environment import Environment

NOUN = "MeterReadings"
MOST_SUMMARY = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOrder:
    """What is asked of some meters: their values now, or those of a period; without ReadingTypes all that a meter has."""

    targets: tuple[Target, ...]
    reading_types: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None
    source: str | None = None
    """Where the head-end is to take the values from; None: it decides."""
    qualities: tuple[str, ...] = ()
    """ReadingQualityTypes of which a value has to have one."""
    reason: str | None = None
    """Why they are asked for, as `removal`."""
    asynchronous: bool = False
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class ReadOutcome:
    """How it ended, and the values that came."""

    outcome: OrderOutcome
    readings: tuple[KeptReading, ...] = ()
    complete: bool = True
    """False where more values came than are handed out at once."""


class Readings:
    """Asks for readings; says what came."""

    def __init__(
        self, exchanges: Exchanges, store: Store, environment: Environment, *, reply_address: str | None
    ) -> None:
        self._exchanges = exchanges
        self._store = store
        self._environment = environment
        self._reply_address = reply_address

    async def run(self, order: ReadOrder) -> ReadOutcome:
        """Ask, and wait for the end; never raises for what the HES, the network or the store does."""
        request = self._request(order)
        ended = await self._exchanges.run(request, self._sent(order, request), _sent_event(order, request))
        outcome = self._concluded(order, request, ended)
        try:
            wanted = ReadingQuery(message_id=outcome.message_id)
            readings = await self._store.readings(wanted)
        except StoreUnavailable as problem:
            return ReadOutcome(replace(outcome, reason=f"the values are kept and can't be shown now: {problem}"))
        return ReadOutcome(outcome, tuple(readings), len(readings) < wanted.most)

    def _concluded(self, order: ReadOrder, request: RequestMessage, ended: Ended) -> OrderOutcome:
        outcome = outcome_of(_known_by_mrid(order.targets, ended), request.header.message_id or "", ended)
        if ended.response is not None:
            errors = [events.ReplyProblem(e.code, e.reason, e.meter) for e in outcome.errors if e.is_failure]
            self._environment.emit(
                events.ReplyReceived(message_id=outcome.message_id, result=outcome.result, errors=errors, ms=outcome.ms)
            )
        return outcome

    def _request(self, order: ReadOrder) -> RequestMessage:
        message_id = order.message_id or str(self._environment.new_uuid())
        if order.asynchronous and self._reply_address is None:
            raise ValueError("an asynchronous order needs an address to reply to")
        header = Header(
            verb="get",
            noun=NOUN,
            timestamp=self._environment.now(),
            source="CIS",
            async_reply_flag=order.asynchronous or None,
            reply_address=self._reply_address if order.asynchronous else None,
            message_id=message_id,
            correlation_id=message_id,
        )
        period = Period(start=order.start, end=order.end)
        asked = AskedReading(period=period if period != Period() else None, source=order.source, reason=order.reason)
        targets = order.targets
        query = GetMeterReadings(
            end_devices=tuple(one.device for one in targets if one.device),
            end_device_groups=tuple(one.group for one in targets if one.group),
            usage_points=tuple(one.usage_point for one in targets if one.usage_point),
            usage_point_groups=tuple(one.usage_point_group for one in targets if one.usage_point_group),
            reading_types=tuple(Identified(names=(Name(name=code),)) for code in order.reading_types),
            readings=(asked,) if asked != AskedReading() else (),
            qualities=tuple(Quality(code=code) for code in order.qualities),
        )
        return RequestMessage(header=header, query=query)

    def _sent(self, order: ReadOrder, request: RequestMessage) -> SentRequest:
        message_id = request.header.message_id or ""
        return SentRequest(
            message_id=message_id,
            correlation_id=message_id,
            verb=request.header.verb,
            noun=NOUN,
            code=_summary(order),
            meters=tuple(target.label for target in order.targets),
            asynchronous=order.asynchronous,
            sent_at=self._environment.now(),
        )


def _known_by_mrid(targets: Sequence[Target], ended: Ended) -> Sequence[Target]:
    """Meters that were asked for by name, with the mRID that the answer has beside the name: its errors may have that alone."""
    payload = None if ended.response is None else ended.response.payload
    if not isinstance(payload, MeterReadings):
        return targets
    meters = [one.meter for one in payload.meter_readings if one.meter is not None and one.meter.mrid is not None]
    mrids = {name.name: meter.mrid for meter in meters for name in meter.names}
    return [
        one if one.has_mrid or one.device is None else Target.meter(one.label, mrids.get(one.label)) for one in targets
    ]


def _summary(order: ReadOrder) -> str:
    period = [one.isoformat() for one in (order.start, order.end) if one is not None]
    return " ".join([*order.reading_types, *period])[:MOST_SUMMARY]


def _sent_event(order: ReadOrder, request: RequestMessage) -> events.RequestSent:
    header = request.header
    return events.RequestSent(
        message_id=header.message_id or "",
        correlation_id=header.correlation_id,
        verb=header.verb,
        noun=header.noun,
        code=_summary(order),
        control="read",
        meters=[target.label for target in order.targets],
        asynchronous=order.asynchronous,
    )
