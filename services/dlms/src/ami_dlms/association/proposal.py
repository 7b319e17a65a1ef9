"""The client's half of opening an association: the AARQ, and judging the AARE that answers it (Green Book 9.3.2, 9.4.2).

Nothing that the server says may weaken what was proposed: context, mechanism, protection and titles are all compared.
"""

from __future__ import annotations

from typing import NamedTuple

from ami_dlms import apdu
from ami_dlms.apdu.acse import Aare, Aarq, Diagnostic, Rlrq
from ami_dlms.apdu.faults import ConfirmedServiceError
from ami_dlms.apdu.initiate import InitiateRequest, InitiateResponse
from ami_dlms.association.forms import Wrapping
from ami_dlms.association.message_keys import KeyForm
from ami_dlms.association.protection import CIPHERED, Protection, lift
from ami_dlms.association.settings import ClientSettings, Security
from ami_dlms.cosem.short_names import ShortNames
from ami_dlms.enums import (
    AcseServiceUserDiagnostic,
    ApplicationContext,
    AssociationResult,
    Mechanism,
    ReleaseReason,
)
from ami_dlms.errors import DecodeError, LocalError, ProtocolError, SecurityError
from ami_dlms.security.hls import HLS, challenge_lengths

PROOF_WANTED = Diagnostic.user(AcseServiceUserDiagnostic.AUTHENTICATION_REQUIRED)


class Acceptance(NamedTuple):
    """An AARE that accepts: what was negotiated, and the challenge when a proof is still wanted."""

    initiate: InitiateResponse
    challenge: bytes | None


def context_of(protection: Protection | None, short_names: ShortNames | None = None) -> ApplicationContext:
    """Logical or short names, with ciphering when the policy protects anything."""
    if protection is not None and protection.security.ciphered:
        return ApplicationContext.LN_CIPHERED if short_names is None else ApplicationContext.SN_CIPHERED
    return ApplicationContext.LN if short_names is None else ApplicationContext.SN


class Proposal:
    """One attempt to open an association."""

    def __init__(
        self, settings: ClientSettings, protection: Protection | None, challenge: bytes, key: bytes | None
    ) -> None:
        self._settings = settings
        self._protection = protection
        self._challenge = challenge
        self._context = context_of(protection, settings.short_names)
        self._ciphered = protection is not None and protection.security.ciphered
        self._initiate = apdu.encode(
            InitiateRequest(
                dedicated_key=key,
                conformance=settings.conformance,
                client_max_receive_pdu_size=settings.max_receive_pdu_size,
            )
        )

    def aarq(self) -> bytes:
        """The encoded AARQ."""
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
            self._protection.meet(aare.responding_ap_title)
            self._protection.introduce(aare.responding_ae_qualifier)
        return Acceptance(self._initiate_response(aare.user_information), self._challenge_of(aare))

    def release_holds(self, user_information: bytes | None) -> None:
        """Check what an RLRE carries, when it carries something ciphered."""
        if user_information and self._protection is not None and self._ciphered:
            held = apdu.decode(user_information)
            if isinstance(held, CIPHERED):
                self._protection.unprotect(held, signed=False)

    def _user_information(self) -> bytes:
        if self._protection is None:
            return self._initiate
        return self._protection.protect(self._initiate, self._protection.form(Wrapping.GLO))

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
        held = lift(self._protection, apdu.decode(user_information), signed=False).apdu
        if not isinstance(held, InitiateResponse):
            raise ProtocolError(f"the server accepts with {type(held).__name__} instead of an InitiateResponse")
        return held


def check_dedicated_key(security: Security | None, key: bytes) -> None:
    """LocalError when there is no use for it, or it does not fit the suite."""
    if security is None or not security.demanded.request:
        raise LocalError("a dedicated key needs an association with ciphering")
    if len(key) != len(security.keys.encryption_key):
        raise LocalError(f"a dedicated key of {len(key)} octets does not fit the suite")
    if security.message_keys.own is not KeyForm.IDENTIFIED or KeyForm.IDENTIFIED not in security.message_keys.taken:
        raise LocalError("a dedicated key would take the place of the keys of one message that the settings want")


def refusal_reason(aare: Aare) -> str:
    """Why an AARE refuses, for a person."""
    reason = aare.diagnostic.reason
    try:
        held = apdu.decode(aare.user_information or b"")
    except DecodeError:
        return reason
    return f"{reason} ({held.reason})" if isinstance(held, ConfirmedServiceError) else reason


def accepts(aare: Aare) -> bool:
    return aare.result is AssociationResult.ACCEPTED
