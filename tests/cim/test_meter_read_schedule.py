"""MeterReadSchedule: the same after a round trip for every verb, valid when written, and its durations exact."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sizes import examples

from ami_cim import envelope, wire
from ami_cim.errors import InvalidMessage, LocalError
from ami_cim.identity import EndDevice, Identified, Identifier, Name, UsagePoint
from ami_cim.message import EventMessage, Header, Property, RequestMessage
from ami_cim.paging import Page, page_of
from ami_cim.payloads.meter_read_schedule import GetMeterReadSchedule, MeterReadSchedule, TimePoint, TimeSchedule
from ami_cim.periods import Period
from ami_cim.schema import Schemas

NOUN = "MeterReadSchedule"
NOW = datetime(2026, 3, 29, tzinfo=UTC)
HEADER = Header(verb="create", noun=NOUN, timestamp=NOW, message_id="m-1", correlation_id="c-1")
SCHEMAS = Schemas()

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), min_size=1, max_size=8).map(str.strip).filter(bool)
OPTIONAL = st.none() | TEXT
MOMENT = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))
PERIOD = st.builds(Period, start=st.none() | MOMENT, end=st.none() | MOMENT)
SECONDS = st.none() | st.timedeltas(min_value=-timedelta(days=3_000), max_value=timedelta(days=3_000))
NAMES = st.lists(st.builds(Name, name=TEXT), max_size=2).map(tuple)


def few(one: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(one, max_size=2).map(tuple)


IDENTIFIED = few(st.builds(Identified, mrid=OPTIONAL, names=NAMES))
SCHEDULE = st.builds(
    TimeSchedule,
    interval=PERIOD,
    recurrence_pattern=OPTIONAL,
    recurrence_period=SECONDS,
    offset=SECONDS,
    disabled=st.none() | st.booleans(),
    time_points=few(
        st.builds(
            TimePoint,
            at=st.none() | MOMENT,
            after=SECONDS,
            sequence_number=st.none() | st.integers(-(10**17), 10**17),
            window=st.none() | PERIOD,
        )
    ),
)
CONTENT = {
    "end_device_groups": IDENTIFIED,
    "usage_points": few(st.builds(UsagePoint, mrid=OPTIONAL, names=NAMES)),
    "usage_point_groups": IDENTIFIED,
    "reading_types": IDENTIFIED,
    "schedules": few(SCHEDULE),
}
PAYLOAD = st.builds(MeterReadSchedule, end_devices=few(st.builds(EndDevice, mrid=TEXT, names=NAMES)), **CONTENT)
QUERY = st.builds(GetMeterReadSchedule, end_devices=few(st.builds(EndDevice, mrid=OPTIONAL, names=NAMES)), **CONTENT)
FEW = settings(max_examples=examples(60), deadline=None)


def written(message: RequestMessage, *, typed: bool = True) -> bytes:
    wrapper = envelope.typed_wrapper(message.header.verb, NOUN) if typed else envelope.REQUEST_MESSAGE
    return wire.write_request(message, wrapper, SCHEMAS)


def read(octets: bytes) -> RequestMessage:
    return wire.read_request(octets, SCHEMAS).message


@FEW
@given(PAYLOAD, st.sampled_from(envelope.REQUEST_VERBS), st.booleans())
def test_requests(payload: MeterReadSchedule, verb: str, typed: bool) -> None:
    transaction = (Identifier(value="t-1", kind="transaction"),)
    message = RequestMessage(header=replace(HEADER, verb=str(verb)), request_identifiers=transaction, payload=payload)
    assert read(written(message, typed=typed)) == message


@FEW
@given(PAYLOAD, st.sampled_from(envelope.EVENT_VERBS))
def test_events(payload: MeterReadSchedule, verb: str) -> None:
    message = EventMessage(header=replace(HEADER, verb=str(verb)), payload=payload)
    octets = wire.write_event(message, envelope.typed_wrapper(verb, NOUN), SCHEMAS)
    assert wire.read_delivery(octets, SCHEMAS).message == message


@FEW
@given(QUERY, st.booleans())
def test_queries(query: GetMeterReadSchedule, typed: bool) -> None:
    message = RequestMessage(header=replace(HEADER, verb="get"), query=query)
    assert read(written(message, typed=typed)) == message


def of(schedule: TimeSchedule) -> bytes:
    payload = MeterReadSchedule(end_devices=(EndDevice("id-1"),), schedules=(schedule,))
    return written(RequestMessage(header=HEADER, payload=payload))


def schedule_of(octets: bytes) -> TimeSchedule:
    payload = read(octets).payload
    assert isinstance(payload, MeterReadSchedule)
    return payload.schedules[0]


@pytest.mark.parametrize(
    ("text", "seconds"), [("900", 900), ("9.0E2", 900), ("86400.0", 86_400), ("0.000001", 0.000001), ("-60", -60)]
)
def test_seconds_in_any_spelling(text: str, seconds: float) -> None:
    octets = of(TimeSchedule(interval=Period(start=NOW), recurrence_period=timedelta(seconds=7)))
    assert octets.count(b">7<") == 1
    found = schedule_of(octets.replace(b">7<", f">{text}<".encode()))
    assert found.recurrence_period == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["INF", "NaN", "1e30", "4e9"])
def test_seconds_that_are_no_duration(text: str) -> None:
    octets = of(TimeSchedule(interval=Period(start=NOW), recurrence_period=timedelta(seconds=7)))
    with pytest.raises(InvalidMessage) as caught:
        read(octets.replace(b">7<", f">{text}<".encode()))
    assert caught.value.code == "1.8"


def test_a_number_that_no_counter_has_is_refused() -> None:
    octets = of(TimeSchedule(interval=Period(start=NOW), time_points=(TimePoint(sequence_number=7),)))
    with pytest.raises(InvalidMessage, match="whole number"):
        read(octets.replace(b">7<", b">" + b"7" * 19 + b"<"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<mRID>id-1</mRID>", b"<Names><name>M1</name></Names>"),
        (b"<scheduleInterval><start>2026-03-29T00:00:00Z</start></scheduleInterval>", b""),
        (b"<TimeSchedule>", b"<TimeSchedule><Disabled>true</Disabled>"),
    ],
)
def test_what_the_schema_demands(old: bytes, new: bytes) -> None:
    octets = of(TimeSchedule(interval=Period(start=NOW)))
    assert old in octets
    with pytest.raises(InvalidMessage) as caught:
        read(octets.replace(old, new))
    assert caught.value.code == "1.8"


def test_what_is_not_carried_is_reported() -> None:
    agreement = b"<CustomerAgreement><mRID>a</mRID></CustomerAgreement><EndDevice>"
    payload = read(of(TimeSchedule(interval=Period())).replace(b"<EndDevice>", agreement)).payload
    assert isinstance(payload, MeterReadSchedule) and payload.unsupported == ("CustomerAgreement",)
    with pytest.raises(LocalError, match="not carried"):
        written(RequestMessage(header=HEADER, payload=payload))


@pytest.mark.parametrize(
    ("options", "page"),
    [
        ((), Page()),
        ((Property(name="limit", value="50"), Property(name="Offset", value="100")), Page(offset=100, limit=50)),
        ((Property(name="IntervalType", value="x"), Property(name="offset", value="0")), Page()),
    ],
)
def test_pages(options: tuple[Property, ...], page: Page) -> None:
    message = RequestMessage(header=replace(HEADER, verb="get"), options=options, query=GetMeterReadSchedule())
    assert page_of(read(written(message))) == page


@pytest.mark.parametrize("value", [None, "-1", "x", "0", "1" * 10, "\u0661"])
def test_limits_that_are_no_number(value: str | None) -> None:
    with pytest.raises(InvalidMessage) as caught:
        page_of(RequestMessage(header=HEADER, options=(Property(name="limit", value=value),)))
    assert caught.value.code == "1.6"


def test_one_page_is_asked_for_once() -> None:
    twice = (Property(name="offset", value="1"), Property(name="OFFSET", value="2"))
    with pytest.raises(InvalidMessage):
        page_of(RequestMessage(header=HEADER, options=twice))
