"""Messages of partners that speak another set than ours, made into ours before they are validated.

Drafts wrote the namespaces with `www.`; the typed messages of other schema sets carry 2015 or 2017, the readings of an old head-end
2009. Clients of the generic WSDL put the message into an element of the operation, `Request`, `Response` or `PublishEvent`."""

from collections.abc import Mapping
from typing import Final

from lxml import etree

from ami_cim import ns
from ami_cim.limits import Dialect
from ami_cim.nouns import ROOTS
from ami_cim.xml import Element

ABSTRACT: Final = "http://iec.ch/TC57/2011/abstract"
"""Of the generic WSDL of one product; also that of its wrappers."""

_YEARS = ("2009", "2011", "2015", "2017")
_OURS = (ns.MESSAGE, *(root.namespace for root in ROOTS), *(ns.typed_message(root.name) for root in ROOTS))
ALIASES: Final[Mapping[str, str]] = {
    ours.replace("//iec.ch/", f"//{host}/").replace("/2011/", f"/{year}/"): ours
    for ours in _OURS
    for host in ("iec.ch", "www.iec.ch")
    for year in (("2011",) if ours == ns.MESSAGE else _YEARS)
}
"""Namespaces that mean the same as one of ours, by how they are spelled; ours are among them."""

_MESSAGES = {"Request": "RequestMessage", "Response": "ResponseMessage", "PublishEvent": "EventMessage"}
"""By the operation of the generic WSDL."""


def canonical(body: Element, dialect: Dialect) -> Element:
    """The message in a SOAP body as one of the 2011 set; the same element where nothing differs or nothing may."""
    if dialect.other_namespaces:
        rename(body)
    return _unwrapped(body) if dialect.operation_wrappers else body


def rename(element: Element) -> None:
    """Put an element and all below it into our namespaces, in place."""
    names = {tag: etree.QName(tag) for tag in {one.tag for one in element.iter("*")}}
    for tag, name in names.items():
        ours = ALIASES.get(name.namespace or "", name.namespace)
        if ours != name.namespace:
            for one in list(element.iter(tag)):
                one.tag = f"{{{ours}}}{name.localname}"


def expected_for(namespace: str) -> str | None:
    """The namespace of ours that another spelling of it stands for."""
    ours = ALIASES.get(namespace)
    return None if ours == namespace else ours


def _unwrapped(body: Element) -> Element:
    """The generic message in an element of its operation."""
    name = etree.QName(body)
    kind = _MESSAGES.get(name.localname)
    if kind is None or name.namespace not in (ABSTRACT, ns.MESSAGE) or len(body) != 1:
        return body
    message = body[0]
    inner = etree.QName(message)
    if inner.localname not in ("message", "Message", kind) or inner.namespace not in (ABSTRACT, ns.MESSAGE):
        return body
    message.tag = f"{{{ns.MESSAGE}}}{kind}"
    return message
