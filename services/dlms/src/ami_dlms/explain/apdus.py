"""One APDU as a tree, as far as it goes: of a broken one, everything up to the octet at which it broke."""

from __future__ import annotations

from typing import Any

from ami_dlms.apdu import CODECS
from ami_dlms.apdu.ciphered import ServiceCiphering
from ami_dlms.apdu.codec import Codec
from ami_dlms.enums import ApduTag
from ami_dlms.errors import DecodeError
from ami_dlms.explain.annotate import annotate
from ami_dlms.explain.node import FRAMING, MISSING, Node, described, nodes
from ami_dlms.explain.summaries import headline
from ami_dlms.explain.tracing import Tracer, of_traced_parts
from ami_dlms.explain.value_types import kebab, snake

APDU = "apdu"
NOT_DECODED = "not_decoded"


def read_apdu(octets: bytes, start: int = 0) -> Node:
    """The tree of an APDU whose first octet is number `start` of what it came in; its value is the decoded APDU."""
    root = Node("apdu", 0, octets, type="")
    reader = Tracer(octets, root)
    try:
        reader.begin("tag", None)
        tag = reader.u8()
        reader.finish_part(tag)
        known = CODECS.get(tag)
        if known is None:
            raise DecodeError("the tag of a known APDU", f"0x{tag:02X}")
        root.name, root.codec = snake(known[0]), known[1]
        root.value = of_traced_parts(known[1]).read(reader)
        reader.finish()
    except DecodeError as error:
        error = error.shifted(start)
        _break_off(reader, root, error if root.codec is None else error.within(root.name))
    _finish(root)
    _shift(root, start)
    return root


def read_part(name: str, codec: Codec[Any], octets: bytes) -> Node:
    """The tree of octets that are encoded by a codec and are no whole APDU."""
    root = Node(name, 0, octets, type="", codec=codec)
    reader = Tracer(octets, root)
    try:
        root.value = of_traced_parts(codec).read(reader)
        reader.finish()
    except DecodeError as error:
        _break_off(reader, root, error)
    annotate(root)
    return root


def _break_off(reader: Tracer, root: Node, error: DecodeError) -> None:
    """The innermost unfinished part takes all the octets that are left, and the blame."""
    octets = reader.octets
    for node in reader.open_nodes:
        node.octets = octets[node.start :]
        node.type = MISSING
    innermost = reader.open_nodes[-1]
    innermost.trouble = described(error)
    if innermost.parts:
        end = innermost.parts[-1].end
        innermost.parts.append(Node(NOT_DECODED, end, octets[end:], type=MISSING))


def _finish(root: Node) -> None:
    """The tag and the octet that chooses the form are one leaf."""
    tag = root.parts[0]
    tag.type, tag.text = FRAMING, ""
    if tag.octets and not tag.trouble and root.type != MISSING:
        root.name = _name(root.value)
        root.parts.pop(0)
        annotate(root)
        root.type, root.text = APDU, headline(root)
        if not root.parts:
            root.parts = [Node("tag", 0, root.octets)]
        first = root.parts[0]
        if first.type == FRAMING:
            first.name, first.text = _framing_name(root, first), root.name.replace("_", "-")
    else:
        tag.text = _tag_words(tag)
        annotate(root)


def _framing_name(root: Node, first: Node) -> str:
    return "tag_length" if root.codec is not None and first.name == "length" else "tag"


def _name(value: Any) -> str:
    return ApduTag(value.tag).name.lower() if isinstance(value, ServiceCiphering) else snake(type(value).__name__)


def _tag_words(tag: Node) -> str:
    known = tag.octets and tag.octets[0] in set(ApduTag)
    return kebab(ApduTag(tag.octets[0]).name) if known else "unknown tag"


def _shift(root: Node, start: int) -> None:
    for node in nodes(root):
        node.start += start
