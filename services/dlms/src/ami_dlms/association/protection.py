"""Protecting and checking whole APDUs inside one association: wrapping, titles, policy, counters (Green Book 9.2.7).

A frame passes only when its title is the peer's, its security control satisfies the policy, its tag holds, its counter is
fresh, its signature holds where one is demanded, and what it holds is the service that its outer tag promised. Only then
does the receive counter move, so that a forged frame can't lock the true peer out. Every protection and every GMAC takes
a new counter value. Signing goes inside, ciphering around it.

Keys of one message (wrapped, agreed) prove who made them and nothing about when: a recorded message stays genuine for ever.
So their messages take counter values from the same two counters as all others, and a replay is refused whatever its key.
No initialization vector comes twice either, even when a peer asks twice under one transaction id, from which alone the key
of two static pairs follows. A peer that starts its counter at 0 with every such key is refused: it can't be told from a replay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from ami_dlms import apdu
from ami_dlms.apdu import Apdu
from ami_dlms.apdu.ciphered import (
    GeneralCiphering,
    GeneralDedCiphering,
    GeneralGloCiphering,
    GeneralSigning,
    ServiceCiphering,
)
from ami_dlms.association.envelope import Envelope
from ami_dlms.association.forms import (
    DEDICATED,
    GENERAL,
    OUTER_TAG,
    PLAIN,
    PROTECTION_MASK,
    SERVICE_SPECIFIC,
    SIGNED,
    TRANSACTION_ID_LENGTH,
    Form,
    Wrapping,
    demand_of,
    plain_tag,
    service_tag,
)
from ami_dlms.association.general_ciphering import Header, choice_of, form_of, protect_general, unprotect_general
from ami_dlms.association.general_signing import sign_general, verify_general
from ami_dlms.association.message_keys import KeyForm
from ami_dlms.association.settings import Ciphering, Security
from ami_dlms.cursor import encode_length
from ami_dlms.enums import ApduTag
from ami_dlms.errors import DecodeError, SecurityError
from ami_dlms.security import (
    AUTHENTICATED,
    BROADCAST,
    COMPRESSED,
    Demand,
    GlobalKeys,
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

CipheredApdu = GeneralGloCiphering | GeneralDedCiphering | GeneralCiphering | ServiceCiphering
CIPHERED = (GeneralGloCiphering, GeneralDedCiphering, GeneralCiphering, ServiceCiphering)


class Verified(NamedTuple):
    """An APDU whose protection held, the form of its answer, and what it bore itself."""

    apdu: Apdu
    form: Form
    bore: Demand = Demand.NOTHING


ORDINARILY_BORNE = Demand.AUTHENTICATED | Demand.ENCRYPTED


class Protection:
    """Keys, titles and counters of one association, at its client or at its server."""

    def __init__(
        self,
        security: Security,
        send_counter: SendCounter,
        receive_counter: ReceiveCounter,
        *,
        server: bool = False,
        broadcast_receive_counter: ReceiveCounter | None = None,
    ) -> None:
        self.security = security
        self.peer_title = security.peer_system_title
        self.peer_signing: PublicKey | None = security.asymmetric.peer_signing
        self._server = server
        policy = security.demanded
        self._given = policy.response if server else policy.request
        self.wanted = policy.request if server else policy.response
        self._send_counter = send_counter
        self._receive_counter = receive_counter
        self._broadcast_receive_counter = broadcast_receive_counter
        self._dedicated: tuple[GlobalKeys, ReceiveCounter] | None = None
        self._usual_form = self.form()
        self.ordinary: Ordinary | None = None  # as long as keys and titles stay what they are
        self._agree_on_ordinary()

    @property
    def usual_form(self) -> Form:
        """The form of our own requests, as long as keys stay what they are."""
        return self._usual_form

    def form(self, wrapping: Wrapping | None = None) -> Form:
        """The form that our own settings want; plain when the policy protects nothing of ours."""
        if not self._given:
            return PLAIN
        if wrapping is None:
            wrapping = _WANTED[self.security.ciphering, self._dedicated is not None]
        signed = bool(self._given & Demand.SIGNED) and wrapping not in SERVICE_SPECIFIC
        key_form = self.security.message_keys.own if wrapping is Wrapping.GENERAL_CIPHERING else KeyForm.IDENTIFIED
        return Form(wrapping, self.security.control(self._given), signed, key_form=key_form)

    def general_form(self) -> Form:
        """The form of what has no glo- and ded- APDU of its own, such as ACCESS."""
        form = self.form()
        if form.wrapping not in SERVICE_SPECIFIC:
            return form
        return self.form(Wrapping.GENERAL_DED if form.wrapping is Wrapping.DED else Wrapping.GENERAL_GLO)

    def answer_form(self, form: Form) -> Form:
        """The form of a server's answer: what the policy demands of it, and what the request bore beyond its demand."""
        if not self._server:
            return form
        beyond = form.control & PROTECTION_MASK & ~self.wanted.control
        control = beyond | self.security.control(self._given)
        if not control & ~SUITE_MASK:
            return PLAIN
        wrapping, *_, key_form = self.form() if form.wrapping is Wrapping.PLAIN else form
        signed = bool(self._given & Demand.SIGNED) and wrapping not in SERVICE_SPECIFIC
        return Form(wrapping, control, signed, form.transaction_id, key_form)

    def can_bear(self, demand: Demand) -> bool:
        """Whether an answer could bear this: the client takes nothing ciphered where nothing is, and signing needs a key."""
        signs = self.security.asymmetric.signing is not None
        return self.security.ciphered and (signs or not demand & Demand.SIGNED)

    def stronger(self, form: Form, demand: Demand) -> Form:
        """The form of an answer that has to bear at least this; signed ones are authenticated as well."""
        if demand & Demand.SIGNED:
            demand |= Demand.AUTHENTICATED
        wrapping, key_form = form.wrapping, form.key_form
        if wrapping is Wrapping.PLAIN:
            wrapping = _WANTED[self.security.ciphering, self._dedicated is not None]
            general = wrapping is Wrapping.GENERAL_CIPHERING
            key_form = self.security.message_keys.own if general else KeyForm.IDENTIFIED
        if demand & Demand.SIGNED and wrapping in SERVICE_SPECIFIC:
            wrapping = Wrapping.GENERAL_DED if wrapping is Wrapping.DED else Wrapping.GENERAL_GLO
        control = form.control | self.security.control(demand)
        return Form(wrapping, control, form.signed or bool(demand & Demand.SIGNED), form.transaction_id, key_form)

    def meet(self, title: bytes | None) -> None:
        """Take the peer's system title; SecurityError when it is foreign, malformed, or our own sent back to us."""
        known = self.security.peer_system_title
        if title is None or title == b"":
            self.peer_title = known
            self._agree_on_ordinary()
            return
        if len(title) != SYSTEM_TITLE_LENGTH:
            raise SecurityError(f"a system title has {SYSTEM_TITLE_LENGTH} octets, the peer's has {len(title)}")
        if title == self.security.system_title:
            raise SecurityError("the peer shows our own system title")
        if known is not None and title != known:
            raise SecurityError(f"foreign system title {title.hex()}, expected {known.hex()}")
        self.peer_title = title
        self._agree_on_ordinary()

    def introduce(self, certificate: bytes | None) -> None:
        """Take the peer's signature key from its certificate, unless the settings name it; SecurityError without trust."""
        trust = self.security.trust
        if self.security.asymmetric.peer_signing is not None or trust is None:
            return
        self.peer_signing = None
        if certificate is not None:
            self.peer_signing = trust(certificate, self.peer_title or b"")
            if self.peer_signing is None or self.peer_signing.suite != self.security.suite:
                raise SecurityError("the peer's certificate is not trusted")

    def dedicate(self, key: bytes | None) -> None:
        """Use a dedicated key from now on (None: forget the last one); its receive counter begins anew."""
        if key is not None and len(key) != len(self.security.keys.encryption_key):
            raise SecurityError(f"a dedicated key of {len(key)} octets does not fit the suite")
        self._dedicated = None
        if key is not None:
            self._dedicated = (self.security.keys.with_encryption_key(key), ReceiveCounter())
        self._usual_form = self.form()
        self._agree_on_ordinary()

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
        ordinary = self.ordinary
        if ordinary is not None and form == ordinary.form:
            return ordinary.seal(plaintext)
        if form.wrapping is Wrapping.PLAIN:
            return plaintext
        title, counter = self.security.system_title, self._send_counter.take()
        transaction_id = form.transaction_id or self._new_transaction_id(form, counter)
        header = Header(transaction_id, title, self.peer_title or b"")
        if form.signed:
            plaintext = apdu.encode(sign_general(header, self.security, plaintext))
        if form.wrapping is Wrapping.GENERAL_CIPHERING:
            choice = choice_of(form.key_form, self.security)
            return apdu.encode(protect_general(header, choice, self.security, demand_of(form), counter, plaintext))
        content = protect(form.control, self._keys(form.wrapping)[0], title, counter, plaintext)
        if form.wrapping in GENERAL:
            head = bytes((OUTER_TAG[form.wrapping], SYSTEM_TITLE_LENGTH)) + title
        else:
            head = bytes((service_tag(plaintext[0], form.wrapping),))
        return head + encode_length(len(content)) + content

    def _new_transaction_id(self, form: Form, counter: int) -> bytes:
        """Random where a key follows from it: a counter that began anew must not lead to an old key."""
        if form.key_form is KeyForm.IDENTIFIED:
            return counter.to_bytes(TRANSACTION_ID_LENGTH, "big")
        return self.security.message_keys.fresh(TRANSACTION_ID_LENGTH)

    def _agree_on_ordinary(self) -> None:
        """Both titles and the key are known: what is ordinary until one of them changes; nothing is, without them."""
        security, peer_title = self.security, self.peer_title
        self.ordinary = None
        if peer_title is None or not security.ciphered or self.wanted & Demand.SIGNED:
            return
        if KeyForm.IDENTIFIED not in security.message_keys.taken:
            return
        wrapping = Wrapping.GENERAL_GLO if self._dedicated is None else Wrapping.GENERAL_DED
        keys, receive_counter = self._keys(wrapping)
        title, send_counter = security.system_title, self._send_counter
        outer_tag = OUTER_TAG[wrapping]
        envelope = Envelope(outer_tag, security.suite, keys, title, peer_title, send_counter, receive_counter)
        form = Form(wrapping, envelope.control)
        answer_form = self.answer_form(form)
        self.ordinary = Ordinary(form, answer_form, envelope.seal, envelope.open, form == answer_form)

    def unprotect(self, message: CipheredApdu, *, signed: bool = True) -> Verified:
        """Check everything about a ciphered APDU and return what it holds; SecurityError moves no counter.

        `signed` False, at opening and release: the demand of signatures and of message keys does not reach this APDU.
        """
        wrapping = _wrapping_of(message)
        self._check_title(message)
        if not message.content:
            raise SecurityError("a ciphered APDU without content")
        control = message.content[0]
        self._check_control(control, wrapping)
        key_form = self._key_form(message, control, opening=not signed)
        opened, counter = self._open(message, wrapping)
        counter.check(opened.invocation_counter)
        held = _authenticated_or_legible(control, opened.plaintext)
        plaintext = self._signed_content(opened.plaintext, signed=signed)
        counter.accept(opened.invocation_counter)
        if isinstance(message, ServiceCiphering) and plaintext[:1] != bytes((plain_tag(message.tag),)):
            raise SecurityError("a ciphered APDU holds another service than its tag says")
        transaction_id = message.transaction_id if isinstance(message, GeneralCiphering) else b""
        form = Form(wrapping, control & ~BROADCAST, plaintext is not opened.plaintext, transaction_id, key_form)
        if held is None or form.signed:
            held = apdu.decode(plaintext)
        return Verified(held, self.answer_form(form), demand_of(form))

    def _key_form(self, message: CipheredApdu, control: int, *, opening: bool) -> KeyForm:
        """The form of the key; SecurityError when it is none of those that the settings take."""
        form = form_of(message.key_info) if isinstance(message, GeneralCiphering) else KeyForm.IDENTIFIED
        if form not in self.security.message_keys.taken and not (opening and form is KeyForm.IDENTIFIED):
            names = ", ".join(sorted(one.value for one in self.security.message_keys.taken))
            raise SecurityError(f"an APDU under a key of the form {form.value}; what is taken here: {names}")
        if form is not KeyForm.IDENTIFIED and not control & AUTHENTICATED:
            raise SecurityError("a key of one message without a tag: nothing would hold its header")
        return form

    def _open(self, message: CipheredApdu, wrapping: Wrapping) -> tuple[Unprotected, ReceiveCounter]:
        if self.peer_title is None:
            raise SecurityError("the peer's system title is not known")
        if isinstance(message, GeneralCiphering):
            return unprotect_general(message, self._security_with_signer(), self.wanted), self._receive_counter
        keys, counter = self._keys(wrapping)
        if message.content[0] & BROADCAST:
            if self._broadcast_receive_counter is None:
                raise SecurityError("a broadcast key is not used here")
            counter = self._broadcast_receive_counter
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
            if signed and self.wanted & Demand.SIGNED:
                raise SecurityError("an APDU without the signature that the policy wants")
            return plaintext
        message = apdu.decode(plaintext)
        if not isinstance(message, GeneralSigning) or message.originator_system_title != self.peer_title:
            raise SecurityError("an APDU that somebody else than the peer has signed")
        return verify_general(message, self.security, self.peer_signing)

    def _check_title(self, message: CipheredApdu) -> None:
        if isinstance(message, ServiceCiphering):
            return
        if isinstance(message, GeneralCiphering):
            title = message.originator_system_title
        else:
            title = message.system_title or self.peer_title or b""
        if title != self.peer_title:
            known = "none is known" if self.peer_title is None else f"expected {self.peer_title.hex()}"
            raise SecurityError(f"foreign system title {title.hex()} in a ciphered APDU, {known}")

    def _check_control(self, control: int, wrapping: Wrapping) -> None:
        wanted = self.security.control(self.wanted)
        if control & COMPRESSED:
            raise SecurityError(f"security control {control:#04x} asks for compression (V.44), which is not supported")
        if control & BROADCAST and wrapping not in (Wrapping.GENERAL_GLO, Wrapping.GLO):
            raise SecurityError(f"security control {control:#04x} asks for a broadcast key in {wrapping.value}")
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


class Ordinary(NamedTuple):
    """The frames of the quick road: their form, the form of answers to them, and how they are sealed and opened."""

    form: Form
    answer_form: Form
    seal: Callable[[bytes], bytes]
    open: Callable[[bytes], bytes | None]
    answered_alike: bool


def lift(protection: Protection | None, message: Apdu, *, signed: bool = True) -> Verified:
    """Take the protection off an APDU; one that bears less than the policy demands is refused."""
    if isinstance(message, CIPHERED):
        if protection is None or not protection.security.ciphered:
            raise SecurityError("a ciphered APDU in an association without ciphering")
        return protection.unprotect(message, signed=signed)
    if protection is None:
        return Verified(message, PLAIN)
    if protection.wanted:
        raise SecurityError("an unencrypted APDU in a ciphered association")
    return Verified(message, protection.answer_form(PLAIN))


_WANTED = {
    (Ciphering.GENERAL_GLO, False): Wrapping.GENERAL_GLO,
    (Ciphering.GENERAL_GLO, True): Wrapping.GENERAL_DED,
    (Ciphering.GENERAL_CIPHERING, False): Wrapping.GENERAL_CIPHERING,
    (Ciphering.GENERAL_CIPHERING, True): Wrapping.GENERAL_DED,
    (Ciphering.SERVICE_SPECIFIC, False): Wrapping.GLO,
    (Ciphering.SERVICE_SPECIFIC, True): Wrapping.DED,
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


def _wrapping_of(message: CipheredApdu) -> Wrapping:
    if isinstance(message, GeneralGloCiphering):
        return Wrapping.GENERAL_GLO
    if isinstance(message, GeneralDedCiphering):
        return Wrapping.GENERAL_DED
    if isinstance(message, GeneralCiphering):
        return Wrapping.GENERAL_CIPHERING
    return Wrapping.DED if ApduTag(message.tag).name.startswith("DED_") else Wrapping.GLO
