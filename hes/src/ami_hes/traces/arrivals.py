"""How a request came: its message, and when it was received, read, planned and kept.

The inbox knows the octets, the intake the request: between them is a context, as between a command and its APDUs. Octets are kept without
the header of SOAP, which may hold a password.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ami_cim.errors import CimError
from ami_cim.xml import parse, serialize
from ami_process.environment import real_time
from ami_process.message_endpoint import received_time

MOST_OCTETS = 1_000_000
"""Of a message; of a longer one the trace has only that there was one."""
_LEVEL = 1
_NO_HEADER = re.compile(rb"\s*(<\?xml[^>]*\?>\s*)?<([\w.-]+:)?Envelope\b[^<>]*>\s*<([\w.-]+:)?Body\b")
"""An envelope that begins with its body: there is nothing to be taken out, and most are so."""
_SOAP_HEADERS = ("{http://schemas.xmlsoap.org/soap/envelope/}Header", "{http://www.w3.org/2003/05/soap-envelope}Header")


@dataclass(slots=True)
class Arrival:
    """A message as it came; `marks` are seconds from its first octets until the end of what is named."""

    octets: bytes = field(repr=False)
    began: float
    marks: dict[str, float] = field(default_factory=dict)
    summary: str = ""
    request_id: str = ""
    message_id: str | None = None
    """That of its header."""

    def stands_for(self, request_id: str) -> bool:
        """Whether it is the message of this request, and not of one that this is made a part of."""
        self.request_id = self.request_id or request_id
        return self.request_id == request_id

    def mark(self, what: str) -> None:
        """This has its end now."""
        self.marks.setdefault(what, real_time() - self.began)


_ARRIVED: ContextVar[Arrival | None] = ContextVar("arrived", default=None)


@contextmanager
def arriving(octets: bytes, message_id: str | None = None) -> Iterator[Arrival]:
    """Inside a message is taken that has been read, which was received as `received_time` says."""
    arrival = Arrival(octets, received_time() or real_time(), message_id=message_id)
    arrival.mark("validated")
    token = _ARRIVED.set(arrival)
    try:
        yield arrival
    finally:
        _ARRIVED.reset(token)


def note_arrival(what: str, summary: str = "") -> Arrival | None:
    """The message that is being taken, of which this has its end now; None where none is."""
    arrival = _ARRIVED.get()
    if arrival is not None:
        arrival.mark(what)
        arrival.summary = summary or arrival.summary
    return arrival


def arrival_of(message_id: str | None) -> Arrival | None:
    """The message that is being taken, where this is its MessageID: parts of an OperationSet have others."""
    arrival = _ARRIVED.get()
    return arrival if arrival is not None and arrival.message_id == message_id else None


@dataclass(frozen=True, slots=True)
class CameSo:
    """The same as it is read again. `xml` None: the message was too long."""

    began_at: datetime
    ends: dict[str, datetime]
    summary: str
    xml: str | None
    size: int


def pack_arrival(arrival: Arrival) -> bytes:
    """Kept so; it takes its time, so it is called beside the event loop."""
    value = {
        "v": 1,
        "marks": {name: round(seconds, 6) for name, seconds in arrival.marks.items()},
        "summary": arrival.summary,
        "xml": body_of(arrival.octets) if len(arrival.octets) <= MOST_OCTETS else None,
        "size": len(arrival.octets),
    }
    return zlib.compress(json.dumps(value).encode(), _LEVEL)


def read_arrival(octets: bytes, began_at: datetime) -> CameSo:
    """What `pack_arrival` wrote; ValueError for anything else."""
    try:
        value = json.loads(zlib.decompress(octets))
        ends = {name: began_at + timedelta(seconds=seconds) for name, seconds in value["marks"].items()}
        return CameSo(began_at, ends, value["summary"], value["xml"], value["size"])
    except (zlib.error, KeyError, TypeError, AttributeError) as problem:
        raise ValueError(f"it is no arrival: {type(problem).__name__}") from None


def body_of(octets: bytes) -> str | None:
    """The message without what is in the header of SOAP; it was read and found well-formed before."""
    if _NO_HEADER.match(octets):
        try:
            return octets.decode()
        except UnicodeDecodeError:
            return None
    try:
        root = parse(octets)
    except CimError:
        return None
    for child in root:
        if child.tag in _SOAP_HEADERS:
            for part in list(child):
                child.remove(part)
    return serialize(root).decode()
