"""What the store has of a meter as the records that bring it back, but for its counters, which never go back.

Strategy: nothing but ordinary changes. A snapshot is a file of the journal's frames, one for each meter behind one that says what it is, and
bringing a meter back is a number of changes in the journal, on disk with one write like all others.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path

import numpy

from ami_meter_sim.population.columns import COLUMNS, NAMES
from ami_meter_sim.population.journal import (
    Cell,
    Change,
    Happened,
    KeptAttribute,
    StateUnusable,
    decode,
    read_frames,
)
from ami_meter_sim.population.store import AttributeKey, Store

STAY = frozenset({"last_record", *(f"{side}_reserved{setup}" for side in ("send", "receive") for setup in ("", "_2"))})
"""Columns that never go back: a counter used twice under one key would break the cipher."""
EVERY_KIND = range(256)
Stays = Callable[[AttributeKey], bool]
"""Which kept attributes neither go into a snapshot nor come back: keys, to which the counters belong."""


def changes_of(store: Store, index: int, stays: Stays) -> list[Change]:
    """What brings a meter back to how it is now. Raises StateUnusable."""
    number = store.row(index).number
    cells = [
        Cell(number, column, value)
        for column, name in NAMES.items()
        if name not in STAY and (value := store.columns[name].item(index)) != COLUMNS[name].initial
    ]
    kept = [
        KeptAttribute(number, *key, content) for key, content in store.kept.get(index, {}).items() if not stays(key)
    ]
    return [*cells, *kept, *store.records_of(index, EVERY_KIND)]


def bring_back(store: Store, index: int, changes: Iterable[Change], stays: Stays) -> None:
    """Let a meter be again what these changes say, and nothing else but its counters and what `stays`. Raises StateUnusable."""
    cells: dict[int, int] = {}
    kept: dict[AttributeKey, bytes] = {}
    happened: list[Happened] = []
    for change in changes:
        match change:
            case Cell(_, column, value):
                cells[column] = value
            case KeptAttribute(_, class_id, obis, attribute_id, content) if content is not None:
                kept[class_id, obis, attribute_id] = content
            case Happened():
                happened.append(change)
    _cells_back(store, index, cells)
    _kept_back(store, index, kept, stays)
    _history_back(store, index, happened)


def _cells_back(store: Store, index: int, wanted: dict[int, int]) -> None:
    row = store.row(index)
    for column, name in NAMES.items():
        if name not in STAY:
            setattr(row, name, wanted.get(column, COLUMNS[name].initial))


def _kept_back(store: Store, index: int, wanted: dict[AttributeKey, bytes], stays: Stays) -> None:
    there = {key: content for key, content in store.kept.get(index, {}).items() if not stays(key)}
    for key in there.keys() - wanted.keys():
        store.keep(index, key, None)
    for key, content in wanted.items():
        if there.get(key) != content and not stays(key):
            store.keep(index, key, content)


def _history_back(store: Store, index: int, wanted: list[Happened]) -> None:
    """As a whole, since the order of records at one instant is that of their numbers; nothing where nothing has happened since."""
    there = store.records_of(index, EVERY_KIND)
    if [one[3:] + one[1:2] for one in there] == [one[3:] + one[1:2] for one in wanted]:
        return
    for (kind, source), records in groupby(sorted(there, key=_of_one), key=_of_one):
        store.forget(index, kind, source, max(one.n for one in records))
    for one in wanted:
        store.happened(index, one)


def _of_one(record: Happened) -> tuple[int, bytes]:
    return record.kind, record.source


def frames_of(path: Path) -> Iterator[bytes]:
    """The frames of a snapshot's file, what it says of itself first. Raises StateUnusable."""
    try:
        with path.open("rb") as file:
            end = os.fstat(file.fileno()).st_size
            for _, payload in read_frames(lambda count, at: os.pread(file.fileno(), count, at), 0, end, str(path)):
                yield payload
    except OSError as error:
        raise StateUnusable(f"{path} can't be read: {error.strerror}") from None


def changes_in(payload: bytes, path: Path) -> list[Change]:
    """The changes of one meter, one at least, all of which it can take. Raises StateUnusable for anything else."""
    try:
        changes = list(decode(payload))
    except ValueError as error:
        raise StateUnusable(f"{path} can't be used: {error}") from None
    if not changes or len({one.meter for one in changes}) > 1 or not all(map(_fits, changes)):
        raise StateUnusable(f"{path} can't be used: it has a change that no meter of this version takes")
    return changes


def _fits(change: Change) -> bool:
    match change:
        case Cell(_, column, value) if column in NAMES:
            limits = numpy.iinfo(COLUMNS[NAMES[column]].dtype)
            return bool(limits.min <= value <= limits.max)
        case KeptAttribute(content=content):
            return content is not None
        case Happened():
            return True
    return False
