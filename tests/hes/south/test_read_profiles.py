"""Reading of profiles from simulated meters over real sockets: every value is the one of the physics behind the meter, computed apart.

A day is 92, 96 or 100 quarters, an outage leaves a gap that is called one, and a clock that was set makes no value look better than it is.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ami_dlms import data
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import DataAccessResult
from ami_hes.operations.read_results import METER, STORE, STORE_FIRST, ReadValues
from ami_meter_sim.faults import Rule

sys.path.insert(0, str(Path(__file__).parents[2] / "meter_sim"))

from bench import PROFILE, attribute
from measured_meter import Measured, measuring, of, qualities, times
from small_meter import South

BERLIN = ZoneInfo("Europe/Berlin")
REGISTER, QUANTITY, EXPORTED = (
    "0.0.2.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0",
    "0.0.2.4.1.1.12.0.0.0.0.0.0.0.0.0.72.0",
    "0.0.2.1.19.1.12.0.0.0.0.0.0.0.0.0.72.0",
)
DAILY, MONTHLY, MONTHLY_MAXIMUM = (
    "11.0.0.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0",
    "13.0.0.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0",
    "13.8.0.6.1.1.8.0.0.0.0.0.0.0.0.0.38.0",
)
VOLTAGE_L2 = "0.0.1.12.0.1.54.0.0.0.0.0.0.0.65.-1.29.0"
VALID, POWER_FAIL, MISSING, DERIVED, SUSPECT, CLOCK_CHANGED, DAYLIGHT_SAVING = (
    "1.0.0",
    "1.2.32",
    "2.5.259",
    "2.11.0",
    "2.5.258",
    "1.4.9",
    "1.4.16",
)


@pytest.fixture
async def measured(ami: South, tmp_path: Path) -> AsyncIterator[Any]:
    async with measuring(ami, tmp_path) as made:
        yield made


def day(year: int, month: int, number: int) -> tuple[datetime, datetime]:
    start = datetime(year, month, number, tzinfo=BERLIN)
    return start.astimezone(UTC), (start + timedelta(days=1)).astimezone(UTC)


@pytest.mark.parametrize(
    ("date", "quarters"), [((2026, 3, 28), 96), ((2026, 3, 29), 92), ((2026, 10, 25), 100), ((2026, 10, 26), 96)]
)
async def test_a_day_has_as_many_quarters_as_it_has(measured: Any, date: tuple[int, int, int], quarters: int) -> None:
    start, end = day(*date)
    one = await measured(end + timedelta(hours=5))
    outcome, found = await one.read(start, end, REGISTER, QUANTITY)
    assert outcome.ok, outcome.reason
    register, quantity = of(found, REGISTER), of(found, QUANTITY)
    ends = [start + timedelta(minutes=15 * number) for number in range(1, quarters + 1)]
    assert times(register) == times(quantity) == ends
    assert register.intervals and quantity.intervals
    assert [int(value or -1) for value in register.values] == [one.imported(at) for at in ends]
    expected = [one.imported(later) - one.imported(before) for before, later in pairwise([start, *ends])]
    assert [int(value or -1) for value in quantity.values] == expected
    assert {said[0] for said in qualities(register)} == {VALID}, "daylight saving is a remark"
    assert {said[-1] for said in qualities(quantity)} == {DERIVED}


async def test_an_outage_is_a_gap_and_its_end_says_so(measured: Any) -> None:
    one = await measured(datetime(2026, 5, 4, 6, 5, tzinfo=UTC))
    start = one.bench.at.replace(minute=0)
    one.bench.later(hours=2)
    one.lose_power(hours=3, minutes=20)
    one.bench.later(hours=2)
    _, found = await one.read(start, one.bench.at, REGISTER, QUANTITY)
    register, quantity = of(found, REGISTER), of(found, QUANTITY)
    missing = [at for at, value in zip(times(register), register.values, strict=True) if value is None]
    assert missing == [at for at in times(register) if one.outages[0][0] < at <= one.outages[0][1]]
    assert len(missing) == 13 and len(register.values) == 29
    for at, value, said in zip(times(register), register.values, qualities(register), strict=True):
        if at in missing:
            assert value is None and said == (MISSING,)
            continue
        assert value is not None and int(value) == one.imported(at)
        follows = at - timedelta(minutes=15) in missing
        assert (POWER_FAIL in said) == follows and (VALID in said) != follows
    first_after = times(quantity).index(missing[-1]) + 1
    assert quantity.values[first_after] is None, "over a gap there is no quantity of one interval"
    assert Decimal(quantity.values[first_after + 1] or "-1") == one.imported(times(quantity)[first_after + 1]) - int(
        register.values[first_after] or "-1"
    )


@pytest.mark.parametrize("by", [timedelta(hours=-1), timedelta(hours=1), timedelta(minutes=-7)])
async def test_a_clock_that_was_set_makes_no_value_look_valid(measured: Any, by: timedelta) -> None:
    one = await measured(datetime(2026, 5, 4, 6, 5, tzinfo=UTC))
    start = one.bench.at.replace(minute=0)
    one.bench.later(hours=3)
    one.set_clock(by)
    set_at = one.bench.at
    one.bench.later(hours=3)
    end = one.bench.at + max(by, timedelta())
    _, found = await one.read(start, end, REGISTER)
    register = of(found, REGISTER)
    assert len(set(register.times)) == len(register.times), "each interval once"
    for at, value, said in zip(times(register), register.values, qualities(register), strict=True):
        true = one.imported(at if at <= set_at and (by > timedelta() or at <= set_at + by) else at - by)
        if value is None:
            assert said == (MISSING,)
        elif VALID in said:
            assert int(value) == true, at
    assert any(CLOCK_CHANGED in said or SUSPECT in said for said in qualities(register))


async def test_days_and_billing_periods(measured: Any) -> None:
    one = await measured(datetime(2026, 11, 3, 9, tzinfo=UTC))
    start = datetime(2026, 10, 20, tzinfo=BERLIN).astimezone(UTC)
    outcome, found = await one.read(start, one.bench.at, DAILY, MONTHLY, MONTHLY_MAXIMUM)
    assert outcome.ok, outcome.reason
    daily, monthly = of(found, DAILY), of(found, MONTHLY)
    ends = [datetime(2026, 10, 20, tzinfo=BERLIN) + timedelta(days=number) for number in range(1, 15)]
    assert times(daily) == [at.astimezone(UTC) for at in ends]
    assert [int(value or -1) for value in daily.values] == [one.imported(at) for at in ends]
    assert times(monthly) == [datetime(2026, 11, 1, tzinfo=BERLIN).astimezone(UTC)]
    assert [int(value or -1) for value in monthly.values] == [one.imported(times(monthly)[0])]
    assert not daily.intervals and not monthly.intervals
    assert len(of(found, MONTHLY_MAXIMUM).values) == 1


async def test_a_profile_without_status_claims_nothing(measured: Any) -> None:
    one = await measured(datetime(2026, 5, 4, 6, 5, tzinfo=UTC))
    outcome, found = await one.read(one.bench.at - timedelta(hours=2), one.bench.at, VOLTAGE_L2)
    assert outcome.ok and len(of(found, VOLTAGE_L2).values) == 12
    assert set(qualities(of(found, VOLTAGE_L2))) == {()}


async def test_what_is_no_column_is_5_6_and_what_has_no_time_is_5_8(measured: Any) -> None:
    one = await measured(datetime(2026, 5, 4, 6, 5, tzinfo=UTC))
    hourly = REGISTER.replace("0.0.2.", "0.0.7.", 1)
    outcome, found = await one.read(one.bench.at - timedelta(hours=1), one.bench.at, REGISTER, hourly)
    assert not outcome.ok and len(of(found, REGISTER).values) == 4
    assert [(not_read.reading_type, not_read.code) for not_read in found.not_read] == [(hourly, "5.6")]
    _, found = await one.read(None, None, REGISTER)
    assert [not_read.code for not_read in found.not_read] == ["5.8"]
    _, found = await one.read(datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC), REGISTER)
    assert [not_read.code for not_read in found.not_read] == ["5.7"]
    now = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0"
    _, found = await one.read(datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC), now)
    assert [not_read.code for not_read in found.not_read] == ["5.7"]
    _, found = await one.read(datetime(2026, 1, 1, tzinfo=UTC), one.bench.at, now)
    assert [int(value.value) for value in found.values] == [one.imported(one.bench.at)]


async def test_columns_that_were_changed_are_found_again(measured: Any) -> None:
    one = await measured(datetime(2026, 5, 4, 6, 5, tzinfo=UTC))
    hour = timedelta(hours=1)
    await one.read(one.bench.at - hour, one.bench.at, REGISTER)
    columns = one.bench.read(PROFILE, 3).value
    assert isinstance(columns, tuple)
    turned = data.array(columns[0], columns[3], columns[2], columns[1])
    assert one.bench.meter.set(attribute(PROFILE, 3), turned, one.bench.at) is DataAccessResult.SUCCESS
    one.bench.later(hours=2)
    _, found = await one.read(one.bench.at - hour, one.bench.at, REGISTER, EXPORTED)
    assert [int(value or -1) for value in of(found, REGISTER).values] == [
        one.imported(at) for at in times(of(found, REGISTER))
    ]


def without_selection(one: Measured, monkeypatch: pytest.MonkeyPatch, name: DataAccessResult) -> list[int]:
    """From now on the meter gives a buffer as a whole or not at all; the list counts how often it gave it."""
    meter, whole = one.bench.meter, list[int]()
    get = type(meter).get

    def got(self: Any, descriptor: AttributeDescriptor, context: Any, at: datetime) -> Data | DataAccessResult:
        if descriptor == attribute(PROFILE, 2):
            if context.selection is not None:
                return name
            whole.append(1)
        return get(self, descriptor, context, at)

    monkeypatch.setattr(type(meter), "get", got)
    return whole


@pytest.mark.parametrize("refusal", [DataAccessResult.SCOPE_OF_ACCESS_VIOLATED, DataAccessResult.OTHER_REASON])
async def test_a_meter_without_selective_access_is_read_whole(
    measured: Any, monkeypatch: pytest.MonkeyPatch, refusal: DataAccessResult
) -> None:
    one = await measured(datetime(2026, 5, 4, 6, 5, tzinfo=UTC))
    start, end = (
        one.bench.at.replace(minute=0) - timedelta(hours=6),
        one.bench.at.replace(minute=0) - timedelta(hours=2),
    )
    whole = without_selection(one, monkeypatch, refusal)
    outcome, found = await one.read(start, end, REGISTER, QUANTITY)
    assert outcome.ok, outcome.reason
    register, quantity = of(found, REGISTER), of(found, QUANTITY)
    ends = [start + timedelta(minutes=15 * number) for number in range(1, 17)]
    assert times(register) == times(quantity) == ends and whole == [1]
    assert [int(value or -1) for value in register.values] == [one.imported(at) for at in ends]
    assert None not in quantity.values, "the row before the time is there as well"


async def test_rows_that_do_not_come_along_are_asked_for_apart(measured: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the profile captures and its rows come in one request; a meter that refused that once is asked twice from then on."""
    one = await measured(datetime(2026, 5, 4, 6, 5, tzinfo=UTC))
    meter, refused, now = type(one.bench.meter), list[AttributeDescriptor](), one.bench.at.replace(minute=0)
    get = meter.get

    def got(self: Any, descriptor: AttributeDescriptor, context: Any, at: datetime) -> Data | DataAccessResult:
        if context.selection is not None and not refused:
            refused.append(descriptor)
            return DataAccessResult.TEMPORARY_FAILURE
        return get(self, descriptor, context, at)

    async def frames() -> int:
        before = one.south.meters.traffic.received
        outcome, found = await one.read(now - timedelta(hours=1), now, REGISTER)
        assert outcome.ok, outcome.reason
        series = of(found, REGISTER)
        assert [int(value or -1) for value in series.values] == [one.imported(at) for at in times(series)]
        return int(one.south.meters.traffic.received - before)

    await frames()
    along = await frames()
    monkeypatch.setattr(meter, "get", got)
    assert [await frames() for _ in range(2)] == [along + 2, along + 1]
    assert refused == [attribute(PROFILE, 2)]


async def test_a_meter_that_breaks_off_over_rows_that_come_along_is_asked_for_them_apart(measured: Any) -> None:
    one = await measured(datetime(2026, 5, 4, 6, 5, tzinfo=UTC))
    now = one.bench.at.replace(minute=0)
    received = [0]
    for when in (None, None, {"first": 1, "class": 7, "attribute": 2, "service": "get"}, None):
        one.faults.reset()
        if when is not None:
            one.faults.set(Rule.parse({"fault": "garbage", "meters": ["M1001"], "when": when}))
        outcome, found = await one.read(now - timedelta(hours=1), now, REGISTER)
        assert outcome.ok == (when is None) and len(found.series) == outcome.ok
        received.append(one.south.meters.traffic.received)
    of_each = [after - before for before, after in pairwise(received)]
    assert of_each[3] == of_each[1] + 1, "with a request for the rows alone"


async def test_a_profile_that_is_too_long_to_be_read_whole_is_not(
    measured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await measured(datetime(2026, 5, 4, 6, 5, tzinfo=UTC))
    whole = without_selection(one, monkeypatch, DataAccessResult.SCOPE_OF_ACCESS_VIOLATED)
    monkeypatch.setattr("ami_hes.operations.read_profiles.MOST_WHOLE", 100)
    outcome, found = await one.read(one.bench.at - timedelta(hours=1), one.bench.at, REGISTER, DAILY)
    assert [(left.reading_type, left.code) for left in found.not_read] == [(REGISTER, "5.3")] and not whole
    assert "gives no part of it" in outcome.reason and "100 are read whole at most" in outcome.reason


async def test_a_profile_without_a_clock_is_not_read(measured: Any) -> None:
    one = await measured(datetime(2026, 5, 4, 6, 5, tzinfo=UTC))
    columns = one.bench.read(PROFILE, 3).value
    assert isinstance(columns, tuple)
    assert (
        one.bench.meter.set(attribute(PROFILE, 3), data.array(*columns[1:]), one.bench.at) is DataAccessResult.SUCCESS
    )
    one.bench.later(hours=2)
    outcome, found = await one.read(one.bench.at - timedelta(hours=1), one.bench.at, REGISTER)
    assert (outcome.code, found.count) == ("5.3", 0) and "has no column with a clock" in outcome.reason


def gone(one: Measured) -> None:
    """From now on the meter says nothing."""
    one.faults.set(Rule.parse({"fault": "silent", "meters": ["M1001"]}))


async def test_what_was_read_is_in_the_store_and_no_meter_is_asked_for_it(measured: Any) -> None:
    one = await measured(datetime(2026, 5, 4, 6, 5, tzinfo=UTC))
    day_ago = one.bench.at - timedelta(days=1)
    now = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.{}.72.0"
    _, from_meter = await one.read(day_ago, one.bench.at, REGISTER, QUANTITY, now.format(0))
    gone(one)
    outcome, found = await one.read(day_ago, one.bench.at, REGISTER, QUANTITY, now.format(3), source=STORE)
    assert outcome.ok, outcome.reason
    for code in (REGISTER, QUANTITY):
        kept, read = of(found, code), of(from_meter, code)
        assert (kept.times, kept.values, qualities(kept)) == (read.times, read.values, qualities(read))
        assert kept.intervals and kept.stored == tuple(range(96))
    (value,) = found.values
    assert (value.reading_type, value.stored) == (now.format(3), True)
    assert Decimal(value.value) * 1000 == one.imported(one.bench.at)
    _, found = await one.read(None, None, source=STORE)
    assert [value.value for value in found.values] == [str(one.imported(one.bench.at))], "all that is kept as of now"
    outcome, _ = await one.read(day_ago, one.bench.at, EXPORTED, source=STORE)
    assert (outcome.ok, outcome.code) == (False, "5.7")


async def test_values_are_chosen_by_their_qualities(measured: Any) -> None:
    one = await measured(datetime(2026, 5, 4, 6, 5, tzinfo=UTC))
    start, now = one.bench.at.replace(minute=0), "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0"
    one.bench.later(hours=2)
    one.lose_power(hours=3, minutes=20)
    one.bench.later(hours=2)
    _, everything = await one.read(start, one.bench.at, REGISTER, now)
    register = of(everything, REGISTER)
    rows = list(zip(times(register), register.values, qualities(register), strict=True))
    for wanted in ((MISSING,), (VALID,), (POWER_FAIL, MISSING)):
        expected = [row for row in rows if set(row[2]) & set(wanted)]
        assert 0 < len(expected) < len(rows)
        outcome, found = await one.read(start, one.bench.at, REGISTER, now, qualities=wanted)
        chosen = of(found, REGISTER)
        assert list(zip(times(chosen), chosen.values, qualities(chosen), strict=True)) == expected
        assert [(left.reading_type, left.code) for left in found.not_read] == [(now, "5.7")], "it has no quality at all"
        assert not outcome.ok and not found.values and not chosen.stored
        _, kept = await one.read(start, one.bench.at, REGISTER, source=STORE, qualities=wanted)
        chosen = of(kept, REGISTER)
        assert list(zip(times(chosen), chosen.values, qualities(chosen), strict=True)) == expected, "all of it was kept"
        assert chosen.stored == tuple(range(len(expected)))
    outcome, found = await one.read(start, one.bench.at, REGISTER, qualities=("3.0.1",))
    assert (outcome.code, found.series) == ("5.7", ()) and "3.0.1" in outcome.reason
    outcome, found = await one.read(None, None, qualities=(VALID,))
    assert (outcome.code, found.count) == ("5.7", 0) and VALID in outcome.reason


async def test_what_is_not_kept_is_read_from_the_meter(measured: Any) -> None:
    one = await measured(datetime(2026, 5, 4, 6, 5, tzinfo=UTC))
    start, hour = one.bench.at.replace(minute=0) - timedelta(hours=6), timedelta(hours=1)
    await one.read(start, start + 2 * hour, REGISTER)
    await one.read(start + 4 * hour, start + 6 * hour, REGISTER)
    outcome, found = await one.read(start, start + 6 * hour, REGISTER, source=STORE_FIRST)
    register = of(found, REGISTER)
    assert outcome.ok and [int(value or -1) for value in register.values] == [
        one.imported(at) for at in times(register)
    ]
    assert register.stored == (*range(8), *range(16, 24)), "the hours between are the meter's"
    gone(one)
    outcome, found = await one.read(start, start + 6 * hour, REGISTER, source=STORE_FIRST)
    assert outcome.ok and of(found, REGISTER).stored == tuple(range(24)), "by now all of it is kept"
    outcome, found = await one.read(start - hour, start + 6 * hour, REGISTER, source=STORE_FIRST)
    assert (outcome.ok, outcome.code) == (False, "4.1") and len(of(found, REGISTER).values) == 24


async def test_days_that_are_kept_are_not_read_again(measured: Any) -> None:
    one = await measured(datetime(2026, 11, 3, 9, tzinfo=UTC))
    start = datetime(2026, 10, 20, tzinfo=BERLIN).astimezone(UTC)
    await one.read(start, one.bench.at, DAILY, MONTHLY)
    gone(one)
    outcome, found = await one.read(start, one.bench.at, DAILY, MONTHLY, source=STORE_FIRST)
    assert outcome.ok, outcome.reason
    assert len(of(found, DAILY).stored) == len(of(found, DAILY).values) == 14


async def test_what_is_kept_of_another_time_is_no_answer(measured: Any) -> None:
    one = await measured(datetime(2026, 5, 4, 6, 5, tzinfo=UTC))
    now, hour = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0", timedelta(hours=1)
    _, found = await one.read(None, None, now)
    assert len(found.values) == 1
    one.bench.later(hours=3)
    for types in ((now,), ()):
        outcome, found = await one.read(one.bench.at - hour, one.bench.at, *types, source=STORE)
        assert (outcome.ok, outcome.code, found.values) == (False, "5.7", ())
        outcome, found = await one.read(one.bench.at - 4 * hour, one.bench.at, *types, source=STORE)
        assert outcome.ok and len(found.values) == 1


async def test_a_register_of_a_time_that_is_over_comes_from_the_store(measured: Any) -> None:
    """What the meter has no more is what was kept of it then."""
    one = await measured(datetime(2026, 5, 4, 6, 5, tzinfo=UTC))
    now, hour, read_at = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0", timedelta(hours=1), one.bench.at
    await one.read(None, None, now)
    one.bench.later(hours=3)
    gone(one)
    outcome, found = await one.read(read_at - hour, read_at + hour, now, source=STORE)
    assert outcome.ok, outcome.reason
    assert [(one.value, one.stored) for one in found.values] == [(str(one.imported(read_at)), True)]


@pytest.mark.parametrize("source", [METER, STORE_FIRST])
async def test_a_value_of_now_is_no_value_of_a_time_to_come(measured: Any, source: str) -> None:
    one = await measured(datetime(2026, 5, 4, 6, 5, tzinfo=UTC))
    hour = timedelta(hours=1)
    for types in (("0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0",), ()):
        outcome, found = await one.read(one.bench.at + hour, one.bench.at + 2 * hour, *types, source=source)
        assert (outcome.ok, outcome.code, found.values) == (False, "5.7", ())
        assert "not in the time that is asked for" in outcome.reason


async def test_of_all_that_a_meter_has_there_is_never_nothing_without_a_reason(measured: Any) -> None:
    one = await measured(datetime(2026, 5, 4, 6, 5, tzinfo=UTC))
    outcome, found = await one.read(None, None, source=STORE)
    assert (outcome.ok, outcome.code, found) == (False, "5.7", ReadValues()) and "is kept" in outcome.reason
    over = datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC)
    for source in (METER, STORE_FIRST):
        outcome, found = await one.read(*over, source=source)
        assert (outcome.ok, outcome.code, found) == (False, "5.7", ReadValues()) and "as it is now" in outcome.reason
    await one.read(None, None, "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0")
    gone(one)
    outcome, found = await one.read(None, None, source=STORE_FIRST)
    assert (outcome.ok, outcome.code, found) == (False, "4.1", ReadValues()), "a register as of now is never an old one"


FAULTS: dict[str, dict[str, Any]] = {
    "profile-gap": {"of_rows": 0.3},
    "profile-duplicate": {"of_rows": 0.3},
    "profile-overlap": {"of_rows": 0.3},
    "wrong-scaler": {},
    "garbage": {},
    "oversized": {},
    "tampered-tag": {},
    "replays": {},
    "splits-every-byte": {},
    "cut": {"after": 1500},
    "truncated": {},
    "wrong-device-id": {},
    "clock-off": {},
    "busy": {},
    "silent": {},
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_nothing_false_is_reported_as_good(measured: Any, fault: str) -> None:
    one = await measured(datetime(2026, 5, 4, 6, 5, tzinfo=UTC))
    now = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0"
    if fault == "wrong-scaler":  # that it is wrong can be told from what it was before, and from nothing else
        await one.read(one.bench.at - timedelta(days=1), one.bench.at, REGISTER, now)
    one.faults.set(Rule.parse({"fault": fault, "meters": ["M1001"], **FAULTS[fault]}))
    outcome, found = await one.read(one.bench.at - timedelta(days=1), one.bench.at, REGISTER, QUANTITY, now)
    for value in found.values:
        assert int(value.value) == one.imported(one.bench.at) or SUSPECT in value.qualities
    if not found.series:
        assert not outcome.ok and outcome.code is not None and not outcome.code.startswith("0")
        return
    for series in found.series:
        for at, value, said in zip(times(series), series.values, qualities(series), strict=True):
            if value is None:
                assert MISSING in said and VALID not in said
                continue
            true = one.imported(at)
            if series.reading_type == QUANTITY:
                true -= one.imported(at - timedelta(minutes=15))
            assert int(value) == true or SUSPECT in said, (fault, at, said)


@pytest.mark.parametrize("insists", [True, False])
async def test_a_scaler_that_is_wrong_from_the_first_read_of_a_life_is_noticed(measured: Any, insists: bool) -> None:
    """It is compared with what earlier lives have kept, and read once more: a meter that insists is doubted, one that does not is believed."""
    one = await measured(datetime(2026, 5, 4, 6, 5, tzinfo=UTC))
    now, start = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0", one.bench.at - timedelta(hours=2)
    await one.read(start, one.bench.at, REGISTER, now)
    await one.restart()
    times_wrong = {} if insists else {"when": {"first": 1, "class": 3, "attribute": 3, "service": "get"}}
    for asked in (now, REGISTER):
        one.faults.set(Rule.parse({"fault": "wrong-scaler", "meters": ["M1001"], **times_wrong}))
        _, found = await one.read(start, one.bench.at, asked)
        one.faults.reset()
        if asked == now:
            ((value, said),) = [(int(value.value), value.qualities) for value in found.values]
            true = one.imported(one.bench.at)
        else:
            series = of(found, REGISTER)
            value, said, true = int(series.values[-1] or -1), qualities(series)[-1], one.imported(times(series)[-1])
        assert (value != true, SUSPECT in said) == (insists, insists)
    told = [event["attribute"] for event in one.south.told("scaler_differs")]
    assert told == (["class 3 1-0:1.8.0*255 attribute 3"] * 2 if insists else [])
    _, found = await one.read(None, None, now)
    assert int(found.values[0].value) == one.imported(one.bench.at) and not found.values[0].qualities
