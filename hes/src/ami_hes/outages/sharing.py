"""Work that is long and the same for all who ask for it: done once at a time, however many ask."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Shared(Generic[T]):
    """Who asks while the work is done gets what the next one finds, together with all others who do: never what was looked at before the question."""

    work: Callable[[], Awaitable[T]]
    _alone: asyncio.Lock = field(default_factory=asyncio.Lock)
    _next: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """Raises what the work raises."""
        if self._next is None:
            self._next = asyncio.create_task(self._run())
            self._next.add_done_callback(_looked_at)
        return await asyncio.shield(self._next)  # one who goes away takes it from nobody

    async def _run(self) -> T:
        async with self._alone:
            self._next = None
            return await self.work()


def _looked_at(task: asyncio.Task[T]) -> None:
    """All who have asked may be gone."""
    if not task.cancelled():
        task.exception()
