"""Controls beside the switch on their whole way: the CIS, the HES and three-phase meters in processes, and the simulator says what was done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from asked_meters import START, Simulator, running
from harness import System
from patience import PATIENCE_S

from ami_cis.__main__ import main

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running(tmp_path_factory.mktemp("controls")) as one:
        one.start_cis("--no-loop").wait_for("ready")
        yield one


@pytest.fixture(scope="module")
def simulator(whole: System) -> Iterator[Simulator]:
    one = Simulator(whole)
    yield one
    one.close()


def ask(whole: System, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    """What `cis` ends with, and its answer."""
    capsys.readouterr()
    url = f"http://127.0.0.1:{whole.config['cis']['port']}"
    code = main([arguments[0], "--url", url, "--json", *arguments[1:]])
    written = capsys.readouterr()
    assert written.out, written.err
    return code, json.loads(written.out)


def test_a_demand_reset_ends_a_billing_period(
    whole: System, simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, other = (meter["name"] for meter in whole.config["meters"])
    before = {name: simulator.read(name, 1, "1-0:0.1.0", 2) for name in (first, second, other)}
    code, answer = ask(whole, capsys, "send", "--code", "3.8.0.214", "--meter", first, "--meter", second)
    assert (code, answer["result"], answer["errors"]) == (0, "OK", [])
    after = {name: simulator.read(name, 1, "1-0:0.1.0", 2) for name in (first, second, other)}
    assert after == {first: before[first] + 1, second: before[second] + 1, other: before[other]}
    done = whole.hes.wait_for("meter_done", meter=first)
    assert (done["ok"], done["event_type"], done["details"]["control"]) == (True, "3.8.0.215", "demand-reset")


def test_a_limit_for_a_group_is_what_its_meters_have(
    whole: System, simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, other = (meter["name"] for meter in whole.config["meters"])
    options = ("--threshold", "4600", "--over", "30", "--group", "feeder=F0")
    code, answer = ask(whole, capsys, "control", "limit-set", *options)
    assert (code, answer["result"], answer["code"]) == (0, "OK", "3.31.139.26")
    found = {name: simulator.read(name, 71, "0-0:17.0.0", 4) for name in (first, second, other)}
    assert found == {first: 4600, second: 4600, other: 0}
    code, answer = ask(whole, capsys, "control", "limit-clear", "--meter", first)
    assert (code, simulator.read(first, 71, "0-0:17.0.0", 4)) == (0, 2**32 - 1)


def test_a_calendar_is_active(
    whole: System, simulator: Simulator, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    calendar = tmp_path / "calendar.toml"
    week = "\n".join(f"{day} = 1" for day in DAYS)
    calendar.write_text(
        f'name = "NEW"\n[[seasons]]\nname = "S"\nstart = "--01-01"\nweek = "W"\n[[weeks]]\nname = "W"\n{week}\n'
        '[[days]]\nday_id = 1\nperiods = [{ start = "00:00", rate = 3 }]\n'
    )
    name = whole.config["meters"][1]["name"]
    code, answer = ask(whole, capsys, "control", "tariff-change", "--calendar", str(calendar), "--meter", name)
    assert (code, answer["errors"]) == (0, [])
    assert simulator.read(name, 20, "0-0:13.0.0", 2) == b"NEW".hex()


def test_what_cannot_be_done_is_said_for_each_meter(whole: System, capsys: pytest.CaptureFixture[str]) -> None:
    name = whole.config["meters"][0]["name"]
    code, answer = ask(whole, capsys, "control", "limit-set", "--threshold", "0.5", "--meter", name)
    assert (code, answer["result"]) == (1, "FAILED")
    (error,) = answer["errors"]
    assert (error["code"], error["meter"]) == ("5.2", name) and "nothing was changed" in error["reason"]
    code, answer = ask(whole, capsys, "control", "limit-set", "--meter", name)
    assert (code, answer["errors"][0]["code"]) == (1, "1.7")
    assert main(["control", "dance", "--meter", name]) == 2
    assert "demand-reset" in capsys.readouterr().err


def test_a_control_for_later_waits_and_is_taken_back(whole: System, capsys: pytest.CaptureFixture[str]) -> None:
    name = whole.config["meters"][2]["name"]
    code, answer = ask(whole, capsys, "control", "demand-reset", "--meter", name, "--at", "2026-12-24T12:00:00")
    assert (code, answer["accepted"], answer["confirmed"]) == (0, True, False)
    assert not [done for done in whole.hes.seen("meter_done") if done["meter"] == name]
    sooner = ("control", "clock-set", "--meter", name, "--at", "2026-12-23T12:00:00", "--change", answer["message_id"])
    code, answer = ask(whole, capsys, *sooner)
    assert (code, answer["verb"], answer["accepted"]) == (0, "change", True)
    code, shown = ask(whole, capsys, "control", "--show", answer["message_id"])
    assert (code, shown["verb"]) == (0, "get"), str(shown)
    assert (
        "ordered by CIS" in shown["errors"][0]["reason"] and "it waits for 2026-12-23T" in shown["errors"][0]["reason"]
    )
    code, cancelled = ask(whole, capsys, "control", "--cancel", answer["message_id"])
    assert (code, cancelled["result"], cancelled["errors"]) == (0, "OK", [])
    code, unknown = ask(whole, capsys, "control", "--cancel", "never")
    assert (code, [one["code"] for one in unknown["errors"]]) == (1, ["2.15"])


def test_a_start_that_is_past_is_now(whole: System, capsys: pytest.CaptureFixture[str]) -> None:
    name = whole.config["meters"][0]["name"]
    past = (START - timedelta(hours=1)).astimezone().strftime("%Y-%m-%dT%H:%M:%S")
    code, answer = ask(whole, capsys, "control", "demand-reset", "--meter", name, "--at", past)
    assert (code, answer["accepted"], answer["confirmed"], answer["result"]) == (0, False, True, "OK")


def test_a_control_for_later_is_done_at_its_time(
    whole: System, simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last test of this module: it moves the clock."""
    name = whole.config["meters"][2]["name"]
    before = simulator.read(name, 71, "0-0:17.0.0", 4)
    at = START + timedelta(hours=2)
    local = at.astimezone().strftime("%Y-%m-%dT%H:%M:%S")
    options = ("limit-set", "--threshold", "3000", "--meter", name, "--at", local)
    code, answer = ask(whole, capsys, "control", *options)
    assert (code, answer["accepted"]) == (0, True)
    assert simulator.read(name, 71, "0-0:17.0.0", 4) == before
    token = (whole.directory / "hes.tokens").read_text().strip()
    moved = httpx.post(
        f"{whole.hes_url}/api/v1/clock",
        json={"to": at.isoformat()},
        headers={"Authorization": f"Bearer {token}"},
        trust_env=False,
        timeout=PATIENCE_S,
    )
    assert moved.status_code == 200, moved.text
    assert whole.hes.wait_for("meter_done", meter=name)["ok"]
    assert simulator.read(name, 71, "0-0:17.0.0", 4) == 3000
