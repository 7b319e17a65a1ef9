"""The store of a process: the rows of its meters in memory, and everything of them that outlives it on disk.

Strategy: what changes goes into a journal (`journal`), which is the commit. `bring_in`, run in a thread, moves it into SQLite
together with its position, in one transaction. To open means: whatever processes that are gone have left in their journals is
brought in, then the rows are read. Several processes may share a folder as long as each meter is in one of them. All files
are for their owner alone.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from sqlite3 import Error as SqliteError
from sqlite3 import connect
from typing import Any, Self, TypeVar
from uuid import uuid4

import numpy
from sqlalchemy import Connection, Engine, delete, select

from ami_meter_sim.population.columns import COLUMNS, KNOWN, NAMES, WITHOUT_POWER, Array, Columns
from ami_meter_sim.population.journal import (
    SUFFIX,
    Change,
    Forget,
    Happened,
    Journal,
    KeptAttribute,
    StateUnusable,
    decode,
    read_frames,
)
from ami_meter_sim.population.row import Row
from ami_meter_sim.population.storing import Batch
from ami_meter_sim.population.tables import JOURNALS, RANGES, SCHEMA
from ami_process.ownership import PRIVATE_DIRECTORY, Hold, InUse
from ami_process.store.errors import StoreUnavailable, StoreUnusable, problems_of
from ami_process.store.opening import ready_store
from ami_process.store.sqlite import sqlite_engine

T = TypeVar("T")

FILE = "meters.sqlite"
LOCK = "in-use.lock"
MOST_OF_A_RANGE = 2**24
"""Numbers of meters are spread out by this, so that a population may grow."""
FETCHED_AT_ONCE = 5_000
MOST_BEHIND_OCTETS = 256 * 2**20
"""Of the journal while SQLite takes nothing; then nothing is changed any more."""
_LIVED = "UPDATE ranges SET lived_until = max(lived_until, ?) WHERE name = ?"
_CELLS = ", ".join(f"ifnull({name}, {COLUMNS[name].initial})" for name in NAMES.values())
_SELECT_ROWS = f"SELECT meter, {_CELLS} FROM rows WHERE meter BETWEEN ? AND ?"  # noqa: S608 (our own names)
_SELECT_RECORDS = (
    "SELECT meter, kind, n, at, source, number, detail FROM history WHERE meter = ? AND kind >= ? AND kind < ?"
)
_OPEN_HERE: set[str] = set()
"""Names of the journals of this process, whose locks do not keep it out itself."""


@dataclass(frozen=True, slots=True)
class WantedMeters:
    """A meter of its own (count 1, `population` False) or a population, by a name that never changes.

    That of a population ends with a slash and the serial number of its first meter; what is before it stands for its keys.
    """

    name: str
    count: int = 1
    population: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """Where the meters of a name are: in memory from `index` on, on disk from `number` on."""

    name: str
    index: int
    number: int
    count: int
    lived_until: int = 0
    """When its process was last seen alive, in seconds since the epoch."""


AttributeKey = tuple[int, bytes, int]
"""Class, logical name, attribute."""


@dataclass(slots=True)
class Tail:
    """What happened and is not in SQLite yet, by number of the meter."""

    happened: dict[int, list[Happened]] = field(default_factory=lambda: defaultdict(list))
    forgotten: list[Forget] = field(default_factory=list)


class Store:
    """Everything of these meters. Made with `Store.open`; a change is on disk after `journal.write()`."""

    def __init__(self, directory: Path, hold: Hold, engine: Engine, ranges: Sequence[Range], journal: Journal) -> None:
        self.directory = directory
        self._path = directory / FILE
        self.ranges = {one.name: one for one in ranges}
        self.columns = Columns(sum(one.count for one in ranges))
        self.journal = journal
        self.kept: dict[int, dict[AttributeKey, bytes]] = {}
        """Changed attributes by index."""
        self.alive_at = 0
        """Seconds since the epoch by the process's clock, for the next `bring_in`: meters were in operation until then."""
        self._numbers = numpy.zeros(self.columns.count, "u4")
        for one in ranges:
            self._numbers[one.index : one.index + one.count] = numpy.arange(one.number, one.number + one.count)
        self._hold = hold
        self._engine = engine
        self._reading = _connect_to_read(directory / FILE)
        self._tail = Tail()
        self._leaving = Tail()

    @classmethod
    def open(cls, directory: Path, wanted: Sequence[WantedMeters]) -> Self:
        """Make or open the store of a folder; StateUnusable when a meter is in use elsewhere or the files can't be used."""
        name = uuid4().hex
        hold = _hold(directory, [*(one.name for one in wanted), name])
        try:
            with _problems(directory / FILE):
                ready_store(directory / FILE, SCHEMA)
                engine = sqlite_engine(directory / FILE)
                with engine.begin() as connection:
                    left = list(_bring_in_what_was_left(connection, directory, hold))
                    ranges = list(_placed(connection, wanted))
                for path in left:
                    path.unlink(missing_ok=True)
                _OPEN_HERE.add(name)
                store = cls(directory, hold, engine, ranges, Journal(directory, name))
                store._load()
        except BaseException:
            hold.close()
            raise
        return store

    # --- meters

    def row(self, index: int) -> Row:
        """The row of a meter; made as often as wanted."""
        return Row(self.columns, index, self._numbers.item(index), self.journal)

    def keep(self, index: int, key: AttributeKey, content: bytes | None) -> None:
        """Change an attribute; None goes back to the model's value."""
        self.journal.add(KeptAttribute(self._numbers.item(index), *key, content))
        if content is not None:
            self.kept.setdefault(index, {})[key] = content
        elif index in self.kept:
            self.kept[index].pop(key, None)

    def happened(self, index: int, record: Happened) -> int:
        """Add a record, whose `meter` and `n` are given here; its `n`."""
        row = self.row(index)
        n = row.last_record + 1
        record = Happened(row.number, record.kind, n, *record[3:])
        self.journal.add(record)
        row.last_record = n
        self._tail.happened[row.number].append(record)
        return n

    def forget(self, index: int, kind: int, source: bytes, n: int) -> None:
        """Records of this kind and source up to the `n`th."""
        change = Forget(self._numbers.item(index), kind, source, n)
        self.journal.add(change)
        self._tail.forgotten.append(change)
        for tail in (self._tail, self._leaving):
            _drop(tail, change)

    def records(
        self, index: int, kind: int, since: int | None = None, until: int | None = None, source: bytes | None = None
    ) -> list[Happened]:
        """Those of this kind, and of this source if one is given, with since <= at < until, the oldest first. Raises StateUnusable."""
        low, high = -(2**63) if since is None else since, 2**63 - 1 if until is None else until
        found = self.records_of(index, range(kind, kind + 1))
        return [one for one in found if low <= one.at < high and source in (None, one.source)]

    def records_of(self, index: int, kinds: range) -> list[Happened]:
        """Those of several kinds, with one look into the file; those of a kind are in order, the oldest first. Raises StateUnusable."""
        number = self._numbers.item(index)
        try:
            rows = self._reading.execute(_SELECT_RECORDS, (number, kinds.start, kinds.stop)).fetchall()
        except SqliteError as problem:
            with _problems(self._path):  # asked before, it would cost as much as the look
                raise problem
        found = {one.n: one for one in map(Happened._make, rows)}
        for forgotten in (*self._leaving.forgotten, *self._tail.forgotten):
            if forgotten.meter == number and forgotten.kind in kinds:
                same = forgotten.kind, forgotten.source
                found = {n: one for n, one in found.items() if n > forgotten.n or (one.kind, one.source) != same}
        for tail in (self._leaving, self._tail):
            newer = tail.happened.get(number, ())
            found |= {one.n: one for one in newer if one.kind in kinds}
        return sorted(found.values(), key=lambda one: (one.at, one.n))

    # --- into SQLite

    def fill_rows(self, names: Sequence[str], rows: Iterable[Sequence[int]]) -> None:
        """Rows of meters, by their numbers on disk, past the journal and the columns in memory: for a store that is made on purpose."""
        places = ", ".join("?" * (len(names) + 1))
        statement = f"INSERT OR REPLACE INTO rows (meter, {', '.join(names)}) VALUES ({places})"  # noqa: S608 (our own names)
        with _problems(self.directory / FILE), self._engine.begin() as connection:
            for many in batched(rows, FETCHED_AT_ONCE):
                connection.exec_driver_sql(statement, [tuple(row) for row in many])

    def begin_bringing_in(self) -> list[int]:
        """Say how far the next `bring_in` goes, which may then run beside the event loop."""
        self.journal.write()
        self._leaving, self._tail = self._tail, Tail()
        return [one.end for one in self.journal.segments]

    def bring_in(self, ends: Sequence[int]) -> None:
        """Move the journal up to there into SQLite, in one transaction. Raises StateUnusable."""
        segments = list(zip(self.journal.segments, ends, strict=False))
        with _problems(self.directory / FILE), self._engine.begin() as connection:
            batch = Batch()
            for segment, end in segments:
                for _, payload in segment.frames(end):
                    batch.take(decode(payload))
            batch.store(connection)
            for segment, end in segments:
                _note(connection, segment.path, end)
            if self.alive_at and self.ranges:
                connection.exec_driver_sql(_LIVED, [(self.alive_at, name) for name in self.ranges])
        for segment, end in segments:
            segment.stored = end

    def end_bringing_in(self, done: bool) -> None:
        """After `bring_in`, in the event loop again: forget what is in SQLite, or go on with what is not."""
        behind = sum(one.end - one.stored for one in self.journal.segments)
        self.journal.full = (
            f"{behind} octets of the journal wait for {self.directory / FILE}" if behind > MOST_BEHIND_OCTETS else None
        )
        if not done:
            for number, records in self._tail.happened.items():
                self._leaving.happened[number].extend(records)
            self._leaving.forgotten.extend(self._tail.forgotten)
            self._tail = self._leaving
        self._leaving = Tail()
        segments = self.journal.segments
        while segments and segments[0].closed and segments[0].stored == segments[0].end:
            gone = segments.popleft()
            os.close(gone.file)
            gone.path.unlink(missing_ok=True)

    def close(self) -> None:
        """A clean end: counters are exact, all of it is in SQLite, and the journal goes. Raises StateUnusable."""
        try:
            for index in self.columns.used_ahead():
                self.row(int(index)).give_back_counters()
            self.bring_in(self.begin_bringing_in())
            for segment in self.journal.segments:
                segment.path.unlink(missing_ok=True)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the files as a process does that dies."""
        self._reading.close()
        self._engine.dispose()
        for name in {_writer_of(one.path) for one in self.journal.segments}:
            _OPEN_HERE.discard(name)
        self.journal.close()
        self._hold.close()

    # --- out of SQLite

    def _load(self) -> None:
        for one in self.ranges.values():
            span = (one.number, one.number + one.count - 1)
            self._load_rows(one, span)
            self._load_life(one)
            kept = "SELECT meter, class_id, obis, attribute_id, content FROM kept WHERE meter BETWEEN ? AND ?"
            for number, class_id, obis, attribute_id, content in self._reading.execute(kept, span):
                index = number - one.number + one.index
                self.kept.setdefault(index, {})[class_id, obis, attribute_id] = content
        arrays = self.columns.arrays
        for exact, reserved in (("send_next", "send_reserved"), ("receive_lowest", "receive_reserved")):
            for suffix in ("", "_2"):
                arrays[exact + suffix][:] = arrays[reserved + suffix]

    def _load_life(self, one: Range) -> None:
        """Meters that were in operation were so until their process was last seen, whenever their row was written."""
        place = slice(one.index, one.index + one.count)
        until, flags = self.columns["captured_until"][place], self.columns["flags"][place]
        running = (flags & (KNOWN | WITHOUT_POWER)) == KNOWN
        until[running] = numpy.maximum(until[running], one.lived_until)

    def _load_rows(self, one: Range, span: tuple[int, int]) -> None:
        found = self._reading.execute(_SELECT_ROWS, span)
        while rows := found.fetchmany(FETCHED_AT_ONCE):
            try:
                numbers, *columns = numpy.array(rows, "i8").T
            except (ValueError, OverflowError):
                raise StoreUnusable(f"{self._path} has no number where a row needs one") from None
            index = numbers - one.number + one.index
            for name, values in zip(NAMES.values(), columns, strict=True):
                array = self.columns[name]
                if not _fits(values, array.dtype):
                    raise StoreUnusable(f"{self._path} has numbers that are no {name} of a meter")
                array[index] = values


def _fits(values: Array, dtype: numpy.dtype[Any]) -> bool:
    """Whether whole numbers of 64 bits keep their values in a column."""
    limits = numpy.iinfo(dtype)
    return limits.min <= int(values.min()) and int(values.max()) <= limits.max


def batched(rows: Iterable[T], number: int) -> Iterator[list[T]]:
    """Lists of at most this number."""
    left = iter(rows)
    while many := list(islice(left, number)):
        yield many


def _connect_to_read(store: Path) -> SqliteConnection:
    """A connection that never waits for who writes, and can't write itself."""
    uri = f"{store.absolute().as_uri()}?mode=ro"
    return connect(uri, uri=True, isolation_level=None, check_same_thread=False)


def _hold(directory: Path, names: Iterable[str]) -> Hold:
    """A meter that ran twice would use its invocation counters twice."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=PRIVATE_DIRECTORY)
        return Hold(directory / LOCK, *names)
    except InUse as problem:
        reason = f"meter {problem.name} already runs with its state in {directory}: stop that one, or set another meter_sim.state"
        raise StateUnusable(reason) from None
    except OSError as error:
        raise StateUnusable(f"{directory} can't be made: {error.strerror}; another place: meter_sim.state") from None


@contextmanager
def _problems(store: Path) -> Iterator[None]:
    """What a disk or SQLite raises becomes a StateUnusable."""
    try:
        with problems_of(store):
            yield
    except StoreUnavailable as problem:
        raise StateUnusable(f"{store}: {problem}") from None
    except StoreUnusable as problem:
        raise StateUnusable(str(problem)) from None


def _bring_in_what_was_left(connection: Connection, directory: Path, hold: Hold) -> Iterator[Path]:
    """Journals of processes that are gone become rows; gives their files, which are to go once that is committed."""
    files = sorted(directory.glob(f"*{SUFFIX}"))
    stored = {name: octets for name, octets in connection.execute(select(JOURNALS.c.name, JOURNALS.c.stored))}  # noqa: C416 (rows are no pairs)
    batch = Batch()
    for path in files:
        if not _is_left(path, hold):
            continue
        with path.open("rb") as file:
            end = path.stat().st_size
            frames = read_frames(
                lambda count, at: os.pread(file.fileno(), count, at), stored.get(path.name, 0), end, str(path)
            )
            for place, payload in frames:
                batch.take(_decoded(payload, path))
                _note(connection, path, place)
        yield path
    batch.store(connection)
    here = {path.name for path in files}
    connection.execute(delete(JOURNALS).where(JOURNALS.c.name.in_([name for name in stored if name not in here])))


def _is_left(path: Path, hold: Hold) -> bool:
    writer = _writer_of(path)
    return writer not in _OPEN_HERE and hold.also(writer)


def _decoded(payload: bytes, path: Path) -> Iterator[Change]:
    try:
        yield from decode(payload)
    except ValueError as error:
        raise StoreUnusable(f"{path} has records of another version: {error}") from None


def _writer_of(path: Path) -> str:
    return path.name.partition("-")[0]


def _note(connection: Connection, path: Path, stored: int) -> None:
    connection.exec_driver_sql("INSERT OR REPLACE INTO journals (name, stored) VALUES (?, ?)", (path.name, stored))


def _placed(connection: Connection, wanted: Sequence[WantedMeters]) -> Iterator[Range]:
    """Numbers on disk for the meters, the same as ever for names that were here before."""
    lives = {name: (number, count, lived) for name, number, count, lived in connection.execute(select(RANGES))}
    known = {name: (number, count) for name, (number, count, _) in lives.items()}
    ends = [number for number, _ in known.values()]
    next_meter = max((number for number in ends if number < MOST_OF_A_RANGE), default=-1) + 1
    next_population = max((number // MOST_OF_A_RANGE for number in ends), default=0) + 1
    index = 0
    for one in wanted:
        _check_no_key_has_two_rows(one, known)
        number, count = known.get(one.name, (None, 0))
        if number is None and one.population:
            number, next_population = next_population * MOST_OF_A_RANGE, next_population + 1
        elif number is None:
            number, next_meter = next_meter, next_meter + 1
        if one.count > count:
            lived = lives[one.name][2] if one.name in lives else 0
            connection.exec_driver_sql(
                "INSERT OR REPLACE INTO ranges VALUES (?, ?, ?, ?)", (one.name, number, one.count, lived)
            )
        yield Range(one.name, index, number, one.count, lives[one.name][2] if one.name in lives else 0)
        index += one.count


def _check_no_key_has_two_rows(one: WantedMeters, known: Mapping[str, tuple[int, int]]) -> None:
    """The counters of a key are in the row that it was first used with; another row would begin anew."""
    origin, _, first = one.name.rpartition("/")
    for name, (_, count) in known.items():
        other_origin, _, other_first = name.rpartition("/")
        if not one.population or other_origin != origin or other_first == first:
            continue
        if int(first) < int(other_first) + count and int(other_first) < int(first) + one.count:
            raise StateUnusable(
                f"the store has meters of this seed with the serial numbers {other_first} to {int(other_first) + count - 1}, and "
                f"their keys may not begin anew: first_serial = {other_first}, another seed, or another meter_sim.state"
            )


def _drop(tail: Tail, forgotten: Forget) -> None:
    """Take what is forgotten out of what has not come to SQLite."""
    records = tail.happened.get(forgotten.meter)
    if records is not None:
        tail.happened[forgotten.meter] = [
            one
            for one in records
            if one.n > forgotten.n or (one.kind, one.source) != (forgotten.kind, forgotten.source)
        ]
