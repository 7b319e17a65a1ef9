"""Messages of peers that speak another set than ours, made into ours before they are validated.

Drafts wrote the namespaces with `www.`; the typed messages of other schema sets carry 2015 or 2017, the readings of an old head-end
2009. Clients of the generic WSDL put the message into an element of the operation, `Request`, `Response` or `PublishEvent`. How it was
spelled is handed back, so that the answer can be spelled alike (`ami_cim.spoken`)."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from lxml import etree

from ami_cim import ns
from ami_cim.limits import Limits
from ami_cim.nouns import ROOTS, TYPED
from ami_cim.peers import OURS, Dialect, Spelling
from ami_cim.white_space import SPACE
from ami_cim.xml import Element

ABSTRACT: Final = "http://iec.ch/TC57/2011/abstract"
"""Of the generic WSDL of one product; also that of its wrappers."""
NOUN: Final = "{noun}"
"""Stands for the name of a root element in the namespaces of a Spelling."""

_YEARS = ("2009", "2011", "2015", "2017")
_OURS = (ns.MESSAGE, *(root.namespace for root in ROOTS), *map(ns.typed_message, TYPED))
ALIASES: Final[Mapping[str, str]] = {
    ours.replace("//iec.ch/", f"//{host}/").replace("/2011/", f"/{year}/"): ours
    for ours in _OURS
    for host in ("iec.ch", "www.iec.ch")
    for year in (("2011",) if ours == ns.MESSAGE else _YEARS)
}
"""Namespaces that mean the same as one of ours, by how they are spelled; ours are among them."""

_MESSAGES = {"Request": "RequestMessage", "Response": "ResponseMessage", "PublishEvent": "EventMessage"}
"""By the operation of the generic WSDL."""
_PAYLOADS = frozenset(root.namespace for root in ROOTS)
_AROUND_PAYLOADS = ("Payload", "Request", "Operation")
_MOST_REMEMBERED = 100


def dialect_of(body: Element, limits: Limits) -> Dialect:
    """That of the first peer which its header shows; else that of the endpoint."""
    if limits.peers:
        source, reply_address = _said_of_sender(body)
        for peer in limits.peers:
            if peer.sends(source, reply_address):
                return peer.dialect
    return limits.dialect


def canonical(body: Element, dialect: Dialect) -> tuple[Element, Spelling]:
    """The message in a SOAP body as one of the 2011 set, and how it was spelled; the same element where nothing differs or nothing may."""
    seen = rename(body, dialect)
    if dialect.operation_wrappers:
        body, operation, inner = _unwrapped(body, seen)
        seen = Spelling(message=seen.message, typed=seen.typed, payload=seen.payload, operation=operation, inner=inner)
    leave_out(body, dialect)
    return body, seen


def rename(element: Element, dialect: Dialect) -> Spelling:
    """Put an element and all below it into our namespaces, in place, and say which ones it had."""
    table = _namespaces(dialect)
    if not table and not dialect.spelling.payload:
        return OURS
    found = {"message": "", "typed": "", "payload": ""}
    common = dialect.spelling.payload if NOUN not in dialect.spelling.payload else ""
    if common:
        for root in list(_roots_in(element, common)):
            found["payload"] = common
            _rename_all(root, common, ns.payload(etree.QName(root).localname))
    names = {tag: etree.QName(tag) for tag in {one.tag for one in element.iter("*")}}
    renamed: dict[str, str] = {}
    for tag, name in names.items():
        theirs = name.namespace or ""
        ours = table.get(theirs, theirs)
        if ours != theirs:
            renamed[tag] = f"{{{ours}}}{name.localname}"
            kind = _kind_of(ours)
            found[kind] = _template(theirs, ours)
    if renamed:
        retag(element, renamed)
    return Spelling(**found)


def retag(element: Element, names: Mapping[str, str]) -> None:
    """Give elements of these Clark names other ones; in one pass, however many names there are."""
    for one in element.iter("*"):
        if (new := names.get(one.tag)) is not None:
            one.tag = new


def leave_out(body: Element, dialect: Dialect) -> None:
    """Remove the elements that the standard does not have, wherever they stand."""
    for name in dialect.extra_elements:
        for one in list(body.iter(f"{{*}}{name}")):
            parent = one.getparent()
            if parent is not None:
                parent.remove(one)


def expected_for(namespace: str) -> str | None:
    """The namespace of ours that another spelling of it stands for."""
    ours = ALIASES.get(namespace)
    return None if ours == namespace else ours


@lru_cache(maxsize=_MOST_REMEMBERED)
def _namespaces(dialect: Dialect) -> Mapping[str, str]:
    """Theirs to ours."""
    theirs = dialect.spelling
    table = dict(ALIASES) if dialect.other_namespaces else {}
    if theirs.message:
        table[theirs.message] = ns.MESSAGE
    if NOUN in theirs.typed:
        table |= {theirs.typed.replace(NOUN, name): ns.typed_message(name) for name in TYPED}
    if NOUN in theirs.payload:
        table |= {theirs.payload.replace(NOUN, root.name): root.namespace for root in ROOTS}
    return table


def _kind_of(ours: str) -> str:
    return "message" if ours == ns.MESSAGE else "payload" if ours in _PAYLOADS else "typed"


def _template(theirs: str, ours: str) -> str:
    """Their namespace with the noun left open, if it has one where ours has."""
    for name in TYPED:
        if ours in (ns.payload(name), ns.typed_message(name)):
            before, found, after = theirs.rpartition(name)
            return f"{before}{NOUN}{after}" if found else theirs
    return theirs


def _roots_in(element: Element, namespace: str) -> Iterator[Element]:
    """Payloads and query profiles in a namespace, wherever they stand."""
    for one in element.iter(f"{{{namespace}}}*"):
        parent = one.getparent()
        if parent is None or etree.QName(parent).localname in _AROUND_PAYLOADS:
            yield one


def _rename_all(root: Element, theirs: str, ours: str) -> None:
    for one in list(root.iter(f"{{{theirs}}}*")):
        one.tag = f"{{{ours}}}{etree.QName(one).localname}"


def _said_of_sender(body: Element) -> tuple[str | None, str | None]:
    """Source and ReplyAddress of a Header in whatever namespace, of a message or of one in its operation."""
    for path in ("{*}Header", "{*}*/{*}Header"):
        if (header := body.find(path)) is not None:
            values = (header.findtext(f"{{*}}{name}") or "" for name in ("Source", "ReplyAddress"))
            source, reply_address = (value.strip(SPACE) or None for value in values)
            return source, reply_address
    return None, None


def _unwrapped(body: Element, seen: Spelling) -> tuple[Element, str, str]:
    """The generic message in an element of its operation, the namespace of that, and how it was called there."""
    name = etree.QName(body)
    kind = _MESSAGES.get(name.localname)
    if kind is None or name.namespace not in (ABSTRACT, ns.MESSAGE) or len(body) != 1:
        return body, "", ""
    message = body[0]
    inner = etree.QName(message)
    if inner.localname not in ("message", "Message", kind) or inner.namespace not in (ABSTRACT, ns.MESSAGE):
        return body, "", ""
    message.tag = f"{{{ns.MESSAGE}}}{kind}"
    theirs = {ns.MESSAGE: seen.message or ns.MESSAGE}
    operation = theirs.get(name.namespace, name.namespace)
    return message, operation, f"{{{theirs.get(inner.namespace, inner.namespace)}}}{inner.localname}"
