"""UsagePointConfig: usage points made known, changed, taken out and asked for in CIM, with a meter or without one (docs/adr/0032).

Which meter is at one is in the entry of the meter, where requests that name a usage point find it: so its entry has all names of the usage
point, also those that come later. Each usage point of a message is carried out for itself, and whatever comes twice is done once.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ami_cim.errors import InvalidMessage
from ami_cim.identity import EndDevice, Identified, Identifier, mrid_key
from ami_cim.message import ReplyError, RequestMessage
from ami_cim.paging import Page, page_of
from ami_cim.payloads.usage_point_config import GetUsagePointConfig, UsagePointAsset, UsagePointConfig
from ami_hes.master_data.changes import USAGE_POINT, MakeChange
from ami_hes.master_data.finding import MOST_NAMED, MOST_SHOWN, more_follow
from ami_hes.master_data.problems import Problem, failure, identifier_of, reply_of
from ami_hes.master_data.usage_point_entries import (
    changed,
    completed,
    format_point,
    keys_of,
    parse_point,
    point_of_meter,
    pointer_of,
    spelled,
    stored,
)
from ami_hes.meters.meter_index import Table
from ami_hes.nouns import Refused, Report, RequestContext, error
from ami_hes.nouns.devices import meter_of_device, tag_of_group, tag_of_usage_point_group
from ami_hes.nouns.questions import question
from ami_hes.registry import Amendment, KeptRegistry, NotAmended
from ami_hes.store import KeyTaken, StoredUsagePoint, UsagePoints

NOUN = "UsagePointConfig"
WORD = "UsagePoint"
MOST_POINTS = 1_000
"""Of one message that changes them."""
_Change = Callable[[UsagePointAsset, UsagePointAsset], UsagePointAsset]


def question_of(message: RequestMessage) -> GetUsagePointConfig:
    """What a get asks. Raises Refused."""
    return question(message, GetUsagePointConfig)


@dataclass(frozen=True, slots=True)
class _Known:
    """A usage point that is kept, or that a meter is at, or both."""

    kept: StoredUsagePoint | None
    point: UsagePointAsset
    meter: Table | None


@dataclass(frozen=True, slots=True)
class UsagePointOrders:
    """Carries out what messages of this noun ask for; each may be done twice."""

    kept: KeptRegistry
    points: UsagePoints
    change: MakeChange

    async def __call__(self, context: RequestContext, message: RequestMessage) -> Report:
        """The Reply, with what was done by its mRIDs or names; raises Refused and StoreUnavailable."""
        works: dict[str, Callable[[RequestMessage], Awaitable[Report]]] = {
            "create": partial(self._each, self._created),
            "change": partial(self._each, self._changed),
            "delete": partial(self._each, self._deleted),
            "get": self._get,
        }
        if (work := works.get(context.verb)) is None:
            served = ", ".join(works)
            raise Refused(error("2.9", f"The verb {context.verb} is not served for {NOUN}; served are: {served}."))
        try:
            return await work(message)
        except InvalidMessage as problem:
            raise Refused(error(problem.code, f"{problem.reason}.")) from None

    async def _each(self, work: Callable[[UsagePointAsset], Awaitable[None]], message: RequestMessage) -> Report:
        config = message.payload
        if not isinstance(config, UsagePointConfig) or not config.usage_points:
            raise Refused(error("1.7", f"The Payload has no {NOUN} with a {WORD}."))
        if len(config.usage_points) > MOST_POINTS:
            raise Refused(error("3.1", f"A message names at most {MOST_POINTS} of them here."))
        done: list[Identifier] = []
        errors: list[ReplyError] = []
        for point in config.usage_points:
            identifier = identifier_of(Identified(point.mrid, point.names), WORD)
            try:
                await work(point)
            except Problem as problem:
                errors.append(failure(problem.code, str(problem), identifier))
            else:
                done += [] if identifier is None else [identifier]
        return reply_of(done, errors, not_kept=config.unsupported), None

    async def _created(self, said: UsagePointAsset) -> None:
        known = await self._known(said)
        if known is None:
            await self._keep(said, None, said.mrid or said.names[0].name, "created")
        else:
            await self._put(known, said, completed)

    async def _changed(self, said: UsagePointAsset) -> None:
        known = await self._known(pointer_of(said))
        if known is None:
            raise Problem("2.12", "The usage point is not known here: the verb create is for that.")
        await self._put(known, said, changed)

    async def _put(self, known: _Known, said: UsagePointAsset, change: _Change) -> None:
        """One that a meter alone has named is kept by itself from now on."""
        point = change(known.point, said)
        if known.kept is None:
            await self._keep(point, known.meter, point.mrid or point.names[0].name, "created")
        elif point != known.point:
            await self._keep(point, known.meter, known.kept.point_id, "changed")

    async def _keep(self, point: UsagePointAsset, meter: Table | None, point_id: str, verb: str) -> None:
        """First in the entry of its meter, so that what is kept of it is never less than what finds the meter."""
        spellings = spelled(point)
        if meter is not None:
            await self._name_in_entry(meter, spellings)
        noted = self.change(USAGE_POINT, verb, _document(point, meter))
        try:
            await self.points.put(stored(point, mrid_key(point_id)), keys_of(spellings), noted)
        except KeyTaken as taken:
            raise Problem("2.12", f"Another usage point is called {taken}.") from None
        self.kept.noting.committed(noted)

    async def _name_in_entry(self, meter: Table, spellings: list[str]) -> None:
        def named(table: Table | None) -> Table:
            if table is None or table.get("usage_points", ()) != meter["usage_points"]:
                raise Problem("2.13", f"The meter {meter['name']} was linked or unlinked meanwhile.")
            here = list(table["usage_points"])
            return table if set(here) == set(spellings) else {**table, "usage_points": spellings}

        (outcome,) = await self.kept.amend([Amendment(meter["mrid"], named)])
        if isinstance(outcome, Problem):
            raise outcome
        if isinstance(outcome, NotAmended):
            raise Problem("2.12" if outcome.field == "usage_points" else "5.2", f"{outcome}.")

    async def _deleted(self, said: UsagePointAsset) -> None:
        known = await self._known(pointer_of(said))
        if known is None:
            raise Problem("2.12", "The usage point is not known here.")
        if known.meter is not None:
            reason = f"The meter {known.meter['name']} is at the usage point: unlink it first (MasterDataLinkageConfig, delete)."
            raise Problem("2.29", reason)
        if known.kept is not None:
            noted = self.change(USAGE_POINT, "deleted", _document(known.point, None))
            await self.points.remove(known.kept.point_id, noted)
            self.kept.noting.committed(noted)

    async def _known(self, said: UsagePointAsset | Identified) -> _Known | None:
        """The one that is meant by all that a message calls it; raises Problem where that is several."""
        keys = keys_of(spelled(said))
        found = await self.points.find(keys)
        if len(found) > 1:
            raise Problem("2.12", f"Several usage points are called so: {', '.join(one.name for one in found[:5])}.")
        points = [parse_point(one.document) for one in found]
        keys += [key for point in points for key in keys_of(spelled(point))]
        meters = {owner for key in keys if (owner := self.kept.registry.owner("usage_points", key)) is not None}
        if len(meters) > 1:
            raise Problem("2.12", "Different meters are at what is called so.")
        shown = self.kept.show(next(iter(meters))) if meters else None
        meter = None if shown is None else shown[1]
        if not found:
            return None if meter is None else _Known(None, point_of_meter(meter), meter)
        return _Known(found[0], points[0], meter)

    async def _get(self, message: RequestMessage) -> Report:
        query = question_of(message)
        if query.unsupported:
            raise Refused(error("5.2", f"Usage points are not found by {', '.join(query.unsupported)}."))
        page = page_of(message)
        named = (*query.usage_points, *query.meters, *query.end_device_groups, *query.usage_point_groups)
        if len(named) > MOST_NAMED:
            raise Refused(error("3.1", f"A question names at most {MOST_NAMED} things here, and {len(named)} came."))
        limit = min(page.limit or MOST_SHOWN, MOST_SHOWN)
        if named:
            found, errors = await self._named(query)
            more = len(found) > page.offset + limit
            found = found[page.offset : page.offset + limit]
        else:
            found, more = await self._all(page.offset, limit)
            errors = []
        if more and (page.limit or MOST_SHOWN + 1) > limit:
            errors.append(more_follow(Page(offset=page.offset, limit=limit)))
        identifiers = [one for point in found if (one := identifier_of(Identified(point.mrid, point.names), WORD))]
        return reply_of(identifiers, errors), UsagePointConfig(usage_points=tuple(found)) if found else None

    async def _named(self, query: GetUsagePointConfig) -> tuple[list[UsagePointAsset], list[ReplyError]]:
        """Each once, in the order of the question."""
        found: dict[str, UsagePointAsset] = {}
        errors: list[ReplyError] = []
        for pointer in query.usage_points:
            try:
                known = await self._known(pointer)
            except Problem as problem:
                errors.append(failure(problem.code, str(problem), identifier_of(pointer, WORD)))
                continue
            if known is None:
                errors.append(failure("2.12", "The usage point is not known here.", identifier_of(pointer, WORD)))
            else:
                found[_key(known.point)] = known.point
        ids, not_found = self._meters_of(query)
        for point in await self._at(ids):
            found[_key(point)] = point
        return list(found.values()), [*errors, *not_found]

    def _meters_of(self, query: GetUsagePointConfig) -> tuple[list[str], list[ReplyError]]:
        """mRIDs of the meters and of the members of groups whose usage points are asked for; one that is at none is no error of a group."""
        registry = self.kept.registry
        wanted = [meter_of_device(EndDevice(one.mrid, one.names), registry) for one in query.meters]
        errors = [one for one in wanted if isinstance(one, ReplyError)]
        ids = {mrid_key(one.mrid): None for one in wanted if not isinstance(one, ReplyError)}
        tags = [
            *(tag_of_group(one, registry) for one in query.end_device_groups),
            *(tag_of_usage_point_group(one, registry) for one in query.usage_point_groups),
        ]
        errors += [one for one in tags if isinstance(one, ReplyError)]
        for tag in tags:
            if not isinstance(tag, ReplyError):
                ids |= dict.fromkeys(registry.member_ids(*tag, at_usage_points=True))
        for one in wanted:
            if not isinstance(one, ReplyError) and not one.usage_points:
                reason = f"The meter {one.name} is at no usage point."
                errors.append(failure("2.13", reason, Identifier(value=one.mrid, kind="uuid", object_type="Meter")))
        return list(ids), errors

    async def _at(self, ids: Sequence[str]) -> list[UsagePointAsset]:
        """The usage points of these meters, with what is kept of them."""
        tables = [shown[1] for one in ids if (shown := self.kept.show(one)) is not None]
        at = {keys_of(list(table["usage_points"]))[0]: table for table in tables if table.get("usage_points")}
        kept: dict[str, UsagePointAsset] = {}
        keys = list(at)
        for start in range(0, len(keys), MOST_NAMED):
            for one in await self.points.find(keys[start : start + MOST_NAMED]):
                point = parse_point(one.document)
                kept |= dict.fromkeys(keys_of(spelled(point)), point)
        return [kept.get(key) or point_of_meter(table) for key, table in at.items()]

    async def _all(self, offset: int, limit: int) -> tuple[list[UsagePointAsset], bool]:
        """Those that are kept by name, and behind them those that a meter alone has named, by the names of the meters."""
        total = await self.points.count()
        found = [parse_point(one.document) for one in await self.points.page(offset, limit + 1)]
        if len(found) > limit:
            return found[:limit], True
        owners = {self.kept.registry.owner("usage_points", key) for key in await self.points.keys()}
        others = self.kept.registry.at_usage_points() - owners
        listing = await self.kept.page(others, max(0, offset - total), limit - len(found))
        return [*found, *(point_of_meter(table) for _, table in listing.meters)], listing.more


def _key(point: UsagePointAsset) -> str:
    return keys_of(spelled(point))[0]


def _document(point: UsagePointAsset, meter: Table | None) -> Mapping[str, object]:
    return {"point": format_point(point), "tags": {} if meter is None else meter.get("tags", {})}


def all_spellings(points: Sequence[StoredUsagePoint]) -> list[str]:
    """What kept usage points are called."""
    return [one for point in points for one in spelled(parse_point(point.document))]
