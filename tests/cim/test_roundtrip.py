"""Every message that we can hold is valid when written and the same when read back."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sizes import examples

from ami_cim import envelope, soap, wire
from ami_cim.codes import Level
from ami_cim.identity import EndDevice, Identifier, Name, UsagePoint
from ami_cim.message import (
    EventMessage,
    FaultMessage,
    Header,
    Property,
    ReplayDetection,
    Reply,
    ReplyError,
    RequestMessage,
    ResponseMessage,
    User,
)
from ami_cim.payloads.end_device_controls import EndDeviceControl, EndDeviceControls
from ami_cim.payloads.opaque import OpaquePayload
from ami_cim.schema import Schemas

CHARACTERS = st.characters(exclude_categories=("Cs", "Cc", "Cn"), include_characters="\t\n")
TEXT = st.text(CHARACTERS, min_size=1, max_size=12).map(str.strip).filter(bool)
OPTIONAL = st.none() | TEXT
MOMENT = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))
NAME = st.builds(Name, name=TEXT, name_type=TEXT, authority=OPTIONAL) | st.builds(Name, name=TEXT)
NAMES = st.lists(NAME, max_size=2).map(tuple)
IDENTIFIER = st.builds(
    Identifier,
    value=TEXT,
    kind=st.sampled_from([None, "name", "uuid", "transaction", "other"]),
    id_type=OPTIONAL,
    id_authority=OPTIONAL,
    object_type=OPTIONAL,
)
IDENTIFIERS = st.lists(IDENTIFIER, max_size=2).map(tuple)
PROPERTY = st.builds(Property, name=TEXT, value=OPTIONAL)
PROPERTIES = st.lists(PROPERTY, max_size=2).map(tuple)


def headers(verbs: st.SearchStrategy[str]) -> st.SearchStrategy[Header]:
    return st.builds(
        Header,
        verb=verbs,
        noun=st.just("EndDeviceControls"),
        revision=OPTIONAL,
        context=OPTIONAL,
        timestamp=MOMENT,
        source=OPTIONAL,
        async_reply_flag=st.none() | st.booleans(),
        reply_address=OPTIONAL,
        ack_required=st.none() | st.booleans(),
        message_id=TEXT,
        correlation_id=TEXT,
        comment=OPTIONAL,
        properties=PROPERTIES,
        replay_detection=st.none() | st.builds(ReplayDetection, nonce=TEXT, created_at=MOMENT),
        user=st.none() | st.builds(User, user_id=TEXT, organization=OPTIONAL),
    )


CONTROL = st.builds(
    EndDeviceControl,
    mrid=OPTIONAL,
    control_type=TEXT.map(lambda text: " ".join(text.split())),
    reason=OPTIONAL,
    issuer_id=OPTIONAL,
    issuer_tracking_id=OPTIONAL,
    end_devices=st.lists(st.builds(EndDevice, mrid=OPTIONAL, names=NAMES), max_size=3).map(tuple),
    usage_points=st.lists(st.builds(UsagePoint, mrid=OPTIONAL, names=NAMES), max_size=2).map(tuple),
    start_at=st.none() | MOMENT,
)
CONTROLS = st.builds(EndDeviceControls, st.lists(CONTROL, max_size=3).map(tuple))
ERROR = st.builds(
    ReplyError,
    code=TEXT,
    level=st.none() | st.sampled_from(Level),
    reason=OPTIONAL,
    details=OPTIONAL,
    identifier=st.none() | IDENTIFIER,
)
REPLY = st.builds(
    Reply,
    result=st.sampled_from(["OK", "PARTIAL", "FAILED"]),
    errors=st.lists(ERROR, max_size=3).map(tuple),
    identifiers=IDENTIFIERS,
)
REQUEST_HEADER = headers(st.sampled_from([str(verb) for verb in envelope.REQUEST_VERBS]))
REQUEST = st.builds(
    RequestMessage,
    header=REQUEST_HEADER,
    request_identifiers=IDENTIFIERS,
    options=PROPERTIES,
    start_at=st.none() | MOMENT,
    end_at=st.none() | MOMENT,
    payload=st.none() | CONTROLS,
)
RESPONSE = st.builds(ResponseMessage, header=headers(st.just("reply")), reply=REPLY, payload=st.none() | CONTROLS)
EVENT = st.builds(
    EventMessage,
    header=headers(st.sampled_from([str(verb) for verb in envelope.EVENT_VERBS])),
    payload=st.none() | CONTROLS,
)

SCHEMAS = Schemas()
FEW = settings(max_examples=examples(60), deadline=None)


@FEW
@given(REQUEST)
def test_typed_requests(message: RequestMessage) -> None:
    wrapper = envelope.typed_wrapper(message.header.verb, message.header.noun)
    received = wire.read_request(wire.write_request(message, wrapper, SCHEMAS), SCHEMAS)
    assert (received.message, received.wrapper) == (message, wrapper)


@FEW
@given(REQUEST)
def test_generic_requests(message: RequestMessage) -> None:
    octets = wire.write_request(message, envelope.REQUEST_MESSAGE, SCHEMAS)
    assert wire.read_request(octets, SCHEMAS) == envelope.Received(message, envelope.REQUEST_MESSAGE)


@FEW
@given(REQUEST_HEADER, st.lists(IDENTIFIER, min_size=1, max_size=3))
def test_transactions_named_in_the_payload(header: Header, identifiers: list[Identifier]) -> None:
    message = RequestMessage(header=header, payload_identifiers=tuple(identifiers))
    octets = wire.write_request(message, envelope.REQUEST_MESSAGE, SCHEMAS)
    assert wire.read_request(octets, SCHEMAS).message == message


@FEW
@given(RESPONSE, st.booleans())
def test_responses(message: ResponseMessage, typed: bool) -> None:
    wrapper = envelope.typed_wrapper("create", "EndDeviceControls") if typed else envelope.REQUEST_MESSAGE
    octets = wire.write_response(message, wrapper, SCHEMAS)
    assert wire.read_response(octets, SCHEMAS) == message
    delivered = wire.read_delivery(octets, SCHEMAS)
    assert delivered.message == message
    assert delivered.wrapper.localname == ("EndDeviceControlsResponseMessage" if typed else "ResponseMessage")


@FEW
@given(EVENT, st.booleans())
def test_events(message: EventMessage, typed: bool) -> None:
    wrapper = envelope.typed_wrapper(message.header.verb, "EndDeviceControls") if typed else envelope.EVENT_MESSAGE
    octets = wire.write_event(message, wrapper, SCHEMAS)
    assert wire.read_delivery(octets, SCHEMAS) == envelope.Delivered(message, wrapper)


@FEW
@given(REPLY, st.booleans())
def test_faults(reply: Reply, typed: bool) -> None:
    wrapper = envelope.typed_wrapper("create", "EndDeviceControls") if typed else None
    detail = envelope.format_fault(FaultMessage(reply=reply), wrapper)
    SCHEMAS.validate(detail)
    fault = soap.parse_fault(soap.unwrap(soap.fault("Client", "no", detail)))
    assert fault.detail is not None
    SCHEMAS.validate(fault.detail)
    assert (fault.code, fault.text) == ("Client", "no")
    assert envelope.parse_fault(fault.detail).reply == reply


@pytest.mark.parametrize("noun", ["CustomerConfig", "OperationSet"])
def test_opaque_payloads_pass_through_the_generic_message(header: Header, noun: str) -> None:
    tag = f"{{http://iec.ch/TC57/2011/{noun}#}}{noun}"
    octets = f'<{noun} xmlns="http://iec.ch/TC57/2011/{noun}#"><x/></{noun}>'.encode()
    message = RequestMessage(header=header, payload=OpaquePayload(tag, octets))
    payload = wire.read_request(wire.write_request(message, envelope.REQUEST_MESSAGE, SCHEMAS), SCHEMAS).message.payload
    assert isinstance(payload, OpaquePayload)
    assert payload.tag == tag
    assert b"<x/>" in payload.octets
