"""HDLC frames as trees: every field from flag to flag, the APDU of one frame, or of several segments put together."""

from __future__ import annotations

from collections.abc import Iterator

from ami_dlms.errors import DecodeError
from ami_dlms.explain.information import begins_with_llc, read_information
from ami_dlms.explain.keyring import DecodingSession, waiting
from ami_dlms.explain.node import Derived, Node, described
from ami_dlms.framing import hdlc
from ami_dlms.framing.hdlc import CHECK_SIZE, FLAG, FORMAT_SIZE, Frame, FrameKind
from ami_dlms.framing.hdlc_address import HdlcAddress, address_size
from ami_dlms.framing.hdlc_parameters import decode_parameters

HDLC, INFORMATION = "hdlc-frame", "hdlc-information"
WINDOW = 8
"""Numbers of frames go round after 7."""
FOUR_OCTETS = " in 4 octets"
_Field = tuple[str, int]


def good_hdlc(octets: bytes, start: int, end: int, session: DecodingSession) -> Node:
    """The tree of a good frame; it begins with its flag, or behind the one that it shares with the frame before it."""
    flag = start if octets[start] == FLAG else start - 1
    frame = hdlc.decode(octets[flag:end])
    root = Node("hdlc_frame", start, octets[start:end], type=HDLC, value=frame)
    root.parts = list(parts_of(octets, start, list(fields_of(octets, flag, end))[start - flag :]))
    describe(root, frame)
    if (information := root.part("information")) is not None:
        inform(information, frame, session)
    return root


def fields_of(octets: bytes, flag: int, end: int) -> Iterator[_Field]:
    """Names and sizes of the fields, as far as they can be distinguished."""
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


def parts_of(octets: bytes, start: int, fields: list[_Field]) -> Iterator[Node]:
    """A node for each field, from `start` on."""
    for name, size in fields:
        yield Node(name, start, octets[start : start + size])
        start += size


def describe(root: Node, frame: Frame) -> None:
    """Words and values of the fields of a frame whose checks hold."""
    texts = {
        "format": f"type 3, length {len(root.octets) - 2}, {'more segments follow' if frame.segmented else 'last segment'}",
        "destination": format_address(frame.destination),
        "source": format_address(frame.source),
        "control": describe_control(frame),
        "header_check": "holds",
        "frame_check": "holds",
    }
    spelled = {name: texts[name] for name in ("destination", "source")} | {"control": frame.control}
    for part in root.parts:
        part.text = texts.get(part.name, "")
        if part.name in spelled:
            part.type = "hdlc-address" if part.name != "control" else "number"
            part.value = spelled[part.name]
    root.text = f"{format_address(frame.source)} → {format_address(frame.destination)}, {frame.kind.value}"


def format_address(address: HdlcAddress) -> str:
    """`1/17` for upper and lower address; with the number of octets when four were used for two."""
    if address.lower is None:
        return str(address.upper)
    return f"{address.upper}/{address.lower}" + (FOUR_OCTETS if address.wide else "")


def describe_control(frame: Frame) -> str:
    """The kind, its numbers, and whether the turn goes to the other end."""
    texts = [frame.kind.value]
    if frame.kind is FrameKind.I:
        texts.append(f"N(S) {frame.send_number}")
    if frame.kind in (FrameKind.I, FrameKind.RR, FrameKind.RNR):
        texts.append(f"N(R) {frame.receive_number}")
    return ", ".join([*texts, "poll/final" if frame.final else "not final"])


def inform(node: Node, frame: Frame, session: DecodingSession) -> None:
    """What the information field of a frame says."""
    node.type, node.value = "octets", frame.information
    if frame.kind in (FrameKind.SNRM, FrameKind.UA):
        _parameters(node, frame)
    elif frame.kind in (FrameKind.I, FrameKind.UI):
        _carry(node, frame, session)


def _parameters(node: Node, frame: Frame) -> None:
    try:
        limits = decode_parameters(frame.information)
    except DecodeError as error:
        node.trouble = described(error.shifted(node.start))
        return
    node.text = (
        f"information to send {limits.max_information_transmit}, to receive {limits.max_information_receive}; "
        f"window to send {limits.window_transmit}, to receive {limits.window_receive}"
    )


def _carry(node: Node, frame: Frame, session: DecodingSession) -> None:
    """An APDU behind its LLC header: as parts of this frame, or derived when this is the last of several segments."""
    route = (frame.source.upper, frame.destination.upper)
    segments: list[tuple[int, bytes]] = waiting(session.segments, ("hdlc", *route), list)
    if segments and _begins_anew(frame, segments[-1]):
        segments.clear()
    if not segments and not frame.segmented:
        session.route = route
        node.parts = read_information(node.octets, node.start, session)
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
    tree.parts = read_information(octets, 0, session)
    node.derived.append(Derived(how, True, tree))


def _begins_anew(frame: Frame, last: tuple[int, bytes]) -> bool:
    """Whether the last segment of what waits is lost: an LLC header begins something, and the number does not follow."""
    if not begins_with_llc(frame.information) or last == (frame.send_number, frame.information):
        return False
    return frame.kind is FrameKind.UI or frame.send_number != (last[0] + 1) % WINDOW
