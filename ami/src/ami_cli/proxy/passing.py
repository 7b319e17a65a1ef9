"""APDUs that pass, deciphered with the keys that are known, in words; and their octets without secrets.

Passwords and keys in them are zeros in what is kept, and `not shown` in words. What belongs to a request about a secret has none of its values.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from ami_dlms.apdu.blocks import GeneralBlockTransfer
from ami_dlms.apdu.ciphered import SERVICE_CIPHERING_TAGS
from ami_dlms.cosem.confidential import is_secret
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.enums import ApduTag
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
from ami_dlms.explain.apdus import APDU
from ami_dlms.framing import wrapper
from ami_dlms.framing.framing import WrapperPdu
from ami_trace.pcapng import TOGETHER, Companion, companions

MOST_SESSIONS = 64
"""Of one connection: pairs of client and server."""
LONGEST_LINE = 400
MOST_SECRET = 256
"""Exchanges about secrets that are kept apart; with as many open, every one counts as such."""
SHORT = frozenset(
    {
        ApduTag.GET_REQUEST,
        ApduTag.SET_REQUEST,
        ApduTag.ACTION_REQUEST,
        ApduTag.GET_RESPONSE,
        ApduTag.SET_RESPONSE,
        ApduTag.ACTION_RESPONSE,
    }
)
"""Their third octet is Invoke-Id-And-Priority."""
LONG = frozenset({ApduTag.ACCESS_REQUEST, ApduTag.ACCESS_RESPONSE})
"""Four octets of Long-Invoke-Id-And-Priority are behind their tag."""
CIPHERED_TAGS = SERVICE_CIPHERING_TAGS | {
    ApduTag.GENERAL_GLO_CIPHERING,
    ApduTag.GENERAL_DED_CIPHERING,
    ApduTag.GENERAL_CIPHERING,
}
SHORT_END, LONG_END = 3, 5
INVOKE_ID, LONG_INVOKE_ID, ACCESS = 0x0F, 0xFF_FFFF, 1 << 24


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
class _Exchanges:
    """Which exchanges between one client and one server are about secrets: later blocks and answers name no object, but the invoke-id."""

    secret: set[int] = field(default_factory=set)
    pieces_are_ciphered: bool = False
    """Of the general block transfer by which the client sends."""

    def carries(self, clear: Node, *, from_client: bool) -> bool:
        """Whether an APDU belongs to one. Parts of a general block transfer do as soon as they may."""
        held = [clear, *(one for one in nodes(clear) if one is not clear and one.type == APDU)]
        if from_client:
            for one in held:
                self._asked(one)
        block = clear.value
        if isinstance(block, GeneralBlockTransfer) and block.block_data:
            if not from_client:
                return bool(self.secret)
            if block.block_number == 1:
                self.pieces_are_ciphered = block.block_data[0] in CIPHERED_TAGS
            if not self.pieces_are_ciphered:
                return True
        if clear.octets[:1] == bytes((ApduTag.AARQ,)) and clear.type != APDU:
            return True  # broken, and where its password is can't be said
        return len(self.secret) >= MOST_SECRET or any(_invocation(one.octets) in self.secret for one in held)

    def _asked(self, one: Node) -> None:
        """A request that names objects begins an exchange; whatever it carries."""
        number = _invocation(one.octets)
        values = [part.value for part in _same(one)]
        named = [value for value in values if isinstance(value, AttributeDescriptor | MethodDescriptor)]
        if number is None or not named:
            return
        if any(map(is_secret, named)):
            self.secret.add(number)
        else:
            self.secret.discard(number)


def _invocation(octets: bytes) -> int | None:
    """What tells exchanges apart, read from the octets, so that it is known of what is broken as well; None for what belongs to none."""
    if octets[:1] and octets[0] in SHORT and len(octets) >= SHORT_END:
        return octets[SHORT_END - 1] & INVOKE_ID
    if octets[:1] and octets[0] in LONG and len(octets) >= LONG_END:
        return ACCESS + (int.from_bytes(octets[1:LONG_END]) & LONG_INVOKE_ID)
    return None


@dataclass(slots=True)
class Passing:
    """What is known of one connection."""

    number: int
    keyring: Keyring
    _sessions: dict[tuple[int, int], DecodingSession] = field(default_factory=dict)
    _exchanges: dict[tuple[int, int], _Exchanges] = field(default_factory=dict)

    def explain(self, at: datetime, pdu: WrapperPdu, *, from_client: bool) -> Passed:
        """What an APDU says."""
        client, server = (pdu.source, pdu.destination) if from_client else (pdu.destination, pdu.source)
        session = self._session(client, server)
        [tree, *_] = explain(wrapper.encode(pdu), session)
        root = tree.parts[-1]
        clear = deciphered(root)
        carries = self._exchanges.setdefault((client, server), _Exchanges()).carries(clear, from_client=from_client)
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
            _line(root, clear, hidden, trouble, secret=carries),
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
            self._exchanges.pop(gone, None)
        return self._sessions.setdefault(key, DecodingSession(self.keyring))


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


def _line(root: Node, clear: Node, hidden: Iterable[Node], trouble: str, *, secret: bool) -> str:
    around = f"  [{root.name.replace('_', '-')}]" if is_ciphered(root) else ""
    unread = f"{clear.name.replace('_', '-')}, can't be read"
    text = unread if clear.value is None or (secret and clear.type != APDU) else headline(clear, hidden)
    text += f"  ({trouble})" if trouble else ""
    return (text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}…") + around
