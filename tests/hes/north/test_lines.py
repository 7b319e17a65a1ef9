"""Every line that is about a request has its MessageID, every line that is about a meter its name: over a run, and by declaration."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import pytest
from north_bench import DISCONNECT, StandIn, control, north, request

from ami_hes import events
from ami_hes.commands import Outcome
from ami_process.events import Event

OF_REQUESTS = ("events.requests", "events.work", "events.replies")
OF_NO_REQUEST = {"RequestUnreadable", "RequestTooCostly", "ResultsNotKept", "DirectoryUnusable"}
"""What could not be read has no MessageID yet; results are counted that a store does not take at the end of the process; a directory is
looked at as the process starts, whatever waits for it."""
SEVERAL_METERS = {"RequestAccepted"}


def declared() -> list[type[Event]]:
    return [
        value for name in events.__all__ if inspect.isclass(value := getattr(events, name)) and issubclass(value, Event)
    ]


@pytest.mark.parametrize("event", declared(), ids=lambda event: event.__name__)
def test_a_line_of_a_request_or_a_meter_is_declared_with_its_name(event: type[Event]) -> None:
    fields = {field.name for field in dataclasses.fields(event)}
    if event.__module__.endswith(OF_REQUESTS) and event.__name__ not in OF_NO_REQUEST:
        assert "message_id" in fields
    if event.__module__.endswith("events.work") and event.__name__ not in OF_NO_REQUEST:
        assert "meter" in fields
    if event.__name__ in SEVERAL_METERS:
        assert "meters" in fields


async def test_the_lines_of_a_run_can_be_joined(tmp_path: Path) -> None:
    lines: list[Any] = []
    stand_in = StandIn(outcomes={"M2": Outcome(False, "5.4", "FATAL", "it does not answer"), "M3": OSError("a fault")})
    async with north(tmp_path, stand_in, events=lines) as hes:
        await hes.ask(request(control(DISCONNECT, "M1", "M2", "M3"), message_id="a-request"))
        await hes.ask(request(control(DISCONNECT, "M1", "M2", "M3"), message_id="a-request"))
        await hes.ask(request(control(DISCONNECT, "M9"), message_id="another"))
    about = [line for line in lines if "request" in line["event"] or "meter" in line or "reply" in line["event"]]
    assert {line["event"] for line in about} >= {
        "request_accepted",
        "meter_done",
        "request_repeated",
        "operation_failed",
    }
    assert all(line["message_id"] in ("a-request", "another") for line in about)
    done = [(line["message_id"], line["meter"]) for line in lines if line["event"] == "meter_done"]
    assert sorted(done) == [("a-request", "M1"), ("a-request", "M2"), ("a-request", "M3")]
