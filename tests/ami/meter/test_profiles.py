"""profile: rows by time, by entry, by column, with what the meter left out put back and marked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from meter_bench import Ami

from ami_cli.meter import profiles
from ami_cli.meter.profiles import Profile
from ami_dlms import data
from ami_dlms.cosem.profile import decode_rows
from ami_dlms.cosem.quantity import ScalerUnit
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.obis import Obis

LOG = "0-0:99.98.2"
EARLIER, LATER = (datetime.now(UTC) + timedelta(days=days) for days in (-1, 1))


@pytest.fixture(scope="module")
def log(fleet) -> str:  # type: ignore[no-untyped-def]
    """The name of a meter with two events in its log."""
    for what in ("disconnect", "connect"):
        Ami(fleet).on("FIRST", what, "--yes").ok()
    return "FIRST"


def test_rows_by_time(ami: Ami, log: str) -> None:
    part = ("--from", EARLIER.isoformat(), "--to", LATER.isoformat(), "--json")
    found = ami.on(log, "profile", LOG, *part).ok().json
    assert found["columns"] == ["0-0:1.0.0*255 time", "0-0:96.11.2*255 value"]
    assert [row[1] for row in found["rows"]] == ["62", "63"]
    moments = [datetime.fromisoformat(row[0]) for row in found["rows"]]
    assert EARLIER < moments[0] <= moments[1] < LATER
    local = LATER.replace(tzinfo=None).isoformat(timespec="seconds")
    assert ami.on(log, "profile", LOG, "--from", local, "--json").ok().json["rows"] == []


def test_rows_by_entry_and_columns(ami: Ami, log: str) -> None:
    last = ami.on(log, "profile", LOG, "--last", 1, "--columns", "96.11.2", "--json").ok().json
    assert last["rows"] == [["63"]] and last["columns"] == ["0-0:96.11.2*255 value"]
    swapped = ami.on(log, "profile", LOG, "--columns", "2,1", "--csv").ok().csv
    assert [row["0-0:96.11.2*255 value"] for row in swapped] == ["62", "63"]
    both = ("--last", 1, "--columns", "2,1")
    assert ami.on(log, "profile", LOG, *both).code == 2


def test_a_load_profile_has_units_in_its_headings(ami: Ami, log: str) -> None:
    shown = ami.on(log, "profile", "1-0:99.1.0").ok().out
    assert "1-0:1.8.0*255 value [Wh]" in shown and "0-0:96.10.1*255 value" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from", "yesterday"), "--from: 'yesterday' is no date"),
        (("--from", "2026-01-01", "--last", "3"), "or by --last"),
        (("--columns", "7"), "1 0-0:1.0.0*255 time; 2 0-0:96.11.2*255 value"),
        (("--columns", "1.8.0"), "1.8.0 is not one of"),
    ],
)
def test_wishes_that_can_not_be_put(ami: Ami, log: str, arguments: tuple[str, ...], said: str) -> None:
    result = ami.on(log, "profile", LOG, *arguments)
    assert result.code == 2 and said in result.err


def test_what_is_no_profile(ami: Ami) -> None:
    result = ami.on("CLEAR", "profile", "1-0:1.8.0")
    assert result.code == 1 and "object-undefined" in result.err


def test_what_the_meter_left_out_is_marked() -> None:
    columns = (CaptureObject(8, Obis.parse("0-0:1.0.0"), 2), CaptureObject(3, Obis.parse("1-0:1.8.0"), 2))
    start = CosemDateTime(2026, 1, 1, 4, 0, 0, 0, 0, 0, 0)
    first = data.structure(data.octet_string(start.encode()), data.double_long_unsigned(1234))
    left_out = data.structure(data.null(), data.null())
    rows = decode_rows(data.array(first, left_out), columns, 900)
    found = Profile(columns, (None, ScalerUnit(-1, 30)), rows, 900)
    assert found.headings == ["0-0:1.0.0*255 time", "1-0:1.8.0*255 value [Wh]"]
    assert found.texts() == [
        ["2026-01-01T00:00:00+00:00", "123.4"],
        ["2026-01-01T00:15:00+00:00 ~", "123.4 ="],
    ]
    assert found.document()["origins"] == [["sent", "sent"], ["interpolated", "repeated"]]


def test_a_profile_without_times() -> None:
    column = CaptureObject(3, Obis.parse("1-0:1.8.0"), 2)
    with pytest.raises(profiles.MeterError, match="no column of times"):
        profiles._by_range((column,), (), profiles.WantedRows(since="2026-01-01"))
