"""EndDeviceEvents: the same after a round trip for every verb, typed or generic, and nothing of it lost without a word."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sizes import examples

from ami_cim import envelope, wire
from ami_cim.errors import CimError
from ami_cim.identity import EndDevice, Identified, Name, UsagePoint
from ami_cim.message import EventMessage, Header, RequestMessage
from ami_cim.payloads.end_device_events import (
    AskedPeriod,
    EndDeviceEvent,
    EndDeviceEvents,
    EventDetail,
    GetEndDeviceEvents,
)
from ami_cim.periods import Period
from ami_cim.schema import Schemas, schema_directory

NOUN = "EndDeviceEvents"
NOW = datetime(2026, 3, 29, tzinfo=UTC)
SCHEMAS = Schemas()
SAMPLE = schema_directory() / "samples" / "CreatedEndDeviceEvents.xml"

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), min_size=1, max_size=8).map(str.strip).filter(bool)
OPTIONAL = st.none() | TEXT
MOMENT = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))
PERIOD = st.builds(Period, start=st.none() | MOMENT, end=st.none() | MOMENT)
NAMES = st.lists(st.builds(Name, name=TEXT), max_size=2).map(tuple)


def few(one: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(one, max_size=2).map(tuple)


EVENT = st.builds(
    EndDeviceEvent,
    mrid=OPTIONAL,
    event_type=TEXT,
    created_at=MOMENT,
    issuer_id=OPTIONAL,
    issuer_tracking_id=OPTIONAL,
    reason=OPTIONAL,
    severity=OPTIONAL,
    asset=st.none() | st.builds(EndDevice, mrid=OPTIONAL, names=NAMES),
    details=few(st.builds(EventDetail, name=TEXT, value=OPTIONAL)),
    usage_point=st.none() | st.builds(UsagePoint, mrid=OPTIONAL, names=NAMES),
)
QUERY = st.builds(
    GetEndDeviceEvents,
    meters=few(st.builds(EndDevice, mrid=OPTIONAL, names=NAMES)),
    usage_points=few(st.builds(UsagePoint, mrid=OPTIONAL, names=NAMES)),
    end_device_groups=few(st.builds(Identified, mrid=OPTIONAL, names=NAMES)),
    events=few(st.builds(Identified, mrid=OPTIONAL, names=NAMES)),
    event_types=few(st.builds(Identified, mrid=OPTIONAL, names=NAMES)),
    schedules=few(st.builds(AskedPeriod, PERIOD)),
)
FEW = settings(max_examples=examples(40), deadline=None)


def header(verb: str) -> Header:
    return Header(verb=verb, noun=NOUN, timestamp=NOW, message_id="m-1", correlation_id="c-1")


@FEW
@given(few(EVENT), st.sampled_from(envelope.EVENT_VERBS), st.booleans())
def test_events(events: tuple[EndDeviceEvent, ...], verb: str, typed: bool) -> None:
    message = EventMessage(header=header(verb), payload=EndDeviceEvents(events))
    wrapper = envelope.typed_wrapper(verb, NOUN) if typed else envelope.EVENT_MESSAGE
    octets = wire.write_event(message, wrapper, SCHEMAS)
    assert wire.read_delivery(octets, SCHEMAS).message == message


@FEW
@given(QUERY, st.booleans())
def test_a_query(query: GetEndDeviceEvents, typed: bool) -> None:
    message = RequestMessage(header=header("get"), query=query)
    wrapper = envelope.typed_wrapper("get", NOUN) if typed else envelope.REQUEST_MESSAGE
    assert wire.read_request(wire.write_request(message, wrapper, SCHEMAS), SCHEMAS).message == message


@pytest.mark.parametrize(
    ("there", "instead", "said"),
    [
        ("<createdDateTime>2026-01-15T11:58:20Z</createdDateTime>", "", "createdDateTime"),
        ('<EndDeviceEventType ref="3.31.0.68"/>', "", "EndDeviceEventType"),
        ("<reason>disconnected</reason>", "<severity>9</severity><reason>off</reason>", "reason"),
    ],
)
def test_what_the_schema_does_not_allow_is_refused(there: str, instead: str, said: str) -> None:
    octets = SAMPLE.read_text().replace(there, instead, 1).encode()
    with pytest.raises(CimError, match=said):
        wire.read_delivery(octets, SCHEMAS)


def test_what_is_not_carried_is_named() -> None:
    status = "<status><value>open</value></status></EndDeviceEvent>"
    kind = (
        "<EndDeviceEventType><mRID>3.31.0.68</mRID><Names><name>x</name></Names></EndDeviceEventType></EndDeviceEvents>"
    )
    text = SAMPLE.read_text().replace("<UsagePoint>", "<!--", 1).replace("</UsagePoint>", "-->", 1)
    text = text.replace("</EndDeviceEvent>", status, 1).replace("</EndDeviceEvents>", kind, 1)
    payload = wire.read_delivery(text.encode(), SCHEMAS).message.payload
    assert isinstance(payload, EndDeviceEvents)
    assert payload.unsupported == ("EndDeviceEventType",)
    assert [one.unsupported for one in payload.events] == [("status",), ()]
