"""`ami trace` without a MessageID: which request is the latest, and what it says where there is none."""

from __future__ import annotations

import asyncio
import json

import pytest
from one_answer import answering, response
from typer.testing import CliRunner, Result

from ami_cli.trace.cli import app

EVENTS = {"message_id": "of-events", "verb": "created", "noun": "EndDeviceEvents", "source": None, "meters": 0}
CONTROL = {"message_id": "of-a-control", "verb": "create", "noun": "EndDeviceControls", "source": "CIS", "meters": 2}
REFUSED = {"message_id": "refused-1", "verb": "create", "noun": "EndDeviceControls", "source": None, "meters": 0}
READINGS = {"message_id": "of-a-schedule", "verb": "created", "noun": "MeterReadings", "source": None, "meters": 2}


async def trace(listed: list[dict[str, object]], *options: str) -> tuple[Result, list[bytes]]:
    """What it says to a head-end that keeps these, and what that was asked."""
    ends = {"accepted_at": "2026-11-30T05:08:46Z", "answered_at": None, "result": None, "done": 0, "ok": 0}
    answer = json.dumps({"traces": [one | ends for one in listed], "next": None}).encode()
    async with answering(response("200 OK", answer)) as (url, heard):
        return await asyncio.to_thread(CliRunner().invoke, app, [*options, "--url", url]), heard


@pytest.mark.parametrize(
    ("listed", "options", "shown"),
    [
        ([EVENTS, CONTROL], [], b"of-a-control"),
        ([EVENTS], [], b"of-events"),
        ([EVENTS, CONTROL], ["--noun", "EndDeviceEvents"], b"of-events"),
        ([REFUSED, CONTROL], [], b"refused-1"),
        ([EVENTS, CONTROL], ["--failed"], b"of-events"),
        ([READINGS, CONTROL], [], b"of-a-schedule"),
    ],
)
async def test_the_latest_is_one_that_meters_were_asked_for_or_that_somebody_asked(
    listed: list[dict[str, object]], options: list[str], shown: bytes
) -> None:
    _, heard = await trace(listed, "--last", *options)
    assert heard[1].startswith(b"GET /api/v1/traces/%s " % shown)


@pytest.mark.parametrize(
    ("options", "exit_code", "said"),
    [
        ([], 0, "no request of which there is a trace is kept\n"),
        (["--failed"], 0, "no request of which there is a trace fits --failed\n"),
        (["--pushes", "--meter", "M9"], 0, "no push of which there is a trace fits --pushes --meter M9\n"),
        (["--last", "--noun", "Foo"], 2, "ami: trace: no request of which there is a trace fits --noun Foo\n"),
    ],
)
async def test_where_there_is_none_it_says_so(options: list[str], exit_code: int, said: str) -> None:
    ended, _ = await trace([], *options)
    assert (ended.exit_code, ended.stdout, ended.stderr) == (exit_code, "", said)


async def test_a_program_is_given_an_empty_list() -> None:
    ended, _ = await trace([], "--json")
    assert json.loads(ended.stdout) == {"traces": [], "next": None}
