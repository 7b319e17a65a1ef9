"""The APDUs of a trace explained: what `ami_dlms.explain` says of their octets, worked out when somebody looks.

A trace holds no trees. The octets on the wire are explained in the wrapper, or alone where frames of HDLC have carried them, which are explained as well;
and what they hold as an APDU of its own. Nothing is deciphered here, and no key is needed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ami_dlms.enums import ApduTag
from ami_dlms.explain import DecodingSession, Node, explain, nodes
from ami_dlms.explain.frames import WRAPPER
from ami_dlms.framing.framing import WrapperPdu
from ami_dlms.framing.wrapper import HEADER_SIZE, encode
from ami_trace.form import ApduRecord, FrameRecord, Places, Span

LEFT_OUT = "its octets are not here"
DECIPHERED = ", deciphered by the head-end"
_WITHOUT_KEYS = ", not deciphered: "
"""In the words of `ami_dlms.explain`."""
ACSE = frozenset({ApduTag.AARQ, ApduTag.AARE, ApduTag.RLRQ, ApduTag.RLRE})
"""Whose deciphered part is only what they carry, and not what they say."""


@dataclass(frozen=True, slots=True)
class Explained:
    """The trees of one APDU: as it was on the wire, in the wrapper where that has carried it, and of what it holds where it was protected."""

    frame: Node | None
    """None where the octets were left out."""
    clear: Node | None

    @property
    def told(self) -> Node | None:
        """The tree that says most."""
        if self.frame is None:
            return self.clear
        apdu = self.frame.parts[-1] if self.frame.type == WRAPPER else self.frame
        return apdu if self.clear is None or (apdu.octets and apdu.octets[0] in ACSE) else self.clear

    @property
    def text(self) -> str:
        """The APDU in a line."""
        told = self.told
        return LEFT_OUT if told is None else told.text or told.name.replace("_", "-")


def frame_of(record: ApduRecord) -> bytes:
    """The octets in the wrapper, and over HDLC those of the APDU alone; none where they were left out."""
    return bytes.fromhex(record.octets) if record.carrier == "hdlc" else in_wrapper(record)


def in_wrapper(record: ApduRecord) -> bytes:
    """The octets in the wrapper, whatever carried them; none where they were left out."""
    octets = bytes.fromhex(record.octets)
    return encode(WrapperPdu(record.source, record.destination, octets)) if octets else b""


def head_of(record: ApduRecord) -> int:
    """How many octets stand before the APDU in what `frame_of` gives."""
    return 0 if record.carrier == "hdlc" else HEADER_SIZE


def explained(record: ApduRecord) -> Explained:
    """Its trees."""
    frame = frame_of(record)
    trees = explain(frame, DecodingSession()) if frame else []
    for node in nodes(trees[0]) if trees else ():
        _say_where(node, deciphered=record.clear is not None)
    clear = explain(bytes.fromhex(record.clear), DecodingSession()) if record.clear else []
    return Explained(trees[0] if trees else None, clear[0] if clear else None)


@dataclass(slots=True)
class Frames:
    """The frames of HDLC of a trace explained, in their order: what goes on in the next one is put together there."""

    _sessions: dict[tuple[str | None, int], DecodingSession] = field(default_factory=dict)

    def trees(self, span: Span, record: FrameRecord) -> list[Node]:
        """Usually one; none where the octets were left out."""
        octets = bytes.fromhex(record.octets)
        if not octets:
            return []
        session = self._sessions.setdefault((span.meter, record.connection), DecodingSession())
        trees = explain(octets, session)
        for node in (node for tree in trees for node in nodes(tree)):
            _say_where(node, deciphered=False)
        return trees

    def told(self, span: Span, record: FrameRecord) -> tuple[str, Node | None]:
        """A frame in a line, and its tree: one, also where several frames share a flag."""
        trees = self.trees(span, record)
        if not trees:
            return f"frame of HDLC: {LEFT_OUT}", None
        text = "; ".join(filter(None, (_told_frame(tree) for tree in trees)))
        if len(trees) == 1:
            return text, trees[0]
        return text, Node("hdlc_line", 0, b"".join(tree.octets for tree in trees), parts=trees)


def _told_frame(tree: Node) -> str:
    control, information = tree.part("control"), tree.part("information")
    words = tree.name.replace("_", " ") if control is None else f"HDLC {control.text}"
    more = "" if information is None else information.text
    return f"{words}: {more}" if more else words


def _say_where(node: Node, *, deciphered: bool) -> None:
    """What is said of keys that were not given is of no use here: it was deciphered by who had them, or not at all."""
    said, found, _ = node.text.partition(_WITHOUT_KEYS)
    if found:
        node.text = said + (DECIPHERED if deciphered else ", not deciphered")


def is_hidden(node: Node, places: Places, *, framed: bool) -> bool:
    """Whether something of a node was struck out; `framed`: it is of a frame, whose places are those of the APDU behind the header."""
    shift = HEADER_SIZE if framed else 0
    return any(first + shift < node.end and node.start < end + shift for first, end in places)
