"""MasterDataLinkageConfig: a meter put at a usage point (create) and taken from it (close or delete), and the question which is where.

A meter is at one usage point at a time, whatever that is called: `usage_points` of its entry are the mRID and the names of the one.
A usage point has one meter. So an exchange is two orders: the old meter is taken from it, and the new one put there.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ami_cim.errors import InvalidMessage
from ami_cim.identity import EndDevice, Identified, Identifier, Name, is_uuid, mrid_key
from ami_cim.message import ReplyError, RequestMessage
from ami_cim.paging import page_of
from ami_cim.payloads.master_data_linkage_config import GetMasterDataLinkageConfig, MasterDataLinkageConfig
from ami_hes.master_data.finding import found_meters
from ami_hes.master_data.problems import Problem, failure, identifier_of, reply_of
from ami_hes.master_data.usage_point_entries import keys_of
from ami_hes.master_data.usage_point_orders import all_spellings
from ami_hes.meters.meter_index import Table
from ami_hes.nouns import Refused, Report, RequestContext, error
from ami_hes.nouns.devices import meter_of_device
from ami_hes.nouns.questions import question
from ami_hes.registry import Amendment, KeptRegistry, NotAmended
from ami_hes.store import UsagePoints

NOUN = "MasterDataLinkageConfig"
MOST_NAMES = 10
"""Of a usage point, its mRID among them."""
_UNSERVED = "Linked are a meter and a usage point here; {} is the CIS's own, and nothing is kept of it."


def question_of(message: RequestMessage) -> GetMasterDataLinkageConfig:
    """What a get asks. Raises Refused."""
    return question(message, GetMasterDataLinkageConfig)


@dataclass(frozen=True, slots=True)
class LinkageOrders:
    """Carries out what messages of this noun ask for; each may be done twice."""

    kept: KeptRegistry
    points: UsagePoints

    async def __call__(self, context: RequestContext, message: RequestMessage) -> Report:
        """The Reply, with the meter and the usage point; raises Refused and StoreUnavailable."""
        works: dict[str, Callable[[RequestContext, RequestMessage], Awaitable[Report]]] = {
            "create": self._link,
            "close": self._unlink,
            "delete": self._unlink,
            "get": self._get,
        }
        if (work := works.get(context.verb)) is None:
            served = ", ".join(works)
            raise Refused(error("2.9", f"The verb {context.verb} is not served for {NOUN}; served are: {served}."))
        try:
            return await work(context, message)
        except InvalidMessage as problem:
            raise Refused(error(problem.code, f"{problem.reason}.")) from None

    async def _link(self, context: RequestContext, message: RequestMessage) -> Report:
        return await self._changed(context, message, _linked)

    async def _unlink(self, context: RequestContext, message: RequestMessage) -> Report:
        return await self._changed(context, message, _unlinked)

    async def _changed(
        self, context: RequestContext, message: RequestMessage, change: Callable[[Table, list[str]], Table]
    ) -> Report:
        asked = message.payload
        if not isinstance(asked, MasterDataLinkageConfig):
            raise Refused(error("1.7", f"The Payload has no {NOUN}."))
        if asked.effective_at is not None and asked.effective_at > context.accepted_at:
            reason = "a link begins and ends when its message is carried out; send it at its effectiveDateTime"
            raise Refused(error("5.2", f"Nothing was done: {reason}."))
        device, point = _pair(asked)
        meter = meter_of_device(EndDevice(device.mrid, device.names), self.kept.registry)
        if isinstance(meter, ReplyError):
            raise Refused(meter)
        spelled = _spellings(point)
        if change is _linked:  # what is kept of the usage point is said of its meter as well
            kept = all_spellings(await self.points.find(keys_of(spelled)))
            known = set(map(mrid_key, spelled))
            spelled += [one for one in kept if mrid_key(one) not in known]

        def amended(table: Table | None) -> Table:
            if table is None:  # it was taken out meanwhile
                raise Problem("2.4", f"The meter {meter.name} is not known here any more.")
            return change(table, spelled)

        (outcome,) = await self.kept.amend([Amendment(meter.mrid, amended)])
        if isinstance(outcome, NotAmended):
            raise Refused(_failure(outcome, point))
        beyond = sorted({path.partition("/")[0] for path in asked.unsupported} - {"ConfigurationEvent"})
        errors = [error("5.2", _UNSERVED.format(", ".join(beyond)))] if beyond else []
        done = [Identifier(value=meter.mrid, kind="uuid", object_type="Meter"), _identifier(point)]
        return reply_of(done, errors), None

    async def _get(self, _: RequestContext, message: RequestMessage) -> Report:
        """One link: a payload that lists several meters would say that they belong together."""
        query = question_of(message)
        if query.unsupported:
            raise Refused(error("5.2", f"Links are not found by {', '.join(query.unsupported)}."))
        devices = (*query.end_devices, *query.meters)
        if len(devices) + len(query.usage_points) != 1 or query.end_device_groups or query.usage_point_groups:
            raise Refused(error("5.2", "The link of one Meter, EndDevice or UsagePoint is asked for at a time."))
        found = await found_meters(self.kept, devices=devices, points=query.usage_points, page=page_of(message))
        if found.errors:
            raise Refused(*found.errors)
        (table,) = found.tables
        if not table.get("usage_points"):
            raise Refused(error("2.13", f"The meter {table['name']} is at no usage point."))
        meter = Identified(mrid=table["mrid"], names=(Name(name=table["name"]),))
        done = [Identifier(value=table["mrid"], kind="uuid", object_type="Meter")]
        return reply_of(done, ()), MasterDataLinkageConfig(meters=(meter,), usage_points=(point_of(table),))


def point_of(table: Table) -> Identified:
    """The usage point that a meter is at: a UUID among its names is its mRID."""
    spelled = list(table["usage_points"])
    mrid = next(filter(is_uuid, spelled), None)
    return Identified(mrid=mrid, names=tuple(Name(name=one) for one in spelled if one != mrid))


def _pair(asked: MasterDataLinkageConfig) -> tuple[Identified, Identified]:
    devices = (*asked.meters, *asked.end_devices)
    if len(devices) != 1 or len(asked.usage_points) != 1:
        came = f"{len(devices)} and {len(asked.usage_points)} came"
        raise Refused(error("1.7", f"Linked are one Meter (or EndDevice) and one UsagePoint by a message; {came}."))
    return devices[0], asked.usage_points[0]


def _spellings(point: Identified) -> list[str]:
    found = [*([] if point.mrid is None else [point.mrid]), *(one.name for one in point.names)]
    if not found or len(found) > MOST_NAMES:
        raise Refused(error("2.12", f"A usage point has an mRID or Names, {MOST_NAMES} at most in all."))
    return list(dict.fromkeys(found))


def _linked(table: Table, spelled: list[str]) -> Table:
    here: list[str] = list(table.get("usage_points", ()))
    keys = set(map(mrid_key, here))
    if here and keys.isdisjoint(map(mrid_key, spelled)):
        reason = f"The meter {table['name']} is at the usage point {here[0]}: unlink it there first."
        raise Problem("2.13", reason)
    return {**table, "usage_points": [*here, *(one for one in spelled if mrid_key(one) not in keys)]}


def _unlinked(table: Table, spelled: list[str]) -> Table:
    """All names of the usage point go, also those that the message does not say."""
    here = set(map(mrid_key, table.get("usage_points", ())))
    if not here.issuperset(map(mrid_key, spelled)):
        raise Problem("2.13", f"The meter {table['name']} is not at the usage point {' '.join(spelled)[:200]}.")
    return {field: value for field, value in table.items() if field != "usage_points"}


def _failure(outcome: NotAmended, point: Identified) -> ReplyError:
    if isinstance(outcome, Problem):
        return failure(outcome.code, str(outcome), identifier_of(point, "UsagePoint"))
    code = "2.13" if outcome.field == "usage_points" else "5.2"
    return failure(code, f"{outcome}.", identifier_of(point, "UsagePoint"))


def _identifier(point: Identified) -> Identifier:
    found = identifier_of(point, "UsagePoint")
    assert found is not None  # it has a spelling
    return found
