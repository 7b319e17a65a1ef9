"""Which values an attribute or a parameter of a method may have, where the standard has a structure, an array or a CHOICE.

Strategy: a shape is made of parts and says of a decoded value whether it fits; what a client writes is checked whole before
anything of it counts. Every array and string has a limit, so that a client can't fill a meter.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDate, CosemDateTime, CosemTime
from ami_dlms.enums import DataTag
from ami_dlms.errors import DlmsError

Shape = Callable[[Data], bool]
"""Whether a value fits."""

MOST_ELEMENTS = 256
MOST_OCTETS = 1024


@dataclass(frozen=True, slots=True)
class Number:
    """A number of one type; `within` narrows it."""

    tag: DataTag
    within: range | None = None

    def __call__(self, value: Data) -> bool:
        """As `Shape`."""
        if value.tag != self.tag:
            return False
        return self.within is None or value.value in self.within


@dataclass(frozen=True, slots=True)
class Octets:
    """An octet-string of one length, or of up to `most` octets."""

    length: int | None = None
    most: int = MOST_OCTETS

    def __call__(self, value: Data) -> bool:
        """As `Shape`."""
        if value.tag != DataTag.OCTET_STRING:
            return False
        return len(value.value) <= self.most if self.length is None else len(value.value) == self.length


@dataclass(frozen=True, slots=True)
class Array:
    """Up to `most` elements of one shape."""

    element: Shape
    most: int = MOST_ELEMENTS

    def __call__(self, value: Data) -> bool:
        """As `Shape`."""
        return value.tag == DataTag.ARRAY and len(value.value) <= self.most and all(map(self.element, value.value))


@dataclass(frozen=True, slots=True, init=False)
class Structure:
    """Exactly these elements."""

    elements: tuple[Shape, ...]

    def __init__(self, *elements: Shape) -> None:
        object.__setattr__(self, "elements", elements)

    def __call__(self, value: Data) -> bool:
        """As `Shape`."""
        if value.tag != DataTag.STRUCTURE or len(value.value) != len(self.elements):
            return False
        return all(fits(part) for fits, part in zip(self.elements, value.value, strict=True))


@dataclass(frozen=True, slots=True, init=False)
class AnyOf:
    """One of several shapes."""

    shapes: tuple[Shape, ...]

    def __init__(self, *shapes: Shape) -> None:
        object.__setattr__(self, "shapes", shapes)

    def __call__(self, value: Data) -> bool:
        """As `Shape`."""
        return any(fits(value) for fits in self.shapes)


@dataclass(frozen=True, slots=True)
class Bits:
    """A bit-string of up to `most` bits."""

    most: int = MOST_ELEMENTS

    def __call__(self, value: Data) -> bool:
        """As `Shape`."""
        return value.tag == DataTag.BIT_STRING and len(value.value) <= self.most


def plain(value: Data) -> bool:
    """A value without elements of its own: a number, a string, a time; a string of at most `MOST_OCTETS`."""
    if value.tag in (DataTag.ARRAY, DataTag.STRUCTURE, DataTag.COMPACT_ARRAY):
        return False
    return not isinstance(value.value, bytes | str | tuple) or len(value.value) <= MOST_OCTETS


def number(value: Data) -> bool:
    """A whole number of any type."""
    return isinstance(value.value, int) and value.tag is not DataTag.BOOLEAN


def boolean(value: Data) -> bool:
    """A boolean."""
    return value.tag == DataTag.BOOLEAN


def date_time_octets(value: Data) -> bool:
    """A date-time in 12 octets, with or without wildcards."""
    return Octets(12)(value) and _decodes(CosemDateTime.decode, value.value)


def date_octets(value: Data) -> bool:
    """A date in 5 octets, with or without wildcards."""
    return Octets(5)(value) and _decodes(CosemDate.decode, value.value)


def time_octets(value: Data) -> bool:
    """A time in 4 octets, with or without wildcards."""
    return Octets(4)(value) and _decodes(CosemTime.decode, value.value)


def _decodes(decode: Callable[[bytes], object], octets: bytes) -> bool:
    try:
        decode(octets)
    except DlmsError:
        return False
    return True


INT8 = Number(DataTag.INTEGER)
UINT8 = Number(DataTag.UNSIGNED)
UINT16 = Number(DataTag.LONG_UNSIGNED)
UINT32 = Number(DataTag.DOUBLE_LONG_UNSIGNED)
LOGICAL_NAME = Octets(6)
SCRIPT = Structure(LOGICAL_NAME, UINT16)
"""script_logical_name, script_selector."""
VALUE_DEFINITION = Structure(UINT16, LOGICAL_NAME, INT8)
"""class_id, logical_name, attribute_index: one attribute of one object."""
