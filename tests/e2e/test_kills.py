"""CIS and HES killed (`kill -9`) at each step of a request, synchronous and asynchronous.

Whoever is killed, the CIS never says "failed" of what was carried out: it asks again under the same MessageID, also after its
own restart, and gets the answer of the one switching that there was.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from harness import Process, System, until
from stranger import CONNECT, DISCONNECT

STEPS: dict[str, Callable[[System], object]] = {
    "accepted": lambda ami: hes(ami).wait_for("request_accepted"),
    "switched": lambda ami: ami.process("M1001").wait_for("switched"),
    "meter done": lambda ami: hes(ami).wait_for("meter_done"),
    "answered": lambda ami: hes(ami).wait_for("reply_sent"),
}
SMALL = ("switched",)
"""Killed when it matters most: the control has left and no answer has been made."""
EACH_STEP = [pytest.param(step, marks=() if step in SMALL else pytest.mark.ci) for step in STEPS]

OPTIONS = pytest.mark.parametrize(
    "options",
    [pytest.param((), id="synchronous"), pytest.param(("--asynchronous",), id="asynchronous", marks=pytest.mark.ci)],
)
ASYNCHRONOUS = pytest.mark.parametrize(
    "asynchronous",
    [pytest.param(False, id="synchronous", marks=pytest.mark.ci), pytest.param(True, id="asynchronous")],
)


def hes(ami: System) -> Process:
    assert ami.hes is not None
    return ami.hes


def switchings(ami: System, expected: int = 0) -> int:
    """How often the meter's switch has moved; its word of those that are expected may still be on its way."""
    seen = ami.process("M1001").wait_for_some("switched", expected)
    return len([one for one in seen if one["before"]["output_state"] != one["after"]["output_state"]])


@pytest.fixture
def slow(ami: System) -> System:
    """One meter, whose answers leave time to kill somebody."""
    ami.config["meters"] = ami.config["meters"][:1]
    ami.config["meters"][0]["simulated"]["answer_delay_s"] = 0.1
    ami.config["hes"]["deadline_s"] = 20.0
    ami.config["cis"]["request_timeout_s"] = 30.0
    ami.config["demo"]["connect_after_s"] = 600.0
    return ami.start()


def outcome(process: Process) -> dict[str, Any]:
    process.wait()
    process.stop()
    (said,) = [event for event in process.events if "confirmed" in event]
    return said


@OPTIONS
@pytest.mark.parametrize("step", EACH_STEP)
def test_hes_killed_at_a_step(slow: System, step: str, options: tuple[str, ...]) -> None:
    asking = slow.send(DISCONNECT, *options)
    STEPS[step](slow)
    hes(slow).kill()
    slow.start_hes()
    said = outcome(asking)
    assert (said["result"], said["unknown"], said["reason"]) == ("OK", False, None), said
    assert switchings(slow, 1) == 1
    assert control_events(slow) == [("3.31.0.68", said["message_id"])]


def control_events(ami: System) -> list[tuple[str, str]]:
    """What the head-end has told of its controls, in the order in which it was kept."""
    query = "SELECT code, issuer_tracking_id FROM device_event_journal JOIN device_events USING (event_id)"
    with closing(sqlite3.connect(ami.config["hes"]["store"], timeout=20)) as store:
        return [(code, request) for code, request in store.execute(query)]


@OPTIONS
def test_hes_away_from_the_beginning_has_taken_nothing(slow: System, options: tuple[str, ...]) -> None:
    hes(slow).kill()
    said = outcome(slow.send(DISCONNECT, *options))
    assert (said["result"], said["unknown"]) == (None, False)
    assert "cannot be reached" in said["reason"]
    slow.start_hes()
    assert hes(slow).seen("request_accepted") == [] and switchings(slow) == 0


@OPTIONS
def test_hes_killed_and_away_for_good_is_unknown(slow: System, options: tuple[str, ...]) -> None:
    slow.config["cis"] |= {"ask_again_s": 3.0, "request_timeout_s": 2.0}
    asking = slow.send(DISCONNECT, *options)
    slow.process("M1001").wait_for("switched")
    hes(slow).kill()
    said = outcome(asking)
    assert (said["result"], said["unknown"]) == (None, True)
    assert "it is not known what became of the request" in said["reason"]


@ASYNCHRONOUS
@pytest.mark.parametrize("step", EACH_STEP)
def test_cis_killed_at_a_step(slow: System, step: str, asynchronous: bool) -> None:
    slow.config["cis"]["asynchronous"] = asynchronous
    first = slow.start_cis("--cycles", "1")
    sent = first.wait_for("request_sent")
    STEPS[step](slow)
    first.kill()
    second = slow.start_cis("--no-loop")
    second.wait_for("ready")
    until(lambda: answered(slow, sent["message_id"]), "the CIS has the answer in its store")
    assert second.seen("request_failed") == second.seen("request_unknown") == []
    assert len(hes(slow).seen("request_accepted")) == 1 and switchings(slow, 1) == 1


def answered(ami: System, message_id: str) -> bool:
    """Whether the CIS, in whichever life, has kept the final reply OK."""
    with closing(sqlite3.connect(ami.config["cis"]["store"], timeout=20)) as store:
        rows = store.execute(
            "SELECT state, result FROM requests JOIN replies ON request = message_id WHERE message_id = ?",
            (message_id,),
        ).fetchall()
    return rows == [("answered", "OK")]


@ASYNCHRONOUS
def test_both_killed_after_the_switching(slow: System, asynchronous: bool) -> None:
    slow.config["cis"]["asynchronous"] = asynchronous
    first = slow.start_cis("--cycles", "1")
    sent = first.wait_for("request_sent")
    slow.process("M1001").wait_for("switched")
    hes(slow).kill()
    first.kill()
    second = slow.start_cis("--no-loop")
    second.wait_for("asking_again", reason="it was sent before a restart")
    slow.start_hes()
    told = second.wait_for("reply_received", 40.0)
    assert (told["message_id"], told["result"]) == (sent["message_id"], "OK")
    assert switchings(slow, 1) == 1


def test_a_control_after_a_restart_is_another_one(slow: System) -> None:
    assert outcome(slow.send(DISCONNECT))["result"] == "OK"
    hes(slow).kill()
    slow.start_hes()
    assert outcome(slow.send(CONNECT))["result"] == "OK"
    assert switchings(slow, 2) == 2
