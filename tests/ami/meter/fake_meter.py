"""A meter written by hand, with no code of the project: GET alone, over the wrapper or HDLC on TCP, with oddities by choice.

It is what strangers' meters were seen to do. `Quirks` names the oddities; a `script` may answer any APDU in its own way.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Self

FLAG = b"\x7e"
Place = tuple[int, bytes, int]
"""Class, logical name, attribute."""
Value = bytes | int | Callable[["FakeMeter", bytes], bytes | int | None]
"""An encoded value, a data-access-result, or a function of the meter and the octets of the selection."""


def check_sequence(octets: bytes) -> bytes:
    """CRC-16/X.25, bit by bit."""
    crc = 0xFFFF
    for octet in octets:
        crc ^= octet
        for _ in range(8):
            crc = (crc >> 1) ^ 0x8408 if crc & 1 else crc >> 1
    return (crc ^ 0xFFFF).to_bytes(2, "little")


def obis(text: str) -> bytes:
    medium, _, rest = text.partition("-")
    channel, _, rest = rest.partition(":")
    return bytes((int(medium), int(channel), *map(int, rest.split(".")), 255))


def length(number: int) -> bytes:
    if number < 0x80:
        return bytes((number,))
    return b"\x81" + bytes((number,)) if number < 0x100 else b"\x82" + number.to_bytes(2, "big")


def octets(content: bytes) -> bytes:
    return b"\x09" + length(len(content)) + content


def visible(text: str) -> bytes:
    return b"\x0a" + length(len(text)) + text.encode("ascii")


def structure(*elements: bytes) -> bytes:
    return b"\x02" + length(len(elements)) + b"".join(elements)


def array(*elements: bytes) -> bytes:
    return b"\x01" + length(len(elements)) + b"".join(elements)


def unsigned(number: int) -> bytes:
    return bytes((0x11, number))


def integer(number: int) -> bytes:
    return b"\x0f" + struct.pack("b", number)


def long_unsigned(number: int) -> bytes:
    return b"\x12" + number.to_bytes(2, "big")


def double_long_unsigned(number: int) -> bytes:
    return b"\x06" + number.to_bytes(4, "big")


def delta_unsigned(number: int) -> bytes:
    return bytes((0x1F, number))


def enum(number: int) -> bytes:
    return bytes((0x16, number))


NULL = b"\x00"
HANG_UP = b"hang up"
"""As an answer: the connection is closed."""
REJECTED = bytes.fromhex("6117A109060760857405080101A203020101A305A10302010D")
"""AARE: rejected for ever, authentication failure."""


def date_time(year: int, month: int, day: int, weekday: int, hour: int, minute: int) -> bytes:
    """Local time: no offset, no status."""
    return struct.pack(">HBBBBBBBHB", year, month, day, weekday, hour, minute, 0, 0, 0x8000, 0)


def entry(class_id: int, version: int, name: str, attributes: list[tuple[int, int]]) -> bytes:
    """A line of the object list, with the access mode of each attribute."""
    rights = array(*(structure(integer(number), enum(mode), NULL) for number, mode in attributes))
    return structure(long_unsigned(class_id), unsigned(version), octets(obis(name)), structure(rights, array()))


@dataclass
class Quirks:
    """What is odd about a meter."""

    conformance: bytes = b"\x00\x00\x1e\x5d"
    script: Callable[[FakeMeter, bytes], bytes | None] | None = None
    """Gets each APDU; None: the usual answer; no octets: silence."""
    takes: bytes = b""
    """HDLC: the only destination address that it listens to; none: all."""
    answers_as: bytes = b""
    """HDLC: the source address of its answers; none: as it was called."""
    spoil: Callable[[bytes], bytes] = bytes
    """What happens to the octets of an answer on their way."""
    swapped: bool = True
    """Wrapper: whether the answer's ports are the question's, the other way round."""
    before: bytes = b""
    """Wrapper: an APDU that comes before the next answer."""
    echo: bool = False
    """HDLC: the line gives back what is sent, as those with two wires do."""
    link_refused: bool = False
    """HDLC: DM instead of UA."""


@dataclass(eq=False)
class FakeMeter:
    """One meter; `heard` holds every APDU that it was sent, `frames` every HDLC frame."""

    values: Mapping[Place, Value]
    transport: str = "wrapper"
    quirks: Quirks = field(default_factory=Quirks)
    heard: list[bytes] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)

    # --- the application

    def answer(self, apdu: bytes) -> bytes:
        self.heard.append(apdu)
        if self.quirks.script is not None and (told := self.quirks.script(self, apdu)) is not None:
            return told
        return self.usual(apdu)

    def usual(self, apdu: bytes) -> bytes:
        """What a meter answers that has nothing odd about it."""
        if apdu[0] == 0x60:
            return self._aare()
        if apdu[0] == 0x62:
            return bytes.fromhex("6303800100")
        if apdu[:2] == b"\xc0\x01":
            return self._get(apdu)
        return bytes.fromhex("D80101")

    def _aare(self) -> bytes:
        initiate = b"\x08\x00\x06\x5f\x1f\x04" + self.quirks.conformance + b"\xff\xff\x00\x07"
        body = bytes.fromhex("A109060760857405080101A203020100A305A103020100")
        body += b"\xbe" + bytes((len(initiate) + 2, 0x04, len(initiate))) + initiate
        return b"\x61" + bytes((len(body),)) + body

    def _get(self, apdu: bytes) -> bytes:
        place = int.from_bytes(apdu[3:5], "big"), apdu[5:11], apdu[11]
        value = self.values.get(place, 4)
        if callable(value):
            value = value(self, apdu[12:])
        if value is None:
            return b""
        content = bytes((1, value)) if isinstance(value, int) else b"\x00" + value
        return b"\xc4\x01" + apdu[2:3] + content

    # --- the transports

    def serve(self, near: socket.socket) -> None:
        with near, suppress(ConnectionError, OSError):
            (self._hdlc if self.transport == "hdlc" else self._wrapper)(near)

    def _wrapper(self, near: socket.socket) -> None:
        waiting = b""
        while got := near.recv(4096):
            waiting += got
            while len(waiting) >= 8 and len(waiting) >= 8 + (size := int.from_bytes(waiting[6:8], "big")):
                header, apdu, waiting = waiting[:8], waiting[8 : 8 + size], waiting[8 + size :]
                if not (told := self.answer(apdu)):
                    continue
                if told.endswith(HANG_UP):
                    return
                ports = header[4:6] + header[2:4] if self.quirks.swapped else header[2:6]
                before, self.quirks.before = self.quirks.before, b""
                for one in filter(None, (before, told)):
                    near.sendall(self.quirks.spoil(b"\0\1" + ports + len(one).to_bytes(2, "big") + one))

    def _hdlc(self, near: socket.socket) -> None:
        station = _Station(self, near)
        waiting = b""
        while got := near.recv(4096):
            if self.quirks.echo:
                near.sendall(got)
            waiting += got
            while (flag := waiting.find(FLAG)) >= 0:
                waiting = waiting[flag:]
                if len(waiting) < 3:
                    break
                if waiting[1:2] == FLAG:
                    waiting = waiting[1:]
                    continue
                size = int.from_bytes(waiting[1:3], "big") & 0x7FF
                if len(waiting) < size + 2:
                    break
                frame, waiting = waiting[: size + 2], waiting[size + 1 :]
                self.frames.append(frame)
                station.take(frame)

    @contextmanager
    def running(self) -> Iterator[Self]:
        """On a port of its own (`port`), one thread a connection, until the block is left."""
        with socket.create_server(("127.0.0.1", 0)) as door:
            self.port = int(door.getsockname()[1])
            over = threading.Event()

            def accept() -> None:
                while True:
                    near, _ = door.accept()
                    if over.is_set():
                        near.close()
                        return
                    threading.Thread(target=self.serve, args=(near,), daemon=True).start()

            thread = threading.Thread(target=accept, daemon=True)
            thread.start()
            yield self
            over.set()
            with socket.create_connection(("127.0.0.1", self.port)):
                thread.join(10)


class _Station:
    """The secondary station of one HDLC line, window 1."""

    def __init__(self, meter: FakeMeter, near: socket.socket) -> None:
        self._meter = meter
        self._near = near
        self._sent = self._received = 0
        self._half = b""
        self._left: list[bytes] = []

    def take(self, frame: bytes) -> None:
        middle = _end_of_address(frame, 3)
        end = _end_of_address(frame, middle)
        called, caller, control = frame[3:middle], frame[middle:end], frame[end]
        quirks = self._meter.quirks
        if quirks.takes and called != quirks.takes:
            return
        self._ends = caller, quirks.answers_as or called
        information = frame[end + 3 : -3] if len(frame) > end + 4 else b""
        if control & 0xEF == 0x83:
            self._sent = self._received = 0
            self._left = []
            self._send(0x1F) if quirks.link_refused else self._send(0x73)
        elif control & 0xEF == 0x43:
            self._send(0x73)
        elif control & 1 == 0:
            self._information(frame, end, information)
        elif control & 0x0F == 1:
            self._next()

    def _information(self, frame: bytes, end: int, information: bytes) -> None:
        if frame[end] >> 1 & 7 != self._received:  # it has this one, and nothing to say about it yet
            self._next()
            return
        self._received = (self._received + 1) & 7
        self._half += information
        if frame[1] & 8:
            self._send(0x11 | self._received << 5)
            return
        apdu, self._half = self._half[3:], b""
        if told := self._meter.answer(apdu):
            whole = b"\xe6\xe7\x00" + told
            self._left = [whole[start : start + 128] for start in range(0, len(whole), 128)]
            self._next()

    def _next(self) -> None:
        if not self._left:
            self._send(0x11 | self._received << 5)
            return
        piece = self._left.pop(0)
        self._send(0x10 | self._received << 5 | self._sent << 1, piece, more=bool(self._left))
        self._sent = (self._sent + 1) & 7

    def _send(self, control: int, information: bytes = b"", *, more: bool = False) -> None:
        caller, called = self._ends
        size = 2 + len(caller) + len(called) + 1 + 2 + (len(information) + 2 if information else 0)
        body = (0xA000 | (0x800 if more else 0) | size).to_bytes(2, "big") + caller + called + bytes((control,))
        body += check_sequence(body)
        if information:
            body += information
            body += check_sequence(body)
        self._near.sendall(self._meter.quirks.spoil(FLAG + body + FLAG))


def _end_of_address(frame: bytes, start: int) -> int:
    end = start
    while not frame[end] & 1:
        end += 1
    return end + 1
