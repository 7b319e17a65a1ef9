"""Callers that no entry of the registry names: counted and kept, so that somebody can look at them and take them in.

Nothing that such a caller says is proved. So their number is bounded: the one that was heard longest ago goes, of the host that has
too many of them, else of all. They are written soon after they are heard, many at once; what a store that is away doesn't take is
written when it is back.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from ami_hes.events import Quarantined, QuarantineFailed
from ami_hes.meters.allowance import Allowance
from ami_hes.store import QuarantineStore, StoredCaller, StoreUnavailable
from ami_process.environment import Environment, real_sleep
from ami_process.events import format_fault
from ami_process.sockets import counted_address

MOST_CALLERS = 1_000
MOST_PER_HOST = 100
RETRY_S = 1.0
TOLD_PER_HOST, TOLD_IN_ALL, TOLD_WINDOW_S = 100, 1_000, 60.0
"""New callers that are events of this process in a minute: names cost nothing; all that are kept can be listed."""


class Quarantine:
    """The callers by name. `start` before the first use, `stop` at the end."""

    def __init__(self, store: QuarantineStore | None, environment: Environment, *, shared: bool = False) -> None:
        """Without a store they are known in this life of the process alone; `shared`: others write into it as well."""
        self._store = store
        self._shared = shared
        self._environment = environment
        self._callers: OrderedDict[str, StoredCaller] = OrderedDict()
        self._of_host: dict[str, OrderedDict[str, None]] = {}
        """Their names by host, in the same order: a flood of names is not to be gone through for each of them."""
        self._unwritten: set[str] = set()
        self._written: set[str] = set()
        """What the store has; only of these it has to be told that they are forgotten."""
        self._heard = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self._told = Allowance(TOLD_PER_HOST, TOLD_IN_ALL, TOLD_WINDOW_S)
        self._failing = False
        """Whether a fault was reported since they were last written."""

    async def start(self) -> None:
        """Know what earlier lives have kept. Raises StoreUnavailable."""
        if self._store is not None:
            for one in await self._store.load():
                self._put(one)
            self._written = set(self._callers)
            self._writing = asyncio.create_task(self._write())

    async def look(self) -> None:
        """Take over what other processes have written of callers, and forget whom they have forgotten. Raises StoreUnavailable."""
        if self._store is None or not self._shared:
            return
        there = {one.name: one for one in await self._store.load()}
        for name in [name for name in self._written if name not in there and name not in self._unwritten]:
            self._take(name)
            self._written.discard(name)
        for one in there.values():
            known = self._callers.get(one.name)
            if one.name not in self._unwritten and (known is None or known.last_seen_at < one.last_seen_at):
                self._take(one.name)
                self._put(one)
                self._written.add(one.name)

    async def stop(self) -> None:
        """Write what is not written, if the store takes it."""
        if self._writing is None:
            return
        self._writing.cancel()
        await asyncio.wait([self._writing])
        try:
            await self._flush()
        except StoreUnavailable:
            return  # it calls again
        except Exception as problem:  # noqa: BLE001  # reported, and no reason not to stop
            self._failed(problem)

    def note(self, name: str, system_title: bytes | None, peer: str) -> None:
        """A caller gave this name from this host and port, or only a system title."""
        now, title = self._environment.now(), None if system_title is None else system_title.hex()
        name = name or title or ""
        known = self._take(name)
        if known is None:
            if not name:
                return
            self._make_room(peer)
            known = StoredCaller(name, title, peer, now, now, 0)
            if self._told.takes(_host(peer)):
                self._environment.emit(Quarantined(caller=name, peer=peer))
        title = title or known.system_title
        self._put(replace(known, system_title=title, address=peer, last_seen_at=now, calls=known.calls + 1))
        self._mark(name)

    def callers(self, *, but: Callable[[StoredCaller], bool]) -> list[StoredCaller]:
        """Who was heard last first; those that are registered meanwhile (`but`) are forgotten."""
        for one in [one for one in self._callers.values() if but(one)]:
            self.forget(one.name)
        return list(reversed(self._callers.values()))

    def find(self, name: str) -> StoredCaller | None:
        return self._callers.get(name)

    def forget(self, name: str) -> StoredCaller | None:
        """It is not there any more, until it calls again; None where it is not."""
        found = self._take(name)
        if name in self._written:
            self._mark(name)
        else:
            self._unwritten.discard(name)
        return found

    def _put(self, one: StoredCaller) -> None:
        self._callers[one.name] = one
        self._of_host.setdefault(_host(one.address), OrderedDict())[one.name] = None

    def _take(self, name: str) -> StoredCaller | None:
        found = self._callers.pop(name, None)
        if found is not None:
            names = self._of_host[_host(found.address)]
            del names[name]
            if not names:
                del self._of_host[_host(found.address)]
        return found

    def _mark(self, name: str) -> None:
        self._unwritten.add(name)
        self._heard.set()

    def _make_room(self, peer: str) -> None:
        of_host = self._of_host.get(_host(peer))
        if of_host is not None and len(of_host) >= MOST_PER_HOST:
            self.forget(next(iter(of_host)))
        elif len(self._callers) >= MOST_CALLERS:
            self.forget(next(iter(self._callers)))

    async def _write(self) -> None:
        while True:
            await self._heard.wait()
            try:
                await self._flush()
                self._failing = False
            except StoreUnavailable:
                await real_sleep(RETRY_S)
            except Exception as problem:  # noqa: BLE001  # reported, with its traceback
                self._failed(problem)
                await real_sleep(RETRY_S)

    def _failed(self, problem: Exception) -> None:
        if not self._failing:
            self._environment.emit(QuarantineFailed(exception=format_fault(problem)))
        self._failing = True

    async def _flush(self) -> None:
        self._heard.clear()
        if self._store is None or not (names := list(self._unwritten)):
            return
        self._unwritten.clear()
        callers = [self._callers[name] for name in names if name in self._callers]
        forgotten = [name for name in names if name not in self._callers]
        new = {one.name for one in callers} - self._written
        self._written |= new  # now, since one may be forgotten meanwhile
        try:
            await self._store.keep(callers, forgotten)
        except BaseException:
            self._written -= new
            self._unwritten.update(name for name in names if name in self._callers or name in self._written)
            self._heard.set()
            raise
        self._written.difference_update(name for name in forgotten if name not in self._callers)


def _host(peer: str) -> str:
    return counted_address(peer.rpartition(":")[0].strip("[]"))
