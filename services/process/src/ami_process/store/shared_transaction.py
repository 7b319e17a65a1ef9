"""Small pieces of work that each need an answer out of a commit: those that wait at once share one transaction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection

from ami_process.store.database import Database
from ami_process.store.group_commit import GroupCommit

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Piece:
    work: Callable[[Connection], Any]
    found: Any = None
    refusal: Exception | None = None


class SharedTransaction:
    """A piece that raises one of `refusals` must have changed nothing, and fails alone; anything else fails all of them.

    A piece may be run once more when the task that began the transaction for all is cancelled: what it did before must be harmless.
    """

    def __init__(self, database: Database, refusals: tuple[type[Exception], ...]) -> None:
        self._refusals = refusals
        self._group: GroupCommit[_Piece] = GroupCommit(database, self._run)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns, committed. StoreUnavailable: nothing was stored."""
        piece = _Piece(work)
        await self._group.add(piece)
        if piece.refusal is not None:
            raise piece.refusal
        found: T = piece.found
        return found

    def _run(self, connection: Connection, pieces: Sequence[_Piece]) -> None:
        for piece in pieces:
            try:
                piece.found, piece.refusal = piece.work(connection), None
            except self._refusals as refusal:
                piece.refusal = refusal
