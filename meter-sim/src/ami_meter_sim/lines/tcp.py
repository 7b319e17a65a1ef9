"""Connections of TCP as an asyncio BufferedProtocol: no task, no stream, and no session until the first octets come.

Strategy: one buffer serves all connections, since what was received is taken out of it in the same turn. A Protocol is handed
octets that were received into room for 256 kB, which the C library maps and gives back each time: 15 us a frame, and 3 us this way.
"""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Protocol, cast

from ami_meter_sim.lines.addresses import Behind
from ami_meter_sim.lines.connection import Connection, Service

AT_ONCE = struct.pack("ii", 1, 0)
"""Lingers for no time: the end of the connection is a reset."""


class Keeper(Protocol):
    """Who has opened or accepted a connection."""

    def behind(self, one: "TcpConnection") -> Behind:
        """The meters that it is served by; asked when it says something."""

    def made(self, one: "TcpConnection") -> None:
        """It is there."""

    def gone(self, one: "TcpConnection") -> None:
        """It is no more."""


RECEIVED = memoryview(bytearray(0x10000))
"""What has just been received, by whatever connection."""


class TcpConnection(Connection, asyncio.BufferedProtocol):
    """One connection, opened by either side."""

    __slots__ = ("_does_not_read", "_keeper", "_own_host", "_paused", "transport")

    transport: asyncio.Transport

    def __init__(self, service: Service, keeper: Keeper) -> None:
        super().__init__(service)
        self._keeper = keeper
        self._paused = False
        self._does_not_read = False
        self._own_host: str | None = None

    @property
    def own_host(self) -> str:
        """The address of ours that it was opened to or from."""
        if self._own_host is None:
            self._own_host = str(self.transport.get_extra_info("sockname")[0])
        return self._own_host

    def _behind(self) -> Behind:
        return self._keeper.behind(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._keeper.made(self)

    def get_buffer(self, size_hint: int) -> memoryview:
        return RECEIVED

    def buffer_updated(self, size: int) -> None:
        if self.open:
            self.take(bytes(RECEIVED[:size]))

    def connection_lost(self, error: Exception | None) -> None:
        self.lost()
        self._keeper.gone(self)

    def pause_writing(self) -> None:
        self._does_not_read = True
        self._mind_reading()

    def resume_writing(self) -> None:
        self._does_not_read = False
        self._go_on_if_possible()
        self._mind_reading()

    def hang_up(self) -> None:
        """As `Connection`: a client that does not read would keep its socket for ever, if the rest were still to leave."""
        self.abort()

    def abort(self) -> None:
        """End it at once, whatever is still to be written."""
        self.lost()
        self.transport.abort()

    @property
    def _choked(self) -> bool:
        return self._does_not_read

    def _mind_reading(self) -> None:
        wanted = self.busy or self._does_not_read
        if wanted != self._paused and not self.transport.is_closing():
            self._paused = wanted
            (self.transport.pause_reading if wanted else self.transport.resume_reading)()

    def _write(self, frames: list[bytes]) -> None:
        self.transport.write(frames[0] if len(frames) == 1 else b"".join(frames))

    def _close(self) -> None:
        self.transport.close()

    def _reset(self) -> None:
        with suppress(OSError):
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        self.transport.abort()
