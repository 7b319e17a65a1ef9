"""The wire: what is accepted from the field, what is refused and how, what we send."""

import base64
import gzip
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from lxml import etree

from ami_cim import envelope, ns, soap, wire
from ami_cim.errors import CimError, InvalidMessage, LocalError, PeerFault
from ami_cim.identity import EndDevice, Identifier, UsagePoint
from ami_cim.limits import UNKNOWN_PEER
from ami_cim.message import EventMessage, Header, Reply, RequestMessage, ResponseMessage
from ami_cim.nouns import tag_of
from ami_cim.payloads.end_device_controls import EndDeviceControl, EndDeviceControls, PanDisplay
from ami_cim.payloads.opaque import OpaquePayload
from ami_cim.payloads.operation_set import OperationSet
from ami_cim.schema import Schemas

Build = Callable[..., bytes]
HEADER = "<msg:Verb>{}</msg:Verb><msg:Noun>{}</msg:Noun><msg:MessageID>m</msg:MessageID>"
NOUN = "EndDeviceControls"
CONTROLS_NS = ns.payload("EndDeviceControls")
CONTROLS_MESSAGE_NS = ns.typed_message("EndDeviceControls")
CONTROLS = (
    f'<EndDeviceControls xmlns="{CONTROLS_NS}"><EndDeviceControl><EndDeviceControlType ref="3.31.0.18"/>'
    "</EndDeviceControl></EndDeviceControls>"
)


def refusal(octets: bytes, schemas: Schemas) -> CimError:
    with pytest.raises(CimError) as caught:
        wire.read_request(octets, schemas)
    return caught.value


@pytest.mark.parametrize("verb", ["create", "Create", "CREATE", " create\n"])
def test_the_verbs_spelling_is_forgiven(create: Build, schemas: Schemas, verb: str) -> None:
    assert wire.read_request(create(header=HEADER.format(verb, NOUN)), schemas).message.header.verb == "create"


@pytest.mark.parametrize("verb", ["cancelled", "make", "", "reply"])
def test_other_verbs_are_not(create: Build, schemas: Schemas, verb: str) -> None:
    assert refusal(create(header=HEADER.format(verb, NOUN)), schemas).code in ("1.8", "2.9")


def test_the_wrapper_has_to_fit_the_header(create: Build, schemas: Schemas) -> None:
    assert refusal(create(header=HEADER.format("delete", NOUN)), schemas).code == "2.9"
    assert refusal(create(header=HEADER.format("create", "CustomerConfig")), schemas).code == "2.5"
    assert wire.read_request(create(header=HEADER.format("cancel", NOUN), wrapper=f"Cancel{NOUN}"), schemas)


def test_verb_and_noun_are_all_that_the_header_needs(create: Build, schemas: Schemas) -> None:
    header = "<msg:Verb>create</msg:Verb><msg:Noun>EndDeviceControls</msg:Noun>"
    message = wire.read_request(create(header=header), schemas).message
    assert message.header == Header(verb="create", noun=NOUN)
    assert refusal(create(header="<msg:Verb>create</msg:Verb>"), schemas).code == "1.8"
    assert refusal(create(header="<msg:Verb>create</msg:Verb><msg:Noun> </msg:Noun>"), schemas).code == "1.5"


@pytest.mark.parametrize("ref", ["", ' ref=""', ' ref="  "'])
def test_a_control_needs_its_code(create: Build, schemas: Schemas, ref: str) -> None:
    assert refusal(create(control=f"<obj:EndDeviceControlType{ref}/>"), schemas).code == "1.7"


def test_devices_and_usage_points_in_every_form(create: Build, schemas: Schemas) -> None:
    control = (
        '<obj:EndDeviceControlType ref=" 3.31.0.23 "/><obj:EndDevices><obj:mRID> id-1\n</obj:mRID></obj:EndDevices>'
        "<obj:EndDevices><obj:Names><obj:name>M1</obj:name></obj:Names><obj:Names><obj:name>M2</obj:name><obj:NameType>"
        "<obj:name>MeterNumber</obj:name><obj:NameTypeAuthority><obj:name>utility</obj:name></obj:NameTypeAuthority>"
        "</obj:NameType></obj:Names></obj:EndDevices><obj:EndDevices/><obj:primaryDeviceTiming><obj:interval><obj:start>"
        "2026-01-01T04:30:00+04:30</obj:start></obj:interval></obj:primaryDeviceTiming>"
        "<obj:UsagePoints><obj:mRID>UP-1</obj:mRID></obj:UsagePoints>"
    )
    payload = wire.read_request(create(control=control), schemas).message.payload
    assert isinstance(payload, EndDeviceControls)
    (found,) = payload.controls
    assert found.control_type == "3.31.0.23"
    assert found.start_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert found.usage_points == (UsagePoint("UP-1"),)
    assert found.unsupported == ()
    by_id, by_name, nobody = found.end_devices
    assert (by_id, nobody) == (EndDevice("id-1"), EndDevice())
    assert [(name.name, name.name_type, name.authority) for name in by_name.names] == [
        ("M1", None, None),
        ("M2", "MeterNumber", "utility"),
    ]


def test_what_is_not_carried_is_told(create: Build, schemas: Schemas) -> None:
    control = (
        "<obj:drProgramLevel>1</obj:drProgramLevel><obj:PanDisplay/>"
        '<obj:EndDeviceControlType ref="3.31.0.23"/><obj:EndDeviceGroups/><obj:EndDeviceGroups/>'
        "<obj:EndDevices><obj:mRID>1</obj:mRID><obj:installCode>x</obj:installCode></obj:EndDevices>"
        "<obj:primaryDeviceTiming><obj:duration>5</obj:duration><obj:interval><obj:end>2026-01-01T00:00:00Z</obj:end>"
        "</obj:interval></obj:primaryDeviceTiming><obj:secondaryDeviceTiming/><obj:UsagePointGroups/>"
    )
    payload = wire.read_request(create(control=control), schemas).message.payload
    assert isinstance(payload, EndDeviceControls)
    (found,) = payload.controls
    assert found.unsupported == (
        "drProgramLevel",
        "secondaryDeviceTiming",
        "EndDevices/installCode",
    )
    assert (found.duration_minutes, found.is_indefinite) == (5, None)
    assert found.display == PanDisplay() and found.end_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert (len(found.end_device_groups), len(found.usage_point_groups)) == (2, 1)


def test_half_a_control_is_not_written(request_message: RequestMessage, schemas: Schemas) -> None:
    half = EndDeviceControls((EndDeviceControl(control_type="3.31.0.23", unsupported=("PanPricing",)),))
    with pytest.raises(LocalError, match="PanPricing"):
        wire.write_request(replace(request_message, payload=half), envelope.REQUEST_MESSAGE, schemas)


def test_generic_requests_of_any_noun_arrive(generic: Build, schemas: Schemas) -> None:
    readings = '<r:CustomerConfig xmlns:r="http://iec.ch/TC57/2011/CustomerConfig#"/>'
    octets = generic(header=HEADER.format("create", "CustomerConfig"), rest=f"<msg:Payload>{readings}</msg:Payload>")
    message = wire.read_request(octets, schemas).message
    assert isinstance(message.payload, OpaquePayload)
    assert message.payload.tag == "{http://iec.ch/TC57/2011/CustomerConfig#}CustomerConfig"
    assert message.header.message_id == "m"


def test_the_message_of_all_kinds_is_a_request_without_reply(generic: Build, schemas: Schemas) -> None:
    header = HEADER.format("create", NOUN)
    received = wire.read_request(
        generic(header=header, rest=f"<msg:Payload>{CONTROLS}</msg:Payload>", wrapper="Message"), schemas
    )
    assert isinstance(received.message.payload, EndDeviceControls)
    reply = "<msg:Reply><msg:Result>OK</msg:Result></msg:Reply>"
    assert refusal(generic(header=header, rest=reply, wrapper="Message"), schemas).code == "1.8"


def test_an_operation_set_is_read(generic: Build, schemas: Schemas) -> None:
    octets = generic(rest="<msg:Payload><msg:OperationSet/></msg:Payload>")
    payload = wire.read_request(octets, schemas).message.payload
    assert payload == OperationSet()
    assert tag_of(payload).endswith("}OperationSet")


@pytest.mark.parametrize(
    ("inside", "code"),
    [
        (CONTROLS + CONTROLS, "3.1"),
        (CONTROLS + "<msg:OperationSet/>", "3.1"),
        (CONTROLS + "<msg:Format>RDF</msg:Format>", "1.8"),
    ],
)
def test_payloads_that_are_not_read(generic: Build, schemas: Schemas, inside: str, code: str) -> None:
    assert refusal(generic(rest=f"<msg:Payload>{inside}</msg:Payload>"), schemas).code == code


def packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


@pytest.mark.parametrize("tail", ["", "<{}:Format>XML</{}:Format>"])
def test_compressed_payloads_are_unpacked(create: Build, generic: Build, schemas: Schemas, tail: str) -> None:
    inside = f"<msg:Compressed>{packed(CONTROLS)}</msg:Compressed>{tail.format('msg', 'msg')}"
    message = wire.read_request(generic(rest=f"<msg:Payload>{inside}</msg:Payload>"), schemas).message
    assert message.payload == EndDeviceControls((EndDeviceControl(control_type="3.31.0.18"),))
    inside = f"<typ:Compressed>{packed(CONTROLS)}</typ:Compressed>{tail.format('typ', 'typ')}"
    assert wire.read_request(create(payload=inside), schemas).message.payload == message.payload


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AAAA",
        "not base64!",
        "ä",
        packed(CONTROLS)[:40],
        packed("<!DOCTYPE a><a/>"),
        packed("<a>" * 100),
        packed(" " * (UNKNOWN_PEER.unpacked + 1)),
        packed(CONTROLS.replace("EndDeviceControlType", "Bogus")),
    ],
)
def test_compressed_nonsense_is_refused(generic: Build, schemas: Schemas, text: str) -> None:
    octets = generic(rest=f"<msg:Payload><msg:Compressed>{text}</msg:Compressed></msg:Payload>")
    assert refusal(octets, schemas).code in ("1.8", "3.1")


@pytest.mark.parametrize(
    "wrapper",
    ["CreatedEndDeviceControls", "EndDeviceControlsResponseMessage", "EndDeviceControlsFaultMessage", "Bogus"],
)
def test_other_messages_are_no_requests(create: Build, schemas: Schemas, wrapper: str) -> None:
    error = refusal(create(wrapper=wrapper), schemas)
    assert error.code in ("1.8", "2.9")


def test_an_event_at_a_request_address_is_refused_by_its_name(create: Build, schemas: Schemas) -> None:
    error = refusal(create(wrapper="CreatedEndDeviceControls", header=HEADER.format("created", NOUN)), schemas)
    assert error.reason.startswith("CreatedEndDeviceControls is not")


# what we send


def test_replies_come_in_the_requests_kind_of_wrapper(response_message: ResponseMessage, schemas: Schemas) -> None:
    typed = wire.write_response(response_message, envelope.typed_wrapper("create", NOUN), schemas)
    assert soap.unwrap(typed).tag == f"{{{CONTROLS_MESSAGE_NS}}}EndDeviceControlsResponseMessage"
    generic = wire.write_response(response_message, envelope.REQUEST_MESSAGE, schemas)
    assert soap.unwrap(generic).tag == f"{{{ns.MESSAGE}}}ResponseMessage"


@pytest.mark.parametrize("field", ["timestamp", "message_id", "correlation_id"])
def test_the_three_header_fields_are_always_sent(
    request_message: RequestMessage, response_message: ResponseMessage, schemas: Schemas, field: str
) -> None:
    broken = replace(request_message.header, **{field: None})
    for write in (
        lambda: wire.write_request(replace(request_message, header=broken), envelope.REQUEST_MESSAGE, schemas),
        lambda: wire.write_response(replace(response_message, header=broken), envelope.REQUEST_MESSAGE, schemas),
        lambda: wire.write_event(EventMessage(header=broken), envelope.EVENT_MESSAGE, schemas),
    ):
        with pytest.raises(LocalError, match="Timestamp, MessageID and CorrelationID"):
            write()


@pytest.mark.parametrize(
    "change",
    [{"verb": "Create"}, {"verb": "cancelled"}, {"noun": ""}, {"source": "\x00"}, {"timestamp": datetime(2026, 1, 1)}],
)
def test_what_we_may_not_send(request_message: RequestMessage, schemas: Schemas, change: dict[str, object]) -> None:
    header = replace(request_message.header, **change)  # type: ignore[arg-type]
    with pytest.raises(LocalError):
        wire.write_request(replace(request_message, header=header), envelope.REQUEST_MESSAGE, schemas)


def test_wrappers_that_do_not_fit(request_message: RequestMessage, schemas: Schemas) -> None:
    with pytest.raises(LocalError):
        wire.write_request(request_message, envelope.typed_wrapper("delete", NOUN), schemas)
    with pytest.raises(LocalError):
        envelope.typed_wrapper("get", NOUN)
    with pytest.raises(LocalError):
        envelope.typed_wrapper("create", "CustomerConfig")
    with pytest.raises(LocalError):
        wire.write_event(EventMessage(header=request_message.header), envelope.typed_wrapper("changed", NOUN), schemas)
    both = replace(request_message, payload_identifiers=(Identifier(value="1"),))
    with pytest.raises(LocalError):
        wire.write_request(both, envelope.REQUEST_MESSAGE, schemas)


def test_an_opaque_payload_has_no_place_in_a_typed_message(request_message: RequestMessage, schemas: Schemas) -> None:
    message = replace(request_message, payload=OpaquePayload("{urn:x}y", b'<y xmlns="urn:x"/>'))
    with pytest.raises(CimError):
        wire.write_request(message, envelope.typed_wrapper("create", NOUN), schemas)
    lying = replace(request_message, payload=OpaquePayload("{urn:x}z", b'<y xmlns="urn:x"/>'))
    with pytest.raises(LocalError):
        wire.write_request(lying, envelope.REQUEST_MESSAGE, schemas)


def test_reasons_may_hold_anything(response_message: ResponseMessage, schemas: Schemas) -> None:
    error = replace(response_message.reply.errors[0], reason="link \x02 lost & <gone>\ud800")
    octets = wire.write_response(
        replace(response_message, reply=Reply(result="FAILED", errors=(error,))), envelope.REQUEST_MESSAGE, schemas
    )
    assert wire.read_response(octets, schemas).reply.errors[0].reason == "link \ufffd lost & <gone>\ufffd"


# faults


def test_a_fault_is_of_the_type_that_was_asked(create: Build, generic: Build, schemas: Schemas) -> None:
    typed = soap.parse_fault(soap.unwrap(wire.write_fault(refusal(create(header=""), schemas))))
    assert typed.detail is not None
    assert typed.detail.tag == f"{{{CONTROLS_MESSAGE_NS}}}EndDeviceControlsFaultMessage"
    for octets in (generic(header=""), b"<not soap", b""):
        plain = soap.parse_fault(soap.unwrap(wire.write_fault(refusal(octets, schemas))))
        assert plain.detail is not None
        assert plain.detail.tag == f"{{{ns.MESSAGE}}}FaultMessage"
        schemas.validate(plain.detail)
        reply = envelope.parse_fault(plain.detail).reply
        assert (reply.result, reply.errors[0].code, reply.errors[0].level) == ("FAILED", "1.8", "FATAL")


def test_a_fault_comes_back_as_an_error(create: Build, schemas: Schemas) -> None:
    error = refusal(create(control="<obj:EndDeviceControlType/>"), schemas)
    with pytest.raises(PeerFault) as caught:
        wire.read_response(wire.write_fault(error), schemas)
    assert (caught.value.code, caught.value.reason, caught.value.fault_code) == ("1.7", error.reason, "Client")
    assert str(caught.value) == str(error)


@pytest.mark.parametrize("detail", [None, etree.Element("x"), etree.Element(f"{{{ns.MESSAGE}}}FaultMessage")])
def test_faults_of_others_come_back_as_well(schemas: Schemas, detail: etree._Element | None) -> None:
    with pytest.raises(PeerFault, match="out of order"):
        wire.read_response(soap.fault("Server", "out of order", detail), schemas)
    with pytest.raises(PeerFault, match="fault"):
        wire.read_response(soap.fault("Server", "", detail), schemas)


def test_a_local_error_is_the_servers_fault() -> None:
    fault = soap.parse_fault(soap.unwrap(wire.write_fault(LocalError("we cannot"))))
    assert (fault.code, fault.text) == ("Server", "we cannot")


def test_deprecated_objects_in_errors_are_read(generic: Build, schemas: Schemas) -> None:
    def error(inside: str) -> str:
        return f"<msg:Error><msg:code>2.4</msg:code>{inside}<msg:object>{{}}</msg:object></msg:Error>"

    rest = (
        "<msg:Reply><msg:Result>FAILED</msg:Result>"
        + error("").format("<msg:mRID>m</msg:mRID><msg:objectType>Meter</msg:objectType>")
        + error("").format("<msg:Name><msg:name>n</msg:name></msg:Name>")
        + error("").format("")
        + error('<msg:ID kind="uuid">new</msg:ID>').format("<msg:mRID>old</msg:mRID>")
        + "</msg:Reply>"
    )
    octets = generic(header=HEADER.format("reply", NOUN), rest=rest, wrapper="ResponseMessage")
    assert [error.identifier for error in wire.read_response(octets, schemas).reply.errors] == [
        Identifier(value="m", kind="uuid", object_type="Meter"),
        Identifier(value="n", kind="name"),
        None,
        Identifier(value="new", kind="uuid"),
    ]


def test_ok_with_and_without_a_code(generic: Build, schemas: Schemas) -> None:
    for errors in ("", "<msg:Error><msg:code>0.0</msg:code></msg:Error>"):
        rest = f"<msg:Reply><msg:Result>OK</msg:Result>{errors}</msg:Reply>"
        octets = generic(header=HEADER.format("reply", NOUN), rest=rest, wrapper="ResponseMessage")
        assert wire.read_response(octets, schemas).reply.result == "OK"


def test_a_request_is_no_response(create: Build, schemas: Schemas) -> None:
    with pytest.raises(InvalidMessage, match="not a ResponseMessage"):
        wire.read_response(create(), schemas)


def test_errors_hold_no_namespace_noise(create: Build, schemas: Schemas) -> None:
    assert "{" not in refusal(create(header="<msg:Nun/>"), schemas).reason


# the order inside the Pan elements


PAN = {
    "PanDisplay": ["command", "duration", "startDateTime", "confirmationRequired", "textMessage"],
    "PanDemandResponse": ["command", "durationIndefinite", "startDateTime", "avgLoadAdjustment", "dutyCycle"],
    "PanPricing": ["command", "duration", "startDateTime", "providerID", "PanPricingDetails", "PanPricingDetails"],
}
VALUES = {
    "durationIndefinite": "true",
    "startDateTime": "2026-01-01T00:00:00Z",
    "confirmationRequired": "false",
    "PanPricingDetails": "",
}


def pan(name: str, children: list[str]) -> str:
    inside = "".join(f"<obj:{child}>{VALUES.get(child, '1')}</obj:{child}>" for child in children)
    return f'<obj:{name}>{inside}</obj:{name}><obj:EndDeviceControlType ref="3.31.0.23"/>'


@pytest.mark.parametrize("name", PAN)
def test_both_orders_of_a_pan_element_are_read(create: Build, schemas: Schemas, name: str) -> None:
    older = PAN[name]
    alphabetical = sorted(older, key=lambda child: (child == "PanPricingDetails", child))
    assert older != alphabetical
    for order in (older, alphabetical):
        payload = wire.read_request(create(control=pan(name, order)), schemas).message.payload
        assert isinstance(payload, EndDeviceControls)
        assert {one.partition("/")[0] for one in payload.controls[0].unsupported} == {name}


@pytest.mark.parametrize(
    ("name", "children"),
    [
        ("PanDisplay", ["startDateTime", "command", "textMessage"]),
        ("PanDisplay", ["command", "duration", "confirmationRequired", "startDateTime", "priority"]),
        ("PanDisplay", ["command", "startDateTime", "bogus", "textMessage"]),
        ("PanPricing", ["command", "startDateTime", "PanPricingDetails", "providerID"]),
    ],
)
def test_a_pan_element_in_neither_order_is_refused(
    create: Build, schemas: Schemas, name: str, children: list[str]
) -> None:
    assert refusal(create(control=pan(name, children)), schemas).code == "1.8"


@pytest.mark.parametrize("typed", [True, False])
def test_payloads_side_by_side_are_told_in_words(create: Build, generic: Build, schemas: Schemas, typed: bool) -> None:
    octets = create(payload=CONTROLS * 2) if typed else generic(rest=f"<msg:Payload>{CONTROLS * 2}</msg:Payload>")
    error = refusal(octets, schemas)
    assert error.code == "3.1"
    assert error.reason == "The Payload holds 2 EndDeviceControls side by side, and one payload a message is read here"
    assert error.wrapper is not None
