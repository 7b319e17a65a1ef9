"""A gas meter on the M-Bus of an electricity meter, read as a meter of its own over real sockets: its values, and that it is the one that is meant."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from measured_meter import Measured, measuring, of, qualities, times
from small_meter import South

from ami_dlms import data
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_hes.operations.read_results import STORE, STORE_FIRST

sys.path.insert(0, str(Path(__file__).parents[2] / "meter_sim"))

from bench import attribute, method

from ami_meter_sim.objects.mbus_client import gas_litres

VOLUME, HOURS, HOURLY, ENERGY = (
    "0.0.0.1.1.7.58.0.0.0.0.0.0.0.0.0.42.0",
    "0.0.7.1.1.7.58.0.0.0.0.0.0.0.0.0.42.0",
    "0.0.7.4.1.7.58.0.0.0.0.0.0.0.0.0.42.0",
    "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0",
)
NOON = datetime(2026, 11, 3, 12, 20, tzinfo=UTC)
CLIENT = (72, "0-1:24.1.0")
DERIVED, SUSPECT = "2.11.0", "2.5.258"


def gas(**changes: Any) -> dict[str, Any]:
    return {
        "name": "G1001",
        "mrid": "00000000-0000-0000-0000-000000009001",
        "usage_points": ["UP-GAS-1"],
        "behind": "M1001",
        "channel": 1,
        "identification": "12345678",
        "manufacturer": "AMI",
    } | changes


@pytest.fixture
async def behind(ami: South, tmp_path: Path) -> AsyncIterator[Any]:
    """Makes an electricity meter with a gas meter, as the registry has it."""
    async with measuring(ami, tmp_path) as made:

        async def one(**changes: Any) -> Measured:
            found: Measured = await made(NOON, model="gas-submeter", further=[gas(**changes)])
            return found

        yield one


def cubic_metres(one: Measured, at: datetime) -> Decimal:
    """What the gas meter has counted, by the physics behind it; nothing of a meter is asked."""
    return Decimal(gas_litres(one.bench.meter.name, int(at.timestamp()))) / 1000


async def test_its_register_has_the_time_at_which_it_was_given(behind: Any) -> None:
    one = await behind()
    outcome, found = await one.read(None, None, VOLUME, meter="G1001")
    assert outcome.ok, outcome.reason
    (value,) = found.values
    hour = NOON.replace(minute=0)
    assert (value.reading_type, Decimal(value.value)) == (VOLUME, cubic_metres(one, hour))
    assert value.at == int(hour.timestamp() * 1000)
    outcome, everything = await one.read(None, None, meter="G1001")
    (only,) = everything.values
    assert outcome.ok and only.reading_type == VOLUME.replace(".0.42.", ".-3.42."), "all that it has is on its channel"
    assert Decimal(only.value) == 1000 * cubic_metres(one, hour)
    _, kept = await one.read(None, None, VOLUME, meter="G1001", source=STORE)
    assert [(value.value, value.stored) for value in kept.values] == [(value.value, True)]
    outcome, _ = await one.read(None, None, VOLUME, source=STORE)
    assert outcome.code == "5.6", "it is no value of the meter that it is behind"


async def test_its_hours_are_what_the_physics_says(behind: Any) -> None:
    one = await behind()
    start, end = NOON.replace(minute=0) - timedelta(hours=24), NOON.replace(minute=0)
    outcome, found = await one.read(start, end, HOURS, HOURLY, meter="G1001")
    assert outcome.ok, outcome.reason
    register, quantity = of(found, HOURS), of(found, HOURLY)
    ends = [start + timedelta(hours=number) for number in range(1, 25)]
    assert times(register) == times(quantity) == ends and register.intervals
    assert [Decimal(value or "-1") for value in register.values] == [cubic_metres(one, at) for at in ends]
    expected = [cubic_metres(one, later) - cubic_metres(one, before) for before, later in pairwise([start, *ends])]
    assert [Decimal(value or "-1") for value in quantity.values] == expected
    assert set(qualities(register)) == {()} and set(qualities(quantity)) == {(DERIVED,)}
    _, again = await one.read(start, end, HOURS, meter="G1001", source=STORE_FIRST)
    assert of(again, HOURS).stored == tuple(range(24))


async def test_an_hour_in_which_it_was_silent_is_suspect(behind: Any) -> None:
    """The meter goes on to capture what it has; when it got that stands beside it."""
    one = await behind()
    once_a_day = data.double_long_unsigned(86_400)
    assert one.bench.meter.set(attribute(CLIENT, 4), once_a_day, one.bench.at) is DataAccessResult.SUCCESS
    start = NOON.replace(minute=0)
    one.bench.later(hours=15)
    _, found = await one.read(start - timedelta(hours=2), one.bench.at, HOURS, HOURLY, meter="G1001")
    register, quantity = of(found, HOURS), of(found, HOURLY)
    for at, value, said in zip(times(register), register.values, qualities(register), strict=True):
        fresh = at <= start or at.hour == 0
        assert (SUSPECT in said) != fresh, at
        if fresh:
            assert Decimal(value or "-1") == cubic_metres(one, at)
    for at, said in zip(times(quantity), qualities(quantity), strict=True):
        assert (SUSPECT in said) == (at > start), "of two values one is old"
    _, good = await one.read(start, one.bench.at, HOURS, meter="G1001", source=STORE, qualities=(SUSPECT,))
    assert len(of(good, HOURS).values) == 14


async def test_what_one_of_both_does_not_have_is_5_6(behind: Any) -> None:
    one = await behind()
    outcome, found = await one.read(None, None, ENERGY, VOLUME, meter="G1001")
    assert [left.reading_type for left in found.not_read] == [ENERGY] and outcome.code == "5.6"
    outcome, found = await one.read(None, None, ENERGY, VOLUME)
    assert [left.reading_type for left in found.not_read] == [VOLUME] and outcome.code == "5.6"
    assert [Decimal(value.value) for value in found.values] == [one.imported(one.bench.at)]
    water = VOLUME.replace("1.7.58", "1.9.58")
    outcome, found = await one.read(None, None, water, VOLUME, meter="G1001")
    assert [(left.reading_type, left.code) for left in found.not_read] == [(water, "5.6")] and len(found.values) == 1
    outcome, everything = await one.read(None, None)
    assert outcome.ok and VOLUME not in {value.reading_type for value in everything.values}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"identification": "12345679"}, "the registry says AMI 12345679, the meter says AMI 12345678"),
        ({"manufacturer": "XXX"}, "the registry says XXX 12345678"),
        ({"channel": 2}, "no M-Bus client for this channel"),
        ({"behind": "M2002"}, "no registry entry"),
    ],
)
async def test_another_one_than_the_registry_says_is_not_read(behind: Any, changes: dict[str, Any], words: str) -> None:
    one = await behind(**changes)
    for wanted in ((VOLUME,), (), (HOURS,)):
        start = NOON - timedelta(hours=3) if HOURS in wanted else None
        outcome, found = await one.read(start, None, *wanted, meter="G1001")
        assert (outcome.ok, outcome.code, found.count) == (False, "5.2", 0)
        assert words in outcome.reason
    outcome, found = await one.read(None, None, ENERGY)
    assert outcome.ok and found.count == 1


async def test_a_sub_meter_that_was_taken_away_is_not_read(behind: Any) -> None:
    one = await behind()
    done = one.bench.meter.act(method(CLIENT, 2), data.integer(0), one.bench.at)
    assert done.result is ActionResult.SUCCESS
    outcome, found = await one.read(None, None, VOLUME, meter="G1001")
    assert (outcome.code, found.count) == ("5.2", 0) and "the meter says 0000 00000000" in outcome.reason
