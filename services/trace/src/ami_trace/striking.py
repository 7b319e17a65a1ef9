"""Striking out of octets what nobody is to read: secrets always, every value where a trace is to be shown to strangers.

What is struck out becomes zeros of the same length, tags and lengths stay: so the tree of the octets stays whole, and says what was
there but not its value. Which parts are secrets says `ami_dlms.explain.confidential`. Octets whose tree would not stay whole are left
out altogether. What is ciphered stays as it was on the wire, but for strangers, who get neither that nor frames that carry something. What strangers
see of messages says `ami_trace.message_striking`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ami_dlms.data import Data, encode
from ami_dlms.enums import ApduTag
from ami_dlms.explain import (
    FRAMING,
    MISSING,
    DecodingSession,
    Node,
    explain,
    is_ciphered,
    is_sound,
    leaves,
    secret_nodes,
)
from ami_dlms.framing.hdlc import FrameKind
from ami_trace.form import ApduRecord, FrameRecord, Kind, Places, Span, Trace
from ami_trace.message_striking import without_values

APDU = "apdu"
LONG_FORM = 0x80
_MEASURED = frozenset({"octet-string", "visible-string", "utf8-string", "bit-string"})
"""Types of Data that have a length behind their tag."""
_ACSE = frozenset(bytes((tag,)) for tag in (ApduTag.AARQ, ApduTag.AARE, ApduTag.RLRQ, ApduTag.RLRE))
REDACTED = "Values are struck out, also of the message; ciphered octets, the reply, and reasons in words are left out."
_WITH_REASONS = frozenset({Kind.COMMAND, Kind.VERDICT})
"""Kinds whose text says what was found at the meter, in words behind a reply code."""
_REPLY_CODE = re.compile(r"\d{1,3}\.\d{1,3}(?=\s|$)", re.ASCII)


def struck_out(octets: bytes, *, carries: bool) -> tuple[bytes, Places]:
    """The octets of an APDU without its secrets, and where these were; `carries` as of `secret_nodes`. Empty: they can't be shown."""
    carries = carries and octets[:1] not in _ACSE  # which hold secrets and no values
    trees = explain(octets, DecodingSession())
    hidden = [node for tree in trees for node in secret_nodes(tree, carries=carries)]
    if not hidden and not carries:
        return octets, ()
    if not _is_understood(trees):
        return b"", ()
    places = tuple(place for node in hidden for place in _places(node))
    zeroed = bytearray(octets)
    for first, end in places:
        zeroed[first:end] = bytes(end - first)
    result = bytes(zeroed)
    return (result, places) if _layout(explain(result, DecodingSession())) == _layout(trees) else (b"", ())


def without_secrets(record: ApduRecord, *, carries: bool) -> ApduRecord:
    """The record without secrets, on the wire and deciphered; `carries`: its exchange is about one."""
    octets, hidden = struck_out(bytes.fromhex(record.octets), carries=carries)
    clear, clear_hidden = (
        (b"", ()) if record.clear is None else struck_out(bytes.fromhex(record.clear), carries=carries)
    )
    size = len(record.octets) // 2
    return record.model_copy(
        update={
            "octets": octets.hex(),
            "hidden": hidden,
            "left_out": record.left_out or (0 if octets else size),
            "clear": clear.hex() or None,
            "clear_hidden": clear_hidden,
        }
    )


def redacted(trace: Trace) -> Trace:
    """The trace without any value: for who may see what was done, and not what was read."""
    spans = tuple(span.model_copy(update=dict(_changes(span))) for span in trace.spans)
    return trace.model_copy(update={"spans": spans, "redacted": True, "notes": (*trace.notes, REDACTED)})


def _changes(span: Span) -> Iterator[tuple[str, object]]:
    """Fields of a span that strangers see otherwise."""
    if span.apdu is not None:
        yield "apdu", _without_values(span.apdu)
    if span.frame is not None:
        yield "frame", _if_bare(span.frame)
    if span.xml is not None:
        yield "xml", without_values(span.xml) if span.kind is Kind.MESSAGE else None
    if span.kind in _WITH_REASONS:
        code = _REPLY_CODE.match(span.text)
        yield "text", "" if code is None else code.group()


def _if_bare(record: FrameRecord) -> FrameRecord:
    """The frame where it carries nothing of an APDU."""
    octets = bytes.fromhex(record.octets)
    if not octets or all(
        tree.part("control") is not None and not _carries(tree) for tree in explain(octets, DecodingSession())
    ):
        return record
    return record.model_copy(update={"octets": "", "left_out": len(octets)})


def _carries(tree: Node) -> bool:
    information = tree.part("information")
    return information is not None and getattr(tree.value, "kind", None) not in (FrameKind.SNRM, FrameKind.UA)


def _without_values(record: ApduRecord) -> ApduRecord:
    wanted = without_secrets(record, carries=True)
    octets = bytes.fromhex(wanted.octets)
    if octets and any(is_ciphered(tree) for tree in explain(octets, DecodingSession())):
        return wanted.model_copy(update={"octets": "", "hidden": (), "left_out": len(octets)})
    return wanted


def _is_understood(trees: list[Node]) -> bool:
    """Whether it is one APDU that nothing is wrong with: in octets of which a part means nothing, a secret may be anywhere."""
    return len(trees) == 1 and trees[0].type == APDU and is_sound(trees[0])


def _layout(trees: list[Node]) -> list[tuple[str, str, int, int, str]]:
    """Which leaves there are, and what is broken."""
    return [(leaf.name, leaf.type, leaf.start, leaf.end, leaf.trouble) for tree in trees for leaf in leaves(tree)]


def _places(node: Node) -> Iterator[tuple[int, int]]:
    """Where the contents of a value are: what is behind tags and lengths."""
    for leaf in leaves(node):
        if leaf.type in (FRAMING, MISSING) and not isinstance(leaf.value, bytes | Data):
            continue
        first = leaf.start + _head(leaf)
        if first < leaf.end:
            yield first, leaf.end


def _head(leaf: Node) -> int:
    """Octets of a leaf before its content."""
    if isinstance(leaf.value, bytes) and leaf.octets.endswith(leaf.value):
        return len(leaf.octets) - len(leaf.value)
    if not isinstance(leaf.value, Data):
        return 0
    encoded = encode(leaf.value)
    before = len(leaf.octets) - len(encoded) if leaf.octets.endswith(encoded) else 0  # as the choice of a result
    if leaf.type not in _MEASURED or len(encoded) < 2:
        return before + 1
    length = encoded[1]
    return before + 2 + (length & ~LONG_FORM if length & LONG_FORM else 0)
