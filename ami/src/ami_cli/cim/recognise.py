"""What a message is, whatever set it is of: its envelope, its wrapper, its archetype, and the sets that its namespaces belong to.

Of a message in other namespaces a copy is made in those of the 2011 set, line by line the same, so that whatever else is wrong with it is found too."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Literal

from lxml import etree

from ami_cim import ns
from ami_cim.codes import VERBS
from ami_cim.xml import Element
from ami_cli.cim.findings import Finding, Level, NotReadable, error, line_of, name_of, printable, warning
from ami_cli.cim.tables import NOUNS, Namespace, known_namespaces, namespace_of

Form = Literal["typed", "generic", "operation", "payload", "query", "SOAP fault"]
Archetype = Literal["request", "response", "event", "fault", "none"]

SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"
_GENERIC: dict[str, Archetype] = {
    "RequestMessage": "request",
    "ResponseMessage": "response",
    "EventMessage": "event",
    "FaultMessage": "fault",
}
_OPERATIONS = {"Request": "RequestMessage", "Response": "ResponseMessage", "PublishEvent": "EventMessage"}
_INSIDE = ("Header", "Request", "Reply")
_ALIKE = 0.9
_MOST_NAMESPACES = 40


@dataclass(frozen=True, slots=True)
class Seen:
    """A namespace of the message, where it is first used, and what is known of it."""

    text: str
    known: Namespace | None
    line: int | None
    element: str


@dataclass(frozen=True, slots=True)
class Message:
    """What came. `body` is a copy in the namespaces of the 2011 set, None where a SOAP fault says nothing of CIM."""

    soap: str
    form: Form
    archetype: Archetype
    wrapper: str
    """The local name of the outermost element of CIM."""
    body: Element | None
    fault: str
    """The words of a SOAP fault."""
    namespaces: tuple[Seen, ...]

    @property
    def is_message(self) -> bool:
        """Whether there is an envelope of IEC 61968-100; a payload alone is none."""
        return self.form not in ("payload", "query", "SOAP fault")

    def part(self, name: str) -> Element | None:
        """Header, Request, Reply or Payload, where it is a message."""
        if self.body is None or not self.is_message:
            return None
        return next((child for child in self.body.iterchildren("*") if name_of(child) == name), None)

    @property
    def noun(self) -> str:
        """Header/Noun, else the payload's name."""
        said = self.header("Noun")
        if said or self.body is None or self.is_message:
            return said
        return name_of(self.body).removeprefix("Get")

    def header(self, name: str) -> str:
        """The text of a field of the Header."""
        header = self.part("Header")
        if header is None:
            return ""
        found = next((child for child in header.iterchildren("*") if name_of(child) == name), None)
        return "" if found is None else printable((found.text or "").strip())

    def payloads(self) -> list[Element]:
        """What is in the Payload, or is the payload."""
        if self.form in ("payload", "query"):
            return [] if self.body is None else [self.body]
        payload = self.part("Payload")
        beside = ("Format", "ID", "Compressed")
        return [] if payload is None else [one for one in payload.iterchildren("*") if name_of(one) not in beside]

    def query(self) -> Element | None:
        """The profile of a get."""
        if self.form == "query":
            return self.body
        request = self.part("Request")
        children = () if request is None else request.iterchildren("*")
        return next((one for one in children if name_of(one) == ns.query(self.noun)), None)


def recognise(root: Element) -> tuple[Message, list[Finding]]:
    """What the document is, and what is wrong with the envelopes around it; NotReadable when it is nothing of CIM."""
    found: list[Finding] = []
    soap, body = _unwrapped(root, found)
    seen = tuple(_namespaces(root))
    found += [one for each in seen if (one := _namespace_finding(each)) is not None]
    fault = ""
    if soap and name_of(body) == "Fault" and _namespace(body) in (ns.SOAP, SOAP_12):
        fault = printable(" ".join(" ".join(map(str, body.itertext())).split()))
        detail = next((one for one in body.iter("*") if name_of(one).endswith("FaultMessage")), None)
        if detail is None:
            return Message(soap, "SOAP fault", "none", "Fault", None, fault, seen), found
        body = detail
    wrapper = name_of(body)
    body, operation = _without_operation(deepcopy(body))
    namespace = _namespace(body)
    if name_of(body) not in _GENERIC:
        found += _missing_namespace(body)
    canonicalise(body)
    form, archetype = _form(body, namespace)
    form = "operation" if operation else form
    return Message(soap, form, archetype, wrapper, body, fault, seen), found


def _unwrapped(root: Element, found: list[Finding]) -> tuple[str, Element]:
    namespace = _namespace(root)
    if name_of(root) != "Envelope" or namespace not in (ns.SOAP, SOAP_12):
        return "", root
    if namespace == SOAP_12:
        reason = "The envelope is of SOAP 1.2, and the WSDL of IEC 61968-100 bind SOAP 1.1"
        found.append(warning("soap-version", root, reason, "IEC 61968-100, WSDL", f"use the namespace {ns.SOAP}"))
    bodies = [one for one in root.iterchildren("*") if name_of(one) == "Body"]
    messages = [one for body in bodies for one in body.iterchildren("*")]
    if not messages:
        raise NotReadable("the SOAP envelope has no message in its Body")
    if len(bodies) != 1 or len(messages) != 1:
        reason = f"The SOAP envelope holds {len(messages)} messages in {len(bodies)} bodies, and one is looked at"
        found.append(error("soap-body", bodies[-1], reason, "WS-I Basic Profile 1.1, document/literal: one element"))
    found += [_must_understand(block) for block in _blocks(root)]
    return ("1.1" if namespace == ns.SOAP else "1.2"), messages[0]


def _blocks(root: Element) -> Iterator[Element]:
    """The header blocks that the receiver of the message has to understand."""
    for header in root.iterchildren(f"{{{_namespace(root)}}}Header"):
        for block in header.iterchildren("*"):
            if (block.get(f"{{{_namespace(root)}}}mustUnderstand") or "").strip() in ("1", "true"):
                yield block


def _must_understand(block: Element) -> Finding:
    reason = f"The SOAP header {name_of(block)} has mustUnderstand: a receiver that doesn't know it has to refuse the message"
    return warning("must-understand", block, reason, "SOAP 1.1, 4.2.3; IEC 61968-100 leaves security to IEC 62351")


def _without_operation(body: Element) -> tuple[Element, bool]:
    """The message in the wrapper of a generic operation: Request, Response or PublishEvent, and `message` or the message itself in it."""
    children = list(body.iterchildren("*"))
    name = name_of(body)
    if name not in _OPERATIONS or len(children) != 1:
        return body, False
    inner = children[0]
    if name_of(inner) not in ("message", *_GENERIC):
        return body, False
    if name_of(inner) == "message":
        namespace = next((_namespace(one) for one in inner.iterchildren("*")), ns.MESSAGE)
        inner.tag = f"{{{namespace}}}{_OPERATIONS[name]}"
    return inner, True


def canonicalise(body: Element) -> None:
    """Put every element into the namespace that the 2011 set has for it, in place. One without a namespace gets that of its place."""
    for element in body.iter("*"):
        namespace = _namespace(element)
        known = namespace_of(namespace) if namespace else None
        canonical = _of_place(element) if not namespace else namespace if known is None else known.canonical
        if canonical != namespace:
            element.tag = f"{{{canonical}}}{name_of(element)}"


def _of_place(element: Element) -> str:
    name, parent = name_of(element), element.getparent()
    if name in NOUNS or (name.removeprefix("Get") in NOUNS and name_of(parent) == "Request"):
        return ns.payload(name)
    if parent is None:
        return ns.MESSAGE if name in (*_GENERIC, "Message") else _typed(name)
    return ns.MESSAGE if name_of(parent) in _INSIDE else _namespace(parent)


def _typed(name: str) -> str:
    for noun in sorted(NOUNS, key=len, reverse=True):
        if noun in name:
            return ns.typed_message(noun)
    return ns.MESSAGE


def _missing_namespace(body: Element) -> list[Finding]:
    bare = next((one for one in body.iter("*") if not _namespace(one)), None)
    if bare is None:
        return []
    advice = f'declare it, e.g. xmlns="{ns.payload(name_of(bare)) if name_of(bare) in NOUNS else ns.MESSAGE}"'
    return [
        error(
            "namespace-missing",
            bare,
            f"{name_of(bare)} is in no namespace",
            "IEC 61968-100, qualified elements",
            advice,
        )
    ]


def _form(body: Element, said: str) -> tuple[Form, Archetype]:
    """`said` is the namespace that the message has itself."""
    name, namespace = name_of(body), _namespace(body)
    if namespace == ns.MESSAGE and name in _GENERIC:
        return "generic", _GENERIC[name]
    if namespace == ns.MESSAGE and name == "Message":
        replies = any(name_of(one) == "Reply" for one in body.iterchildren("*"))
        return "generic", "response" if replies else "request"
    noun = ns.noun_of(namespace)
    if noun is not None:
        return "typed", _archetype_of_typed(name, noun)
    if name in NOUNS:
        return "payload", "none"
    if name.removeprefix("Get") in NOUNS:
        return "query", "none"
    where = f"in the namespace {printable(said)}" if said else "in no namespace"
    raise NotReadable(f"no message of CIM: its outermost element is {printable(name)}, {where}")


def _archetype_of_typed(name: str, noun: str) -> Archetype:
    for ending, archetype in _GENERIC.items():
        if name.endswith(ending):
            return archetype
    verb = name.removesuffix(noun).lower()
    past = verb.endswith("d") and verb in VERBS
    return "event" if past else "request"


def _namespaces(root: Element) -> Iterator[Seen]:
    """Every namespace that an element has, in the order of the document."""
    seen: set[str] = set()
    for element in root.iter("*"):
        text = _namespace(element)
        if text and text not in seen:
            seen.add(text)
            if len(seen) <= _MOST_NAMESPACES:
                yield Seen(text, namespace_of(text), line_of(element), name_of(element))


def _namespace_finding(seen: Seen) -> Finding | None:
    known = seen.known
    if known is None:
        return _misspelled(seen) if "TC57" in seen.text or "iec.ch" in seen.text else None
    if known.kind == "product" or known.kind == "model":
        reason = f"{seen.element} is in the namespace {seen.text}: {known.set}"
        return Finding("namespace-product", Level.WARNING, reason, _SET, seen.line, seen.element)
    if not known.is_foreign:
        return None
    reason = f"{seen.element} is in the namespace {seen.text}: {known.set}. The 2011 set has {known.canonical}"
    return Finding("namespace-other-set", Level.WARNING, reason, _SET, seen.line, seen.element)


_SET = "namespaces of IEC 61968-9:2013 and IEC 61968-100:2013"


def _misspelled(seen: Seen) -> Finding:
    near = difflib.get_close_matches(seen.text[:200], known_namespaces(), 1, _ALIKE)
    reason = f"{seen.element} is in the namespace {printable(seen.text)}, which no set that is known here has"
    advice = f"was {near[0]} meant?" if near else ""
    return Finding("namespace-unknown", Level.ERROR, reason, _SET, seen.line, seen.element, advice)


def _namespace(element: Element | None) -> str:
    return "" if element is None else etree.QName(element).namespace or ""
