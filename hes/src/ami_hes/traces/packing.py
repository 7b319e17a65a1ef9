"""A recording as octets for the store, without secrets, and those octets as spans again.

The octets are JSON, packed: `{"v": 1, "left_out": ..., "entries": [...]}` with entries of two kinds, times in seconds since the attempt began:
`["b", time, kind, name, peer, transport, end, outcome, text, behind]`, which has within it what stands before the entry number `behind`, and
`["p", time, sent, source, destination, octets, clear, hidden, clear_hidden, left_out]`. Which APDUs are looked into for secrets says the association that they were of; besides
those an AARQ with a password or a dedicated key.
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
from ami_hes.meters.recording import Begun, Passed, Recording
from ami_trace.form import ApduRecord, Direction, Kind, Outcome, Span
from ami_trace.striking import without_secrets

_LEVEL = 1
_LLS = bytes.fromhex("60857405080201")
_DEDICATED = re.compile(rb"\xbe.{1,5}\x01\x01", re.DOTALL)
MOST_NAME, MOST_WHY = 1_000, 10_000


def pack(recording: Recording) -> bytes:
    """Kept so; it takes its time, so it is called beside the event loop."""
    entries = [_entry(one, recording.began) for one in recording.read()]
    value = {"v": 1, "left_out": recording.left_out, "entries": entries}
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), _LEVEL)


def _entry(one: Begun | Passed, began: float) -> list[object]:
    if isinstance(one, Passed):
        return _apdu_entry(one, began)
    ended = None if one.ended is None else round(one.ended - began, 6)
    head: list[object] = ["b", round(one.at - began, 6), one.kind, one.name, one.peer, one.transport]
    return [*head, ended, one.outcome, one.text, one.behind]


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
    last_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.last_at = self.began_at

    def at(self, seconds: float) -> datetime:
        self.last_at = max(self.last_at, self.began_at + timedelta(seconds=seconds))
        return self.began_at + timedelta(seconds=seconds)

    def new(self, kind: str, name: str, seconds: float) -> dict[str, Any]:
        while self.open and self.open[-1][1] is not None and self.open[-1][1] <= self.read:
            self.open.pop()
        self.read += 1
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
        self.connections += kind == Kind.CONNECTION
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
        )
        span = self.new(Kind.APDU, name_of(record), seconds)
        span |= {"ended_at": span["began_at"], "apdu": record}


def unpack(octets: bytes, began_at: datetime, parent: int, meter: str, numbers: Numbering) -> Unpacked:
    """What `pack` wrote, as spans below the one of the number `parent`; raises Unreadable."""
    try:
        value = json.loads(zlib.decompress(octets))
        reader = _Reader(began_at, parent, meter, numbers)
        work: dict[str, Callable[..., None]] = {"b": reader.begun, "p": reader.apdu}
        for kind, *said in value["entries"]:
            work[kind](*said)
        spans = [Span(**one) for one in reader.spans]
        return Unpacked(spans, value["left_out"], reader.last_at)
    except (zlib.error, ValueError, KeyError, TypeError, AttributeError, IndexError) as problem:
        raise Unreadable(f"it can't be read: {type(problem).__name__}") from None


def name_of(record: ApduRecord) -> str:
    """The name of an APDU by its first octet, and of what it holds."""
    if not record.octets:
        return "apdu that was left out"
    outer = _word(record.octets[:2])
    return outer if record.clear is None else f"{outer}: {_word(record.clear[:2])}"


def _word(octet: str) -> str:
    tag = int(octet, 16)
    return ApduTag(tag).name.lower().replace("_", "-") if tag in set(ApduTag) else "unknown"
