"""One object of a model file: its keys, its rights, the attributes that it has from the beginning, and what it refers to.

Strategy: one table of keys, each with its reader and its meaning; what depends on the interface class follows (`members`). An object with
`listed` is one of a scanned meter, and refers to what it likes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from ami_dlms.cosem.classes import Attribute, class_versions
from ami_dlms.cosem.quantity import ScalerUnit, units
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.data import Data
from ami_dlms.enums import DataAccessResult
from ami_dlms.obis import Obis
from ami_packs.document import (
    Key,
    Node,
    Problems,
    Wrong,
    as_it_is,
    list_of,
    obis,
    octets,
    one_of,
    suggestion,
    text,
    true_or_false,
    whole_number,
)
from ami_packs.members import Members, access_by_association, as_number, by_attribute, listed_members, members_of
from ami_packs.model import PROFILE_GENERIC, ObjectDescription
from ami_packs.positions import Path
from ami_packs.values import attribute_value, column

T = TypeVar("T")

SCALER_UNIT_OF = {3: 3, 4: 3, 5: 4}
"""class_id -> number of the attribute scaler_unit."""
OF_ONE_VALUE = {1, *SCALER_UNIT_OF}
"""Classes whose objects are alive by the name of a value; one without is served as it is."""
REFUSALS = {one.name.lower().replace("_", "-"): one for one in DataAccessResult if one is not DataAccessResult.SUCCESS}
ObjectKey = tuple[int, Obis]


@dataclass(frozen=True, slots=True)
class Reference:
    """An object refers to an attribute of another; `node` is where."""

    node: Node
    class_id: int
    obis: Obis
    attribute: int


@dataclass(frozen=True, slots=True)
class Parsed:
    """An object as a file describes it, and where."""

    described: ObjectDescription
    node: Node
    references: tuple[Reference, ...]


Options = Callable[[int, int], Mapping[str, bool | int | str]]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words of who brings objects to life: names of values, and the options of a class and version; None: any."""

    values: frozenset[str] | None = None
    options: Options | None = None


ANY = Vocabulary()


@dataclass(frozen=True, slots=True)
class Known:
    """What the rest of a model lets an object name."""

    problems: Problems
    associations: tuple[str, ...]
    rights: Mapping[str, Node]
    vocabulary: Vocabulary


def _unit(node: Node) -> int:
    """A unit by its code or its symbol."""
    if not isinstance(node.value, str):
        return whole_number(0, 255)(node)
    symbols: dict[str, int] = {}
    for code, unit in units().items():
        symbols.setdefault(unit.symbol, code)
    return one_of(symbols)(node)


def _event_numbers(node: Node) -> dict[str, int]:
    return {name: whole_number(0, 0xFFFF)(number) for name, number in node.table().items()}


def _options(node: Node) -> dict[str, bool | int | str]:
    entries = node.table()
    for inner in entries.values():
        if not isinstance(inner.value, bool | int | str):
            raise Wrong(inner, "an option is a text, a whole number, true or false")
    return {name: inner.value for name, inner in entries.items()}


KEYS: Mapping[str, Key] = {
    "obis": Key(obis, "text", "logical name, A-B:C.D.E with *F behind it unless F is 255", needed=True),
    "class_id": Key(whole_number(1, 0xFFFF), "whole number", "interface class", needed=True),
    "version": Key(whole_number(0, 255), "whole number", "of the interface class", needed=True),
    "name": Key(text, "text", "what it is, for people", needed=True),
    "source": Key(text, "text", "where that is written", needed=True),
    "rights": Key(as_it_is, "text", "a set of rights of `[rights]`; what the object says itself comes first"),
    "value": Key(
        text, "text", "name of the live value behind a class 1, 3, 4 or 5; without it `attributes` are served"
    ),
    "scaler": Key(whole_number(-128, 127), "whole number", "power of ten of scaler_unit"),
    "unit": Key(_unit, "text or whole number", "symbol or code of the unit of scaler_unit"),
    "capture_period": Key(whole_number(0, 2**32 - 1), "whole number", "seconds; 0: what happens or a script captures"),
    "profile_entries": Key(whole_number(1, 1_000_000), "whole number", "rows that a profile keeps"),
    "columns": Key(as_it_is, "list", 'capture_objects, each "class/obis/attribute" or a table'),
    "log": Key(obis, "text", "event log of a disconnect control"),
    "events": Key(_event_numbers, "table", "event numbers of a disconnect control, by what moved it"),
    "options": Key(_options, "table", "how the class behaves where meters differ, in words of its code"),
    "static": Key(true_or_false, "true or false", "served as plain attributes even where there is code for the class"),
    "attributes": Key(as_it_is, "table", "values that attributes have from the beginning, by name or number"),
    "errors": Key(as_it_is, "table", "data-access-results in place of values, by name or number"),
    "listed": Key(listed_members, "table", "`attributes` and `methods` of an object as a scan found it"),
    "selectors": Key(as_it_is, "table", "selectors of attributes with selective access, as a scan found them"),
    "rows": Key(list_of(octets, 100_000), "list", "encoded rows that a profile begins with"),
}
_AS_READ = ("obis", "class_id", "version", "name", "source", "value", "scaler", "unit")
_AS_READ_OF_SOME = ("capture_period", "profile_entries", "log", "events", "options", "listed", "rows")


def parse_object(own: Mapping[str, Node], owner: Node, known: Known, shared: Mapping[str, Node]) -> Parsed | None:
    """The object of its own keys over those that its group shares; None when it can't be made, with the problems noted."""
    attributes = [one["attributes"] for one in (shared, own) if "attributes" in one]
    given = {**shared, **own}
    rights = {name: node for name, node in given.items() if name in known.associations}
    rest = {name: node for name, node in given.items() if name not in rights}
    problems_before = len(known.problems.found)
    found = known.problems.read_keys(rest, KEYS, owner, "an object")
    if not {"obis", "class_id", "version", "name", "source"} <= set(found):
        return None
    members = members_of(found, rest, owner, known.problems)
    if members is None:
        return None
    fields: dict[str, Any] = {name: found[name] for name in (*_AS_READ, *_AS_READ_OF_SOME) if name in found}
    columns: tuple[CaptureObject, ...] = ()
    if "columns" in found:
        columns = known.problems.attempt(list_of(column), found["columns"], columns)
    fields |= {
        "access": access_by_association(_rights(found, rights, known), members, known.problems),
        "columns": columns,
        "attributes": _attributes(found, attributes, members, known.problems),
        "errors": by_attribute(found.get("errors"), one_of(REFUSALS), members, known.problems),
        "selectors": by_attribute(found.get("selectors"), list_of(whole_number(0, 255), 16), members, known.problems),
    }
    fields["static"] = found.get("static", False) or _has_no_value(found)
    if not fields["access"] and len(known.problems.found) == problems_before:
        known.problems.add(owner, _unseen(found["obis"], known))
    _check_value(found, rest, known)
    _check_options(found, rest, known)
    return Parsed(ObjectDescription(**fields), owner, _references(found, columns))


def with_rights(there: Parsed, rights: Mapping[str, Node], owner: Node, known: Known) -> Parsed:
    """The object with these rights; those of associations that are not among them stay. What it does not have is a problem."""
    described = there.described
    version = class_versions()[described.class_id, described.version]
    members = Members(
        {one.number: one for one in version.attributes},
        tuple([one.number for one in version.methods]),
        {one.name: one.number for one in version.attributes},
        {one.name: one.number for one in version.methods},
    )
    for name, node in rights.items():
        if name not in known.associations:
            known.problems.add(
                node, f"`{name}` is no column and no association; {suggestion(name, known.associations)}"
            )
    others = {name: one for name, one in described.access.items() if name not in rights}
    access = others | access_by_association(rights, members, known.problems)
    return replace(there, described=replace(described, access=access), node=owner)


def _unseen(name: Obis, known: Known) -> str:
    first = known.associations[-1] if known.associations else "management"
    return f"no association sees {name}; add a line like `{first} = {{ read = [1, 2] }}`, or `rights`"


def _has_no_value(found: Mapping[str, Any]) -> bool:
    return found["class_id"] in OF_ONE_VALUE and "value" not in found


def _check_value(found: Mapping[str, Any], given: Mapping[str, Node], known: Known) -> None:
    name = found.get("value")
    if name is None:
        return
    if found["class_id"] not in OF_ONE_VALUE:
        known.problems.add(given["value"], f"a class {found['class_id']} has no value of its own; remove it")
    elif known.vocabulary.values is not None and name not in known.vocabulary.values:
        there = suggestion(name, tuple(sorted(known.vocabulary.values)))
        known.problems.add(given["value"], f"there is no value `{name}`; {there}")


def _check_options(found: Mapping[str, Any], given: Mapping[str, Node], known: Known) -> None:
    """Each is one of its class, and of that one's type."""
    if known.vocabulary.options is None or "options" not in found:
        return
    there = {} if found.get("static") else known.vocabulary.options(found["class_id"], found["version"])
    for name, node in given["options"].table().items():
        if type(node.value) is not type(there.get(name)):
            usual = ", ".join(f"{one} = {value!r}" for one, value in there.items()) or "none"
            known.problems.add(node, f"{found['obis']}: there is no option {name} = {node.value!r}; there are: {usual}")


def _rights(found: Mapping[str, Any], own: Mapping[str, Node], known: Known) -> Mapping[str, Node]:
    """The rights of each association: the named set, and over it the object's own."""
    chosen: Node | None = found.get("rights")
    if chosen is None:
        return own
    name = known.problems.attempt(text, chosen, "")
    if name and name not in known.rights:
        known.problems.add(chosen, f"there is no `[rights]` called `{name}`; {suggestion(name, known.rights)}")
    return {**(known.rights[name].table() if name in known.rights else {}), **own}


def _attributes(found: Mapping[str, Any], given: list[Node], members: Members, problems: Problems) -> dict[int, Data]:
    """Values of attributes, a group's first; of a register without a live value scaler_unit is one of them."""
    values: dict[int, Data] = {}
    for node in given:
        standard = {one.path: attribute for one, attribute in _standard_of(node, members)}
        read = partial(_attribute_value, standard=standard)
        values |= by_attribute(node, read, members, problems)
    number = SCALER_UNIT_OF.get(found["class_id"])
    if number is not None and "unit" in found and _has_no_value(found):
        values.setdefault(number, ScalerUnit(found.get("scaler", 0), found["unit"]).encode())
    return values


def _attribute_value(node: Node, standard: Mapping[Path, Attribute | None]) -> Data:
    return attribute_value(node, standard.get(node.path))


def _standard_of(node: Node, members: Members) -> list[tuple[Node, Attribute | None]]:
    """Each value of `attributes` with what the standard says of its attribute."""
    if not isinstance(node.value, dict):
        return []
    found = []
    for key, inner in node.table().items():
        number = members.attribute_names.get(key, as_number(key, inner).value)
        found.append((inner, members.attributes.get(number) if isinstance(number, int) else None))
    return found


def _references(found: Mapping[str, Any], columns: tuple[CaptureObject, ...]) -> tuple[Reference, ...]:
    """What the object needs of the rest of the model; a scanned one needs nothing."""
    if found.get("listed") is not None:
        return ()
    nodes = found["columns"].array() if columns else []
    return tuple(
        [
            Reference(node, column.class_id, column.logical_name, column.attribute_index)
            for node, column in zip(nodes, columns, strict=True)
        ]
    )


def check_references(parsed: Mapping[ObjectKey, Parsed], problems: Problems) -> None:
    """Note every column that names no attribute of the model, and every log that is none."""
    for one in parsed.values():
        for reference in one.references:
            _check_reference(reference, parsed, problems)
        log = one.described.log
        if log is not None and (PROFILE_GENERIC, log) not in parsed and one.described.listed is None:
            problems.add(
                one.node, f"the log {log} of {one.described.obis} is no object of class {PROFILE_GENERIC} here"
            )


def _check_reference(reference: Reference, parsed: Mapping[ObjectKey, Parsed], problems: Problems) -> None:
    target = parsed.get((reference.class_id, reference.obis))
    if target is None:
        problems.add(reference.node, f"the model has no object {reference.obis} of class {reference.class_id}")
        return
    described = target.described
    standard = class_versions().get((described.class_id, described.version))
    numbers = (
        described.listed.attributes
        if described.listed
        else [one.number for one in standard.attributes]
        if standard
        else []
    )
    if reference.attribute not in numbers:
        problems.add(
            reference.node, f"{reference.obis} of class {reference.class_id} has no attribute {reference.attribute}"
        )
