"""Validation against our own XSD, with an error that names the line and the element.

A parser validates while it reads and is stopped at the first error: asked about a whole tree, libxml2 goes on to the last error,
and lxml notes for each the place of its element among all siblings, which for a megabyte of errors takes minutes. A refusal is
then explained by a tree that ends where the error is, and by a private copy of the schema, because lxml keeps the error log on
the schema object, where two validations would mix. What is compiled here may be shared between threads."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any, Literal, cast
from xml.sax.saxutils import quoteattr

from lxml import etree

from ami_cim import ns
from ami_cim.dialects import ABSTRACT, expected_for
from ami_cim.errors import InvalidMessage
from ami_cim.explanations import explain, hint, shorten
from ami_cim.limits import UNKNOWN_PEER, Limits
from ami_cim.nouns import EXTENSIONS, OPERATION_SETS, ROOTS
from ami_cim.xml import Element, parse_quickly

_FILES = {ns.MESSAGE: "Message.xsd"} | {
    namespace: f"{root.name}{kind}.xsd"
    for root in ROOTS
    for namespace, kind in ((root.namespace, ""), (ns.typed_message(root.name), "Message"))
}
_FILES |= {ns.typed_message(name): f"{name}Message.xsd" for name in OPERATION_SETS}
_FILES |= {root.namespace: f"{root.name}.xsd" for root in EXTENSIONS.values()}
_EXTENSIONS = frozenset(root.namespace for root in EXTENSIONS.values())
_AROUND = (f"{{{ns.MESSAGE}}}Request", f"{{{ns.MESSAGE}}}Payload")
"""What the envelope's schema lets hold elements of other namespaces, unseen: query profiles and payloads."""
_OPERATIONS = {
    namespace: f"{{{namespace}}}Payload/{{{namespace}}}OperationSet/{{{ns.MESSAGE}}}Operation"
    for namespace in (ns.MESSAGE, *map(ns.typed_message, OPERATION_SETS))
}
"""Those of an OperationSet, generic or typed, hold payloads as well."""
_SOAP = """\
<xs:schema xmlns:xs="{xsd}" targetNamespace="{soap}" elementFormDefault="qualified">{imports}
  <xs:element name="Envelope">
    <xs:complexType>
      <xs:sequence>
        <xs:element name="Header" minOccurs="0">
          <xs:complexType>
            <xs:sequence><xs:any processContents="skip" minOccurs="0" maxOccurs="unbounded"/></xs:sequence>
            <xs:anyAttribute processContents="skip"/>
          </xs:complexType>
        </xs:element>
        <xs:element name="Body">
          <xs:complexType>
            <xs:sequence><xs:any namespace="##other" processContents="strict"/></xs:sequence>
            <xs:anyAttribute processContents="skip"/>
          </xs:complexType>
        </xs:element>
      </xs:sequence>
      <xs:anyAttribute processContents="skip"/>
    </xs:complexType>
  </xs:element>
</xs:schema>"""
_WIDE = etree.XPath("boolean(/descendant-or-self::*/*[5001])")
"""Whether an element has more children than that; a month of quarters of an hour is 2,976."""
_CHUNK = 16_384
_LONGEST = 300


def schema_directory() -> Path:
    """Where this package keeps its XSD (`xsd/`) and WSDL (`wsdl/`)."""
    return Path(str(files("ami_cim"))) / "schemas"


@dataclass(frozen=True, slots=True)
class Flaw:
    """One error of a schema: its line, what it is in words for a person, and libxml2's own words."""

    line: int
    reason: str
    message: str


class Schemas:
    """All schemas; each file is compiled once in a process, however many of these there are."""

    def __init__(self, directory: Path | None = None) -> None:
        where = (schema_directory() if directory is None else directory) / "xsd"
        self._paths = {namespace: where / name for namespace, name in _FILES.items()}
        self._compiled = {namespace: _shared(path) for namespace, path in self._paths.items()}
        self._soap = _shared_soap(tuple(self._paths.items()))

    def read_valid(self, octets: bytes, limits: Limits = UNKNOWN_PEER, *, charset: str | None = None) -> Element | None:
        """The SOAP envelope of a message that is valid as it came, contents of a generic message aside; None for any other.

        Nothing is said of what is wrong: this is the fast way for what is right, inside the same bounds. The tree is validated as it
        is, so one in which errors would be costly, by the siblings that they have, is not for here."""
        root = parse_quickly(octets, limits, charset=charset)
        if root is None or _WIDE(root) or _deeper_than(limits.depth)(root):
            return None
        return root if self._soap.validate(root) else None

    def validate(self, element: Element) -> None:
        """Raise InvalidMessage 1.8 unless the element is valid; the payload of a generic message is checked as well.

        The envelope's schema skips payloads, so a known noun is validated on its own; an unknown one is left alone, also
        in a typed message, of which the envelope is then checked as if it were a generic one."""
        for part, namespace in self._parts(element):
            self._validate(part, namespace)

    def validate_contents(self, element: Element) -> None:
        """As `validate`, of an element that came out of `read_valid`: only what a generic message holds is still to be looked at."""
        for part, namespace in islice(self._parts(element), 1, None):
            self._validate(part, namespace)

    def validate_own(self, element: Element) -> None:
        """As `validate`, of an element of ours: the tree as it is, since it may be large and there is hardly an error to be found."""
        if not all(self._compiled[namespace].validate(part) for part, namespace in self._parts(element)):
            self.validate(element)

    def flaws(self, element: Element, most: int) -> list[Flaw]:
        """At most `most` errors, where `validate` raises the first; raises InvalidMessage for a namespace without a schema.

        For elements of some thousand nodes: the place of each error costs as much as it has siblings."""
        found: list[Flaw] = []
        for part, namespace in self._parts(element):
            private = _compile(self._paths[namespace])
            private.validate(part)
            entries = islice(cast(Any, private.error_log), most - len(found))
            found += (_flaw(entry) for entry in entries)
        return found

    def _parts(self, element: Element) -> Iterator[tuple[Element, str]]:
        """What has a schema of its own, with its namespace: the message, and in a generic one payload and query as well."""
        namespace = etree.QName(element).namespace or ""
        if namespace not in self._compiled:
            noun = ns.noun_of(namespace)
            if noun is None:
                raise _unknown(namespace)
            element, namespace = _as_generic(element, namespace, noun), ns.MESSAGE
        yield element, namespace
        yield from self._extensions(element)
        if (operations := _OPERATIONS.get(namespace)) is not None:
            for around in (*element.iterchildren(*_AROUND), *element.iterfind(operations)):
                for child in around.iterchildren("*"):
                    inner = etree.QName(child).namespace or ""
                    if inner in self._compiled and inner not in (ns.MESSAGE, *_EXTENSIONS):
                        yield child, inner

    def _extensions(self, element: Element) -> Iterator[tuple[Element, str]]:
        """Elements of ours in a Request, typed or generic: its schema lets them in unseen."""
        for request in (one for one in element.iterchildren("*") if etree.QName(one).localname == "Request"):
            for root in EXTENSIONS.values():
                yield from ((one, root.namespace) for one in request.iterchildren(root.tag))

    def _validate(self, element: Element, namespace: str) -> None:
        seen = _elements_before_error(element, self._compiled[namespace])
        if seen is not None:
            raise self._explain(element, namespace, seen)

    def _explain(self, element: Element, namespace: str, seen: int) -> InvalidMessage:
        private = _compile(self._paths[namespace])
        private.validate(_beginning(element, seen))
        for entry in cast(Any, private.error_log):
            flaw = _flaw(entry)
            where = f"Line {flaw.line}: " if flaw.line else ""  # none of a message that was not read
            return InvalidMessage("1.8", f"{where}{flaw.reason}", flaw.message)
        return InvalidMessage("1.8", "The message does not validate against the schema")


def _unknown(namespace: str) -> InvalidMessage:
    what = f"No message here has the namespace '{namespace[:_LONGEST]}'"
    if namespace == ABSTRACT:
        setting = 'partners that are configured so (dialect = "generic-operations")'
        what = f"{what}: a message in an element of its operation is read from {setting}"
        return InvalidMessage("1.8", what, f"IEC 61968-100 ed. 1: the SOAP body holds the message, of '{ns.MESSAGE}'")
    expected = expected_for(namespace)
    if expected is None:
        return InvalidMessage("1.8", what, hint(namespace, ns.typed_message(ROOTS[0].name)))
    said = f"{what}, and '{expected}' was expected (the 2011 set of IEC 61968-100 ed. 1)"
    setting = 'it is read from partners that are configured so (dialect = "other-namespaces")'
    return InvalidMessage("1.8", said, f"{hint(namespace, expected)}; {setting}")


def _flaw(entry: Any) -> Flaw:
    message = shorten(entry.message)
    return Flaw(entry.line, explain(message), message[:_LONGEST])


def _around_all(paths: Mapping[str, Path]) -> str:
    """The schema of a SOAP 1.1 envelope around any message of these namespaces."""
    imports = "".join(
        f"<xs:import namespace={quoteattr(namespace)} schemaLocation={quoteattr(path.absolute().as_uri())}/>"
        for namespace, path in paths.items()
    )
    return _SOAP.format(soap=ns.SOAP, xsd=ns.XSD, imports=imports)


@cache
def _deeper_than(levels: int) -> etree.XPath:
    """Whether a SOAP envelope has more levels, not counting those of payloads: their schemas let in nothing without an end."""
    roots = {f"n{number}": root for number, root in enumerate((*ROOTS, *EXTENSIONS.values()))}
    payloads = " or ".join(f"self::{prefix}:{root.name}" for prefix, root in roots.items())
    path = f"boolean(/*/*/*/*/*[not({payloads})]{'/*' * (levels - 4)})"
    return etree.XPath(path, namespaces={prefix: root.namespace for prefix, root in roots.items()})


@cache
def _shared(path: Path) -> etree.XMLSchema:
    """That of a file; who wants its error log has one of its own, since threads share this one."""
    return _compile(path)


@cache
def _shared_soap(paths: tuple[tuple[str, Path], ...]) -> etree.XMLSchema:
    return etree.XMLSchema(etree.fromstring(_around_all(dict(paths))))


def _compile(path: Path) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(str(path), etree.XMLParser(no_network=True, resolve_entities=False)))


def _elements_before_error(element: Element, schema: etree.XMLSchema) -> int | None:
    """How many elements had begun when an error was seen, or None for a valid element."""
    octets = etree.tostring(element, encoding="UTF-8", xml_declaration=False, with_tail=False)
    if _begun_before_error(octets, schema, ()) is None:
        return None
    return _begun_before_error(octets, schema, ("start",))


def _begun_before_error(octets: bytes, schema: etree.XMLSchema, events: tuple[Literal["start"], ...]) -> int | None:
    """The number of these events until an error was seen, which takes as long again as the validation."""
    parser = etree.XMLPullParser(events=events, schema=schema, resolve_entities=False, no_network=True)
    seen = 0
    for at in range(0, len(octets), _CHUNK):
        parser.feed(octets[at : at + _CHUNK])
        seen += sum(1 for _ in parser.read_events())
        if len(parser.feed_error_log):
            return seen
    try:
        parser.close()
    except etree.XMLSyntaxError:
        return seen
    return None


def _beginning(element: Element, count: int) -> Element:
    """A copy with the first `count` elements alone."""
    root = deepcopy(element)
    last = next(islice(root.iter("*"), count - 1, None), root)
    del last[:]
    while (parent := last.getparent()) is not None:
        del parent[parent.index(last) + 1 :]
        last = parent
    return root


def _as_generic(element: Element, namespace: str, noun: str) -> Element:
    """A typed message of a noun without schema as the generic message of its kind, without the payload."""
    local = etree.QName(element).localname
    kind = local.removeprefix(noun) if local in (f"{noun}ResponseMessage", f"{noun}FaultMessage") else "RequestMessage"
    generic = etree.Element(f"{{{ns.MESSAGE}}}{kind}")
    for child in element.iterchildren("*"):
        name = etree.QName(child)
        if name.namespace == namespace and name.localname != "Payload":
            copied = deepcopy(child)
            copied.tag = f"{{{ns.MESSAGE}}}{name.localname}"
            generic.append(copied)
    return generic
