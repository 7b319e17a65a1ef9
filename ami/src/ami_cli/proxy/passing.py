"""APDUs that pass, deciphered with the keys that are known, in words; and their octets without secrets.

Passwords and keys in them are zeros in what is kept, and `not shown` in words. What belongs to a request about a secret has none of its values.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from ami_dlms.cosem.confidential import is_secret
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.explain import (
    DecodingSession,
    Keyring,
    Node,
    deciphered,
    explain,
    headline,
    inside,
    is_ciphered,
    nodes,
    secret_nodes,
)
from ami_dlms.framing import wrapper
from ami_dlms.framing.framing import WrapperPdu
from ami_trace.pcapng import TOGETHER, Companion, companions

MOST_SESSIONS = 64
"""Of one connection: pairs of client and server."""
LONGEST_LINE = 400


@dataclass(frozen=True, slots=True)
class Passed:
    """One APDU. `clear` are its octets deciphered and without secrets, None where no key opens it; `initiate` those that its user-information holds.

    `whole`: the APDU that would have come without blocks, with the last of them. `control` is the security control octet.
    """

    at: datetime
    connection: int
    from_client: bool
    client: int
    server: int
    clear: bytes | None
    line: str
    secret_in_clear: bool
    companions: tuple[Companion, ...] = ()
    initiate: bytes | None = None
    whole: bytes | None = None
    control: int | None = None
    trouble: str = ""


@dataclass(slots=True)
class Passing:
    """What is known of one connection."""

    number: int
    keyring: Keyring
    _sessions: dict[tuple[int, int], DecodingSession] = field(default_factory=dict)
    _secret: dict[tuple[int, int], bool] = field(default_factory=dict)

    def explain(self, at: datetime, pdu: WrapperPdu, *, from_client: bool) -> Passed:
        """What an APDU says."""
        client, server = (pdu.source, pdu.destination) if from_client else (pdu.destination, pdu.source)
        session = self._session(client, server)
        [tree, *_] = explain(wrapper.encode(pdu), session)
        root = tree.parts[-1]
        clear = deciphered(root)
        if from_client:
            self._secret[client, server] = _about_a_secret(clear)
        carries = self._secret.get((client, server), False)
        hidden = secret_nodes(clear, carries=carries)
        inner = None if (found := inside(clear)) is None else deciphered(found)
        inner_hidden = [] if inner is None else secret_nodes(inner)
        secret = bool(hidden or inner_hidden or carries)
        behind = () if secret else tuple(companions(tree))
        trouble = next((one.trouble for one in nodes(tree) if one.trouble), "")
        open_ = not is_ciphered(clear) and not (trouble and carries)
        return Passed(
            at,
            self.number,
            from_client,
            client,
            server,
            _struck(clear, (*hidden, *_within(clear, inner_hidden))) if open_ else None,
            _line(root, clear, hidden, trouble),
            secret_in_clear=secret and not is_ciphered(root),
            companions=behind,
            initiate=None if inner is None or is_ciphered(inner) else _struck(inner, inner_hidden),
            whole=next((one.apdu for one in behind if TOGETHER in one.comments), None),
            control=_control(root),
            trouble=trouble,
        )

    def _session(self, client: int, server: int) -> DecodingSession:
        key = client, server
        if key not in self._sessions and len(self._sessions) >= MOST_SESSIONS:
            self._sessions.pop(gone := next(iter(self._sessions)))
            self._secret.pop(gone, None)
        return self._sessions.setdefault(key, DecodingSession(self.keyring))


def _about_a_secret(clear: Node) -> bool:
    """A request that names one, whatever it carries."""
    named = (one.value for one in nodes(clear) if isinstance(one.value, AttributeDescriptor | MethodDescriptor))
    return any(map(is_secret, named))


def _within(root: Node, hidden: Iterable[Node]) -> list[Node]:
    """Those that lie in these octets; what was deciphered lies elsewhere."""
    own = {id(one) for one in _same(root)}
    return [one for one in hidden if id(one) in own]


def _same(root: Node) -> Iterable[Node]:
    yield root
    for part in root.parts:
        yield from _same(part)


def _struck(root: Node, hidden: Iterable[Node]) -> bytes:
    octets = bytearray(root.octets)
    for one in hidden:
        first = one.start - root.start
        octets[first : first + len(one.octets)] = bytes(len(one.octets))
    return bytes(octets)


def _control(root: Node) -> int | None:
    content = root.part("content")
    return (
        content.octets[-len(content.value)]
        if content is not None and isinstance(content.value, bytes) and content.value
        else None
    )


def _line(root: Node, clear: Node, hidden: Iterable[Node], trouble: str) -> str:
    around = f"  [{root.name.replace('_', '-')}]" if is_ciphered(root) else ""
    unread = f"{clear.name.replace('_', '-')}, can't be read"
    text = unread if clear.value is None else headline(clear, hidden)
    text += f"  ({trouble})" if trouble else ""
    return (text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}…") + around
