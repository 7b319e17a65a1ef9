"""Children of a payload put into the order of its schema, for peers that have another one."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from lxml import etree

from ami_cim import ns
from ami_cim.nouns import ROOTS
from ami_cim.xml import Element

_XS = f"{{{ns.XSD}}}"
_PAYLOADS = frozenset(root.tag for root in ROOTS)


def arrange(body: Element) -> None:
    """Sort the children of every payload and query profile in a message, in place; what its schema does not know stays last."""
    for root in list(body.iter(*_PAYLOADS)):
        name = etree.QName(root).localname
        _sort(root, name, _types(name))


def _sort(element: Element, kind: str, types: Mapping[str, Mapping[str, str]]) -> None:
    known = types.get(kind)
    if known is None:
        return
    places = {name: place for place, name in enumerate(known)}
    children = list(element.iterchildren("*"))
    names = [etree.QName(child).localname for child in children]
    wanted = [places.get(name, len(places)) for name in names]
    if wanted != sorted(wanted):
        element[:] = [child for _, child in sorted(zip(wanted, children, strict=True), key=lambda one: one[0])]
    for name, child in zip(names, children, strict=True):
        _sort(child, known.get(name, ""), types)


@cache
def _types(name: str) -> Mapping[str, Mapping[str, str]]:
    """The types of a payload's schema, which all have names: children in order, each with its type. A root element has that of its own name."""
    text = files("ami_cim").joinpath("schemas", "xsd", f"{name}.xsd").read_bytes()
    schema = etree.fromstring(text, etree.XMLParser(no_network=True, resolve_entities=False))
    return {
        declared.get("name", ""): {
            one.get("name", ""): one.get("type", "").rpartition(":")[2]
            for one in declared.iter(f"{_XS}element")
            if next(one.iterancestors(f"{_XS}complexType")) is declared
        }
        for declared in schema.iterfind(f"{_XS}complexType")
    }
