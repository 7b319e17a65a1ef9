"""Names of the interface classes, their attributes and methods (IEC 62056-6-2), read once from classes.toml beside this file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TypeVar

from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.cosem.tables import table
from ami_dlms.frozen import frozen


@frozen
class Attribute:
    """An attribute: its number, its name and the standard's word for its type."""

    number: int
    name: str
    type: str


@frozen
class Method:
    """A method: its number and its name."""

    number: int
    name: str


N = TypeVar("N", Attribute, Method)


@frozen
class InterfaceClass:
    """An interface class in the version that `version` says."""

    class_id: int
    version: int
    name: str
    attributes: tuple[Attribute, ...]
    methods: tuple[Method, ...]
    source: str

    def attribute(self, name: str) -> Attribute:
        """The attribute of this name; KeyError when the class has none."""
        return _named(self.attributes, name)

    def method(self, name: str) -> Method:
        """The method of this name; KeyError when the class has none."""
        return _named(self.methods, name)


def _named(numbered: tuple[N, ...], name: str) -> N:
    for one in numbered:
        if one.name == name:
            return one
    raise KeyError(name)


@cache
def class_versions() -> Mapping[tuple[int, int], InterfaceClass]:
    """Every class that is known, by class_id and version."""
    return {
        (row["class_id"], row["version"]): InterfaceClass(
            row["class_id"],
            row["version"],
            row["name"],
            tuple(Attribute(number, name, kind) for number, (name, kind) in enumerate(row["attributes"], 1)),
            tuple(Method(number, name) for number, name in enumerate(row["methods"], 1)),
            row["source"],
        )
        for row in table("classes")["classes"]
    }


@cache
def interface_classes() -> Mapping[int, InterfaceClass]:
    """The newest version of every class that is known, by class_id."""
    return {class_id: one for (class_id, _), one in sorted(class_versions().items())}


def class_of(class_id: int, version: int) -> InterfaceClass | None:
    """The class in this version, or in the newest that is known where this one is not; None for an unknown class."""
    return class_versions().get((class_id, version)) or interface_classes().get(class_id)


def class_name(class_id: int) -> str:
    """Name of a class; "class 999" when it is not known."""
    known = interface_classes().get(class_id)
    return known.name if known else f"class {class_id}"


def attribute_name(descriptor: AttributeDescriptor) -> str:
    """Name of an attribute; "attribute 9" when it is not known."""
    known = interface_classes().get(descriptor.class_id)
    names = {attribute.number: attribute.name for attribute in known.attributes} if known else {}
    return names.get(descriptor.attribute_id, f"attribute {descriptor.attribute_id}")


def method_name(descriptor: MethodDescriptor) -> str:
    """Name of a method; "method 9" when it is not known."""
    known = interface_classes().get(descriptor.class_id)
    names = {method.number: method.name for method in known.methods} if known else {}
    return names.get(descriptor.method_id, f"method {descriptor.method_id}")
