"""Elements declared once and used both ways, so that reading and writing cannot drift apart.

A `Shape` is the fields of an element in the schema's order, by local names: `bind` gives the codec for one namespace. A field
may lie deeper than its element (`NameType/name`), where the value is flatter than the XML. Reading does not look at the order
(the schema does that) and raises InvalidMessage for a mandatory field that lacks or a single one that is doubled. Elements that
no field names are not carried; a shape that says so with `left_over` gets their paths."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

from lxml.etree import SubElement

from ami_cim.errors import InvalidMessage, LocalError
from ami_cim.xml import Element
from ami_cim.xml_values import BOOLEAN, MOMENT, PROSE, REFERENCE, TEXT, Value, local

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One element below another, and the attribute of the value that holds what is in it."""

    path: str
    """Local names with slashes between them."""
    attribute: str
    kind: "Value | Shape[Any] | Codec[Any]"
    """What it holds; a codec is of another namespace than the element."""
    many: bool = False
    mandatory: str | None = None
    """The reply code to answer when it lacks."""
    absent: Any = None
    """The value if it lacks, where the constructor has no default."""
    needed: bool = False
    """Its parent is not written without it."""
    read_only: bool = False
    """Understood, never written: it has been replaced by another field."""


@dataclass(frozen=True, slots=True)
class Shape(Generic[T_co]):
    """The fields of an element, and what takes them as arguments by the names of their attributes."""

    make: Callable[..., T_co]
    fields: tuple[Field, ...]
    left_over: str | None = None
    """The attribute that takes the paths of elements that no field names, here and below."""

    def bind(self, namespace: str) -> "Codec[T_co]":
        """The codec of elements whose children are in this namespace."""
        return _bound(self, namespace)


class Codec(Generic[T_co]):
    """A shape in a namespace."""

    def __init__(self, shape: Shape[T_co], namespace: str) -> None:
        self._make = shape.make
        self._left_over = shape.left_over
        self._table: _Table = {}
        for field in shape.fields:
            _add(self._table, field, namespace)
        self._many = tuple(field.attribute for field in shape.fields if field.many)
        self._mandatory = tuple(field for field in shape.fields if field.mandatory is not None)
        self._absent = {field.attribute: field.absent for field in shape.fields if field.absent is not None}

    def read(self, element: Element, left_over: list[str] | None = None) -> T_co:
        """The value of an element; `left_over` is the list of a surrounding shape."""
        values: dict[str, Any] = {}
        own: list[str] | None = left_over if self._left_over is None else []
        _collect(element, self._table, values, own)
        for name in self._many:
            if name in values:
                values[name] = tuple(values[name])
        for field in self._mandatory:
            if field.attribute not in values:
                raise InvalidMessage(field.mandatory or "", f"{local(element)} has no {field.path}")
        for name, value in self._absent.items():
            values.setdefault(name, value)
        if self._left_over is not None and own:
            values[self._left_over] = tuple(sorted(dict.fromkeys(own), key=lambda path: "/" in path))
        return self._make(**values)

    def write(self, element: Element, value: Any) -> None:
        """Append the children of a value to its element; LocalError for one with elements that are not carried."""
        if self._left_over is not None and (beyond := getattr(value, self._left_over)):
            raise LocalError(f"{local(element)} has elements that are not carried", ", ".join(beyond))
        _write(element, self._table, value)


@dataclass(frozen=True, slots=True)
class _Leaf:
    """The element of a field, in a namespace."""

    local: str
    attribute: str
    many: bool
    needed: bool
    written: bool
    codec: Codec[Any] | None
    read: Callable[[Element], Any]
    write: Callable[[Element, Any], None]


@dataclass(frozen=True, slots=True)
class _Branch:
    """An element that holds nothing but fields that lie deeper."""

    local: str
    below: "_Table"
    attributes: list[str]
    """Of all fields below."""


_Table = dict[str, _Leaf | _Branch]
"""By Clark name, in the schema's order."""


@cache
def _bound(shape: Shape[T_co], namespace: str) -> Codec[T_co]:
    return Codec(shape, namespace)


def _add(table: _Table, field: Field, namespace: str) -> None:
    *names, last = field.path.split("/")
    for name in names:
        branch = table.setdefault(f"{{{namespace}}}{name}", _Branch(name, {}, []))
        if not isinstance(branch, _Branch):
            raise TypeError(f"{name} of {field.path} is a field already")
        branch.attributes.append(field.attribute)
        table = branch.below
    both = field.kind.bind(namespace) if isinstance(field.kind, Shape) else field.kind
    table[f"{{{namespace}}}{last}"] = _Leaf(
        local=last,
        attribute=field.attribute,
        many=field.many,
        needed=field.needed,
        written=not field.read_only,
        codec=both if isinstance(both, Codec) else None,
        read=both.read,
        write=both.write,
    )


def _collect(element: Element, table: _Table, values: dict[str, Any], left_over: list[str] | None) -> None:
    for child in element.iterchildren("*"):
        node = table.get(child.tag)
        if node is None:
            if left_over is not None:
                left_over.append(local(child))
        elif isinstance(node, _Leaf) and node.codec is None:
            _keep(element, node, node.read(child), values)
        else:
            before = len(left_over or ())
            if isinstance(node, _Branch):
                _collect(child, node.below, values, left_over)
            elif node.codec is not None:
                _keep(element, node, node.codec.read(child, left_over), values)
            if left_over is not None and len(left_over) > before:
                left_over[before:] = [f"{node.local}/{path}" for path in left_over[before:]]


def _keep(element: Element, leaf: _Leaf, value: Any, values: dict[str, Any]) -> None:
    if value is None:
        return
    if leaf.many:
        values.setdefault(leaf.attribute, []).append(value)
    elif leaf.attribute in values:
        raise InvalidMessage("1.8", f"{leaf.local} is there twice in {local(element)}")
    else:
        values[leaf.attribute] = value


def _write(parent: Element, table: _Table, value: object) -> None:
    for tag, node in table.items():
        if isinstance(node, _Branch):
            for attribute in node.attributes:
                if (held := getattr(value, attribute)) is not None and held != ():
                    _write(SubElement(parent, tag), node.below, value)
                    break
        elif node.written:
            held = getattr(value, node.attribute)
            if node.many:
                for item in held:
                    node.write(SubElement(parent, tag), item)
            elif held is not None:
                node.write(SubElement(parent, tag), held)
            elif node.needed:
                raise LocalError(f"{local(parent)} cannot be written without its {node.local}")


def text(path: str, attribute: str, **options: Any) -> Field:
    """xs:string; surrounding white space is not significant, an empty element counts as absent."""
    return Field(path=path, attribute=attribute, kind=TEXT, **options)


def prose(path: str, attribute: str) -> Field:
    """xs:string for people: characters that XML cannot carry are replaced and not refused."""
    return Field(path=path, attribute=attribute, kind=PROSE)


def moment(path: str, attribute: str, *, mandatory: str | None = None) -> Field:
    """xs:dateTime."""
    return Field(path=path, attribute=attribute, kind=MOMENT, mandatory=mandatory)


def boolean(path: str, attribute: str) -> Field:
    """xs:boolean."""
    return Field(path=path, attribute=attribute, kind=BOOLEAN)


def reference(path: str, attribute: str, *, mandatory: str | None = None) -> Field:
    """An empty element whose attribute `ref` is the code that it points to, e.g. EndDeviceControlType."""
    return Field(path=path, attribute=attribute, kind=REFERENCE, mandatory=mandatory)


def one(path: str, attribute: str, shape: Shape[Any]) -> Field:
    """At most one element of a shape."""
    return Field(path=path, attribute=attribute, kind=shape)


def many(path: str, attribute: str, kind: "Value | Shape[Any] | Codec[Any]") -> Field:
    """Any number of elements, a tuple."""
    return Field(path=path, attribute=attribute, kind=kind, many=True)
