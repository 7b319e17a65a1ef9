"""The meter's clock: daylight saving both ways, drift, wildcards, and what the clock object keeps and logs."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from devices import CLOCK, START, Inside, date_time, described, event_log
from hypothesis import given
from hypothesis import strategies as st

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDate, CosemDateTime, CosemTime
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_meter_sim.clock import ClockStateInMemory, MeterClock
from ami_meter_sim.clock.daylight_saving import DaylightSaving
from ami_meter_sim.clock.wildcards import matches, next_moment
from ami_meter_sim.objects.clock import start_clock
from ami_meter_sim.objects.memory import RecordKind

LAST = 0xFE
WARSAW = DaylightSaving(
    CosemDateTime(None, 3, LAST, 7, 2, 0, 0, 0), CosemDateTime(None, 10, LAST, 7, 3, 0, 0, 0), 60, enabled=True
)
SYDNEY = DaylightSaving(
    CosemDateTime(None, 10, 1, 7, 2, 0, 0, 0), CosemDateTime(None, 4, 1, 7, 3, 0, 0, 0), 60, enabled=True
)
SECONDS = st.integers(0, 4 * 366 * 86_400)


def clock_of(rules: DaylightSaving, zone: int, at: datetime = START, ppm: int = 0) -> MeterClock:
    return MeterClock(at, ClockStateInMemory(time_zone_min=zone), rules, ppm)


@pytest.mark.parametrize(
    ("rules", "zone", "name"), [(WARSAW, -60, "Europe/Warsaw"), (SYDNEY, -600, "Australia/Sydney")]
)
@given(second=SECONDS)
def test_local_time_is_that_of_the_zone(rules: DaylightSaving, zone: int, name: str, second: int) -> None:
    clock = clock_of(rules, zone, datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=second))
    expected = clock.at.astimezone(ZoneInfo(name))
    assert clock.time == expected and clock.time.utcoffset() == expected.utcoffset()
    assert clock.date_time.clock_status == (0x80 if expected.dst() else 0)
    assert clock.date_time.to_datetime() == clock.at.replace(microsecond=0)


@given(second=SECONDS)
def test_a_local_time_is_the_first_moment_that_shows_it(second: int) -> None:
    clock = clock_of(WARSAW, -60)
    utc = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
    local = clock.local(utc)
    first = clock.utc_of(local)
    assert clock.local(first) == local
    assert first in (utc, utc - timedelta(hours=1))


def test_a_local_time_that_is_left_out_is_the_moment_of_the_change() -> None:
    clock = clock_of(WARSAW, -60)
    assert clock.utc_of(datetime(2026, 3, 29, 2, 30)) == datetime(2026, 3, 29, 1, tzinfo=UTC)


@given(ppm=st.integers(-500, 500), second=st.integers(0, 10**8))
def test_drift_is_undone(ppm: int, second: int) -> None:
    clock = clock_of(WARSAW, -60, ppm=ppm)
    shown = START + timedelta(seconds=second)
    instant = clock.real_instant(shown)
    assert timedelta() <= clock.shown(instant) - shown <= timedelta(microseconds=2)


def test_a_clock_gains_by_its_drift_since_it_was_set() -> None:
    clock = clock_of(WARSAW, -60, ppm=20)
    clock.set_time(START)
    clock.at = START + timedelta(days=10)
    assert clock.utc - clock.at == timedelta(seconds=10 * 86_400 * 20e-6)
    clock.set_time(clock.at)
    assert clock.utc == clock.at


@pytest.mark.parametrize(
    ("pattern", "day", "there"),
    [
        (CosemDate(), date(2026, 5, 5), True),
        (CosemDate(2026, 5, 5, 2), date(2026, 5, 5), True),
        (CosemDate(2025, 5, 5), date(2026, 5, 5), False),
        (CosemDate(None, None, None, 7), date(2026, 3, 1), True),
        (CosemDate(None, None, None, 7), date(2026, 3, 2), False),
        (CosemDate(None, 3, LAST, 7), date(2026, 3, 29), True),
        (CosemDate(None, 3, LAST, 7), date(2026, 3, 22), False),
        (CosemDate(None, 3, 0xFD, 7), date(2026, 3, 22), True),
        (CosemDate(None, 2, LAST), date(2028, 2, 29), True),
        (CosemDate(None, 2, LAST), date(2028, 2, 28), False),
        (CosemDate(None, 2, 0xFD), date(2028, 2, 28), True),
        (CosemDate(None, 10, 1, 7), date(2026, 10, 4), True),
        (CosemDate(None, 10, 1, 7), date(2026, 10, 11), False),
        (CosemDate(None, 10, 8, 7), date(2026, 10, 11), True),
        (CosemDate(None, None, 1), date(2026, 7, 1), True),
    ],
)
def test_dates_with_wildcards(pattern: CosemDate, day: date, there: bool) -> None:
    assert matches(pattern, day) is there


@pytest.mark.parametrize(
    ("days", "times", "expected"),
    [
        (CosemDate(), CosemTime(0, 0, 0), datetime(2026, 3, 3)),
        (CosemDate(), CosemTime(None, 0, 0), datetime(2026, 3, 2, 11)),
        (CosemDate(), CosemTime(None, 5, 0), datetime(2026, 3, 2, 11, 5)),
        (CosemDate(None, None, 1), CosemTime(0, 0, 0), datetime(2026, 4, 1)),
        (CosemDate(2027, 2, 28), CosemTime(12, 30, 0), datetime(2027, 2, 28, 12, 30)),
        (CosemDate(None, 2, 29), CosemTime(1, 0, 0), datetime(2028, 2, 29, 1)),
        (CosemDate(2025), CosemTime(1, 0, 0), None),
        (CosemDate(None, 2, 30), CosemTime(1, 0, 0), None),
        (CosemDate(), CosemTime(25, 0, 0), None),
    ],
)
def test_the_next_moment_of_a_date_and_a_time(days: CosemDate, times: CosemTime, expected: datetime | None) -> None:
    assert next_moment(days, times, datetime(2026, 3, 2, 10, 5)) == expected


# --- class 8

BEGIN, END, DEVIATION, ENABLED = 5, 6, 7, 8


def octets(value: CosemDateTime) -> Data:
    return data.octet_string(value.encode())


def in_warsaw(*more: object) -> Inside:
    rules = {5: octets(WARSAW.begin), 6: octets(WARSAW.end), 7: data.integer(60), 8: data.boolean(True)}
    inside = Inside(described(CLOCK, rules), *event_log("standard"), zone=-60)
    inside.device.clock.daylight_saving = WARSAW
    return inside


def shown(inside: Inside) -> CosemDateTime:
    return CosemDateTime.decode(inside.read(CLOCK))


def test_both_changes_of_a_year_are_shown_and_logged() -> None:
    inside = in_warsaw()
    inside.to(datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC))
    before = shown(inside)
    assert (before.hour, before.deviation_minutes, before.clock_status) == (1, -60, 0)
    inside.later(seconds=1)
    after = shown(inside)
    assert (after.hour, after.minute, after.deviation_minutes, after.clock_status) == (3, 0, -120, 0x80)
    assert inside.read(CLOCK, 4) == 0x80 and inside.logged("standard") == [3]
    inside.to(datetime(2026, 10, 25, 1, 0, tzinfo=UTC))
    assert (shown(inside).hour, shown(inside).clock_status) == (2, 0)
    assert inside.logged("standard") == [3, 3]


def test_rules_that_a_client_writes_count_at_once_and_after_a_restart() -> None:
    inside = Inside(at=datetime(2026, 7, 1, tzinfo=UTC), zone=-60)
    values = {
        BEGIN: octets(WARSAW.begin),
        END: octets(WARSAW.end),
        DEVIATION: data.integer(60),
        ENABLED: data.boolean(True),
    }
    for number, value in values.items():
        assert inside.write(CLOCK, number, value) is DataAccessResult.SUCCESS
    assert shown(inside).deviation_minutes == -120
    inside.restart()
    assert [inside.found(CLOCK).read(number) for number in values] == list(values.values())
    assert inside.write(CLOCK, ENABLED, data.boolean(False)) is DataAccessResult.SUCCESS
    assert shown(inside).deviation_minutes == -60


@pytest.mark.parametrize(
    ("number", "value"),
    [
        (BEGIN, data.octet_string(b"March")),
        (BEGIN, data.null()),
        (DEVIATION, data.integer(121)),
        (DEVIATION, data.long(60)),
        (ENABLED, data.unsigned(1)),
    ],
)
def test_rules_that_are_none_are_refused(number: int, value: Data) -> None:
    inside = Inside()
    before = inside.found(CLOCK).read(number)
    assert inside.write(CLOCK, number, value) is DataAccessResult.TYPE_UNMATCHED
    assert inside.found(CLOCK).read(number) == before


def test_setting_leaves_two_events_of_one_instant_with_both_times() -> None:
    inside = Inside(*event_log("standard"))
    assert inside.write(CLOCK, 2, date_time("2026-03-02 12:00:00", 0)) is DataAccessResult.SUCCESS
    old, new = inside.device.history.records(RecordKind.EVENT)
    assert (old.number, new.number, old.at, new.at) == (4, 5, START, START)
    times = [CosemDateTime.decode(data.decode(one.detail).value[0].value).to_datetime() for one in (old, new)]
    assert times == [START, START + timedelta(minutes=115)]
    (set_,) = inside.device.history.records(RecordKind.CLOCK)
    assert set_.number == 115 * 60


def test_time_without_deviation_is_that_of_the_daylight_saving_in_force() -> None:
    inside = in_warsaw()
    assert inside.write(CLOCK, 2, date_time("2026-07-01 12:00:00")) is DataAccessResult.SUCCESS
    assert shown(inside).to_datetime() == datetime(2026, 7, 1, 10, tzinfo=UTC)


def test_a_preset_time_survives_a_restart() -> None:
    inside = Inside()
    window = [date_time(f"2026-03-02 {one}", 0) for one in ("12:00:00", "10:00:00", "11:00:00")]
    assert inside.act(CLOCK, 5, data.structure(*window)) is ActionResult.SUCCESS
    inside.restart()
    assert inside.act(CLOCK, 4, data.integer(0)) is ActionResult.SUCCESS
    assert shown(inside).to_datetime() == datetime(2026, 3, 2, 12, tzinfo=UTC)
    inside.later(hours=2)
    assert inside.act(CLOCK, 4, data.integer(0)) is ActionResult.TEMPORARY_FAILURE, "the window is over"


def test_status_says_that_the_clock_is_doubtful_until_it_is_set() -> None:
    inside = Inside()
    inside.device.clock.quality = 0x02
    assert inside.read(CLOCK, 4) == 0x02 and shown(inside).clock_status == 0x02
    inside.write(CLOCK, 2, date_time("2026-03-02 12:00:00", 0))
    assert inside.read(CLOCK, 4) == 0


def test_a_model_says_how_much_a_crystal_gains() -> None:
    inside = Inside(described(CLOCK, options={"drift_ppm": 100}))
    start_clock(inside.device)
    inside.write(CLOCK, 2, date_time("2026-03-02 12:00:00", 0))
    inside.later(days=1)
    assert shown(inside).to_datetime() == datetime(2026, 3, 3, 12, 0, 8, 640_000, tzinfo=UTC)
