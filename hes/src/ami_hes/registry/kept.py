"""The registry at work and in the store: rows are imported into both, each with a report of its own.

A part of an import is one transaction: when the report is there, all rows that it says are accepted or changed are kept, and
nothing of a refused one is. A meter of a file of the configuration is that file's: it is changed there and nowhere else.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from heapq import nsmallest
from typing import NamedTuple

from ami_cim.identity import mrid_key
from ami_hes.meters.meter_index import MeterIndex, Table, names_of
from ami_hes.meters.registry import Meter, Registry, read_entry, taken
from ami_hes.registry.key_book import KeyBook
from ami_hes.registry.noting import Noting
from ami_hes.registry.packed_meters import PackedMeters, names_are_the_same, table_of
from ami_hes.store import RegistryChange, RegistryStore, StoredMeter, StoredRegistry
from ami_registry import MAX_CHARACTERS, EntryError, FormattedMeter, ShipmentError, format_meter, parse_row

IMPORTED = "import"
"""The source of meters that no file of the configuration has."""
MAX_METERS = 1_000_000


class OfConfiguration(Exception):
    """A file of the configuration has the say over the meter; the text says which."""


class NotAmended(Exception):
    """The registry stays as it is for this meter; the text says why. `field`: of the entry, where one is at fault."""

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.field = field


class Amendment(NamedTuple):
    """A meter, by its mRID, and what makes its new entry without secrets of the one that is there (None: none); it may raise NotAmended."""

    mrid: str
    change: Callable[[Table | None], Table]


class ImportRow(NamedTuple):
    """A row of a shipment, and where it is in its file."""

    place: str
    columns: Mapping[str, object]


class RowOutcome(StrEnum):
    """What became of a row."""

    ACCEPTED = "accepted"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


class RowReport(NamedTuple):
    """The outcome of a row; `reason` of a refused one never holds a secret."""

    place: str
    meter: str | None
    outcome: RowOutcome
    reason: str = ""


class Listing(NamedTuple):
    """Some meters, each with its entry without secrets; `total` of the group or of all; whether more follow."""

    meters: list[tuple[StoredMeter, Table]]
    total: int
    more: bool


class _Draft:
    """What a part of an import changes, before it is kept."""

    def __init__(self, registry: Registry, meters: PackedMeters) -> None:
        self._registry = registry
        self._meters = meters
        self._index = MeterIndex()
        self.changed: dict[str, tuple[StoredMeter, Table]] = {}

    def kept(self, mrid: str) -> StoredMeter | None:
        changed = self.changed.get(mrid)
        return self._meters.stored(mrid) if changed is None else changed[0]

    def put(self, place: str, mrid: str, meter: FormattedMeter) -> RowOutcome:
        """Raises EntryError for a name of another meter."""
        self._check(place, mrid, meter.table)
        kept = self.kept(mrid)
        packed = self._meters.pack(mrid, meter, IMPORTED, kept)
        if packed is kept:
            return RowOutcome.UNCHANGED
        if mrid in self.changed:
            self._index.remove(mrid, self.changed[mrid][1])
        self._index.add(mrid, meter.table)
        self.changed[mrid] = packed, meter.table
        return RowOutcome.ACCEPTED if kept is None else RowOutcome.CHANGED

    def _check(self, place: str, mrid: str, table: Table) -> None:
        for name in names_of(table):
            owner = self._index.owner(name.field, name.key)
            if owner is None:
                owner = self._registry.owner(name.field, name.key)
                owner = None if owner in self.changed else owner  # it has given the name up
            kept = None if owner in (None, mrid) else self.kept(str(owner))
            if kept is not None:
                raise taken(place, table, name.field, name.shown, kept.name)


class KeptRegistry:
    """The registry of the process and the store behind it."""

    def __init__(
        self, registry: Registry, meters: PackedMeters, store: RegistryStore, transport_key: bytes | None = None
    ) -> None:
        """`transport_key` unwraps the keys of imported rows."""
        self.registry = registry
        self.keys = KeyBook(registry, meters, store)
        self.noting = Noting()
        self._meters = meters
        self._store = store
        self._transport_key = transport_key
        self._one_at_a_time = asyncio.Lock()

    async def bring(self, mrids: Collection[str]) -> None:
        """Those of these mRIDs, as mRIDs are compared, that the store has are in the registry, with what they are behind. Raises StoreUnavailable."""
        lacking = [mrid for mrid in mrids if self._meters.stored(mrid) is None]
        brought = self._brought(await self._store.some(lacking)) if lacking else []
        hosts = {str(table["behind"]) for table in brought if "behind" in table}
        lacking_hosts = [name for name in hosts if self.registry.owner("name", name) is None]
        if lacking_hosts:
            self._brought(await self._store.named(lacking_hosts))

    def _brought(self, stored: StoredRegistry) -> list[Table]:
        """Into memory, but for what has come there meanwhile."""
        tables: list[Table] = []
        for meter in stored.meters:
            if self._meters.stored(meter.mrid) is None:
                self._meters.add(meter)
                self._meters.change_keys(meter.mrid, stored.changed_keys.get(meter.mrid, ()))
                tables.append(table_of(meter))
                self.registry.add(tables[-1])
        return tables

    def let_go(self, mrid: str) -> None:
        """Out of memory; in the store it stays."""
        known = self._meters.stored(mrid)
        if known is not None:
            self.registry.remove(table_of(known))
            self._meters.remove(mrid)
            self._meters.forget_changed_keys(mrid)

    def with_host(self, mrid: str) -> tuple[str, ...]:
        """The meter and what it is behind, as far as they are here, by their mRIDs; none is unpacked for it."""
        known = self._meters.stored(mrid)
        behind = None if known is None else table_of(known).get("behind")
        host = None if behind is None else self.registry.owner("name", str(behind))
        return tuple(one for one in (mrid if known else None, host) if one is not None)

    async def look(self, mrid: str) -> None:
        """Take over what another process has changed of one meter, and of what it is behind. Raises StoreUnavailable, and CannotOpen for keys that are not what was sealed."""
        mrid = mrid_key(mrid)
        await self._look(mrid)
        for other in self.with_host(mrid):
            if other != mrid:
                await self._look(other)

    async def _look(self, mrid: str) -> None:
        kept, changed = await self._store.find(mrid)
        known = self._meters.stored(mrid)
        if kept != known:
            if known is not None:
                self.registry.remove(table_of(known))
                self._meters.remove(mrid)
            if kept is not None:
                self._meters.add(kept)
                self.registry.add(table_of(kept))
        if changed != tuple(self._meters.changed_keys(mrid)):
            self._meters.change_keys(mrid, changed)
            self.registry.touch()

    async def look_at_all(self) -> None:
        """The same for all meters, after a time in which others could not be heard. Raises as `look`."""
        stored = await self._store.load()
        kept = {meter.mrid: meter for meter in stored.meters}
        differing = {mrid for mrid, meter in kept.items() if self._meters.stored(mrid) != meter}
        differing.update(mrid for mrid in self._meters if mrid not in kept)
        differing.update(
            mrid for mrid, rows in stored.changed_keys.items() if tuple(self._meters.changed_keys(mrid)) != rows
        )
        for mrid in differing:
            await self._look(mrid)

    async def import_rows(self, rows: Sequence[ImportRow], *, check: bool = False) -> list[RowReport]:
        """Keep what can be kept of these rows of a shipment; `check`: only say what would become of them.

        A later row for the same meter counts. Raises StoreUnavailable, and then nothing of them is kept.
        """
        async with self._one_at_a_time:
            draft = _Draft(self.registry, self._meters)
            report = [self._plan(row, draft) for row in rows]
            if draft.changed and not check:
                await self._keep(draft)
            return report

    async def amend(self, amendments: Sequence[Amendment], *, whole: bool = False) -> list[RowOutcome | NotAmended]:
        """Change entries, each for itself and what is changed in one transaction; their secrets stay. Raises StoreUnavailable: nothing is kept.

        `whole`: none of them where one can't be changed.
        """
        async with self._one_at_a_time:
            draft = _Draft(self.registry, self._meters)
            report = [self._amended(one, draft) for one in amendments]
            if draft.changed and not (whole and any(isinstance(one, NotAmended) for one in report)):
                await self._keep(draft)
            return report

    async def _keep(self, draft: _Draft) -> None:
        stored = {mrid: self._meters.stored(mrid) for mrid in draft.changed}
        before = {mrid: None if kept is None else table_of(kept) for mrid, kept in stored.items()}
        noted = self.noting.noted((before[mrid], table) for mrid, (_, table) in draft.changed.items())
        await self._store.change(RegistryChange(meters=[meter for meter, _ in draft.changed.values()], noted=noted))
        self._apply(draft)
        self.noting.committed(noted)

    async def follow(self, meter: Meter, host: str) -> str:
        """The KeepsAddresses port."""

        def moved(table: Table | None) -> Table:
            if table is None:
                raise NotAmended("it is not in the registry any more")
            port = str(table["address"]).rpartition(":")[2]
            return {**table, "address": f"[{host}]:{port}" if ":" in host else f"{host}:{port}"}

        (became,) = await self.amend([Amendment(meter.mrid, moved)])
        return str(became) if isinstance(became, NotAmended) else ""

    async def remove(self, name: str) -> StoredMeter | None:
        """Take an imported meter out, by its name or mRID; None where there is none. Raises OfConfiguration, StoreUnavailable."""
        async with self._one_at_a_time:
            found = self.show(name)
            if found is None:
                return None
            stored, table = found
            if stored.source != IMPORTED:
                raise OfConfiguration(f"{stored.name} is a meter of {stored.source}: take it out there")
            noted = self.noting.noted([(table, None)])
            await self._store.change(RegistryChange(removed=[stored.mrid], noted=noted))
            self.noting.committed(noted)
            self.registry.remove(table)
            self._meters.remove(stored.mrid)
            return stored

    async def listing(
        self,
        group: tuple[str, str] | None,
        after: str,
        limit: int,
        among: Callable[[Iterable[str]], Sequence[str]] = tuple,
    ) -> Listing:
        """The first meters by name, of a group (tag and value) or of all, whose names are behind `after`.

        They are sought beside the event loop, since those of a large registry take a while; what changes meanwhile may be in it or not.
        `among` leaves of the mRIDs those that are asked for.
        """
        ids = among(tuple(self._meters) if group is None else self.registry.member_ids(*group))
        first = await asyncio.to_thread(self._first_behind, after, limit + 1, ids)
        return Listing([(meter, table_of(meter)) for meter in first[:limit]], len(ids), len(first) > limit)

    async def page(self, mrids: Collection[str], offset: int, limit: int) -> Listing:
        """Some of these meters by name, behind the first `offset`; they are sorted beside the event loop."""
        found = await asyncio.to_thread(self._sorted, mrids)
        shown = found[offset : offset + limit]
        return Listing([(one, table_of(one)) for one in shown], len(found), len(found) > offset + limit)

    def _sorted(self, mrids: Iterable[str]) -> list[StoredMeter]:
        known = [meter for meter in map(self._meters.stored, mrids) if meter is not None]
        return sorted(known, key=lambda meter: meter.name)

    def names_of(self, mrids: Iterable[str]) -> list[tuple[str, str]]:
        """Name and mRID of those of these meters that are there; none is unpacked for it."""
        return [(kept.name, mrid) for mrid in mrids if (kept := self._meters.stored(mrid)) is not None]

    def all_mrids(self) -> tuple[str, ...]:
        """As they are compared."""
        return tuple(self._meters)

    def _first_behind(self, after: str, number: int, ids: Iterable[str]) -> list[StoredMeter]:
        behind = (meter for meter in map(self._meters.stored, ids) if meter is not None and meter.name > after)
        return nsmallest(number, behind, key=lambda meter: meter.name)

    def show(self, name: str) -> tuple[StoredMeter, Table] | None:
        """The meter of this name or mRID, with its entry without secrets."""
        mrid = self.registry.owner("name", name) or mrid_key(name)
        stored = self._meters.stored(mrid)
        return None if stored is None else (stored, table_of(stored))

    def source_of(self, meter: Meter) -> str:
        """The file that has the say over a meter, or `import`."""
        kept = self._meters.stored(mrid_key(meter.mrid))
        return IMPORTED if kept is None else kept.source

    def _amended(self, amendment: Amendment, draft: _Draft) -> RowOutcome | NotAmended:
        mrid = mrid_key(amendment.mrid)
        kept = draft.kept(mrid)
        secrets = {} if kept is None else self._meters.secrets_of(kept)
        try:
            before = None if kept is None else table_of(kept)
            after = amendment.change(before)
            if after == before:
                return RowOutcome.UNCHANGED
            meter = read_entry("The meter", {**after, **secrets}, _no_references)
            self._check_place(meter, kept, draft)
            return draft.put("The meter", mrid, format_meter(meter))
        except NotAmended as problem:
            return problem
        except EntryError as problem:
            return NotAmended(str(problem), problem.field)

    def _check_place(self, meter: Meter, kept: StoredMeter | None, draft: _Draft, place: str = "The meter") -> None:
        """Raises EntryError for a meter that may not be here or not be changed here."""
        if isinstance(meter.address, str):
            raise EntryError(place, meter.name, "address", "a device of this machine is for the configuration")
        if kept is not None and kept.source != IMPORTED:
            raise EntryError(place, meter.name, "mrid", f"is that of a meter of {kept.source}: change it there")
        if kept is None and len(self._meters) + len(draft.changed) >= MAX_METERS:
            raise EntryError(place, meter.name, "mrid", f"the registry has {MAX_METERS} meters, which is all")

    def _plan(self, row: ImportRow, draft: _Draft) -> RowReport:
        name = row.columns.get("name")
        shown = name[:MAX_CHARACTERS] if isinstance(name, str) and name.isprintable() else None
        try:
            meter = read_entry(row.place, parse_row(row.place, row.columns, self._transport_key), _no_references)
            mrid = mrid_key(meter.mrid)
            self._check_place(meter, draft.kept(mrid), draft, row.place)
            return RowReport(row.place, meter.name, draft.put(row.place, mrid, format_meter(meter)))
        except (EntryError, ShipmentError) as problem:
            return RowReport(row.place, shown, RowOutcome.REFUSED, str(problem))

    def _apply(self, draft: _Draft) -> None:
        """Names may pass from one meter to another, so all old ones go first."""
        anew: list[Table] = []
        for mrid, (meter, table) in draft.changed.items():
            kept = self._meters.stored(mrid)
            if kept is None or not names_are_the_same(table_of(kept), table):
                anew.append(table)
                if kept is not None:
                    self.registry.remove(table_of(kept))
            self._meters.add(meter)
        for table in anew:
            self.registry.add(table)
        self.registry.touch()


def _no_references(scheme: str, _: str) -> str:
    """A file or a variable of this machine is for those who write its configuration."""
    raise ValueError(f"{scheme}: is for the configuration of the head-end; give the value itself")
