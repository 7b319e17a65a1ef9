"""What octets are: wrapper PDUs, frames of HDLC and of M-Bus in a row, with whatever is between them; or an APDU alone.

Octets that begin in the middle or hold the noise of a line are searched for good frames; all that is left between them is
shown as what it resembles: idle flags, a frame whose check does not hold, or octets that belong to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from ami_dlms.apdu import CODECS
from ami_dlms.apdu.codec import DATA, UNSIGNED16
from ami_dlms.enums import DataTag
from ami_dlms.errors import DecodeError
from ami_dlms.explain.apdus import NOT_DECODED, read_part
from ami_dlms.explain.hdlc import INFORMATION, good_hdlc
from ami_dlms.explain.hdlc_broken import broken_hdlc, extent
from ami_dlms.explain.information import begins_with_llc, read_information
from ami_dlms.explain.keyring import DecodingSession
from ami_dlms.explain.mbus import read_mbus
from ami_dlms.explain.node import MISSING, Derived, Node, described, is_sound
from ami_dlms.explain.protected import read_message
from ami_dlms.explain.scanning import Found, ScannedFrame, broken_frame, good_frames
from ami_dlms.explain.tracing import Tracer, traced
from ami_dlms.framing import hdlc, mbus
from ami_dlms.framing.hdlc import FLAG
from ami_dlms.framing.wrapper import HEADER_SIZE, VERSION

WRAPPER = "wrapper"
NOISE, IDLE, ACKNOWLEDGE = "noise", "idle_flags", "mbus_acknowledge"
_FIELDS = tuple((name, traced(name, UNSIGNED16)) for name in ("version", "source", "destination", "length"))
_VERSION = VERSION.to_bytes(2, "big")
PORTS = {0x0001: "management", 0x0010: "public client", 0x007F: "all stations"}
ONLY_DATA = frozenset(DataTag) - frozenset(CODECS)
"""Tags of Data that no APDU begins with."""


def explain(octets: bytes, session: DecodingSession) -> list[Node]:
    """The trees of everything in the input, in order; their octets together are the input."""
    if octets.startswith(_VERSION):
        return list(_in_a_row(octets, session))
    begins_framed = octets[:1] == bytes((FLAG,)) or (mbus.size_of(octets) or 0) > mbus.SHORT_SIZE
    alone = None if begins_framed else _alone(octets, session)
    if alone is not None and alone.type != MISSING:
        return [alone]
    if alone is None or _holds_frames(octets):
        return list(_in_a_row(octets, session))
    return [alone]


def _holds_frames(octets: bytes) -> bool:
    """Whether octets that are nothing by themselves are to be searched; what begins like an APDU only if a good frame is in it."""
    if next(good_frames(octets), None) is not None:
        return True
    begins_like_apdu = not octets or octets[0] in CODECS or begins_with_llc(octets)
    return not begins_like_apdu and broken_frame(octets, 0, len(octets)) < len(octets)


def explain_data(octets: bytes) -> list[Node]:
    """The tree of one value of Data, for octets that are known to be no APDU."""
    return [read_part("data", DATA, octets)]


def _alone(octets: bytes, session: DecodingSession) -> Node:
    """An APDU, with or without an LLC header before it, or a value; of the type MISSING when it is none of them."""
    session.route = None
    if begins_with_llc(octets):
        parts = read_information(octets, 0, session)
        broken = any(part.type == MISSING for part in parts)
        text = "; ".join(part.text for part in parts[1:] if part.text)
        return Node("llc_pdu", 0, octets, MISSING if broken else INFORMATION, text=text, parts=parts)
    message = read_message(octets, 0, session)
    if message.type != MISSING or not octets or octets[0] not in frozenset(DataTag):
        return message
    value = explain_data(octets)[0]
    if not is_sound(value):
        return message
    if octets[0] in ONLY_DATA:
        return value
    message.derived.append(Derived("the same octets read as Data, no APDU", None, value))
    return message


def _in_a_row(octets: bytes, session: DecodingSession) -> Iterator[Node]:
    """Frames one after the other, and what is between them."""
    frames = good_frames(octets)
    good = next(frames, None)
    place = 0
    before: ScannedFrame | None = None
    while place < len(octets):
        while good is not None and good.start < place:
            good = next(frames, None)
        if good is not None and good.start == place and good.kind is not ScannedFrame.WRAPPER:
            node, before = _good(octets, good, session), good.kind
        elif _is_wrapper_header(octets, place, after_wrapper=place == 0 or before is ScannedFrame.WRAPPER, good=good):
            node, before = _wrapper(octets, place, session), ScannedFrame.WRAPPER
        else:
            limit = len(octets) if good is None else good.start
            node, before = _other(octets, place, limit, session, before), None
        yield node
        place = node.end


def _good(octets: bytes, found: Found, session: DecodingSession) -> Node:
    read = good_hdlc if found.kind is ScannedFrame.HDLC else read_mbus
    return read(octets, found.start, found.end, session)


# --- the wrapper


def _is_wrapper_header(octets: bytes, place: int, *, after_wrapper: bool, good: Found | None) -> bool:
    """A header at the beginning or behind another PDU counts by its form alone."""
    if good is not None and good.start == place:
        return True
    head = octets[place : place + HEADER_SIZE]
    return after_wrapper and head.startswith(_VERSION) and len(head) == HEADER_SIZE and any(head[6:])


def _wrapper(octets: bytes, start: int, session: DecodingSession) -> Node:
    root = Node("wrapper", start, type=WRAPPER)
    reader = Tracer(octets, root, start)
    _, source, destination, length = [codec.read(reader) for _, codec in _FIELDS]
    _number(root)
    root.text = f"{source} → {destination}"
    body = octets[start + HEADER_SIZE : start + HEADER_SIZE + length]
    if len(body) < length:
        root.parts[-1].trouble = f"{length} octets of APDU wanted, {len(body)} are there"
    session.route = (source, destination)
    root.octets = octets[start : start + HEADER_SIZE + len(body)]
    root.parts.append(read_message(body, start + HEADER_SIZE, session))
    return root


def _number(root: Node) -> None:
    for part in root.parts:
        part.type, part.text = "number", str(part.value)
        if part.name in ("source", "destination") and part.value in PORTS:
            part.text = f"{part.value}, {PORTS[part.value]}"


def _broken_wrapper(octets: bytes, start: int, end: int) -> Node:
    """All up to the next good frame belongs to nothing: without a header the beginning of the next PDU is unknown."""
    root = Node("wrapper", start, octets[start:end], type=MISSING)
    reader = Tracer(octets[:end], root, start)
    try:
        version, _, _, length = [codec.read(reader) for _, codec in _FIELDS]
        if version != VERSION:
            raise DecodeError(f"version {VERSION}", str(version), start, "version")
        raise DecodeError("a length of 1 or more", str(length), start + 6, "length")
    except DecodeError as error:
        root.parts = [part for part in root.parts if part.octets and part.start < error.offset]
        _number(root)
        rest = root.parts[-1].end if root.parts else start
        root.parts.append(Node(NOT_DECODED, rest, octets[rest:end], type=MISSING, trouble=described(error)))
    return root


# --- what is no good frame


def _other(octets: bytes, start: int, limit: int, session: DecodingSession, before: ScannedFrame | None) -> Node:
    """The next thing before `limit`, where a good frame begins or all ends."""
    flags = _run(octets, FLAG, start, limit)
    if flags == limit:
        return Node(IDLE, start, octets[start:flags], "octets", octets[start:flags], "between frames")
    if _run(octets, mbus.ACKNOWLEDGE, start, limit) == limit and before is not ScannedFrame.HDLC:
        return Node(ACKNOWLEDGE, start, octets[start:limit], "octets", octets[start:limit], "E5")
    if before is ScannedFrame.WRAPPER or (start == 0 and octets.startswith(_VERSION)):
        return _broken_wrapper(octets, start, limit)
    flag = start - 1 if before is ScannedFrame.HDLC and octets[start] & 0xF0 == hdlc.FORMAT_TYPE else start
    if flag < start or broken_frame(octets, start, limit) == start:
        return _broken(octets, start, flag, limit, session)
    end = flags - 1 if flags > start + 1 else broken_frame(octets, start + 1, limit)
    if flags > start + 1:
        return Node(IDLE, start, octets[start:end], "octets", octets[start:end], "between frames")
    many = f"{end - start} octet{'' if end == start + 1 else 's'} that belong{'s' if end == start + 1 else ''} to no good frame"
    return Node(NOISE, start, octets[start:end], type=MISSING, trouble=many)


def _run(octets: bytes, octet: int, start: int, limit: int) -> int:
    while start < limit and octets[start] == octet:
        start += 1
    return start


def _broken(octets: bytes, start: int, flag: int, limit: int, session: DecodingSession) -> Node:
    size = mbus.size_of(octets[start : start + mbus.HEAD_SIZE])
    if octets[start] != mbus.LONG or size is None:
        return broken_hdlc(octets, start, flag, extent(octets, flag, limit), session)
    if start + size <= limit:
        return read_mbus(octets, start, start + size, session)
    trouble = f"{size} octets of M-Bus frame wanted, {limit - start} are there"
    return Node("mbus_frame", start, octets[start:limit], type=MISSING, trouble=trouble)
