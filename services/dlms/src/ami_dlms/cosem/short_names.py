"""Short name referencing (IEC 62056-6-2, clause 4.1.2): 16 bit names of attributes and methods, and back.

Every object has a base name. Attribute n lies 8 * (n - 1) behind it; methods begin at an offset of the class, kept as data in
short_names.toml. A meter tells its base names in the object_list of its association, which is read and written here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from ami_dlms import data
from ami_dlms.cosem.classes import class_versions
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.cosem.tables import table
from ami_dlms.data import Data
from ami_dlms.enums import DataTag
from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.frozen import frozen
from ami_dlms.obis import Obis

STEP = 8
NAMES = range(0x10000)


@cache
def _first_methods() -> Mapping[tuple[int, int], int]:
    return {(row["class_id"], row["version"]): row["first_method"] for row in table("short_names")["methods"]}


def reserved_base_name(kind: str) -> int:
    """Base name of "association_sn", "script_table", "sap_assignment" or "logical_device_name"."""
    name: int = table("short_names")["reserved"][kind]
    return name


@frozen
class NamedObject:
    """One element of an object_list with short names."""

    base_name: int
    class_id: int
    version: int
    logical_name: Obis

    def __post_init__(self) -> None:
        if self.base_name not in NAMES or self.base_name % STEP:
            raise LocalError(f"a base name is a multiple of {STEP} in 16 bits, not {self.base_name:#06x}")

    @property
    def first_method(self) -> int | None:
        """Offset of method 1, or None when it is not known for this class and version."""
        return _first_methods().get((self.class_id, self.version))

    def at(self, offset: int) -> AttributeDescriptor | MethodDescriptor | None:
        """What lies `offset` behind the base name."""
        first = self.first_method
        number, rest = divmod(offset, STEP)
        attributes, methods = self._counts()
        if rest:
            return None
        if first is not None and offset >= first:
            method = number - first // STEP + 1
            return MethodDescriptor(self.class_id, self.logical_name, method) if method <= methods else None
        if number >= attributes:
            return None
        return AttributeDescriptor(self.class_id, self.logical_name, number + 1)

    def offset_of(self, descriptor: AttributeDescriptor | MethodDescriptor) -> int:
        """Inverse of `at`; LocalError for a method whose offset is not known."""
        if isinstance(descriptor, AttributeDescriptor):
            if descriptor.attribute_id < 1:
                raise LocalError("there is no short name for all attributes together")
            return STEP * (descriptor.attribute_id - 1)
        first = self.first_method
        if first is None or descriptor.method_id < 1:
            raise LocalError(f"no short name is known for {descriptor}")
        return first + STEP * (descriptor.method_id - 1)

    def encode(self) -> Data:
        """object_list_element."""
        signed = self.base_name - 0x10000 if self.base_name >= 0x8000 else self.base_name
        return data.structure(
            data.long(signed),
            data.long_unsigned(self.class_id),
            data.unsigned(self.version),
            data.octet_string(self.logical_name),
        )

    @classmethod
    def decode(cls, value: Data) -> NamedObject:
        """Inverse of encode; DecodeError for any other shape."""
        shape = (DataTag.LONG, DataTag.LONG_UNSIGNED, DataTag.UNSIGNED, DataTag.OCTET_STRING)
        items = value.value
        if value.tag is not DataTag.STRUCTURE or tuple(item.tag for item in items) != shape:
            raise DecodeError("a structure of base_name, class_id, version, logical_name", field="object_list_element")
        base_name, class_id, version, name = (item.value for item in items)
        if len(name) != 6 or base_name % STEP:
            raise DecodeError("a logical name of 6 octets and a base name in steps of 8", field="object_list_element")
        return cls(base_name & 0xFFFF, class_id, version, Obis(name))

    def _counts(self) -> tuple[int, int]:
        """How many attributes and methods there are; without limit for a class or version that is not known."""
        known = class_versions().get((self.class_id, self.version))
        if known is None:
            return len(NAMES), len(NAMES)
        return len(known.attributes), len(known.methods)


class ShortNames:
    """The objects of one association by their short names; immutable."""

    __slots__ = ("_bases", "_by_descriptor", "_objects")

    def __init__(self, objects: Iterable[NamedObject]) -> None:
        self._objects = sorted(objects, key=lambda item: item.base_name)
        self._bases = [item.base_name for item in self._objects]
        self._by_descriptor = {(item.class_id, item.logical_name): item for item in self._objects}
        if len(set(self._bases)) != len(self._objects):
            raise LocalError("two objects have the same base name")
        if len(self._by_descriptor) != len(self._objects):
            raise LocalError("one object has two base names")

    def __iter__(self) -> Iterator[NamedObject]:
        return iter(self._objects)

    def __len__(self) -> int:
        return len(self._objects)

    def resolve(self, name: int) -> AttributeDescriptor | MethodDescriptor | None:
        """What a short name stands for; None when it stands for nothing that is known."""
        index = bisect_right(self._bases, name)
        if not index:
            return None
        found = self._objects[index - 1]
        return found.at(name - found.base_name)

    def name_of(self, descriptor: AttributeDescriptor | MethodDescriptor) -> int:
        """The short name of an attribute or method; LocalError when it has none."""
        found = self._by_descriptor.get((descriptor.class_id, descriptor.instance_id))
        if found is None:
            raise LocalError(f"no short name is known for {descriptor}")
        name = found.base_name + found.offset_of(descriptor)
        if self.resolve(name) != descriptor:
            raise LocalError(f"no short name is known for {descriptor}")
        return name

    def encode(self) -> Data:
        """object_list of an Association SN."""
        return data.array(*(item.encode() for item in self._objects))

    @classmethod
    def decode(cls, value: Data) -> ShortNames:
        """The objects of an object_list; DecodeError for any other shape, and for two objects of one name."""
        if value.tag is not DataTag.ARRAY:
            raise DecodeError("an array", value.tag.name.lower(), field="object_list")
        objects = [NamedObject.decode(item) for item in value.value]
        try:
            return cls(objects)
        except LocalError as error:
            raise DecodeError("objects with base names of their own", str(error), field="object_list") from None
