"""`-v`: every APDU in words, its octets deciphered, and the octets that really went over the wire.

It wraps the framing, so it sees an APDU just before it is framed and just after. `ami_dlms.explain` deciphers it with the
same keys once more, so the protocol core needs no window into it. Passwords and keys that pass are masked, in
the words, in the clear octets, and in those of the wire.
"""

from collections.abc import Callable, Sequence

from ami_dlms.association import ClientSettings
from ami_dlms.explain import (
    HIDDEN,
    DecodingSession,
    Keyring,
    Node,
    deciphered,
    explain,
    headline,
    inside,
    is_ciphered,
    secret_nodes,
    without_secrets,
)
from ami_dlms.explain.node import nodes
from ami_dlms.framing.framing import Framing, LinkLost, WrapperPdu
from ami_dlms.security import ENCRYPTED

HEX_LINE = 32
LONGEST_SUMMARY = 400
PIECE = 2
"""The number of successive octets by which a secret is recognised that a frame cuts in two."""


class Trace:
    """Where the lines go, what is known for deciphering, and what must not be shown."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._session = DecodingSession()
        self._encrypted = False
        self._about_a_secret = False
        self._passing: list[bytes] = []

    def association(self, settings: ClientSettings) -> None:
        """The association that the next APDUs belong to."""
        security = settings.security
        self._session = DecodingSession()
        self._encrypted = security is not None and security.encrypted
        if security is not None:
            keys, title, peer = security.keys, security.system_title, security.peer_system_title
            held = security.asymmetric
            keyring = Keyring(
                keys.encryption_key,
                keys.authentication_key,
                None,
                title,
                peer,
                keys.master_key,
                held.agreement,
                held.peer_agreement,
            )
            self._session = DecodingSession(keyring)

    def exchange(self, *, about_a_secret: bool) -> None:
        """A request begins; whether it, or its answer, holds a password or a key."""
        self._about_a_secret = about_a_secret
        self._passing = []

    def octets(self, direction: str, octets: bytes) -> None:
        """As they are on the wire."""
        label = "sent    " if direction == "→" else "received"
        unread = direction == "←" and self._about_a_secret and not self._encrypted
        digits = None if unread else _without(octets, self._passing)
        self._lines(label, f"{len(octets)} octets, not shown: a secret is among them" if digits is None else digits)

    def apdu(self, direction: str, pdu: WrapperPdu) -> None:
        """One APDU in words and deciphered, and what its user-information holds."""
        [tree, *_] = explain(pdu.apdu, self._session)
        clear = deciphered(tree)
        hidden = secret_nodes(clear, carries=self._about_a_secret)
        around = f"  [{tree.name.replace('_', '-')}]" if is_ciphered(tree) else ""
        self._passing = [] if _is_encrypted(tree) else [node.octets for node in hidden]
        trouble = _trouble(clear)
        summary = _summary(clear, hidden, "" if self._about_a_secret else trouble)
        self._write(f"{direction} {pdu.source} → {pdu.destination}  {summary}{around}")
        if trouble and self._about_a_secret:
            self._lines("clear   ", f"{len(clear.octets)} octets, not shown: a secret may be among them")
            return
        self._lines("ciphered" if is_ciphered(clear) else "clear   ", without_secrets(clear, hidden))
        if (inner := inside(tree)) is not None:
            inner = deciphered(inner)
            hidden = secret_nodes(inner)
            self._write(f"    user-information: {_summary(inner, hidden, _trouble(inner))}")
            self._lines("clear   ", without_secrets(inner, hidden))

    def _lines(self, label: str, text: str) -> None:
        width = 2 * HEX_LINE if " " not in text else len(text)
        for start in range(0, len(text), width):
            self._write(f"    {label if start == 0 else ' ' * len(label)} {text[start : start + width]}")


class TracedFraming:
    """A framing that tells of every APDU that passes."""

    def __init__(self, inner: Framing, trace: Trace) -> None:
        self._inner = inner
        self._trace = trace

    def encode(self, source: int, destination: int, *apdus: bytes) -> bytes:
        for octets in apdus:
            self._trace.apdu("→", WrapperPdu(source, destination, octets))
        return self._inner.encode(source, destination, *apdus)

    def pass_turn(self, source: int, destination: int) -> None:
        self._inner.pass_turn(source, destination)

    def receive_data(self, octets: bytes) -> None:
        self._inner.receive_data(octets)

    def next_pdu(self) -> WrapperPdu | LinkLost | None:
        pdu = self._inner.next_pdu()
        if isinstance(pdu, WrapperPdu):
            self._trace.apdu("←", pdu)
        return pdu

    def data_to_send(self) -> bytes:
        return self._inner.data_to_send()


def _trouble(tree: Node) -> str:
    """Why an APDU can't be read, at the part where it stopped."""
    return next((one.trouble for one in nodes(tree) if one.trouble), "")


def _summary(tree: Node, hidden: Sequence[Node], trouble: str) -> str:
    why = f": {trouble}" if trouble else ""
    if tree.value is None:
        text = f"{tree.name.replace('_', '-')}, can't be read{why}"
    else:
        text = headline(tree, hidden) + (f"  ({trouble})" if trouble else "")
    return text if len(text) <= LONGEST_SUMMARY else f"{text[:LONGEST_SUMMARY]}…"


def _is_encrypted(tree: Node) -> bool:
    content = tree.part("content")
    return is_ciphered(tree) and content is not None and bool(content.value[:1] and content.value[0] & ENCRYPTED)


def _without(octets: bytes, secrets: Sequence[bytes]) -> str | None:
    """Hex without these secrets; None when a piece of one is there that a frame has cut off."""
    digits = octets.hex().upper()
    cut = [secret for secret in secrets if secret not in octets]
    for secret in secrets:
        digits = digits.replace(secret.hex().upper(), HIDDEN * 2 * len(secret))
    pieces = {secret[at : at + PIECE] for secret in cut for at in range(len(secret) - PIECE + 1)}
    return None if any(piece in octets for piece in pieces) else digits
