"""Controls beside the switch on their whole way: the CIS, the HES and three-phase meters in processes, and the simulator says what was done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from asked_meters import Simulator, running
from harness import System

from ami_cis.__main__ import main


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
    return code, json.loads(capsys.readouterr().out)


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
