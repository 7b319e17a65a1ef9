"""Connections to meters as octets: TCP, and UDP by connected sockets. The only place where octets meet a socket.

Every wait has an end: `until` is a time of the event loop's clock. A connection that has ended says so as ConnectionError.
What meters send over a connection of their own is taken from `wrapper`, whether an association is open over it or not.
"""

import asyncio
import socket
from typing import Protocol, cast

from ami_dlms.framing.framing import WrapperPdu
from ami_dlms.framing.wrapper import WrapperFraming, datagrams, decode_datagram
from ami_hes.meters.trace import ApduTrace

_CHUNK = 65536
_KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}  # a dead peer is noticed in two minutes
_FIRST = 64  # octets that are kept to say what a stranger looked like
_MOST_DATAGRAMS = 64  # that wait to be read; more are dropped, as UDP may


class Channel(Protocol):
    """A way to a meter and back, opened by us or by the meter."""

    async def write(self, octets: bytes, until: float) -> None:
        """All of it; TimeoutError when the peer does not take it in time."""

    async def read(self) -> bytes:
        """What comes next; empty at the end."""

    @property
    def closed(self) -> bool:
        """Whether it was given up, by us or by the peer's end."""

    def close(self) -> None:
        """Give it up; never waits."""


class Link:
    """A connection; `peer` is host:port for a person, `transport` its name in events.

    `first` is what the peer sent first, `frames` how many APDUs have come.
    """

    def __init__(
        self, channel: Channel, address: tuple[str, int] | None, transport: str = "tcp", trace: ApduTrace | None = None
    ) -> None:
        self._channel = channel
        self.transport = transport
        self.trace = trace
        self.first = b""
        self.frames = 0
        self.wrapper = WrapperFraming()
        self.host = address[0] if address else "unknown"
        self.peer = f"{address[0]}:{address[1]}" if address else "unknown"

    async def send(self, octets: bytes, until: float) -> None:
        """Write octets."""
        await self._channel.write(octets, until)

    async def receive(self, until: float | None) -> bytes:
        """What comes next, at least one octet; ConnectionError at the end of the connection."""
        async with asyncio.timeout_at(until):
            octets = await self._channel.read()
        if not octets:
            raise ConnectionResetError("the meter closed the connection")
        if len(self.first) < _FIRST:
            self.first += octets[: _FIRST - len(self.first)]
        return octets

    async def next_frame(self, until: float | None) -> WrapperPdu:
        """The next whole frame of the wrapper; DecodeError when it is none."""
        while (pdu := self.wrapper.next_pdu()) is None:
            self.wrapper.receive_data(await self.receive(until))
        self.came(pdu)
        return pdu

    def came(self, pdu: WrapperPdu) -> None:
        """An APDU has come."""
        self.frames += 1
        if self.trace is not None:
            self.trace.response(pdu)

    @property
    def closed(self) -> bool:
        """Whether it was given up, by us or by the peer's end."""
        return self._channel.closed

    def close(self) -> None:
        """Give the connection up; never waits."""
        self._channel.close()


class TcpChannel:
    """A stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        _configure(writer)

    async def write(self, octets: bytes, until: float) -> None:
        self._writer.write(octets)
        if self._writer.transport.get_write_buffer_size():  # the peer does not take it as fast as we write
            async with asyncio.timeout_at(until):
                await self._writer.drain()

    async def read(self) -> bytes:
        return await self._reader.read(_CHUNK)

    @property
    def closed(self) -> bool:
        return self._writer.is_closing()

    def close(self) -> None:
        self._writer.close()


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

    async def write(self, octets: bytes, until: float) -> None:
        for one in datagrams(octets):
            if self._transport is not None:
                self._transport.sendto(one)

    async def read(self) -> bytes:
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


def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, trace: ApduTrace | None) -> Link:
    """The link over a connection that was opened by the other end."""
    return Link(TcpChannel(reader, writer), writer.get_extra_info("peername"), trace=trace)


async def connect(address: tuple[str, int], until: float, *, udp: bool, trace: ApduTrace | None = None) -> Link:
    """A link to an address; OSError, or TimeoutError when nobody accepts it in time."""
    async with asyncio.timeout_at(until):
        if udp:
            loop = asyncio.get_running_loop()
            _, channel = await loop.create_datagram_endpoint(UdpChannel, remote_addr=address)
            return Link(channel, address, "udp", trace)
        reader, writer = await asyncio.open_connection(*address)
    return accepted(reader, writer, trace)


def _configure(writer: asyncio.StreamWriter) -> None:
    """No waiting for more octets (TCP_NODELAY), and a dead peer is noticed even when nothing is sent (keep-alive)."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
