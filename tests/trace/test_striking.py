"""Secrets are struck out of octets, whose trees stay whole; a redacted trace has no value at all."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ami_dlms import apdu, data
from ami_dlms.apdu.initiate import InitiateRequest
from ami_dlms.association import ClientConnection, ClientSettings, Open
from ami_dlms.data import Data
from ami_dlms.enums import Conformance, Mechanism
from ami_dlms.explain import DecodingSession, explain, leaves
from ami_dlms.framing.hdlc import Frame, encode
from ami_dlms.framing.hdlc_address import HdlcAddress
from ami_dlms.framing.wrapper import HEADER_SIZE
from ami_trace.form import ApduRecord, Direction, FrameRecord, Kind, Meters, Outcome, Span, Trace
from ami_trace.message_striking import without_values
from ami_trace.striking import redacted, struck_out, without_secrets

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PASSWORD = b"swordfish"
WRAPPED = bytes(range(65, 89))
TRANSFER = bytes.fromhex("c301c1004000002b0000ff0201") + data.encode(
    data.array(data.structure(data.enum(0), data.octet_string(WRAPPED)))
)
SECRET_OF_LLS = bytes.fromhex("c101c1000f0000280001ff0700") + data.encode(data.octet_string(PASSWORD))


def aarq() -> bytes:
    settings = ClientSettings(client_wport=1, server_wport=1, mechanism=Mechanism.LOW, secret=PASSWORD)
    return ClientConnection(settings).send(Open())[HEADER_SIZE:]


def layout(octets: bytes) -> list[tuple[str, int, int, str]]:
    return [
        (leaf.name, leaf.start, leaf.end, leaf.trouble)
        for tree in explain(octets, DecodingSession())
        for leaf in leaves(tree)
    ]


@pytest.mark.parametrize(
    ("octets", "secret"),
    [
        pytest.param(aarq(), PASSWORD, id="the password of LLS"),
        pytest.param(TRANSFER, WRAPPED, id="a wrapped key"),
        pytest.param(SECRET_OF_LLS, PASSWORD, id="a new password"),
        pytest.param(
            apdu.encode(
                InitiateRequest(dedicated_key=b"K" * 16, conformance=Conformance(0), client_max_receive_pdu_size=0xFFFF)
            ),
            b"K" * 16,
            id="a dedicated key",
        ),
    ],
)
def test_a_secret_is_zeros_of_the_same_length_and_says_where_it_was(octets: bytes, secret: bytes) -> None:
    struck, places = struck_out(octets, carries=False)
    assert secret in octets and secret not in struck and len(struck) == len(octets)
    assert any(octets[first:end] == secret for first, end in places)
    untouched = [at for at in range(len(octets)) if not any(first <= at < end for first, end in places)]
    assert all(struck[at] == octets[at] for at in untouched), "nothing else has changed"
    assert layout(struck) == layout(octets)


@pytest.mark.parametrize(
    "value",
    [
        data.octet_string(PASSWORD),
        data.octet_string(PASSWORD * 20),
        data.visible_string("swordfish"),
        data.double_long_unsigned(0x73776F72),
        data.array(data.structure(data.octet_string(PASSWORD), data.boolean(True)), data.structure()),
    ],
    ids=["octets", "many octets", "text", "a number", "within"],
)
def test_the_answer_of_an_exchange_about_a_secret_keeps_no_value(value: Data) -> None:
    octets = bytes.fromhex("c401c100") + data.encode(value)
    assert struck_out(octets, carries=False) == (octets, ())
    struck, places = struck_out(octets, carries=True)
    assert places and b"swor" in octets and b"swor" not in struck
    assert layout(struck) == layout(octets)


@pytest.mark.parametrize("octets", [b"\xc4\x01\xc1\x00\x09\x20swordfish", b"swordfish", b"\xc4swordfish"])
def test_what_is_not_understood_of_such_an_exchange_is_left_out(octets: bytes) -> None:
    assert struck_out(octets, carries=True) == (b"", ())
    record = ApduRecord(direction=Direction.RESPONSE, source=1, destination=1, octets=octets.hex())
    left = without_secrets(record, carries=True)
    assert (left.octets, left.left_out) == ("", len(octets))


def test_a_redacted_trace_has_no_value_and_no_ciphered_octets() -> None:
    ciphered = bytes.fromhex("db08414d490000000001 0f 3000000001 112233445566778899aa".replace(" ", ""))
    clear = bytes.fromhex("c401c100") + data.encode(data.double_long_unsigned(0x73776F72))
    records = (
        ApduRecord(direction=Direction.RESPONSE, source=1, destination=1, octets=ciphered.hex(), clear=clear.hex()),
        ApduRecord(direction=Direction.RESPONSE, source=1, destination=1, octets=clear.hex()),
    )
    spans = [Span(id=1, kind=Kind.REQUEST, name="get", began_at=NOW)]
    spans += [
        Span(id=number, parent=1, kind=Kind.APDU, name="x", began_at=NOW, apdu=one)
        for number, one in enumerate(records, 2)
    ]
    spans.append(Span(id=9, parent=1, kind=Kind.REPLY, name="reply", began_at=NOW, xml="<value>swor</value>"))
    trace = Trace(
        message_id="m-1",
        verb="get",
        noun="MeterReadings",
        outcome=Outcome.OK,
        began_at=NOW,
        meters=Meters(asked=1, done=1, ok=1, recorded=1),
        clear_text=True,
        spans=tuple(spans),
    )
    shown = redacted(trace)
    assert shown.redacted and shown.notes
    text = shown.model_dump_json()
    assert "73776f72" not in text and "112233445566" not in text and "swor" not in text
    (_, first), (_, second) = shown.apdus()
    assert (first.octets, first.left_out) == ("", len(ciphered)) and first.clear_hidden == ((5, 9),)
    assert second.hidden == ((5, 9),)
    assert Trace.model_validate_json(text) == shown


MESSAGE = """\
<?xml version="1.0"?>
<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body>
<RequestMessage xmlns="http://iec.ch/TC57/2011/schema/message"><!-- by A. Person -->
<Header><Verb>create</Verb><Noun>EndDeviceControls</Noun><User><UserID>a.person</UserID></User><MessageID>m-1</MessageID></Header>
<Payload><EndDeviceControls xmlns="http://iec.ch/TC57/2011/EndDeviceControls#" note="4711"><EndDeviceControl>
<EndDevices><Names><name>M1001</name></Names></EndDevices><EndDevice><mRID>of the meter</mRID></EndDevice>
<Customer><Names><name>B. Person</name></Names><mRID>4712</mRID></Customer><start>4713</start>
<EndDeviceControlType ref="3.31.0.23"/><scheduledInterval><value>4714</value></scheduledInterval>
</EndDeviceControl></EndDeviceControls></Payload></RequestMessage></Body></Envelope>"""


def test_of_a_message_strangers_see_what_was_asked_of_which_meter_and_nothing_else() -> None:
    struck = without_values(MESSAGE)
    assert struck is not None
    for stays in (
        "<Verb>create</Verb>",
        ">m-1<",
        "<mRID>of the meter</mRID>",
        'ref="3.31.0.23"',
        "<scheduledInterval>",
    ):
        assert stays in struck
    for gone in ("person", "Person", "4711", "4712", "4713", "4714"):
        assert gone not in struck, gone
    assert without_values("<a>") is None


def test_a_redacted_trace_has_no_value_in_words_frames_or_messages() -> None:
    carries = encode(Frame(HdlcAddress(16), HdlcAddress(1), 0x10, bytes.fromhex("e6e700c401c1000600007777")))
    bare = encode(Frame(HdlcAddress(1), HdlcAddress(16), 0x93))
    spans = (
        Span(id=1, kind=Kind.REQUEST, name="create", began_at=NOW),
        Span(id=2, parent=1, kind=Kind.MESSAGE, name="CIM request", began_at=NOW, xml=MESSAGE),
        Span(id=3, parent=1, kind=Kind.VERDICT, name="verdict", began_at=NOW, text="5.2 M1: it reads back 7777"),
        *(
            Span(
                id=number,
                parent=1,
                kind=Kind.FRAME,
                name="frame",
                began_at=NOW,
                frame=FrameRecord(direction=Direction.RESPONSE, octets=octets.hex()),
            )
            for number, octets in enumerate((carries, bare), 4)
        ),
    )
    trace = Trace(
        message_id="m-1",
        verb="create",
        noun="EndDeviceControls",
        outcome=Outcome.FAILED,
        began_at=NOW,
        meters=Meters(asked=1, done=1, ok=0, recorded=1),
        clear_text=False,
        spans=spans,
    )
    shown = redacted(trace)
    text = shown.model_dump_json()
    assert "7777" not in text and "Person" not in text and ">m-1<" in text
    assert [(record.octets, record.left_out) for _, record in shown.frames()] == [("", len(carries)), (bare.hex(), 0)]
    assert [span.text for span in shown.spans if span.kind is Kind.VERDICT] == ["5.2"]
