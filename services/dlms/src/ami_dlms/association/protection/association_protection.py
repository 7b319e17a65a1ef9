"""Protecting and checking whole APDUs inside one association: ciphering, titles, policy, counters (Green Book 9.2.7).

A frame passes only when its title is the peer's, its security control satisfies the policy, its tag holds, its counter is
fresh, its signature holds where one is required, and what it holds is the service that its outer tag promised. Only then
does the receive counter move, so that a forged frame can't lock the true peer out. Every protection and every GMAC takes
a new counter value. Signing goes inside, ciphering around it.

Keys of one message (wrapped, agreed) prove who made them and nothing about when: a recorded message stays genuine for ever.
So their messages take counter values from the same two counters as all others, and a replay is refused whatever its key.
No initialization vector comes twice either, even when a peer asks twice under one transaction id, from which alone the key
of two static pairs follows. A peer that starts its counter at 0 with every such key is refused: it can't be distinguished from a replay.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from ami_dlms import apdu
from ami_dlms.apdu import Apdu
from ami_dlms.apdu.ciphered import GeneralCiphering, GeneralSigning, ServiceCiphering
from ami_dlms.association.message_keys import KeyForm
from ami_dlms.association.protection.apdu_protection import (
    DEDICATED,
    GENERAL,
    OUTER_TAG,
    PLAIN,
    PROTECTION_MASK,
    SERVICE_SPECIFIC,
    SIGNED,
    TRANSACTION_ID_LENGTH,
    ApduProtection,
    CipheringKind,
    plain_tag,
    service_tag,
)
from ami_dlms.association.protection.fast_ciphering import FastCiphering, FrameKeys
from ami_dlms.association.protection.general_ciphering import (
    CipheringHeader,
    choice_of,
    protect_general,
    unprotect_general,
)
from ami_dlms.association.protection.general_signing import sign_general, verify_general
from ami_dlms.association.protection.received_protection import (
    CIPHERED,
    CipheredApdu,
    accepted_key_form,
    check_control,
    check_title,
    kind_of,
)
from ami_dlms.association.settings import Ciphering, Security
from ami_dlms.cursor import encode_length
from ami_dlms.errors import DecodeError, ForeignTitleError, SecurityError
from ami_dlms.security import (
    AUTHENTICATED,
    BROADCAST,
    GlobalKeys,
    ProtectionFlags,
    PublicKey,
    ReceiveCounter,
    SendCounter,
    Unprotected,
    gmac_holds,
    gmac_response,
    protect,
    unprotect,
)
from ami_dlms.security.aead import SYSTEM_TITLE_LENGTH
from ami_dlms.security.suites import SUITE_MASK


class Verified(NamedTuple):
    """An APDU whose protection held, how its answer is protected, and the protections that it had itself; its octets if it was protected."""

    apdu: Apdu
    answer_protection: ApduProtection
    request_protection: ProtectionFlags = ProtectionFlags.NOTHING
    plaintext: bytes = b""

    def __repr__(self) -> str:
        """Without the octets, which may hold secrets."""
        return f"Verified({type(self.apdu).__name__}, {self.answer_protection!r})"


class Counters(NamedTuple):
    """The invocation counters of the keys of one association; they outlive connections."""

    send: SendCounter
    receive: ReceiveCounter
    broadcast_receive: ReceiveCounter | None = None


class AssociationProtection:
    """Keys, titles and counters of one association, at its client or at its server."""

    def __init__(self, security: Security, counters: Counters, *, server: bool = False, fast_path: bool = True) -> None:
        self.security = security
        self.peer_title = security.peer_system_title
        self.peer_signing: PublicKey | None = security.asymmetric.peer_signing
        self._server = server
        policy = security.required
        self._given = policy.response if server else policy.request
        self.wanted = policy.request if server else policy.response
        self._counters = counters
        self._dedicated: tuple[GlobalKeys, ReceiveCounter] | None = None
        self._usual_protection = self.own_protection()
        self._fast_path = fast_path
        self.fast: FastCiphering | None = None  # as long as keys and titles stay what they are
        self._choose_fast_ciphering()

    @property
    def usual_protection(self) -> ApduProtection:
        """How our own requests are protected, as long as keys stay what they are."""
        return self._usual_protection

    def own_protection(self, kind: CipheringKind | None = None) -> ApduProtection:
        """How our own settings want APDUs protected; plain when the policy protects nothing of ours."""
        if not self._given:
            return PLAIN
        if kind is None:
            kind = _WANTED[self.security.ciphering, self._dedicated is not None]
        signed = bool(self._given & ProtectionFlags.SIGNED) and kind not in SERVICE_SPECIFIC
        key_form = self.security.message_keys.own if kind is CipheringKind.GENERAL_CIPHERING else KeyForm.IDENTIFIED
        return ApduProtection(kind, self.security.control(self._given), signed, key_form=key_form)

    def own_general_protection(self) -> ApduProtection:
        """The protection of what has no glo- and ded- APDU of its own, such as ACCESS."""
        protection = self.own_protection()
        if protection.kind not in SERVICE_SPECIFIC:
            return protection
        return self.own_protection(
            CipheringKind.GENERAL_DED if protection.kind is CipheringKind.DED else CipheringKind.GENERAL_GLO
        )

    def answer_protection(self, protection: ApduProtection) -> ApduProtection:
        """How a server protects its answer: by the policy, and by what the request had beyond what was required of it."""
        if not self._server:
            return protection
        beyond = protection.control & PROTECTION_MASK & ~self.wanted.control
        control = beyond | self.security.control(self._given)
        if not control & ~SUITE_MASK:
            return PLAIN
        kind, *_, key_form = self.own_protection() if protection.kind is CipheringKind.PLAIN else protection
        signed = bool(self._given & ProtectionFlags.SIGNED) and kind not in SERVICE_SPECIFIC
        return ApduProtection(kind, control, signed, protection.transaction_id, key_form)

    def can_protect(self, required: ProtectionFlags) -> bool:
        """Whether an answer could be so protected: the client takes nothing ciphered where nothing is, and signing needs a key."""
        signs = self.security.asymmetric.signing is not None
        return self.security.ciphered and (signs or not required & ProtectionFlags.SIGNED)

    def raised_to(self, protection: ApduProtection, required: ProtectionFlags) -> ApduProtection:
        """The protection of an answer that needs at least this; signed ones are authenticated as well."""
        if required & ProtectionFlags.SIGNED:
            required |= ProtectionFlags.AUTHENTICATED
        kind, key_form = protection.kind, protection.key_form
        if kind is CipheringKind.PLAIN:
            kind = _WANTED[self.security.ciphering, self._dedicated is not None]
            general = kind is CipheringKind.GENERAL_CIPHERING
            key_form = self.security.message_keys.own if general else KeyForm.IDENTIFIED
        if required & ProtectionFlags.SIGNED and kind in SERVICE_SPECIFIC:
            kind = CipheringKind.GENERAL_DED if kind is CipheringKind.DED else CipheringKind.GENERAL_GLO
        control = protection.control | self.security.control(required)
        return ApduProtection(
            kind,
            control,
            protection.signed or bool(required & ProtectionFlags.SIGNED),
            protection.transaction_id,
            key_form,
        )

    def accept_title(self, title: bytes | None) -> None:
        """Take the peer's system title; SecurityError when it is foreign, malformed, or our own sent back to us."""
        known = self.security.peer_system_title
        if title is None or title == b"":
            self.peer_title = known
            self._choose_fast_ciphering()
            return
        if len(title) != SYSTEM_TITLE_LENGTH:
            raise SecurityError(f"a system title has {SYSTEM_TITLE_LENGTH} octets, the peer's has {len(title)}")
        if title == self.security.system_title:
            raise SecurityError("the peer shows our own system title")
        if known is not None and title != known:
            raise ForeignTitleError(f"foreign system title {title.hex()}, expected {known.hex()}")
        if title != self.peer_title or self.fast is None:
            self.peer_title = title
            self._choose_fast_ciphering()

    def accept_certificate(self, certificate: bytes | None) -> None:
        """Take the peer's signature key from its certificate, unless the settings name it; SecurityError without trust."""
        trust = self.security.trust
        if self.security.asymmetric.peer_signing is not None or trust is None:
            return
        self.peer_signing = None
        if certificate is not None:
            self.peer_signing = trust(certificate, self.peer_title or b"")
            if self.peer_signing is None or self.peer_signing.suite != self.security.suite:
                raise SecurityError("the peer's certificate is not trusted")

    def use_dedicated_key(self, key: bytes | None) -> None:
        """Use a dedicated key from now on (None: forget the last one); its receive counter begins anew."""
        if key is None and self._dedicated is None:
            return
        if key is not None and len(key) != len(self.security.keys.encryption_key):
            raise SecurityError(f"a dedicated key of {len(key)} octets does not fit the suite")
        self._dedicated = None
        if key is not None:
            self._dedicated = (self.security.keys.with_encryption_key(key), ReceiveCounter())
        self._usual_protection = self.own_protection()
        self._choose_fast_ciphering()

    def prove(self, challenge: bytes) -> bytes:
        """Our f(challenge) of HLS with GMAC."""
        security = self.security
        return gmac_response(
            security.suite, security.keys, security.system_title, self._counters.send.take(), challenge
        )

    def peer_proved(self, challenge: bytes, response: bytes) -> bool:
        """Whether the peer's f(challenge) holds."""
        title = self.peer_title or b""
        return gmac_holds(self.security.suite, self.security.keys, title, challenge, response)

    def protect(self, plaintext: bytes, protection: ApduProtection) -> bytes:
        """An encoded APDU so protected, with a new counter value."""
        fast = self.fast
        if fast is not None and protection == fast.protection:
            return fast.seal(plaintext)
        if protection.kind is CipheringKind.PLAIN:
            return plaintext
        title, counter = self.security.system_title, self._counters.send.take()
        if protection.signed or protection.kind is CipheringKind.GENERAL_CIPHERING:
            transaction_id = protection.transaction_id or self._new_transaction_id(protection, counter)
            header = CipheringHeader(transaction_id, title, self.peer_title or b"")
            if protection.signed:
                plaintext = apdu.encode(sign_general(header, self.security, plaintext))
            if protection.kind is CipheringKind.GENERAL_CIPHERING:
                choice = choice_of(protection.key_form, self.security)
                return apdu.encode(protect_general(header, choice, self.security, protection.flags, counter, plaintext))
        content = protect(protection.control, self._keys(protection.kind)[0], title, counter, plaintext)
        if protection.kind in GENERAL:
            head = bytes((OUTER_TAG[protection.kind], SYSTEM_TITLE_LENGTH)) + title
        else:
            head = bytes((service_tag(plaintext[0], protection.kind),))
        return head + encode_length(len(content)) + content

    def _new_transaction_id(self, protection: ApduProtection, counter: int) -> bytes:
        """Random where a key follows from it: a counter that began anew must not lead to an old key."""
        if protection.key_form is KeyForm.IDENTIFIED:
            return counter.to_bytes(TRANSACTION_ID_LENGTH, "big")
        return self.security.message_keys.fresh(TRANSACTION_ID_LENGTH)

    def _choose_fast_ciphering(self) -> None:
        """Until titles or keys change; frames that this fits are only known once both titles are."""
        security, peer_title = self.security, self.peer_title
        self.fast = None
        if not self._fast_path or peer_title is None or not security.ciphered or self.wanted & ProtectionFlags.SIGNED:
            return
        if KeyForm.IDENTIFIED not in security.message_keys.taken:
            return
        kind = CipheringKind.GENERAL_GLO if self._dedicated is None else CipheringKind.GENERAL_DED
        keys, receive_counter = self._keys(kind)
        self.fast = FastCiphering(kind, security, peer_title, FrameKeys(keys, self._counters.send, receive_counter))

    def unprotect(self, message: CipheredApdu, *, signed: bool = True) -> Verified:
        """Check everything about a ciphered APDU and return what it holds; SecurityError moves no counter.

        `signed` False, at opening and release: neither a signature nor a key of one message is required of this APDU.
        """
        kind = kind_of(message)
        check_title(message, self.peer_title)
        if not message.content:
            raise SecurityError("a ciphered APDU without content")
        control = message.content[0]
        check_control(control, kind, self.security, self.wanted)
        key_form = accepted_key_form(message, control, self.security, opening=not signed)
        opened, counter = self._open(message, kind)
        counter.check(opened.invocation_counter)
        held = _authenticated_or_legible(control, opened.plaintext)
        plaintext = self._signed_content(opened.plaintext, signed=signed)
        counter.accept(opened.invocation_counter)
        if isinstance(message, ServiceCiphering) and plaintext[:1] != bytes((plain_tag(message.tag),)):
            raise SecurityError("a ciphered APDU holds another service than its tag says")
        transaction_id = message.transaction_id if isinstance(message, GeneralCiphering) else b""
        protection = ApduProtection(
            kind, control & ~BROADCAST, plaintext is not opened.plaintext, transaction_id, key_form
        )
        if held is None or protection.signed:
            held = apdu.decode(plaintext)
        return Verified(held, self.answer_protection(protection), protection.flags, plaintext)

    def _open(self, message: CipheredApdu, kind: CipheringKind) -> tuple[Unprotected, ReceiveCounter]:
        if self.peer_title is None:
            raise SecurityError("the peer's system title is not known")
        if isinstance(message, GeneralCiphering):
            return unprotect_general(message, self._security_with_signer(), self.wanted), self._counters.receive
        keys, counter = self._keys(kind)
        if message.content[0] & BROADCAST:
            if self._counters.broadcast_receive is None:
                raise SecurityError("a broadcast key is not used here")
            counter = self._counters.broadcast_receive
        return unprotect(keys, self.peer_title, message.content), counter

    def _security_with_signer(self) -> Security:
        """The settings with the signature key that the peer's certificate gave."""
        held = self.security.asymmetric
        if self.peer_signing is held.peer_signing:
            return self.security
        return replace(self.security, asymmetric=replace(held, peer_signing=self.peer_signing))

    def _signed_content(self, plaintext: bytes, *, signed: bool) -> bytes:
        """What a signed APDU holds, after its signature was found to hold."""
        if plaintext[:1] != SIGNED:
            if signed and self.wanted & ProtectionFlags.SIGNED:
                raise SecurityError("an APDU without the signature that the policy wants")
            return plaintext
        message = apdu.decode(plaintext)
        if not isinstance(message, GeneralSigning) or message.originator_system_title != self.peer_title:
            raise SecurityError("an APDU that somebody else than the peer has signed")
        return verify_general(message, self.security, self.peer_signing)

    def _keys(self, kind: CipheringKind) -> tuple[GlobalKeys, ReceiveCounter]:
        if kind not in DEDICATED:
            return self.security.keys, self._counters.receive
        if self._dedicated is None:
            raise SecurityError("a dedicated key was never agreed")
        return self._dedicated


def verify(protection: AssociationProtection | None, message: Apdu, *, signed: bool = True) -> Verified:
    """Take the protection off an APDU; one with less than the policy requires is refused."""
    if isinstance(message, CIPHERED):
        if protection is None or not protection.security.ciphered:
            raise SecurityError("a ciphered APDU in an association without ciphering")
        return protection.unprotect(message, signed=signed)
    if protection is None:
        return Verified(message, PLAIN)
    if protection.wanted:
        raise SecurityError("an unencrypted APDU in a ciphered association")
    return Verified(message, protection.answer_protection(PLAIN))


def lift(protection: AssociationProtection | None, octets: bytes) -> Verified:
    """The same for what the octets inside an AARQ, AARE, RLRQ or RLRE hold, of which neither a signature nor a key of one message is required."""
    fast = None if protection is None else protection.fast
    plaintext = None if fast is None else fast.open_initiate(octets)
    if protection is None or fast is None or plaintext is None:
        return verify(protection, apdu.decode(octets), signed=False)
    protected = ApduProtection(CipheringKind.GLO, fast.control)
    return Verified(apdu.decode(plaintext), protection.answer_protection(protected), protected.flags, plaintext)


_WANTED = {
    (Ciphering.GENERAL_GLO, False): CipheringKind.GENERAL_GLO,
    (Ciphering.GENERAL_GLO, True): CipheringKind.GENERAL_DED,
    (Ciphering.GENERAL_CIPHERING, False): CipheringKind.GENERAL_CIPHERING,
    (Ciphering.GENERAL_CIPHERING, True): CipheringKind.GENERAL_DED,
    (Ciphering.SERVICE_SPECIFIC, False): CipheringKind.GLO,
    (Ciphering.SERVICE_SPECIFIC, True): CipheringKind.DED,
}


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
