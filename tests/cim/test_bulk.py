"""MeterReadings with many values: as many columns, in a small multiple of the time that lxml takes to parse and validate them."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from sizes import examples

from ami_cim import envelope, ns, reading, soap, transfer, wire
from ami_cim.errors import InvalidMessage, LocalError
from ami_cim.identity import EndDevice
from ami_cim.limits import UNKNOWN_PEER, for_peer
from ami_cim.message import EventMessage, Header, Reply, ResponseMessage
from ami_cim.payloads.interval_blocks import IntervalBlock
from ami_cim.payloads.interval_columns import IntervalColumns
from ami_cim.payloads.meter_readings import MeterReading, MeterReadings
from ami_cim.quality import Quality
from ami_cim.schema import Schemas, schema_directory
from ami_cim.xml import parse

PROFILE = "0.0.2.4.1.1.12.0.0.0.0.0.0.0.0.3.72.0"
START = datetime(2026, 1, 15, tzinfo=UTC)
HEADER = Header(verb="created", noun="MeterReadings", timestamp=START, message_id="m-1", correlation_id="c-1")
WRAPPER = envelope.typed_wrapper("created", "MeterReadings")
LARGE = for_peer(64_000_000)
SCHEMAS = Schemas()
VALID, MISSING = (Quality(code="1.0.0"),), (Quality(code="2.5.259"),)


def readings(meters: int, rows: int) -> MeterReadings:
    """A day or so of each meter; every value says whose and when it is. The last one of each meter is missing."""
    times = tuple(START + timedelta(minutes=15 * row) for row in range(1, rows + 1))
    qualities = {"quality_sets": (VALID, MISSING), "quality_of": (0,) * (rows - 1) + (1,)}

    def columns(meter: int) -> IntervalColumns:
        values = (*(f"{meter}.{row:06d}" for row in range(rows - 1)), None)
        return IntervalColumns(values=values, times=times, **qualities)  # type: ignore[arg-type]

    return MeterReadings(
        tuple(
            MeterReading(
                meter=EndDevice(f"id-{meter}"),
                blocks=(IntervalBlock(reading_type=PROFILE, columns=columns(meter)),),
            )
            for meter in range(meters)
        )
    )


def written(payload: MeterReadings, wrapper: etree.QName = WRAPPER) -> bytes:
    return wire.write_event(EventMessage(header=HEADER, payload=payload), wrapper, SCHEMAS)


def read(octets: bytes) -> MeterReadings:
    payload = wire.read_delivery(octets, SCHEMAS, LARGE).message.payload
    assert isinstance(payload, MeterReadings)
    return payload


def fastest(run: Callable[[], object], runs: int = 3) -> float:
    """Seconds of the processor."""
    seconds = []
    for _ in range(runs):
        gc.collect()
        before = time.process_time()
        run()
        seconds.append(time.process_time() - before)
    return min(seconds)


def ratios(meters: int, rows: int) -> tuple[float, float]:
    """How many times as long as lxml reading takes, and writing with a look of lxml at what was written."""
    payload = readings(meters, rows)
    octets = written(payload)
    schema = etree.XMLSchema(etree.parse(str(schema_directory() / "xsd/MeterReadingsMessage.xsd")))

    def validate(written: bytes) -> None:
        assert schema.validate(etree.fromstring(written)[0][0])

    assert read(octets) == payload
    base = fastest(lambda: validate(octets))
    return fastest(lambda: read(octets)) / base, fastest(lambda: validate(written(payload))) / base


@pytest.mark.ci
def test_many_values_take_a_small_multiple_of_the_time_of_lxml() -> None:
    reading, writing = ratios(20, 500)
    assert reading < 6 and writing < 6, f"reading {reading:.1f}, writing {writing:.1f}"


@pytest.mark.acceptance
def test_a_hundred_thousand_values_take_three_times_as_long_as_lxml_at_most(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reading, writing = ratios(100, 1_000)
    with capsys.disabled():
        print(
            f"\n100,000 values: read in {reading:.2f} times what lxml takes, written and validated in {writing:.2f} times"
        )
    assert reading <= 3 and writing <= 3


def test_one_block_is_as_long_as_it_likes() -> None:
    payload = readings(1, 20_000)
    assert read(written(payload)) == payload
    delivered = wire.read_delivery(written(payload), SCHEMAS, LARGE)
    assert transfer.read_delivery(transfer.write_answer(delivered)).message == delivered.message


def test_the_generic_message_holds_as_many() -> None:
    payload = readings(4, 500)
    assert read(written(payload, envelope.EVENT_MESSAGE)) == payload


def test_a_peer_may_be_configured_to_send_more() -> None:
    octets = written(readings(20, 1_000))
    assert for_peer(100_000).nodes == UNKNOWN_PEER.nodes
    assert wire.read_delivery(octets, SCHEMAS, for_peer(len(octets))).message.payload == readings(20, 1_000)
    with pytest.raises(InvalidMessage, match="too large"):
        wire.read_delivery(octets, SCHEMAS, for_peer(len(octets) - 1))


def test_the_answer_of_a_head_end_may_hold_as_many() -> None:
    payload = readings(20, 1_000)
    message = ResponseMessage(header=replace(HEADER, verb="reply"), reply=Reply(result="OK"), payload=payload)
    octets = wire.write_response(message, envelope.typed_wrapper("get", "MeterReadings"), SCHEMAS)
    assert len(octets) < UNKNOWN_PEER.octets
    assert reading.responses(SCHEMAS).read(octets, None) == message
    with pytest.raises(InvalidMessage):
        wire.read_response(octets, SCHEMAS)


def test_a_peer_that_is_not_known_may_not_send_so_many() -> None:
    with pytest.raises(InvalidMessage) as caught:
        wire.read_delivery(written(readings(40, 1_000)), SCHEMAS, UNKNOWN_PEER)
    assert caught.value.code == "3.1"


ROW = b"<IntervalReadings><timeStamp>2026-01-15T00:15:00Z</timeStamp><value>0.000000</value>"
ROW_END = b'<ReadingQualities><ReadingQualityType ref="1.0.0"/></ReadingQualities></IntervalReadings>'


@pytest.mark.parametrize(
    ("change", "values"),
    [
        ((b"<value>0.000000<", b"<value><"), (None, "0.000001", None)),
        ((b"<value>0.000000<", b"<value>0.0<!-- c -->00<![CDATA[000]]><"), ("0.000000", "0.000001", None)),
        ((b"<value>0.000000</value>", b""), (None, "0.000001", None)),
        ((b"<value>0.000000<", b"<value>\n 0.000000\t<"), ("0.000000", "0.000001", None)),
        ((b"<value>0.000000<", b"<value>&lt;\xc2\xa0&#48;<"), ("<\u00a00", "0.000001", None)),
        ((ROW + ROW_END, ROW_END), None),
        ((ROW + ROW_END, b"<IntervalReadings/>"), (None, "0.000001", None)),
    ],
)
def test_each_value_stays_in_its_row(change: tuple[bytes, bytes], values: tuple[str | None, ...] | None) -> None:
    octets = written(readings(1, 3))
    assert octets.count(change[0]) == 1
    changed = octets.replace(*change)
    if values is None:
        with pytest.raises(InvalidMessage):
            read(changed)
        return
    columns = read(changed).meter_readings[0].blocks[0].columns
    assert columns.values == values
    assert columns.times[1:] == tuple(START + timedelta(minutes=minutes) for minutes in (30, 45))
    assert [columns.qualities(row) for row in (1, 2)] == [VALID, MISSING]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (b"<comment>c</comment>", Quality(code="1.0.0", comment="c")),
        (b"<source>s</source>", Quality(code="1.0.0", source="s")),
        (b"<timeStamp>2026-01-15T00:00:00Z</timeStamp>", Quality(code="1.0.0", assessed_at=START)),
    ],
)
def test_what_a_quality_says_is_not_taken_for_the_rows(more: bytes, expected: Quality) -> None:
    octets = written(readings(1, 3))
    before, after = octets.split(b"<timeStamp>2026-01-15T00:15:00Z</timeStamp>")
    changed = before + after.replace(b"<ReadingQualities>", b"<ReadingQualities>" + more, 1)
    columns = read(changed).meter_readings[0].blocks[0].columns
    assert columns.times == (None, START + timedelta(minutes=30), START + timedelta(minutes=45))
    assert (columns.sources, columns.qualities(0), columns.qualities(1)) == ((), (expected,), VALID)


@pytest.mark.parametrize("gaps", [1, 40, 60, 119])
def test_gaps_are_where_they_were(gaps: int) -> None:
    values = tuple(None if row * 7 % 120 < gaps else str(row) for row in range(120))
    ends = tuple(START if value is None else None for value in values)
    columns = IntervalColumns(values=values, times=(START,) * 120, ends=ends)
    payload = MeterReadings((MeterReading(blocks=(IntervalBlock(reading_type=PROFILE, columns=columns),)),))
    assert read(written(payload)) == payload


def test_qualities_that_two_rows_share_unevenly() -> None:
    twice, none = VALID * 2, ()
    columns = IntervalColumns(values=("1", "2"), times=(START,) * 2, quality_sets=(twice, none), quality_of=(0, 1))
    payload = MeterReadings((MeterReading(blocks=(IntervalBlock(reading_type=PROFILE, columns=columns),)),))
    assert read(written(payload)) == payload


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-15T00:15:00.5Z", START + timedelta(minutes=15, seconds=0.5)),
        ("2026-01-15T01:15:00+01:00", START + timedelta(minutes=15)),
        ("2026-01-15T00:15:00", START + timedelta(minutes=15)),
        ("2026-01-14T24:00:00Z", START),
        ("12026-01-15T00:15:00Z", datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_moments_in_any_spelling(text: str, moment: datetime) -> None:
    octets = written(readings(1, 3)).replace(b"2026-01-15T00:15:00Z", text.encode())
    assert read(octets).meter_readings[0].blocks[0].columns.times[0] == moment


def test_moments_with_another_offset_are_written_in_utc() -> None:
    columns = IntervalColumns(values=("1",), times=(START.astimezone(),))
    payload = MeterReadings((MeterReading(blocks=(IntervalBlock(reading_type=PROFILE, columns=columns),)),))
    assert b"<timeStamp>2026-01-15T00:00:00Z<" in written(payload)


@pytest.mark.parametrize(
    "columns",
    [
        IntervalColumns(values=("\x01",)),
        IntervalColumns(values=("1",), sources=("\ud800",)),
        IntervalColumns(values=("1",), times=(datetime(2026, 1, 1),)),
        IntervalColumns(values=("1",), quality_sets=((Quality(code="\x00"),),), quality_of=(0,)),
    ],
)
def test_what_xml_cannot_carry_is_not_written(columns: IntervalColumns) -> None:
    payload = MeterReadings((MeterReading(blocks=(IntervalBlock(reading_type=PROFILE, columns=columns),)),))
    with pytest.raises(LocalError):
        written(payload)


@pytest.mark.parametrize("text", ["a & b < c > d ]]> \"e\" 'f'", "1\r\n2", "</value><value>2", "&lt;", "<!--"])
def test_text_is_text(text: str) -> None:
    columns = IntervalColumns(
        values=(text,), sources=(text,), quality_sets=((Quality(code=text, comment=text),),), quality_of=(0,)
    )
    payload = MeterReadings((MeterReading(blocks=(IntervalBlock(reading_type=text, columns=columns),)),))
    assert read(written(payload)) == payload


@pytest.mark.parametrize("wrapper", [WRAPPER, envelope.EVENT_MESSAGE])
@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        (b"<value>0.000001</value>", b"<value>0.000001</value><worth/>", "worth"),
        (b"<msg:Verb>created", b"<msg:Verb>Created", None),
        (b"<timeStamp>2026-01-15T00:30:00Z", b"<timeStamp>2026-W03-4T00:30:00Z", "timeStamp"),
    ],
)
def test_what_is_not_valid_is_looked_at_more_closely(
    wrapper: etree.QName, old: bytes, new: bytes, word: str | None
) -> None:
    octets = written(readings(1, 3), wrapper).replace(old, new)
    assert new in octets
    if word is None:
        assert read(octets) == readings(1, 3)
        return
    with pytest.raises(InvalidMessage, match=word) as caught:
        read(octets)
    assert caught.value.code == "1.8" and "Line 2" in caught.value.reason


def test_depth_is_bounded_wherever_a_schema_skips() -> None:
    deep = b"<d>" * 60 + b"</d>" * 60
    octets = written(readings(1, 3))
    for before, after in (
        (b"<soap:Body>", b"<soap:Header>" + deep + b"</soap:Header><soap:Body>"),
        (b"</Header>", b'<x xmlns="urn:x">' + deep + b"</x></Header>"),
        (
            b"</Payload>",
            b"<OperationSet><Operation><operationId>1</operationId>" + deep + b"</Operation></OperationSet></Payload>",
        ),
    ):
        assert octets.count(before) == 1
        with pytest.raises(InvalidMessage, match="nested too deeply"):
            read(octets.replace(before, after))


def test_namespaces_and_nodes_are_bounded_as_before() -> None:
    octets = written(readings(1, 3))
    scopes = "".join(f' xmlns:n{number}="urn:{number}"' for number in range(250)).encode()
    with pytest.raises(InvalidMessage, match="too many namespaces"):
        read(octets.replace(b"<MeterReading>", b"<MeterReading" + scopes + b">"))
    few = replace(LARGE, nodes=30)
    with pytest.raises(InvalidMessage, match="too many elements"):
        wire.read_delivery(octets, SCHEMAS, few)
    starts = octets.count(b"<") - octets.count(b"</") + octets.count(b"=")
    assert wire.read_delivery(octets, SCHEMAS, replace(LARGE, nodes=starts)).message.payload == readings(1, 3)


def test_the_sample_of_a_block_has_the_namespace_of_its_noun() -> None:
    root = etree.fromstring(written(readings(1, 2)))
    blocks = list(root.iter(f"{{{ns.payload('MeterReadings')}}}IntervalBlocks"))
    assert len(blocks) == 1 and etree.tostring(root).count(b"xmlns=") == 2


PIECES = (
    b"<",
    b">",
    b"</",
    b"/>",
    b"&",
    b"&amp;",
    b"&#0;",
    b'"',
    b"\n",
    b"x",
    b"<x/>",
    b"</x>",
    b"<?x?>",
    b"]]>",
    b"<!---->",
)
PIECES += (b"\x00", b"\xff", b"msg:", b' a="1"', b' xmlns:a="urn:a"', b"</soap:Envelope>", b"<soap:Envelope>")


@settings(max_examples=examples(400), deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 40), st.sampled_from(PIECES))
def test_the_fast_way_takes_nothing_that_the_other_one_refuses(at: int, cut: int, piece: bytes) -> None:
    octets = written(readings(1, 2))
    at %= len(octets)
    changed = octets[:at] + piece + octets[at + cut :]
    try:
        fast = SCHEMAS.read_valid(changed)
    except InvalidMessage:
        return
    if fast is not None:
        slow = parse(changed)
        SCHEMAS.validate(soap.unwrap(slow))
        assert etree.tostring(fast) == etree.tostring(slow)


@pytest.mark.parametrize("cut", [1, 9, 16, 17, 40, 400])
def test_a_message_that_is_cut_short_is_refused(cut: int) -> None:
    with pytest.raises(InvalidMessage, match="not well-formed"):
        read(written(readings(1, 3))[:-cut])


def test_errors_of_many_siblings_cost_bounded_time() -> None:
    octets = written(readings(1, 6_000)).replace(b"<timeStamp>2026-", b"<timeStamp>26-")
    started = time.process_time()
    with pytest.raises(InvalidMessage, match="timeStamp"):
        read(octets)
    assert time.process_time() - started < 3
