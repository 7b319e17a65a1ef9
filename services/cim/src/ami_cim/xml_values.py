"""What an element holds by itself, in its text or its attributes, in both directions."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from lxml import etree

from ami_cim.decimals import decimal_of
from ami_cim.errors import InvalidMessage, LocalError
from ami_cim.white_space import SPACE
from ami_cim.xml import Element, format_boolean, format_datetime, parse_boolean, parse_datetime, printable

_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_LONGEST = timedelta(days=36_525)


@dataclass(frozen=True, slots=True)
class Value:
    """Both directions of one kind of element; what is read as None counts as absent."""

    read: Callable[[Element], Any]
    write: Callable[[Element, Any], None]


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


def _read_integer(element: Element) -> int | None:
    found = read_text(element)
    if found is None:
        return None
    if _INTEGER.fullmatch(found) is None:
        raise InvalidMessage("1.8", f"{local(element)} is no whole number of at most 18 digits", found[:40])
    return int(found)


def _read_seconds(element: Element) -> timedelta | None:
    found = read_text(element)
    if found is None:
        return None
    seconds = decimal_of(found)
    if abs(seconds) > _LONGEST.total_seconds():
        raise InvalidMessage("1.8", f"{local(element)} is longer than a century", found[:40])
    return timedelta(microseconds=int(seconds.scaleb(6).to_integral_value()))


def _write_seconds(element: Element, value: timedelta) -> None:
    element.text = f"{Decimal(value // timedelta(microseconds=1)).scaleb(-6).normalize():f}"


TEXT: Final = Value(read_text, write_text)
PROSE: Final = Value(read_text, lambda element, value: write_text(element, printable(value)))
MOMENT: Final = Value(_read_moment, _write_moment)
BOOLEAN: Final = Value(lambda element: parse_boolean(element.text or ""), _write_boolean)
INTEGER: Final = Value(_read_integer, lambda element, value: write_text(element, str(value)))
DECIMAL: Final = Value(
    lambda element: None if (found := read_text(element)) is None else decimal_of(found),
    lambda element, value: write_text(element, f"{value:f}"),
)
"""xs:decimal."""
SECONDS: Final = Value(_read_seconds, _write_seconds)
"""A duration; xs:float of seconds, kept to the microsecond."""
REFERENCE: Final = Value(
    lambda element: (element.get("ref") or "").strip(SPACE) or None,
    lambda element, code: write_attribute(element, "ref", code),
)
