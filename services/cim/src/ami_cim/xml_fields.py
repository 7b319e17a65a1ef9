"""Children of an element declared once and used both ways, so that reading and writing cannot drift apart.

A shape is a tuple of `Part` in the schema's order. Reading does not look at the order (the schema does that), ignores
elements that no part names, and raises InvalidMessage for a mandatory part that lacks or a single one that is doubled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lxml import etree

from ami_cim.errors import InvalidMessage, LocalError
from ami_cim.xml import SPACE, Element, format_boolean, format_datetime, parse_boolean, parse_datetime, printable


@dataclass(frozen=True, slots=True)
class Part:
    """One child element: its Clark name, the attribute of the value that holds it, and both directions."""

    tag: str
    attribute: str
    read: Callable[[Element], Any]
    write: Callable[[Element, Any], None]
    many: bool = False
    mandatory: str | None = None
    """The reply code to answer when it lacks."""


Shape = tuple[Part, ...]


def by_tag(shape: Shape) -> Mapping[str, Part]:
    """The shape as the table that `read` wants."""
    return {part.tag: part for part in shape}


def read(element: Element, table: Mapping[str, Part]) -> dict[str, Any]:
    """Constructor arguments out of the children of an element."""
    values: dict[str, Any] = {}
    for child in element.iterchildren("*"):
        part = table.get(child.tag)
        if part is None:
            continue
        value = part.read(child)
        if value is None:
            continue
        if part.many:
            values.setdefault(part.attribute, []).append(value)
        elif part.attribute in values:
            raise InvalidMessage("1.8", f"{local(child)} is there twice in {local(element)}")
        else:
            values[part.attribute] = value
    for part in table.values():
        if part.mandatory is not None and part.attribute not in values:
            raise InvalidMessage(part.mandatory, f"{local(element)} has no {etree.QName(part.tag).localname}")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def write(parent: Element, shape: Shape, value: object) -> None:
    """Append the children of a value to its element."""
    for part in shape:
        held = getattr(value, part.attribute)
        for item in held if part.many else (() if held is None else (held,)):
            part.write(etree.SubElement(parent, part.tag), item)


def text(tag: str, attribute: str, *, mandatory: str | None = None) -> Part:
    """xs:string; surrounding white space is not significant, an empty element counts as absent."""
    return Part(tag, attribute, read_text, write_text, mandatory=mandatory)


def prose(tag: str, attribute: str) -> Part:
    """xs:string for people: characters that XML cannot carry are replaced and not refused."""
    return Part(tag, attribute, read_text, lambda element, value: write_text(element, printable(value)))


def moment(tag: str, attribute: str, *, mandatory: str | None = None) -> Part:
    """xs:dateTime."""
    return Part(tag, attribute, _read_moment, _write_moment, mandatory=mandatory)


def boolean(tag: str, attribute: str) -> Part:
    """xs:boolean."""
    return Part(tag, attribute, lambda element: parse_boolean(element.text or ""), _write_boolean)


def read_text(element: Element) -> str | None:
    """The element's own text without surrounding white space, or None if there is nothing."""
    return (element.text or "").strip(SPACE) or None


def write_text(element: Element, value: str) -> None:
    """Set the text; LocalError for characters that XML cannot carry."""
    try:
        element.text = value
    except ValueError as error:
        raise LocalError(f"{local(element)} cannot carry this text", str(error)) from None


def write_attribute(element: Element, name: str, value: str | None) -> None:
    """Set an attribute if there is a value; LocalError for characters that XML cannot carry."""
    if value is None:
        return
    try:
        element.set(name, value)
    except ValueError as error:
        raise LocalError(f"{name} of {local(element)} cannot carry this text", str(error)) from None


def local(element: Element) -> str:
    """The local name of an element."""
    return etree.QName(element).localname


def _read_moment(element: Element) -> datetime | None:
    return parse_datetime(element.text) if element.text and element.text.strip(SPACE) else None


def _write_moment(element: Element, value: datetime) -> None:
    try:
        element.text = format_datetime(value)
    except ValueError as error:
        raise LocalError(f"{local(element)} needs a moment", str(error)) from None


def _write_boolean(element: Element, value: bool) -> None:
    element.text = format_boolean(value)
