"""Sockets to meters: TCP as a stream, UDP by connected sockets. Octets meet a socket here, or a serial port in `serial_port`.

Every wait has an end: `until` is a time of the event loop's clock, None for no end. A head-end waits once in every exchange with
every meter, so channels are protocols of the loop and one timer serves wait after wait: streams, with a timeout of their own
around each read, took a seventh of its CPU time. Both loops send what is written without waiting for more (TCP_NODELAY).
"""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, cast

from ami_dlms.framing.wrapper import datagrams, decode_datagram
from ami_process.environment import real_sleep, real_time, real_timer

_KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}  # a dead peer is noticed in two minutes
_MOST_OCTETS = 2**17  # that wait to be read; then the peer has to wait
MOST_AT_ONCE = 4_096
"""Octets that are read at once. What has come already needs no waiting, so between two such pieces everything else has its round of the
event loop: a peer that sends without end costs the others some milliseconds in each."""
_MOST_DATAGRAMS = 64  # that wait to be read; more are dropped, as UDP may


class Channel(Protocol):
    """A way to a meter and back, opened by us or by the meter."""

    def write(self, octets: bytes, until: float) -> Coroutine[Any, Any, None] | None:
        """All of it: at once, or by the coroutine that is to be awaited then; TimeoutError when the peer does not take it in time."""

    def offer(self, octets: bytes) -> bool:
        """All of it at once, or nothing: False when the peer does not take it now."""

    async def read(self, until: float | None) -> bytes:
        """What comes next; empty at the end. TimeoutError when nothing comes in time. One reader at a time."""

    def keep_alive(self) -> None:
        """Notice a dead peer even when nothing is sent for long, as far as the transport can."""

    @property
    def closed(self) -> bool:
        """Whether it was given up, by us or by the peer's end."""

    def close(self) -> None:
        """Give it up; never waits."""


class Waiting:
    """One task waits until it is woken or its time is over. Nearly every wait is over long before, so the timer is left to run."""

    def __init__(self) -> None:
        self._future: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._until: float | None = None

    async def wait(self, until: float | None) -> None:
        if self._future is not None:
            raise RuntimeError("two wait for the same")
        self._future = asyncio.get_running_loop().create_future()
        self._until = until
        if until is not None and (self._timer is None or until < self._timer.when()):
            self._set_timer(until)
        try:
            await self._future
        finally:
            self._future = None

    def wake(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def stop(self) -> None:
        """Leave no timer behind."""
        self.wake()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self, until: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = real_timer(until, self._ring)

    def _ring(self) -> None:
        """For the wait that set it, or a later one that has more time."""
        self._timer = None
        if self._future is None or self._future.done() or self._until is None:
            return
        if real_time() < self._until:
            self._set_timer(self._until)
        else:
            self._future.set_exception(TimeoutError())


class TcpChannel(asyncio.Protocol):
    """A stream; `connected` is called with it when it is there."""

    def __init__(self, connected: "Callable[[TcpChannel], None] | None" = None) -> None:
        self._connected = connected
        self._transport: asyncio.Transport
        self._reading, self._writing = Waiting(), Waiting()
        self._came = b""
        self._error: Exception | None = None
        self._ended = self._reading_paused = self._writing_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._connected is not None:
            self._connected(self)

    def keep_alive(self) -> None:
        if self.closed:  # its socket is gone with it
            return
        connection: socket.socket = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEP_ALIVE.items():
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def data_received(self, octets: bytes) -> None:
        self._came += octets
        if len(self._came) > _MOST_OCTETS:
            self._reading_paused = True
            self._transport.pause_reading()
        self._reading.wake()

    def eof_received(self) -> bool:
        self._ended = True
        self._reading.wake()
        return True  # the holder closes it

    def connection_lost(self, error: Exception | None) -> None:
        self._error, self._ended = error, True
        self._reading.stop()
        self._writing.stop()

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._writing.wake()

    def write(self, octets: bytes, until: float) -> Coroutine[Any, Any, None] | None:
        self._transport.write(octets)
        return self._until_taken(until) if self._writing_paused and not self._ended else None

    async def _until_taken(self, until: float) -> None:
        while self._writing_paused and not self._ended:
            await self._writing.wait(until)

    def offer(self, octets: bytes) -> bool:
        takes = not (self._writing_paused or self._ended or self._transport.is_closing())
        if takes:
            self._transport.write(octets)
        return takes

    async def read(self, until: float | None) -> bytes:
        if self._came:
            await real_sleep(0)
        while not self._came and not self._ended:
            await self._reading.wait(until)
        if self._came:
            octets, self._came = self._came[:MOST_AT_ONCE], self._came[MOST_AT_ONCE:]
            if self._reading_paused and len(self._came) < _MOST_OCTETS:
                self._reading_paused = False
                self._transport.resume_reading()
            return octets
        if self._error is not None:
            raise self._error
        return b""

    @property
    def peer(self) -> tuple[str, int] | None:
        """Address and port of the other end, where they are known."""
        address = self._transport.get_extra_info("peername")
        return None if address is None else address[:2]

    @property
    def closed(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self._transport.close()


class UdpChannel(asyncio.DatagramProtocol):
    """Datagrams to and from one address, an APDU in each; one that is cut short is refused, since no rest ever comes."""

    def __init__(self) -> None:
        self._came: asyncio.Queue[bytes | Exception] = asyncio.Queue(_MOST_DATAGRAMS)
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, octets: bytes, address: object) -> None:
        self._take(octets)

    def error_received(self, error: Exception) -> None:
        self._take(error)

    def _take(self, what: bytes | Exception) -> None:
        if not self._came.full():
            self._came.put_nowait(what)

    def write(self, octets: bytes, until: float) -> None:
        for one in datagrams(octets):
            if self._transport is not None:
                self._transport.sendto(one)

    def offer(self, octets: bytes) -> bool:
        if self._transport is None or self._transport.is_closing():
            return False
        for one in datagrams(octets):
            self._transport.sendto(one)
        return True

    def keep_alive(self) -> None:
        return

    async def read(self, until: float | None) -> bytes:
        if not self._came.empty():
            await real_sleep(0)
        async with asyncio.timeout_at(until):
            came = await self._came.get()
        if isinstance(came, Exception):
            raise came
        decode_datagram(came)
        return came

    @property
    def closed(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
