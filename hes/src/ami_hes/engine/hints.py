"""What one process has changed in the store, told to the others, which look there: a hint that is lost costs time and nothing else.

It goes by the Events port, so a single process tells itself alone, and takes no notice. What was heard is looked up one after the other, the same thing once
however often it was told meanwhile. After a time in which hints may have been lost everybody looks at everything (`MISSED`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from itertools import count
from uuid import UUID

from ami_hes import events
from ami_hes.engine.ports import MISSED, Events
from ami_hes.store import StoreUnavailable
from ami_process.events import Emit, format_fault

MOST = 10_000
"""Hints that wait, each way. Beyond that somebody looks at everything."""
LONGEST = 200
Look = Callable[[bytes], Awaitable[None]]
"""Takes over from the store what the hint is about. Raises StoreUnavailable."""
LookAtAll = Callable[[], Awaitable[None]]


class Hints:
    """Those of one process; its work has to go on."""

    def __init__(self, told: Events, new_uuid: Callable[[], UUID], emit: Emit) -> None:
        self._events = told
        self._emit = emit
        self._origin = str(new_uuid())
        self._numbers = count()
        self._looks: dict[str, Look] = {}
        self._all: dict[str, LookAtAll] = {}
        self._due: dict[tuple[str, bytes], None] = {}
        self._heard: dict[tuple[str, bytes | None], None] = {}
        self._came = asyncio.Event()
        told.listen(MISSED, lambda _, __: self._missed())

    def give(self, subject: str, about: bytes = b"") -> None:
        """Have the others look at this."""
        if len(self._due) < MOST:
            self._due[subject, about[:LONGEST]] = None
        else:
            self._due = {(one, b""): None for one, _ in self._due} | {(subject, b""): None}
        self._came.set()

    def heed(self, subject: str, look: Look, look_at_all: LookAtAll) -> None:
        """`look` at what others tell of this subject; at all of it where they have not told what, or were not heard."""
        self._looks[subject], self._all[subject] = look, look_at_all
        self._events.listen(subject, partial(self._hear, subject))

    async def work(self) -> None:
        """Until cancelled."""
        while True:
            await self._came.wait()
            self._came.clear()
            while self._due:
                subject, about = next(iter(self._due))
                del self._due[subject, about]
                await self._events.publish(subject, f"{self._origin}/{next(self._numbers)}", about)
            while self._heard:
                subject, heard = next(iter(self._heard))
                del self._heard[subject, heard]
                await self._look(subject, heard)

    def _hear(self, subject: str, event_id: str, about: bytes) -> None:
        if not event_id.startswith(self._origin):
            self._note(subject, about[:LONGEST] or None)

    def _missed(self) -> None:
        for subject in self._looks:
            self._note(subject, None)

    def _note(self, subject: str, about: bytes | None) -> None:
        if len(self._heard) < MOST:
            self._heard[subject, about] = None
        else:
            subjects = {subject} | {one for one, _ in self._heard}
            self._heard = dict.fromkeys((one, None) for one in subjects)
        self._came.set()

    async def _look(self, subject: str, about: bytes | None) -> None:
        try:
            with suppress(StoreUnavailable):  # the store says so itself
                await (self._all[subject]() if about is None else self._looks[subject](about))
        except Exception as problem:  # noqa: BLE001  # reported, with its traceback
            self._emit(events.HintFailed(subject=subject, exception=format_fault(problem)))
