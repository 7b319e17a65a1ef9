"""What leaves a meter waits for what it says to be on disk: one write for all that a turn of the event loop has brought about.

Strategy: the answer is computed at once, and only its octets wait. So no object and no session ever awaits the disk, and a
hundred answers of one turn cost one write.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from ami_meter_sim.population.journal import StateUnusable


class Held(Protocol):
    """Who has octets that wait for the write."""

    def leave(self) -> None:
        """The write is done: let them leave."""

    def abandon(self, reason: str) -> None:
        """It has failed: nothing may leave, since nothing of it is true after a restart."""


class Commit:
    """The write of a turn, and who waits for it; `write` raises StateUnusable or OSError when it fails."""

    def __init__(self, write: Callable[[], None] = lambda: None) -> None:
        self._write = write
        self._waiting: list[Held] = []

    def hold(self, held: Held) -> None:
        """Call back after this turn's write."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._end_of_turn)
        self._waiting.append(held)

    def _end_of_turn(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            self._write()
        except (StateUnusable, OSError) as error:
            reason = str(error)
            _each(waiting, lambda held: held.abandon(reason))
        else:
            _each(waiting, lambda held: held.leave())


def _each(waiting: list[Held], what: Callable[[Held], None]) -> None:
    """One after the other; behind one that fails by a fault of ours the others go on in the next turn."""
    left = iter(waiting)
    try:
        for held in left:
            what(held)
    finally:
        if rest := list(left):
            asyncio.get_running_loop().call_soon(_each, rest, what)
