"""A recording as octets for the store, without secrets, and those octets as spans again.

The octets are JSON, packed: `{"v": 1, "left_out": ..., "entries": [...]}` with entries of three kinds, times in seconds since the attempt began:
`["b", time, number, kind, name, peer, transport]`, `["e", time, number, outcome, text]` and `["p", time, sent, source, destination,
octets, clear, hidden, clear_hidden, left_out]`. Which APDUs are looked into for secrets says the association that they were of; besides
those an AARQ with a password or a dedicated key.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ami_dlms.enums import ApduTag
from ami_hes.meters.recording import Begun, Deciphered, Ended, Passed, Recording
from ami_trace.form import ApduRecord, Direction, Kind, Outcome, Span
from ami_trace.striking import without_secrets

_LEVEL = 1
_LLS = bytes.fromhex("60857405080201")
_DEDICATED = re.compile(rb"\xbe.{1,5}\x01\x01", re.DOTALL)
MOST_NAME, MOST_WHY = 1_000, 10_000


def pack(recording: Recording) -> bytes:
    """Kept so; it takes its time, so it is called beside the event loop."""
    entries = [_entry(one, recording.began) for one in _joined(recording.entries)]
    value = {"v": 1, "left_out": recording.left_out, "entries": entries}
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), _LEVEL)


@dataclass(slots=True)
class _Apdu:
    passed: Passed
    clear: bytes | None = None


def _joined(entries: list[Any]) -> Iterator[Begun | Ended | _Apdu]:
    """What was deciphered goes to the APDU that it is of: the next one that goes, the last one that came."""
    going: bytes | None = None
    joined: list[Begun | Ended | _Apdu] = []
    came: _Apdu | None = None
    for one in entries:
        if isinstance(one, Deciphered) and one.sent:
            going = one.octets
        elif isinstance(one, Deciphered):
            if came is not None:
                came.clear = one.octets
        elif isinstance(one, Passed):
            apdu = _Apdu(one, going if one.sent else None)
            if one.sent:
                going = None
            else:
                came = apdu
            joined.append(apdu)
        else:
            joined.append(one)
    return iter(joined)


def _entry(one: Begun | Ended | _Apdu, began: float) -> list[object]:
    match one:
        case Begun(at, number, kind, name, peer, transport):
            return ["b", round(at - began, 6), number, kind, name, peer, transport]
        case Ended(at, number, outcome, text):
            return ["e", round(at - began, 6), number, outcome, text]
        case _Apdu(passed, clear):
            return _apdu_entry(passed, clear, began)


def _apdu_entry(passed: Passed, clear: bytes | None, began: float) -> list[object]:
    octets = passed.octets
    if octets is None:
        record = _record(passed, b"", None, passed.size)
    elif _may_hold_secrets(passed, octets, clear):
        record = without_secrets(_record(passed, octets, clear, 0), carries=passed.carries)
    else:
        record = None
    head: list[object] = ["p", round(passed.at - began, 6), passed.sent, passed.source, passed.destination]
    if record is None:
        return [*head, "" if octets is None else octets.hex(), None if clear is None else clear.hex(), (), (), 0]
    return [*head, record.octets, record.clear, record.hidden, record.clear_hidden, record.left_out]


def _record(passed: Passed, octets: bytes, clear: bytes | None, left_out: int) -> ApduRecord:
    return ApduRecord(
        direction=Direction.REQUEST if passed.sent else Direction.RESPONSE,
        source=passed.source,
        destination=passed.destination,
        octets=octets.hex(),
        clear=None if clear is None else clear.hex(),
        left_out=left_out,
    )


def _may_hold_secrets(passed: Passed, octets: bytes, clear: bytes | None) -> bool:
    if passed.carries:
        return True
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
class _Open:
    span: dict[str, Any]
    children: int = 0


@dataclass(slots=True)
class Unpacked:
    """The spans of an attempt below its own, in order, and how many APDUs were left out; `last_at` is the time of the last entry."""

    spans: list[Span]
    left_out: int
    last_at: datetime


@dataclass(slots=True)
class _Reader:
    began_at: datetime
    parent: int
    meter: str
    numbers: Numbering
    spans: list[dict[str, Any]] = field(default_factory=list)
    by_number: dict[int, dict[str, Any]] = field(default_factory=dict)
    stack: list[int] = field(default_factory=list)
    connections: int = 0
    last_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.last_at = self.began_at

    def at(self, seconds: float) -> datetime:
        self.last_at = max(self.last_at, self.began_at + timedelta(seconds=seconds))
        return self.began_at + timedelta(seconds=seconds)

    def new(self, kind: str, name: str, seconds: float) -> dict[str, Any]:
        span = {
            "id": self.numbers.next(),
            "parent": self.by_number[self.stack[-1]]["id"] if self.stack else self.parent,
            "kind": Kind(kind),
            "name": name[:MOST_NAME],
            "began_at": self.at(seconds),
            "meter": self.meter,
        }
        self.spans.append(span)
        return span

    def begun(self, seconds: float, number: int, kind: str, name: str, peer: str, transport: str) -> None:
        span = self.new(kind, name, seconds)
        span |= {"peer": peer or None, "transport": transport or None, "outcome": Outcome.RUNNING}
        self.connections += kind == Kind.CONNECTION
        self.by_number[number] = span
        self.stack.append(number)

    def ended(self, seconds: float, number: int, outcome: str, text: str) -> None:
        span = self.by_number[number]
        span |= {"ended_at": self.at(seconds), "outcome": Outcome(outcome), "text": text[:MOST_WHY]}
        if number in self.stack:
            del self.stack[self.stack.index(number) :]

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
        work: dict[str, Callable[..., None]] = {"b": reader.begun, "e": reader.ended, "p": reader.apdu}
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
