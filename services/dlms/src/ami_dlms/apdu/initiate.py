"""InitiateRequest and InitiateResponse (IEC 62056-5-3): what both sides of an association can do, and how large a PDU may be."""

from __future__ import annotations

from dataclasses import KW_ONLY, field

from ami_dlms.apdu.fields import (
    BooleanDefaultTrue,
    ConformanceBlock,
    OptionalInteger8,
    OptionalOctets,
    Unsigned8,
    Unsigned16,
)
from ami_dlms.frozen import frozen

DLMS_VERSION = 6
VAA_NAME_LN = 0x0007
VAA_NAME_SN = 0xFA00


@frozen
class InitiateRequest:
    """InitiateRequest: proposed by the client, inside the AARQ."""

    _: KW_ONLY
    dedicated_key: OptionalOctets = field(default=None, repr=False)
    response_allowed: BooleanDefaultTrue = True
    quality_of_service: OptionalInteger8 = None
    dlms_version: Unsigned8 = DLMS_VERSION
    conformance: ConformanceBlock
    client_max_receive_pdu_size: Unsigned16


@frozen
class InitiateResponse:
    """InitiateResponse: negotiated by the server, inside the AARE."""

    _: KW_ONLY
    quality_of_service: OptionalInteger8 = None
    dlms_version: Unsigned8 = DLMS_VERSION
    conformance: ConformanceBlock
    server_max_receive_pdu_size: Unsigned16
    vaa_name: Unsigned16 = VAA_NAME_LN
