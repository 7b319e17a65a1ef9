"""Meters of a population are found, listed and let go without power through their rows: none lives longer than it is needed."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import RESIDENTIAL, START, randomness
from patience import PATIENCE_S
from reported import Reported

from ami_meter_sim.control import FleetControl, Selection
from ami_meter_sim.faults import Faults, Occasion, Rule
from ami_meter_sim.fleet import Fleet
from ami_meter_sim.meter.member import Population
from ami_meter_sim.objects.conditions import Condition
from ami_meter_sim.populating import Prepared, prepare
from ami_meter_sim.population.identity import Identities
from ami_meter_sim.population.store import Store, WantedMeters
from ami_meter_sim.population_settings import PopulationSettings, TopologySettings
from ami_meter_sim.refusals import NotThere
from ami_meter_sim.roster import groups_of, members_of, number_of
from ami_meter_sim.snapshots import Snapshots
from ami_process.environment import Environment

COUNT = 2_000


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    store = Store.open(tmp_path, [WantedMeters("some/1", COUNT, population=True)])
    environment = Environment(
        emit=Reported(), now=lambda: START, random_bytes=randomness(), perf_counter=lambda: 0.0
    )  # no time passes: what is due is one portion
    one = Fleet((), environment, store=store, faults=Faults())
    identities = Identities("a seed", 1, COUNT)
    one.add(Population(identities=identities, model=RESIDENTIAL, server_wport=lambda index: 1), 0)
    feeder = {identities.name(index) for index in range(100, 200)}
    one.faults.groups_of = lambda name: ("feeder-1",) if name in feeder else ()
    yield one
    one.finish()


async def test_a_part_of_the_list_makes_no_meter_live(fleet: Fleet) -> None:
    found = await FleetControl(fleet).select(Selection(), most=3, skip=1998)
    identities = fleet.populations[0].identities
    assert [one.name for one in found] == [identities.name(1998), identities.name(1999)]
    assert all(one.powered and one.connected for one in found)
    assert (number_of(fleet), fleet.alive) == (COUNT, 0)


async def test_one_by_its_name_and_a_stranger(fleet: Fleet) -> None:
    control, name = FleetControl(fleet), fleet.populations[0].identities.name(7)
    assert [one.index for one in await control.select(Selection(name=name))] == [7]
    assert await control.select(Selection(name="M7")) == []
    assert control.state(name)["connected"] is True
    with pytest.raises(NotThere, match="no meter 'M7'"):
        control.meter("M7")


async def test_an_outage_of_a_feeder(fleet: Fleet) -> None:
    control = FleetControl(fleet)
    chosen = await control.select(Selection(groups=("feeder-1",)), most=COUNT)
    assert len(chosen) == 100
    assert fleet.store is not None
    segment = fleet.store.journal.segments[-1]
    before = len(list(segment.frames(segment.end)))
    control.power([one.name for one in chosen], on=False)
    async with asyncio.timeout(PATIENCE_S):
        while len(await control.select(Selection(powered=False), most=COUNT)) < 100:
            await asyncio.sleep(0)
    await control.end()
    without = await control.select(Selection(powered=False), most=COUNT)
    assert [one.index for one in without] == list(range(100, 200))
    gc.collect()
    assert fleet.alive == 0, "they live as long as their power goes"
    assert len(list(segment.frames(segment.end))) == before + 1, "one write for all that is due"


async def test_a_fault_of_a_group_and_a_share(fleet: Fleet) -> None:
    fleet.faults.set(Rule.parse({"fault": "silent", "group": "feeder-1", "share": 0.5, "seed": 2}))
    found = await FleetControl(fleet).select(Selection(fault="silent"), most=COUNT)
    assert 30 < len(found) < 70 and all(100 <= one.index < 200 for one in found)


async def test_a_list_leaves_nothing_of_faults_in_memory(fleet: Fleet) -> None:
    fleet.faults.set(Rule.parse({"fault": "slow", "probability": 0.5}))
    control = FleetControl(fleet)
    found = await control.select(Selection(fault="slow"), most=COUNT)
    assert len([control.summary(one) for one in found]) == COUNT
    for one in found:
        assert len(fleet.faults.of(one.name)) == 1
    assert fleet.faults.kept == 0, "nothing has been decided"
    [active] = fleet.faults.of(found[7].name)
    active.happens(Occasion(START), {})
    assert fleet.faults.kept == 1 and fleet.faults.of(found[7].name)[0] is active


async def test_a_reset_ends_what_is_wrong_at_meters_that_nobody_holds(fleet: Fleet) -> None:
    control, name = FleetControl(fleet), fleet.populations[0].identities.name
    control.set_condition(name(3), Condition.MAGNET, there=True)
    control.set_condition(name(4), Condition.TERMINAL_COVER, there=True)
    control.meter(name(4)).lose_power(START)
    gc.collect()
    [one] = await control.select(Selection(name=name(3)))
    assert control.conditions(one) == {Condition.MAGNET} and fleet.alive == 0
    assert await control.reset() == (0, 2)
    assert [control.state(name(number))["conditions"] for number in (3, 4)] == [[], []]
    assert await control.reset() == (0, 0)


async def test_a_part_of_the_network_is_looked_up_and_not_searched(fleet: Fleet) -> None:
    settings = PopulationSettings(
        name="town",
        count=COUNT,
        seed="a seed",
        first_serial=1,
        topology=TopologySettings(meters_per_transformer=10, transformers_per_feeder=3, feeders_per_substation=2),
    )
    [prepared] = prepare([settings])
    fleet.members_of = members_of([(prepared, 0)], [])
    groups, asked = groups_of([prepared], {}), list[str]()
    fleet.faults.groups_of = lambda name: asked.append(name) or groups(name)  # type: ignore[func-returns-value]
    found = await FleetControl(fleet).select(Selection(groups=("S2-F1", "residential"), share=0.5), most=COUNT)
    assert {one.index for one in found} < set(range(60, 90)) and len(found) > 5
    assert len(asked) == 30
    assert await FleetControl(fleet).select(Selection(groups=("S999",))) == []


def test_which_indexes_a_group_has() -> None:
    [one, other] = prepare(
        [
            PopulationSettings(name="town", count=200, seed="a seed", first_serial=1),
            PopulationSettings(name="plant", count=50, seed="another", first_serial=900, model="prosumer", port=4061),
        ]
    )
    members = members_of([(one, 2), (other, 202)], ["prosumer", "minimal"])
    assert members("prosumer") == [range(1), range(202, 252)]
    assert members("town") == [range(2, 202)]
    assert members("S1-F1-T2") == [range(42, 82), range(242, 252)]
    assert members("S7") == members("nobody") == []


async def test_a_snapshot_brings_back_who_was_talked_to_and_who_was_not(fleet: Fleet) -> None:
    control, snapshots, name = FleetControl(fleet), Snapshots(fleet), fleet.populations[0].identities.name
    control.set_condition(name(3), Condition.MAGNET, there=True)
    assert (await snapshots.take("before")).meters == 1
    control.set_condition(name(3), Condition.MAGNET, there=False)
    control.set_condition(name(4), Condition.MAGNET, there=True)
    control.meter(name(4)).lose_power(START)
    used = [control.state(name(number))["next_sent_counter"] for number in (3, 4)]
    await snapshots.restore("before")
    gc.collect()
    assert fleet.alive == 0
    assert [control.state(name(number))["conditions"] for number in (3, 4)] == [["magnet"], []]
    assert control.state(name(4))["powered"] is True
    after = [control.state(name(number))["next_sent_counter"] for number in (3, 4)]
    assert all(now >= before for now, before in zip(after, used, strict=True))


def test_the_groups_of_a_meter_are_where_it_is_in_the_network() -> None:
    topology = TopologySettings(meters_per_transformer=10, transformers_per_feeder=3, feeders_per_substation=2)
    settings = PopulationSettings(name="town", count=200, seed="a seed", topology=topology)
    [prepared] = prepare([settings])
    groups, name = groups_of([prepared], {"M1001": "residential"}), prepared.population.identities.name
    assert groups(name(0)) == {"town", "residential", "S1", "S1-F1", "S1-F1-T1"}
    assert groups(name(75)) == {"town", "residential", "S2", "S2-F1", "S2-F1-T2"}
    assert (groups("M1001"), groups("M7")) == ({"residential"}, frozenset())
    fed = [number for number in range(200) if "S1-F2" in groups(name(number))]
    assert fed == list(topology_of(prepared, "S1-F2"))


def topology_of(prepared: Prepared, place: str) -> range:
    """The indexes that the topology itself names."""
    return prepared.topology.fed_by(place, prepared.settings.count)
