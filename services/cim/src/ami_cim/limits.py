"""How much one message may hold, and the pass over it that counts before a tree is built.

libxml2 is fast on text and slow on shapes: it copies the namespace declarations in scope one by one whenever a part of the
document is validated or written, and every node costs a hundred octets and more. So expat, which builds nothing, goes over the
octets first and stops at the first thing that is too much; no tree is made, and no schema asked, of what it has refused."""

from contextlib import suppress
from dataclasses import dataclass, replace
from xml.parsers import expat

from ami_cim.errors import InvalidMessage
from ami_cim.peers import STRICT, Dialect, Peer


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one endpoint takes from one kind of peer; the defaults are for a peer that is not known."""

    octets: int = 5_000_000
    """Of the document, and of what Content-Encoding unpacks to."""
    unpacked: int = 5_000_000
    """Octets that a `Compressed` payload unpacks to."""
    nodes: int = 100_000
    """Elements, attributes and namespace declarations together."""
    depth: int = 40
    """Elements inside each other."""
    namespaces: int = 200
    """Namespace declarations in scope at once."""
    dialect: Dialect = STRICT
    """Of a peer that is not among `peers`."""
    peers: tuple[Peer, ...] = ()
    """Those that speak otherwise, the first that fits going before the others."""

    @property
    def largest(self) -> int:
        """Octets of the largest message of any peer."""
        return max(self.octets, *(peer.octets or 0 for peer in self.peers), 0)


UNKNOWN_PEER = Limits()
_OCTETS_PER_NODE = 20


def for_peer(octets: int) -> Limits:
    """What an endpoint takes from a peer that is configured for messages of this size: as many nodes as readings have.

    An interval with value, time and quality is 6 nodes in some 170 octets."""
    nodes = max(UNKNOWN_PEER.nodes, octets // _OCTETS_PER_NODE)
    return Limits(octets=octets, unpacked=octets, nodes=nodes)


HEAD_END = for_peer(UNKNOWN_PEER.octets)
"""What a requester takes as an answer, now or later: as many nodes as the intervals have that such an answer has room for, some 29,000."""


_CHUNK = 262_144
HEAD = 65_536
"""Octets in which the Header of a message is looked for."""
_LEVELS = 3
"""Elements around the Header of a message, which that of SOAP has not: Envelope, Body, message."""


def of_sender(octets: bytes, limits: Limits) -> Limits:
    """What the message's sender may send: more than others if it is a peer that is configured so.

    Only who could need more is asked for, by the Header, of which as much is read as a stranger's may have."""
    if limits.largest <= limits.octets:
        return limits
    if len(octets) <= limits.octets and surely_within(octets, limits) and b"Compressed" not in octets:
        return limits
    return of_header(octets, limits)


def of_header(octets: bytes, limits: Limits) -> Limits:
    """The same by the Header, which is among these first octets of the message, whether the sender needs more or not."""
    source, reply_address = _sender(octets)
    peer = next((one for one in limits.peers if one.sends(source, reply_address)), None)
    if peer is None or peer.octets is None:
        return limits
    return replace(for_peer(max(peer.octets, limits.octets)), dialect=limits.dialect, peers=limits.peers)


def _sender(octets: bytes) -> tuple[str | None, str | None]:
    """Source and ReplyAddress of the first Header among the first octets, in whatever namespace; None for what is not there."""
    head = _Head()
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = head.start, head.end
    parser.CharacterDataHandler = head.text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    with suppress(expat.ExpatError, InvalidMessage, _HeadIsOver):  # what is wrong with it is said where it is read
        parser.Parse(octets[:HEAD])
    return head.said("Source"), head.said("ReplyAddress")


class _HeadIsOver(Exception):
    """Nothing more is to be known."""


class _Head:
    """What a Header says, by local name."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._texts: dict[str, str] = {}

    def start(self, name: str, _: dict[str, str]) -> None:
        self._open.append(name.rpartition(":")[2])

    def text(self, some: str) -> None:
        if len(self._open) > _LEVELS and self._open[-2] == "Header":
            self._texts[self._open[-1]] = self._texts.get(self._open[-1], "") + some

    def end(self, _: str) -> None:
        if self._open.pop() == "Header" and len(self._open) >= _LEVELS:
            raise _HeadIsOver

    def said(self, name: str) -> str | None:
        return self._texts.get(name, "").strip("\t\n\r ") or None


def check(octets: bytes, limits: Limits) -> None:
    """Raise InvalidMessage unless the document (UTF-8) is well-formed, without document type, and inside the limits."""
    if octets.count(b"=") > limits.nodes:  # what expat does with one tag grows with the square of its attributes
        raise InvalidMessage("3.1", "The message has too many attributes", f"more than {limits.nodes} equals signs")
    counter = _Counter(limits)
    parser = expat.ParserCreate("utf-8")
    parser.ordered_attributes = True
    parser.StartElementHandler = counter.start
    parser.EndElementHandler = counter.end
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        for at in range(0, len(octets), _CHUNK):  # after an exception of a handler, expat reads its chunk to the end
            parser.Parse(octets[at : at + _CHUNK])
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise InvalidMessage("1.8", "The message is not well-formed XML", str(error)) from None


def surely_within(octets: bytes, limits: Limits) -> bool:
    """Whether as many nodes and namespaces as the document could have at most are inside the limits; depth is not looked at.

    Counted are characters without which there is none, in a fiftieth of the time that `check` takes."""
    nodes = octets.count(b"<") + octets.count(b"=")
    if nodes > limits.nodes:
        nodes -= octets.count(b"</")
    return nodes <= limits.nodes and octets.count(b"xmlns") <= limits.namespaces


def _refuse_doctype(*_: object) -> None:
    raise InvalidMessage("1.8", "A document type declaration is not accepted")


class _Counter:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._nodes = 0
        self._open: list[int] = []
        self._in_scope = 0

    def start(self, _: str, attributes: list[str]) -> None:
        """`attributes` holds names and values in turn."""
        limits = self._limits
        self._nodes += 1 + len(attributes) // 2
        if self._nodes > limits.nodes:
            raise InvalidMessage("3.1", "The message has too many elements", f"more than {limits.nodes}")
        declared = sum(name == "xmlns" or name.startswith("xmlns:") for name in attributes[::2])
        self._in_scope += declared
        if self._in_scope > limits.namespaces:
            raise InvalidMessage("3.1", "The message declares too many namespaces", f"more than {limits.namespaces}")
        self._open.append(declared)
        if len(self._open) > limits.depth:
            raise InvalidMessage("1.8", "The message is nested too deeply", f"more than {limits.depth} levels")

    def end(self, _: str) -> None:
        self._in_scope -= self._open.pop()
