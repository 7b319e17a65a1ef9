"""Which CIM code is which COSEM method, and when a control may be called done."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from ami_cim.control_names import known_controls
from ami_dlms import data
from ami_dlms.enums import ActionResult
from ami_mapping.controls import (
    CODES,
    CONTROLS,
    LONG,
    SWITCH,
    DisconnectState,
    StateWord,
    UnknownControl,
    Verdict,
    control_for,
    judge,
    refusal,
)
from ami_mapping.faults import fault_rules
from ami_mapping.recipes import RECIPES

DISCONNECT, CONNECT = control_for("3.31.0.23"), control_for("3.31.0.18")
OFF, ON, READY = (False, 0), (True, 1), (False, 2)
DECISIONS = (Path(__file__).parents[2] / "docs/mapping.md").read_text(encoding="utf-8")


def state(seen: tuple[bool, int], mode: int = 4) -> DisconnectState:
    return DisconnectState(*seen, mode)


@pytest.mark.parametrize(
    ("code", "name", "method", "wanted"),
    [
        ("3.31.0.23", "disconnect", 1, StateWord.DISCONNECTED),
        ("3.31.0.18", "connect", 2, StateWord.CONNECTED),
        ("0.31.0.23", "disconnect", 1, StateWord.DISCONNECTED),
        ("0.31.0.18", "connect", 2, StateWord.CONNECTED),
    ],
)
def test_codes_and_their_methods(code: str, name: str, method: int, wanted: StateWord) -> None:
    control = control_for(code)
    assert (control.name, control.class_id, str(control.obis), control.method) == (name, 70, "0-0:96.3.10*255", method)
    assert control.wanted is wanted
    assert control.descriptor.method_id == method
    assert control.parameters == data.integer(0)


def test_every_control_has_a_recipe_and_two_codes() -> None:
    """That of an electric meter, and the same for any end device."""
    assert {one.recipe for one in CONTROLS.values()} == {SWITCH, *LONG, *RECIPES}
    for code, one in CONTROLS.items():
        other = ("0" if code[0] == "3" else "3") + code[1:]
        assert replace(CONTROLS[other], code=code, source=one.source) == one
        assert CODES[one.name] in (code, other)


def test_the_names_that_everybody_uses_are_those_of_the_rows() -> None:
    assert {(one.name, one.code, one.takes or None) for one in known_controls()} == {
        (one.name, one.code, one.takes) for one in CONTROLS.values() if one.code == CODES[one.name]
    }


@pytest.mark.parametrize("code", ["", "3.31.0.99", "3.31.0.23 ", "3.31.0", "disconnect", "3.31.0.6", "x" * 10_000])
def test_unknown_code_is_refused(code: str) -> None:
    with pytest.raises(UnknownControl) as refused:
        control_for(code)
    assert refused.value.code == "5.2"
    assert repr(code[:64]) in refused.value.reason and len(refused.value.reason) < 400


@pytest.mark.parametrize("mode", range(7))
@pytest.mark.parametrize("seen", [OFF, ON, READY, (True, 0), (True, 2), (False, 1), (False, 9)])
@pytest.mark.parametrize("control", [DISCONNECT, CONNECT], ids=["disconnect", "connect"])
def test_every_state_and_mode_has_one_verdict(control: object, seen: tuple[bool, int], mode: int) -> None:
    """The whole table: OK is the exception."""
    verdict = judge(control, ActionResult.SUCCESS, state(seen, mode))  # type: ignore[arg-type]
    done = (control is DISCONNECT and seen == OFF) or (control is CONNECT and seen == ON)
    armed = control is CONNECT and seen == READY and mode in (1, 3, 5, 6)
    assert verdict.ok == (done or armed)
    assert verdict.code == (None if done else "0.0" if armed else "5.3")
    assert verdict.level == (None if done else "INFORM" if armed else verdict.level)
    assert f"control_mode {mode}" in verdict.reason


@pytest.mark.parametrize("mode", [7, 200])
def test_mode_that_we_do_not_know(mode: int) -> None:
    assert judge(CONNECT, ActionResult.SUCCESS, state(ON, mode)).ok
    assert judge(DISCONNECT, ActionResult.SUCCESS, state(OFF, mode)).ok
    assert not judge(CONNECT, ActionResult.SUCCESS, state(READY, mode)).ok


def test_ready_where_the_meter_should_have_closed_says_who_can() -> None:
    verdict = judge(CONNECT, ActionResult.SUCCESS, state(READY, 4))
    assert (verdict.ok, verdict.code, verdict.state_word) == (False, "5.3", StateWord.READY_FOR_RECONNECTION)
    assert "customer" in verdict.reason


def test_ready_for_reconnection_says_that_the_supply_is_off() -> None:
    verdict = judge(CONNECT, ActionResult.SUCCESS, state(READY, 1))
    assert "ready for reconnection" in verdict.reason and "supply is still off" in verdict.reason


@pytest.mark.parametrize("control", [DISCONNECT, CONNECT], ids=["disconnect", "connect"])
@pytest.mark.parametrize("result", [result for result in ActionResult if result is not ActionResult.SUCCESS])
def test_no_state_makes_a_refused_action_ok(control: object, result: ActionResult) -> None:
    for seen in (OFF, ON, READY):
        verdict = judge(control, result, state(seen, 1))  # type: ignore[arg-type]
        assert not verdict.ok and verdict.code in ("5.3", "7.5")


@pytest.mark.parametrize("result", [None, *ActionResult])
def test_lost_answer_and_lost_read_back_are_not_ok(result: ActionResult | None) -> None:
    """Whatever the meter answered, without a read-back it may or may not have switched (M-011)."""
    verdict: Verdict = judge(DISCONNECT, result, None, detail="it was away")
    assert (verdict.ok, verdict.code, verdict.state_word) == (False, "5.3", StateWord.UNKNOWN)
    assert "may or may not have switched" in verdict.reason and "it was away)" in verdict.reason
    assert judge(DISCONNECT, None, state(OFF)).ok is False


def test_mode_0_found_after_an_earlier_life_does_not_say_that_nothing_was_sent() -> None:
    verdict = refusal(DISCONNECT, state(ON, 0), attempted=True)
    assert verdict is not None
    assert (
        verdict.code == "5.3" and "may or may not have switched" in verdict.reason and "not sent" not in verdict.reason
    )


def test_already_so_is_said() -> None:
    assert "as it was before" in judge(CONNECT, ActionResult.SUCCESS, state(ON), before=state(ON)).reason
    assert "as it was before" not in judge(CONNECT, ActionResult.SUCCESS, state(ON), before=state(OFF)).reason


@pytest.mark.parametrize("mode", range(8))
def test_only_a_meter_that_can_be_armed_is_armed(mode: int) -> None:
    """M-148: where the mode would connect, or the supply is on, nothing is sent."""
    arm = control_for("3.31.0.5")
    assert (refusal(arm, state(OFF, mode), attempted=False) is None) == (mode in (1, 3, 5, 6))
    assert refusal(arm, state(ON, mode), attempted=False) is not None
    assert judge(arm, ActionResult.SUCCESS, state(READY, mode)).ok
    for seen in (OFF, ON):
        verdict = judge(arm, ActionResult.SUCCESS, state(seen, mode))
        assert (verdict.ok, verdict.code) == (False, "5.3")


@pytest.mark.parametrize("mode", range(8))
def test_only_mode_0_is_refused_beforehand(mode: int) -> None:
    for control in (DISCONNECT, CONNECT):
        verdict = refusal(control, state(ON, mode), attempted=False)
        assert (verdict is not None) == (mode == 0)
        if verdict is not None:
            assert (verdict.ok, verdict.code) == (False, "5.2") and "mode 0" in verdict.reason


def test_every_row_names_a_decision_that_is_written() -> None:
    written = set(re.findall(r"^### (M-\d{3})", DECISIONS, re.MULTILINE))
    rows = [control.decision for control in CONTROLS.values()] + [rule.decision for rule in fault_rules().values()]
    assert set(rows) <= written
    assert all(control.source for control in CONTROLS.values()) and all(rule.source for rule in fault_rules().values())


def test_every_decision_names_tests_that_exist() -> None:
    root = Path(__file__).parents[2]
    sections = re.split(r"^### ", DECISIONS, flags=re.MULTILINE)[1:]
    assert len(sections) > 20
    for section in sections:
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", section)
        assert named, section[:40]
        for path, test in named:
            assert re.search(rf"^(async )?def {test}\b", (root / path).read_text(encoding="utf-8"), re.MULTILINE), (
                path,
                test,
            )
