"""Published APDUs both ways: the meaning, the same octets, cut short, with octets left over, and altered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ami_dlms import apdu, data
from ami_dlms.apdu.access import CONFIRMED, AccessRequest, AccessRequestGet, AccessRequestSet
from ami_dlms.apdu.acse import Aare, Aarq, Diagnostic, Rlre, Rlrq
from ami_dlms.apdu.action import (
    ActionRequestNormal,
    ActionRequestWithFirstBlock,
    ActionRequestWithList,
    ActionRequestWithListAndFirstBlock,
    ActionResponseNextBlock,
    ActionResponseNormal,
    ActionResponseWithList,
)
from ami_dlms.apdu.ciphered import AgreedKey, ServiceCiphering
from ami_dlms.apdu.faults import ConfirmedServiceError, ExceptionResponse
from ami_dlms.apdu.fields import ActionResponse, AttributeItem, Block
from ami_dlms.apdu.get import GetRequestNormal, GetRequestWithList, GetResponseWithDataBlock
from ami_dlms.apdu.initiate import InitiateRequest, InitiateResponse
from ami_dlms.apdu.notify import DataNotification, EventNotificationRequest
from ami_dlms.apdu.set import (
    SetRequestNormal,
    SetRequestWithFirstDataBlock,
    SetRequestWithList,
    SetRequestWithListAndFirstDataBlock,
    SetResponseLastDataBlock,
    SetResponseNormal,
    SetResponseWithList,
)
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.cosem.selection import EntryDescriptor
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import (
    AcseServiceUserDiagnostic,
    ActionResult,
    ApduTag,
    ApplicationContext,
    AssociationResult,
    ConfirmedService,
    Conformance,
    DataAccessResult,
    ErrorClass,
    InitiateErrorCode,
    Mechanism,
    ReleaseReason,
    ServiceError,
    StateError,
)
from ami_dlms.errors import DecodeError
from ami_dlms.obis import Obis

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "apdus.json").read_text())
HEX = {row["id"]: bytes.fromhex(row["hex"]) for row in VECTORS}

# These are no legal encodings; why, and what the decoder says.
REFUSED = {
    "gosem_confirmedserviceerror_01": "value",  # ends before the code
    "gosem_eventnotificationrequest_02": "time",  # ends before the time
    "gosem_getresponse_00": "result",  # chooses data-access-result and then sends data
    "gosem_getresponse_04": "results",  # the same in a list
}
# Legal, but a boolean TRUE is written FF: it is read, and written 01.
OTHER_TRUE = {"gosem_datanotification_01", "gosem_eventnotificationrequest_00", "gosem_getresponse_02"}

LEGAL = sorted(HEX.keys() - REFUSED.keys())

OBJECT = Obis.parse("1-0:0.3.0*255")
FIVE = bytes((1, 2, 3, 4, 5))
ENTRIES = EntryDescriptor(0, 5, 0, 0).encode()
ACCEPTED, REFUSED_FOR_GOOD = AssociationResult.ACCEPTED, AssociationResult.REJECTED_PERMANENT
PLAIN_INITIATE = bytes.fromhex("01000000065F1F0400007E1F04B0")
PLAIN_INITIATED = bytes.fromhex("0800065F1F040000501F01F40007")
LN, LN_CIPHERED = ApplicationContext.LN, ApplicationContext.LN_CIPHERED


def week(name: int, monday: int, other_days: int) -> data.Data:
    return data.structure(data.octet_string(bytes((name,))), *map(data.unsigned, (monday, *[other_days] * 6)))


def season(name: int) -> data.Data:
    start = data.octet_string(b"\xff" * 7 + bytes(5))
    return data.structure(data.octet_string(bytes((name,))), start, data.octet_string(b"\xff"))


def user(code: AcseServiceUserDiagnostic) -> Diagnostic:
    return Diagnostic.user(code)


MEANINGS: dict[str, Any] = {
    "gb_aarq_lowest": Aarq(LN, user_information=PLAIN_INITIATE),
    "gb_aarq_lls": Aarq(
        LN,
        mechanism=Mechanism.LOW,
        calling_authentication_value=b"12345678",
        user_information=PLAIN_INITIATE,
    ),
    "gb_aarq_hls5": Aarq(
        LN,
        mechanism=Mechanism.GMAC,
        calling_authentication_value=b"K56iVagY",
        user_information=PLAIN_INITIATE,
    ),
    "gb_aarq_hls2": Aarq(
        LN,
        mechanism=Mechanism.HIGH,
        calling_authentication_value=b"12345678",
        user_information=PLAIN_INITIATE[:-2] + b"\xff\xff",
    ),
    "gb_aarq_ciphered_lls": Aarq(
        LN_CIPHERED,
        calling_ap_title=bytes.fromhex("4D4D4D0000BC614E"),
        mechanism=Mechanism.LOW,
        calling_authentication_value=b"12345678",
        user_information=HEX["gb_glo_initiate_request"],
    ),
    "gb_aare_ok": Aare(LN, ACCEPTED, user(AcseServiceUserDiagnostic.NULL), user_information=PLAIN_INITIATED),
    "gb_aare_hls5": Aare(
        LN,
        ACCEPTED,
        user(AcseServiceUserDiagnostic.AUTHENTICATION_REQUIRED),
        mechanism=Mechanism.GMAC,
        responding_authentication_value=b"P6wRJ21F",
        user_information=PLAIN_INITIATED,
    ),
    "gb_aare_ctx_rejected": Aare(
        LN,
        REFUSED_FOR_GOOD,
        user(AcseServiceUserDiagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED),
        user_information=PLAIN_INITIATED,
    ),
    "gb_aare_version_too_low": Aare(
        LN,
        REFUSED_FOR_GOOD,
        user(AcseServiceUserDiagnostic.NO_REASON_GIVEN),
        user_information=bytes.fromhex("0E010601"),
    ),
    "rlrq_normal": Rlrq(ReleaseReason.NORMAL),
    "rlre_normal": Rlre(ReleaseReason.NORMAL),
    "rlrq_glo_initiate": Rlrq(ReleaseReason.NORMAL, HEX["gb_glo_initiate_request"]),
    "gb_initiate_request_simple": InitiateRequest(conformance=Conformance(0x007E1F), client_max_receive_pdu_size=1200),
    "gb_initiate_response": InitiateResponse(conformance=Conformance(0x00501F), server_max_receive_pdu_size=500),
    "gosem_initiateresponse_02": InitiateResponse(
        quality_of_service=3,
        conformance=Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
        | Conformance.GET
        | Conformance.SET
        | Conformance.SELECTIVE_ACCESS
        | Conformance.ACTION,
        server_max_receive_pdu_size=128,
    ),
    "gb_glo_get_enc": ServiceCiphering(ApduTag.GLO_GET_REQUEST, bytes.fromhex("2001234567411312FF935A47566827C467BC")),
    "gb_set_with_list": SetRequestWithList(
        0x81,
        (
            AttributeItem(AttributeDescriptor(1, Obis.parse("0-0:128.0.0"), 2)),
            AttributeItem(AttributeDescriptor(1, Obis.parse("0-0:128.1.0"), 2)),
        ),
        (
            data.octet_string(bytes(int(f"{number:02d}", 16) for number in range(1, 51))),
            data.visible_string("000"),
        ),
    ),
    "gb_access_request": AccessRequest(
        CONFIRMED,
        None,
        (
            AccessRequestGet(AttributeDescriptor(1, Obis.parse("0-0:96.1.0"), 2)),
            AccessRequestGet(AttributeDescriptor(8, Obis.parse("0-0:1.0.0"), 2)),
            AccessRequestSet(AttributeDescriptor(20, Obis.parse("0-0:13.0.0"), 7)),
            AccessRequestSet(AttributeDescriptor(20, Obis.parse("0-0:13.0.0"), 8)),
        ),
        (
            data.null(),
            data.null(),
            data.array(*(season(number) for number in range(4))),
            data.array(week(0, 255, 255), week(1, 2, 1), week(2, 255, 255), week(3, 1, 2)),
        ),
    ),
    "dn_struct_push": DataNotification(
        0x461,
        None,
        data.array(
            data.structure(
                data.octet_string(bytes.fromhex("0009190900FF")),
                data.long_unsigned(0x46),
                data.long_unsigned(0x46E),
                data.long_unsigned(0xA45),
                data.long_unsigned(0x4FE),
            )
        ),
    ),
    "gosem_actionrequest_01": ActionRequestNormal(0x51, MethodDescriptor(1, OBJECT, 2)),
    "gosem_actionrequest_03": ActionRequestWithList(
        0x51, (MethodDescriptor(1, OBJECT, 2),), (data.octet_string(FIVE),)
    ),
    "gosem_actionrequest_05": ActionRequestWithFirstBlock(0x51, MethodDescriptor(1, OBJECT, 2), Block(True, 1, FIVE)),
    "gosem_actionrequest_07": ActionRequestWithListAndFirstBlock(
        0x51,
        (MethodDescriptor(1, OBJECT, 2), MethodDescriptor(1, Obis.parse("0-0:8.0.0"), 2)),
        Block(True, 1, FIVE),
    ),
    "gosem_actionresponse_00": ActionResponseNormal(0x51, ActionResult.SUCCESS, data.null()),
    "gosem_actionresponse_02": ActionResponseWithList(0x51, (ActionResponse(ActionResult.SUCCESS, data.null()),)),
    "gosem_actionresponse_04": ActionResponseNextBlock(0x51, 1),
    "gosem_actionresponse_06": ActionResponseWithList(
        0x51, (ActionResponse(ActionResult.SUCCESS, DataAccessResult.SUCCESS),)
    ),
    "gosem_datanotification_01": DataNotification(6543210, None, data.boolean(True)),
    "gosem_eventnotificationrequest_00": EventNotificationRequest(
        CosemDateTime(1500, 1, 1, 1, 0, 0, 0, 0, 0, 0), AttributeDescriptor(1, OBJECT, 2), data.boolean(True)
    ),
    "gosem_exceptionresponse_01": ExceptionResponse(StateError.SERVICE_UNKNOWN, ServiceError.OTHER_REASON),
    "gosem_getrequest_01": GetRequestNormal(0x51, AttributeDescriptor(1, OBJECT, 2)),
    "gosem_getrequest_03": GetRequestWithList(0x45, (AttributeItem(AttributeDescriptor(1, OBJECT, 2), ENTRIES),)),
    "gosem_getresponse_02": GetResponseWithDataBlock(0x51, True, 1, DataAccessResult.SUCCESS),
    "gosem_getresponse_06": GetResponseWithDataBlock(0x51, True, 1, bytes.fromhex("07D20C04030A060BFF007800")),
    "gosem_setrequest_01": SetRequestNormal(0x51, AttributeDescriptor(1, OBJECT, 2), None, data.octet_string(FIVE)),
    "gosem_setrequest_03": SetRequestWithFirstDataBlock(
        0x51, AttributeDescriptor(1, OBJECT, 2), None, Block(True, 1, FIVE)
    ),
    "gosem_setrequest_05": SetRequestWithList(
        0x45, (AttributeItem(AttributeDescriptor(1, OBJECT, 2), ENTRIES),), (data.octet_string(FIVE),)
    ),
    "gosem_setrequest_07": SetRequestWithListAndFirstDataBlock(
        0x45, (AttributeItem(AttributeDescriptor(1, OBJECT, 2), ENTRIES),), Block(True, 1, FIVE)
    ),
    "gosem_setresponse_00": SetResponseNormal(0x51, DataAccessResult.SUCCESS),
    "gosem_setresponse_02": SetResponseLastDataBlock(0x51, DataAccessResult.SUCCESS, 1),
    "gosem_setresponse_04": SetResponseWithList(
        0x51, (DataAccessResult.SUCCESS, DataAccessResult.HARDWARE_FAULT, DataAccessResult.OTHER_REASON)
    ),
}


@pytest.mark.parametrize("name", sorted(MEANINGS))
def test_meaning(name: str) -> None:
    assert apdu.decode(HEX[name]) == MEANINGS[name]


@pytest.mark.parametrize("name", LEGAL)
def test_same_octets_again(name: str) -> None:
    decoded = apdu.decode(HEX[name])
    assert apdu.decode(apdu.encode(decoded)) == decoded
    if name not in OTHER_TRUE:
        assert apdu.encode(decoded) == HEX[name]


@pytest.mark.parametrize("name", LEGAL)
def test_cut_short_is_refused(name: str) -> None:
    for length in range(len(HEX[name])):
        with pytest.raises(DecodeError):
            apdu.decode(HEX[name][:length])


@pytest.mark.parametrize("name", LEGAL)
def test_octets_left_over_are_refused(name: str) -> None:
    for extra in (b"\x00", b"\xff" * 3):
        with pytest.raises(DecodeError):
            apdu.decode(HEX[name] + extra)


@pytest.mark.parametrize(("name", "field"), sorted(REFUSED.items()))
def test_illegal_encodings_are_refused_in_the_right_field(name: str, field: str) -> None:
    with pytest.raises(DecodeError) as caught:
        apdu.decode(HEX[name])
    assert caught.value.field.split(".")[-1] == field


@pytest.mark.parametrize("name", LEGAL)
def test_altered_octets_decode_or_are_refused(name: str, decodes_or_refuses: Any) -> None:
    for position in range(len(HEX[name])):
        for change in (0x01, 0x80, 0xFF):
            altered = bytearray(HEX[name])
            altered[position] ^= change
            decoded = decodes_or_refuses(apdu.decode, bytes(altered))
            if decoded is not None and "UNKNOWN" not in repr(decoded):
                once = apdu.encode(decoded)
                assert apdu.encode(apdu.decode(once)) == once


@pytest.mark.parametrize("name", ["sess_aarq", "sess_aare", "gb_aarq_ciphered_lls"])
def test_ciphered_user_information_is_an_apdu_of_its_own(name: str) -> None:
    opened: Any = apdu.decode(HEX[name])
    inner: Any = apdu.decode(opened.user_information)
    assert inner.tag in (ApduTag.GLO_INITIATE_REQUEST, ApduTag.GLO_INITIATE_RESPONSE)
    assert inner.content[0] == 0x30


def test_expected_plaintexts_decode() -> None:
    for row in VECTORS:
        if plaintext := row.get("expected_plaintext"):
            octets = bytes.fromhex(plaintext)
            assert apdu.encode(apdu.decode(octets)) == octets


def test_refusal_inside_the_aare() -> None:
    refused: Any = apdu.decode(HEX["gb_aare_version_too_low"])
    error: Any = apdu.decode(refused.user_information)
    assert error == ConfirmedServiceError(
        ConfirmedService.INITIATE_ERROR, ErrorClass.INITIATE, InitiateErrorCode.DLMS_VERSION_TOO_LOW
    )
    assert error.reason == "initiate-error: initiate dlms-version-too-low"
    assert refused.diagnostic.reason == "no-reason-given"


def test_general_ciphering_names_its_parts() -> None:
    ciphered: Any = apdu.decode(HEX["gb_t41_general_ciphering_1e1s"])
    assert ciphered.transaction_id == bytes(range(1, 9))
    assert ciphered.originator_system_title == bytes.fromhex("4D4D4D0000BC614E")
    assert ciphered.recipient_system_title == bytes.fromhex("4D4D4D0000000001")
    assert (ciphered.date_time, ciphered.other_information) == (b"", b"")
    assert isinstance(ciphered.key_info, AgreedKey)
    assert ciphered.key_info.key_parameters == b"\x01"
    assert len(ciphered.key_info.key_ciphered_data) == 128  # public key and signature of P-256
    assert ciphered.content[:5] == bytes.fromhex("3100000000")
