"""Snapshots of all meters of a process, by name, and the way back to one: everything but keys and their invocation counters.

Strategy: keys stay together with the counters that were used under them, so no counter is used twice under one key, and a head-end that has
changed keys since goes on talking. Meters are looked at and brought back in portions, each meter as a whole; whoever has a connection to
one that was brought back has to make a new one. The faults that were set come back as well, with nothing remembered.
"""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy

from ami_meter_sim.faults import Rule
from ami_meter_sim.fleet import PORTION_S, Fleet
from ami_meter_sim.meter.memory import memory_of
from ami_meter_sim.objects.keys import CERTIFICATES, SECURITY_SETUP
from ami_meter_sim.objects.secrets import is_secret
from ami_meter_sim.population.columns import KNOWN
from ami_meter_sim.population.journal import Change, StateUnusable, frame
from ami_meter_sim.population.snapshot import bring_back, changes_in, changes_of, frames_of
from ami_meter_sim.population.store import AttributeKey, Store
from ami_meter_sim.refusals import NotPossible, NotThere
from ami_process.ownership import PRIVATE, PRIVATE_DIRECTORY

T = TypeVar("T")
FOLDER = "snapshots"
SUFFIX = ".snapshot"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
MOST = 20
"""Snapshots of one folder."""
WRITTEN_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One that was taken. `meters`: how many had been talked to by then; all others were as they were delivered."""

    name: str
    at: str
    meters: int
    rules: Sequence[dict[str, Any]]

    @property
    def described(self) -> dict[str, Any]:
        """For people and programs."""
        return {"name": self.name, "at": self.at, "meters": self.meters, "rules": len(self.rules)}


class Snapshots:
    """Those in the state folder of a process; one is taken or brought back at a time."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._working = asyncio.Lock()

    # --- looking

    def all(self) -> list[Snapshot]:
        """Those that there are, by name. Raises StateUnusable."""
        return [_read(path) for path in sorted(self._folder.glob(f"*{SUFFIX}"))]

    # --- doing

    async def take(self, name: str) -> Snapshot:
        """Keep what all meters are now. NotPossible, StateUnusable."""
        if NAME.fullmatch(name) is None:
            raise NotPossible(f"{name[:60]!r} is no name: small letters, digits and hyphens")
        self._free()
        async with self._working:
            path = self._path(name)
            if path.exists():
                raise NotPossible(f"there is a snapshot {name} already")
            if len(list(self._folder.glob(f"*{SUFFIX}"))) >= MOST:
                raise NotPossible(f"there are {MOST} snapshots already")
            return await self._taken(name, path)

    async def restore(self, name: str) -> Snapshot:
        """Bring all meters back to it. NotThere, NotPossible; StateUnusable, with how far it has come, when the disk takes no more."""
        self._free()
        async with self._working:
            path = self._path(name)
            if not path.exists():
                raise NotThere(f"there is no snapshot {name[:60]!r}")
            found = await asyncio.to_thread(_checked, path)
            self._fleet.make_room()
            await self._bring_all_back(path)
            self._fleet.faults.reset()
            for rule in found.rules:
                self._fleet.faults.set(Rule.parse(rule))
            return found

    def remove(self, name: str) -> None:
        """Forget one. NotThere, NotPossible."""
        self._free()
        path = self._path(name)
        if not path.exists():
            raise NotThere(f"there is no snapshot {name[:60]!r}")
        path.unlink()

    def _free(self) -> None:
        if self._working.locked():
            raise NotPossible("a snapshot is being taken or brought back")

    # --- files

    @property
    def _store(self) -> Store:
        if self._fleet.store is None:
            raise NotPossible("these meters keep nothing")
        return self._fleet.store

    @property
    def _folder(self) -> Path:
        return self._store.directory / FOLDER

    def _path(self, name: str) -> Path:
        if NAME.fullmatch(name) is None:
            raise NotThere(f"there is no snapshot {name[:60]!r}")
        return self._folder / f"{name}{SUFFIX}"

    # --- taking

    async def _taken(self, name: str, path: Path) -> Snapshot:
        store, fleet = self._store, self._fleet
        known = numpy.flatnonzero(store.columns["flags"] & KNOWN)
        rules = [rule.described() for _, rule in fleet.faults.rules]
        about = Snapshot(name, fleet.environment.now().isoformat(), len(known), rules)
        unfinished = path.with_suffix(".new")
        octets = bytearray(frame(json.dumps(about.described | {"rules": rules}).encode()))
        try:
            self._folder.mkdir(exist_ok=True, mode=PRIVATE_DIRECTORY)
            file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, PRIVATE)
            try:
                async for index in self._in_portions(known.tolist()):
                    octets += frame(b"".join(one.encode() for one in changes_of(store, index, stays)))
                    if len(octets) >= WRITTEN_AT_ONCE:
                        await asyncio.to_thread(_write, file, bytes(octets))
                        octets.clear()
                await asyncio.to_thread(_write, file, bytes(octets))
            finally:
                os.close(file)
            unfinished.rename(path)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise StateUnusable(f"{path} can't be written: {error.strerror}") from None
        return about

    # --- bringing back

    async def _bring_all_back(self, path: Path) -> None:
        store = self._store
        left = set(numpy.flatnonzero(store.columns["flags"] & KNOWN).tolist())
        done = 0
        try:
            async for changes in self._in_portions(_meters_in(path)):
                index = self._index_of(changes[0].meter)
                if index is not None:
                    self._bring_back(index, changes)
                    left.discard(index)
                    done += 1
            async for index in self._in_portions(sorted(left)):
                self._bring_back(index, ())
                done += 1
        except StateUnusable as problem:
            raise StateUnusable(f"{done} meters are as they were, and the others are not: {problem}") from None

    def _index_of(self, number: int) -> int | None:
        """Where a meter with this number on disk is; None where it is not in this process."""
        for one in self._store.ranges.values():
            if one.number <= number < one.number + one.count:
                return one.index + number - one.number
        return None

    def _bring_back(self, index: int, changes: Sequence[Change]) -> None:
        """The meter at this index; without changes it was never talked to."""
        store, fleet = self._store, self._fleet
        bring_back(store, index, changes, stays)
        if not changes:
            store.row(index).alive_since = 0
        meter = fleet.live(index)
        meter.begin_anew(memory_of(store, index, fleet.planned), fleet.environment.now())
        fleet.when_live(meter)

    async def _in_portions(self, many: Iterable[T]) -> AsyncIterator[T]:
        """One after the other, with a write and a turn for others now and then."""
        clock = self._fleet.environment.perf_counter
        began = clock()
        for one in many:
            yield one
            if clock() - began >= PORTION_S:
                self._fleet.write()
                await asyncio.sleep(0)
                began = clock()
        self._fleet.write()


def stays(key: AttributeKey) -> bool:
    """Whether it is a key, a password, or a certificate with one."""
    class_id, _, attribute_id = key
    return is_secret(attribute_id) or (class_id, attribute_id) == (SECURITY_SETUP, CERTIFICATES)


def _write(file: int, octets: bytes) -> None:
    left = memoryview(octets)
    while left:
        left = left[os.write(file, left) :]


def _meters_in(path: Path) -> Iterator[list[Change]]:
    """What brings back each meter; a meter that was talked to has one change at least."""
    for payload in islice(frames_of(path), 1, None):
        yield changes_in(payload, path)


def _checked(path: Path) -> Snapshot:
    """A snapshot of which every octet has been looked at. Raises StateUnusable."""
    found = _read(path)
    if sum(1 for _ in _meters_in(path)) != found.meters:
        raise StateUnusable(f"{path} is cut off: it can't be used")
    return found


def _read(path: Path) -> Snapshot:
    """What a file says of itself. Raises StateUnusable."""
    try:
        about = json.loads(next(frames_of(path)))
        for rule in about["rules"]:
            Rule.parse(rule)
        return Snapshot(path.name.removesuffix(SUFFIX), str(about["at"]), int(about["meters"]), about["rules"])
    except (StopIteration, ValueError, KeyError, TypeError, AttributeError):
        raise StateUnusable(f"{path} is no snapshot of this version: remove it") from None
