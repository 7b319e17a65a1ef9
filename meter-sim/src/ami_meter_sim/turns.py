"""The sockets of meters, looked at together: whatever has octets is served in one call of the event loop, and ends with one write.

Strategy: a selector of our own, whose descriptor the loop watches like any other. The loop's own way makes a handle for each socket that has
something, a further turn for what leaves, and a task and three handles for each connection that is accepted: 3 to 8 % of the CPU time of short
dialogues (docs/adr/0017-a-meter-is-a-row.md).
"""

import asyncio
import socket
from collections.abc import Callable
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector, DefaultSelector

from ami_meter_sim.commit import Commit

READABLE, WRITABLE = EVENT_READ, EVENT_WRITE
Ready = Callable[[int], None]
"""Called with READABLE, WRITABLE or both: what its socket is ready for."""


class Turns:
    """All sockets that are watched in one event loop. There is a selector while there are any."""

    __slots__ = ("_commit", "_loop", "_selector", "_watched")

    def __init__(self, commit: Commit) -> None:
        self._commit = commit
        self._loop: asyncio.AbstractEventLoop | None = None
        self._selector: BaseSelector | None = None
        self._watched = 0

    def watch(self, one: socket.socket, events: int, ready: Ready) -> None:
        """From now on `ready` is called when it is readable or writable, whichever of them `events` has."""
        if self._selector is None:
            self._selector, self._loop = DefaultSelector(), asyncio.get_running_loop()
            self._loop.add_reader(_descriptor(self._selector), self._look)
        self._selector.register(one, events, ready)
        self._watched += 1

    def change(self, one: socket.socket, events: int, ready: Ready) -> None:
        """The same for a socket that is watched already."""
        if self._selector is not None:
            self._selector.modify(one, events, ready)

    def forget(self, one: socket.socket) -> None:
        """It is watched no longer; it has to be forgotten before it is closed."""
        if self._selector is None:
            return
        self._selector.unregister(one)
        self._watched -= 1
        if not self._watched and self._loop is not None:
            self._loop.remove_reader(_descriptor(self._selector))
            self._selector.close()
            self._selector = self._loop = None

    def _look(self) -> None:
        """Serve whatever has something now. Who has closed another one's socket in this turn has ended that one: it knows."""
        if self._selector is None:
            return
        self._commit.gather()
        try:
            for key, events in self._selector.select(0):
                key.data(events)
        finally:
            self._commit.end_turn()


def _descriptor(selector: BaseSelector) -> int:
    """Of epoll or kqueue, which can be watched themselves."""
    found: int = getattr(selector, "fileno")()  # noqa: B009 - the base class has none
    return found
