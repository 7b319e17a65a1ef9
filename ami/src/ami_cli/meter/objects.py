"""The object list of an association (class 15, attribute 2): which objects there are, and what this client may do with each.

Rights are kept as the meter codes them: enumerated up to version 2 of the class, bits from version 3 on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from ami_cli.meter.client import Association
from ami_cli.meter.errors import ExitCode, MeterError
from ami_cli.meter.options import ASSOCIATION_LN, CURRENT_ASSOCIATION
from ami_dlms.cosem.classes import class_name, class_of, interface_classes
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.short_names import STEP, NamedObject, ShortNames
from ami_dlms.data import Data
from ami_dlms.enums import DataTag
from ami_dlms.errors import DecodeError
from ami_dlms.obis import Obis

ASSOCIATION_SN = 12
R = TypeVar("R")
FIRST_TWO = (1, 2)
"""Attributes that no class has a method in place of."""
CODED_IN_BITS = 3
"""From this version of the class on."""
READS = frozenset({1, 3, 4, 6})
WRITES = frozenset({2, 3, 5, 6})
AUTHENTICATED = frozenset({4, 5, 6})
BITS = ("r", "w", "authenticated request", "encrypted request", "signed request")
ANSWER_BITS = ("authenticated response", "encrypted response", "signed response")


@dataclass(frozen=True, slots=True)
class AttributeRight:
    """What may be done with an attribute: the meter's code, and how its version of the class codes."""

    mode: int
    in_bits: bool = False
    selectors: tuple[int, ...] = ()

    @property
    def readable(self) -> bool:
        return bool(self.mode & 1) if self.in_bits else self.mode in READS

    @property
    def writable(self) -> bool:
        return bool(self.mode & 2) if self.in_bits else self.mode in WRITES

    def __str__(self) -> str:
        text = "r" * self.readable + "w" * self.writable or "–"
        if self.in_bits:
            return ", ".join([text, *_named_bits(self.mode)])
        return f"{text}, authenticated" if self.mode in AUTHENTICATED else text


@dataclass(frozen=True, slots=True)
class MethodRight:
    """Whether a method may be called."""

    mode: int
    in_bits: bool = False

    @property
    def callable(self) -> bool:
        return bool(self.mode & 1) if self.in_bits else self.mode in (1, 2)

    def __str__(self) -> str:
        text = "call" if self.callable else "–"
        if self.in_bits:
            return ", ".join([text, *_named_bits(self.mode)])
        return f"{text}, authenticated" if self.mode == 2 else text


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One line of the object list. `numbers` are the attributes that it certainly has, where the list names no rights."""

    class_id: int
    version: int
    obis: Obis
    attributes: Mapping[int, AttributeRight] = field(default_factory=dict)
    methods: Mapping[int, MethodRight] = field(default_factory=dict)
    numbers: tuple[int, ...] = ()

    def attribute(self, number: int) -> AttributeDescriptor:
        return AttributeDescriptor(self.class_id, self.obis, number)

    def __str__(self) -> str:
        return f"{class_name(self.class_id)} {self.obis} (class {self.class_id}, version {self.version})"


def read_object_list(association: Association) -> tuple[ListedObject, ...]:
    """The objects that this association shows, in the meter's order."""
    names = association.short_names()
    if names is not None:
        return of_short_names(names)
    where = association.object_list
    found = parse_object_list(association.get(where), where.instance_id)
    for line in found.odd:
        association.report(line)
    return found.objects


def of_short_names(names: ShortNames) -> tuple[ListedObject, ...]:
    """The objects of a list with short names, which tells no rights."""
    return tuple(
        ListedObject(one.class_id, one.version, one.logical_name, numbers=_certain_attributes(one)) for one in names
    )


def _certain_attributes(one: NamedObject) -> tuple[int, ...]:
    """What lies behind them may be a method, and reading its short name may call it."""
    known = class_of(one.class_id, one.version)
    if known is None or (known.version != one.version and one.first_method is None):
        return FIRST_TWO
    numbers = (attribute.number for attribute in known.attributes)
    return tuple(number for number in numbers if one.first_method is None or STEP * (number - 1) < one.first_method)


class ObjectList(NamedTuple):
    """The objects of a list, and in words which of its lines could not be read, or not in full."""

    objects: tuple[ListedObject, ...]
    odd: tuple[str, ...] = ()


def parse_object_list(value: Data, association_object: Obis = CURRENT_ASSOCIATION) -> ObjectList:
    """Objects of an encoded list; an odd line costs that line. MeterError when it is no list, or no line can be read."""
    try:
        rows = _items(value)
    except DecodeError as error:
        raise MeterError(ExitCode.NOT_UNDERSTOOD, str(error), where="the object list") from None
    in_bits = any(_is_coded_in_bits(row, association_object) for row in rows)
    objects, odd = [], []
    for number, row in enumerate(rows, 1):
        one, trouble = _object(row, in_bits)
        objects += [] if one is None else [one]
        if trouble:
            what = "left out" if one is None else f"{one}: its access rights are not all known"
            odd.append(f"line {number} of {len(rows)} of the object list, {what}: {trouble}")
    if rows and not objects:
        raise MeterError(ExitCode.NOT_UNDERSTOOD, odd[0], where="the object list")
    return ObjectList(tuple(objects), tuple(odd))


def _is_coded_in_bits(row: Data, association_object: Obis) -> bool:
    """Whether a line is the association's own, in a version whose access rights are bits."""
    try:
        class_id, version, name, _ = _elements(row, 4)
        own = _number(class_id) == ASSOCIATION_LN and _octets(name) == association_object
        return own and _number(version) >= CODED_IN_BITS
    except DecodeError:
        return False


def find(objects: Sequence[ListedObject], obis: Obis, class_id: int | None) -> ListedObject:
    """The one object of this name (and class); MeterError when there is none or more than one."""
    found = [one for one in objects if one.obis == obis and class_id in (None, one.class_id)]
    if len(found) == 1:
        return found[0]
    if found:
        classes = ", ".join(str(one.class_id) for one in found)
        raise MeterError(
            ExitCode.USAGE,
            f"objects of the classes {classes} have this name",
            where=str(obis),
            hint="choose with --class",
        )
    others = [one for one in objects if one.obis == obis]
    hint = "`ami meter scan` shows the objects that this client sees; --class N asks for it all the same"
    if others:
        hint = f"it is of class {others[0].class_id}: leave --class out"
    raise MeterError(
        ExitCode.REFUSED,
        f"the association's object list ({len(objects)} objects) does not have it",
        where=str(obis),
        hint=hint,
    )


def from_class(obis: Obis, class_id: int) -> ListedObject:
    """An object of which only class and name are given: rights are not known, so everything counts as readable."""
    known = interface_classes().get(class_id)
    if known is None:
        return ListedObject(class_id, 0, obis)
    return ListedObject(class_id, known.version, obis)


def _named_bits(mode: int) -> list[str]:
    names = BITS + ANSWER_BITS
    return [names[bit] for bit in range(2, len(names)) if mode >> bit & 1]


def _object(row: Data, in_bits: bool) -> tuple[ListedObject | None, str]:
    """An object, None when not even its name is there, and what was odd about its line."""
    try:
        class_id, version, name, rights = _elements(row, 4)
        place = _number(class_id), _number(version), _octets(name)
    except DecodeError as error:
        return None, str(error)
    try:
        attributes, methods = _elements(rights, 2)
    except DecodeError as error:
        return ListedObject(*place), str(error)
    attribute_rights, odd = _rights(attributes, _attribute_right, in_bits)
    method_rights, odder = _rights(methods, _method_right, in_bits)
    return ListedObject(*place, attribute_rights, method_rights), odd or odder


def _rights(value: Data, read: Callable[[Data, bool], tuple[int, R]], in_bits: bool) -> tuple[dict[int, R], str]:
    """The rights that can be read, and why one can't."""
    try:
        items = _items(value)
    except DecodeError as error:
        return {}, str(error)
    found, trouble = {}, ""
    for one in items:
        try:
            number, right = read(one, in_bits)
        except DecodeError as error:
            trouble = str(error)
        else:
            found[number] = right
    return found, trouble


def _attribute_right(value: Data, in_bits: bool) -> tuple[int, AttributeRight]:
    number, mode, selectors = _elements(value, 3)
    chosen = tuple(_number(one) for one in selectors.value) if selectors.tag is DataTag.ARRAY else ()
    return _number(number), AttributeRight(_number(mode), in_bits, chosen)


def _method_right(value: Data, in_bits: bool) -> tuple[int, MethodRight]:
    number, mode = _elements(value, 2)
    return _number(number), MethodRight(_number(mode), in_bits)


def _items(value: Data) -> Sequence[Data]:
    if value.tag is not DataTag.ARRAY or not isinstance(value.value, tuple):
        raise DecodeError("array", value.tag.name.lower(), field="object_list")
    return value.value


def _elements(value: Data, count: int) -> Sequence[Data]:
    if value.tag is not DataTag.STRUCTURE or len(value.value) != count:
        raise DecodeError(f"a structure of {count}", value.tag.name.lower(), field="object_list")
    elements: Sequence[Data] = value.value
    return elements


def _number(value: Data) -> int:
    if not isinstance(value.value, int):
        raise DecodeError("a number", value.tag.name.lower(), field="object_list")
    return int(value.value)


def _octets(value: Data) -> Obis:
    if not isinstance(value.value, bytes) or len(value.value) != 6:
        raise DecodeError("a logical name", value.tag.name.lower(), field="object_list")
    return Obis(value.value)
