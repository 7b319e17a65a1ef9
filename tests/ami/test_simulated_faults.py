"""docs/howto/simulated-faults.md: each example on a meter of its own, all in one demo, and what the HES then says."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from free_ports import free_port

from ami_cli import configuration, generated_meters
from ami_meter_sim.settings import SimulatedSettings

PAGE = Path(__file__).parents[2] / "docs/howto/simulated-faults.md"
EXAMPLES = re.findall(r"```toml\n(.*?)```\n\n```text\n(.*?)\n```", PAGE.read_text("utf-8"), re.DOTALL)
NO_FAULTS = {
    "associations",
    "signing_key",
    "client_signing_key",
    "model",
    "listen",
    "dial_to",
    "time_zone_minutes",
    "push_to",
    "push_on_switch",
    "push_every_s",
    "push_protected",
}


def meters() -> list[dict[str, Any]]:
    made = []
    for number, (fault, _) in enumerate(EXAMPLES, 1):
        meter = generated_meters.meter(number, f"127.0.0.1:{free_port()}", seed="faults")
        meter["simulated"] |= tomllib.loads(fault)
        made.append(meter)
    return made


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the HES says about each meter in its first disconnect."""
    directory = tmp_path_factory.mktemp("faults")
    document = configuration.load(PAGE.parents[2] / "config/demo.toml") | {"meters": meters()}
    ports = {"cis_port": free_port(), "hes_port": free_port(), "dlms_port": free_port()}
    document = configuration.effective(document, configuration.Changes(**ports, period_s=3600))
    document["hes"] |= {"apdu_timeout_s": 15.0, "deadline_s": 120.0}  # the machine may be busy
    document["cis"]["request_timeout_s"] = 150.0
    document["demo"]["read"] = []  # a fault of the meter would be met by the read before the disconnect
    configuration.write(document, directory / "mine.toml")
    arguments = [sys.executable, "-m", "ami_cli", "demo", "--config", "mine.toml", "--json"]
    arguments += ["--meter-sim-port", "0"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AMI_")}
    found: dict[str, dict[str, Any]] = {}
    with subprocess.Popen(arguments, cwd=directory, env=environment, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            event = json.loads(line)
            if event["event"] == "meter_done":
                found.setdefault(event["meter"], event)  # a connect may follow before the demo has stopped
            if event["event"] == "reply_received":
                demo.send_signal(signal.SIGINT)
    return found


@pytest.mark.ci
@pytest.mark.parametrize("number", range(len(EXAMPLES)), ids=[fault.strip() for fault, _ in EXAMPLES])
def test_the_reply_is_what_the_page_says(done: dict[str, dict[str, Any]], number: int) -> None:
    event = done[f"M{generated_meters.FIRST_NUMBER + number + 1}"]
    said = "OK" if event["ok"] else f"{event['reply_code']} {event['reason']}"
    at = 0
    for words in EXAMPLES[number][1].split("…"):
        found = said.find(words.strip(), at)
        assert found >= 0, f"{words!r} is not in {said!r}"
        at = found + len(words.strip())


def test_every_fault_is_on_the_page() -> None:
    shown = {key for fault, _ in EXAMPLES for key in tomllib.loads(fault)}
    assert shown == SimulatedSettings.model_fields.keys() - NO_FAULTS
