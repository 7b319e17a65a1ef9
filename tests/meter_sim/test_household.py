"""Another household is put behind a meter that runs: what was measured stays, and what is measured from then on is that of the other one."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from bench import IMPORT, PROFILE, Bench, attribute, setup

from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_meter_sim.load.houses import HouseKind
from ami_meter_sim.meter.simulated_meter import Meter
from ami_meter_sim.objects.cosem_object import ReadContext
from ami_meter_sim.objects.household import change_household
from ami_meter_sim.objects.metering import Flow
from ami_meter_sim.objects.model_files import load_model
from ami_meter_sim.objects.timeline import second_of
from ami_packs.model import MANAGEMENT

OTHERS = (HouseKind.SOLAR, HouseKind.HEAT_PUMP, HouseKind.CAR, HouseKind.SHOP)


def energy_ws(meter: Meter, at: datetime, flow: Flow = Flow.IMPORT) -> int:
    meter.advance(at)
    return int(meter.device.metering.energy_ws(flow, second_of(at)))


def value(meter: Meter, at: datetime, name: tuple[int, str], number: int) -> Any:
    association = meter.association(1)
    assert association is not None
    found = meter.get(attribute(name, number), ReadContext(MANAGEMENT, association.profile), at)
    assert isinstance(found, Data)
    return found.value


def rows(meter: Meter, at: datetime) -> list[tuple[Any, ...]]:
    return [tuple(cell.value for cell in row.value) for row in value(meter, at, PROFILE, 2)]


@pytest.mark.parametrize("kind", OTHERS)
def test_registers_go_on_and_past_rows_stay(tmp_path: Path, kind: HouseKind) -> None:
    bench = Bench(tmp_path)
    meter = bench.start(setup(model=load_model("single-phase")), with_past=True)
    first = meter.device.house.kind
    if first is kind:
        meter.happen(lambda device: change_household(device, HouseKind.HOUSEHOLD), bench.at)
    at = bench.later(hours=30, minutes=7, seconds=11)
    before, past = energy_ws(meter, at), rows(meter, at)
    meter.happen(lambda device: change_household(device, kind), at)
    assert meter.device.house.kind is kind
    assert energy_ws(meter, at) == before
    assert rows(meter, at)[-len(past) :] == past
    shown = [energy_ws(meter, bench.later(minutes=10)) for _ in range(144)]
    assert shown == sorted(shown) and shown[0] >= before, "a register never goes back"
    house, began = meter.device.house, second_of(at)
    assert shown[-1] - before == house.import_ws(second_of(bench.at)) - house.import_ws(began)
    later = rows(meter, bench.at)
    assert [one for one in later if one in past][-20:] == past[-20:]


def test_what_a_roof_feeds_in_begins_with_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    meter = bench.start(setup(model=load_model("prosumer")))
    for kind, feeds in ((HouseKind.HOUSEHOLD, False), (HouseKind.SOLAR, True), (HouseKind.SHOP, False)):
        meter.happen(lambda device, kind=kind: change_household(device, kind), bench.later(minutes=3))
        before = energy_ws(meter, bench.at, Flow.EXPORT)
        assert (energy_ws(meter, bench.later(days=3), Flow.EXPORT) > before) is feeds


def test_rows_follow_from_the_household_of_their_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    meter = bench.start(setup(model=load_model("single-phase")), with_past=True)
    first, changed_at = meter.device.house, second_of(bench.later(hours=5, minutes=7))
    before = energy_ws(meter, bench.at)
    meter.happen(lambda device: change_household(device, HouseKind.SHOP), bench.at)
    found = rows(meter, bench.later(hours=5))[-40:]
    seconds = [second_of(CosemDateTime.decode(row[0]).to_datetime()) for row in found]
    assert seconds[0] < changed_at < seconds[-1]
    for second, row in zip(seconds, found, strict=True):
        house = first if second <= changed_at else meter.device.house
        assert row[2] == (before + house.import_ws(second) - house.import_ws(changed_at)) // 3600
    assert value(meter, bench.at, IMPORT, 2) >= found[-1][2]


def test_it_is_the_same_after_a_restart(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    meter = bench.start(setup(model=load_model("single-phase")))
    meter.happen(lambda device: change_household(device, HouseKind.SHOP), bench.later(minutes=20))
    before = energy_ws(meter, bench.at)
    again = bench.start(setup(model=load_model("single-phase")))
    assert again.device.house.kind is HouseKind.SHOP
    assert energy_ws(again, bench.at) == before


def test_the_same_kind_once_more_changes_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    meter = bench.start(setup())
    version, kind = meter.device.history.version, meter.device.house.kind
    meter.happen(lambda device: change_household(device, kind), bench.later(minutes=1))
    assert meter.device.kept.empty and meter.device.history.version == version
