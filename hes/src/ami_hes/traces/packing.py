"""A recording as octets for the store, without secrets, and those octets as spans again.

The octets are JSON, packed: `{"v": 1, "left_out": ..., "entries": [...]}` with entries of three kinds, times in seconds since the attempt began:
`["b", time, kind, name, peer, transport, end, outcome, text, behind]`, which has within it what stands before the entry number `behind`,
`["p", time, sent, source, destination, octets, clear, hidden, clear_hidden, left_out]`, and `["f", time, sent, [[octets, left_out], ...]]`, the frames of HDLC
that were whole then. Which APDUs are looked into for secrets says the association that they were of; besides those an AARQ with a password or a dedicated key. Frames
that carry such a secret in clear are left out.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ami_dlms.enums import ApduTag
from ami_hes.meters.recording import Begun, Framed, Passed, Recording
from ami_hes.traces.line_frames import FrameCutter, carries_nothing
from ami_trace.form import MOST_OCTETS, ApduRecord, Carrier, Direction, FrameRecord, Kind, Outcome, Span
from ami_trace.striking import without_secrets

_LEVEL = 1
_LLS = bytes.fromhex("60857405080201")
_DEDICATED = re.compile(rb"\xbe.{1,5}\x01\x01", re.DOTALL)
MOST_NAME, MOST_WHY = 1_000, 10_000
_OCTETS, _HIDDEN = 5, 7
"""Where, within the entry of an APDU, stand its octets and what was struck out of them."""


def pack(recording: Recording, **beside: object) -> bytes:
    """Kept so, with what is known beside it; it takes its time, so it is called beside the event loop."""
    packing = _Packing(recording.began)
    entries = [packing.entry(one) for one in recording.read()]
    packing.end_lines()
    value = {"v": 1, "left_out": recording.left_out, "entries": entries} | beside
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), _LEVEL)


@dataclass(slots=True)
class _Line:
    """One direction; `frames` are those of the last entry, to which is added what is left at the end. `is_secret`: something of what is cut came beside a secret in clear."""

    cutter: FrameCutter = field(default_factory=FrameCutter)
    frames: list[object] = field(default_factory=list)
    is_secret: bool = False


@dataclass(slots=True)
class _Packing:
    """Entries one after the other; `in_clear`: the APDU that went last, or the exchange that it is of, has a secret that is not ciphered on the wire."""

    began: float
    in_clear: bool = False
    lines: dict[bool, _Line] = field(default_factory=dict)
    """By direction."""

    def entry(self, one: Begun | Passed | Framed) -> list[object]:
        if isinstance(one, Passed):
            entry = _apdu_entry(one, self.began)
            if one.sent:
                struck = bool(entry[_HIDDEN]) or (bool(one.octets) and not entry[_OCTETS])
                self.in_clear = struck or (one.carries and one.clear is None)
            return entry
        if isinstance(one, Framed):
            return self._frames(one)
        if one.kind == Kind.CONNECTION:
            self.end_lines()
        ended = None if one.ended is None else round(one.ended - self.began, 6)
        head: list[object] = ["b", round(one.at - self.began, 6), one.kind, one.name, one.peer, one.transport]
        return [*head, ended, one.outcome, one.text, one.behind]

    def _frames(self, one: Framed) -> list[object]:
        line = self.lines.setdefault(one.sent, _Line())
        line.is_secret = self.in_clear or (line.is_secret and line.cutter.keeps)
        line.frames = [_frame(octets, line) for octets in line.cutter.take(one.octets)]
        if one.size:
            line.frames.append(["", one.size])
        return ["f", round(one.at - self.began, 6), one.sent, line.frames]

    def end_lines(self) -> None:
        """A connection has ended: what is no frame until now never becomes one."""
        for line in self.lines.values():
            if rest := line.cutter.rest():
                line.frames.append(_frame(rest, line))
        self.lines.clear()


def _frame(octets: bytes, line: _Line) -> list[object]:
    is_left_out = len(octets) > MOST_OCTETS or (line.is_secret and not carries_nothing(octets))
    return ["", len(octets)] if is_left_out else [octets.hex(), 0]


def _apdu_entry(passed: Passed, began: float) -> list[object]:
    octets, clear = passed.octets, passed.clear
    head: list[object] = ["p", round(passed.at - began, 6), passed.sent, passed.source, passed.destination]
    if octets and _may_hold_secrets(passed):
        record = without_secrets(_record(passed), carries=passed.carries)
        return [*head, record.octets, record.clear, record.hidden, record.clear_hidden, record.left_out]
    return [*head, octets.hex(), None if clear is None else clear.hex(), (), (), passed.size]


def _record(passed: Passed) -> ApduRecord:
    return ApduRecord(
        direction=Direction.REQUEST if passed.sent else Direction.RESPONSE,
        source=passed.source,
        destination=passed.destination,
        octets=passed.octets.hex(),
        clear=None if passed.clear is None else passed.clear.hex(),
    )


def _may_hold_secrets(passed: Passed) -> bool:
    if passed.carries:
        return True
    octets, clear = passed.octets, passed.clear
    if octets[0] == ApduTag.AARQ and (_LLS in octets or _DEDICATED.search(octets) is not None):
        return True
    return clear is not None and clear[:1] == bytes((ApduTag.INITIATE_REQUEST,)) and clear[1:2] != b"\0"


_LINES = frozenset({"hdlc", "serial"})
"""Transports that frame by HDLC."""


class Unreadable(Exception):
    """What is kept is no recording of a version that is known here; the text says so."""


@dataclass(slots=True)
class Numbering:
    """Gives spans their numbers."""

    last: int = 0

    def next(self) -> int:
        self.last += 1
        return self.last


@dataclass(slots=True)
class Unpacked:
    """The spans of an attempt below its own, in order, and how many APDUs were left out; `last_at` is the time of the last entry."""

    spans: list[Span]
    left_out: int
    last_at: datetime


@dataclass(slots=True)
class _Reader:
    """Spans of entries one after the other; `open` has those that what comes next may be a part of, each with the entry before which it ended."""

    began_at: datetime
    parent: int
    meter: str
    numbers: Numbering
    spans: list[dict[str, Any]] = field(default_factory=list)
    open: list[tuple[int, int | None]] = field(default_factory=list)
    read: int = 0
    connections: int = 0
    carrier: Carrier = "wrapper"
    last_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.last_at = self.began_at

    def at(self, seconds: float) -> datetime:
        self.last_at = max(self.last_at, self.began_at + timedelta(seconds=seconds))
        return self.began_at + timedelta(seconds=seconds)

    def new(self, kind: str, name: str, seconds: float) -> dict[str, Any]:
        while self.open and self.open[-1][1] is not None and self.open[-1][1] <= self.read:
            self.open.pop()
        span = {
            "id": self.numbers.next(),
            "parent": self.open[-1][0] if self.open else self.parent,
            "kind": Kind(kind),
            "name": name[:MOST_NAME],
            "began_at": self.at(seconds),
            "meter": self.meter,
        }
        self.spans.append(span)
        return span

    def begun(self, seconds: float, kind: str, name: str, peer: str, transport: str, *end: Any) -> None:
        ended, outcome, text, behind = end
        span = self.new(kind, name, seconds)
        span |= {
            "peer": peer or None,
            "transport": transport or None,
            "outcome": Outcome(outcome),
            "text": text[:MOST_WHY],
        }
        if ended is not None:
            span["ended_at"] = self.at(ended)
        if kind == Kind.CONNECTION:
            self.connections += 1
            self.carrier = "hdlc" if transport in _LINES else "wrapper"
        self.open.append((span["id"], behind))

    def apdu(self, seconds: float, sent: bool, *said: Any) -> None:
        source, destination, octets, clear, hidden, clear_hidden, left_out = said
        record = ApduRecord(
            direction=Direction.REQUEST if sent else Direction.RESPONSE,
            source=source,
            destination=destination,
            octets=octets,
            clear=clear,
            hidden=hidden,
            clear_hidden=clear_hidden,
            left_out=left_out,
            connection=self.connections,
            carrier=self.carrier,
        )
        span = self.new(Kind.APDU, name_of(record), seconds)
        span |= {"ended_at": span["began_at"], "apdu": record}

    def frames(self, seconds: float, sent: bool, frames: list[tuple[str, int]]) -> None:
        for octets, left_out in frames:
            record = FrameRecord(
                direction=Direction.REQUEST if sent else Direction.RESPONSE,
                octets=octets,
                left_out=left_out,
                connection=self.connections,
            )
            span = self.new(Kind.FRAME, "frame of HDLC", seconds)
            span |= {"ended_at": span["began_at"], "frame": record}


def unpack(octets: bytes, began_at: datetime, parent: int, meter: str, numbers: Numbering) -> Unpacked:
    """What `pack` wrote, as spans below the one of the number `parent`; raises Unreadable."""
    value = read_packed(octets)
    try:
        reader = _Reader(began_at, parent, meter, numbers)
        work: dict[str, Callable[..., None]] = {"b": reader.begun, "p": reader.apdu, "f": reader.frames}
        for kind, *said in value["entries"]:
            work[kind](*said)
            reader.read += 1
        spans = [Span(**one) for one in reader.spans]
        return Unpacked(spans, value["left_out"], reader.last_at)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as problem:
        raise _unreadable(problem) from None


def read_packed(octets: bytes) -> dict[str, Any]:
    """What `pack` wrote, as it stands; raises Unreadable."""
    try:
        value = json.loads(zlib.decompress(octets))
    except (zlib.error, ValueError) as problem:
        raise _unreadable(problem) from None
    if not isinstance(value, dict):
        raise Unreadable("it can't be read: it is no object")
    return value


def _unreadable(problem: Exception) -> Unreadable:
    return Unreadable(f"it can't be read: {type(problem).__name__}")


def name_of(record: ApduRecord) -> str:
    """The name of an APDU by its first octet, and of what it holds."""
    if not record.octets:
        return "apdu that was left out"
    outer = _word(record.octets[:2])
    return outer if record.clear is None else f"{outer}: {_word(record.clear[:2])}"


def _word(octet: str) -> str:
    tag = int(octet, 16)
    return ApduTag(tag).name.lower().replace("_", "-") if tag in set(ApduTag) else "unknown"
