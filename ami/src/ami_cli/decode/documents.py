"""Trees as JSON and as XML, and parts from both. The two say the same: a key of an object is an attribute of an element.

XML comes from outside, so it is read without entities, network or document type, and as deep as a tree can be.
"""

import json
from collections.abc import Iterable, Iterator
from textwrap import indent
from typing import Any

from lxml import etree

from ami_dlms.errors import LocalError
from ami_dlms.explain import Document, DocumentPart, Node, document, part_of

ROOT = "messages"
DERIVED = "derived"
_LISTS = ("parts", DERIVED)


def format_json(trees: Iterable[Node]) -> str:
    """One object with the list `messages`."""
    return "\n".join(json_lines(document(tree) for tree in trees))


def json_lines(documents: Iterable[Document]) -> Iterator[str]:
    """The same piece by piece, so that a long recording needs no memory."""
    yield "{"
    yield f' "{ROOT}": ['
    before = ""
    for one in documents:
        if before:
            yield f"{before},"
        before = indent(json.dumps(one, indent=1, ensure_ascii=False), "  ")
    if before:
        yield before
    yield " ]"
    yield "}"


def format_xml(trees: Iterable[Node]) -> str:
    """One element `messages`; each part is an element of its name."""
    return "\n".join(xml_lines(document(tree) for tree in trees))


def xml_lines(documents: Iterable[Document]) -> Iterator[str]:
    """The same piece by piece."""
    yield f"<{ROOT}>"
    for one in documents:
        yield indent(etree.tostring(_element(one), pretty_print=True, encoding="unicode").rstrip(), "  ")
    yield f"</{ROOT}>"


def _element(shown: Document) -> etree._Element:
    element = etree.Element(shown.get("name", DERIVED))
    for key, value in shown.items():
        if key not in (*_LISTS, "name"):
            element.set(key, _text(value))
    for key in _LISTS:
        for part in shown.get(key, ()):
            element.append(_element(part))
    return element


def _text(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def parse_json(text: str) -> list[DocumentPart]:
    """The messages of a document; LocalError when it is none. One part alone will do."""
    try:
        shown = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LocalError(f"this is no JSON: {error}") from None
    if isinstance(shown, dict) and ROOT in shown:
        shown = shown[ROOT]
    return [part_of(part) for part in (shown if isinstance(shown, list) else [shown])]


def parse_xml(text: str) -> list[DocumentPart]:
    """The same from XML."""
    if "<!DOCTYPE" in text:
        raise LocalError("a document type declaration is not accepted")
    parser = etree.XMLParser(
        encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(text.strip().encode("utf-8"), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise LocalError(f"this is no XML: {error}") from None
    elements = list(root) if root.tag == ROOT else [root]
    return [part_of(_shown(element)) for element in elements]


def _shown(element: etree._Element) -> Document:
    """Everything but what is derived: that has no place on the way back."""
    shown: Document = {"name": etree.QName(element).localname}
    shown |= {key: element.get(key) for key in ("type", "value", "hex") if element.get(key) is not None}
    shown["parts"] = [_shown(part) for part in element if etree.QName(part).localname != DERIVED]
    return shown
