"""Small rows that each have to be committed before their owner may go on: those that wait at once share one transaction.

A commit costs milliseconds and a fleet waits for many at once. Who comes while a transaction runs waits for the next one
and is in it together with all that came meanwhile, so a thousand owners pay a few commits and not a thousand. Where owners can wait,
a transaction waits for more of them, which makes transactions fewer still; an owner that is alone is not kept waiting.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sqlalchemy import Connection

from ami_process.store.database import Database
from ami_process.store.errors import StoreUnavailable

T = TypeVar("T")


@dataclass(slots=True)
class _Group(Generic[T]):
    rows: list[T] = field(default_factory=list)
    enough: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when no further rows are to be waited for."""
    committed: bool = False
    refusal: StoreUnavailable | None = None


class GroupCommit(Generic[T]):
    """`write` puts rows into the database; it has to bear rows that are there already."""

    def __init__(
        self, database: Database, write: Callable[[Connection, Sequence[T]], None], *, gather_s: float = 0.0
    ) -> None:
        """`gather_s`: how long a transaction waits for further rows when there are several, or were in the last one."""
        self._database = database
        self._write = write
        self._gather_s = gather_s
        self._shared = False
        self._group: _Group[T] = _Group()
        self._turn = asyncio.Lock()

    async def add(self, row: T, *, last: bool = False) -> None:
        """Committed when it returns. StoreUnavailable: nothing of it was stored. `last`: no other is on its way."""
        group = self._group
        group.rows.append(row)
        if last:
            group.enough.set()
        async with self._turn:
            if self._group is group:
                await self._gather(group)
                self._group = _Group()
            if not group.committed:
                await self._commit(group)

    async def _gather(self, group: _Group[T]) -> None:
        """Who comes meanwhile is in the same transaction."""
        if self._gather_s and (self._shared or len(group.rows) > 1):
            with suppress(TimeoutError):
                async with asyncio.timeout(self._gather_s):
                    await group.enough.wait()
        self._shared = len(group.rows) > 1

    async def _commit(self, group: _Group[T]) -> None:
        """A store that refuses the first of a group is not asked again for each of the others."""
        if group.refusal is not None:
            raise group.refusal
        try:
            await self._database.transaction(lambda connection: self._write(connection, group.rows))
        except StoreUnavailable as refusal:
            group.refusal = refusal
            raise
        group.committed = True
