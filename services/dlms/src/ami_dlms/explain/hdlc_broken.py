"""A frame of HDLC that is not good, as far as it reads: nothing that it says is verified, and nothing is learned from it."""

from __future__ import annotations

from ami_dlms.errors import DecodeError
from ami_dlms.explain.apdus import NOT_DECODED
from ami_dlms.explain.damage import damage
from ami_dlms.explain.hdlc import describe, fields_of, inform, parts_of
from ami_dlms.explain.keyring import DecodingSession
from ami_dlms.explain.node import MISSING, Node, described
from ami_dlms.explain.scanning import claimed_hdlc_end
from ami_dlms.framing import hdlc
from ami_dlms.framing.hdlc import CHECK_SIZE, FLAG, FORMAT_SIZE, SEGMENTED, Frame, check_sequence
from ami_dlms.framing.hdlc_address import decode_address

CHECKS = ("header_check", "frame_check")
_Fields = list[tuple[str, int]]


def extent(octets: bytes, flag: int, limit: int) -> int:
    """Where a broken frame ends: where its length says, if a flag is there; else at the next flag that ends something."""
    end = claimed_hdlc_end(octets, flag)
    if flag + FORMAT_SIZE + 2 < end <= limit and octets[end - 1] == FLAG:
        return end
    place = octets.find(FLAG, flag + 1, limit)
    while place >= 0:
        if place + 1 == limit or octets[place + 1] == FLAG or octets[place + 1] & 0xF0 == hdlc.FORMAT_TYPE:
            return place + 1
        place = octets.find(FLAG, place + 1, limit)
    return limit


def broken_hdlc(octets: bytes, start: int, flag: int, end: int, session: DecodingSession) -> Node:
    """The tree of the octets from `start` to `end`; the flag before them may be that of the frame before."""
    whole = octets[flag:end]
    if whole[-1] != FLAG and octets[end : end + 1] == bytes((FLAG,)):
        whole += octets[end : end + 1]  # the flag that opens the next frame closes this one
    root = Node("hdlc_frame", start, octets[start:end], type=MISSING, text="not verified")
    root.trouble = _trouble(whole, flag)
    fields = _fields(whole)
    root.parts = list(parts_of(octets, start, fields[1:] if flag < start else fields))
    while root.parts and root.parts[-1].end > end:
        root.parts.pop()
    rest = root.parts[-1].end if root.parts else start
    if rest < end:
        root.parts.append(Node(NOT_DECODED, rest, octets[rest:end], type=MISSING))
    _tell(root, whole, flag, session)
    return root


def _trouble(whole: bytes, flag: int) -> str:
    try:
        hdlc.decode(whole)
    except DecodeError as error:
        guess = damage(whole, flag) if whole[-1] == FLAG else ""
        return "; ".join(word for word in (described(error.shifted(flag)), guess) if word)
    return ""


def _fields(whole: bytes) -> _Fields:
    """As of a good frame; without a closing flag the end of the information is unknown."""
    found: _Fields = []
    padded = whole if whole[-1] == FLAG and len(whole) > 1 else whole + bytes((*bytes(CHECK_SIZE), FLAG))
    try:
        for field in fields_of(padded, 0, len(padded)):
            found.append(field)
    except DecodeError:
        return found
    return [(name, size) for name, size in found if size > 0]


def _tell(root: Node, whole: bytes, flag: int, session: DecodingSession) -> None:
    parts = {part.name: part for part in root.parts}
    try:
        frame = Frame(
            decode_address(parts["destination"].octets),
            decode_address(parts["source"].octets),
            parts["control"].octets[0],
            parts["information"].octets if "information" in parts else b"",
            bool(parts["format"].octets[0] & SEGMENTED),
        )
    except (KeyError, IndexError, DecodeError):
        return
    describe(root, frame)
    root.text += ", not verified"
    for name in CHECKS:
        if name in parts:
            _tell_check(parts[name], whole, flag)
    if "information" in parts:
        _carry(parts["information"], frame, session)


def _tell_check(node: Node, whole: bytes, flag: int) -> None:
    computed = check_sequence(whole[1 : node.start - flag])
    if computed == node.octets:
        return
    node.text = f"does not hold: {node.octets.hex().upper()} found, {computed.hex().upper()} computed"


def _carry(node: Node, frame: Frame, session: DecodingSession) -> None:
    route = (frame.source.upper, frame.destination.upper)
    if frame.segmented or session.segments.get(("hdlc", *route)):
        node.text = "a segment, not put together"
    else:
        inform(node, frame, session.aside())
