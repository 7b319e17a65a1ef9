"""Phases: what is lost on one is missing in the registers, and powers, currents and voltages of the three fit the whole."""

from __future__ import annotations

from datetime import timedelta

import pytest
from devices import IDIS, Inside, described, event_log, log_of

from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.obis import Obis
from ami_meter_sim.load import HouseKind as HouseKind
from ami_meter_sim.load import house
from ami_meter_sim.load.network import NORMAL, disturbances
from ami_meter_sim.objects import timed
from ami_meter_sim.objects.conditions import Condition, end_all, power_down, power_up, set_condition
from ami_meter_sim.objects.memory import RecordKind
from ami_meter_sim.objects.timeline import second_of
from ami_meter_sim.populating import prepare
from ami_meter_sim.population_settings import PopulationSettings

CHANNELS = (20, 40, 60)
IMPORT, IMPORT_POWER = (3, "1-0:1.8.0"), (3, "1-0:1.7.0")
ENERGIES, POWERS, VOLTAGES, CURRENTS = (
    tuple((3, f"1-0:{channel + first}.{d}.0") for channel in CHANNELS)
    for first, d in ((1, 8), (1, 7), (12, 7), (11, 7))
)
PROFILE = (7, "1-0:99.14.0")


def three_phases() -> Inside:
    fine = {"type": "long64-unsigned"}
    columns = tuple(CaptureObject(c, Obis.parse(o), 2) for c, o in (*VOLTAGES, *POWERS))
    return Inside(
        *event_log("quality"),
        described(IMPORT, value="import_energy_wh", scaler=-3, options=fine),
        described(IMPORT_POWER, value="import_power_w"),
        *(described(one, value=f"import_energy_l{n}_wh", scaler=-3, options=fine) for n, one in enumerate(ENERGIES, 1)),
        *(described(one, value=f"import_power_l{n}_w") for n, one in enumerate(POWERS, 1)),
        *(described(one, value=f"voltage_l{n}_v", scaler=-1) for n, one in enumerate(VOLTAGES, 1)),
        *(described(one, value=f"current_l{n}_a", scaler=-2) for n, one in enumerate(CURRENTS, 1)),
        described(PROFILE, version=1, columns=columns, capture_period=600, profile_entries=50),
        house=house(7, HouseKind.HEAT_PUMP),
        events=IDIS,
    )


def energies(inside: Inside) -> list[int]:
    return [inside.read(one) for one in ENERGIES]


def test_a_lost_phase_takes_nothing_and_the_others_go_on() -> None:
    inside = three_phases()
    before = energies(inside)
    assert set_condition(inside.device, Condition.VOLTAGE_MISSING_L2, True)
    inside.later(hours=5)
    after = energies(inside)
    assert after[1] == before[1] and after[0] > before[0] and after[2] > before[2]
    assert 0 <= inside.read(IMPORT) - sum(after) < 3, "the three are the whole"
    assert (inside.read(POWERS[1]), inside.read(VOLTAGES[1]), inside.read(CURRENTS[1])) == (0, 0, 0)
    assert inside.read(POWERS[0]) > 0 and inside.read(CURRENTS[2]) > 0
    assert set_condition(inside.device, Condition.VOLTAGE_MISSING_L2, False)
    inside.later(hours=1)
    assert inside.read(ENERGIES[1]) > after[1]
    assert inside.logged("quality") == [83, 86]


def test_a_phase_that_ends_being_lost_while_there_is_no_power_takes_again_when_it_is_back() -> None:
    inside = three_phases()
    set_condition(inside.device, Condition.VOLTAGE_MISSING_L2, True)
    power_down(inside.device)
    inside.later(hours=1)
    assert end_all(inside.device) == {Condition.VOLTAGE_MISSING_L2}
    inside.later(hours=1)
    power_up(inside.device)
    before = inside.read(ENERGIES[1])
    inside.later(hours=1)
    assert inside.read(ENERGIES[1]) > before and inside.read(VOLTAGES[1]) > 0


def test_rows_of_the_past_show_the_voltage_that_there_was() -> None:
    inside = three_phases()
    inside.later(hours=1)
    set_condition(inside.device, Condition.VOLTAGE_MISSING_L1, True)
    inside.later(hours=1)
    set_condition(inside.device, Condition.VOLTAGE_MISSING_L1, False)
    inside.later(hours=1)
    first, power = ([row.value[n].value for row in inside.read(PROFILE)[-18:]] for n in (0, 3))
    assert [one == 0 for one in first] == [one == 0 for one in power] == [False] * 6 + [True] * 6 + [False] * 6


def test_powers_and_currents_of_the_phases_fit_the_whole() -> None:
    inside = three_phases()
    for _ in range(20):
        inside.later(minutes=37)
        assert abs(inside.read(IMPORT_POWER) - sum(inside.read(one) for one in POWERS)) <= len(POWERS)
        for power, voltage, current in zip(POWERS, VOLTAGES, CURRENTS, strict=True):
            apparent = inside.read(voltage) / 10 * inside.read(current) / 100
            factor = inside.device.metering.power_factor_permille(0) / 1000
            assert apparent * factor == pytest.approx(inside.read(power), abs=5, rel=0.03)


def test_without_neutral_three_phases_take_the_same_at_other_voltages_and_one_phase_takes_nothing() -> None:
    inside, single = (
        three_phases(),
        Inside(described(IMPORT, value="import_energy_wh"), house=house(7, HouseKind.HOUSEHOLD)),
    )
    before = [inside.read(one) for one in VOLTAGES]
    for one in (inside, single):
        assert set_condition(one.device, Condition.NEUTRAL_MISSING, True)
    assert [inside.read(one) for one in VOLTAGES] != before
    shown = inside.read(IMPORT), single.read(IMPORT)
    for one in (inside, single):
        one.later(hours=3)
    assert inside.read(IMPORT) > shown[0]
    assert single.read(IMPORT) == shown[1]


def test_sags_and_swells_are_logged_when_they_begin_and_end() -> None:
    """On every phase, as the voltages show them; one jump of time comes to the same as many steps."""
    jump, steps, without_log = three_phases(), three_phases(), Inside(described(VOLTAGES[0], value="voltage_l1_v"))
    feeder, begin = jump.device.connection.feeder, int(jump.device.clock.at.timestamp())
    expected = list(disturbances(feeder, begin, begin + 400 * 86_400))
    assert {one.permille < NORMAL for one in expected} == {True, False}, "both kinds"
    jump.later(days=400)
    steps.later(timedelta(hours=7), days=400)
    log = Obis.parse(log_of("quality")[1])
    found = [(second_of(one.at), one.number) for one in jump.device.history.records(RecordKind.EVENT, source=log)]
    listed = [
        (second, number + phase)
        for one in expected
        for second, number in ((one.start, 76 if one.permille < NORMAL else 79), (one.start + one.duration_s, 85))
        for phase in range(3)
    ]
    assert found == listed[-100:], "the log has a hundred entries"
    assert steps.logged("quality") == jump.logged("quality")
    assert timed.next_due(without_log.device, without_log.device.clock.at) is None


def test_a_meter_without_power_logs_no_sag() -> None:
    inside = three_phases()
    power_down(inside.device)
    inside.later(days=400)
    assert inside.logged("quality") == []


def test_a_population_of_three_phase_meters_is_connected_to_all_phases() -> None:
    for model, phase in (("three-phase", "ABC"), ("prosumer", "ABC"), ("single-phase", "B")):
        (prepared,) = prepare([PopulationSettings(name="P", model=model, count=2, seed=f"{1:064x}", port=4059)])
        assert prepared.shipment().row(1)["phase"] == phase
