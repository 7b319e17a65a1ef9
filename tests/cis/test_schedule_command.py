"""The command `cis schedule`, and the API behind it: what goes to the head-end, what is shown of its answer, and the exit codes."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cis_stand_in import METERS, Events, StandInHes, environment, reply_to, settings, soap
from given_readings import QUARTERS, quarters
from starlette.responses import Response

from ami_cim.envelope import Received
from ami_cim.identity import Identifier
from ami_cim.message import Header, Reply, ReplyError
from ami_cim.payloads.meter_read_schedule import GetMeterReadSchedule, MeterReadSchedule
from ami_cim.payloads.meter_readings import MeterReadings
from ami_cis.__main__ import main
from ami_cis.app import running
from ami_cis.store import TakenEvent
from ami_cis.taken_readings import Names, readings_of
from ami_cis.workflows import ReadSchedule
from ami_cis.workflows.schedules import first_due

BERLIN = ZoneInfo("Europe/Berlin")
CREATED = Header(verb="created", noun="MeterReadings")
MRID_1 = METERS[0].mrid or ""


class Schedules:
    """A head-end that keeps what it is ordered, by name."""

    def __init__(self) -> None:
        self.kept: dict[str, MeterReadSchedule] = {}
        self.verbs: list[str] = []

    async def __call__(self, _: StandInHes, received: Received) -> Response:
        message = received.message
        self.verbs.append(message.header.verb)
        reply, payload = self._done(message)
        return soap(reply_to(message, reply, payload), received.wrapper)

    def _done(self, message: Any) -> tuple[Reply, MeterReadSchedule | None]:
        verb, named = message.header.verb, [one.value for one in message.request_identifiers]
        if verb == "create":
            named = [message.header.message_id]
            self.kept[named[0]] = message.payload
        elif verb == "get" and not named:
            named = list(self.kept)
        elif named[0] not in self.kept:
            return Reply(result="FAILED", errors=(ReplyError(code="2.4", reason="no such schedule\x9b"),)), None
        payload = self.kept[named[0]] if verb == "get" and message.request_identifiers else None
        if verb == "delete":
            del self.kept[named[0]]
        return Reply(
            result="OK", identifiers=tuple(Identifier(value=one, kind="transaction") for one in named)
        ), payload


async def schedule(directory: Path, hes: StandInHes, *commands: list[str], zone: str = "Europe/Berlin") -> list[int]:
    """`cis schedule` once or more often, to one CIS that serves and has three values of its first meter."""
    async with running(settings(directory, hes.url, time_zone=zone), environment(Events()), 0) as system:
        now = datetime(2026, 11, 20, tzinfo=UTC)
        taken = readings_of(MeterReadings((quarters(["1", None, "3"]),)), CREATED, "event", Names(METERS), now)
        await system.store.add_event(TakenEvent("event", "created", "MeterReadings", b"", now), taken.readings)
        url = f"http://127.0.0.1:{system.listen.rpartition(':')[2]}"
        return [await asyncio.to_thread(main, ["schedule", one[0], "--url", url, *one[1:]]) for one in commands]


CREATE = ["create", "--name", "daily", "--type", "load-profile", "--meter", "M1001", "--mrid", METERS[1].mrid or ""]


async def test_a_schedule_is_ordered_listed_shown_cancelled_and_deleted(
    tmp_path: Path, hes: StandInHes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    hes.behaviour = there = Schedules()
    commands = [[*CREATE, "--at", "01:15"], ["list"], ["show", "daily"], ["cancel", "daily"], ["delete", "daily"]]
    assert await schedule(tmp_path, hes, *commands, ["list"]) == [0] * 6
    assert there.verbs == ["create", "get", "get", "get", "get", "cancel", "delete", "get"], "looked up once it is OK"
    sent = hes.requests[0].payload
    assert isinstance(sent, MeterReadSchedule)
    assert [(one.mrid, [name.name for name in one.names]) for one in sent.end_devices] == [
        (MRID_1, ["M1001"]),
        (METERS[1].mrid, []),
    ]
    assert [one.mrid for one in sent.reading_types] == [QUARTERS]
    (when,) = sent.schedules
    assert (when.recurrence_pattern, when.recurrence_period.total_seconds() if when.recurrence_period else 0) == (
        "Europe/Berlin",
        86_400,
    )
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0].startswith("create MeterReadSchedule daily: OK, ")
    assert lines[1].startswith("due for the first time at ") and "01:15+01:00" in lines[1]
    assert lines[2].split() == ["schedule", "every", "zone", "next", "due", "meters", "reading", "types"]
    assert lines[3].split()[:4] == ["daily", "day", "01:15", "Europe/Berlin"]
    assert lines[3].endswith("M1001, M1002  load-profile")
    shown = [line.split() for line in lines[4:11]]
    assert ["every", "day", "at", "01:15,", "Europe/Berlin"] in shown
    assert ["M1001", "load-profile", "3", "2026-03-01", "13:00+01:00", "2026-03-01", "13:30+01:00"] in shown
    assert [line.partition(",")[0] for line in lines[-3:-1]] == [
        "cancel MeterReadSchedule daily: OK",
        "delete MeterReadSchedule daily: OK",
    ]
    assert lines[-1] == "The HES has no such schedule."


async def test_a_schedule_of_a_group_shows_no_values_of_meters_that_may_be_in_another_one(
    tmp_path: Path, hes: StandInHes, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who is in a group the HES alone knows; without a name all schedules are asked for, those of groups too."""
    hes.behaviour = Schedules()
    create = ["create", "--name", "north", "--type", "load-profile", "--group", "feeder=F12"]
    assert await schedule(tmp_path, hes, create, ["show", "north"], ["show", "north", "--json"], ["list"]) == [0] * 4
    shown = capsys.readouterr().out
    assert "M1001" not in shown and "group feeder=F12" in shown
    assert "Which meters are in the group is known to the HES alone" in " ".join(shown.split())
    assert json.loads(next(line for line in shown.splitlines() if line.startswith("{")))["kept"] == []
    listing = next(one for one in hes.requests if one.header.verb == "get" and not one.request_identifiers)
    assert listing.query == GetMeterReadSchedule()


async def test_the_ok_of_an_earlier_order_is_none_for_a_schedule_that_was_deleted(
    tmp_path: Path, hes: StandInHes, capsys: pytest.CaptureFixture[str]
) -> None:
    """The HES answers the same MessageID as it did before."""
    there = Schedules()

    async def behaviour(one: StandInHes, received: Received) -> Response:
        again = "delete" in there.verbs and received.message.header.verb == "create"
        answer = await there(one, received)
        if again:
            there.kept.clear()
        return answer

    hes.behaviour = behaviour
    assert await schedule(tmp_path, hes, CREATE, ["delete", "daily"], CREATE) == [0, 0, 1]
    assert "its OK was for an earlier order of this name" in capsys.readouterr().out


@pytest.mark.parametrize(("code", "exit_code", "names"), [("5.1", 1, []), ("2.4", 0, ["last"])])
async def test_a_list_lacks_no_schedule_silently(
    tmp_path: Path,
    hes: StandInHes,
    capsys: pytest.CaptureFixture[str],
    code: str,
    exit_code: int,
    names: list[str],
) -> None:
    """One that could not be had is an end of its own; one that was deleted meanwhile is none any more."""
    there = Schedules()

    async def lacking(of: StandInHes, received: Received) -> Response:
        message = received.message
        if len(there.kept) == 2 and message.request_identifiers and message.request_identifiers[0].value == "daily":
            failed = Reply(result="FAILED", errors=(ReplyError(code=code, reason="not now"),))
            return soap(reply_to(message, failed), received.wrapper)
        return await there(of, received)

    hes.behaviour = lacking
    commands = [CREATE, [*CREATE, "--name", "last"], ["list", "--json"]]
    assert await schedule(tmp_path, hes, *commands) == [0, 0, exit_code]
    listed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [one["name"] for one in listed["schedules"]] == names
    assert [one["code"] for one in listed["errors"]] == ([code] if exit_code else [])


async def test_schedules_beyond_those_that_are_looked_up_are_counted(
    tmp_path: Path, hes: StandInHes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ami_cis.workflows.schedules.MOST_LISTED", 1)
    hes.behaviour = Schedules()
    assert await schedule(tmp_path, hes, CREATE, [*CREATE, "--name", "last"], ["list"], ["list", "--json"]) == [0] * 4
    *_, line, document = capsys.readouterr().out.splitlines()
    assert line == "and 1 more: name meters or a group"
    listed = json.loads(document)
    assert ([one["name"] for one in listed["schedules"]], listed["further"]) == (["daily"], 1)


async def test_more_meters_than_a_message_may_name_are_not_left_out_of_the_question(
    tmp_path: Path, hes: StandInHes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ami_cis.schedules_api.MAX_METERS", 1)
    assert await schedule(tmp_path, hes, ["list", "--meter", "M1001", "--meter", "M1002"]) == [2]
    assert "meter: at most 1 are taken" in capsys.readouterr().err
    assert hes.requests == []


async def test_a_name_that_was_used_for_something_else_is_not_sent(
    tmp_path: Path, hes: StandInHes, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where that schedule was deleted: its name is the MessageID of its create."""
    hes.behaviour = Schedules()
    other = [*CREATE, "--every", "hour"]
    assert await schedule(tmp_path, hes, CREATE, ["delete", "daily"], other, [*other, "--json"]) == [0, 0, 1, 1]
    *_, head, reason, document = capsys.readouterr().out.splitlines()
    assert head.startswith("create MeterReadSchedule daily: NOT SENT, ")
    assert (
        reason.startswith("nothing was sent: the MessageID daily belongs to another request")
        and "another one" in reason
    )
    assert (json.loads(document)["not_sent"], json.loads(document)["unknown"]) == (True, False)
    assert [one.header.verb for one in hes.requests].count("create") == 1


async def test_json_and_groups(tmp_path: Path, hes: StandInHes, capsys: pytest.CaptureFixture[str]) -> None:
    hes.behaviour = Schedules()
    create = ["create", "--type", "import", "--group", "feeder=F12", "--every", "hour", "--at", "00:05", "--json"]
    assert await schedule(tmp_path, hes, create, ["list", "--group", "F12", "--json"], zone="UTC") == [0, 0]
    ordered, listed = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert ordered["result"] == "OK" and datetime.fromisoformat(ordered["first_due_at"]).minute == 5
    (one,) = listed["schedules"]
    assert (one["name"], one["group"], one["every"], one["time_zone"]) == (ordered["name"], "feeder=F12", "hour", "UTC")
    groups = [(name.name_type, name.name) for each in hes.requests[0].payload.end_device_groups for name in each.names]  # type: ignore[union-attr]
    assert groups == [("feeder", "F12")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create", "--type", "import"], "name meters or mrids, or a group"),
        ([*CREATE, "--group", "F12"], "name meters or mrids, or a group"),
        ([*CREATE, "--at", "24:00"], "a time of day as 00:30"),
        ([*CREATE, "--zone", "Europe/Atlantis"], "a time zone of IANA"),
        ([*CREATE, "--type", "imports"], "is no ReadingType"),
        ([*CREATE, "--meter", "M9"], "M9: the CIS knows no mRID of it"),
        (["list", "--meter", "M9"], "M9: the CIS knows no mRID of it"),
        (["list", "--meter", "M1001", "--group", "F12"], "exclude each other"),
    ],
)
async def test_what_is_refused_is_exit_code_2(
    tmp_path: Path, hes: StandInHes, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert await schedule(tmp_path, hes, arguments) == [2]
    assert words in capsys.readouterr().err and hes.requests == []


async def test_a_refusal_of_the_hes_is_exit_code_1_and_moves_no_cursor(
    tmp_path: Path, hes: StandInHes, capsys: pytest.CaptureFixture[str]
) -> None:
    hes.behaviour = Schedules()
    assert await schedule(tmp_path, hes, ["show", "other"], ["cancel", "other"]) == [1, 1]
    lines = capsys.readouterr().out.split("\n")
    assert all(map(str.isprintable, lines))
    assert lines[0].startswith("get MeterReadSchedule: FAILED, ") and lines[1].startswith("2.4 no such schedule")


def test_a_cis_that_is_not_there_is_exit_code_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schedule", "list", "--url", "http://127.0.0.1:1"]) == 3
    assert "cannot be reached" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("now", "every", "at", "due"),
    [
        ("2026-03-28T12:00+01:00", "day", "00:30", "2026-03-29T00:30+01:00"),
        ("2026-03-28T12:00+01:00", "day", "12:00", "2026-03-29T12:00+02:00"),
        ("2026-03-28T12:00+01:00", "day", "02:30", "2026-03-30T02:30+02:00"),  # never shown on the 29th
        ("2026-10-24T12:00+02:00", "day", "02:30", "2026-10-26T02:30+01:00"),  # shown twice on the 25th
        ("2026-03-28T12:00+01:00", "hour", "00:05", "2026-03-28T12:05+01:00"),
        ("2026-03-28T12:05:30+01:00", "hour", "00:05", "2026-03-28T13:05+01:00"),
    ],
)
def test_when_a_schedule_is_due_for_the_first_time(now: str, every: Any, at: str, due: str) -> None:
    order = ReadSchedule(reading_types=(QUARTERS,), every=every, at=at, zone=BERLIN, name="daily")
    assert first_due(order, datetime.fromisoformat(now)) == datetime.fromisoformat(due)
