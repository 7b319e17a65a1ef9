"""A trace as a browser shows it: spans with milliseconds from its beginning, and each APDU with its octets and its trees.

The console fetches this, and the file that is attached to a ticket holds it; both draw it with the same script. Trees are documents of
`ami_dlms.explain`, without their hex: the octets are there once. An answer lasts from what was sent or came before it until it came.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from ami_dlms.explain import Document, Node, document
from ami_trace.explained import Frames, explained, frame_of, head_of
from ami_trace.form import ApduRecord, Direction, FrameRecord, Kind, Places, Span, Trace

FORMAT = "ami-trace-view/1"


def view_of(trace: Trace) -> dict[str, Any]:
    """What `trace.js` takes; values of JSON."""
    spans = list(_spans(trace))
    records = [record for _, record in trace.apdus()]
    return {
        "format": FORMAT,
        "message_id": trace.message_id,
        "verb": trace.verb,
        "noun": trace.noun,
        "source": trace.source,
        "outcome": trace.outcome,
        "began_at": trace.began_at.isoformat(timespec="milliseconds"),
        "ms": max([span["t1"] for span in spans if span["t1"] is not None] + [span["t0"] for span in spans]),
        "meters": trace.meters.model_dump(),
        "apdus": len(records),
        "octets": sum(len(record.octets) // 2 or record.left_out for record in records),
        "clear_text": trace.clear_text,
        "redacted": trace.redacted,
        "notes": list(trace.notes),
        "spans": spans,
    }


def _spans(trace: Trace) -> Iterator[dict[str, Any]]:
    before: dict[int | None, datetime] = {}
    frames = Frames()
    for span in trace.spans:
        began = span.began_at
        if span.apdu is not None and span.apdu.direction is Direction.RESPONSE:
            began = before.get(span.parent, began)
        shown = _span(span, _ms(trace, began), None if span.ended_at is None else _ms(trace, span.ended_at))
        if span.frame is not None:
            shown |= _frame(span, span.frame, frames)
        if span.kind is Kind.APDU:
            before[span.parent] = span.began_at
        yield shown


def _ms(trace: Trace, at: datetime) -> float:
    return round((at - trace.began_at) / timedelta(milliseconds=1), 3)


def _span(span: Span, began: float, ended: float | None) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": span.id,
        "parent": span.parent,
        "kind": span.kind,
        "name": span.name,
        "t0": began,
        "t1": ended,
        "outcome": span.outcome,
    }
    for name in ("text", "meter", "peer", "transport", "xml"):
        if said := getattr(span, name):
            shown[name] = said
    if span.apdu is not None:
        shown["apdu"] = _apdu(span.apdu)
        shown["name"] = shown["apdu"].pop("text")
    return shown


def _frame(span: Span, record: FrameRecord, frames: Frames) -> dict[str, Any]:
    """As an APDU is shown, which has no other octets than those on the line."""
    text, tree = frames.told(span, record)
    shown: dict[str, Any] = {
        "direction": record.direction,
        "frame": record.octets,
        "tree": None if tree is None else _tree(tree),
        "hidden": [],
    }
    return {"name": text, "apdu": shown | ({"left_out": record.left_out} if record.left_out else {})}


def _apdu(record: ApduRecord) -> dict[str, Any]:
    trees = explained(record)
    shown: dict[str, Any] = {
        "direction": record.direction,
        "text": trees.text,
        "frame": frame_of(record).hex(),
        "tree": None if trees.frame is None else _tree(trees.frame),
        "hidden": _places(record.hidden, head_of(record)),
    }
    if record.clear is not None:
        shown |= {"clear": record.clear, "clear_hidden": _places(record.clear_hidden, 0)}
        shown["clear_tree"] = None if trees.clear is None else _tree(trees.clear)
    if record.left_out:
        shown["left_out"] = record.left_out
    return shown


def _places(places: Places, shift: int) -> list[list[int]]:
    return [[first + shift, end + shift] for first, end in places]


def _tree(node: Node) -> Document:
    return _without_hex(document(node))


def _without_hex(shown: Document) -> Document:
    shown.pop("hex", None)
    for name in ("parts", "derived"):
        for part in shown.get(name, ()):
            _without_hex(part)
    return shown
