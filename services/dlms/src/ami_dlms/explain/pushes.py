"""What a push says about its own values: the list of its objects, when it is the first of them; and lists without Data tags.

A push setup may name its own push_object_list as the first object to push: then the message explains itself.
"""

from __future__ import annotations

from ami_dlms.apdu.notify import DataNotification
from ami_dlms.cosem.classes import interface_classes
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.data import Data
from ami_dlms.enums import DataTag
from ami_dlms.errors import DlmsError
from ami_dlms.explain import texts
from ami_dlms.explain.node import FRAMING, MISSING, Node, nodes
from ami_dlms.obis import Obis

DEFINITION = 4
UNTAGGED_SIZE = 9
NOTIFICATIONS = frozenset(("data_notification", "event_notification_request"))
MAX_ATTRIBUTE = 0x7F
CURRENT = 0xFF
VALUE = "value"


def describe_push(root: Node) -> None:
    """Names beside the values of a DataNotification; for a broken one a word about descriptors without tags, if there are any."""
    if root.type == MISSING:
        _tell_untagged(root)
    elif isinstance(root.value, DataNotification):
        _name_values(root)


def _tell_untagged(root: Node) -> None:
    hint = _untagged(root.octets) if root.name in NOTIFICATIONS else ""
    broken = next((node for node in nodes(root) if node.trouble), None)
    if hint and broken is not None:
        broken.trouble += f"; {hint}"


def _name_values(root: Node) -> None:
    body = root.part("body")
    if body is None or body.value.tag is not DataTag.STRUCTURE:
        return
    elements = [part for part in body.parts if part.type != FRAMING]
    listed = _object_list(elements[0].value) if elements else []
    named = {len(elements): elements, len(elements) - 1: elements[1:]}.get(len(listed), [])
    for element, column in zip(named, listed, strict=False):
        if element is elements[0]:
            continue
        reference = AttributeDescriptor(column.class_id, column.logical_name, column.attribute_index)
        element.text = f"{element.text}: {_reference(reference)}"


def _reference(reference: AttributeDescriptor) -> str:
    """The value attribute of a register is what its OBIS code says; of others the attribute counts."""
    name = texts.attribute(reference)
    return texts.obis(reference.instance_id) + ("" if name == VALUE else f", {name}")


def _object_list(value: Data) -> list[CaptureObject]:
    if value.tag is not DataTag.ARRAY:
        return []
    try:
        return [CaptureObject.decode(_definition(item)) for item in value.value]
    except (DlmsError, TypeError):
        return []


def _definition(item: Data) -> Data:
    """Newer versions of the class have a restriction and more behind the four elements."""
    return Data(item.tag, item.value[:DEFINITION]) if item.tag is DataTag.STRUCTURE else item


def _untagged(octets: bytes) -> str:
    """The first place where a class, a logical name and an attribute stand one after the other, without tag or length."""
    for place in range(1, len(octets) - UNTAGGED_SIZE + 1):
        class_id = int.from_bytes(octets[place : place + 2], "big")
        name, attribute = octets[place + 2 : place + 8], octets[place + 8]
        if class_id not in interface_classes() or name[5] != CURRENT or not 1 <= attribute <= MAX_ATTRIBUTE:
            continue
        if texts.obis(Obis(name)) == str(Obis(name)):
            continue  # nothing is known under this name
        shown = octets[place : place + UNTAGGED_SIZE].hex(" ").upper()
        return f"{shown} reads as class {class_id}, {Obis(name)}, attribute {attribute} without Data tags"
    return ""
