"""Protecting and checking whole APDUs inside one association: wrapping, titles, policy, counters (Green Book 9.2.7).

A frame passes only when its title is the peer's, its security control satisfies the policy, its tag holds, its counter is
fresh, and what it holds is the service that its outer tag promised. Only then does the receive counter move, so that a
forged frame can't lock the true peer out. Every protection and every GMAC takes a new counter value.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from dlms import apdu
from dlms.apdu import Apdu
from dlms.apdu.ciphered import GeneralDedCiphering, GeneralGloCiphering, ServiceCiphering
from dlms.association.settings import Ciphering, Security
from dlms.cursor import encode_length
from dlms.enums import ApduTag
from dlms.errors import DecodeError, LocalError, SecurityError
from dlms.security import (
    AUTHENTICATED,
    ENCRYPTED,
    GlobalKeys,
    ReceiveCounter,
    SendCounter,
    gmac_holds,
    gmac_response,
    overhead,
    protect,
    unprotect,
)
from dlms.security.aead import SYSTEM_TITLE_LENGTH
from dlms.security.suites import SUITE_MASK

PROTECTION_MASK = SUITE_MASK | AUTHENTICATED | ENCRYPTED
GENERAL_HEADER = 2 + SYSTEM_TITLE_LENGTH
FIRST_LN_SERVICE = int(ApduTag.GET_REQUEST)
LAST_LN_SERVICE = int(ApduTag.ACTION_RESPONSE)
LAST_SN_SERVICE = int(ApduTag.INFORMATION_REPORT_REQUEST)

CipheredApdu = GeneralGloCiphering | GeneralDedCiphering | ServiceCiphering


class Wrapping(Enum):
    """How an APDU travels."""

    PLAIN = "plain"
    GENERAL_GLO = "general-glo"
    GENERAL_DED = "general-ded"
    GLO = "glo"
    DED = "ded"


GENERAL = frozenset({Wrapping.GENERAL_GLO, Wrapping.GENERAL_DED})
DEDICATED = frozenset({Wrapping.GENERAL_DED, Wrapping.DED})
OUTER_TAG = {Wrapping.GENERAL_GLO: ApduTag.GENERAL_GLO_CIPHERING, Wrapping.GENERAL_DED: ApduTag.GENERAL_DED_CIPHERING}


class Form(NamedTuple):
    """Wrapping and security control octet: an answer takes the form of its request."""

    wrapping: Wrapping
    control: int = 0


PLAIN = Form(Wrapping.PLAIN)


class Verified(NamedTuple):
    """An APDU whose protection held, and the form in which it came."""

    apdu: Apdu
    form: Form


class Protection:
    """Keys, titles and counters of one association."""

    def __init__(self, security: Security, send_counter: SendCounter, receive_counter: ReceiveCounter) -> None:
        self.security = security
        self.peer_title = security.peer_system_title
        self._send_counter = send_counter
        self._receive_counter = receive_counter
        self._dedicated: tuple[GlobalKeys, ReceiveCounter] | None = None

    def form(self, wrapping: Wrapping | None = None) -> Form:
        """The form that our own settings want; plain when the policy protects nothing."""
        if not self.security.ciphered:
            return PLAIN
        if wrapping is None:
            wrapping = _WANTED[self.security.ciphering, self._dedicated is not None]
        return Form(wrapping, self.security.control)

    def meet(self, title: bytes | None) -> None:
        """Take the peer's system title; SecurityError when it is foreign, malformed, or our own sent back to us."""
        known = self.security.peer_system_title
        if title is None or title == b"":
            self.peer_title = known
            return
        if len(title) != SYSTEM_TITLE_LENGTH:
            raise SecurityError(f"a system title has {SYSTEM_TITLE_LENGTH} octets, the peer's has {len(title)}")
        if title == self.security.system_title:
            raise SecurityError("the peer shows our own system title")
        if known is not None and title != known:
            raise SecurityError(f"foreign system title {title.hex()}, expected {known.hex()}")
        self.peer_title = title

    def dedicate(self, key: bytes | None) -> None:
        """Use a dedicated key from now on (None: forget the last one); its receive counter begins anew."""
        if key is None:
            self._dedicated = None
            return
        if len(key) != len(self.security.keys.encryption_key):
            raise SecurityError(f"a dedicated key of {len(key)} octets does not fit the suite")
        self._dedicated = (self.security.keys.with_encryption_key(key), ReceiveCounter())

    def prove(self, challenge: bytes) -> bytes:
        """Our f(challenge) of HLS with GMAC."""
        security = self.security
        return gmac_response(security.suite, security.keys, security.system_title, self._send_counter.take(), challenge)

    def peer_proved(self, challenge: bytes, response: bytes) -> bool:
        """Whether the peer's f(challenge) holds."""
        title = self.peer_title or b""
        return gmac_holds(self.security.suite, self.security.keys, title, challenge, response)

    def protect(self, plaintext: bytes, form: Form) -> bytes:
        """An encoded APDU in its form, with a new counter value."""
        if form.wrapping is Wrapping.PLAIN:
            return plaintext
        title = self.security.system_title
        content = protect(form.control, self._keys(form.wrapping)[0], title, self._send_counter.take(), plaintext)
        if form.wrapping in GENERAL:
            head = bytes((OUTER_TAG[form.wrapping], SYSTEM_TITLE_LENGTH)) + title
        else:
            head = bytes((_service_tag(plaintext[0], form.wrapping),))
        return head + encode_length(len(content)) + content

    def unprotect(self, message: CipheredApdu) -> Verified:
        """Check everything about a ciphered APDU and return what it holds; SecurityError moves no counter."""
        wrapping = _wrapping_of(message)
        self._check_title(message)
        if not message.content:
            raise SecurityError("a ciphered APDU without content")
        self._check_control(message.content[0])
        keys, counter = self._keys(wrapping)
        if self.peer_title is None:
            raise SecurityError("the peer's system title is not known")
        opened = unprotect(keys, self.peer_title, message.content)
        counter.check(opened.invocation_counter)
        held = _authenticated_or_legible(opened.control, opened.plaintext)
        counter.accept(opened.invocation_counter)
        if isinstance(message, ServiceCiphering) and opened.plaintext[:1] != bytes((_plain_tag(message.tag),)):
            raise SecurityError("a ciphered APDU holds another service than its tag says")
        return Verified(held or apdu.decode(opened.plaintext), Form(wrapping, opened.control))

    def _check_title(self, message: CipheredApdu) -> None:
        if isinstance(message, ServiceCiphering):
            return
        if message.system_title and message.system_title != self.peer_title:
            raise SecurityError(f"foreign system title {message.system_title.hex()} in a ciphered APDU")

    def _check_control(self, control: int) -> None:
        wanted = self.security.control
        if control & ~PROTECTION_MASK:
            raise SecurityError(f"security control {control:#04x} asks for a broadcast key or compression")
        if (control ^ wanted) & SUITE_MASK:
            raise SecurityError(f"security control {control:#04x} is of another suite than {self.security.suite}")
        if wanted & ~control:
            raise SecurityError(f"security control {control:#04x} protects less than the policy {wanted:#04x} wants")

    def _keys(self, wrapping: Wrapping) -> tuple[GlobalKeys, ReceiveCounter]:
        if wrapping not in DEDICATED:
            return self.security.keys, self._receive_counter
        if self._dedicated is None:
            raise SecurityError("a dedicated key was never agreed")
        return self._dedicated


_WANTED = {
    (Ciphering.GENERAL_GLO, False): Wrapping.GENERAL_GLO,
    (Ciphering.GENERAL_GLO, True): Wrapping.GENERAL_DED,
    (Ciphering.SERVICE_SPECIFIC, False): Wrapping.GLO,
    (Ciphering.SERVICE_SPECIFIC, True): Wrapping.DED,
}


def largest_plaintext(limit: int, form: Form) -> int:
    """Octets of a plain APDU that still fit into `limit` octets in this form; negative when nothing does."""
    if form.wrapping is Wrapping.PLAIN:
        return limit
    head = GENERAL_HEADER if form.wrapping in GENERAL else 1
    return largest_counted(limit - head) - overhead(form.control)


def largest_counted(limit: int) -> int:
    """The largest n for which an A-XDR length and n octets fit into `limit` octets."""
    largest = limit - 1
    while largest > 0 and len(encode_length(largest)) + largest > limit:
        largest -= 1
    return largest


def _authenticated_or_legible(control: int, plaintext: bytes) -> Apdu | None:
    """Without a tag only legible content speaks for the frame, so it is decoded before the counter may move."""
    if control & AUTHENTICATED:
        return None
    try:
        return apdu.decode(plaintext)
    except DecodeError:
        raise SecurityError(
            "the deciphered content is no APDU: wrong key, wrong system title or altered content"
        ) from None


def _wrapping_of(message: CipheredApdu) -> Wrapping:
    if isinstance(message, GeneralGloCiphering):
        return Wrapping.GENERAL_GLO
    if isinstance(message, GeneralDedCiphering):
        return Wrapping.GENERAL_DED
    return Wrapping.DED if ApduTag(message.tag).name.startswith("DED_") else Wrapping.GLO


def _service_tag(plain: int, wrapping: Wrapping) -> int:
    """The glo-* or ded-* tag of a service."""
    steps = 2 if wrapping is Wrapping.DED else 1
    if plain <= LAST_SN_SERVICE:
        return plain + 32 * steps
    if FIRST_LN_SERVICE <= plain <= LAST_LN_SERVICE:
        return plain + 8 * steps
    raise LocalError(f"an APDU with tag {plain} has no service-specific ciphering")


def _plain_tag(tag: int) -> int:
    """The service that a glo-* or ded-* tag promises."""
    if tag < FIRST_LN_SERVICE:
        return tag & 0x1F
    return FIRST_LN_SERVICE + (tag & 0x07)
