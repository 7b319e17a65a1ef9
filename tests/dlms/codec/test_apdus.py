"""Every APDU, round and back, with any legal values; and any octets into the decoder."""

from __future__ import annotations

from typing import Any, cast

import pytest
from every_apdu import APDUS, u8
from hypothesis import given, settings
from hypothesis import strategies as st
from sizes import examples

from ami_dlms import apdu, data
from ami_dlms.apdu.access import (
    AccessRequest,
    AccessResponse,
    AccessResponseAction,
    AccessResponseGet,
)
from ami_dlms.apdu.acse import Aarq, Diagnostic, Rlrq
from ami_dlms.apdu.action import (
    ActionRequestNormal,
)
from ami_dlms.apdu.blocks import BlockControl, GeneralBlockTransfer
from ami_dlms.apdu.ciphered import (
    GeneralCiphering,
    GeneralSigning,
    IdentifiedKey,
    ServiceCiphering,
    WrappedKey,
)
from ami_dlms.apdu.faults import ConfirmedServiceError, ExceptionResponse
from ami_dlms.apdu.fields import Block
from ami_dlms.apdu.get import (
    GetRequestNext,
    GetRequestNormal,
    GetResponseNormal,
    GetResponseWithDataBlock,
)
from ami_dlms.apdu.initiate import InitiateRequest
from ami_dlms.apdu.notify import DataNotification, DataNotificationConfirm, EventNotificationRequest
from ami_dlms.apdu.set import (
    SetRequestNormal,
    SetRequestWithDataBlock,
)
from ami_dlms.apdu.short_names import (
    BlockNumberAccess,
    DataBlockResult,
    InformationReportRequest,
    ParameterizedAccess,
    ReadDataBlockAccess,
    ReadRequest,
    ReadResponse,
    UnconfirmedWriteRequest,
    VariableName,
    WriteDataBlockAccess,
    WriteRequest,
    WriteResponse,
)
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.cosem.selection import SelectiveAccess
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import (
    AcseServiceUserDiagnostic,
    ActionResult,
    ApduTag,
    ApplicationContext,
    ConfirmedService,
    Conformance,
    DataAccessResult,
    DiagnosticSource,
    ErrorClass,
    KekId,
    KeyId,
    Mechanism,
    ServiceError,
    StateError,
)
from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.obis import Obis

QUICK = settings(max_examples=examples(30), deadline=None)


def test_every_apdu_has_a_strategy() -> None:
    assert len(APDUS) == len(apdu.Apdu.__args__)


@pytest.mark.parametrize("name", sorted(APDUS))
def test_round_and_back(name: str) -> None:
    @QUICK
    @given(APDUS[name])
    def check(value: Any) -> None:
        encoded = apdu.encode(value)
        assert apdu.decode(encoded) == value

    check()


@pytest.mark.parametrize("name", sorted(APDUS))
def test_altered_and_cut_short(name: str, decodes_or_refuses: Any) -> None:
    @QUICK
    @given(APDUS[name], st.data())
    def check(value: Any, draw: st.DataObject) -> None:
        encoded = bytearray(apdu.encode(value))
        at = draw.draw(st.integers(0, len(encoded) - 1))
        encoded[at] = draw.draw(u8)
        decodes_or_refuses(apdu.decode, bytes(encoded))
        decodes_or_refuses(apdu.decode, bytes(encoded[:at]))

    check()


def test_any_octets_under_any_tag(decodes_or_refuses: Any) -> None:
    @settings(max_examples=examples(500), deadline=None)
    @given(u8 | st.sampled_from(ApduTag), st.integers(0, 7), st.binary(max_size=60))
    def check(tag: int, form: int, rest: bytes) -> None:
        decodes_or_refuses(apdu.decode, bytes((tag, form)) + rest)
        decodes_or_refuses(apdu.decode, bytes((tag,)) + rest)

    check()


def test_nothing_is_refused() -> None:
    with pytest.raises(DecodeError):
        apdu.decode(b"")


@pytest.mark.parametrize("tag", [0, 2, 17, 100, 222, 225, 255])
def test_a_foreign_tag_is_refused_by_its_number(tag: int) -> None:
    with pytest.raises(DecodeError, match=f"0x{tag:02X}"):
        apdu.decode(bytes((tag,)) + bytes(20))


@pytest.mark.parametrize("length", [0, 127, 128, 255, 256, 65535, 65536])
def test_lengths_on_both_sides_of_their_forms(length: int) -> None:
    block = GetResponseWithDataBlock(1, True, 1, bytes(length))
    assert apdu.decode(apdu.encode(block)) == block
    request = Aarq(ApplicationContext.LN, user_information=bytes(length))
    assert apdu.decode(apdu.encode(request)) == request


@pytest.mark.parametrize("header", ["C0 03 01", "C1 04 01", "C3 03 01", "C4 03 01", "C5 05 01", "C7 03 01"])
@pytest.mark.parametrize("count", ["84 FFFFFFFF", "84 7FFFFFFF", "82 FFFF", "7F"])
def test_huge_counts_are_refused_at_once(header: str, count: str) -> None:
    with pytest.raises(DecodeError):
        apdu.decode(bytes.fromhex(header + count) + bytes(20))


@pytest.mark.parametrize(
    "wrong",
    [
        GetRequestNormal(256, AttributeDescriptor(1, Obis(bytes(6)), 2)),
        GetRequestNormal(1, AttributeDescriptor(70000, Obis(bytes(6)), 2)),
        GetRequestNormal(1, AttributeDescriptor(1, Obis(bytes(6)), 2), SelectiveAccess(300, data.null())),
        GetRequestNext(1, 2**32),
        AccessRequest(2**32, None, (), ()),
        GeneralBlockTransfer(BlockControl(False, False, 64), 1, 0, b""),
        GeneralBlockTransfer(BlockControl(False, False, -1), 1, 0, b""),
        GeneralBlockTransfer(BlockControl(False, False, 1), 65536, 0, b""),
        ReadRequest((VariableName(-1536),)),
        ReadRequest((VariableName(65536),)),
        ReadResponse((70000,)),
        WriteResponse((70000,)),
        InformationReportRequest("20261120\u0660", (), ()),
        GetResponseNormal(1, data.unsigned(256)),
        GetResponseNormal(1, "text"),
        ServiceCiphering(0xC0, b""),
        Aarq(ApplicationContext.UNKNOWN),
        Aarq(ApplicationContext.LN, mechanism=Mechanism.UNKNOWN),
        InitiateRequest(conformance=Conformance(1 << 24), client_max_receive_pdu_size=1),
    ],
)
def test_what_does_not_fit_cannot_be_encoded(wrong: Any) -> None:
    with pytest.raises(LocalError):
        apdu.encode(wrong)


def test_a_number_in_place_of_a_name_does_not_stand_for_the_name_afterwards() -> None:
    """What elements remember is by value, and 0 equals UNKNOWN, which is read and never written."""
    apdu.encode(Aarq(cast(ApplicationContext, 0)))
    with pytest.raises(LocalError):
        apdu.encode(Aarq(ApplicationContext.UNKNOWN))


class TestAcse:
    """BER in the forms that peers use."""

    def test_long_form_lengths_and_a_challenge_of_64_octets(self) -> None:
        challenge = bytes(range(64))
        value = b"\x80\x81\x40" + challenge
        fields = bytes.fromhex("A1 81 0B 06 82 0007 60857405080101 8A 02 0780 8B 07 60857405080205 AC 82")
        body = fields + len(value).to_bytes(2, "big") + value
        decoded: Any = apdu.decode(b"\x60\x84" + len(body).to_bytes(4, "big") + body)
        assert decoded == Aarq(ApplicationContext.LN, mechanism=Mechanism.GMAC, calling_authentication_value=challenge)

    def test_an_explicit_protocol_version(self) -> None:
        decoded: Any = apdu.decode(bytes.fromhex("60 0F 80020780 A109060760857405080101"))
        assert decoded.protocol_version == (True,)

    def test_legal_fields_that_are_not_used_are_stepped_over(self) -> None:
        unused = bytes.fromhex("A203020101 A303020102 A403020103 A80302010A 9E0101")
        body = unused + bytes.fromhex("A109060760857405080101")
        assert apdu.decode(b"\x60" + bytes((len(body),)) + body) == Aarq(ApplicationContext.LN)

    def test_an_authentication_value_as_bit_string(self) -> None:
        decoded: Any = apdu.decode(bytes.fromhex("60 12 A109060760857405080101 AC05 8103 00 4142"))
        assert decoded.calling_authentication_value == b"AB"

    def test_a_mechanism_without_requirements_stays_without(self) -> None:
        octets_in = bytes.fromhex("60 14 A109060760857405080101 8B0760857405080201")
        decoded: Any = apdu.decode(octets_in)
        assert decoded.sender_acse_requirements is False
        assert apdu.encode(decoded) == octets_in

    def test_names_that_are_not_known(self) -> None:
        decoded: Any = apdu.decode(bytes.fromhex("60 14 A109060760857405080109 8B0760857405080299"))
        assert decoded.application_context is ApplicationContext.UNKNOWN
        assert decoded.mechanism is Mechanism.UNKNOWN

    def test_empty_release(self) -> None:
        assert apdu.decode(b"\x62\x00") == Rlrq()
        assert apdu.encode(Rlrq()) == b"\x62\x00"

    @pytest.mark.parametrize(
        ("octets_in", "field"),
        [
            ("60 00", "application_context"),
            ("61 0B A109060760857405080101", "result"),
            ("60 16 A109060760857405080101 A109060760857405080101", "application_context"),
            ("60 0B A109040760857405080101", "application_context"),
            ("60 0B A109060760857405080101 00", ""),
            ("60 80 A109060760857405080101 0000", ""),
            ("60 0E A109060760857405080101 AC0182", "calling_authentication_value"),
            ("60 0E A109060760857405080101 BE0104", "user_information"),
            ("60 0F A109060760857405080101 8A020880", "sender_acse_requirements"),
            ("62 03 800105", "reason"),
            ("61 15 A109060760857405080101 A203020100 A303810100", "diagnostic"),
            ("60 03 1F0100", ""),
        ],
    )
    def test_wrong_fields_are_refused_by_name(self, octets_in: str, field: str) -> None:
        with pytest.raises(DecodeError) as caught:
            apdu.decode(bytes.fromhex(octets_in))
        assert caught.value.field.partition(".")[2] == field

    def test_diagnostics_speak(self) -> None:
        assert Diagnostic.user(AcseServiceUserDiagnostic.AUTHENTICATION_FAILURE).reason == "authentication-failure"
        provider = Diagnostic(DiagnosticSource.ACSE_SERVICE_PROVIDER, 2)
        assert provider.reason == "no-common-acse-version"
        assert Diagnostic(DiagnosticSource.ACSE_SERVICE_USER, 99).reason == "diagnostic 99"


class TestInitiate:
    def test_defaults_optionals_and_the_top_octet_of_the_conformance(self) -> None:
        decoded: Any = apdu.decode(bytes.fromhex("01 01 02 AABB 01 00 01 05 06 5F1F0400 C07E1F 0400"))
        assert (decoded.dedicated_key, decoded.response_allowed, decoded.quality_of_service) == (b"\xaa\xbb", False, 5)
        assert Conformance.RESERVED_ZERO | Conformance.GENERAL_PROTECTION in decoded.conformance

    def test_the_tag_of_the_conformance_in_one_octet(self) -> None:
        decoded: Any = apdu.decode(bytes.fromhex("01 00 00 00 06 5F 0400 007E1F 04B0"))
        assert decoded.conformance == Conformance(0x007E1F)

    @pytest.mark.parametrize(
        "octets_in", ["01 02 00", "01 0000 00 06 5E1F0400007E1F04B0", "01 0000 00 06 5F1F0401007E1F04B0"]
    )
    def test_wrong_ones_are_refused(self, octets_in: str) -> None:
        with pytest.raises(DecodeError):
            apdu.decode(bytes.fromhex(octets_in))


class TestFaults:
    def test_every_form_of_exception_response(self) -> None:
        for state in StateError:
            for service in ServiceError:
                counter = 0x01020304 if service is ServiceError.INVOCATION_COUNTER_ERROR else None
                fault = ExceptionResponse(state, service, counter)
                assert apdu.decode(apdu.encode(fault)) == fault
        assert apdu.encode(
            ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.INVOCATION_COUNTER_ERROR, 7)
        ) == (bytes.fromhex("D8010600000007"))

    def test_a_counter_goes_with_its_error_only(self) -> None:
        with pytest.raises(LocalError):
            ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.OTHER_REASON, 1)
        with pytest.raises(LocalError):
            ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.INVOCATION_COUNTER_ERROR)

    def test_reasons_speak(self) -> None:
        fault = ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.INVOCATION_COUNTER_ERROR, 7)
        assert fault.reason == "service-not-allowed, invocation-counter-error (expected counter 7)"
        assert ConfirmedServiceError(ConfirmedService.READ, ErrorClass.ACCESS, 3).reason == "read: access 3"


def test_a_notification_with_its_time_and_without() -> None:
    body = data.structure(data.long_unsigned(1))
    for moment in (None, CosemDateTime(2026, 11, 20, 5, 12, 0, 0, 0, -60, 0)):
        pushed = DataNotification(1, moment, body)
        assert apdu.decode(apdu.encode(pushed)) == pushed
    with pytest.raises(DecodeError, match="12 octets"):
        apdu.decode(bytes.fromhex("0F 00000001 05 0102030405 00"))


def test_a_notification_whose_time_has_a_tag_in_front() -> None:
    # Kaifa MA304 on the Norwegian customer interface, as published in many captures, without its HDLC and LLC headers.
    pushed: Any = apdu.decode(bytes.fromhex("0F 40000000 090C 07E4020F06011922FF800000 0201 060000157E"))
    assert pushed.date_time == CosemDateTime(2020, 2, 15, 6, 1, 25, 34, None, None, 0)
    assert pushed.body == data.structure(data.double_long_unsigned(0x157E))


def test_secrets_are_not_shown() -> None:
    secret = b"hush-hush-secret"
    shown = [
        Aarq(
            ApplicationContext.LN, mechanism=Mechanism.LOW, calling_authentication_value=secret, user_information=secret
        ),
        InitiateRequest(dedicated_key=secret, conformance=Conformance(0), client_max_receive_pdu_size=1),
        SetRequestNormal(1, AttributeDescriptor(15, Obis(bytes(6)), 7), None, data.octet_string(secret)),
        SetRequestWithDataBlock(1, Block(True, 1, secret)),
        ActionRequestNormal(1, MethodDescriptor(64, Obis(bytes(6)), 2), data.octet_string(secret)),
        AccessRequest(1, None, (), (data.octet_string(secret),)),
        WriteRequest((VariableName(8),), (data.octet_string(secret),)),
        UnconfirmedWriteRequest((VariableName(8),), (data.octet_string(secret),)),
        ReadRequest((ParameterizedAccess(8, 1, data.octet_string(secret)), ReadDataBlockAccess(True, 1, secret))),
        GeneralBlockTransfer(BlockControl(True, False, 1), 1, 0, secret),
        GeneralSigning(b"", b"", b"", b"", b"", secret, b""),
        WrappedKey(KekId.MASTER_KEY, secret),
    ]
    assert all("hush" not in repr(value) for value in shown)


def test_data_is_the_pair_that_it_says() -> None:
    decoded: Any = apdu.decode(bytes.fromhex("C4 01 C1 00 06 00000045"))
    assert isinstance(decoded.result, Data)
    assert decoded.result == data.double_long_unsigned(0x45)


@pytest.mark.parametrize(
    ("octets_in", "meaning"),
    [
        ("05 01 02 FA08", ReadRequest((VariableName(0xFA08),))),
        ("05 02 02 0008 04 FA58 01 0901AA", ReadRequest((VariableName(8), ParameterizedAccess(0xFA58, 1, data.octet_string(b"\xaa"))))),
        ("05 01 05 0001", ReadRequest((BlockNumberAccess(1),))),
        ("05 01 06 00 0001 02 ABCD", ReadRequest((ReadDataBlockAccess(False, 1, b"\xab\xcd"),))),
        ("06 01 07 01 0002 01 0902 ABCD", WriteRequest((WriteDataBlockAccess(True, 2),), (data.octet_string(b"\xab\xcd"),))),
        ("0C 02 00 1105 01 04", ReadResponse((data.unsigned(5), DataAccessResult.OBJECT_UNDEFINED))),
        ("0C 01 02 01 0003 02 ABCD", ReadResponse((DataBlockResult(True, 3, b"\xab\xcd"),))),
        ("0C 01 03 0004", ReadResponse((4,))),
        ("0D 03 00 01 03 02 0004", WriteResponse((DataAccessResult.SUCCESS, DataAccessResult.READ_WRITE_DENIED, 4))),
        ("16 01 02 0010 01 1100", UnconfirmedWriteRequest((VariableName(16),), (data.unsigned(0),))),
        ("18 00 01 02 0010 01 1100", InformationReportRequest(None, (VariableName(16),), (data.unsigned(0),))),
        ("18 01 0F 32303236313132303035313230305A 00 00", InformationReportRequest("20261120051200Z", (), ())),
        ("10 80000001 00", DataNotificationConfirm(0x80000001, None)),
        ("E0 C3 0001 0002 01 AA", GeneralBlockTransfer(BlockControl(True, True, 3), 1, 2, b"\xaa")),
        ("E0 01 0000 0000 00", GeneralBlockTransfer(BlockControl(False, False, 1), 0, 0, b"")),
        ("DF 00 00 00 00 00 01 AA 01 BB", GeneralSigning(b"", b"", b"", b"", b"", b"\xaa", b"\xbb")),
        ("DD 00 00 00 00 00 00 01 AA", GeneralCiphering(b"", b"", b"", b"", b"", None, b"\xaa")),
        (
            "DD 00 00 00 00 00 01 00 01 01 AA",
            GeneralCiphering(b"", b"", b"", b"", b"", IdentifiedKey(KeyId.GLOBAL_BROADCAST_ENCRYPTION_KEY), b"\xaa"),
        ),
        (
            "DD 00 00 00 00 00 01 01 00 01 CC 01 AA",
            GeneralCiphering(b"", b"", b"", b"", b"", WrappedKey(KekId.MASTER_KEY, b"\xcc"), b"\xaa"),
        ),
        (
            "DA 00000007 00 00 01 1105 02 01 00 03 04",
            AccessResponse(
                7,
                None,
                None,
                (data.unsigned(5),),
                (AccessResponseGet(DataAccessResult.SUCCESS), AccessResponseAction(ActionResult.OBJECT_UNDEFINED)),
            ),
        ),
    ],
)  # fmt: skip
def test_written_out_by_hand_from_the_asn1(octets_in: str, meaning: Any) -> None:
    assert apdu.decode(bytes.fromhex(octets_in)) == meaning
    assert apdu.encode(meaning) == bytes.fromhex(octets_in)


@pytest.mark.parametrize(
    "octets_in", ["0D 01 03", "0C 01 04", "05 01 03 00", "D9 00000000 00 01 06", "18 01 01 80 00 00"]
)
def test_choices_that_do_not_exist_are_refused(octets_in: str) -> None:
    with pytest.raises(DecodeError):
        apdu.decode(bytes.fromhex(octets_in))


MOMENT = "07E70706040A362600FF8880"
DESCRIBED_VALUE = "0001 00000B0000FF 02 113B"


@pytest.mark.parametrize("presence", ["01 0C", "09 0C", "01 09 0C"], ids=["standard", "as Data", "both"])
def test_time_of_an_event_notification_is_read_in_each_form_and_written_in_the_standard_s(presence: str) -> None:
    told: Any = apdu.decode(bytes.fromhex(f"C2 {presence} {MOMENT} {DESCRIBED_VALUE}"))
    assert isinstance(told, EventNotificationRequest) and told.time is not None
    assert (told.time.encode().hex().upper(), told.value) == (MOMENT, data.unsigned(59))
    assert apdu.encode(told) == bytes.fromhex(f"C2 01 0C {MOMENT} {DESCRIBED_VALUE}")


@pytest.mark.parametrize("presence", ["09 0B", "0A 0C", "02 0C", "09 09 09 0C", "0C"])
def test_other_forms_of_that_time_are_refused(presence: str) -> None:
    with pytest.raises(DecodeError) as refusal:
        apdu.decode(bytes.fromhex(f"C2 {presence} {MOMENT} {DESCRIBED_VALUE}"))
    assert refusal.value.field.split(".")[-1] == "time"
