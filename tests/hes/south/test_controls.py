"""Controls beside the switch, carried out on a simulated meter in a process of its own: OK is what it shows afterwards."""

from __future__ import annotations

import json
from typing import Any

from small_meter import South
from test_simulated_meter import Simulator, entry, simulator

from ami_mapping.controls import CODES, control_for
from ami_mapping.recipes import RECIPES

__all__ = ["simulator"]

METER = {"model": "single-phase", "time_zone_minutes": -60}


def shown(described: dict[str, Any], attribute: str) -> str:
    return next(one["value"] for one in described["shown"] if one["attribute"] == attribute)


async def test_what_a_meter_shows_proves_each_control(ami: South, simulator: Simulator) -> None:
    meter = entry(simulated=METER)
    await simulator.start(meter)
    await ami.start(meter)
    proofs = {
        "demand-reset": "class 1 1-0:0.1.0*255 attribute 2",
        "event-log-reset": "class 7 0-0:99.98.0*255 attribute 7",
        "alarm-reset": "class 1 0-0:97.98.0*255 attribute 2",
        "clock-set": "class 8 0-0:1.0.0*255 attribute 2",
    }
    for name, proof in proofs.items():
        outcome = await ami.control(control_for(CODES[name]))
        assert (outcome.ok, outcome.code, outcome.attempted) == (True, None, True), outcome.reason
        described = ami.described[-1]
        assert described["control"] == name and shown(described, proof)
        assert all(step["result"] == "success" for step in described["steps"]) and described["steps"]
    assert len(ami.kept) == len(proofs), "each attempt is kept before anything leaves"


async def test_what_may_have_been_sent_before_a_restart_is_not_sent_again(ami: South, simulator: Simulator) -> None:
    meter = entry(simulated=METER)
    await simulator.start(meter)
    await ami.start(meter)
    for code in ("3.8.0.214", "3.17.44.214", "3.17.285.214"):
        outcome = await ami.control(control_for(code), attempted=True)
        assert (outcome.ok, outcome.code, outcome.attempted) == (False, "5.3", True)
        assert "leaves once only" in outcome.reason and not json.loads(outcome.payload or "{}")
    assert (await ami.control(control_for("3.36.114.13"), attempted=True)).ok, "a clock may be set twice"
    assert {name for name, row in RECIPES.items() if not row.repeatable} == {
        "demand_reset",
        "event_log_reset",
        "alarm_reset",
    }


async def test_a_meter_without_the_object_is_told_before_anything_is_sent(ami: South) -> None:
    await ami.meter()
    await ami.start()
    for code in ("3.36.114.13", "3.17.44.214", "3.17.285.214"):
        outcome = await ami.control(control_for(code))
        assert (outcome.ok, outcome.code, outcome.attempted) == (False, "5.2", False), outcome.reason
        assert "nothing was changed" in outcome.reason and "switched" not in outcome.reason
