"""Pushes that want to be confirmed: one socket for an attempt, over TCP or UDP, which waits for the receiver's word after the last frame.

A receiver that says nothing in time, or hangs up, has not confirmed: that is a failure like any other, and a retry is another attempt
with octets of its own.
"""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ami_dlms.framing.framing import WrapperPdu
from ami_dlms.framing.hdlc_framing import HdlcPushReader
from ami_dlms.framing.wrapper import WrapperFraming, decode_datagram

LARGEST = 0x10000
ACCEPTED_OCTETS = 0x20000
"""All that a receiver may say before it has confirmed."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a push waits for. `takes` says whether an APDU of the receiver confirms it, and notes in the meter that it does."""

    within_s: float
    takes: Callable[[bytes], bool]


class Unconfirmed(Exception):
    """The receiver has not confirmed; the text says how it came to that."""


class ApduFinder(Protocol):
    """Finds APDUs in what comes."""

    def receive_data(self, octets: bytes) -> None:
        """Take octets."""

    def next_pdu(self) -> object:
        """The next APDU, None until more octets come. DecodeError."""


class DatagramReader:
    """A wrapper PDU in each datagram."""

    def __init__(self) -> None:
        self._datagram = b""

    def receive_data(self, octets: bytes) -> None:
        """Take a datagram."""
        self._datagram = octets

    def next_pdu(self) -> WrapperPdu | None:
        """Its PDU. DecodeError."""
        datagram, self._datagram = self._datagram, b""
        return decode_datagram(datagram) if datagram else None


READERS: dict[str, Callable[[], ApduFinder]] = {"tcp": WrapperFraming, "udp": DatagramReader, "hdlc": HdlcPushReader}
"""By the transport of a push."""


async def confirmed(near: socket.socket, transport: str, wanted: Confirmation) -> None:
    """Return when the receiver has confirmed. Raises Unconfirmed, OSError, or DecodeError for what is no framing."""
    try:
        async with asyncio.timeout(wanted.within_s):
            await _confirmed(near, READERS[transport](), wanted)
    except TimeoutError:
        raise Unconfirmed(f"not confirmed within {wanted.within_s:g} s") from None


async def _confirmed(near: socket.socket, reader: ApduFinder, wanted: Confirmation) -> None:
    loop, room = asyncio.get_running_loop(), ACCEPTED_OCTETS
    while room > 0:
        octets = await loop.sock_recv(near, LARGEST)
        if not octets:
            raise Unconfirmed("the receiver hung up without a confirmation")
        room -= len(octets)
        reader.receive_data(octets)
        while (pdu := reader.next_pdu()) is not None:
            if isinstance(pdu, WrapperPdu) and wanted.takes(pdu.apdu):
                return
    raise Unconfirmed(f"the receiver has said {ACCEPTED_OCTETS} octets, and no confirmation among them")
