"""An object list read strictly: its lines as objects with rights, and what is wrong with the others (IEC 62056-6-2, class_id 15).

Up to version 2 of the class a right is one of a list of modes, from version 3 on it is a set of bits; which it is, the line of the
association itself says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import DataTag
from ami_dlms.obis import Obis

ASSOCIATION_LN = 15
CURRENT_ASSOCIATION = Obis.parse("0-0:40.0.0*255")
OBJECT_LIST = AttributeDescriptor(ASSOCIATION_LN, CURRENT_ASSOCIATION, 2)
CODED_IN_BITS = 3
READS, WRITES, AUTHENTICATED = frozenset({1, 3, 4, 6}), frozenset({2, 3, 5, 6}), frozenset({4, 5, 6})
ObjectKey = tuple[int, Obis]


@dataclass(frozen=True, slots=True)
class AttributeRight:
    """What the list grants for one attribute, and the selectors that it names."""

    mode: int
    in_bits: bool = False
    selectors: tuple[int, ...] = ()

    @property
    def readable(self) -> bool:
        return bool(self.mode & 1) if self.in_bits else self.mode in READS

    @property
    def writable(self) -> bool:
        return bool(self.mode & 2) if self.in_bits else self.mode in WRITES

    @property
    def demands(self) -> bool:
        """Whether a request has to be protected in a certain way."""
        return self.mode > 3


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One line. `methods` are the callable ones among those that are listed."""

    class_id: int
    version: int
    obis: Obis
    attributes: Mapping[int, AttributeRight] = field(default_factory=dict)
    methods: Mapping[int, bool] = field(default_factory=dict)

    @property
    def key(self) -> ObjectKey:
        return self.class_id, self.obis

    def attribute(self, number: int) -> AttributeDescriptor:
        return AttributeDescriptor(self.class_id, self.obis, number)

    def method(self, number: int) -> MethodDescriptor:
        return MethodDescriptor(self.class_id, self.obis, number)

    def readable(self, number: int) -> bool:
        right = self.attributes.get(number)
        return right is not None and right.readable

    def __str__(self) -> str:
        return f"{self.obis} (class {self.class_id})"


@dataclass(frozen=True, slots=True)
class ObjectList:
    """Its objects in the meter's order, and its odd lines in words."""

    objects: tuple[ListedObject, ...]
    odd: tuple[str, ...] = ()

    def of_class(self, *class_ids: int) -> list[ListedObject]:
        return [one for one in self.objects if one.class_id in class_ids]

    def find(self, class_id: int, obis: Obis) -> ListedObject | None:
        return next((one for one in self.objects if one.key == (class_id, obis)), None)


class _Odd(Exception):
    """Why a line can't be read."""


def parse_object_list(value: Data) -> ObjectList:
    """Every line that can be read; the rest is in `odd`, as is a value that is no list at all."""
    if value.tag is not DataTag.ARRAY:
        return ObjectList((), (f"the object list is no array but {word(value)}",))
    rows: Sequence[Data] = value.value
    in_bits = any(_own_line_in_bits(row) for row in rows)
    objects, odd = [], []
    for number, row in enumerate(rows, 1):
        try:
            objects.append(_object(row, in_bits))
        except _Odd as trouble:
            odd.append(f"line {number} of {len(rows)}: {trouble}")
    seen: set[ObjectKey] = set()
    for one in objects:
        if one.key in seen:
            odd.append(f"{one} is there twice")
        seen.add(one.key)
    return ObjectList(tuple(objects), tuple(odd))


def word(value: Data) -> str:
    """The type of a value as the standard writes it."""
    return value.tag.name.lower().replace("_", "-")


def _own_line_in_bits(row: Data) -> bool:
    try:
        class_id, version, name, _ = _elements(row, 4)
        own = _whole(class_id, DataTag.LONG_UNSIGNED) == ASSOCIATION_LN and _name(name) == CURRENT_ASSOCIATION
        return own and _whole(version, DataTag.UNSIGNED) >= CODED_IN_BITS
    except _Odd:
        return False


def _object(row: Data, in_bits: bool) -> ListedObject:
    class_id, version, name, rights = _elements(row, 4)
    attributes, methods = _elements(rights, 2)
    return ListedObject(
        _whole(class_id, DataTag.LONG_UNSIGNED),
        _whole(version, DataTag.UNSIGNED),
        _name(name),
        dict(_attribute(item, in_bits) for item in _items(attributes)),
        dict(_method(item, in_bits) for item in _items(methods)),
    )


def _attribute(item: Data, in_bits: bool) -> tuple[int, AttributeRight]:
    number, mode, selectors = _elements(item, 3)
    chosen: tuple[int, ...] = ()
    if selectors.tag is DataTag.ARRAY:
        chosen = tuple(_whole(one, DataTag.INTEGER) for one in selectors.value)
    elif selectors.tag is not DataTag.NULL_DATA:
        raise _Odd(f"access_selectors are {word(selectors)}")
    return _whole(number, DataTag.INTEGER), AttributeRight(_whole(mode, DataTag.ENUM), in_bits, chosen)


def _method(item: Data, in_bits: bool) -> tuple[int, bool]:
    number, mode = _elements(item, 2)
    if mode.tag is DataTag.BOOLEAN:  # version 0 of the class
        return _whole(number, DataTag.INTEGER), bool(mode.value)
    granted = _whole(mode, DataTag.ENUM)
    return _whole(number, DataTag.INTEGER), bool(granted & 1) if in_bits else granted in (1, 2)


def _items(value: Data) -> Sequence[Data]:
    if value.tag is not DataTag.ARRAY:
        raise _Odd(f"an array was expected, not {word(value)}")
    items: Sequence[Data] = value.value
    return items


def _elements(value: Data, count: int) -> Sequence[Data]:
    if value.tag is not DataTag.STRUCTURE or len(value.value) != count:
        raise _Odd(f"a structure of {count} was expected, not {word(value)}")
    items: Sequence[Data] = value.value
    return items


def _whole(value: Data, tag: DataTag) -> int:
    if value.tag is not tag:
        raise _Odd(f"{tag.name.lower().replace('_', '-')} was expected, not {word(value)}")
    return int(value.value)


def _name(value: Data) -> Obis:
    if value.tag is not DataTag.OCTET_STRING or len(value.value) != 6:
        raise _Odd("a logical name of 6 octets was expected")
    return Obis(value.value)
