"""Peers that read or write the standard otherwise: how a message shows who sent it, and what their dialect is.

A peer is known by what its messages say, Header/Source or the host and port of ReplyAddress. That is no proof of who it is: a dialect
changes how a message is spelled, and never what somebody may do."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """Namespaces and wrapper of one message, where they differ from the 2011 set; `{noun}` stands for the name of a root element.

    A name without `{noun}` is that of all payloads together."""

    message: str = ""
    """Namespace of the envelope; empty: ours, as for the others."""
    typed: str = ""
    """Namespace of typed messages."""
    payload: str = ""
    """Namespace of payloads and query profiles."""
    operation: str = ""
    """Namespace of the element of an operation (Request, Response, PublishEvent) around a generic message; empty: none is there."""
    inner: str = ""
    """Clark name of the message in it."""


OURS = Spelling()


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """A child that comes before its siblings, wherever the schema has it; `element` is a local name, or `*` for any."""

    element: str
    child: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """In what a peer's messages may differ from the 2011 set, and what is written for it; the default is in nothing."""

    name: str = "strict"
    other_namespaces: bool = False
    """Those of drafts (`www.`) and of typed messages and payloads of other years count as ours."""
    operation_wrappers: bool = False
    """A generic message may stand in an element that is named as the operation of its WSDL."""
    any_order: bool = False
    """Elements of a payload may stand in any order; they are put into that of the schema before they are validated."""
    extra_elements: tuple[str, ...] = ()
    """Local names of elements that the standard does not have; they are left out."""
    spelling: Spelling = OURS
    """Of what is sent, where the request does not show another; its payload namespace is read, too."""
    late_reply: Literal["generic", "typed", "operation"] = "generic"
    """How a late reply is written: as ResponseMessage, as the noun's own, or as message in the operation Response."""
    before: tuple[Before, ...] = ()
    """Of what is sent."""
    success_code: bool = False
    """Whether a Reply that is OK has the code 0.0 and no other."""
    interval_period: bool = False
    """Whether an interval has its timePeriod."""
    name_type: str = ""
    """NameType of the name of a meter in what is sent; empty: none."""
    name_type_authority: str = ""


STRICT = Dialect()


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Who may send, and in which dialect."""

    source: str | None = None
    """Header/Source."""
    reply_address: str | None = None
    """Of which scheme, host and port count; with `source`, both have to fit."""
    dialect: Dialect = STRICT
    octets: int | None = None
    """Of its largest message; None: as of any other's."""

    def sends(self, source: str | None, reply_address: str | None) -> bool:
        """Whether everything by which the peer is known is in a header with these values."""
        if self.source is not None and source != self.source:
            return False
        if self.reply_address is None:
            return self.source is not None
        origin = origin_of(self.reply_address)
        return origin is not None and origin == origin_of(reply_address or "")


def origin_of(address: str) -> str | None:
    """Scheme, host and port of an http or https address, in lower case; None for anything else."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return None
    default = _PORTS.get(parts.scheme)
    if default is None or not parts.hostname or "@" in parts.netloc:
        return None
    return f"{parts.scheme}://{parts.hostname}:{port or default}"
