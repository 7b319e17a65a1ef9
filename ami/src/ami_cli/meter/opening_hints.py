"""What a person can do when an association does not open: it depends on what was proposed, and on what came back."""

from ami_dlms.association import ClientSettings
from ami_dlms.enums import AcseServiceProviderDiagnostic as ProviderDiagnostic
from ami_dlms.enums import AcseServiceUserDiagnostic as Diagnostic
from ami_dlms.enums import DiagnosticSource, Mechanism, ServiceError

STILL_OPEN = (
    "an association of this client may still be open in the meter, from another program or a run that broke off: wait "
    "for its time-out, or see that nothing else is connected"
)
_PROVED_BY = {
    Mechanism.LOWEST: "this client proves nothing: see --authentication",
    Mechanism.LOW: "the meter knows another password for it: check --secret",
    Mechanism.GMAC: "its proof is computed with --ek and --ak, under --title: check all three",
    Mechanism.ECDSA: "its proof is signed: check --signing-key, and that the meter has its public key",
}


def of_diagnostic(source: DiagnosticSource, code: int, settings: ClientSettings) -> str:
    """What to do about an AARE that rejects what these settings proposed; the code is of the list of who gives it."""
    if source is DiagnosticSource.ACSE_SERVICE_PROVIDER:
        if code == ProviderDiagnostic.NO_COMMON_ACSE_VERSION:
            return "the meter speaks another version of ACSE"
        return _no_reason(settings) if code == ProviderDiagnostic.NO_REASON_GIVEN else ""
    match code:
        case Diagnostic.NO_REASON_GIVEN:
            return _no_reason(settings)
        case Diagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED:
            return _context(settings)
        case Diagnostic.CALLING_AP_TITLE_NOT_RECOGNIZED:
            return "the meter knows its clients by system title: give it with --title"
        case Diagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED:
            return f"client {settings.client_wport} does not prove itself so in this meter: choose another --authentication"
        case Diagnostic.AUTHENTICATION_MECHANISM_NAME_REQUIRED:
            return f"client {settings.client_wport} has to prove itself: see --authentication"
        case Diagnostic.AUTHENTICATION_FAILURE | Diagnostic.AUTHENTICATION_REQUIRED:
            return f"client {settings.client_wport}: {_proof(settings)}"
    return ""


def _no_reason(settings: ClientSettings) -> str:
    who = f"client {settings.client_wport} at logical device {settings.server_wport}"
    return (
        f"the meter may have no {who} (--client, --server), or want another --authentication; else {_proof(settings)}"
    )


def _context(settings: ClientSettings) -> str:
    """Ciphering and the way of naming are what a context says."""
    if settings.security is not None and settings.security.ciphered:
        ciphering = "asks with ciphering, and the meter may want none of it: --ciphering none"
    else:
        ciphering = "asks unencrypted, and the meter may want ciphering: --ek, --ak, and see --ciphering"
    naming = "the meter may speak short names: --short-names"
    if settings.short_names is not None:
        naming = "the meter may speak logical names: leave --short-names out"
    return f"client {settings.client_wport} {ciphering}; or {naming}"


def _proof(settings: ClientSettings) -> str:
    proof = _PROVED_BY.get(settings.mechanism, "its proof is computed with --secret: check it")
    ciphered = settings.security is not None and settings.security.ciphered
    return f"{proof}; the meter may also want another --protection or --ciphering" if ciphered else proof


def of_fault(service_error: ServiceError | None, settings: ClientSettings) -> str:
    """What to do when an AARQ is answered by a fault; `service_error` None: not by an exception-response."""
    if service_error in (ServiceError.DECIPHERING_ERROR, ServiceError.INVOCATION_COUNTER_ERROR):
        return "check --ek, --ak, --ciphering and the invocation counter"
    if service_error is None:
        return "see --conformance, --max-pdu and --short-names: what was proposed does not suit the meter"
    who = f"client {settings.client_wport} at logical device {settings.server_wport}"
    return f"{STILL_OPEN}; or it has no {who}: see --client and --server"


def of_lost_link(settings: ClientSettings) -> str:
    """What to do when the data link is refused or lost while the association is opened."""
    who = f"client {settings.client_wport} at address {settings.server_wport}"
    return f"{STILL_OPEN}; or it has no {who}: see --client, --server and --physical"


def of_silence(settings: ClientSettings, timeout_s: float, *, hdlc: bool) -> str:
    """What to do when nothing came."""
    addresses = f"--client ({settings.client_wport}) or --server ({settings.server_wport})"
    line = " (over HDLC also --physical, --address-size, --baud)" if hdlc else ""
    return (
        f"nothing came within {timeout_s:g} s: give it longer with --timeout; a wrong {addresses}{line} is often met with "
        "silence, and so are wrong keys"
    )
