"""The command `cis read`: tables, CSV, JSON and bars of what a running CIS was answered, and what its exit code says."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cis_stand_in import METERS, Events, StandInHes, answering, environment, failed_meter, settings
from given_readings import IMPORT, QUARTERS, giving, quarters, register

from ami_cim.codes import Level
from ami_cim.identity import EndDevice, Identified, Identifier, Name
from ami_cim.message import Reply, ReplyError, RequestMessage
from ami_cim.payloads.get_meter_readings import AskedReading, GetMeterReadings
from ami_cim.quality import Quality
from ami_cis.__main__ import main
from ami_cis.api_values.readings import ReadingValue
from ami_cis.app import running
from ami_cis.reading_plot import plot
from ami_cis.reading_tables import as_csv, table

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAILY = "11.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"


async def read(directory: Path, hes: StandInHes, *commands: list[str], **cis: Any) -> list[int]:
    """`cis read` once or more often, to one CIS that serves."""
    zone = {"time_zone": "Europe/Berlin"}
    async with running(settings(directory, hes.url, **(zone | cis)), environment(Events()), 0) as system:
        url = f"http://127.0.0.1:{system.listen.rpartition(':')[2]}"
        return [await asyncio.to_thread(main, ["read", "--url", url, *arguments]) for arguments in commands]


async def test_a_table(tmp_path: Path, hes: StandInHes, capsys: pytest.CaptureFixture[str]) -> None:
    hes.behaviour = giving(register("1234.50", source="meter"))
    order = ["--meter", "M1001", "--type", "import", "--from", "2026-03-01", "--message-id", "mine"]
    assert await read(tmp_path, hes, order) == [0]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("get MeterReadings of M1001: OK, ")
    assert lines[1:4] == ["MessageID mine", "from 2026-03-01T00:00:00+01:00 to now", ""]
    assert lines[5].split() == ["M1001", "import", "2026-03-01", "13:00+01:00", "1234.50", "kWh", "meter"]


async def test_what_a_head_end_says_moves_no_cursor_and_makes_no_line(
    tmp_path: Path, hes: StandInHes, capsys: pytest.CaptureFixture[str]
) -> None:
    """XML can't have ESC, but U+009B, which is ESC and [ in one."""
    errors = (failed_meter("2.4", "not known\nhere\x9b31m", "M9\u202e", "name"),)
    readings = register("7", device=EndDevice(None, (Name(name="M8\x9b2J"),)), source="meter\x9b31m")
    hes.behaviour = giving(readings, reply=Reply(result="PARTIAL", errors=errors))
    assert await read(tmp_path, hes, ["--meter", "M1001"], ["--kept"]) == [1, 0]
    lines = capsys.readouterr().out.split("\n")
    assert all(map(str.isprintable, lines)) and "M8\N{REPLACEMENT CHARACTER}2J" in lines[-2]


async def test_partial_is_exit_code_1_and_says_who(
    tmp_path: Path, hes: StandInHes, capsys: pytest.CaptureFixture[str]
) -> None:
    errors = (failed_meter("2.4", "not known here", "M9", "name"),)
    hes.behaviour = giving(register("1"), reply=Reply(result="PARTIAL", errors=errors))
    assert await read(tmp_path, hes, ["--meter", "M1001", "--meter", "M9", "--csv"]) == [1]
    printed = capsys.readouterr()
    assert "M9 2.4 not known here" in printed.err
    assert list(csv.DictReader(io.StringIO(printed.out))) == [
        {
            "meter": "M1001",
            "reading_type": IMPORT,
            "start": "",
            "at": "2026-03-01T13:00:00+01:00",
            "value": "1",
            "unit": "kWh",
            "qualities": "",
            "source": "",
        }
    ]


async def test_json_and_what_is_kept(
    tmp_path: Path, hes: StandInHes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    hes.behaviour = giving(quarters(["1", None, "3"]))
    look = ["--kept", "--json", "--meter", "M1001", "--from", "2026-03-01T13:00", "--to", "2026-03-01T13:30"]
    assert await read(tmp_path, hes, ["--meter", "M1001", "--json"], look, ["--kept", "--plot"]) == [0, 0, 0]
    answered, kept, bars = capsys.readouterr().out.split("\n", 2)
    assert [one["value"] for one in json.loads(answered)["readings"]] == ["1", None, "3"]
    assert [one["value"] for one in json.loads(kept)["readings"]] == [None, "3"]
    head, axis, line, end = bars.split("\n")
    assert head == "M1001 load-profile: 3 values, 1 to 3 kWh, 1 missing" and end == ""
    assert line == f"2026-03-01 00:00  {'':{12 * 4 + 3}}▃·█" and axis.index("13") == line.index("·")
    assert len(hes.requests) == 1


async def test_a_name_has_one_unit_and_a_clock_its_time(
    tmp_path: Path, hes: StandInHes, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --type the HES gives Wh and the time of the clock, and kWh to who names import: it is kept, found and shown as one series."""
    wh, clock = IMPORT.replace(".3.72.0", ".0.72.0"), "0.0.0.12.0.0.7.0.0.0.0.0.0.0.0.0.108.0"
    hes.behaviour = giving(
        register("1500", code=wh), register("2026-03-01T12:00:00.5Z", code=clock), register("yesterday", code=clock)
    )
    assert await read(tmp_path, hes, ["M1001"], ["--kept", "M1001", "--type", "import"], ["--kept", "--json"]) == [
        0,
        0,
        0,
    ]
    shown = capsys.readouterr().out.splitlines()
    named = [line.split() for line in shown if " import " in line]
    assert [(one[-2], one[-1]) for one in named] == [("1.500", "kWh")] * 2
    assert any("clock" in line and "2026-03-01T13:00:00.500000+01:00" in line for line in shown)
    kept = json.loads(shown[-1])["readings"]
    assert sorted((one["reading_type"], one["value"]) for one in kept) == [
        (wh, "1500"),
        (clock, "2026-03-01T13:00:00.500000+01:00"),
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--type", "import"], "cis: read: name at least one METER"),
        (["--meter", "M1", "--quality", "valid"], "cis: read: --quality: 'valid' is no ReadingQuality"),
        (["--kept", "--quality", "1.0.0"], "is found by METER"),
        (["--meter", "M1", "--csv", "--plot"], "--csv, --json and --plot exclude each other"),
        (["--kept", "--usage-point", "UP-1"], "is found by METER"),
        (["--meter", "M1", "--type", "imports"], "cis: read: --type: 'imports' is no ReadingType"),
        (["--meter", "M1", "--from", "2026-03-29T02:30"], "never show"),
        (["--kept", "--type", "imports"], "is no ReadingType"),
        (["--meter", "M1", "--source", "storee"], "'storee' is not one of 'meter', 'store', 'store first'"),
    ],
)
async def test_what_is_refused_is_exit_code_2(
    tmp_path: Path, hes: StandInHes, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert await read(tmp_path, hes, arguments) == [2]
    assert words in capsys.readouterr().err and hes.requests == []


async def test_groups_sources_and_qualities_go_into_the_query(
    tmp_path: Path, hes: StandInHes, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown = Identifier(value="F9", kind="name", object_type="UsagePointGroup")
    error = ReplyError(code="2.12", level=Level.FATAL, reason="not known here", identifier=unknown)
    hes.behaviour = giving(register("1"), reply=Reply(result="PARTIAL", errors=(error,)))
    groups = ["--group", "feeder=F1", "--group", "F2", "--usage-point-group", "feeder=F9"]
    order = [*groups, "--quality", "1.0.0", "--quality", "2.8.0", "--source", "store first"]
    assert await read(tmp_path, hes, order) == [1]
    printed = capsys.readouterr().out
    assert "feeder=F9 2.12 " in printed and "get MeterReadings of feeder=F1, F2, feeder=F9: PARTIAL" in printed
    (request,) = hes.requests
    assert isinstance(request, RequestMessage) and request.query == GetMeterReadings(
        end_device_groups=(
            Identified(names=(Name(name="F1", name_type="feeder"),)),
            Identified(names=(Name(name="F2"),)),
        ),
        usage_point_groups=(Identified(names=(Name(name="F9", name_type="feeder"),)),),
        readings=(AskedReading(source="store first"),),
        qualities=(Quality(code="1.0.0"), Quality(code="2.8.0")),
    )


async def test_that_nothing_is_kept_is_said_and_is_no_row_of_csv(
    tmp_path: Path, hes: StandInHes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await read(tmp_path, hes, ["--kept", "--meter", "M1"]) == [0]
    assert "has no such values" in capsys.readouterr().out
    assert await read(tmp_path, hes, ["--kept", "--meter", "M1", "--csv"]) == [0]
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 1 and "has no such values" in printed.err


def test_a_cis_that_is_not_there_is_exit_code_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["read", "--url", "http://127.0.0.1:1", "--meter", "M1001"]) == 3
    assert "nothing was sent" in capsys.readouterr().err
    assert main(["read", "--url", "http://127.0.0.1:1", "--kept"]) == 3


async def test_a_refusal_of_the_hes_is_exit_code_1(
    tmp_path: Path, hes: StandInHes, capsys: pytest.CaptureFixture[str]
) -> None:
    hes.behaviour = answering(Reply(result="FAILED", errors=(failed_meter("2.10", "not served", "M1001", "name"),)))
    assert await read(tmp_path, hes, ["--meter", "M1001"]) == [1]
    assert "FAILED" in (printed := capsys.readouterr().out) and "M1001 2.10 not served" in printed


def day(year: int, month: int, number: int) -> list[ReadingValue]:
    """The quarters of a day of Berlin, each with its number as value."""
    start = datetime(year, month, number, tzinfo=BERLIN).astimezone(UTC)
    end = datetime(year, month, number + 1, tzinfo=BERLIN).astimezone(UTC)
    count = (end - start) // timedelta(minutes=15)
    edges = [(start + timedelta(minutes=15) * one).astimezone(BERLIN) for one in range(count + 1)]
    return [
        ReadingValue(
            meter="M1001",
            reading_type=QUARTERS,
            words="active energy import",
            at=edges[one + 1],
            start=edges[one],
            value=str(one),
            unit="kWh",
            qualities=(),
            source=None,
        )
        for one in range(count)
    ]


@pytest.mark.parametrize(("month", "number", "quarters"), [(3, 28, 96), (3, 29, 92), (10, 25, 100)])
def test_a_day_has_as_many_bars_as_it_has_quarters(month: int, number: int, quarters: int) -> None:
    head, axis, line = plot(day(2026, month, number), 120).splitlines()
    assert head == f"M1001 load-profile: {quarters} values, 0 to {quarters - 1} kWh"
    assert line == f"2026-{month:02}-{number:02} 00:00  {line[18:]}" and len(line[18:]) == quarters
    assert line[18] == "▁" and line[-1] == "█"
    assert len(axis.split()) == quarters // 4 and axis.split()[-1] == "23" and len(axis) == len(line) - 2


@pytest.mark.parametrize(("month", "number", "quarters"), [(3, 28, 96), (3, 29, 92), (10, 25, 100)])
@pytest.mark.parametrize("width", [40, 80, 118])
def test_bars_fit_the_terminal_and_lie_below_their_hours(width: int, month: int, number: int, quarters: int) -> None:
    readings = day(2026, month, number)
    _, *lines = plot(readings, width).splitlines()
    assert max(map(len, lines)) <= width
    axis, found = "", ""
    for line in lines:
        if not line.strip("0123456789 "):
            axis = line
            continue
        for hour in re.finditer(r"\d\d", axis):
            if hour.start() < len(line):
                place = len(found) + hour.start() - 18
                assert readings[place].start and f"{readings[place].start:%H:%M}" == f"{hour[0]}:00"
        found += line[18:]
    assert len(found) == quarters and set(found) <= set("▁▂▃▄▅▆▇█")


def test_a_time_without_a_value_is_blank_and_offsets_that_are_numbers_are_as_good_as_zones() -> None:
    """What comes as JSON has offsets and no zone."""
    autumn = day(2026, 10, 25)
    fixed = [ReadingValue.model_validate_json(one.model_dump_json()) for one in autumn]
    assert plot(fixed, 120) == plot(autumn, 120)
    night = [one for one in fixed if one.start and not 4 <= one.start.hour < 22]
    assert re.search("▂ {72}▇", plot(night, 120))


def test_days_are_in_their_order_and_no_hours_are_made_up() -> None:
    days = [
        one.model_copy(update={"reading_type": DAILY, "start": None, "at": NOON + timedelta(days=place)})
        for place, one in enumerate(day(2026, 3, 28)[:30])
    ]
    head, *lines = plot(days, 38).splitlines()
    assert head == "M1001 daily: 30 values, 0 to 29 kWh"
    assert [(line[:16], len(line)) for line in lines] == [("2026-03-01 12:00", 38), ("2026-03-21 12:00", 28)]


def test_an_interval_without_a_start_belongs_to_the_day_that_it_ends_on_or_with() -> None:
    ends = [one.model_copy(update={"start": None}) for one in day(2026, 3, 28)]
    assert [line[:10] for line in plot(ends, 120).splitlines()[2:]] == ["2026-03-28"]


def test_a_register_is_drawn_between_its_least_and_its_greatest_value() -> None:
    rising = [
        one.model_copy(update={"reading_type": IMPORT, "value": f"{1000 + place}"})
        for place, one in enumerate(day(2026, 3, 28)[:8])
    ]
    assert plot(rising, 120).splitlines()[1][18:] == "▁▂▃▄▅▆▇█"


def test_bars_of_nothing_and_of_equal_values() -> None:
    one, two = day(2026, 3, 28)[:2]
    assert plot([one], 80) == plot([], 80) == "There is no series to plot: no ReadingType has two values.\n"
    assert plot([one, two.model_copy(update={"value": "0"})], 80).splitlines()[2][18:] == "▁▁"
    assert plot([one, two.model_copy(update={"value": "-1"})], 80).splitlines()[2][18:] == "█▁"
    assert "2 missing" in plot([one.model_copy(update={"value": None})] * 2, 80)


def test_a_missing_value_is_said_in_a_table_and_empty_in_csv() -> None:
    missing = day(2026, 3, 28)[0].model_copy(update={"value": None, "qualities": ("2.5.259", "1.2.32")})
    assert "missing" in table([missing], 120) and "2.5.259 1.2.32" in table([missing], 120)
    assert as_csv([missing]).splitlines()[1].split(",")[4:7] == ["", "kWh", "2.5.259 1.2.32"]


@pytest.mark.parametrize("name", ["=1+1", "+1 2", "-a", "@SUM(A1)", "\t=1", '=HYPERLINK("http://127.0.0.1/")'])
def test_a_text_that_is_a_formula_has_an_apostrophe_in_csv_and_a_number_has_none(name: str) -> None:
    one = day(2026, 3, 28)[0].model_copy(update={"meter": name, "value": "-1.50", "source": name})
    (row,) = csv.DictReader(io.StringIO(as_csv([one])))
    assert (row["meter"], row["source"], row["value"]) == (f"'{name}", f"'{name}", "-1.50")


def test_the_beginning_of_an_interval_is_short_on_its_day() -> None:
    first, *_, last = day(2026, 3, 28)
    lines = [line.split() for line in table([first, last], 120).splitlines()[1:]]
    assert [line[2:4] for line in lines] == [["00:00", "2026-03-28"], ["2026-03-28", "23:45+01:00"]]


async def test_a_value_over_a_time_without_one_is_refused_in_the_words_of_options(
    tmp_path: Path, hes: StandInHes, capsys: pytest.CaptureFixture[str]
) -> None:
    reason = f"this ReadingType is a value of a profile and the request says no time ({QUARTERS}). Say it in Reading/timePeriod."
    hes.behaviour = answering(Reply(result="FAILED", errors=(failed_meter("5.8", reason, METERS[0].mrid or ""),)))
    assert await read(tmp_path, hes, ["--meter", METERS[0].name, "--type", "load-profile"]) == [1]
    printed = capsys.readouterr().out
    assert f"{METERS[0].name} 5.8 load-profile is a value over a time: say from when by --from" in printed
    assert "timePeriod" not in printed


async def test_errors_are_of_the_meters_as_they_were_asked_for(
    tmp_path: Path, hes: StandInHes, capsys: pytest.CaptureFixture[str]
) -> None:
    """The HES names meters by mRIDs, which the CIS need not know; what it does not know of is not taken for one that was asked for."""
    other, unknown = (f"00000000-0000-4000-8000-00000000000{number}" for number in (7, 8))
    device = EndDevice(other, (Name(name="M7"),))
    failed = tuple(failed_meter("5.6", "has no such value", one) for one in (other, unknown))
    hes.behaviour = giving(register("1", device=device), reply=Reply(result="PARTIAL", errors=failed))
    assert await read(tmp_path, hes, ["--meter", "M7", "--meter", "M8"]) == [1]
    printed = capsys.readouterr().out
    assert "\nM7 5.6 has no such value\n" in printed and f"\n{unknown} 5.6" in printed
    for named in ("--meter", "--usage-point"):
        hes.behaviour = answering(Reply(result="FAILED", errors=failed[:1]))
        assert await read(tmp_path, hes, [named, "M8"]) == [1]
        assert "\nM8 5.6 has no such value\n" in capsys.readouterr().out
    hes.behaviour = answering(Reply(result="FAILED", errors=failed[:1]))
    assert await read(tmp_path, hes, ["--mrid", unknown]) == [1]
    assert f"\n{other} 5.6" in capsys.readouterr().out


def test_a_table_fits_the_terminal_and_has_no_column_without_text() -> None:
    said = "meter, time of the head-end system"
    other = "0.0.0.12.0.1.43.0.0.0.0.0.0.0.0.0.99.0"
    one, two = (
        day(2026, 3, 28)[0].model_copy(update={"reading_type": code, "start": None, "source": said})
        for code in (IMPORT, other)
    )
    head, line = table([one], 120).splitlines()
    assert head.split() == ["meter", "reading", "type", "at", "value", "unit", "source"] and line.endswith(said)
    once, head, *lines = table([one, two], 80).splitlines()
    assert once == f"source: {said}" and "at (+01:00)" in head and len(lines) >= 2
    for width in (80, 60, 40):
        shown = table([one, two], width)
        assert max(map(len, shown.splitlines())) <= max(width, 2 + len(other)) and other in shown
