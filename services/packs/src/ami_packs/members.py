"""Attributes and methods of an object of a model file: which it has, how they are called, and who may do what with them.

Strategy: numbers are checked against the interface class, and names are the standard's. An object with `listed` is one of a scanned
meter: it has what is listed, whatever the standard says.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from ami_dlms.cosem.classes import Attribute, class_versions
from ami_packs.document import Node, Problems, Wrong, list_of, one_of, suggestion, whole_number
from ami_packs.model import ListedMembers, ObjectAccess

T = TypeVar("T")

ALL = "all"
NUMBERS = range(-128, 128)
READ, WRITE, METHODS, MODES, METHOD_MODES = RIGHTS = ("read", "write", "methods", "modes", "method_modes")


@dataclass(frozen=True, slots=True)
class Members:
    """The attributes and methods that an object has, by number; names are those of the standard."""

    attributes: Mapping[int, Attribute | None]
    methods: Collection[int]
    attribute_names: Mapping[str, int] = field(default_factory=dict)
    method_names: Mapping[str, int] = field(default_factory=dict)


def listed_members(node: Node) -> ListedMembers:
    """What a scan found in the object list."""
    entries = node.table()
    if set(entries) != {"attributes", "methods"}:
        raise Wrong(node, "`attributes` and `methods` were expected, each a list of numbers")
    numbers = list_of(whole_number(NUMBERS[0], NUMBERS[-1]), len(NUMBERS))
    return ListedMembers(numbers(entries["attributes"]), numbers(entries["methods"]))


def members_of(found: Mapping[str, Any], given: Mapping[str, Node], owner: Node, problems: Problems) -> Members | None:
    """Those of the class and version that an object says, or those that it lists; None, and a problem, for an unknown class."""
    class_id, version = found["class_id"], found["version"]
    standard = class_versions().get((class_id, version))
    listed: ListedMembers | None = found.get("listed")
    if standard is None and listed is None:
        versions = [str(known) for number, known in class_versions() if number == class_id]
        there = f"known are the versions {', '.join(versions)}" if versions else "the class is not known"
        where = given["version"] if versions else given.get("class_id", owner)
        problems.add(where, f"class {class_id} version {version}: {there}; an object of any other class needs `listed`")
        return None
    attributes = {one.number: one for one in standard.attributes} if standard else {}
    names = {one.name: one.number for one in standard.attributes} if standard else {}
    methods = {one.name: one.number for one in standard.methods} if standard else {}
    if listed is not None:
        names = {name: number for name, number in names.items() if number in listed.attributes}
        methods = {name: number for name, number in methods.items() if number in listed.methods}
        return Members({number: attributes.get(number) for number in listed.attributes}, listed.methods, names, methods)
    return Members(attributes, tuple(methods.values()), names, methods)


def access_by_association(rights: Mapping[str, Node], members: Members, problems: Problems) -> dict[str, ObjectAccess]:
    """What each association may do; one that may do nothing does not see the object."""
    found = {}
    for association, node in rights.items():
        access = problems.attempt(partial(_access_of, members=members), node, None)
        if access is not None and access != ObjectAccess():
            found[association] = access
    return found


def _access_of(node: Node, members: Members) -> ObjectAccess:
    entries = node.table()
    for name, inner in entries.items():
        if name not in RIGHTS:
            raise Wrong(inner, f"a right has no key `{name}`; {suggestion(name, RIGHTS)}")
    attributes = partial(_number, known=members.attributes, names=members.attribute_names, what="attribute")
    methods = partial(_number, known=members.methods, names=members.method_names, what="method")
    return ObjectAccess(
        read=_numbers(entries.get(READ), attributes, members.attributes),
        write=_numbers(entries.get(WRITE), attributes, members.attributes),
        methods=_numbers(entries.get(METHODS), methods, members.methods),
        modes=_modes(entries.get(MODES), attributes),
        method_modes=_modes(entries.get(METHOD_MODES), methods),
    )


def _numbers(node: Node | None, read: Callable[[Node], int], known: Collection[int]) -> frozenset[int]:
    """A list of numbers or names, or "all"."""
    if node is None:
        return frozenset()
    return frozenset(known) if node.value == ALL else frozenset(map(read, node.array()))


def _modes(node: Node | None, read: Callable[[Node], int]) -> dict[int, int]:
    """Access modes by attribute or method, whose number a TOML key has as text."""
    if node is None:
        return {}
    return {read(as_number(key, inner)): whole_number(0, 255)(inner) for key, inner in node.table().items()}


def as_number(key: str, node: Node) -> Node:
    """A key of TOML, which is text, as the number that it shows, if it shows one."""
    digits = key.removeprefix("-")
    value: Any = int(key) if digits.isdecimal() and digits.isascii() and len(digits) <= 3 else key
    return Node(value, node.file, node.path, node.lines)


def _number(node: Node, known: Collection[int], names: Mapping[str, int], what: str) -> int:
    """An attribute or method that the object has, by its number or its name."""
    if isinstance(node.value, str):
        return one_of(names)(node)
    number = whole_number(NUMBERS[0], NUMBERS[-1])(node)
    if number not in known:
        there = ", ".join(map(str, known)) or "none"
        raise Wrong(node, f"the object has no {what} {number}; it has {there}")
    return number


def by_attribute(node: Node | None, read: Callable[[Node], T], members: Members, problems: Problems) -> dict[int, T]:
    """A table by attributes, whose keys are numbers or names."""
    found: dict[int, T] = {}
    attribute = partial(_number, known=members.attributes, names=members.attribute_names, what="attribute")
    for key, inner in problems.table(node).items():
        try:
            found[attribute(as_number(key, inner))] = read(inner)
        except Wrong as wrong:
            problems.found.append(wrong.problem)
    return found
