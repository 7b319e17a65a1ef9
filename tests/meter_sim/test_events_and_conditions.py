"""From what happens to a meter to its logs, event codes, alarm bits and notices: one chain with one time stamp."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from devices import (
    IDIS,
    START,
    SWITCH,
    Inside,
    action,
    at,
    bits,
    described,
    event_log,
    every,
    log_of,
    script,
    scripts,
    switch_scripts,
    value_of,
)

from ami_dlms import data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult
from ami_dlms.obis import Obis
from ami_meter_sim.objects import conditions, timed
from ami_meter_sim.objects.clock import start_clock
from ami_meter_sim.objects.conditions import SIGNS, Condition, press_button, set_condition
from ami_meter_sim.objects.memory import RecordKind
from ami_meter_sim.objects.recording import record
from ami_packs.event_list import NO_EVENTS, Occurrence
from ami_packs.model_files import event_list_named

REGISTER, FILTER, DESCRIPTOR = ((1, f"0-0:97.98.{e}") for e in (0, 10, 20))
FRAUD_BIT = 1 << 13
ALL = 0xFFFFFFFF


def alarmed(filter_: int = ALL) -> Inside:
    objects = (bits(0), bits(10, filter_), bits(20), *event_log("standard"), *event_log("fraud"))
    return Inside(*objects, *event_log("disconnector"), described(SWITCH), mode=5)


def cells(inside: Inside, log: str) -> list[tuple[str, int]]:
    """The rows of a log: the time that the meter's clock showed, and the number."""
    rows = [
        data.decode(one.detail).value
        for one in inside.device.history.records(RecordKind.EVENT, source=Obis.parse(log_of(log)[1]))
    ]
    return [(f"{CosemDateTime.decode(time.value).to_datetime():%H:%M:%S}", code.value) for time, code in rows]


def test_an_event_is_a_row_a_code_an_alarm_bit_and_a_notice() -> None:
    inside = alarmed()
    assert set_condition(inside.device, Condition.TERMINAL_COVER, True)
    assert cells(inside, "fraud") == [("10:05:00", 40)]
    assert (inside.read((1, "0-0:96.11.1")), inside.read((1, "0-0:96.11.0"))) == (40, 0)
    assert [inside.read(one) for one in (REGISTER, FILTER, DESCRIPTOR)] == [FRAUD_BIT, ALL, FRAUD_BIT]
    (notice,) = inside.heard
    assert notice.at == START and notice.occurrence is Occurrence.TERMINAL_COVER_OPENED
    assert notice.alarms == ((Obis.parse(DESCRIPTOR[1]), FRAUD_BIT),)


def test_an_alarm_that_is_there_is_not_raised_again_until_it_is_cleared() -> None:
    inside = alarmed()
    set_condition(inside.device, Condition.MAGNET, True)
    set_condition(inside.device, Condition.METER_COVER, True)
    assert [len(one.alarms) for one in inside.heard] == [1, 0]
    inside.write(DESCRIPTOR, 2, data.double_long_unsigned(0))
    set_condition(inside.device, Condition.TERMINAL_COVER, True)
    assert len(inside.heard[-1].alarms) == 1


def test_a_register_that_a_client_clears_is_an_event() -> None:
    inside = alarmed()
    set_condition(inside.device, Condition.MAGNET, True)
    for value in (FRAUD_BIT, 0, 0):
        inside.write(REGISTER, 2, data.double_long_unsigned(value))
    inside.write(DESCRIPTOR, 2, data.double_long_unsigned(0))
    assert inside.logged("standard") == [11]


def test_a_log_that_is_cleared_begins_with_that_and_leaves_others_alone() -> None:
    inside = alarmed()
    for one in (Condition.MAGNET, Condition.METER_COVER):
        set_condition(inside.device, one, True)
    press_button(inside.device)
    assert inside.act(log_of("fraud"), 1, data.integer(0)) is ActionResult.SUCCESS
    assert [row.value[1].value for row in inside.read(log_of("fraud"))] == [255]
    assert (inside.logged("disconnector"), inside.logged("standard")) == ([60], [])


def test_each_log_has_a_code_of_its_own() -> None:
    fraud, disconnector = event_log("fraud"), event_log("disconnector")
    codes = [replace(one[1], static=False, value="event_code", attributes={}) for one in (fraud, disconnector)]
    inside = Inside(fraud[0], disconnector[0], *codes, described(SWITCH), mode=5)
    set_condition(inside.device, Condition.MAGNET, True)
    press_button(inside.device)
    inside.restart()
    assert [inside.read((1, f"0-0:96.11.{e}")) for e in (1, 2)] == [42, 60]


def test_the_filter_keeps_an_alarm_from_the_descriptor() -> None:
    inside = alarmed(ALL ^ FRAUD_BIT)
    set_condition(inside.device, Condition.MAGNET, True)
    assert (inside.read(REGISTER), inside.read(DESCRIPTOR)) == (FRAUD_BIT, 0)
    assert inside.heard[0].alarms == ()


def test_an_alarm_runs_the_script_of_the_monitor_of_its_descriptor() -> None:
    """As IDIS has it: bit, descriptor, register monitor, push script."""
    mark = (1, "0-0:96.13.0")
    actions = data.array(data.structure(script("0-0:10.0.108", 1), script("0-0:10.0.108", 0)))
    thresholds = data.array(data.double_long_unsigned(0))
    monitor = described((21, "0-0:16.1.0"), {2: thresholds, 3: value_of(DESCRIPTOR), 4: actions})
    pushed = scripts("0-0:10.0.108", s1=[action(1, mark, 2, data.unsigned(1))])
    inside = Inside(bits(0), bits(20), monitor, pushed, described(mark, {2: data.unsigned(0)}, static=True))
    set_condition(inside.device, Condition.MAGNET, True)
    assert inside.read(mark) == 1


def test_what_a_model_does_not_have_is_left_out() -> None:
    bare = Inside()
    record(bare.device, Occurrence.MAGNET_ON)
    assert bare.device.history.records(RecordKind.EVENT) == [] and bare.heard[0].alarms == ()
    unlisted = Inside(*event_log("fraud"), events=NO_EVENTS)
    record(unlisted.device, Occurrence.MAGNET_ON)
    assert unlisted.logged("fraud") == [] and len(unlisted.heard) == 1


@pytest.mark.parametrize("condition", Condition)
def test_a_condition_begins_and_ends_once(condition: Condition) -> None:
    logs = [one for name in ("standard", "fraud", "quality", "communication") for one in event_log(name)]
    inside = Inside(*logs)
    changes = [set_condition(inside.device, condition, there) for there in (True, True, False, False)]
    assert changes == [True, False, True, False]
    expected = [one for one in SIGNS[condition] if one is not None]
    assert [one.occurrence for one in inside.heard] == expected
    listed = [IDIS.of(one)[0].number for one in expected]
    assert [one.number for one in inside.device.history.records(RecordKind.EVENT)] == listed


def test_conditions_survive_a_restart_and_stay_apart() -> None:
    inside = Inside()
    for one in (Condition.TERMINAL_COVER, Condition.SIGNAL_LOW):
        set_condition(inside.device, one, True)
    inside.restart()
    assert conditions.conditions(inside.device) == {Condition.TERMINAL_COVER, Condition.SIGNAL_LOW}


def test_the_button_closes_what_is_ready_and_opens_what_is_closed() -> None:
    inside = alarmed()
    assert press_button(inside.device) and inside.read(SWITCH, 3) == 2
    assert press_button(inside.device) and inside.read(SWITCH, 3) == 1
    assert inside.logged("disconnector") == [60, 61]
    inside.act(SWITCH, 1, data.integer(0))
    assert not press_button(inside.device), "disconnected: only a client can"
    assert [one.number for one in inside.device.history.records(RecordKind.SWITCH)] == [2, 1, 0]


def test_an_outage_is_two_records_and_its_events_and_nothing_happens_meanwhile() -> None:
    opening = described(
        (22, "0-0:15.0.1"),
        {2: script("0-0:10.0.106", 1), 4: data.array(data.structure(at(10, 30), every()))},
    )
    inside = Inside(*event_log("standard"), opening, described(SWITCH), switch_scripts())
    assert conditions.power_down(inside.device) and not conditions.power_down(inside.device)
    inside.restart()
    assert timed.off_since(inside.device) == START
    inside.later(hours=1)
    assert inside.read(SWITCH) is True
    assert not set_condition(inside.device, Condition.MAGNET, True) and not press_button(inside.device)
    assert conditions.power_up(inside.device) and not conditions.power_up(inside.device)
    assert cells(inside, "standard") == [("10:05:00", 1), ("11:05:00", 2)]
    assert [one.occurrence for one in inside.heard] == ["power_down", "power_up", "long_power_failure"]
    times = [inside.device.history.records(kind)[0].at for kind in (RecordKind.POWER_DOWN, RecordKind.POWER_UP)]
    assert times == [START, START + timedelta(hours=1)]
    assert timed.off_since(inside.device) is None


def test_a_short_outage_is_no_long_failure_and_a_very_long_one_costs_the_clock() -> None:
    for hours, last, status in ((0.01, "power_up", 0), (24 * 8, "long_power_failure", 1)):
        inside = Inside()
        conditions.power_down(inside.device)
        inside.later(hours=hours)
        conditions.power_up(inside.device)
        assert inside.heard[-1].occurrence == last
        inside.restart()
        inside.device.clock.quality = 0
        start_clock(inside.device)
        assert inside.read((8, "0-0:1.0.0"), 4) == status


def test_the_numbers_of_a_list_are_unique_in_their_log_and_alarm_bits_are_bits() -> None:
    events = [one for listed in IDIS.events.values() for one in listed]
    assert len({(one.log, one.number) for one in events}) == len(events) > 60
    assert all(0 <= one.alarm.bit < 32 for one in events if one.alarm is not None)
    assert IDIS.of_number(Obis.parse("0-0:99.98.1"), 42) == IDIS.of(Occurrence.MAGNET_ON)[0]


def test_a_model_with_the_dutch_list_logs_under_its_numbers() -> None:
    """Its power-quality log is 0-0:99.98.5, where the other list has communication."""
    inside = Inside(*event_log("fraud"), *event_log("communication"), bits(0), events=event_list_named("dsmr"))
    for condition in (
        Condition.TERMINAL_COVER,
        Condition.MAGNET,
        Condition.UNDERVOLTAGE_L1,
        Condition.VOLTAGE_MISSING_L3,
    ):
        assert set_condition(inside.device, condition, True)
    assert set_condition(inside.device, Condition.UNDERVOLTAGE_L1, False)
    assert inside.logged("fraud") == [40, 42]
    assert inside.logged("communication") == [77, 88, 83]
    assert inside.read((1, "0-0:97.98.0")) == 1 << 13, "fraud attempt"
