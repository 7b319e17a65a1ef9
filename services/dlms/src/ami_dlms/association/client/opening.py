"""The client's half of opening an association: the AARQ, and judging the AARE that answers it (Green Book 9.3.2, 9.4.2).

Nothing that the server says may weaken what was proposed: context, mechanism, protection and titles are all compared.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from ami_dlms import apdu
from ami_dlms.apdu.acse import Aare, Aarq, Rlrq
from ami_dlms.apdu.faults import ConfirmedServiceError
from ami_dlms.apdu.initiate import InitiateRequest, InitiateResponse
from ami_dlms.association.events import Opened, OpenRefused
from ami_dlms.association.message_keys import KeyForm
from ami_dlms.association.protection.apdu_protection import PLAIN, CipheringKind
from ami_dlms.association.protection.association_protection import AssociationProtection, Counters, lift
from ami_dlms.association.protection.authentication import PROOF_WANTED, Authentication
from ami_dlms.association.protection.received_protection import CIPHERED
from ami_dlms.association.settings import ClientSettings, Security, application_context
from ami_dlms.enums import AssociationResult, Conformance, Mechanism, ReleaseReason
from ami_dlms.errors import DecodeError, LocalError, ProofError, ProtocolError, SecurityError
from ami_dlms.security import ReceiveCounter, SendCounter
from ami_dlms.security.hls import HLS, challenge_lengths, check_challenge


class Acceptance(NamedTuple):
    """An AARE that accepts: what was negotiated, and the challenge when a proof is still wanted."""

    opened: Opened
    challenge: bytes | None


class Opening:
    """Opening and releasing one association; a challenge and a dedicated key serve one attempt."""

    def __init__(
        self,
        settings: ClientSettings,
        protection: AssociationProtection | None,
        challenge: bytes,
        dedicated_key: bytes | None,
        clear: Callable[[bytes, bool], None] | None = None,
    ) -> None:
        """`clear` as of the connection."""
        self._clear = clear
        if settings.mechanism in HLS:
            check_challenge(challenge, settings.mechanism)
        if dedicated_key is not None:
            check_dedicated_key(settings.security, dedicated_key)
        self._settings = settings
        self._protection = protection
        self._initiate_protection = PLAIN if protection is None else protection.own_protection(CipheringKind.GLO)
        self._authentication = Authentication(settings, protection)
        self._challenge, self._server_challenge = challenge, b""
        self._dedicated_key = dedicated_key
        self._spent = False
        self._context = application_context(settings)
        self._ciphered = protection is not None and protection.security.ciphered
        if dedicated_key is None:
            self._initiate = _initiate_without_key(int(settings.conformance), settings.max_receive_pdu_size)
        else:
            self._initiate = _initiate(dedicated_key, int(settings.conformance), settings.max_receive_pdu_size)

    def request(self) -> bytes:
        """The encoded AARQ; LocalError when challenge and key are spent."""
        if self._spent:
            raise LocalError("the challenge of this connection is spent: open another connection with a new one")
        octets = self._aarq()
        self._spent = self._settings.mechanism in HLS or self._dedicated_key is not None
        return octets

    def _aarq(self) -> bytes:
        mechanism, security = self._settings.mechanism, self._settings.security
        proof = self._settings.secret if mechanism is Mechanism.LOW else None
        return apdu.encode(
            Aarq(
                self._context,
                None if security is None else security.system_title,
                None if mechanism is Mechanism.LOWEST else mechanism,
                self._challenge if mechanism in HLS else proof,
                self._user_information(),
                calling_ae_qualifier=None if security is None else security.certificate,
            )
        )

    def rlrq(self) -> bytes:
        """The encoded RLRQ; a ciphered association is released under protection."""
        return apdu.encode(Rlrq(ReleaseReason.NORMAL, self._user_information() if self._ciphered else None))

    def judge(self, aare: Aare) -> Acceptance:
        """Check an AARE that accepts; SecurityError or ProtocolError when it is not what was proposed."""
        if aare.application_context is not self._context:
            raise SecurityError("the server answers in another application context than was proposed")
        if self._protection is not None:
            self._protection.accept_title(aare.responding_ap_title)
            self._protection.accept_certificate(aare.responding_ae_qualifier)
        initiate, challenge = self._initiate_response(aare.user_information), self._challenge_of(aare)
        conformance = initiate.conformance & self._settings.conformance
        title = None if self._protection is None else self._protection.peer_title
        return Acceptance(Opened(conformance, initiate.server_max_receive_pdu_size, title), challenge)

    def proof(self, challenge: bytes) -> bytes:
        """Our proof over the challenge of the server."""
        self._server_challenge = challenge
        return self._authentication.prove(challenge, self._challenge)

    def check_proof(self, proof: bytes) -> None:
        """SecurityError when the server's proof over our challenge does not hold."""
        if not self._authentication.peer_proved(self._challenge, self._server_challenge, proof):
            raise ProofError("the server did not prove that it knows the keys")

    def finish(self) -> None:
        """The association is open: the dedicated key takes the place of the global one."""
        if self._protection is not None:
            self._protection.use_dedicated_key(self._dedicated_key)

    def release_holds(self, user_information: bytes | None) -> None:
        """Check what an RLRE carries, when it carries something ciphered."""
        if user_information and self._protection is not None and self._ciphered:
            fast = self._protection.fast
            held = None if fast is None else fast.open_initiate(user_information)
            if held is None and isinstance(message := apdu.decode(user_information), CIPHERED):
                held = self._protection.unprotect(message, signed=False).plaintext
            if held is not None and self._clear is not None:
                self._clear(held, False)

    def _user_information(self) -> bytes:
        if self._protection is None:
            return self._initiate
        if self._clear is not None and self._initiate_protection is not PLAIN:
            self._clear(self._initiate, True)
        return self._protection.protect(self._initiate, self._initiate_protection)

    def _challenge_of(self, aare: Aare) -> bytes | None:
        wanted = aare.diagnostic == PROOF_WANTED
        mechanism = self._settings.mechanism
        if mechanism not in HLS:
            if wanted:
                raise ProtocolError("the server wants a proof that was not proposed")
            return None
        challenge = aare.responding_authentication_value
        if not wanted or aare.mechanism is not mechanism or challenge is None:
            raise SecurityError("the server accepts without the mutual proof that was proposed")
        if len(challenge) not in challenge_lengths(mechanism):
            raise SecurityError(f"a challenge of {len(challenge)} octets is too short or too long")
        if challenge == self._challenge:
            raise SecurityError("the server sends our own challenge back")
        return challenge

    def _initiate_response(self, user_information: bytes | None) -> InitiateResponse:
        if not user_information:
            raise ProtocolError("the server accepts without an InitiateResponse")
        lifted = lift(self._protection, user_information)
        held = lifted.apdu
        if self._clear is not None and lifted.plaintext:
            self._clear(lifted.plaintext, False)
        if not isinstance(held, InitiateResponse):
            raise ProtocolError(f"the server accepts with {type(held).__name__} instead of an InitiateResponse")
        return held


def _initiate(dedicated_key: bytes | None, conformance: int, max_receive_pdu_size: int) -> bytes:
    """The encoded InitiateRequest."""
    return apdu.encode(
        InitiateRequest(
            dedicated_key=dedicated_key,
            conformance=Conformance(conformance),
            client_max_receive_pdu_size=max_receive_pdu_size,
        )
    )


@lru_cache(maxsize=16)
def _initiate_without_key(conformance: int, max_receive_pdu_size: int) -> bytes:
    """The same for all associations of a kind; it holds nothing secret."""
    return _initiate(None, conformance, max_receive_pdu_size)


def check_dedicated_key(security: Security | None, key: bytes) -> None:
    """LocalError when there is no use for it, or it does not fit the suite."""
    if security is None or not security.required.request:
        raise LocalError("a dedicated key needs an association with ciphering")
    if len(key) != len(security.keys.encryption_key):
        raise LocalError(f"a dedicated key of {len(key)} octets does not fit the suite")
    if security.message_keys.own is not KeyForm.IDENTIFIED or KeyForm.IDENTIFIED not in security.message_keys.taken:
        raise LocalError("a dedicated key would take the place of the keys of one message that the settings want")


def refusal(aare: Aare) -> OpenRefused:
    """What an AARE says that refuses, with the reason for a person."""
    diagnostic = aare.diagnostic
    reason = diagnostic.reason
    try:
        held = apdu.decode(aare.user_information or b"")
    except DecodeError:
        held = None
    if isinstance(held, ConfirmedServiceError):
        reason = f"{reason} ({held.reason})"
    return OpenRefused(aare.result, diagnostic.code, reason, diagnostic.source)


def accepts(aare: Aare) -> bool:
    return aare.result is AssociationResult.ACCEPTED


def pre_established(settings: ClientSettings, protection: AssociationProtection | None) -> Opened | None:
    """What both ends know of a pre-established association; None for every other."""
    if settings.pre_established is None:
        return None
    title = None if protection is None else protection.peer_title
    return Opened(settings.conformance, settings.pre_established.peer_max_receive_pdu_size, title)


def protection_of(
    settings: ClientSettings, send_counter: SendCounter | None, receive_counter: ReceiveCounter | None
) -> AssociationProtection | None:
    """The protection of an association; None without keys, LocalError for keys without a send counter."""
    if settings.security is None:
        return None
    if send_counter is None:
        raise LocalError("an association with keys needs a send counter")
    counters = Counters(send_counter, receive_counter or ReceiveCounter())
    return AssociationProtection(settings.security, counters, fast_path=settings.fast_path)
