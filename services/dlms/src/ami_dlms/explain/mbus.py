"""Wired M-Bus frames as trees: every octet from start to stop, the APDU of one frame, or of several segments put together."""

from __future__ import annotations

from ami_dlms.errors import DecodeError
from ami_dlms.explain.hdlc import INFORMATION
from ami_dlms.explain.keyring import DecodingSession, waiting
from ami_dlms.explain.node import MISSING, Derived, Node, described
from ami_dlms.explain.protected import read_message
from ami_dlms.framing import mbus
from ami_dlms.framing.mbus import CONTROLS, HEAD_SIZE, SAPS_SIZE, SHORT_SIZE, MbusAssembler, MbusFrame

MBUS = "mbus-frame"
ADDRESSES = {0x00: "not configured", 0xFD: "secondary addressing", 0xFE: "test", 0xFF: "broadcast"}


def read_mbus(octets: bytes, start: int, end: int, session: DecodingSession) -> Node:
    """The tree of a frame that is whole; when its sum does not hold, nothing in it is verified."""
    whole = octets[start:end]
    try:
        frame, trouble = mbus.decode(whole), ""
    except DecodeError as error:
        body = whole[1 if whole[0] == mbus.SHORT else HEAD_SIZE : -2]
        long = whole[0] == mbus.LONG
        frame = MbusFrame(body[0], body[1], body[2] if long else None, body[3:] if long else b"")
        trouble, session = described(error.shifted(start)), session.aside()
    root = Node("mbus_frame", start, whole, type=MISSING if trouble else MBUS, value=frame, trouble=trouble)
    root.text = _headline(frame) + (", not verified" if trouble else "")
    _cut(root, frame)
    if frame.ci is not None:
        _carry(root, frame, session)
    return root


def _headline(frame: MbusFrame) -> str:
    control = CONTROLS.get(frame.control, f"control {frame.control:02X}")
    return f"{'short' if frame.ci is None else 'long'} frame, {control}, {_address(frame.address)}"


def _address(address: int) -> str:
    return f"address {address}" + (f", {ADDRESSES[address]}" if address in ADDRESSES else "")


def _cut(root: Node, frame: MbusFrame) -> None:
    place, size = root.start, len(root.octets)
    head = 1 if size == SHORT_SIZE else HEAD_SIZE

    def add(name: str, count: int, text: str, value: int | bytes | None = None) -> None:
        nonlocal place
        octets = root.octets[place - root.start : place - root.start + count]
        kind = "framing" if value is None else "number" if isinstance(value, int) else "octets"
        root.parts.append(Node(name, place, octets, kind, value, text))
        place += count

    add("start", head, "short frame" if head == 1 else f"long frame, length {root.octets[1]}")
    add("control", 1, CONTROLS.get(frame.control, f"{frame.control:02X}"), frame.control)
    add("address", 1, _address(frame.address), frame.address)
    if frame.ci is not None:
        add("ci", 1, _ci(frame.ci), frame.ci)
        data = frame.data
        if frame.ci <= mbus.MAX_SEGMENT_CI and len(data) >= SAPS_SIZE:
            add("stsap", 1, str(data[0]), data[0])
            add("dtsap", 1, str(data[1]), data[1])
            data = data[SAPS_SIZE:]
        if data:
            add("information", len(data), "", data)
    sound = mbus.check_sum(root.octets[head:-2]) == root.octets[-2]
    computed = f"{mbus.check_sum(root.octets[head:-2]):02X} computed"
    add("check_sum", 1, "holds" if sound else f"does not hold: {root.octets[-2]:02X} found, {computed}")
    add("stop", 1, "")


def _ci(ci: int) -> str:
    if ci > mbus.MAX_SEGMENT_CI:
        return f"{ci:02X}, no DLMS"
    return f"segment {ci & mbus.SEGMENT_NUMBER}{', the last' if ci & mbus.LAST_SEGMENT else ', more follow'}"


def _carry(root: Node, frame: MbusFrame, session: DecodingSession) -> None:
    """An APDU in its place when one segment is all, or derived from the last of several."""
    try:
        segment = mbus.segment_of(frame)
    except DecodeError as error:
        root.parts[-3].trouble = described(error.shifted(root.start))
        return
    information = root.part("information")
    if segment is None or information is None:
        if information is not None:
            information.text = f"{len(information.octets)} octets"
        return
    route = (segment.source, segment.destination)
    assembler = waiting(session.assemblers, (frame.address, *route), MbusAssembler)
    if segment.last and not segment.number and not assembler.count:
        session.route = route
        information.parts = [read_message(information.octets, information.start, session)]
        information.type = INFORMATION
        return
    try:
        whole = assembler.take(segment)
    except DecodeError as error:
        information.trouble = f"{described(error.shifted(root.start))}: a segment before this one is missing"
        return
    information.text = f"segment {segment.number}, {len(information.octets)} octets"
    if whole is not None:
        session.route = route
        information.derived.append(Derived("put together from all segments", True, read_message(whole, 0, session)))
