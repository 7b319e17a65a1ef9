"""The finish of a tree that has just been read: types for documents, words for people, leaves for the octets in between.

What a field's value alone does not tell comes from its name and its neighbours: the class of an attribute's number, the bits
of an invoke id, the alternative that a CHOICE took.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ami_dlms.apdu.acse_fields import UNUSED, Elements
from ami_dlms.apdu.codec import Choice, Codec, DataChoice, Optional, SequenceOf
from ami_dlms.cosem.classes import class_name
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import DataTag
from ami_dlms.explain import texts
from ami_dlms.explain.node import FRAMING, MISSING, Node, fill
from ami_dlms.explain.value_types import LIST, spell, type_word

CONTAINERS = (DataTag.ARRAY, DataTag.STRUCTURE)
HIGH_PRIORITY, CONFIRMED, INVOKE_ID = 0x80, 0x40, 0x0F
LONG_FLAGS = {28: "self-descriptive", 29: "break on error", 30: "confirmed", 31: "high priority"}
LONG_INVOKE_ID = 0xFFFFFF


def annotate(node: Node) -> None:
    """Type, words and left-over octets of a node and of all its parts."""
    for part in node.parts:
        annotate(part)
        tell = _BY_NAME.get(part.name)
        if tell is not None and part.type != MISSING and part.value is not None:
            part.text = tell(part.value)
    _from_neighbours(node)
    if not node.type:
        node.type = type_of(node)
    if not node.text and node.type not in (FRAMING, MISSING):
        node.text = _text(node)
    fill(node, "_".join(_roles(node.codec, node.value)) or "framing", _framing_text(node))


def type_of(node: Node) -> str:
    """The word that says how a document's part becomes a value again."""
    if node.codec is UNUSED:
        return FRAMING
    if type(node.value) is not Data and isinstance(node.value, tuple) and is_list(node.codec):
        return LIST
    return type_word(type(node.value)) if node.parts and type(node.value) is not Data else spell(node.value)[0]


def is_list(codec: Codec[Any] | None) -> bool:
    """Whether a codec, optional or not, is a SEQUENCE OF."""
    return is_list(codec.part) if isinstance(codec, Optional) else isinstance(codec, SequenceOf)


def _text(node: Node) -> str:
    """A record whose parts say everything says its type."""
    return node.type if node.parts and texts.is_record(node.value) else texts.text_of(node.value)


def _roles(codec: Codec[Any] | None, value: Any) -> list[str]:
    """What the octets of a node are for that none of its parts has."""
    if type(value) is Data and (codec is None or isinstance(codec, DataChoice)):
        return ["type", "count"] if value.tag in CONTAINERS else ["type"]
    match codec:
        case Optional(part):
            return ["presence", *_roles(part, value)]
        case Choice(alternatives):
            return ["choice", *_roles(_chosen(alternatives, value), value)]
        case SequenceOf():
            return ["count"]
        case Elements():
            return ["length"]
    return []


def _chosen(alternatives: Mapping[int, tuple[type, Codec[Any]]], value: Any) -> Codec[Any] | None:
    return next((codec for kind, codec in alternatives.values() if kind is type(value)), None)


def _framing_text(node: Node) -> str:
    if type(node.value) is Data:
        return texts.text_of(node.value).partition(":")[0]
    if isinstance(node.value, tuple):
        return texts.text_of(node.value)
    return node.type if node.type not in (FRAMING, MISSING) else ""


def _from_neighbours(node: Node) -> None:
    value = node.value
    if isinstance(value, AttributeDescriptor | MethodDescriptor):
        reference = texts.descriptor(value)
        name = reference.partition(f" {value.instance_id} ")[2].partition(" (")[0]
        number = value.attribute_id if isinstance(value, AttributeDescriptor) else value.method_id
        for part in node.parts[-1:]:
            part.text = f"{name} ({number})"


def _invoke_id(value: int) -> str:
    flags = "confirmed" if value & CONFIRMED else "unconfirmed"
    return f"id {value & INVOKE_ID}, {flags}, {'high' if value & HIGH_PRIORITY else 'normal'} priority"


def _long_invoke_id(value: int) -> str:
    flags = [name for bit, name in LONG_FLAGS.items() if value >> bit & 1]
    return ", ".join([f"id {value & LONG_INVOKE_ID}", *flags])


_BY_NAME: Mapping[str, Callable[[Any], str]] = {
    "invoke_id_and_priority": _invoke_id,
    "long_invoke_id_and_priority": _long_invoke_id,
    "class_id": lambda value: f"{class_name(value)} ({value})",
    "system_title": texts.system_title,
    "calling_ap_title": texts.system_title,
    "responding_ap_title": texts.system_title,
    "originator_system_title": texts.system_title,
    "recipient_system_title": texts.system_title,
}
