"""Monitors, limiter, arbitrator, functions and port protection: what they see, what they do, and what survives a restart."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from devices import (
    CLOCK,
    START,
    SWITCH,
    SWITCH_SCRIPTS,
    Inside,
    action,
    at,
    date_time,
    described,
    event_log,
    every,
    script,
    scripts,
    switch_scripts,
    value_of,
)

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_dlms.obis import Obis
from ami_meter_sim.objects.cosem_object import CosemObject
from ami_meter_sim.objects.memory import RecordKind
from ami_meter_sim.objects.timed import next_due

POWER = (3, "1-0:1.7.0")
WORD = (1, "0-0:96.5.0")
MONITOR = (21, "0-0:16.1.0")
LIMITER = (71, "0-0:17.0.0")
COUNT = (1, "0-0:96.13.0")
OPEN, CLOSE = script(SWITCH_SCRIPTS[1], 1), script(SWITCH_SCRIPTS[2 - 1], 2)
STEP = timedelta(minutes=1)


class Power(CosemObject):
    """Watts by the minute of the meter's time, 0 while the switch is open."""

    class_id, version = 3, 0
    device: Any
    curve: dict[int, int]
    reads = {"value": lambda self, _: data.double_long_unsigned(self.watts())}  # noqa: RUF012

    def watts(self) -> int:
        minutes = (self.device.clock.at - START) // STEP
        return (
            0 if not self.device.switch.output_state else self.curve[max(one for one in self.curve if one <= minutes)]
        )


def with_power(inside: Inside, **curve: int) -> Inside:
    """`m5=100`: 100 W from minute 5 on."""
    power = Power(inside.device.model.objects[3, Obis.parse(POWER[1])])
    power.device, power.curve = inside.device, {0: 0} | {int(key[1:]): watts for key, watts in curve.items()}
    inside.device.built[3, Obis.parse(POWER[1])] = power
    return inside


def number(value: int) -> Data:
    return data.double_long_unsigned(value)


# --- class 21


def monitored(*thresholds: int, what: tuple[int, str] = POWER) -> Inside:
    up_down = [data.structure(OPEN, CLOSE), data.structure(script("0-0:10.0.125", 1), script("0-0:10.0.125", 2))]
    return Inside(
        described(
            MONITOR,
            {2: data.array(*map(number, thresholds)), 3: value_of(what), 4: data.array(*up_down[: len(thresholds)])},
        ),
        described(POWER),
        described(WORD, {2: number(0)}, static=True),
        described(COUNT, {2: data.unsigned(0)}, static=True),
        described(SWITCH),
        switch_scripts(),
        scripts("0-0:10.0.125", s1=[action(1, COUNT, 2, data.unsigned(1))], s2=[action(1, COUNT, 2, data.unsigned(2))]),
        *event_log("disconnector"),
        mode=6,
    )


def test_a_monitor_acts_on_crossing_and_switches_locally() -> None:
    inside = with_power(monitored(1000), m3=1500)
    inside.later(minutes=2)
    assert inside.logged("disconnector") == []
    inside.later(minutes=1)
    assert (inside.read(SWITCH, 3), inside.logged("disconnector")) == (2, [64]), (
        "ready for reconnection: a local disconnect"
    )
    inside.later(minutes=1)
    assert (inside.read(SWITCH, 3), inside.logged("disconnector")) == (1, [64, 69]), (
        "the value fell, the down script ran"
    )


def test_a_value_that_stays_beyond_does_not_act_again() -> None:
    inside = with_power(monitored(500, 1000), m1=1500, m5=700, m9=1500)
    inside.device.switch = type(inside.device.switch)(0)  # never opens
    inside.later(minutes=4)
    assert inside.read(COUNT) == 1
    inside.write(COUNT, 2, data.unsigned(9))
    inside.later(seconds=50)
    assert inside.read(COUNT) == 9
    inside.later(minutes=1)
    assert inside.read(COUNT) == 2
    inside.later(minutes=4)
    assert inside.read(COUNT) == 1


def test_a_threshold_that_is_written_below_the_value_does_not_act() -> None:
    inside = with_power(monitored(5000), m0=1500)
    inside.later(minutes=2)
    assert inside.write(MONITOR, 2, data.array(number(1000))) is DataAccessResult.SUCCESS
    inside.later(minutes=5)
    assert inside.read(SWITCH) is True


def test_a_value_that_is_written_is_looked_at_when_it_is_written() -> None:
    inside = monitored(0, what=WORD)
    assert next_due(inside.device, START) is None, "nothing to look at by itself"
    inside.write(WORD, 2, number(4))
    assert inside.read(SWITCH) is False
    inside.write(WORD, 2, number(0))
    assert inside.read(SWITCH) is True


def test_a_monitor_remembers_its_side_over_a_restart() -> None:
    inside = with_power(monitored(1000), m1=1500)
    inside.device.switch = type(inside.device.switch)(0)
    inside.later(minutes=2)
    inside.restart()
    with_power(inside, m1=1500)
    inside.device.switch = type(inside.device.switch)(6)
    inside.later(minutes=3)
    assert inside.read(SWITCH) is True, "it was above before"


@pytest.mark.parametrize("what", [(3, "1-0:99.9.9"), SWITCH, CLOCK])
def test_a_monitor_of_nothing_that_can_be_compared_does_nothing(what: tuple[int, str]) -> None:
    inside = with_power(monitored(0, what=what), m0=100)
    inside.later(hours=1)
    assert inside.read(SWITCH) is True


# --- class 71


def limited(normal: int = 3000, mode: int = 6, over_s: int = 120, under_s: int = 300, **more: Data) -> Inside:
    attributes = {
        2: value_of(POWER),
        4: number(normal),
        5: number(1000),
        6: number(over_s),
        7: number(under_s),
        11: data.structure(OPEN, CLOSE),
    }
    return Inside(
        described(LIMITER, attributes | {int(key[1:]): value for key, value in more.items()}),
        described(POWER),
        described(SWITCH, log=Obis.parse("0-0:99.98.2"), events={}),
        switch_scripts(),
        *event_log("disconnector"),
        mode=mode,
    )


def events(inside: Inside) -> list[str]:
    return [f"{one.at:%H:%M:%S} {one.number}" for one in inside.device.history.records(RecordKind.EVENT)]


def test_a_limiter_opens_the_switch_under_load_after_its_time_and_closes_it_again() -> None:
    inside = with_power(limited(), m5=4000, m6=100, m10=4000, m13=2000)
    inside.later(minutes=13)
    assert events(inside) == ["10:17:00 65", "10:17:00 64"], "one minute above was too short"
    assert inside.read(SWITCH, 3) == 2
    inside.later(minutes=10)
    assert events(inside)[2:] == ["10:23:00 66", "10:23:00 69"], "five minutes after the first look below"
    assert inside.read(SWITCH, 3) == 1


def test_in_a_mode_without_local_reconnection_it_stays_open() -> None:
    inside = with_power(limited(mode=4), m1=4000)
    inside.later(hours=3)
    assert inside.read(SWITCH, 3) == 2
    assert [one.number for one in inside.device.history.records(RecordKind.EVENT)] == [65, 64, 66]


def test_a_duration_need_not_be_whole_minutes() -> None:
    inside = with_power(limited(over_s=15), m5=4000)
    inside.later(minutes=6)
    assert events(inside) == ["10:10:15 65", "10:10:15 64"]


def test_steps_do_not_change_what_a_limiter_does() -> None:
    curve = {"m7": 4000, "m8": 10, "m20": 9000, "m90": 100, "m300": 3500}
    found = []
    for step in (None, STEP, timedelta(seconds=17)):
        inside = with_power(limited(under_s=1000), **curve)
        inside.later(step=step, hours=24)
        found.append(events(inside))
    assert found[0] == found[1] == found[2] and len(found[0]) > 8


def test_a_limiter_goes_on_counting_after_a_restart() -> None:
    inside = with_power(limited(over_s=600), m1=4000)
    inside.later(minutes=8)
    inside.restart()
    with_power(inside, m1=4000)
    inside.later(minutes=4)
    assert events(inside)[0] == "10:16:00 65"


def test_a_threshold_of_0_limits_nothing_and_wakes_no_meter() -> None:
    inside = with_power(limited(normal=0), m1=10**6)
    assert next_due(inside.device, START) is None
    inside.later(hours=2)
    assert inside.read(SWITCH) is True


def emergency(group: int = 7, minutes: int = 20) -> Data:
    return data.structure(data.long_unsigned(group), date_time("2026-03-02 10:30:00", 0), number(60 * minutes))


def test_the_emergency_threshold_counts_for_its_time() -> None:
    inside = with_power(limited(x8=emergency(), x9=data.array(data.long_unsigned(7)), under_s=60), m0=2000)
    inside.later(minutes=24, seconds=59)
    assert (inside.read(LIMITER, 10), inside.read(LIMITER, 3)) == (False, 3000)
    inside.later(seconds=1)
    assert (inside.read(LIMITER, 10), inside.read(LIMITER, 3)) == (True, 1000)
    inside.later(minutes=30)
    assert (inside.read(LIMITER, 10), inside.read(LIMITER, 3)) == (False, 3000)
    assert events(inside)[:3] == ["10:30:00 57", "10:32:00 65", "10:32:00 64"]
    assert [one for one in events(inside) if one.endswith(" 58")] == ["10:50:00 58"]


def test_an_emergency_for_another_group_is_none() -> None:
    inside = with_power(limited(x8=emergency(8), x9=data.array(data.long_unsigned(7))), m0=2000)
    inside.later(hours=1)
    assert events(inside) == []


def test_what_is_written_to_a_limiter() -> None:
    inside = with_power(limited(), m0=2000)
    assert inside.write(LIMITER, 4, number(500)) is DataAccessResult.SUCCESS
    assert inside.logged("disconnector") == [67]
    for attribute, value in ((3, number(1)), (10, data.boolean(True))):
        assert inside.write(LIMITER, attribute, value) is DataAccessResult.READ_WRITE_DENIED
    for attribute, value in ((6, data.unsigned(1)), (8, data.null()), (11, data.structure(OPEN)), (2, number(1))):
        assert inside.write(LIMITER, attribute, value) is DataAccessResult.TYPE_UNMATCHED
    inside.later(minutes=3)
    assert inside.read(SWITCH) is False


# --- class 65


def test_a_parameter_monitor_keeps_the_last_write_of_what_is_listed() -> None:
    name = (65, "0-0:16.2.0")
    inside = Inside(described(name), described(WORD, {2: number(0)}, static=True))
    inside.write(WORD, 2, number(1))
    assert inside.read(name, 3) == CosemDateTime().encode()
    assert inside.act(name, 1, value_of(WORD)) is ActionResult.SUCCESS
    assert inside.act(name, 1, value_of(WORD)) is ActionResult.SUCCESS
    assert len(inside.read(name, 4)) == 1
    inside.write(WORD, 2, number(2))
    assert inside.found(name).read(2) == data.structure(*value_of(WORD).value, number(2))
    assert CosemDateTime.decode(inside.read(name, 3)).to_datetime() == START
    assert inside.write(WORD, 2, data.null()) is DataAccessResult.TYPE_UNMATCHED
    assert inside.found(name).read(2) == data.structure(*value_of(WORD).value, number(2)), "a refused write is none"
    assert inside.act(name, 2, value_of(WORD)) is ActionResult.SUCCESS
    assert inside.read(name, 4) == ()
    assert inside.act(name, 1, number(1)) is ActionResult.TYPE_UNMATCHED


# --- class 68

ARBITRATOR = (68, "0-0:96.3.20")


def bits(text: str) -> Data:
    return data.bit_string(tuple(one == "1" for one in text))


def arbitrated() -> Inside:
    rows = [[1, 5, 0], [3, 1, 0], [3, 0, 9]]
    weights = data.array(*(data.array(*map(data.long_unsigned, row)) for row in rows))
    actions = data.array(OPEN, CLOSE, script("0-0:10.0.125", 1))
    permissions = data.array(bits("110"), bits("110"), bits("100"))
    return Inside(
        described(ARBITRATOR, {2: actions, 3: permissions, 4: weights}), described(SWITCH), switch_scripts(), mode=6
    )


def ask(inside: Inside, actor: int, wish: str) -> ActionResult:
    return inside.act(ARBITRATOR, 1, data.structure(data.unsigned(actor), bits(wish)))


def test_the_weightiest_wish_is_carried_out() -> None:
    inside = arbitrated()
    assert ask(inside, 2, "100") is ActionResult.SUCCESS
    assert (inside.read(ARBITRATOR, 6), inside.read(SWITCH)) == (1, False)
    assert ask(inside, 1, "010") is ActionResult.SUCCESS
    assert (inside.read(ARBITRATOR, 6), inside.read(SWITCH)) == (2, True), "5 against 3"
    assert ask(inside, 3, "100") is ActionResult.SUCCESS
    assert (inside.read(ARBITRATOR, 6), inside.read(SWITCH)) == (1, False), "3 + 3 against 5"


def test_what_an_actor_may_not_ask_for_is_left_out() -> None:
    inside = arbitrated()
    assert ask(inside, 3, "001") is ActionResult.SUCCESS
    assert inside.read(ARBITRATOR, 6) == 0
    assert [one.value for one in inside.read(ARBITRATOR, 5)] == [(), (), (False, False, False)]
    for actor in (0, 4):
        assert ask(inside, actor, "1") is ActionResult.OTHER_REASON
    assert inside.act(ARBITRATOR, 1, data.null()) is ActionResult.TYPE_UNMATCHED


def test_an_arbitrator_that_is_reset_has_no_requests() -> None:
    inside = arbitrated()
    ask(inside, 2, "100")
    assert inside.act(ARBITRATOR, 2, data.integer(0)) is ActionResult.SUCCESS
    assert (inside.read(ARBITRATOR, 5), inside.read(ARBITRATOR, 6)) == ((), 0)


# --- classes 122 and 63

FUNCTIONS = (122, "0-0:44.1.0")


def function(name: str, *objects: tuple[int, str]) -> Data:
    listed = [data.structure(*value_of(one).value[:2]) for one in objects]
    return data.structure(data.octet_string(name.encode()), data.array(*listed))


def status(**on: bool) -> Data:
    return data.array(
        *(data.structure(data.octet_string(name.encode()), data.boolean(there)) for name, there in on.items())
    )


def test_objects_of_a_function_that_is_off_do_nothing_by_themselves() -> None:
    single = described((22, "0-0:15.0.1"), {2: OPEN, 4: data.array(data.structure(at(10, 30), every()))})
    inside = Inside(described(FUNCTIONS), single, described(SWITCH), switch_scripts())
    assert inside.act(FUNCTIONS, 2, function("plan", (22, "0-0:15.0.1"))) is ActionResult.SUCCESS
    assert inside.found(FUNCTIONS).read(2) == status(plan=True)
    assert inside.act(FUNCTIONS, 1, status(plan=False)) is ActionResult.SUCCESS
    inside.later(hours=1)
    assert inside.read(SWITCH) is True
    assert inside.act(FUNCTIONS, 1, status(plan=True)) is ActionResult.SUCCESS
    inside.later(days=1)
    assert inside.read(SWITCH) is False


def test_functions_are_added_and_removed_and_unknown_ones_refused() -> None:
    inside = Inside(described(FUNCTIONS))
    inside.act(FUNCTIONS, 2, function("one"))
    assert inside.act(FUNCTIONS, 1, status(one=False, two=False)) is ActionResult.OTHER_REASON
    assert inside.found(FUNCTIONS).read(2) == status(one=True), "all or none"
    assert inside.act(FUNCTIONS, 3, function("two")) is ActionResult.OTHER_REASON
    assert inside.act(FUNCTIONS, 3, function("one")) is ActionResult.SUCCESS
    assert (inside.read(FUNCTIONS, 2), inside.read(FUNCTIONS, 3)) == ((), ())


def test_a_status_word_and_its_mapping() -> None:
    name = (63, "0-0:96.5.1")
    mapping = data.structure(data.long_unsigned(2), data.array(data.long_unsigned(3), data.long_unsigned(4)))
    inside = Inside(described(name, {2: bits("101"), 3: mapping}))
    assert (inside.read(name), inside.found(name).read(3)) == ((True, False, True), mapping)
    assert inside.write(name, 2, data.unsigned(5)) is DataAccessResult.SUCCESS
    assert (
        inside.write(name, 3, data.structure(data.long_unsigned(2), data.unsigned(3)))
        is DataAccessResult.TYPE_UNMATCHED
    )
    inside.restart()
    assert (inside.read(name), inside.found(name).read(3)) == (5, mapping)


# --- class 124

PORT = (124, "0-0:44.2.0")


def test_a_port_locks_itself_for_longer_and_longer() -> None:
    inside = Inside(described(PORT, {3: data.long_unsigned(2), 4: number(10), 5: data.unsigned(3), 6: number(60)}))
    port = inside.found(PORT)
    locked: list[int] = []
    for _ in range(6):
        port.failed(inside.device.clock.at)
        seconds = 0
        while inside.read(PORT, 8) == 1:
            inside.later(seconds=1)
            seconds += 1
        locked.append(seconds)
    assert locked == [0, 10, 30, 60, 60, 60]
    assert (inside.read(PORT, 9), inside.read(PORT, 10)) == (6, 6)
    assert inside.act(PORT, 1, data.integer(0)) is ActionResult.SUCCESS
    assert (inside.read(PORT, 9), inside.read(PORT, 10)) == (0, 6)


@pytest.mark.parametrize(("mode", "locks", "shown"), [(0, True, 2), (1, True, 1), (2, False, 0)])
def test_a_port_is_as_its_mode_says(mode: int, locks: bool, shown: int) -> None:
    inside = Inside(described(PORT, {3: data.long_unsigned(1)}), *event_log("communication"))
    assert inside.write(PORT, 2, data.enum(mode)) is DataAccessResult.SUCCESS
    inside.found(PORT).failed(START)
    inside.restart()
    assert inside.found(PORT).locks(START) is locks
    assert inside.read(PORT, 8) == shown
    assert inside.logged("communication") == [139] * locks
    assert inside.write(PORT, 2, data.enum(3)) is DataAccessResult.TYPE_UNMATCHED
