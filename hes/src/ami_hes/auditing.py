"""What is written to the audit log outside of the transactions of requests: refused attempts, and writes by the REST API.

Nothing waits for a store that is away: an entry that it does not take now is kept in memory, up to a bound, and written later. Refused
attempts cost their sender nothing, so of each principal only the first of a minute are written one by one; the others are counted,
and their number is an entry.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from ami_hes.askers import UNKNOWN
from ami_hes.audit import AuditEntry, What
from ami_hes.store import AuditLog, StoreUnavailable
from ami_process.environment import Environment, real_sleep, real_time

MOST_REFUSED = 20
"""Attempts of one principal in a window that are written one by one."""
WINDOW_S = 60.0
MOST_PRINCIPALS = 200
"""That are counted apart; names come from outside, and all further ones are counted together."""
OTHERS = "others"
MOST_WAITING = 5_000
"""Entries that the store has not taken."""
BATCH = 500
UNAVAILABLE_S = 1.0
LAST_S = 3.0
"""How long the last entries may take when the process stops."""


@dataclass(slots=True)
class _Window:
    """The refused attempts of a principal for a while."""

    began: float
    last: AuditEntry
    written: int = 0
    counted: int = 0


@dataclass(slots=True)
class Auditor:
    """Writes entries, one batch after the other."""

    log: AuditLog
    environment: Environment
    _waiting: deque[AuditEntry] = field(default_factory=deque)
    _came: asyncio.Event = field(default_factory=asyncio.Event)
    _windows: dict[str, _Window] = field(default_factory=dict)
    _lost: int = 0
    _under_way: asyncio.Future[bool] | None = None

    async def write(self, entry: AuditEntry) -> None:
        """Committed when it returns, or waiting where the store is away."""
        try:
            await self.log.append([entry])
        except StoreUnavailable:
            self.note(entry)

    def note(self, entry: AuditEntry) -> None:
        """Have it written soon; where too many wait already it is counted."""
        if len(self._waiting) >= MOST_WAITING:
            self._lost += 1
            return
        self._waiting.append(entry)
        self._came.set()

    def refused(self, entry: AuditEntry) -> None:
        """An attempt of which nothing came; written one by one as long as its principal has few of them."""
        name = entry.principal
        if name not in self._windows and len(self._windows) >= MOST_PRINCIPALS:
            name = OTHERS
        window = self._windows.get(name)
        if window is None:
            window = self._windows[name] = _Window(real_time(), entry)
        window.last = replace(entry, principal=name)
        if window.written < MOST_REFUSED:
            window.written += 1
            self.note(entry)
        else:
            window.counted += 1

    def unread(self, code: str, reason: str) -> None:
        """A message that was not taken, since it can't be read or its sender may not send it."""
        now = self.environment.now()
        entry = AuditEntry(
            what=What.REFUSED, at=now, principal=UNKNOWN.name, by=UNKNOWN.by, outcome=code, reason=reason
        )
        self.refused(entry)

    async def work(self) -> None:
        """Until cancelled; then what waits is written, if the store takes it soon."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._close_windows())
                while True:
                    await self._came.wait()
                    await self._write_batch()
        finally:
            self.tell_counts(0.0)
            await self._write_last()

    async def _close_windows(self) -> None:
        while True:
            await real_sleep(WINDOW_S)
            self.tell_counts(WINDOW_S)

    def tell_counts(self, older_than_s: float) -> None:
        """End the windows that are so old: their numbers become entries."""
        for name, window in list(self._windows.items()):
            if real_time() - window.began < older_than_s:
                continue
            del self._windows[name]
            if window.counted:
                reason = f"more attempts within {WINDOW_S:g} s, not written one by one"
                counts = replace(window.last, what=What.MORE_REFUSED, number=window.counted, reason=reason)
                self.note(replace(counts, at=self.environment.now(), request="", meters=None))

    async def _write_batch(self) -> None:
        batch = self._next_batch()
        if not batch:
            return
        self._under_way = writing = asyncio.ensure_future(self._write(batch))
        if not await asyncio.shield(writing):
            await real_sleep(UNAVAILABLE_S)

    async def _write(self, batch: Sequence[AuditEntry]) -> bool:
        """Whether the store has taken them; else they wait again."""
        try:
            await self.log.append(batch)
        except StoreUnavailable:
            self._waiting.extendleft(reversed(batch))
            self._came.set()
            return False
        return True

    def _next_batch(self) -> Sequence[AuditEntry]:
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        if not self._waiting:
            self._came.clear()
        if self._lost and batch:
            reason = "entries that were lost while the store was away and too many waited"
            batch.append(replace(batch[-1], what=What.MORE_REFUSED, number=self._lost, reason=reason, principal=OTHERS))
            self._lost = 0
        return batch

    async def _write_last(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_S):
                if self._under_way is not None:
                    await self._under_way
                while (batch := self._next_batch()) and await self._write(batch):
                    pass
