"""MeterReadings and its query: the same after a round trip, valid when written, and what is not carried is reported."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from interval_values import interval_columns
from sizes import examples

from ami_cim import envelope, soap, wire
from ami_cim.asked_readings import asked_readings
from ami_cim.decimals import LONGEST, decimal_of, decimal_text
from ami_cim.errors import InvalidMessage, LocalError
from ami_cim.identity import EndDevice, Identified, Identifier, Name, UsagePoint
from ami_cim.message import EventMessage, Header, Reply, RequestMessage, ResponseMessage
from ami_cim.payloads.get_meter_readings import AskedReading, AskedSchedule, GetMeterReadings
from ami_cim.payloads.interval_blocks import IntervalBlock
from ami_cim.payloads.interval_columns import IntervalColumns, quality_columns
from ami_cim.payloads.meter_readings import REASONS, MeterReading, MeterReadings, Reading
from ami_cim.payloads.reading_types import ReadingQualityTypeObject, ReadingTypeObject
from ami_cim.payloads.rows_apart import put_back, take_out
from ami_cim.periods import Period
from ami_cim.quality import Quality
from ami_cim.schema import Schemas
from ami_hes.jobs import answer_writing

NOUN = "MeterReadings"
ENERGY, PROFILE = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0", "0.0.2.4.1.1.12.0.0.0.0.0.0.0.0.3.72.0"
NOW = datetime(2026, 3, 29, tzinfo=UTC)
HEADER = Header(verb="get", noun=NOUN, timestamp=NOW, message_id="m-1", correlation_id="c-1")

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), min_size=1, max_size=8).map(str.strip).filter(bool)
OPTIONAL = st.none() | TEXT
CODE = st.sampled_from([ENERGY, PROFILE])
MOMENT = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))
DECIMAL = st.decimals(allow_nan=False, allow_infinity=False, places=3).map(decimal_text)
NAMES = st.lists(st.builds(Name, name=TEXT, name_type=TEXT, authority=OPTIONAL), max_size=2).map(tuple)
SOME_NAMES = st.lists(st.builds(Name, name=TEXT), min_size=1, max_size=2).map(tuple)
PERIOD = st.builds(Period, start=st.none() | MOMENT, end=st.none() | MOMENT)
QUALITY = st.builds(
    Quality,
    code=st.sampled_from(["1.0.0", "2.5.259"]),
    comment=OPTIONAL,
    source=OPTIONAL,
    assessed_at=st.none() | MOMENT,
)
DEVICE = st.builds(EndDevice, mrid=OPTIONAL, names=NAMES)
POINT = st.builds(UsagePoint, mrid=OPTIONAL, names=NAMES)
IDENTIFIED = st.builds(Identified, mrid=OPTIONAL, names=NAMES)
NUMBER = st.none() | st.integers(-9, 9).map(str)
NUMBERS = ("consumption_tier", "cpp", "tou", "argument_denominator", "argument_numerator")
NUMBERS += ("interharmonic_denominator", "interharmonic_numerator")


def few(one: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(one, max_size=2).map(tuple)


READING = st.builds(
    Reading,
    reading_type=CODE,
    value=st.none() | DECIMAL,
    taken_at=st.none() | MOMENT,
    period=st.none() | PERIOD,
    qualities=few(QUALITY),
    reason=st.none() | st.sampled_from(REASONS),
    source=OPTIONAL,
    reported_at=st.none() | MOMENT,
)
METER_READING = st.builds(
    MeterReading,
    meter=st.none() | DEVICE,
    usage_point=st.none() | POINT,
    readings=few(READING),
    blocks=few(st.builds(IntervalBlock, reading_type=CODE, columns=interval_columns(TEXT, MOMENT, QUALITY))),
    values_interval=st.none() | PERIOD,
    coincident_trigger=st.none() | st.booleans(),
)
READING_TYPE = st.builds(
    ReadingTypeObject,
    **{one.name: NUMBER if one.name in NUMBERS else OPTIONAL for one in fields(ReadingTypeObject)}
    | {"names": SOME_NAMES},
)
QUALITY_TYPE = st.builds(
    ReadingQualityTypeObject,
    **{one.name: OPTIONAL for one in fields(ReadingQualityTypeObject)} | {"names": SOME_NAMES},
)
READINGS = st.builds(MeterReadings, few(METER_READING), few(QUALITY_TYPE), few(READING_TYPE))
QUERY = st.builds(
    GetMeterReadings,
    end_devices=few(DEVICE),
    end_device_groups=few(IDENTIFIED),
    usage_points=few(POINT),
    usage_point_groups=few(IDENTIFIED),
    reading_types=few(IDENTIFIED),
    readings=few(
        st.builds(
            AskedReading,
            reason=st.none() | st.sampled_from(REASONS),
            source=OPTIONAL,
            period=st.none() | PERIOD,
        )
    ),
    schedules=few(st.builds(AskedSchedule, PERIOD)),
    qualities=few(st.builds(Quality, code=st.just("1.0.0"))),
)
SCHEMAS = Schemas()
FEW = settings(max_examples=examples(60), deadline=None)


def written(payload: MeterReadings, *, verb: str = "created") -> bytes:
    message = EventMessage(header=replace(HEADER, verb=verb), payload=payload)
    return wire.write_event(message, envelope.typed_wrapper(verb, NOUN), SCHEMAS)


def readings_of(octets: bytes) -> MeterReadings:
    payload = wire.read_delivery(octets, SCHEMAS).message.payload
    assert isinstance(payload, MeterReadings)
    return payload


@FEW
@given(READINGS, st.sampled_from(envelope.EVENT_VERBS))
def test_events(payload: MeterReadings, verb: str) -> None:
    assert readings_of(written(payload, verb=verb)) == payload


@FEW
@given(READINGS, st.booleans())
def test_answers(payload: MeterReadings, typed: bool) -> None:
    message = ResponseMessage(header=replace(HEADER, verb="reply"), reply=Reply(result="OK"), payload=payload)
    wrapper = envelope.typed_wrapper("get", NOUN) if typed else envelope.REQUEST_MESSAGE
    assert wire.read_response(wire.write_response(message, wrapper, SCHEMAS), SCHEMAS) == message


@FEW
@given(QUERY, st.booleans())
def test_queries(query: GetMeterReadings, typed: bool) -> None:
    message = RequestMessage(header=HEADER, query=query)
    wrapper = envelope.typed_wrapper("get", NOUN) if typed else envelope.REQUEST_MESSAGE
    received = wire.read_request(wire.write_request(message, wrapper, SCHEMAS), SCHEMAS)
    assert (received.message, received.wrapper) == (message, wrapper)


def test_the_older_get_says_the_same_with_identifiers() -> None:
    mrid = "d2d4c66c-0000-4000-8000-000000000001"
    message = RequestMessage(
        header=HEADER,
        request_identifiers=(
            Identifier(value="M1001"),
            Identifier(value=mrid),
            Identifier(value="id-3", kind="uuid", object_type="Meter"),
            Identifier(value="UP1", kind="name", object_type="UsagePoint"),
            Identifier(value="feeder 1", object_type="EndDeviceGroup"),
            Identifier(value=ENERGY),
            Identifier(value=PROFILE, kind="other", object_type="ReadingType"),
        ),
        start_at=NOW - timedelta(days=1),
    )
    wrapper = envelope.older_get(NOUN)
    octets = wire.write_request(message, wrapper, SCHEMAS)
    assert b"<MeterReadingsRequestMessage" in octets and b"GetMeterReadings" not in octets
    received = wire.read_request(octets, SCHEMAS)
    assert received == envelope.Received(message, wrapper)
    asked = asked_readings(received.message)
    assert asked == GetMeterReadings(
        end_devices=(EndDevice(names=(Name(name="M1001"),)), EndDevice(mrid), EndDevice("id-3")),
        usage_points=(UsagePoint(names=(Name(name="UP1"),)),),
        end_device_groups=(Identified(names=(Name(name="feeder 1"),)),),
        reading_types=(Identified(ENERGY), Identified(PROFILE)),
        schedules=(AskedSchedule(Period(start=NOW - timedelta(days=1))),),
    )
    answer = ResponseMessage(header=replace(HEADER, verb="reply"), reply=Reply(result="OK"))
    response = wire.write_response(answer, wrapper, SCHEMAS)
    assert b'<MeterReadingsResponseMessage xmlns="http://iec.ch/TC57/2011/MeterReadingsMessage"' in response


def test_the_older_get_is_for_no_other_verb() -> None:
    message = RequestMessage(header=HEADER, request_identifiers=(Identifier(value="M1"),))
    octets = wire.write_request(message, envelope.older_get(NOUN), SCHEMAS)
    with pytest.raises(InvalidMessage) as caught:
        wire.read_request(octets.replace(b">get<", b">create<"), SCHEMAS)
    assert caught.value.code == "2.9"


def test_what_is_asked_for_has_its_periods_wherever_they_stand() -> None:
    day, month = Period(start=NOW), Period(end=NOW)
    query = GetMeterReadings(readings=(AskedReading(period=day), AskedReading()), schedules=(AskedSchedule(month),))
    assert query.periods == (day, month)
    asked = asked_readings(RequestMessage(header=HEADER, query=query, start_at=NOW, end_at=NOW))
    assert asked is not None and asked.periods == (day, month, Period(start=NOW, end=NOW))
    assert asked_readings(RequestMessage(header=HEADER, query=query)) is query
    assert asked_readings(RequestMessage(header=HEADER, start_at=NOW)) is None


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (RequestMessage(header=HEADER, request_identifiers=(Identifier(value="1", object_type="Customer"),)), "2.15"),
        (RequestMessage(header=HEADER, request_identifiers=(Identifier(value="1"),), query=GetMeterReadings()), "1.6"),
    ],
)
def test_identifiers_that_name_nothing_with_readings(message: RequestMessage, code: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        asked_readings(message)
    assert caught.value.code == code


def test_what_is_not_carried_is_reported_where_it_was() -> None:
    octets = written(
        MeterReadings(
            (
                MeterReading(
                    meter=EndDevice("id-1"),
                    blocks=(IntervalBlock(reading_type=PROFILE, columns=IntervalColumns(values=("1", "2"))),),
                ),
            )
        )
    )
    event = b"<EndDeviceEvents><createdDateTime>2026-01-01T00:00:00Z</createdDateTime><EndDeviceEventType/></EndDeviceEvents>"
    pending = b"<PendingCalculation><offset>2</offset><ReadingType/></PendingCalculation>"
    more = (
        octets.replace(b"<IntervalBlocks>", event + b"<IntervalBlocks>")
        .replace(b"<ReadingType", pending + b"<ReadingType", 1)
        .replace(b"</Meter>", b"<status><value>on</value></status></Meter>")
        .replace(
            b"<MeterReading>", b"<EndDeviceEventType><Names><name>n</name></Names></EndDeviceEventType><MeterReading>"
        )
    )
    payload = readings_of(more)
    (reading,) = payload.meter_readings
    assert set(reading.unsupported) == {"EndDeviceEvents", "IntervalBlocks/PendingCalculation", "Meter/status"}
    assert payload.unsupported == ("EndDeviceEventType",)
    with pytest.raises(LocalError, match="not carried"):
        written(payload)
    query = GetMeterReadings(end_devices=(EndDevice("id-1"),))
    octets = wire.write_request(RequestMessage(header=HEADER, query=query), envelope.REQUEST_MESSAGE, SCHEMAS)
    tank = b"</EndDevice><TransformerTank><mRID>t</mRID></TransformerTank>"
    read = wire.read_request(octets.replace(b"</EndDevice>", tank), SCHEMAS).message.query
    assert isinstance(read, GetMeterReadings) and read.unsupported == ("TransformerTank",)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<ReadingType ", b"<ReadingTip "),
        (b"<value>1</value>", b"<value>1</value><timeStamp>2026-01-01T00:00:00Z</timeStamp>"),
        (b"<reason>inquiry<", b"<reason>curiosity<"),
        (b"<timeStamp>2026-", b"<timeStamp>26-"),
        (b"<start>2026-03-29T00:00:00Z</start>", b"<start>2026-03-29T00:00:00Z</start><end>2026-03-30T00:00:00Z</end>"),
    ],
)
def test_readings_that_the_schema_refuses(old: bytes, new: bytes) -> None:
    reading = Reading(reading_type=ENERGY, value="1", taken_at=NOW, reason="inquiry", period=Period(start=NOW))
    octets = written(MeterReadings((MeterReading(readings=(reading,)),)))
    assert old in octets
    with pytest.raises(InvalidMessage) as caught:
        readings_of(octets.replace(old, new))
    assert caught.value.code == "1.8"


def test_a_reading_type_without_its_code_is_refused() -> None:
    for block in (b"<Readings><ReadingType/></Readings>", b"<IntervalBlocks><ReadingType/></IntervalBlocks>"):
        octets = written(MeterReadings((MeterReading(),)))
        empty = octets.replace(b"<MeterReading/>", b"<MeterReading>" + block + b"</MeterReading>")
        assert empty != octets
        with pytest.raises(InvalidMessage) as caught:
            readings_of(empty)
        assert caught.value.code == "1.7"


def test_columns_share_their_qualities_and_have_no_empty_column() -> None:
    valid, missing = (Quality(code="1.0.0"),), (Quality(code="2.5.259"),)
    sets, of = quality_columns([valid, valid, missing, ()])
    assert (sets, of) == ((valid, missing, ()), (0, 0, 1, 2))
    columns = IntervalColumns(values=("1", "2", None, "4"), ends=(NOW,) * 4, quality_sets=sets, quality_of=of)
    payload = MeterReadings((MeterReading(blocks=(IntervalBlock(reading_type=PROFILE, columns=columns),)),))
    read = readings_of(written(payload)).meter_readings[0].blocks[0].columns
    assert read == columns and len(read) == 4
    assert (read.times, read.sources, read.reported) == ((), (), ())
    assert [read.qualities(row) for row in range(4)] == [valid, valid, missing, ()]
    assert read.ended_at(0) == NOW
    assert quality_columns([(), ()]) == ((), ())
    assert IntervalColumns(values=("1",)).qualities(0) == ()


LITERAL = "<MeterReading/>"


def parsed_and_validated(payload: MeterReadings) -> bytes:
    """The message with all of its rows in its tree."""
    message = EventMessage(header=replace(HEADER, verb="created"), payload=payload)
    element = envelope.format_event(message, envelope.typed_wrapper("created", NOUN))
    SCHEMAS.validate(element)
    return soap.wrap(element)


@FEW
@given(READINGS)
def test_readings_beside_the_tree_are_the_same_as_in_it_which_is_valid(payload: MeterReadings) -> None:
    assert written(payload) == parsed_and_validated(payload)


@FEW
@given(READINGS)
def test_readings_that_are_taken_out_of_octets_are_put_back(payload: MeterReadings) -> None:
    octets = written(payload)
    without, readings = take_out(octets)
    assert bool(readings) == bool(payload.meter_readings)
    assert put_back(without, readings) == octets
    left = (MeterReading(),) if payload.meter_readings else ()
    assert readings_of(without) == replace(payload, meter_readings=left)


def test_a_reading_with_a_reason_or_an_element_that_there_is_not_is_not_written() -> None:
    wrong = (
        MeterReading(readings=(Reading(reading_type=ENERGY, reason="curiosity"),)),
        MeterReading(unsupported=("EndDeviceEvents",)),
        MeterReading(meter=EndDevice(names=(Name(name="n", authority="a"),))),
        MeterReading(readings=(Reading(reading_type=ENERGY, taken_at=NOW.replace(tzinfo=None)),)),
        MeterReading(readings=(Reading(reading_type="\x01"),)),
    )
    for one in wrong:
        with pytest.raises(LocalError):
            written(MeterReadings((one,)))


def test_an_answer_in_another_wrapper_is_what_is_read_and_written_whole() -> None:
    block = IntervalBlock(
        reading_type=PROFILE,
        columns=IntervalColumns(values=("1", None), quality_sets=((Quality(code=LITERAL),),), quality_of=(0, 0)),
    )
    meter = MeterReading(meter=EndDevice(LITERAL, (Name(name="<MeterReading>"),)), blocks=(block, block))
    payload = MeterReadings((meter, MeterReading(readings=(Reading(reading_type=ENERGY, value="1"),))))
    message = ResponseMessage(header=replace(HEADER, verb="reply"), reply=Reply(result="OK"), payload=payload)
    octets = wire.write_response(message, envelope.RESPONSE_MESSAGE, SCHEMAS)
    for wrapper in (envelope.typed_wrapper("get", NOUN), envelope.REQUEST_MESSAGE):
        assert answer_writing.rewrite(octets, wrapper, SCHEMAS) == wire.write_response(message, wrapper, SCHEMAS)


ELSEWHERE = timezone(timedelta(hours=1))


@pytest.mark.parametrize(
    ("values", "times"),
    [
        (("1.5", "-2"), (NOW, NOW + timedelta(minutes=15))),
        (("1.5", None), (NOW, NOW + timedelta(minutes=15))),
        (("1", "2"), (NOW, NOW.astimezone(ELSEWHERE))),
        (("1", "2"), (NOW, None)),
        ((LITERAL, "a & b\r\n\tc \u00e9 \u200b"), (NOW, NOW.replace(microsecond=5))),
        ((None, None), ()),
    ],
)
@pytest.mark.parametrize(
    "sets",
    [
        (),
        ((),),
        (
            (
                Quality(code="1.0.0"),
                Quality(code="1.4.16", comment="<&"),
            ),
        ),
    ],
)
def test_rows_that_all_look_alike_are_the_same_as_in_the_tree(values: Any, times: Any, sets: Any) -> None:
    columns = IntervalColumns(
        values=values, times=times, quality_sets=sets, quality_of=(0,) * len(values) if sets else ()
    )
    blocks = (
        IntervalBlock(reading_type=PROFILE, columns=columns),
        IntervalBlock(reading_type=LITERAL),
        IntervalBlock(reading_type=PROFILE, columns=columns),
    )
    meter = EndDevice(LITERAL, (Name(name=LITERAL),))
    payload = MeterReadings((MeterReading(meter=meter, blocks=blocks), MeterReading(blocks=blocks[:1])))
    assert written(payload) == parsed_and_validated(payload)


@pytest.mark.parametrize("text", ["\x00", "1\x0b", "\ud800", "\ufffe"])
@pytest.mark.parametrize("times", [(), (NOW,)])
def test_rows_with_text_that_xml_has_not_are_not_written(text: str, times: tuple[datetime, ...]) -> None:
    block = IntervalBlock(reading_type=PROFILE, columns=IntervalColumns(values=(text,), times=times))
    with pytest.raises(LocalError, match="cannot carry"):
        written(MeterReadings((MeterReading(blocks=(block,)),)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"times": (NOW,)},
        {"quality_of": (0, 1), "quality_sets": ((),)},
        {"quality_of": (0, -1), "quality_sets": ((),)},
        {"quality_of": (0,), "quality_sets": ((),)},
    ],
)
def test_columns_that_do_not_fit_each_other_are_none(wrong: dict[str, tuple[object, ...]]) -> None:
    with pytest.raises(ValueError, match=r"column|qualities"):
        IntervalColumns(values=("1", "2"), **wrong)  # type: ignore[arg-type]


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15))
def test_decimals_stay_exact(value: Decimal) -> None:
    if len(decimal_text(value)) <= LONGEST:
        assert decimal_of(decimal_text(value)).as_tuple() == Decimal(decimal_text(value)).as_tuple()
        assert decimal_of(decimal_text(value)) == value
        assert "E" not in decimal_text(value)


@pytest.mark.parametrize(
    ("text", "value"), [(" 12.340\n", "12.340"), ("-0.5", "-0.5"), ("1.5E3", "1.5E+3"), (".5", "0.5"), ("+7.", "7")]
)
def test_decimals_of_other_writers(text: str, value: str) -> None:
    assert decimal_of(text).as_tuple() == Decimal(value).as_tuple()


@pytest.mark.parametrize("text", ["", "NaN", "INF", "1,5", "1 000", "0x1", "1e999", "\u0661", "1" * 81, "1_0"])
def test_what_is_no_decimal_is_refused(text: str) -> None:
    with pytest.raises(InvalidMessage):
        decimal_of(text)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "sNaN"])
def test_only_finite_numbers_are_written(text: str) -> None:
    with pytest.raises(LocalError):
        decimal_text(Decimal(text))
