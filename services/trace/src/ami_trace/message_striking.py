"""A message of CIM for strangers: which elements there are, what is asked, and of which meters; no value beside that.

What stays is listed and all else is struck out, so an element that nobody has thought of gives nothing away. Attributes
stay where they name a type.
"""

from __future__ import annotations

from lxml import etree

from ami_cim.errors import CimError
from ami_cim.xml import parse, serialize

STRUCK = "***"
_HEADER = frozenset(
    {
        "AsyncReplyFlag",
        "CorrelationID",
        "MessageID",
        "Noun",
        "ReplyAddress",
        "Revision",
        "Source",
        "Timestamp",
        "Verb",
    }
)
"""Elements of a Header that say what is asked by which system; the others may name people."""
_TIMES = frozenset({"start", "end"})
_NAMES = frozenset({"mRID", "name"})
_NAMED = frozenset(
    {
        "EndDevice",
        "EndDeviceControlType",
        "EndDeviceEventType",
        "EndDeviceGroup",
        "Meter",
        "ReadingType",
        "UsagePoint",
        "UsagePointGroup",
    }
)
"""Elements whose mRID and name say of what something is asked; those of customers and places are not among them."""
_TYPES = frozenset({"ref"})


def without_values(xml: str) -> str | None:
    """The document with every value struck out that is not listed here; None where it can't be read."""
    try:
        root = parse(xml.encode())
    except CimError:
        return None
    for element in root.iter():
        if not isinstance(element.tag, str):
            continue
        if element.text and element.text.strip() and not _stays(element):
            element.text = STRUCK
        if element.tail and element.tail.strip():
            element.tail = STRUCK
        for name in element.attrib:
            if name not in _TYPES:
                element.set(name, STRUCK)
    return serialize(root).decode()


def _stays(element: etree._Element) -> bool:
    above = [etree.QName(one).localname for one in (element, *element.iterancestors()) if isinstance(one.tag, str)]
    name, owners = above[0], above[1:3]
    if name in _HEADER:
        return owners[:1] == ["Header"]
    if name in _NAMES:
        return bool(owners) and (owners[1] if owners[0] == "Names" and len(owners) > 1 else owners[0]) in _NAMED
    return name in _TIMES and owners[:1] in (["timePeriod"], ["timeInterval"])
