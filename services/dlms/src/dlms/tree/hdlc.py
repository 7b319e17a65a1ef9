"""HDLC frames as trees: every field from flag to flag, the APDU of one frame, or of several segments put together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from dlms.errors import DecodeError
from dlms.framing import hdlc
from dlms.framing.hdlc import CHECK_SIZE, FLAG, FORMAT_SIZE, Frame, FrameKind
from dlms.framing.hdlc_address import HdlcAddress, address_size
from dlms.framing.hdlc_parameters import decode_parameters
from dlms.framing.hdlc_segments import LLC_COMMAND, LLC_RESPONSE
from dlms.tree.apdus import NOT_DECODED
from dlms.tree.keyring import Session
from dlms.tree.node import MISSING, Derived, Node, told
from dlms.tree.protected import read_message

HDLC, INFORMATION = "hdlc-frame", "hdlc-information"
FOUR_OCTETS = " in 4 octets"
LLC_LENGTH = len(LLC_COMMAND)
LLC = {LLC_COMMAND: "command", LLC_RESPONSE: "response"}
_Field = tuple[str, int]


def explain_hdlc(octets: bytes, session: Session) -> list[Node]:
    """The trees of frames in a row; the flag between two frames may be one, and belongs to the first."""
    found: list[Node] = []
    start = 0
    while start < len(octets):
        found.append(_frame(octets, start, session))
        start = found[-1].end
    return found


def _frame(octets: bytes, start: int, session: Session) -> Node:
    shares_flag = octets[start] != FLAG and start > 0
    flag = start - 1 if shares_flag else start
    end = _end(octets, flag)
    try:
        frame = hdlc.decode(octets[flag:end])
    except DecodeError as error:
        return _broken(octets, start, flag, error.shifted(flag))
    root = Node("hdlc_frame", start, octets[start:end], type=HDLC, value=frame)
    fields = list(_fields(octets, flag, end))
    root.parts = list(_parts(octets, start, fields[1:] if shares_flag else fields))
    _describe(root, frame)
    if (information := root.part("information")) is not None:
        _inform(information, frame, session)
    return root


def _end(octets: bytes, flag: int) -> int:
    """Where the frame is over that begins with this flag: as its length says, or at the end of the input."""
    head = octets[flag + 1 : flag + 1 + FORMAT_SIZE]
    length = int.from_bytes(head, "big") & hdlc.MAX_LENGTH
    return min(flag + length + 2, len(octets)) if len(head) == FORMAT_SIZE else len(octets)


def _fields(octets: bytes, flag: int, end: int) -> Iterator[_Field]:
    """Names and sizes of the fields, as far as they can be told apart."""
    yield "opening_flag", 1
    yield "format", FORMAT_SIZE
    offset = flag + 1 + FORMAT_SIZE
    for name in ("destination", "source"):
        size = address_size(octets, offset, end)
        if size is None:
            return
        yield name, size
        offset += size
    yield "control", 1
    left = end - offset - 1
    if left > CHECK_SIZE + 1:
        yield "header_check", CHECK_SIZE
        yield "information", left - 2 * CHECK_SIZE - 1
    yield "frame_check", CHECK_SIZE
    yield "closing_flag", 1


def _parts(octets: bytes, start: int, fields: list[_Field]) -> Iterator[Node]:
    for name, size in fields:
        yield Node(name, start, octets[start : start + size])
        start += size


def _describe(root: Node, frame: Frame) -> None:
    texts = {
        "format": f"type 3, length {len(root.octets) - 2}, {'more segments follow' if frame.segmented else 'last segment'}",
        "destination": _address(frame.destination),
        "source": _address(frame.source),
        "control": _control(frame),
        "header_check": "holds",
        "frame_check": "holds",
    }
    spelled = {"destination": _address(frame.destination), "source": _address(frame.source), "control": frame.control}
    for part in root.parts:
        part.text = texts.get(part.name, "")
        if part.name in spelled:
            part.type = "hdlc-address" if part.name != "control" else "number"
            part.value = spelled[part.name]
    root.text = f"{_address(frame.source)} → {_address(frame.destination)}, {frame.kind.value}"


def _address(address: HdlcAddress) -> str:
    """`1/17` for upper and lower address; with the number of octets when four were used for two."""
    if address.lower is None:
        return str(address.upper)
    return f"{address.upper}/{address.lower}" + (FOUR_OCTETS if address.wide else "")


def _control(frame: Frame) -> str:
    words = [frame.kind.value]
    if frame.kind is FrameKind.I:
        words.append(f"N(S) {frame.send_number}")
    if frame.kind in (FrameKind.I, FrameKind.RR, FrameKind.RNR):
        words.append(f"N(R) {frame.receive_number}")
    return ", ".join([*words, "poll/final" if frame.final else "not final"])


def _inform(node: Node, frame: Frame, session: Session) -> None:
    node.type, node.value = "octets", frame.information
    if frame.kind in (FrameKind.SNRM, FrameKind.UA):
        _parameters(node, frame)
    elif frame.kind in (FrameKind.I, FrameKind.UI):
        _carry(node, frame, session)


def _parameters(node: Node, frame: Frame) -> None:
    try:
        limits = decode_parameters(frame.information)
    except DecodeError as error:
        node.trouble = told(error.shifted(node.start))
        return
    node.text = (
        f"information to send {limits.max_information_transmit}, to receive {limits.max_information_receive}; "
        f"window to send {limits.window_transmit}, to receive {limits.window_receive}"
    )


def _carry(node: Node, frame: Frame, session: Session) -> None:
    """An APDU behind its LLC header: as parts of this frame, or derived when this is the last of several segments."""
    route = (frame.source.upper, frame.destination.upper)
    segments = session.segments.setdefault(route, [])
    if not segments and not frame.segmented:
        session.route = route
        node.parts = _behind_llc(node.octets, node.start, session)
        node.type = INFORMATION
        return
    segment = (frame.send_number, frame.information)
    repeated = segments[-1:] == [segment]
    if not repeated:
        segments.append(segment)
    node.text = "the same segment once more" if repeated else f"segment {len(segments)}"
    if frame.segmented or repeated:
        return
    session.route = route
    octets = b"".join(information for _, information in segments)
    how = f"put together from {len(segments)} segments"
    segments.clear()
    tree = Node("assembled", 0, octets, type=INFORMATION)
    tree.parts = _behind_llc(octets, 0, session)
    node.derived.append(Derived(how, True, tree))


def _behind_llc(octets: bytes, start: int, session: Session) -> list[Node]:
    head = octets[:LLC_LENGTH]
    if head not in LLC or len(octets) == LLC_LENGTH:
        trouble = told(DecodeError("the LLC header E6E600 or E6E700 and an APDU", head.hex(), start, "llc"))
        return [Node(NOT_DECODED, start, octets, type=MISSING, trouble=trouble)]
    llc = Node("llc", start, head, type="octets", value=head, text=LLC[head])
    return [llc, read_message(octets[LLC_LENGTH:], start + LLC_LENGTH, session)]


def _broken(octets: bytes, start: int, flag: int, error: DecodeError) -> Node:
    """The fields before the one that is wrong, and all that is left up to the next good frame."""
    end = _next_good(octets, start + 1)
    root = Node("hdlc_frame", start, octets[start:end], type=MISSING)
    fields = []
    with suppress(DecodeError):
        for field in _fields(octets, flag, _end(octets, flag)):
            fields.append(field)
    root.parts = [
        part for part in _parts(octets, start, fields[1:] if flag < start else fields) if part.end <= error.offset
    ]
    rest = root.parts[-1].end if root.parts else start
    root.parts.append(Node(NOT_DECODED, rest, octets[rest:end], type=MISSING, trouble=told(error)))
    return root


def _next_good(octets: bytes, start: int) -> int:
    """Where the next frame begins that can be decoded, or the end of the input."""
    while (flag := octets.find(FLAG, start)) >= 0:
        with suppress(DecodeError):
            hdlc.decode(octets[flag : _end(octets, flag)])
            return flag
        start = flag + 1
    return len(octets)
