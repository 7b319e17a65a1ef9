"""The journal: every change that outlives the process, as records in frames that are appended before an answer leaves.

A frame is its length and CRC-32 (4 octets each, big-endian) and the records of one turn of the event loop. Strategy: changes
are added while requests are worked on, `write` appends them all with one system call, and what waits for them leaves
afterwards. That survives the death of the process at any instant; a power cut of the machine may cost the last writes. Files
are cut off at `SEGMENT_OCTETS`, and a file that is in the store as a whole goes.
"""

import os
import struct
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol
from zlib import crc32

SEGMENT_OCTETS = 16 * 2**20
FRAME_OCTETS = 64 * 2**20
"""A longer frame is not ours."""
MOST_PENDING_OCTETS = 32 * 2**20
"""Of records that wait for a disk which takes none; beyond that nothing is changed any more."""
ROOM_OCTETS = 0x4000
"""Kept free for what a hand on one meter changes. Zeros behind the last frame are none of ours, and read as its end."""
SUFFIX = ".journal"
_HEADER = struct.Struct(">II")
_CELL = struct.Struct(">BIBq")
_KEPT = struct.Struct(">BIH6sbi")
_HAPPENED = struct.Struct(">BIBQq6sqI")
_FORGET = struct.Struct(">BIB6sQ")
CELL, KEPT, HAPPENED, FORGET = 1, 2, 3, 4
ABSENT = -1
NO_SOURCE = bytes(6)


class StateUnusable(Exception):
    """What meters have to keep can't be kept or read; the text says which file and what to do."""


class Cell(NamedTuple):
    """A lasting field of a row has another value."""

    meter: int
    column: int
    value: int

    def encode(self) -> bytes:
        return _CELL.pack(CELL, *self)


class KeptAttribute(NamedTuple):
    """An attribute was written or changed; `content` is its encoded value, None for the model's own."""

    meter: int
    class_id: int
    obis: bytes
    attribute_id: int
    content: bytes | None

    def encode(self) -> bytes:
        length = ABSENT if self.content is None else len(self.content)
        return _KEPT.pack(KEPT, self.meter, self.class_id, self.obis, self.attribute_id, length) + (self.content or b"")


class Happened(NamedTuple):
    """Something happened to a meter: its `n`th record, `at` microseconds since the epoch."""

    meter: int
    kind: int
    n: int
    at: int
    source: bytes
    number: int
    detail: bytes

    def encode(self) -> bytes:
        start = self.meter, self.kind, self.n, self.at, self.source, self.number
        return _HAPPENED.pack(HAPPENED, *start, len(self.detail)) + self.detail


class Forget(NamedTuple):
    """Records of this kind and source up to the `n`th are not needed any more."""

    meter: int
    kind: int
    source: bytes
    n: int

    def encode(self) -> bytes:
        return _FORGET.pack(FORGET, *self)


Change = Cell | KeptAttribute | Happened | Forget


class Sink(Protocol):
    """Where changes go."""

    def add(self, change: Change) -> None:
        """Note a change; it is on disk before an answer that follows from it leaves."""


def decode(payload: bytes) -> Iterator[Change]:
    """The records of a frame. ValueError for anything else."""
    place = 0
    try:
        while place < len(payload):
            match payload[place]:
                case 1:
                    yield Cell(*_CELL.unpack_from(payload, place)[1:])
                    place += _CELL.size
                case 2:
                    _, meter, class_id, obis, attribute_id, length = _KEPT.unpack_from(payload, place)
                    place += _KEPT.size
                    content = None if length == ABSENT else _taken(payload, place, length)
                    place += 0 if content is None else length
                    yield KeptAttribute(meter, class_id, obis, attribute_id, content)
                case 3:
                    _, meter, kind, n, at, source, number, length = _HAPPENED.unpack_from(payload, place)
                    place += _HAPPENED.size
                    yield Happened(meter, kind, n, at, source, number, _taken(payload, place, length))
                    place += length
                case 4:
                    yield Forget(*_FORGET.unpack_from(payload, place)[1:])
                    place += _FORGET.size
                case unknown:
                    raise ValueError(f"no record begins with {unknown}")
    except struct.error:
        raise ValueError("a record is cut off") from None


def _taken(payload: bytes, place: int, length: int) -> bytes:
    if not 0 <= length <= len(payload) - place:
        raise ValueError("a record is cut off")
    return payload[place : place + length]


def frame(payload: bytes) -> bytes:
    """The octets of one frame."""
    return _HEADER.pack(len(payload), crc32(payload)) + payload


def read_frames(read: Callable[[int, int], bytes], start: int, end: int, name: str) -> Iterator[tuple[int, bytes]]:
    """Payloads with the place behind each, from `start` on; ends before a frame that was torn when its writer died.

    A power cut may leave zeros where the end of a file was.
    `read` gives that many octets from a place on. Raises StateUnusable for octets in the middle that can't be a frame.
    """
    place = start
    while place < end:
        header = read(_HEADER.size, place)
        length, checksum = _HEADER.unpack(header) if len(header) == _HEADER.size else (0, 0)
        after = place + _HEADER.size + length
        payload = read(length, place + _HEADER.size) if 0 < length <= FRAME_OCTETS and after <= end else b""
        if not payload or crc32(payload) != checksum:
            if after < end and any(read(min(end - after, FRAME_OCTETS), after)):
                raise StateUnusable(
                    f"{name} is damaged at octet {place}: mend it, or remove it and give its meters new keys"
                )
            return
        yield after, payload
        place = after


@dataclass(slots=True)
class JournalFile:
    """One file of the journal. `end`: how many octets of it are whole frames; `stored`: how many of these are in the store."""

    path: Path
    file: int
    end: int = 0
    stored: int = 0
    closed: bool = False

    def frames(self, upto: int) -> Iterator[tuple[int, bytes]]:
        """What is not in the store yet."""
        return read_frames(lambda count, at: os.pread(self.file, count, at), self.stored, upto, str(self.path))


class Journal:
    """Appends to the newest of `segments`. Raises StateUnusable when a file can't be made."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._name = name
        self._made = 0
        self._pending: list[bytes] = []
        self._pending_octets = 0
        self.failed: str | None = None
        """Why the last write failed, if it did."""
        self.full: str | None = None
        """Why no more may be added, if so."""
        self.segments: deque[JournalFile] = deque()
        self._begin_segment()

    @property
    def pending(self) -> bool:
        """Whether there are changes that are not on disk."""
        return bool(self._pending)

    def add(self, change: Change) -> None:
        """As `Sink`. Raises StateUnusable when too much waits for the disk already."""
        if self.full is not None or (self.failed is not None and self._pending_octets >= MOST_PENDING_OCTETS):
            raise StateUnusable(self.full or self.failed)
        record = change.encode()
        self._pending.append(record)
        self._pending_octets += len(record)

    def check(self) -> None:
        """Raises StateUnusable while the disk takes nothing: what can't be kept is not to be begun."""
        if self.full is not None:
            raise StateUnusable(self.full)
        if self.failed is not None:
            self.write()

    def make_room(self) -> None:
        """Try the disk before something is begun: room behind the last frame, which the next one overwrites. Raises StateUnusable."""
        self.check()
        segment = self.segments[-1]
        try:
            self._append(segment, bytes(ROOM_OCTETS))
        except OSError as error:
            raise StateUnusable(f"{segment.path} can't be written: {error.strerror}") from None

    def write(self) -> None:
        """All changes so far, with one system call. Raises StateUnusable; they then wait for the next time."""
        if not self._pending:
            return
        segment = self.segments[-1]
        octets = frame(b"".join(self._pending))
        try:
            self._append(segment, octets)
        except OSError as error:
            self.failed = f"{segment.path} can't be written: {error.strerror}"
            raise StateUnusable(self.failed) from None
        self.failed = None
        self._pending.clear()
        self._pending_octets = 0
        segment.end += len(octets)
        if segment.end >= SEGMENT_OCTETS:
            with suppress(StateUnusable):  # then this one goes on
                self._begin_segment()
                segment.closed = True

    def _append(self, segment: JournalFile, octets: bytes) -> None:
        written = os.pwrite(segment.file, octets, segment.end)
        if written != len(octets):  # a disk that is full: what was begun is overwritten by the next try
            raise OSError(0, "there is no room for it")

    def close(self) -> None:
        """Give the files up as they are."""
        while self.segments:
            os.close(self.segments.popleft().file)

    def _begin_segment(self) -> None:
        path = self._directory / f"{self._name}-{self._made:06}{SUFFIX}"
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateUnusable(f"{path} can't be made: {error.strerror}") from None
        self._made += 1
        self.segments.append(JournalFile(path, file))
