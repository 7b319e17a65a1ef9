"""COSEM dates and times: octets, wildcards, deviations, and the way to and from aware datetimes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ami_dlms.datetimes import (
    DAYLIGHT_SAVING_ACTIVE,
    DAYLIGHT_SAVING_BEGIN,
    LAST_DAY_OF_MONTH,
    CosemDate,
    CosemDateTime,
    CosemTime,
)
from ami_dlms.errors import DecodeError, LocalError

BERLIN = ZoneInfo("Europe/Berlin")


@settings(deadline=None)
@given(st.binary(min_size=12, max_size=12), st.binary(min_size=5, max_size=5), st.binary(min_size=4, max_size=4))
def test_any_octets_are_kept(date_time: bytes, date: bytes, time: bytes) -> None:
    assert CosemDateTime.decode(date_time).encode() == date_time
    assert CosemDate.decode(date).encode() == date
    assert CosemTime.decode(time).encode() == time


@settings(deadline=None)
@given(
    st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)),
    st.integers(-720, 840),
)
def test_moments_survive(local: datetime, offset: int) -> None:
    moment = local.replace(microsecond=local.microsecond // 10_000 * 10_000, tzinfo=timezone(timedelta(minutes=offset)))
    cosem = CosemDateTime.from_datetime(moment)
    back = CosemDateTime.decode(cosem.encode()).to_datetime()
    assert back == moment
    assert back.tzinfo is UTC


def test_octets_and_the_sign_of_the_deviation() -> None:
    winter = CosemDateTime.from_datetime(datetime(2026, 1, 15, 12, 30, 5, 250_000, tzinfo=BERLIN))
    assert winter == CosemDateTime(2026, 1, 15, 4, 12, 30, 5, 25, -60, 0)
    assert winter.encode() == bytes.fromhex("07EA 01 0F 04 0C 1E 05 19 FFC4 00")
    assert winter.to_datetime() == datetime(2026, 1, 15, 11, 30, 5, 250_000, tzinfo=UTC)
    summer = CosemDateTime.from_datetime(datetime(2026, 7, 15, 12, 0, tzinfo=BERLIN))
    assert (summer.deviation_minutes, summer.clock_status) == (-120, DAYLIGHT_SAVING_ACTIVE)
    assert summer.to_datetime() == datetime(2026, 7, 15, 10, 0, tzinfo=UTC)


def test_both_passes_through_the_hour_that_comes_twice() -> None:
    first, second = (datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=fold) for fold in (0, 1))
    times = [CosemDateTime.from_datetime(moment) for moment in (first, second)]
    assert [time.deviation_minutes for time in times] == [-120, -60]
    assert times[1].to_datetime() - times[0].to_datetime() == timedelta(hours=1)


def test_not_specified_parts() -> None:
    nothing = CosemDateTime()
    assert nothing.encode() == bytes.fromhex("FFFF FF FF FF FF FF FF FF 8000 FF")
    assert CosemDateTime.decode(nothing.encode()) == nothing
    assert "?" in str(nothing)
    last_day = CosemDateTime(month=DAYLIGHT_SAVING_BEGIN, day=LAST_DAY_OF_MONTH, day_of_week=7, hour=2)
    assert CosemDateTime.decode(last_day.encode()) == last_day


@pytest.mark.parametrize("octets", ["07EA0B1405FF3B3B00003C00", "FFFF0B1405173B3B00003C00", "07EA0B1405173B3B00800000"])
def test_wildcards_forbid_a_moment(octets: str) -> None:
    with pytest.raises(LocalError, match="single moment"):
        CosemDateTime.decode(bytes.fromhex(octets)).to_datetime()


@pytest.mark.parametrize("octets", ["07EA0D1405173B3B00003C00", "07EA021E05173B3B00003C00", "07EA0B1405183B3B00003C00"])
def test_what_is_no_moment_of_the_calendar(octets: str) -> None:
    with pytest.raises(LocalError, match="calendar"):
        CosemDateTime.decode(bytes.fromhex(octets)).to_datetime()


def test_a_default_for_a_deviation_that_is_not_specified() -> None:
    unknown = CosemDateTime(2026, 1, 15, 4, 12, 0, None, None, None, None)
    assert unknown.to_datetime(default_deviation=-60) == datetime(2026, 1, 15, 11, 0, tzinfo=UTC)
    known = CosemDateTime(2026, 1, 15, 4, 12, 0, 0, 0, 0, 0)
    assert known.to_datetime(default_deviation=-60) == datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


def test_a_naive_datetime_is_refused() -> None:
    with pytest.raises(LocalError, match="aware"):
        CosemDateTime.from_datetime(datetime(2026, 1, 1))


@pytest.mark.parametrize("size", [0, 3, 4, 5, 6, 11, 13])
def test_wrong_sizes_are_refused(size: int) -> None:
    for kind, right in ((CosemDateTime, 12), (CosemDate, 5), (CosemTime, 4)):
        if size != right:
            with pytest.raises(DecodeError):
                kind.decode(bytes(size))


@pytest.mark.parametrize("wrong", [CosemDateTime(month=256), CosemDate(year=65536), CosemTime(hour=-1)])
def test_parts_out_of_range_are_refused(wrong: CosemDateTime | CosemDate | CosemTime) -> None:
    with pytest.raises(LocalError):
        wrong.encode()
