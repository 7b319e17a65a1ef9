"""Controls beside the switch, carried out on a simulated meter in a process of its own: OK is what it shows afterwards."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from small_meter import South
from test_simulated_meter import Simulator, entry, simulator

from ami_cim.control_parameters import (
    Day,
    DayPeriod,
    Limiter,
    LimiterEmergency,
    Season,
    SpecialDay,
    TimeOfUse,
    Week,
)
from ami_dlms import data
from ami_dlms.obis import Obis
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
    week = Week(name="W", monday=1, tuesday=1, wednesday=1, thursday=1, friday=1, saturday=2, sunday=2)
    calendar = TimeOfUse(
        name="NEW",
        seasons=(Season(name="S", start="--01-01", week="W"),),
        weeks=(week,),
        days=(
            Day(day_id=1, periods=(DayPeriod(start="00:00", rate=1),)),
            Day(day_id=2, periods=(DayPeriod(start="00:00", rate=2),)),
        ),
        special_days=(SpecialDay(date="--05-01", day_id=2),),
    )
    limit = Limiter(threshold=Decimal(4600), over_s=30, under_s=20)
    emergency = LimiterEmergency(threshold=Decimal(1000), duration_s=600)
    taken = {
        "limit-set": limit,
        "emergency-limit-set": emergency,
        "tariff-change": calendar,
        "display-text": "Good morning",
    }
    proofs = {
        "limit-set": "class 71 0-0:17.0.0*255 attribute 4",
        "emergency-limit-set": "class 71 0-0:17.0.0*255 attribute 10",
        "emergency-limit-clear": "class 71 0-0:17.0.0*255 attribute 10",
        "limit-clear": "class 71 0-0:17.0.0*255 attribute 4",
        "display-text": "class 1 0-0:96.13.0*255 attribute 2",
        "tariff-change": "class 20 0-0:13.0.0*255 attribute 5",
        "demand-reset": "class 1 1-0:0.1.0*255 attribute 2",
        "event-log-reset": "class 7 0-0:99.98.0*255 attribute 7",
        "alarm-reset": "class 1 0-0:97.98.0*255 attribute 2",
        "clock-set": "class 8 0-0:1.0.0*255 attribute 2",
    }
    for name, proof in proofs.items():
        outcome = await ami.control(control_for(CODES[name]), taken.get(name))
        assert (outcome.ok, outcome.code, outcome.attempted) == (True, None, True), outcome.reason
        described = ami.described[-1]
        assert described["control"] == name and shown(described, proof)
        assert all(step["result"] == "success" for step in described["steps"]) and described["steps"]
    later = replace(calendar, name="LATER", activate_at=datetime(2090, 1, 1, tzinfo=UTC))
    assert (await ami.control(control_for(CODES["tariff-change"]), later)).ok
    assert shown(ami.described[-1], "class 20 0-0:13.0.0*255 attribute 10").startswith("082a0101")
    assert len(ami.kept) == len(proofs) + 1, "each attempt is kept before anything leaves"


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
    for code, taken in (
        ("3.36.114.13", None),
        ("3.17.44.214", None),
        ("3.17.285.214", None),
        ("3.31.139.22", None),
        ("3.31.139.26", Limiter(threshold=Decimal(1))),
        ("3.13.112.77", "Good morning"),
    ):
        outcome = await ami.control(control_for(code), taken)
        assert (outcome.ok, outcome.code, outcome.attempted) == (False, "5.2", False), outcome.reason
        assert "nothing was changed" in outcome.reason and "switched" not in outcome.reason


async def test_a_refusal_says_nothing_of_what_an_earlier_life_may_have_sent(ami: South) -> None:
    meter = await ami.meter()
    meter.values[Obis.parse("0-0:96.13.0*255"), 2] = data.octet_string(b"before")
    await ami.start()
    text = control_for(CODES["display-text"])
    first = await ami.control(text, "Good morning")
    assert "may or may not" not in first.reason and "not sent" not in first.reason
    again = await ami.control(text, "Good morning", attempted=True)
    assert (again.ok, again.code, again.attempted) == (False, "5.3", True)
    assert "may or may not have carried it out" in again.reason
