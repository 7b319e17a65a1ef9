"""One TCP connection to a meter, as frames of the DLMS wrapper: the only place where octets meet a socket.

Every wait has an end: `until` is a time of the event loop's clock. A connection that has ended says so as ConnectionError.
"""

import asyncio
import socket
from typing import Self

from ami_dlms.framing import wrapper
from ami_hes.meters.trace import ApduTrace

_CHUNK = 65536
_KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}  # a dead peer is noticed in two minutes
_FIRST = 64  # octets that are kept to say what a stranger looked like


class Link:
    """A connection that was opened by us or by the meter; `peer` is host:port for a person.

    `first` is what it sent first, `frames` how many frames have come.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, trace: ApduTrace | None = None
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._deframer = wrapper.Deframer()
        self.trace = trace
        self.first = b""
        self.frames = 0
        self.host, self.peer = _peer(writer)
        _configure(writer)

    @classmethod
    async def connect(cls, host: str, port: int, until: float, trace: ApduTrace | None = None) -> Self:
        """Open a connection; OSError, or TimeoutError when nobody accepts it in time."""
        async with asyncio.timeout_at(until):
            reader, writer = await asyncio.open_connection(host, port)
        return cls(reader, writer, trace)

    async def send(self, octets: bytes, until: float) -> None:
        """Write framed octets."""
        if self.trace is not None:
            self.trace.request(octets)
        self._writer.write(octets)
        if self._writer.transport.get_write_buffer_size():  # the peer does not take it as fast as we write
            async with asyncio.timeout_at(until):
                await self._writer.drain()

    async def next_frame(self, until: float | None) -> wrapper.WrapperPdu:
        """The next whole frame; ConnectionError at the end of the connection, DecodeError when it is no wrapper frame."""
        while (pdu := self._deframer.next_pdu()) is None:
            async with asyncio.timeout_at(until):
                octets = await self._reader.read(_CHUNK)
            if not octets:
                raise ConnectionResetError("the meter closed the connection")
            if len(self.first) < _FIRST:
                self.first += octets[: _FIRST - len(self.first)]
            self._deframer.receive_data(octets)
        self.frames += 1
        if self.trace is not None:
            self.trace.response(wrapper.encode(pdu))
        return pdu

    @property
    def closed(self) -> bool:
        """Whether it was given up, by us or by the peer's end."""
        return self._writer.is_closing()

    def close(self) -> None:
        """Give the connection up; never waits."""
        self._writer.close()


def _peer(writer: asyncio.StreamWriter) -> tuple[str, str]:
    address = writer.get_extra_info("peername")
    return (address[0], f"{address[0]}:{address[1]}") if address else ("unknown", "unknown")


def _configure(writer: asyncio.StreamWriter) -> None:
    """No waiting for more octets (TCP_NODELAY), and a dead peer is noticed even when nothing is sent (keep-alive)."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
