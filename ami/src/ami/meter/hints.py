"""What a person can do about the meter's no: it depends on what was asked, as which client, and with which value."""

from enum import Enum

from ami.meter.options import PUBLIC_CLIENT
from dlms.enums import AcseServiceProviderDiagnostic as ProviderDiagnostic
from dlms.enums import AcseServiceUserDiagnostic as Diagnostic
from dlms.enums import DiagnosticSource, ServiceError


class Doing(Enum):
    """What a request was for."""

    READING = "read"
    SELECTING = "read a part of"
    LISTING = "list objects by"
    WRITING = "write"
    CALLING = "call"


def of_refusal(result: str, doing: Doing, client: int, value_type: str = "") -> str:
    """What to do about a data-access-result or action-result; none when only the meter's manual knows."""
    if result == "type-unmatched":
        return _type_unmatched(doing, value_type)
    if doing is Doing.LISTING and result in ("object-undefined", "object-unavailable", "read-write-denied"):
        return (
            "the object list of this association may be elsewhere: give its object with --association-object, "
            "0-0:40.0.1 for instance; or name the object with --class, which needs no list"
        )
    if result == "read-write-denied":
        return f"client {client} may not {doing.value} that: `ami meter scan` shows its access rights{_public(client)}"
    if result in ("object-undefined", "object-class-inconsistent"):
        looked_up = "; without --class the object is looked up" if result.endswith("inconsistent") else ""
        return f"client {client} sees no such object of this class: `ami meter scan` shows those that it sees{looked_up}{_public(client)}"
    if result == "scope-of-access-violated" and doing is Doing.SELECTING:
        return _NO_SELECTION
    return _ANY.get(result, "")


def _type_unmatched(doing: Doing, value_type: str) -> str:
    if doing is Doing.SELECTING:
        return f"the meter does not take a selection of this kind. {_NO_SELECTION}"
    if doing in (Doing.WRITING, Doing.CALLING):
        was = f"{value_type} is not what the meter wants" if value_type else "the meter wants another type"
        return f"{was}: its type goes with --type" + ("; `ami meter read` shows it" if doing is Doing.WRITING else "")
    return "a plain read has no type that could be wrong: see the octets with -v"


def _public(client: int) -> str:
    if client != PUBLIC_CLIENT:
        return ""
    return f"; {client} is the public client, which sees little: --client asks as another"


_NO_SELECTION = "Without --from, --to, --last and --columns the whole buffer is read, and --last asks by entries"
_ANY = {
    "object-unavailable": "the object exists, but not this part of it, or not now",
    "scope-of-access-violated": "the request goes beyond what this object offers to this client",
    "temporary-failure": "try again later",
    "other-reason": "the meter does not say more; its manual may",
    "hardware-fault": "the meter itself reports a fault; its manual may say more",
}

# --- opening

_PROOF = "check the password (--secret) or the keys (--ek, --ak), and --protection"
_OF_DIAGNOSTICS = {
    Diagnostic.NO_REASON_GIVEN: "check --client, --server, --authentication, and the password or the keys",
    Diagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED: "this client is ciphered and the meter is not, or the other way: "
    "see --ek and --ciphering; or one of both speaks short names: see --short-names",
    Diagnostic.CALLING_AP_TITLE_NOT_RECOGNIZED: "the meter knows its clients by system title: give it with --title",
    Diagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED: "choose another --authentication",
    Diagnostic.AUTHENTICATION_MECHANISM_NAME_REQUIRED: "this client has to prove itself: see --authentication",
    Diagnostic.AUTHENTICATION_FAILURE: _PROOF,
    Diagnostic.AUTHENTICATION_REQUIRED: _PROOF,
}
STILL_OPEN = (
    "an association of this client may still be open in the meter, from another program or a run that broke off: wait "
    "for its time-out, or see that nothing else is connected"
)


def of_diagnostic(source: DiagnosticSource, code: int) -> str:
    """What to do about an AARE that rejects; the code is of the list of who gives it."""
    if source is DiagnosticSource.ACSE_SERVICE_PROVIDER:
        return _OF_PROVIDER.get(code, "")
    return _OF_DIAGNOSTICS.get(Diagnostic(code), "") if code in set(Diagnostic) else ""


_OF_PROVIDER: dict[int, str] = {
    ProviderDiagnostic.NO_COMMON_ACSE_VERSION: "the meter speaks another version of ACSE",
    ProviderDiagnostic.NO_REASON_GIVEN: _OF_DIAGNOSTICS[Diagnostic.NO_REASON_GIVEN],
}


def of_opening_fault(service_error: ServiceError | None, client: int, server: int) -> str:
    """What to do when an AARQ is answered by a fault; `service_error` None: not by an exception-response."""
    if service_error in (ServiceError.DECIPHERING_ERROR, ServiceError.INVOCATION_COUNTER_ERROR):
        return "check --ek, --ak, --ciphering and the invocation counter"
    if service_error is None:
        return "see --conformance, --max-pdu and --short-names: what was proposed does not suit the meter"
    return f"{STILL_OPEN}; or it has no client {client} at logical device {server}: see --client and --server"


def of_lost_link(client: int, server: str) -> str:
    """What to do when the data link is refused or lost while the association is opened."""
    return f"{STILL_OPEN}; or it has no client {client} at address {server}: see --client, --server and --physical"


def of_silence(client: int, server: int, timeout_s: float) -> str:
    """What to do when nothing came."""
    return (
        f"nothing came within {timeout_s:g} s: give it longer with --timeout; a wrong --client ({client}) or --server "
        f"({server}) is often met with silence, and so are wrong keys"
    )
