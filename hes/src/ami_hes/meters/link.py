"""Connections to meters as octets and frames, over a channel (`ami_hes.meters.channels`).

Every wait has an end: `until` is a time of the event loop's clock. A connection that has ended says so as ConnectionError.
What meters send over a connection of their own is taken from `wrapper`, whether an association is open over it or not.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from ami_dlms.framing.framing import WrapperPdu
from ami_dlms.framing.wrapper import WrapperFraming, encode
from ami_hes.meters.channels import Channel, TcpChannel, UdpChannel
from ami_hes.meters.recording import Recording
from ami_hes.meters.trace import ApduTrace

_FIRST = 64  # octets that are kept to say what a stranger looked like


@dataclass(slots=True)
class Traffic:
    """Over many connections: APDUs that came, and what was sent in one piece, which is an APDU or a frame of HDLC."""

    received: int = 0
    sent: int = 0


class Link:
    """A connection; `peer` is host:port or a device for a person, `transport` its name in events.

    `noted`: where APDUs are noted as long as an exchange lasts that is recorded; `begins` gives such a place when something comes without one. `first` is what the peer sent first, `frames` how many APDUs have come; `traffic` counts them among others.
    """

    def __init__(
        self,
        channel: Channel,
        address: tuple[str, int] | str | None,
        transport: str = "tcp",
        trace: ApduTrace | None = None,
    ) -> None:
        self._channel = channel
        self.transport = transport
        self.trace = trace
        self.noted: Recording | None = None
        self.begins: Callable[[], Recording | None] | None = None
        self.first = b""
        self.frames = 0
        self.traffic = Traffic()
        self.wrapper = WrapperFraming()
        self.host = self.peer = address if isinstance(address, str) else "unknown"
        if isinstance(address, tuple):
            self.host, self.peer = address[0], f"{address[0]}:{address[1]}"

    def send(self, octets: bytes, until: float) -> Coroutine[Any, Any, None] | None:
        """Write octets; a coroutine to be awaited when they are not taken at once."""
        self.traffic.sent += 1
        return self._channel.write(octets, until)

    def offer(self, octets: bytes) -> bool:
        """Write octets at once, or none of them: False when the peer does not take them now."""
        self.traffic.sent += 1
        return self._channel.offer(octets)

    def answer(self, pdu: WrapperPdu, apdu: bytes) -> bool:
        """Send an APDU back to the sender of this one, by the wrapper: at once or not at all, as `offer` does."""
        back = WrapperPdu(pdu.destination, pdu.source, apdu)
        if self.trace is not None:
            self.trace.request(back)
        if self.noted is not None:
            self.noted.passed(back, True)
        return self.offer(encode(back))

    async def receive(self, until: float | None) -> bytes:
        """What comes next, at least one octet; ConnectionError at the end of the connection."""
        octets = await self._channel.read(until)
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
        self.traffic.received += 1
        if self.trace is not None:
            self.trace.response(pdu)
        if (noted := self.noting()) is not None:
            noted.passed(pdu, False)

    def noting(self) -> Recording | None:
        """Where what comes now is noted: by the exchange that is going on, else where `begins` wants to have it."""
        if self.noted is None and self.begins is not None:
            self.noted = self.begins()
        return self.noted

    def deciphered(self, octets: bytes, sent: bool) -> None:
        """What an APDU holds, as the protocol core's ClientConnection says it."""
        if self.noted is not None:
            self.noted.deciphered(octets, sent)

    def keep_alive(self) -> None:
        """This connection is to last: notice when its peer is dead."""
        self._channel.keep_alive()

    @property
    def closed(self) -> bool:
        """Whether it was given up, by us or by the peer's end."""
        return self._channel.closed

    def close(self) -> None:
        """Give the connection up; never waits."""
        self._channel.close()


async def connect(address: tuple[str, int], until: float, *, udp: bool, trace: ApduTrace | None = None) -> Link:
    """A link to an address; OSError, or TimeoutError when it is not accepted in time."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout_at(until):
        if udp:
            _, datagrams = await loop.create_datagram_endpoint(UdpChannel, remote_addr=address)
            return Link(datagrams, address, "udp", trace)
        _, stream = await loop.create_connection(TcpChannel, *address)
    return Link(stream, stream.peer, trace=trace)
