"""The server's half of opening an association: judging an AARQ and building the AARE (Green Book 9.3.2, 9.4.2).

Every check that involves a secret (password, tag of the ciphered InitiateRequest) fails with the same diagnostic, so that
a stranger learns only that it failed. What exactly failed is in the reason, for the server's own log.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from ami_dlms import apdu
from ami_dlms.apdu.acse import Aare, Aarq, Diagnostic
from ami_dlms.apdu.faults import ConfirmedServiceError
from ami_dlms.apdu.initiate import DLMS_VERSION, VAA_NAME_LN, VAA_NAME_SN, InitiateRequest, InitiateResponse
from ami_dlms.association.protection.apdu_protection import PLAIN, ApduProtection, largest_plaintext
from ami_dlms.association.protection.association_protection import AssociationProtection, Counters, lift
from ami_dlms.association.protection.authentication import PROOF_WANTED
from ami_dlms.association.settings import (
    MAX_PDU_SIZE,
    WITH_TITLES,
    AssociationProfile,
    PreEstablished,
    application_context,
)
from ami_dlms.cursor import largest_counted
from ami_dlms.enums import (
    AcseServiceProviderDiagnostic,
    AcseServiceUserDiagnostic,
    ApplicationContext,
    AssociationResult,
    ConfirmedService,
    Conformance,
    DiagnosticSource,
    ErrorClass,
    InitiateErrorCode,
    Mechanism,
)
from ami_dlms.errors import DecodeError, SecurityError
from ami_dlms.frozen import frozen
from ami_dlms.security import ReplayError, same_secret
from ami_dlms.security.hls import HLS, challenge_lengths

ACCEPTED = Diagnostic.user(AcseServiceUserDiagnostic.NULL)
NO_COMMON_VERSION = Diagnostic(
    DiagnosticSource.ACSE_SERVICE_PROVIDER, AcseServiceProviderDiagnostic.NO_COMMON_ACSE_VERSION
)
SMALLEST_PDU = 12  # that a client may take (IEC 62056-5-3, InitiateRequest)
BLOCK_HEADER = 9  # of a response with one block


class AarqRefused(Exception):
    """Why an AARQ is refused: for the log, and what is said to the client."""

    def __init__(
        self, reason: str, diagnostic: AcseServiceUserDiagnostic | Diagnostic, error: InitiateErrorCode | None = None
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.diagnostic = diagnostic if isinstance(diagnostic, Diagnostic) else Diagnostic.user(diagnostic)
        self.error = error


@frozen
class Admission:
    """An AARQ that passed: what was negotiated."""

    initiate: InitiateRequest
    answer_protection: ApduProtection
    conformance: Conformance
    client_limit: int
    client_challenge: bytes


class _Initiate(NamedTuple):
    initiate: InitiateRequest
    answer_protection: ApduProtection


def admit(profile: AssociationProfile, protection: AssociationProtection | None, aarq: Aarq) -> Admission:
    """Check an AARQ against the profile; raises AarqRefused, or ReplayError for a genuine AARQ that was used before."""
    _check_names(profile, protection, aarq)
    if protection is not None:
        _check_identity(protection, aarq, profile.mechanism)
    held = _initiate_request(protection, aarq.user_information)
    challenge = _check_proof(profile, aarq.calling_authentication_value or b"")
    return _negotiate(profile, held, challenge)


def pre_established(profile: AssociationProfile) -> Admission:
    """What both ends know of a pre-established association."""
    agreed = profile.pre_established or PreEstablished()
    limit = agreed.peer_max_receive_pdu_size
    initiate = InitiateRequest(conformance=profile.conformance, client_max_receive_pdu_size=limit)
    return Admission(initiate, PLAIN, profile.conformance, limit or MAX_PDU_SIZE, b"")


def accepting_aare(
    profile: AssociationProfile, protection: AssociationProtection | None, admission: Admission, challenge: bytes | None
) -> bytes:
    """The encoded AARE that accepts; with a challenge it asks for the proof of HLS."""
    response = initiate_response(profile, admission)
    if protection is None and challenge is None:
        return _unsecured_aare(application_context(profile), response)
    return apdu.encode(
        Aare(
            application_context(profile),
            AssociationResult.ACCEPTED,
            ACCEPTED if challenge is None else PROOF_WANTED,
            None if protection is None else protection.security.system_title,
            None if challenge is None else profile.mechanism,
            challenge,
            response if protection is None else protection.protect(response, admission.answer_protection),
            responding_ae_qualifier=None if protection is None else protection.security.certificate,
        )
    )


@lru_cache(maxsize=256)
def _unsecured_aare(context: ApplicationContext, response: bytes) -> bytes:
    """The same for all clients that associate alike: nothing in it is of one meter."""
    return apdu.encode(Aare(context, AssociationResult.ACCEPTED, ACCEPTED, user_information=response))


def initiate_response(profile: AssociationProfile, admission: Admission) -> bytes:
    """The encoded InitiateResponse, which the AARE and a ciphered RLRE carry."""
    vaa_name = VAA_NAME_LN if profile.short_names is None else VAA_NAME_SN
    return _encoded_response(admission.conformance, profile.max_receive_pdu_size, vaa_name)


@lru_cache(maxsize=256)
def _encoded_response(conformance: Conformance, max_receive_pdu_size: int, vaa_name: int) -> bytes:
    """The same for most associations of a process."""
    return apdu.encode(
        InitiateResponse(conformance=conformance, server_max_receive_pdu_size=max_receive_pdu_size, vaa_name=vaa_name)
    )


def refusing_aare(context: ApplicationContext, refusal: AarqRefused) -> bytes:
    """The encoded AARE that refuses."""
    error = None
    if refusal.error is not None:
        error = apdu.encode(ConfirmedServiceError(ConfirmedService.INITIATE_ERROR, ErrorClass.INITIATE, refusal.error))
    result = AssociationResult.REJECTED_PERMANENT
    return apdu.encode(Aare(context, result, refusal.diagnostic, user_information=error))


def _check_names(profile: AssociationProfile, protection: AssociationProtection | None, aarq: Aarq) -> None:
    if aarq.protocol_version is not None and not (aarq.protocol_version and aarq.protocol_version[0]):
        raise AarqRefused("the client does not speak ACSE version 1", NO_COMMON_VERSION)
    if aarq.application_context is not application_context(profile):
        diagnostic = AcseServiceUserDiagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED
        raise AarqRefused(f"application context {aarq.application_context.name} is not offered here", diagnostic)
    mechanism = Mechanism.LOWEST if aarq.mechanism is None else aarq.mechanism
    if mechanism is profile.mechanism:
        return
    diagnostic = AcseServiceUserDiagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED
    if aarq.mechanism is None:
        diagnostic = AcseServiceUserDiagnostic.AUTHENTICATION_MECHANISM_NAME_REQUIRED
    raise AarqRefused(f"mechanism {mechanism.name} instead of {profile.mechanism.name}", diagnostic)


def _check_identity(protection: AssociationProtection, aarq: Aarq, mechanism: Mechanism) -> None:
    try:
        protection.accept_title(aarq.calling_ap_title)
    except SecurityError as error:
        raise AarqRefused(str(error), AcseServiceUserDiagnostic.CALLING_AP_TITLE_NOT_RECOGNIZED) from None
    needed = protection.security.ciphered or mechanism in WITH_TITLES
    if needed and protection.peer_title is None:
        raise AarqRefused("the client shows no system title", AcseServiceUserDiagnostic.CALLING_AP_TITLE_NOT_RECOGNIZED)
    try:
        protection.accept_certificate(aarq.calling_ae_qualifier)
    except SecurityError as error:
        raise AarqRefused(str(error), AcseServiceUserDiagnostic.CALLING_AE_QUALIFIER_NOT_RECOGNIZED) from None


def _check_proof(profile: AssociationProfile, value: bytes) -> bytes:
    """Check a password, or return the challenge that a client of HLS sends."""
    if profile.mechanism is Mechanism.LOW and not same_secret(profile.secret or b"", value):
        raise AarqRefused("wrong password", AcseServiceUserDiagnostic.AUTHENTICATION_FAILURE)
    if profile.mechanism not in HLS:
        return b""
    if len(value) not in (profile.challenge_lengths or challenge_lengths(profile.mechanism)):
        raise AarqRefused(f"a challenge of {len(value)} octets", AcseServiceUserDiagnostic.AUTHENTICATION_FAILURE)
    return value


def _initiate_request(protection: AssociationProtection | None, user_information: bytes | None) -> _Initiate:
    try:
        message, answer_protection, *_ = lift(protection, user_information or b"")
    except ReplayError:
        raise
    except SecurityError as error:
        raise AarqRefused(str(error), AcseServiceUserDiagnostic.AUTHENTICATION_FAILURE) from None
    except DecodeError as error:
        raise AarqRefused(f"unreadable InitiateRequest: {error}", AcseServiceUserDiagnostic.NO_REASON_GIVEN) from None
    if not isinstance(message, InitiateRequest):
        raise AarqRefused(
            f"{type(message).__name__} instead of InitiateRequest", AcseServiceUserDiagnostic.NO_REASON_GIVEN
        )
    return _Initiate(message, answer_protection)


def _negotiate(profile: AssociationProfile, held: _Initiate, challenge: bytes) -> Admission:
    initiate, answer_protection = held
    if initiate.dlms_version < DLMS_VERSION:
        raise _initiate_refusal("DLMS version too low", InitiateErrorCode.DLMS_VERSION_TOO_LOW)
    conformance = initiate.conformance & profile.conformance
    if not conformance:
        raise _initiate_refusal("no service in common", InitiateErrorCode.INCOMPATIBLE_CONFORMANCE)
    limit = initiate.client_max_receive_pdu_size or MAX_PDU_SIZE
    if limit < SMALLEST_PDU or largest_counted(largest_plaintext(limit, answer_protection) - BLOCK_HEADER) < 1:
        raise _initiate_refusal(f"a PDU size of {limit} is too short", InitiateErrorCode.PDU_SIZE_TOO_SHORT)
    return Admission(initiate, answer_protection, conformance, limit, challenge)


def _initiate_refusal(reason: str, error: InitiateErrorCode) -> AarqRefused:
    return AarqRefused(reason, AcseServiceUserDiagnostic.NO_REASON_GIVEN, error)


def protection_of(profile: AssociationProfile) -> AssociationProtection | None:
    """The protection of an association; None without keys."""
    if profile.security is None or profile.send_counter is None or profile.receive_counter is None:
        return None
    counters = Counters(profile.send_counter, profile.receive_counter, profile.broadcast_receive_counter)
    return AssociationProtection(profile.security, counters, server=True, fast_path=profile.fast_path)
