"""The octets of a trace for a view: what went over the lines of meters for one request, deciphered by the head-end, in words and in hex. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial

from ami_cli.observations import Octets
from ami_cli.wire_words import words
from ami_trace.explained import explained, frame_of
from ami_trace.form import ApduRecord, Direction, Kind, Span, Trace

MOST_OCTETS = 512
"""Of an APDU, in hex: hardly a terminal shows more in a line."""
MOST_EXPLAINED = 20_000
"""Hexadecimal digits of an APDU that is explained: a long profile is not for one line, and would be kept for it."""


def octets_of(trace: Trace) -> Iterator[Octets]:
    """Every APDU of a trace, in order."""
    asked: dict[int | None, datetime] = {}
    spans = {span.id: span for span in trace.spans}
    for span, record in trace.apdus():
        outgoing = record.direction is Direction.REQUEST
        if outgoing:
            asked[span.parent] = span.began_at
        before = asked.get(span.parent)
        ms = None if outgoing or before is None else (span.began_at - before).total_seconds() * 1000
        short = frame_of(record)[:MOST_OCTETS].hex().upper()
        yield Octets(
            span.meter or _meter_of(spans, span.parent), outgoing, span.name, short, ms, partial(_words, record)
        )


def code_of(trace: Trace) -> str:
    """What was planned: of EndDeviceControls the codes."""
    return next((span.text for span in trace.spans if span.kind is Kind.PLAN), "")


def _words(record: ApduRecord) -> str:
    trees = explained(record)
    return trees.text if trees.told is None else words(trees.told, ciphered=record.clear is not None)


def _meter_of(spans: Mapping[int, Span], parent: int | None) -> str:
    """Of the nearest span around it that names one."""
    while parent is not None:
        span = spans[parent]
        if span.meter:
            return span.meter
        parent = span.parent
    return ""
