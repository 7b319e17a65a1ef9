"""The calendar of the standard profiles, against dates that can be looked up."""

from __future__ import annotations

from datetime import date

import pytest

from ami_meter_sim.load.civil import (
    SATURDAY,
    SUMMER,
    SUNDAY,
    TRANSITION,
    WINTER,
    WORKDAY,
    easter,
    kind_of_day,
    season,
    summer_time,
)


@pytest.mark.parametrize("day", ["2000-04-23", "2008-03-23", "2019-04-21", "2024-03-31", "2026-04-05", "2038-04-25"])
def test_easter(day: str) -> None:
    assert easter(int(day[:4])) == date.fromisoformat(day)


@pytest.mark.parametrize(
    ("day", "kind"),
    [
        ("2026-03-02", WORKDAY),
        ("2026-03-07", SATURDAY),
        ("2026-03-08", SUNDAY),
        ("2026-04-03", SUNDAY),  # Good Friday
        ("2026-04-06", SUNDAY),  # Easter Monday
        ("2026-05-14", SUNDAY),  # Ascension Day
        ("2026-12-24", SATURDAY),
        ("2026-12-25", SUNDAY),
        ("2026-12-31", SATURDAY),
    ],
)
def test_kinds_of_days(day: str, kind: int) -> None:
    assert kind_of_day(date.fromisoformat(day)) == kind


def test_seasons_begin_and_end_where_the_profile_says() -> None:
    boundaries = [((3, 20), WINTER), ((3, 21), TRANSITION), ((5, 14), TRANSITION), ((5, 15), SUMMER)]
    boundaries += [((9, 14), SUMMER), ((9, 15), TRANSITION), ((10, 31), TRANSITION), ((11, 1), WINTER)]
    for place, expected in boundaries:
        assert season(date(2026, *place)) == expected, place


def test_summer_time_of_a_year() -> None:
    begin, end = summer_time(2026)
    assert (begin.isoformat(), end.isoformat()) == ("2026-03-29T01:00:00+00:00", "2026-10-25T01:00:00+00:00")
