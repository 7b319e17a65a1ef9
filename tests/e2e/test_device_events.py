"""What happens to a meter, all the way in processes: a simulated meter, the HES and the CIS, which asks for it and is not a subscriber."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from asked_meters import Simulator
from free_ports import free_port
from harness import System, system

from ami_cis.__main__ import main as cis
from ami_hes.__main__ import main as hes

COVER = "0.12.0.257"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """M1001 pushes its alarms to the head-end."""
    with system(tmp_path_factory.mktemp("events"), meters=1) as one:
        one.config["meter_sim"]["port"] = free_port()
        for section in ("hes", "meter_sim"):
            one.config[section]["token_file"] = str(one.directory / f"{section}.tokens")
        push_to = f"tcp://127.0.0.1:{one.config['hes']['dlms_port']}"
        one.config["meters"][0]["simulated"] = {"model": "single-phase", "push_to": push_to}
        one.start_together()
        one.start_cis("--no-loop").wait_for("ready")
        yield one


@pytest.fixture
def simulator(whole: System) -> Iterator[Simulator]:
    one = Simulator(whole)
    yield one
    one.close()


def listed(whole: System, capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    code = cis(["events", "--url", f"http://127.0.0.1:{whole.config['cis']['port']}", "--json", *options])
    assert code == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["events"]
    return found


def test_the_cis_asks_for_what_has_happened_and_keeps_it(
    whole: System, simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert whole.hes is not None
    simulator.post("/meters/M1001/conditions", {"condition": "terminal_cover", "there": True})
    whole.hes.wait_for("notification")
    assert listed(whole, capsys, "--type", "fraud") == []
    (cover,) = listed(whole, capsys, "--fetch", "--meter", "M1001", "--type", "fraud")
    assert (cover["meter"], cover["code"], cover["details"]["bit"]) == ("M1001", COVER, "13")
    assert listed(whole, capsys, "--fetch") == listed(whole, capsys, "--meter", "M1001") != []


def hes_events(whole: System, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    token = str(whole.directory / "hes.tokens")
    code = hes(["events", *words, "--url", whole.hes_url, "--token-file", token, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_event_logs_are_read_once_and_what_they_have_reaches_the_cis(
    whole: System, simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """Read twice, and whole: each entry is one event. The alarm that the same hand has set off is an event of its own (M-153)."""
    for there in (True, False):
        simulator.post("/meters/M1001/conditions", {"condition": "meter_cover", "there": there})
    for more in ((), (), ("--whole",)):
        code, campaign = hes_events(whole, capsys, "poll", "M1001", "--wait", *more)
        assert (code, campaign["ok"]) == (0, 1), campaign
    _, found = hes_events(whole, capsys, "list", "--type", "meter-cover-removed", "--type", "meter-cover-closed")
    assert sorted((one["type"], one["details"]["number"], one["clock"]) for one in found["events"]) == [
        ("0.12.141.16", "45", "meter"),
        ("0.12.141.212", "44", "meter"),
    ]
    fetched = listed(whole, capsys, "--fetch", "--type", "meter-cover-removed")
    assert [one["event_id"] for one in fetched] == [
        one["event_id"] for one in found["events"] if one["type"] == "0.12.141.212"
    ]


def test_a_control_of_the_cis_is_an_event_that_it_can_ask_for(
    whole: System, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside the reply, with what it answers."""
    capsys.readouterr()
    url = f"http://127.0.0.1:{whole.config['cis']['port']}"
    assert cis(["send", "--url", url, "--code", "3.31.0.23", "--meter", "M1001", "--json"]) == 0
    sent = json.loads(capsys.readouterr().out)
    (event,) = listed(whole, capsys, "--fetch", "--type", "disconnected")
    assert (event["code"], event["issuer_tracking_id"]) == ("3.31.0.68", sent["message_id"])
    assert (event["details"]["result"], event["details"]["clock"]) == ("done", "head-end")
