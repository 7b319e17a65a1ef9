"""`hes read` and POST `/api/v1/readings`: an order of an operator is the GetMeterReadings of any client, and so is its answer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from north_bench import North, StandIn, entries, mrid, north

from ami_cim.reading_type_names import name_of, names
from ami_hes.__main__ import main
from ami_hes.commands import Outcome
from ami_hes.nouns.meter_readings import HEAD_END_TIME
from ami_hes.operations.read_results import NotRead, ReadSeries, ReadValue, ReadValues, WantedReadings

IMPORT, QUARTERS = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0", "0.0.2.4.1.1.12.0.0.0.0.0.0.0.0.0.72.0"
NOON = 1_780_000_000_000 // 900_000 * 900_000
READ = ReadValues(
    (ReadValue(IMPORT, "12.345", None, NOON),),
    (ReadSeries(QUARTERS, True, (NOON, NOON + 900_000), ("7", None), (("1.0.0",), ("2.5.259",)), (0, 1), NOON),),
)
NOT_THERE = ReadValues(not_read=(NotRead(IMPORT, "5.6", "FATAL", "the meter has no such object"),))


async def hes(running: North, *arguments: str) -> int:
    """The exit code of the command."""
    return await asyncio.to_thread(main, ["read", *arguments, "--url", running.url])


async def test_what_is_read_is_shown_and_why_the_rest_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = {
        "M1": Outcome(True, payload=READ.format()),
        "M2": Outcome(False, "5.6", "FATAL", "it is not there", payload=NOT_THERE.format()),
    }
    stand_in = StandIn(outcomes=dict(outcomes), acts=False)
    async with north(tmp_path, stand_in, time_zone="Europe/Berlin") as running:
        assert await hes(running, "M1", "--type", "1-0:1.8.0", "--type", QUARTERS, "--from", "2026-05-28T00:00") == 0
        printed = capsys.readouterr()
        assert printed.err == "" and printed.out.startswith("OK, MessageID ")
        rows = [line.split() for line in printed.out.splitlines()[1:]]
        assert rows[0] == ["meter", "reading", "type", "at", "value", "unit", "quality", "source"]
        assert [(row[0], row[1], *row[3:]) for row in rows[1:]] == [
            ("M1", "import", "12.345", "kWh", *HEAD_END_TIME.split()),
            ("M1", "load-profile", "0.007", "kWh", "1.0.0"),
            ("M1", "load-profile", "missing", "kWh", "2.5.259"),
        ]
        assert all(row[2].endswith("+02:00") for row in rows[1:])
        wanted = WantedReadings.parse(stand_in.commands[0].body)
        assert wanted.reading_types == (IMPORT, QUARTERS)
        assert wanted.start == 1_779_919_200_000 and wanted.end is None
        assert await hes(running, mrid(2).upper(), "M1", "M9", "--type", IMPORT, "--json") == 1
        answer = json.loads(capsys.readouterr().out)
        assert answer["result"] == "PARTIAL" and {one["meter"] for one in answer["readings"]} == {"M1"}
        assert sorted((one["code"], one["meter"]) for one in answer["errors"]) == [("2.4", "M9"), ("5.6", "M2")]
        assert await hes(running, "M2", "--type", IMPORT) == 1
        printed = capsys.readouterr()
        assert printed.out.startswith("FAILED, MessageID ") and printed.err.startswith("M2 5.6 ")


async def test_a_group_is_read_and_values_are_chosen_by_quality(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    meters = entries(3)
    for entry in meters[:2]:
        entry["tags"] = {"feeder": "F12"}
    stand_in = StandIn(outcomes={f"M{number}": Outcome(True, payload=READ.format()) for number in (1, 2)}, acts=False)
    async with north(tmp_path, stand_in, registry=meters) as running:
        order = ["--group", "feeder=F12", "--type", IMPORT, "--quality", "1.0.0", "--quality", "2.8.0", "--json"]
        assert await hes(running, *order) == 0
        assert {one["meter"] for one in json.loads(capsys.readouterr().out)["readings"]} == {"M1", "M2"}
        assert {WantedReadings.parse(one.body).qualities for one in stand_in.commands} == {("1.0.0", "2.8.0")}
        assert await hes(running, "--group", "feeder=F13", "--type", IMPORT) == 1
        assert " 2.4 " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("M1", "--type", "imports"), "--type: 'imports' is no ReadingType (18 numbers), no OBIS code"),
        (("M1", "--type", "imports"), "there are import, export, "),
        (("M1", "--type", "81.96.1"), "--type: 81.96.1 has no value as it is now"),
        (("M1", "--type", "1-0:1.8"), "--type: not an OBIS code"),
        (("M1", "--type", "0-0:96.1.0"), "--type: 0-0:96.1.0 has no value as it is now"),
        (("M1", "--from", "yesterday"), "--from: "),
        (("M1", "--from", "2026-03-29T02:30"), "the clocks of Europe/Berlin never show"),
        (("M1", "--source", "the moon"), "'the moon' is not one of 'meter', 'store', 'store first'"),
        (("M1", "--source", "STORE", "--from", "yesterday"), "--from: "),
        (("M1", "--quality", "1.13.0"), "--quality: ReadingQualityType 1.13.0: no list has category 13"),
        (("--type", IMPORT), "name at least one METER or a --group"),
        (("M" * 301,), "METER: "),
    ],
)
async def test_what_can_not_be_asked_is_refused_and_nothing_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    async with north(tmp_path, time_zone="Europe/Berlin") as running:
        assert await hes(running, *arguments) == 2
        assert words in capsys.readouterr().err
        assert running.meters.commands == []


@pytest.mark.parametrize("command", [["read"], ["readings", "export"], ["schedules", "put"]])
def test_help_and_names_are_the_same_in_every_command(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--help"]) == 0
    shown = "".join(capsys.readouterr().out.split())
    assert "".join(names().split()) in shown and name_of(IMPORT) == "import"


async def test_a_head_end_that_is_not_there_was_asked_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert await asyncio.to_thread(main, ["read", "M1", "--url", "http://127.0.0.1:1"]) == 3
    assert "nothing was sent" in capsys.readouterr().err


async def test_a_value_over_a_time_without_one_is_refused_in_the_words_of_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    why = NotRead(QUARTERS, "5.8", "FATAL", f"the request says no time ({QUARTERS}). Say it in Reading/timePeriod.")
    outcome = Outcome(False, "5.8", "FATAL", why.reason, payload=ReadValues(not_read=(why,)).format())
    async with north(tmp_path, StandIn(outcomes={"M1": outcome}, acts=False)) as running:
        assert await hes(running, "M1", "--type", QUARTERS) == 1
        assert capsys.readouterr().err == (
            "M1 5.8 load-profile is a value over a time: say from when by --from, and until when by --to\n"
        )
