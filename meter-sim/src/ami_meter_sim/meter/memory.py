"""The memory of one meter: its row, and the doors of `ami_meter_sim.objects.memory` over the store of the process.

Strategy: nothing is copied. A changed attribute lies in the store's sparse table, a record in its history.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.obis import Obis
from ami_meter_sim.objects.memory import History, Kept, Record, RecordKind, chosen
from ami_meter_sim.population.journal import NO_SOURCE, Happened
from ami_meter_sim.population.row import Row
from ami_meter_sim.population.store import Store

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
KINDS = {int(kind): kind for kind in RecordKind}
TOGETHER = range(RecordKind.SWITCH, RecordKind.CLOCK_INVALID + 1)
"""Kinds that a register needs nearly all of, and of which a meter has few: read with one look into the store."""

NONE_TOGETHER: Mapping[RecordKind, Sequence[Record]] = {KINDS[kind]: () for kind in TOGETHER}


class KeptInStore:
    """`Kept` over the sparse table of the store."""

    __slots__ = ("_index", "_store")

    def __init__(self, store: Store, index: int) -> None:
        self._store = store
        self._index = index

    @property
    def empty(self) -> bool:
        """As `Kept`."""
        return not self._store.kept.get(self._index)

    def get(self, class_id: int, obis: Obis, attribute_id: int) -> Data | None:
        """As `Kept`."""
        attributes = self._store.kept.get(self._index)
        content = None if attributes is None else attributes.get((class_id, bytes(obis), attribute_id))
        return None if content is None else data.decode(content)

    def put(self, class_id: int, obis: Obis, attribute_id: int, value: Data | None) -> None:
        """As `Kept`."""
        content = None if value is None else data.encode(value)
        self._store.keep(self._index, (class_id, bytes(obis), attribute_id), content)


class HistoryInStore:
    """`History` over the records of the store. What was read is good until the meter's newest record is another one."""

    __slots__ = ("_forgotten", "_index", "_newest", "_read", "_row", "_store")

    def __init__(self, store: Store, index: int) -> None:
        self._store = store
        self._index = index
        self._row = store.row(index)
        self._newest = 0
        self._forgotten = 0
        self._read: dict[RecordKind, Sequence[Record]] = {}

    def happened(self, record: Record) -> None:
        """As `History`."""
        source = NO_SOURCE if record.source is None else bytes(record.source)
        self._store.happened(
            self._index, Happened(0, record.kind, 0, microseconds(record.at), source, record.number, record.detail)
        )

    def forget(self, kind: RecordKind, source: Obis | None, keep: int) -> None:
        """As `History`."""
        if self._row.last_record <= keep:
            return  # of all kinds together it has no more: no look into the store for most meters
        octets = NO_SOURCE if source is None else bytes(source)
        found = sorted(one.n for one in self._store.records(self._index, kind, source=octets))
        if len(found) > keep:
            self._store.forget(self._index, kind, octets, found[len(found) - keep - 1])
            self._read.clear()
            self._forgotten += 1

    @property
    def version(self) -> int:
        """As `History`; good as long as this is."""
        return self._row.last_record + (self._forgotten << 64)

    def records(
        self, kind: RecordKind, since: datetime | None = None, until: datetime | None = None, source: Obis | None = None
    ) -> Sequence[Record]:
        """As `History`."""
        if not (newest := self._row.last_record):
            return ()
        if newest != self._newest:
            self._newest = newest
            self._read.clear()
        if kind not in self._read:
            self._look(TOGETHER if kind in TOGETHER else range(kind, kind + 1))
        return chosen(self._read[kind], since, until, source)

    def _look(self, kinds: range) -> None:
        found: dict[RecordKind, list[Record]] = {}
        for one in self._store.records_of(self._index, kinds):
            kind = KINDS[one.kind]
            found.setdefault(kind, []).append(_record(kind, one))
        if kinds == TOGETHER:
            self._read.update(NONE_TOGETHER)
        else:
            self._read[KINDS[kinds.start]] = ()
        self._read.update(found)


def _record(kind: RecordKind, one: Happened) -> Record:
    source = None if one.source == NO_SOURCE else Obis(one.source)
    return Record(EPOCH + one.at * MICROSECOND, kind, source, one.number, one.detail)


@dataclass(frozen=True, slots=True)
class Memory:
    """Everything of one meter that outlives it."""

    row: Row
    kept: Kept
    history: History
    check: Callable[[], None]
    """Raises StateError while nothing can be kept."""
    planned: Callable[[int], None]
    """Called with the second at which the meter has something to do next, 0 for never."""


def unplanned(_: int) -> None:
    """For a meter that is moved by hand."""


def memory_of(store: Store, index: int, planned: Callable[[int], None] = unplanned) -> Memory:
    """That of the meter at this index."""
    kept, history = KeptInStore(store, index), HistoryInStore(store, index)
    return Memory(store.row(index), kept, history, store.journal.check, planned)


def microseconds(at: datetime) -> int:
    """Since the epoch."""
    return (at - EPOCH) // MICROSECOND
