"""Reading of attributes: exact values with the unit of their code, the meter's time where it has one, and what can't be read by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

import pytest
from small_meter import DEVICE_ID, SmallMeter, South

from ami_dlms import data
from ami_dlms.cosem.quantity import ScalerUnit
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataAccessResult, DataTag
from ami_dlms.obis import Obis
from ami_hes.commands import Command, MeterId, Outcome
from ami_hes.operations import Assignment, Attempt, read_meter
from ami_hes.operations.read_results import ReadValues, WantedReadings, number_of
from ami_hes.served import describe, run
from ami_process.clocks import SteppedClock
from ami_process.environment import real_time

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = datetime(2026, 11, 20, tzinfo=UTC)
IMPORT = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.{}.72.0"
MAXIMUM, ITS_TIME = "0.8.0.6.1.1.8.0.0.0.0.0.0.0.0.3.38.0", "0.8.0.0.1.1.8.0.0.0.0.0.0.0.0.0.108.0"
BILLING_RESETS, SWITCH, TARIFF = (
    "0.0.0.1.0.1.122.0.0.0.0.0.0.0.0.0.111.0",
    "0.0.0.12.0.1.43.0.0.0.0.0.0.0.0.0.109.0",
    "0.0.0.12.0.1.45.0.0.0.0.0.0.0.0.0.114.0",
)
OBJECT_LIST = Obis.parse("0-0:40.0.0*255")
PROFILE = "1-0:99.1.0"
KEPT, QUANTITY = IMPORT.format(0).replace("0.0.0.", "0.0.2.", 1), "0.0.2.4.1.1.12.0.0.0.0.0.0.0.0.0.72.0"


def has(meter: SmallMeter, obis: str, *attributes: Data | DataAccessResult, first: int = 2) -> None:
    """An object of the meter, with these attributes."""
    for number, value in enumerate(attributes, first):
        meter.values[Obis.parse(obis), number] = value


def register(value: int, scaler: int, unit: int) -> tuple[Data, Data]:
    return data.double_long_unsigned(value), ScalerUnit(scaler, unit).encode()


def lists(meter: SmallMeter, *objects: tuple[int, str]) -> None:
    """What its association says that there is."""
    meter.values[OBJECT_LIST, 2] = data.array(
        *(
            data.structure(
                data.long_unsigned(class_id),
                data.unsigned(0),
                data.octet_string(Obis.parse(obis)),
                data.structure(data.array(), data.array()),
            )
            for class_id, obis in objects
        )
    )


def maximum(meter: SmallMeter, at: datetime) -> None:
    time = data.octet_string(CosemDateTime.from_datetime(at).encode())
    has(meter, "1-0:1.6.0", *register(2345, 0, 27), data.unsigned(0), time)


async def read(
    ami: South, *reading_types: str, name: str = "M1001", period: tuple[datetime, datetime] | None = None
) -> tuple[Outcome, ReadValues]:
    assert ami.meters is not None
    meter = ami.meters.registry.find_by_name(name)
    assert meter is not None
    attempt = Attempt(ami._keep, begun=False)
    wanted = WantedReadings(reading_types, *map(number_of, period or ()))
    command = Command("request-1", MeterId(name, meter.mrid), read_meter.NAME, wanted.format())
    outcome = await run(ami.meters, Assignment(meter, command, attempt, real_time() + 5))
    ami.described.append(describe(command, meter, outcome) or {})
    return outcome, ReadValues.parse(outcome.payload)


def texts(found: ReadValues) -> dict[str, str]:
    return {one.reading_type: one.value for one in found.values}


def codes(found: ReadValues) -> dict[str, str]:
    return {one.reading_type: one.code for one in found.not_read}


@pytest.fixture
async def meter(ami: South) -> SmallMeter:
    meter = await ami.meter()
    await ami.start(clock=SteppedClock(NOW))
    return meter


@pytest.mark.parametrize(
    ("raw", "scaler", "multiplier", "value"),
    [
        (123_456_789, 0, 3, "123456.789"),
        (123_456_789, 0, 0, "123456789"),
        (123_456_789, 1, 3, "1234567.89"),
        (1, -100, 3, "0." + "0" * 102 + "1"),
        (123_456_789, -2, 6, "1.23456789"),
        (0, 3, 3, "0"),
        (4_294_967_295, -6, 3, "4.294967295"),
    ],
)
async def test_a_value_is_exact_in_the_multiplier_that_was_asked_for(
    ami: South, meter: SmallMeter, raw: int, scaler: int, multiplier: int, value: str
) -> None:
    has(meter, "1-0:1.8.0", *register(raw, scaler, 30))
    outcome, found = await read(ami, IMPORT.format(multiplier))
    assert outcome.ok and not outcome.attempted
    assert texts(found) == {IMPORT.format(multiplier): value}
    assert [(one.at, one.received_at) for one in found.values] == [(None, number_of(NOW))], (
        "a register has no time of its own"
    )


async def test_an_alias_is_answered_with_the_code_of_its_row(ami: South, meter: SmallMeter) -> None:
    has(meter, "1-0:1.8.0", *register(5_000, 0, 30))
    _, found = await read(ami, "0.26.0.1.1.1.12.0.0.0.0.0.0.0.224.3.72.0")
    assert texts(found) == {IMPORT.format(3): "5.000"}


async def test_a_maximum_has_the_time_that_the_meter_gives(ami: South, meter: SmallMeter) -> None:
    at = datetime(2026, 11, 3, 18, 15, tzinfo=UTC)
    maximum(meter, at)
    outcome, found = await read(ami, MAXIMUM, ITS_TIME)
    assert outcome.ok and texts(found) == {MAXIMUM: "2.345", ITS_TIME: "2026-11-03T18:15:00Z"}
    assert (found.values[0].at, found.values[0].received_at) == (number_of(at), number_of(NOW))


async def test_a_time_that_is_no_moment_is_not_taken_for_the_meters(ami: South, meter: SmallMeter) -> None:
    has(meter, "1-0:1.6.0", *register(0, 0, 27), data.unsigned(0), data.octet_string(CosemDateTime().encode()))
    _, found = await read(ami, MAXIMUM)
    assert [(one.value, one.at) for one in found.values] == [("0.000", None)]


async def test_counters_states_and_codes_have_no_unit(ami: South, meter: SmallMeter) -> None:
    has(meter, "0-0:0.1.0", data.long_unsigned(17))
    has(meter, "0-0:96.14.0", data.octet_string(b"2"))
    outcome, found = await read(ami, BILLING_RESETS, SWITCH, TARIFF)
    assert outcome.ok and texts(found) == {BILLING_RESETS: "17", SWITCH: "1", TARIFF: "2"}


async def test_three_of_four_are_read_and_the_fourth_says_why_not(ami: South, meter: SmallMeter) -> None:
    has(meter, "1-0:1.8.0", *register(1, 0, 30))
    has(meter, "0-0:0.1.0", data.long_unsigned(17))
    lists(meter, (3, "1-0:1.8.0"), (1, "0-0:0.1.0"))
    outcome, found = await read(ami, IMPORT.format(0), MAXIMUM, BILLING_RESETS, SWITCH)
    assert texts(found) == {IMPORT.format(0): "1", BILLING_RESETS: "17", SWITCH: "1"}
    assert codes(found) == {MAXIMUM: "5.6"}
    assert (outcome.ok, outcome.code, outcome.attempted) == (False, "5.6", False)
    assert "no object" in outcome.reason and "switched" not in outcome.reason
    assert ami.described == [{"values": 3, "not_read": [{"reading_type": MAXIMUM, "code": "5.6"}]}]


async def test_a_meter_that_gives_its_channel_another_number_is_read_there(ami: South, meter: SmallMeter) -> None:
    has(meter, "1-1:1.8.0", *register(7, 3, 30))
    lists(meter, (8, "0-0:1.0.0"), (3, "1-1:1.8.0"))
    for _ in range(2):
        outcome, found = await read(ami, IMPORT.format(3))
        assert outcome.ok and texts(found) == {IMPORT.format(3): "7"}
    reads = meter.asked.count("GET")
    await read(ami, IMPORT.format(3))
    assert meter.asked.count("GET") - reads == 5, (
        "the device id and two attributes that it does not have there, then two that it has"
    )


@pytest.mark.parametrize(
    ("value", "unit", "code", "words"),
    [
        (data.double_long_unsigned(1), ScalerUnit(0, 27).encode(), "5.3", "scaler_unit says 27"),
        (data.double_long_unsigned(1), data.unsigned(1), "5.3", "structure"),
        (data.octet_string(b"12"), ScalerUnit(0, 30).encode(), "5.3", "number"),
        (data.double_long_unsigned(1), DataAccessResult.READ_WRITE_DENIED, "7.5", "forbids"),
        (DataAccessResult.READ_WRITE_DENIED, ScalerUnit(0, 30).encode(), "7.5", "forbids"),
        (DataAccessResult.TEMPORARY_FAILURE, ScalerUnit(0, 30).encode(), "5.3", "temporary"),
        (DataAccessResult.OBJECT_UNAVAILABLE, ScalerUnit(0, 30).encode(), "5.6", "not available"),
    ],
)
async def test_a_value_that_is_not_what_its_row_says_is_none(
    ami: South, meter: SmallMeter, value: Any, unit: Any, code: str, words: str
) -> None:
    has(meter, "1-0:1.8.0", value, unit)
    outcome, found = await read(ami, IMPORT.format(3))
    assert not outcome.ok and not found.values
    assert codes(found) == {IMPORT.format(3): code} and words in found.not_read[0].reason


async def test_all_that_the_meter_has(ami: South, meter: SmallMeter) -> None:
    has(meter, "1-0:1.8.0", *register(1_000, 0, 30))
    has(meter, "1-0:32.7.0", *register(2_301, -1, 35))
    maximum(meter, NOW)
    lists(meter, (3, "1-0:1.8.0"), (3, "1-0:32.7.0"), (4, "1-0:1.6.0"), (1, "0-0:96.1.0"), (15, "0-0:40.0.0"))
    outcome, found = await read(ami)
    assert outcome.ok, outcome.reason
    assert texts(found) == {
        IMPORT.format(0): "1000",
        "0.0.0.12.0.1.54.0.0.0.0.0.0.0.129.-1.29.0": "2301",
        MAXIMUM.replace(".3.38.", ".0.38."): "2345",
    }


async def test_another_meter_at_the_address_is_not_read(ami: South, meter: SmallMeter) -> None:
    has(meter, "1-0:1.8.0", *register(1, 0, 30))
    meter.values[DEVICE_ID, 2] = data.octet_string(b"4711")
    lists(meter, (3, "1-0:1.8.0"))
    for wanted in ((IMPORT.format(3),), ()):
        outcome, found = await read(ami, *wanted)
        assert (outcome.ok, outcome.code, found) == (False, "5.2", ReadValues())
        assert "4711" in outcome.reason and "switched" not in outcome.reason


async def test_what_was_read_before_the_meter_hung_up_is_kept(ami: South) -> None:
    meter = await ami.meter(dies_after_reads=6)
    await ami.start(clock=SteppedClock(NOW))
    has(meter, "1-0:1.8.0", *register(1, 0, 30))
    has(meter, "1-0:2.8.0", *register(2, 0, 30))
    exported = IMPORT.format(0).replace(".1.1.1.", ".1.19.1.")
    outcome, found = await read(ami, IMPORT.format(0), exported)
    assert texts(found) == {IMPORT.format(0): "1"} and codes(found).keys() == {exported}
    assert not outcome.ok and "connection to the meter broke" in outcome.reason


async def test_a_code_that_no_row_has_any_more_is_not_guessed(ami: South, meter: SmallMeter) -> None:
    has(meter, "1-0:1.8.0", *register(1, 0, 30))
    unknown, invalid = "0.0.0.1.1.1.13.0.0.0.0.0.0.0.0.3.72.0", "0.0.0.1.1.1.901.0.0.0.0.0.0.0.0.3.72.0"
    _, found = await read(ami, unknown, invalid, IMPORT.format(0), IMPORT.format(7))
    assert texts(found) == {IMPORT.format(0): "1"}
    assert codes(found) == {unknown: "2.10", invalid: "2.6", IMPORT.format(7): "2.6"}


def keeps(meter: SmallMeter, rows: Data) -> None:
    """A profile of quarters with the register of the import."""
    columns = [(8, "0-0:1.0.0"), (1, "0-0:96.10.1"), (3, "1-0:1.8.0")]
    captured = (CaptureObject(class_id, Obis.parse(obis), 2).encode() for class_id, obis in columns)
    has(meter, PROFILE, rows, data.array(*captured), data.double_long_unsigned(900))
    has(meter, "1-0:1.8.0", *register(1, 0, 30))
    lists(meter, (3, "1-0:1.8.0"), (7, PROFILE))


def quarter(number: int) -> Data:
    return data.octet_string(CosemDateTime.from_datetime(DAY + timedelta(minutes=15 * number)).encode())


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([data.structure(data.octet_string(bytes(12)), data.unsigned(0), data.unsigned(1))], "its time is no moment"),
        ([data.unsigned(1), data.unsigned(2)], "2 rows can't be used"),
    ],
)
async def test_rows_that_cant_be_used_are_not_said_to_be_missing(
    ami: South, meter: SmallMeter, rows: list[Data], words: str
) -> None:
    keeps(meter, data.array(*rows))
    _, found = await read(ami, KEPT, IMPORT.format(0), period=(DAY, NOW))
    assert texts(found) == {IMPORT.format(0): "1"} and codes(found) == {KEPT: "5.3"}
    assert words in found.not_read[0].reason


async def test_many_more_rows_than_were_asked_for_are_not_looked_at(ami: South, meter: SmallMeter) -> None:
    """Half a day has 48 quarters. Rows that don't look alike cost an object for each value: 300,000 of them took minutes."""
    keeps(meter, data.array(*[data.structure(data.null(), data.null(), data.null())] * 2_000))
    _, found = await read(ami, KEPT, IMPORT.format(0), period=(DAY, NOW))
    assert texts(found) == {IMPORT.format(0): "1"} and codes(found) == {KEPT: "5.3"}
    assert "2000 rows came, and 1200 are the most in this time" in found.not_read[0].reason


async def test_floats_that_are_far_apart_are_subtracted_exactly(ami: South, meter: SmallMeter) -> None:
    """More digits than a Decimal has by itself; what else was read of the meter was lost with them."""
    counts = [(1, 5e-324), (2, 1.5), (3, 1.7e308)]
    keeps(
        meter,
        data.array(
            *(data.structure(quarter(at), data.unsigned(0), Data(DataTag.FLOAT64, value)) for at, value in counts)
        ),
    )
    outcome, found = await read(ami, KEPT, QUANTITY, IMPORT.format(0), period=(DAY, NOW))
    assert outcome.ok, outcome.reason
    registered, quantity = (one.values for one in found.series)
    with localcontext(prec=1_000):
        assert [Decimal(one or "NaN") for one in registered[:3]] == [Decimal(str(value)) for _, value in counts]
        assert Decimal(quantity[1] or "NaN") == Decimal("1.5") - Decimal("5e-324")
        assert Decimal(quantity[2] or "NaN") == Decimal("1.7e308") - Decimal("1.5")
