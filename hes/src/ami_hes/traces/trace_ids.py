"""Ids of OpenTelemetry for requests: that of a trace is the MessageID, those of spans follow from it and from what the span is.

So every process knows the id of a span that another one has made, or will make, and nothing of it travels over NATS or is kept in the store. `traceparent`
is a name and a value of the W3C's Trace Context, which goes as a Property of the CIM header.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

TRACEPARENT = "traceparent"
_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.{0,200})?")
_SAMPLED = "01"


class SpanPlace(NamedTuple):
    """A span, wherever it was made."""

    trace: int
    span: int


def trace_id(message_id: str) -> int:
    """Of 128 bits, never 0: the MessageID itself where it is a UUID, else the beginning of its SHA-256."""
    try:
        number = UUID(message_id).int
    except ValueError:
        number = 0
    return number or int.from_bytes(sha256(message_id.encode("utf-8", "backslashreplace")).digest()[:16]) or 1


def span_id(message_id: str, *what: str) -> int:
    """Of 64 bits, never 0; the same for the same words, in every process."""
    words = "\0".join((message_id, *what)).encode("utf-8", "backslashreplace")
    return int.from_bytes(sha256(words).digest()[:8]) or 1


def request_span(message_id: str) -> int:
    """That of the whole request, of which every other one is a part."""
    return span_id(message_id, "request")


def format_traceparent(message_id: str) -> str:
    """Of the whole request."""
    return f"00-{trace_id(message_id):032x}-{request_span(message_id):016x}-{_SAMPLED}"


def parse_traceparent(value: str | None) -> SpanPlace | None:
    """None for what is no such value; a sender's mistake there is no reason to refuse what it asks for."""
    found = _PARENT.fullmatch((value or "").strip())
    if found is None or found[1] == "ff" or (found[1] == "00" and found[4]):
        return None
    place = SpanPlace(int(found[2], 16), int(found[3], 16))
    return place if place.trace and place.span else None
