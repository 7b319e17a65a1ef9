"""An accepted connection of TCP, as `asyncio.Transport` is one, without what only others need: no task, no waiting turn, no handle for a frame.

Strategy: what is written leaves at once as far as the system takes it; the rest waits, and who writes too much is told to pause, at asyncio's
own marks. The user hears of the end in a later turn of the loop where it is in the middle of writing or closing.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol

from ami_meter_sim.turns import READABLE, WRITABLE, Turns

HIGH_OCTETS, LOW_OCTETS = 0x10000, 0x4000
"""Of what waits to leave: from the one on its writer should pause, and may go on below the other."""


class User(Protocol):
    """Who speaks through it: an `asyncio.BufferedProtocol`."""

    def get_buffer(self, size_hint: int) -> memoryview:
        """Room for what comes."""

    def buffer_updated(self, size: int) -> None:
        """So much has come."""

    def pause_writing(self) -> None:
        """Too much waits to leave."""

    def resume_writing(self) -> None:
        """There is room again."""

    def connection_lost(self, error: Exception | None) -> None:
        """It is over."""


class Carrier:
    """A connection, from when it was accepted."""

    __slots__ = ("_backlog", "_choked", "_closing", "_ended", "_reading", "_socket", "_turns", "_user", "_watched")

    def __init__(self, accepted: socket.socket, turns: Turns, user: User) -> None:
        accepted.setblocking(False)
        self._socket = accepted
        self._turns = turns
        self._user = user
        self._backlog = bytearray()
        self._reading, self._choked, self._closing, self._ended = True, False, False, False
        self._watched = READABLE
        turns.watch(accepted, READABLE, self._ready)

    def get_extra_info(self, name: str) -> object:
        """Of `sockname`, `peername` and `socket`."""
        if name == "sockname":
            return self._socket.getsockname()
        return self._socket.getpeername() if name == "peername" else self._socket

    def is_closing(self) -> bool:
        """Whether its end has begun."""
        return self._closing

    def write(self, octets: bytes) -> None:
        """Send; what the system does not take now waits."""
        if self._ended:
            return
        if not self._backlog:
            try:
                sent = self._socket.send(octets)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as error:
                self._end(error)
                return
            if sent == len(octets):
                return
            octets = octets[sent:]
        self._backlog += octets
        self._watch()
        if not self._choked and len(self._backlog) > HIGH_OCTETS:
            self._choked = True
            self._user.pause_writing()

    def pause_reading(self) -> None:
        """What comes may wait."""
        self._reading = False
        self._watch()

    def resume_reading(self) -> None:
        """It is taken again."""
        self._reading = True
        self._watch()

    def close(self) -> None:
        """End it when everything has left."""
        if self._closing:
            return
        self._closing = True
        if self._backlog:
            self._watch()
        else:
            self._end(None)

    def abort(self) -> None:
        """End it now."""
        self._backlog.clear()
        self._closing = True
        self._end(None)

    def _watch(self) -> None:
        """Let the socket be watched for what is wanted of it now."""
        wanted = READABLE * (self._reading and not self._closing) | WRITABLE * bool(self._backlog)
        if wanted == self._watched or self._ended:
            return
        if not wanted:
            self._turns.forget(self._socket)
        else:
            (self._turns.change if self._watched else self._turns.watch)(self._socket, wanted, self._ready)
        self._watched = wanted

    def _ready(self, events: int) -> None:
        if events & WRITABLE and self._backlog:
            self._flush()
        if events & READABLE and self._reading and not self._closing:
            self._read()

    def _read(self) -> None:
        try:
            size = self._socket.recv_into(self._user.get_buffer(-1))
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(error)
            return
        if size:
            self._tell(self._user.buffer_updated, size)
        elif self._backlog:
            self.close()
        else:
            self._closing = self._ended = True
            self._gone(None)

    def _tell(self, what: Callable[..., None], *how: int) -> None:
        """Let its user go on; a fault of ours ends this connection and no other."""
        try:
            what(*how)
        except BaseException:
            self.abort()
            raise

    def _flush(self) -> None:
        try:
            sent = self._socket.send(self._backlog)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(error)
            return
        del self._backlog[:sent]
        self._watch()
        if self._choked and len(self._backlog) <= LOW_OCTETS:
            self._choked = False
            self._tell(self._user.resume_writing)
        if self._closing and not self._backlog:
            self._end(None)

    def _end(self, error: OSError | None) -> None:
        """It is over; its user hears of it in the next turn."""
        if not self._ended:
            self._closing = self._ended = True
            self._backlog.clear()
            asyncio.get_running_loop().call_soon(self._gone, error)

    def _gone(self, error: OSError | None) -> None:
        if self._watched:
            self._turns.forget(self._socket)
            self._watched = 0
        # each knows the other: with this both go, and their meter, without the collector
        user, self._user = self._user, NOBODY
        try:
            user.connection_lost(error)
        finally:
            self._socket.close()


class _Nobody:
    """Whose connection is over."""

    def get_buffer(self, size_hint: int) -> memoryview:
        """No room."""
        return memoryview(b"")

    def buffer_updated(self, size: int) -> None:
        """It is over."""

    def pause_writing(self) -> None:
        """It is over."""

    def resume_writing(self) -> None:
        """It is over."""

    def connection_lost(self, error: Exception | None) -> None:
        """It is over."""


NOBODY: User = _Nobody()
