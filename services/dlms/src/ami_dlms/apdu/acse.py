"""ACSE APDUs that open and close an association (IEC 62056-5-3, clause 7.2 and its ASN.1), in BER.

Each field names its context tag and how its contents are written. Fields of the standard that this profile does not
use (called titles, invocation ids and the like) are stepped over when they arrive.
"""

from __future__ import annotations

from dataclasses import field
from typing import Annotated

from ami_dlms.apdu.acse_fields import (
    APPLICATION_CONTEXT_NAME,
    ASSOCIATION_RESULT,
    AUTHENTICATION_VALUE,
    BITS,
    EXPLICIT_INTEGER,
    EXPLICIT_OCTETS,
    MECHANISM_NAME,
    OCTETS,
    RELEASE_REASON,
    REQUIREMENTS,
    RESULT_SOURCE_DIAGNOSTIC,
    Diagnostic,
    constructed,
    primitive,
)
from ami_dlms.enums import ApplicationContext, AssociationResult, Mechanism, ReleaseReason
from ami_dlms.frozen import frozen

__all__ = ["Aare", "Aarq", "Diagnostic", "Rlre", "Rlrq"]


@frozen
class Aarq:
    """AARQ: the client proposes an association.

    `sender_acse_requirements` (the authentication functional unit) follows `mechanism` when it is not given.
    The authentication value may be a password; a plain InitiateRequest may hold a key: neither is shown.
    """

    application_context: Annotated[ApplicationContext, constructed(1, APPLICATION_CONTEXT_NAME)]
    calling_ap_title: Annotated[bytes | None, constructed(6, EXPLICIT_OCTETS)] = None
    mechanism: Annotated[Mechanism | None, primitive(11, MECHANISM_NAME)] = None
    calling_authentication_value: Annotated[bytes | None, constructed(12, AUTHENTICATION_VALUE)] = field(
        default=None, repr=False
    )
    user_information: Annotated[bytes | None, constructed(30, EXPLICIT_OCTETS)] = field(default=None, repr=False)
    protocol_version: Annotated[tuple[bool, ...] | None, primitive(0, BITS)] = None
    calling_ae_qualifier: Annotated[bytes | None, constructed(7, EXPLICIT_OCTETS)] = None
    calling_ae_invocation_id: Annotated[int | None, constructed(9, EXPLICIT_INTEGER)] = None
    sender_acse_requirements: Annotated[bool | None, primitive(10, REQUIREMENTS, absent=False)] = None
    implementation_information: Annotated[bytes | None, primitive(29, OCTETS)] = None

    def __post_init__(self) -> None:
        if self.sender_acse_requirements is None:
            object.__setattr__(self, "sender_acse_requirements", self.mechanism is not None)


@frozen
class Aare:
    """AARE: the server accepts or refuses; `responder_acse_requirements` follows `mechanism` when it is not given."""

    application_context: Annotated[ApplicationContext, constructed(1, APPLICATION_CONTEXT_NAME)]
    result: Annotated[AssociationResult, constructed(2, ASSOCIATION_RESULT)]
    diagnostic: Annotated[Diagnostic, constructed(3, RESULT_SOURCE_DIAGNOSTIC)]
    responding_ap_title: Annotated[bytes | None, constructed(4, EXPLICIT_OCTETS)] = None
    mechanism: Annotated[Mechanism | None, primitive(9, MECHANISM_NAME)] = None
    responding_authentication_value: Annotated[bytes | None, constructed(10, AUTHENTICATION_VALUE)] = field(
        default=None, repr=False
    )
    user_information: Annotated[bytes | None, constructed(30, EXPLICIT_OCTETS)] = field(default=None, repr=False)
    protocol_version: Annotated[tuple[bool, ...] | None, primitive(0, BITS)] = None
    responding_ae_qualifier: Annotated[bytes | None, constructed(5, EXPLICIT_OCTETS)] = None
    responding_ae_invocation_id: Annotated[int | None, constructed(7, EXPLICIT_INTEGER)] = None
    responder_acse_requirements: Annotated[bool | None, primitive(8, REQUIREMENTS, absent=False)] = None
    implementation_information: Annotated[bytes | None, primitive(29, OCTETS)] = None

    def __post_init__(self) -> None:
        if self.responder_acse_requirements is None:
            object.__setattr__(self, "responder_acse_requirements", self.mechanism is not None)


@frozen
class Rlrq:
    """RLRQ: the client releases the association; both fields may be absent."""

    reason: Annotated[ReleaseReason | None, primitive(0, RELEASE_REASON)] = None
    user_information: Annotated[bytes | None, constructed(30, EXPLICIT_OCTETS)] = field(default=None, repr=False)


@frozen
class Rlre:
    """RLRE: the server agrees to the release."""

    reason: Annotated[ReleaseReason | None, primitive(0, RELEASE_REASON)] = None
    user_information: Annotated[bytes | None, constructed(30, EXPLICIT_OCTETS)] = field(default=None, repr=False)
