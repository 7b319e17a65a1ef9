"""Class 70: every (control mode, control state, trigger), against the Blue Book's two tables written out by hand."""

from __future__ import annotations

import itertools
from datetime import timedelta
from pathlib import Path

import pytest
from bench import EVENT_LOG, IMPORT, POWER, SWITCH, Bench, attribute, method, setup

from ami_dlms import data
from ami_dlms.cosem.classes import class_versions
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_meter_sim.objects.disconnect_control import DisconnectControl
from ami_meter_sim.objects.switch import ControlState, Switch, Trigger, move

D, C, R = ControlState.DISCONNECTED, ControlState.CONNECTED, ControlState.READY_FOR_RECONNECTION
RD, RR = Trigger.REMOTE_DISCONNECT, Trigger.REMOTE_RECONNECT
MD, MR = Trigger.MANUAL_DISCONNECT, Trigger.MANUAL_RECONNECT
LD, LR = Trigger.LOCAL_DISCONNECT, Trigger.LOCAL_RECONNECT

# mode: from disconnected, from connected, from ready for reconnection; what is not named does not happen.
# "same" marks a command that finds its work done.
SAME = "same"
EXPECTED: dict[int, dict[ControlState, dict[Trigger, ControlState | str]]] = {
    0: {D: {}, C: {}, R: {}},
    1: {D: {RR: R, RD: SAME}, C: {RD: D, MD: R, LD: R, RR: SAME}, R: {RD: D, MR: C, RR: SAME}},
    2: {D: {RR: C, RD: SAME}, C: {RD: D, MD: R, LD: R, RR: SAME}, R: {RD: D, MR: C}},
    3: {D: {RR: R, RD: SAME}, C: {RD: D, LD: R, RR: SAME}, R: {RD: D, MR: C, RR: SAME}},
    4: {D: {RR: C, RD: SAME}, C: {RD: D, LD: R, RR: SAME}, R: {RD: D, MR: C}},
    5: {D: {RR: R, RD: SAME}, C: {RD: D, MD: R, LD: R, RR: SAME}, R: {RD: D, MR: C, LR: C, RR: SAME}},
    6: {D: {RR: R, RD: SAME}, C: {RD: D, LD: R, RR: SAME}, R: {RD: D, MR: C, LR: C, RR: SAME}},
    7: {D: {RR: C, RD: SAME}, C: {RD: D, LD: R, RR: SAME}, R: {RD: D, MR: C, LR: C, RR: C}},
}


@pytest.mark.parametrize(("mode", "state", "trigger"), list(itertools.product(range(8), ControlState, Trigger)))
def test_every_mode_state_and_trigger(mode: int, state: ControlState, trigger: Trigger) -> None:
    after = move(Switch(mode, state), trigger)
    expected = EXPECTED[mode][state].get(trigger)
    if expected is None:
        assert after is None
    else:
        assert after == Switch(mode, state if expected == SAME else ControlState(expected))


@pytest.mark.parametrize("state", ControlState)
def test_the_contact_is_closed_only_when_connected(state: ControlState) -> None:
    assert Switch(1, state).output_state is (state is C)


def shown(bench: Bench) -> tuple[bool, int, int]:
    return tuple(bench.value(SWITCH, number) for number in (2, 3, 4))  # type: ignore[return-value]


def events(bench: Bench) -> list[int]:
    return [row.value[1].value for row in bench.read(EVENT_LOG).value]  # type: ignore[attr-defined, union-attr]


def act(bench: Bench, number: int, parameter: Data | None = None) -> ActionResult:
    return bench.meter.act(method(SWITCH, number), parameter or data.integer(0), bench.at).result


def test_methods_are_numbered_as_in_the_blue_book() -> None:
    standard = class_versions()[70, 0]
    assert {standard.method(name).number: name for name in DisconnectControl.methods} == {1: RD, 2: RR}


@pytest.mark.parametrize(
    ("mode", "after_connect", "numbers"),
    [(m, (True, 1, m), [62, 63]) for m in (2, 4)] + [(m, (False, 2, m), [62, 59]) for m in (1, 3, 5, 6)],
)
def test_remote_round_trip(tmp_path: Path, mode: int, after_connect: tuple[bool, int, int], numbers: list[int]) -> None:
    bench = Bench(tmp_path)
    bench.start(setup(control_mode=mode))
    assert shown(bench) == (True, 1, mode)
    assert act(bench, 1) is ActionResult.SUCCESS
    assert shown(bench) == (False, 0, mode)
    assert act(bench, 2) is ActionResult.SUCCESS
    assert shown(bench) == after_connect
    assert events(bench) == numbers


def test_mode_0_refuses_and_stays_connected(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start(setup(control_mode=0))
    assert [act(bench, number) for number in (1, 2)] == [ActionResult.OTHER_REASON] * 2
    assert shown(bench) == (True, 1, 0)
    assert events(bench) == []


def test_the_same_twice_is_a_success_and_one_event(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start()
    assert [act(bench, 1), act(bench, 1)] == [ActionResult.SUCCESS] * 2
    assert [act(bench, 2), act(bench, 2)] == [ActionResult.SUCCESS] * 2
    assert events(bench) == [62, 63]


@pytest.mark.parametrize("parameter", [data.integer(0), data.integer(1), data.null(), data.unsigned(7)])
def test_the_parameter_means_nothing(tmp_path: Path, parameter: Data) -> None:
    bench = Bench(tmp_path)
    bench.start()
    assert act(bench, 1, parameter) is ActionResult.SUCCESS
    assert shown(bench) == (False, 0, 4)


@pytest.mark.parametrize("number", [0, 3, -1])
def test_unknown_methods_do_nothing(tmp_path: Path, number: int) -> None:
    bench = Bench(tmp_path)
    bench.start()
    assert act(bench, number) is ActionResult.OBJECT_UNAVAILABLE
    assert shown(bench) == (True, 1, 4)


def test_hand_and_supervision_move_it_and_leave_their_events(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    meter = bench.start(setup(control_mode=5))
    for trigger, state, number in ((MD, 2, 60), (MR, 1, 61), (LD, 2, 64), (LR, 1, 69)):
        assert meter.pull(trigger, bench.later(minutes=1))
        assert shown(bench)[1] == state
        assert events(bench)[-1] == number
    assert not meter.pull(LR, bench.at), "nothing to reconnect"


def test_the_event_log_has_the_time_of_the_meter(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start(setup(time_zone_minutes=-60))
    act(bench, 1)
    ((clock, code),) = (row.value for row in bench.read(EVENT_LOG).value)  # type: ignore[attr-defined, union-attr]
    when = CosemDateTime.decode(clock.value)
    assert (when.hour, when.minute, when.deviation_minutes, code.value) == (11, 5, -60, 62)
    assert when.to_datetime() == bench.at


def test_control_mode_can_be_written(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    meter = bench.start()
    mode = attribute(SWITCH, 4)
    assert meter.set(mode, data.enum(6), bench.at) is DataAccessResult.SUCCESS
    assert shown(bench) == (True, 1, 6)
    assert meter.set(mode, data.enum(7), bench.at) is DataAccessResult.TYPE_UNMATCHED
    assert meter.set(mode, data.unsigned(1), bench.at) is DataAccessResult.TYPE_UNMATCHED
    act(bench, 1)
    assert meter.set(mode, data.enum(0), bench.at) is DataAccessResult.OTHER_REASON, "writing a mode must not connect"
    assert shown(bench) == (False, 0, 6)
    assert meter.set(attribute(SWITCH, 2), data.boolean(True), bench.at) is DataAccessResult.READ_WRITE_DENIED


def test_energy_flows_only_while_connected(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start()
    begin = bench.value(IMPORT)
    bench.later(hours=1)
    connected = bench.value(IMPORT)
    assert connected > begin and bench.value(POWER) > 0
    act(bench, 1)
    bench.later(hours=5)
    assert (bench.value(IMPORT), bench.value(POWER)) == (connected, 0)
    act(bench, 2)
    bench.at += timedelta(hours=1)
    assert bench.value(IMPORT) > connected
