"""The memory of one meter: its row, and the doors of `ami_meter_sim.objects.memory` over the store of the process.

Strategy: nothing is copied. A changed attribute lies in the store's sparse table, a record in its history, and the rows that a
profile has captured are records as well, of a kind of their own.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.obis import Obis
from ami_meter_sim.objects.device import Rows
from ami_meter_sim.objects.memory import History, Kept, Kind, Record
from ami_meter_sim.population.journal import NO_SOURCE, Happened
from ami_meter_sim.population.row import Row
from ami_meter_sim.population.store import Store
from ami_packs.model import ObjectDescription

CAPTURED = 64
"""The kind of a record that is a row of a profile; `detail` is the encoded row."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class KeptInStore:
    """`Kept` over the sparse table of the store."""

    __slots__ = ("_index", "_store")

    def __init__(self, store: Store, index: int) -> None:
        self._store = store
        self._index = index

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
    """`History` over the records of the store."""

    __slots__ = ("_index", "_store")

    def __init__(self, store: Store, index: int) -> None:
        self._store = store
        self._index = index

    def happened(self, record: Record) -> None:
        """As `History`."""
        source = NO_SOURCE if record.source is None else bytes(record.source)
        self._store.happened(
            self._index, Happened(0, record.kind, 0, microseconds(record.at), source, record.number, record.detail)
        )

    def records(
        self, kind: Kind, since: datetime | None = None, until: datetime | None = None, source: Obis | None = None
    ) -> Sequence[Record]:
        """As `History`."""
        low, high = (None if at is None else microseconds(at) for at in (since, until))
        wanted = None if source is None else bytes(source)
        return [
            Record(
                EPOCH + one.at * MICROSECOND,
                kind,
                None if one.source == NO_SOURCE else Obis(one.source),
                one.number,
                one.detail,
            )
            for one in self._store.records(self._index, kind, low, high, wanted)
        ]


class CapturedRows:
    """`Rows` of one profile: the newest `entries` of what it has captured."""

    __slots__ = ("_entries", "_index", "_newest", "_profile", "_store")

    def __init__(self, store: Store, index: int, profile: Obis, entries: int) -> None:
        self._store = store
        self._index = index
        self._profile = bytes(profile)
        self._entries = entries
        self._newest: deque[tuple[int, bytes]] | None = None

    def read(self) -> Sequence[bytes]:
        """As `Rows`."""
        return [row for _, row in self._rows()]

    def append(self, row: bytes) -> None:
        """As `Rows`."""
        self._store.journal.check()
        rows = self._rows()
        if rows and len(rows) == self._entries:
            self._forget(rows[0][0])
        number = self._store.happened(self._index, Happened(0, CAPTURED, 0, 0, self._profile, 0, row))
        rows.append((number, row))

    def clear(self) -> None:
        """As `Rows`."""
        rows = self._rows()
        if rows:
            self._forget(rows[-1][0])
            rows.clear()

    def _forget(self, number: int) -> None:
        self._store.forget(self._index, CAPTURED, self._profile, number)

    def _rows(self) -> deque[tuple[int, bytes]]:
        if self._newest is None:
            found = self._store.records(self._index, CAPTURED, source=self._profile)
            self._newest = deque(((one.n, one.detail) for one in found), self._entries)
        return self._newest


@dataclass(frozen=True, slots=True)
class Memory:
    """Everything of one meter that outlives it."""

    row: Row
    kept: Kept
    history: History
    rows: Callable[[ObjectDescription], Rows]
    check: Callable[[], None]
    """Raises StateError while nothing can be kept."""
    planned: Callable[[int], None]
    """Called with the second at which the meter has something to do next, 0 for never."""


def unplanned(_: int) -> None:
    """For a meter that is moved by hand."""


def memory_of(store: Store, index: int, planned: Callable[[int], None] = unplanned) -> Memory:
    """That of the meter at this index."""

    def rows(described: ObjectDescription) -> Rows:
        return CapturedRows(store, index, described.obis, described.profile_entries)

    kept, history = KeptInStore(store, index), HistoryInStore(store, index)
    return Memory(store.row(index), kept, history, rows, store.journal.check, planned)


def microseconds(at: datetime) -> int:
    """Since the epoch."""
    return (at - EPOCH) // MICROSECOND
