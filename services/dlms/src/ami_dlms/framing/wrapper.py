"""The wrapper of TCP and UDP (IEC 62056-4-7): version, source and destination wrapper port, length, then the APDU.

On TCP the octets of one or many PDUs arrive cut anywhere; `Deframer` puts them together again. A datagram of UDP is
exactly one PDU. A stream whose header is wrong cannot be found back into, so the deframer then refuses for good.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from struct import error as StructError
from typing import NoReturn

from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.framing.framing import WrapperPdu

__all__ = ["Deframer", "WrapperFraming", "WrapperPdu", "datagrams", "decode_datagram", "encode"]

VERSION = 1
HEADER_SIZE = 8
MAX_APDU = 0xFFFF
_HEADER = Struct(">HHHH")
_new_tuple = tuple.__new__


def encode(pdu: WrapperPdu) -> bytes:
    """Header and APDU; LocalError when a port or the length does not fit."""
    return _wrap(*pdu)


def _wrap(source: int, destination: int, octets: bytes) -> bytes:
    size = len(octets)
    if not 0 < size <= MAX_APDU:
        raise LocalError(f"a wrapper PDU holds 1 to {MAX_APDU} octets, not {size}")
    try:
        return _HEADER.pack(VERSION, source, destination, size) + octets
    except StructError:
        raise LocalError("a wrapper port is a number of 16 bits") from None


def decode_datagram(octets: bytes) -> WrapperPdu:
    """The one PDU of a datagram; DecodeError when it is cut short or has octets left over."""
    if len(octets) < HEADER_SIZE:
        raise DecodeError(f"a header of {HEADER_SIZE} octets", f"{len(octets)} octets")
    version, source, destination, size = _HEADER.unpack_from(octets)
    if version != VERSION or not size:
        raise _wrong_header(version, size, MAX_APDU)
    if len(octets) != HEADER_SIZE + size:
        raise DecodeError(f"{size} octets of APDU", f"{len(octets) - HEADER_SIZE} octets", HEADER_SIZE, "length")
    return WrapperPdu(source, destination, octets[HEADER_SIZE:])


def _wrong_header(version: int, size: int, max_apdu: int) -> DecodeError:
    if version != VERSION:
        return DecodeError(f"version {VERSION}", str(version), 0, "version")
    return DecodeError(f"a length of 1 to {max_apdu}", str(size), 6, "length")


def datagrams(octets: bytes) -> Iterator[bytes]:
    """Whole PDUs one after the other as the datagrams that carry them."""
    frames = Deframer()
    frames.receive_data(octets)
    while (pdu := frames.next_pdu()) is not None:
        yield encode(pdu)


class Deframer:
    """Collects the octets of one TCP direction; memory is bounded by the largest APDU and one read."""

    __slots__ = ("_buffer", "_failure", "_max_apdu", "_offset")

    def __init__(self, max_apdu: int = MAX_APDU) -> None:
        self._buffer: bytes | bytearray = b""
        self._offset = 0
        self._max_apdu = max_apdu
        self._failure: DecodeError | None = None

    def receive_data(self, octets: bytes) -> None:
        """Take what arrived, however it was cut."""
        if self._offset == len(self._buffer):
            self._buffer = octets if type(octets) is bytes else bytes(octets)
        else:
            self._buffer = self._left_over()
            self._buffer += octets
        self._offset = 0

    def _left_over(self) -> bytearray:
        """What no PDU has been made of yet, ready to grow."""
        if isinstance(self._buffer, bytearray):
            del self._buffer[: self._offset]
            return self._buffer
        return bytearray(self._buffer[self._offset :])

    def next_pdu(self) -> WrapperPdu | None:
        """The next whole PDU, or None until more octets come; DecodeError for a wrong header, now and ever after."""
        if self._failure is not None:
            raise self._failure
        buffer, offset = self._buffer, self._offset
        there = len(buffer)
        if there - offset < HEADER_SIZE:
            return None
        version, source, destination, size = _HEADER.unpack_from(buffer, offset)
        if version != VERSION or not 0 < size <= self._max_apdu:
            self._fail(version, size)
        start = offset + HEADER_SIZE
        end = start + size
        if there < end:
            return None
        self._offset = end
        octets = buffer[start:end]
        return _new_tuple(WrapperPdu, (source, destination, octets if type(octets) is bytes else bytes(octets)))

    def _fail(self, version: int, size: int) -> NoReturn:
        self._failure = _wrong_header(version, size, self._max_apdu)
        self._buffer, self._offset = b"", 0
        raise self._failure

    @property
    def pending(self) -> int:
        """Octets received that no PDU has been made of yet."""
        return len(self._buffer) - self._offset


class WrapperFraming(Deframer):
    """The wrapper as a Framing: it has nothing to say of its own."""

    __slots__ = ()

    def encode(self, source: int, destination: int, *apdus: bytes) -> bytes:
        """Each with its header."""
        if len(apdus) == 1:
            return _wrap(source, destination, apdus[0])
        return b"".join([_wrap(source, destination, octets) for octets in apdus])

    def pass_turn(self, source: int, destination: int) -> None:
        """Either end may send at any time."""

    def data_to_send(self) -> bytes:
        """Never anything."""
        return b""
