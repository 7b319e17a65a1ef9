"""The rows of a profile in the order of time: each interval once, gaps named, and doubt where two rows disagree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami_mapping.intervals import Span, timeline

QUARTER = 900


@given(
    st.lists(st.tuples(st.integers(0, 40), st.booleans(), st.integers(0, 2)), max_size=60),
    st.integers(0, 20),
    st.integers(0, 20),
)
def test_every_interval_of_the_span_is_there_once_and_in_order(
    rows: list[tuple[int, bool, int]], start: int, length: int
) -> None:
    span = Span(start * QUARTER, (start + length) * QUARTER)
    times = [number * QUARTER + 450 * late for number, late, _ in rows]
    values = [value for _, _, value in rows]
    found = timeline(times, values, span, QUARTER)
    assert list(found.times) == sorted(set(found.times))
    assert {at for at in found.times if at % QUARTER == 0} == set(range(span.start + QUARTER, span.end + 1, QUARTER))
    for place, (at, row) in enumerate(zip(found.times, found.rows, strict=True)):
        said = {values[number] for number, one in enumerate(times) if one == at}
        assert (row is None) == (not said)
        assert row is None or times[row] == at
        assert (place in found.doubtful) == (len(said) > 1 or at % QUARTER != 0)


def test_the_same_row_twice_is_one_and_different_rows_of_one_time_are_doubtful() -> None:
    times, span = [900, 1800, 1800, 2700, 2700], Span(0, 2700)
    found = timeline(times, ["a", "b", "b", "c", "d"], span, QUARTER)
    assert (found.times, found.rows, found.doubtful) == ((900, 1800, 2700), (0, 2, 4), frozenset({2}))
    assert found.follows(1, QUARTER) and not found.follows(2, QUARTER) and not found.follows(0, QUARTER)


@pytest.mark.parametrize(("date", "quarters"), [((3, 28), 96), ((3, 29), 92), ((10, 25), 100)])
def test_a_day_of_a_time_zone_has_92_96_or_100_quarters(date: tuple[int, int], quarters: int) -> None:
    start = datetime(2026, *date, tzinfo=ZoneInfo("Europe/Berlin"))
    span = Span(int(start.timestamp()), int((start + timedelta(days=1)).timestamp()))
    assert len(timeline([], [], span, QUARTER).times) == quarters


def test_hours_end_at_the_full_hours_of_the_meter() -> None:
    """India: half an hour beside those of UTC."""
    noon = int(datetime(2026, 1, 1, 6, 30, tzinfo=UTC).timestamp())
    found = timeline([noon], ["a"], Span(noon - 3600, noon + 3600), 3600, offset_s=19_800)
    assert (found.times, found.doubtful) == ((noon, noon + 3600), frozenset())


def test_of_days_and_months_none_is_known_to_be_missing() -> None:
    day = 86_400
    found = timeline([2 * day - 3600, 4 * day], ["a", "b"], Span(day, 5 * day), day)
    assert (found.times, found.rows, found.doubtful) == ((2 * day - 3600, 4 * day), (0, 1), frozenset())
