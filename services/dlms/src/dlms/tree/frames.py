"""Frames around APDUs, recognised by their first octets: wrapper PDUs in a row, HDLC frames in a row, or an APDU alone."""

from __future__ import annotations

from dlms.apdu.fields import UNSIGNED16
from dlms.errors import DecodeError
from dlms.framing.wrapper import HEADER_SIZE, VERSION
from dlms.tree.apdus import NOT_DECODED
from dlms.tree.hdlc import explain_hdlc
from dlms.tree.keyring import Session
from dlms.tree.node import MISSING, Node, told
from dlms.tree.protected import read_message
from dlms.tree.watching import Watcher, watched

WRAPPER = "wrapper"
HDLC_FLAG = b"\x7e"
_FIELDS = tuple((name, watched(name, UNSIGNED16)) for name in ("version", "source", "destination", "length"))
PORTS = {0x0001: "management", 0x0010: "public client", 0x007F: "all stations"}


def explain(octets: bytes, session: Session) -> list[Node]:
    """The trees of everything in the input, in order; their octets together are the input."""
    if octets.startswith(HDLC_FLAG):
        return explain_hdlc(octets, session)
    if octets.startswith(VERSION.to_bytes(2, "big")):
        return _explain_wrappers(octets, session)
    session.route = None
    return [read_message(octets, 0, session)]


def _explain_wrappers(octets: bytes, session: Session) -> list[Node]:
    found: list[Node] = []
    start = 0
    while start < len(octets):
        found.append(_wrapper(octets, start, session))
        start = found[-1].end
    return found


def _wrapper(octets: bytes, start: int, session: Session) -> Node:
    root = Node("wrapper", start, type=WRAPPER)
    reader = Watcher(octets, root, start)
    try:
        version, source, destination, length = [codec.read(reader) for _, codec in _FIELDS]
        _check(version, length, start)
    except DecodeError as error:
        return _broken(root, octets, error)
    for part in root.parts:
        part.type, part.text = "number", str(part.value)
        if part.name in ("source", "destination") and part.value in PORTS:
            part.text = f"{part.value}, {PORTS[part.value]}"
    root.text = f"{source} → {destination}"
    body = octets[start + HEADER_SIZE : start + HEADER_SIZE + length]
    if len(body) < length:
        root.parts[-1].trouble = f"{length} octets of APDU wanted, {len(body)} are there"
    session.route = (source, destination)
    root.octets = octets[start : start + HEADER_SIZE + len(body)]
    root.parts.append(read_message(body, start + HEADER_SIZE, session))
    return root


def _check(version: int, length: int, start: int) -> None:
    if version != VERSION:
        raise DecodeError(f"version {VERSION}", str(version), start, "version")
    if not length:
        raise DecodeError("a length of 1 or more", "0", start + 6, "length")


def _broken(root: Node, octets: bytes, error: DecodeError) -> Node:
    """All that is left belongs to nothing: without a header nobody knows where the next frame begins."""
    root.octets = octets[root.start :]
    root.parts = [part for part in root.parts if part.octets and part.start < error.offset]
    for part in root.parts:
        part.type, part.text = "number", str(part.value)
    end = root.parts[-1].end if root.parts else root.start
    root.parts.append(Node(NOT_DECODED, end, octets[end:], type=MISSING, trouble=told(error)))
    root.type = MISSING
    return root
