"""When schedules are due and what they collect: local days of 23, 24 and 25 hours, and hours of zones that are not whole hours off."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami_hes.enums import Every
from ami_hes.schedules.periods import Recurrence

BERLIN, KATHMANDU, LORD_HOWE = "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe"
QUARTER = timedelta(minutes=15)


def daily(at: str = "00:30", zone: str = BERLIN) -> Recurrence:
    return Recurrence(Every.DAY, time.fromisoformat(at), ZoneInfo(zone))


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("due", "quarters"),
    [("2026-03-29T00:30+01:00", 96), ("2026-03-30T00:30+02:00", 92), ("2026-10-26T00:30+01:00", 100)],
)
def test_a_day_is_the_day_of_the_zone(due: str, quarters: int) -> None:
    schedule = daily()
    assert schedule.next_due(moment(due) - timedelta(seconds=1)) == moment(due)
    start, end = schedule.period(moment(due))
    assert (end - start) // QUARTER == quarters
    assert end == moment(due) - timedelta(minutes=30)


def test_a_local_time_that_is_skipped_or_comes_twice_is_due_once_a_day() -> None:
    schedule = daily("02:30")
    due = [moment("2026-03-27T12:00Z")]
    for _ in range(3):
        due.append(schedule.next_due(due[-1]))
    assert due[1:] == [*map(moment, ("2026-03-28T01:30Z", "2026-03-29T01:30Z", "2026-03-30T00:30Z"))]
    assert schedule.next_due(moment("2026-10-24T12:00Z")) == moment("2026-10-25T00:30Z"), "02:30, the first time"
    assert schedule.next_due(moment("2026-10-25T00:30Z")) == moment("2026-10-26T01:30Z")


@pytest.mark.parametrize(
    ("zone", "after", "due", "start"),
    [
        (BERLIN, "2026-05-01T10:07Z", "2026-05-01T11:05Z", "2026-05-01T10:00Z"),
        (KATHMANDU, "2026-05-01T10:07Z", "2026-05-01T10:20Z", "2026-05-01T09:15Z"),
    ],
)
def test_every_hour_for_the_hour_before(zone: str, after: str, due: str, start: str) -> None:
    schedule = Recurrence(Every.HOUR, time(0, 5), ZoneInfo(zone))
    assert schedule.next_due(moment(after)) == moment(due)
    assert schedule.period(moment(due)) == (moment(start), moment(start) + timedelta(hours=1))


@given(
    st.sampled_from([BERLIN, KATHMANDU, LORD_HOWE, "America/St_Johns", "UTC"]),
    st.times().map(lambda one: one.replace(second=0, microsecond=0)),
    st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
)
def test_days_follow_each_other_without_a_gap(zone: str, at: time, after: datetime) -> None:
    schedule = Recurrence(Every.DAY, at, ZoneInfo(zone))
    first = schedule.next_due(after)
    second = schedule.next_due(first)
    assert after < first < second
    assert schedule.period(first)[1] == schedule.period(second)[0]
    assert schedule.period(first)[1] <= first, "nothing is collected before it is over"


def test_what_was_missed_several_times_is_one_moment() -> None:
    schedule = daily()
    first = schedule.next_due(moment("2026-03-27T12:00Z"))
    assert schedule.last_due(first, first) == first
    assert schedule.last_due(moment("2026-03-30T12:00Z"), first) == moment("2026-03-30T00:30+02:00")
