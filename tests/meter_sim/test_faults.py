"""Rules of faults: what they are about, at which meters, how probable; and what several do together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from bench import (
    CLOCK,
    START,
    SWITCH,
    Bench,
    Dialogue,
    attribute,
    clear_client,
    method,
    misbehaving,
    session,
    setup,
)

from ami_dlms import data
from ami_dlms.association import Action, ActionOutcome, Get, ItemResult, Set
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_meter_sim.effects import Effect, HangUp, Report, Send, Wait
from ami_meter_sim.faults import FAULTS, Fault, FaultError, FaultRow, Faults, Item, Occasion, Rule, registry, rule
from ami_meter_sim.faults.dice import Dice
from ami_process.meanings import meanings

DISCONNECT = Action(method(SWITCH, 1), data.integer(0))
ADJUST = Action(method(CLOCK, 3), data.integer(0))
READ = Get(attribute(SWITCH, 2))
SET = Set(attribute(SWITCH, 4), data.enum(4))
FRAME = (Send(b"frame"),)
REQUESTS = {"service": ["get", "set", "action"]}


def with_faults(tmp_path: Path, *rules: dict[str, Any]) -> Dialogue:
    bench = Bench(tmp_path)
    bench.start(setup())
    dialogue = Dialogue(session(bench.meter, faults=misbehaving(*rules)), clear_client())
    dialogue.open()
    return dialogue


def but_reports(dialogue: Dialogue) -> list[Effect]:
    return [effect for effect in dialogue.effects if not isinstance(effect, Report)]


def fault(**given: Any) -> Fault:
    return Rule.parse(given).parameters


def happens(given: dict[str, Any], *items: Item, **more: Any) -> bool:
    [active] = misbehaving(given).of("M1001")
    return active.happens(Occasion(START, items, **more), {})


# --- what a fault does


def test_what_a_fault_is_about() -> None:
    refused = {"fault": "refuses", "result": "hardware-fault"}
    assert fault(**refused).on_request(DISCONNECT) == ActionOutcome(ActionResult.HARDWARE_FAULT, None)
    assert fault(**refused).on_request(READ) is DataAccessResult.HARDWARE_FAULT
    false = {"fault": "accepts-but-does-not-switch"}
    assert fault(**false).on_request(DISCONNECT) == ActionOutcome(ActionResult.SUCCESS, None)
    for one in (refused, false, {"fault": "reset-after-action"}):
        assert [
            happens(one, *items) for items in ([DISCONNECT], [READ, DISCONNECT], [ADJUST], [READ], [READ, ADJUST])
        ] == [
            True,
            True,
            False,
            False,
            False,
        ]
    assert happens(refused | {"when": {"class": 8}}, ADJUST)
    assert not happens(refused | {"when": {"class": 8}}, DISCONNECT)


def test_what_becomes_of_a_frame() -> None:
    answer, opening = Occasion(START, [READ]), Occasion(START)
    assert fault(fault="slow", seconds=2).on_frame(FRAME, opening) == (Wait(2), *FRAME)
    assert fault(fault="slow").on_frame((), answer) == ()
    silent = {"fault": "silent", "when": REQUESTS}
    assert [happens(silent), happens(silent, READ)] == [False, True]
    assert [happens({"fault": "silent"}), happens({"fault": "silent"}, READ)] == [True, True]
    assert fault(fault="silent").on_frame(FRAME, answer) == ()


def test_the_first_fault_that_answers_decides(tmp_path: Path) -> None:
    refused = {"fault": "refuses", "result": "temporary-failure"}
    dialogue = with_faults(tmp_path, refused, {"fault": "accepts-but-does-not-switch"})
    assert dialogue.ask(DISCONNECT).result is ActionResult.TEMPORARY_FAILURE


def test_a_silent_meter_does_not_wait_before_it_says_nothing(tmp_path: Path) -> None:
    dialogue = with_faults(tmp_path, {"fault": "slow", "seconds": 2}, {"fault": "silent", "when": REQUESTS})
    assert but_reports(dialogue) == [Wait(2)], "the answer to the association"
    assert dialogue.ask(DISCONNECT) is None
    assert but_reports(dialogue) == [Wait(2)]


def test_a_refused_action_breaks_down_as_well(tmp_path: Path) -> None:
    dialogue = with_faults(
        tmp_path, {"fault": "accepts-but-does-not-switch"}, {"fault": "reset-after-action", "how": "close"}
    )
    assert dialogue.ask(DISCONNECT) is None
    assert but_reports(dialogue) == [HangUp()]


class Doubled(Fault):
    """A fault of a test's own: readings are refused, and every answer comes twice."""

    def on_request(self, item: Item) -> ItemResult | None:
        return DataAccessResult.HARDWARE_FAULT if isinstance(item, Get) else None

    def on_frame(self, leaving: Sequence[Effect], occasion: Occasion) -> Sequence[Effect]:
        return [*leaving, *leaving] if occasion.items else leaving


def test_a_new_fault_is_a_class_and_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = registry.FAULTS | {"doubled": FaultRow("doubled", Doubled, "", "")}
    monkeypatch.setattr(rule, "FAULTS", rows)
    dialogue = with_faults(tmp_path, {"fault": "doubled"})
    request = dialogue.connection.send(READ)
    sent = [effect for effect in dialogue.session.receive_data(request) if isinstance(effect, Send)]
    assert len(sent) == 2 and sent[0] == sent[1]
    dialogue.connection.receive_data(sent[0].octets)
    result = dialogue.connection.next_event()
    assert result.result is DataAccessResult.HARDWARE_FAULT  # type: ignore[union-attr]


def test_what_happens_is_reported_and_counted(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    faults = misbehaving({"fault": "refuses", "when": {"service": "get"}})
    dialogue = Dialogue(session(bench.start(), faults=faults), clear_client())
    dialogue.open()
    dialogue.get(SWITCH)
    dialogue.ask(DISCONNECT)
    [report] = [
        one.event for one in dialogue.effects if isinstance(one, Report) and one.event.event == "fault_happened"
    ]
    assert (report.meter, report.fault, report.rule) == ("M1001", "refuses", 1)  # type: ignore[attr-defined]
    assert faults.counts == {"refuses": 1}


def test_a_lost_request_is_not_carried_out_and_the_next_one_is(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    lost = misbehaving({"fault": "silent", "when": {"direction": "request", "service": "action", "first": 1}})
    bench.start(setup())
    first, dialogue = (Dialogue(session(bench.meter, faults=lost), clear_client()) for _ in range(2))
    first.open()
    dialogue.open()
    assert first.ask(DISCONNECT) is None
    assert dialogue.get(SWITCH).value == data.boolean(True)
    assert dialogue.ask(DISCONNECT) == ActionOutcome(ActionResult.SUCCESS, None)
    assert dialogue.get(SWITCH).value == data.boolean(False)


def test_one_item_of_a_list_is_disturbed_alone(tmp_path: Path) -> None:
    dialogue = with_faults(tmp_path, {"fault": "refuses", "when": {"service": "get", "class": 8, "attribute": 2}})
    assert dialogue.get(CLOCK).result is DataAccessResult.OTHER_REASON
    assert dialogue.get(CLOCK, 3).result is DataAccessResult.SUCCESS
    assert dialogue.get(SWITCH).result is DataAccessResult.SUCCESS


# --- when


@pytest.mark.parametrize(
    ("when", "items", "holds"),
    [
        ({}, [], True),
        ({"service": "association"}, [], True),
        ({"service": "association"}, [READ], False),
        ({"service": ["get", "set"]}, [SET], True),
        ({"class": 70}, [READ], True),
        ({"class": [3, 8]}, [READ], False),
        ({"class": 70}, [], False),
        ({"instance": "0-0:96.3.10*255"}, [READ], True),
        ({"instance": "0-0:96.3.10"}, [DISCONNECT], True),
        ({"instance": "0-0:96.3.11"}, [READ], False),
        ({"attribute": 2}, [READ], True),
        ({"attribute": 2}, [DISCONNECT], False),
        ({"method": 1}, [DISCONNECT], True),
        ({"method": 1}, [READ], False),
        ({"service": "get", "attribute": 4}, [SET], False),
        ({"since": START}, [READ], True),
        ({"since": START + timedelta(seconds=1)}, [READ], False),
        ({"until": START}, [READ], False),
        ({"until": START + timedelta(seconds=1)}, [READ], True),
    ],
)
def test_when(when: dict[str, Any], items: list[Item], holds: bool) -> None:
    assert happens({"fault": "slow", "when": when}, *items) is holds


def test_a_fault_of_answers_is_none_of_pushes() -> None:
    assert not happens({"fault": "slow"}, push="alarm")
    assert happens({"fault": "slow", "when": {"direction": "push"}}, push="alarm")
    assert happens({"fault": "slow", "when": {"service": "push"}}, push="alarm")
    assert not happens({"fault": "slow", "when": {"direction": "push"}}, READ)
    assert [happens({"fault": "last-gasp-lost"}, push=why) for why in ("power-down", "alarm")] == [True, False]


def numbers(given: dict[str, Any], most: int = 6, name: str = "M1001") -> list[int]:
    [active] = misbehaving(given).of(name)
    return [number for number in range(1, most + 1) if active.happens(Occasion(START, [READ]), {})]


def test_the_nth_time_and_the_first_times() -> None:
    assert numbers({"fault": "slow", "when": {"nth": 3}}) == [3]
    assert numbers({"fault": "slow", "when": {"first": 2}}) == [1, 2]


# --- chance


def test_the_same_seed_decides_the_same_at_each_meter() -> None:
    given = {"fault": "slow", "probability": 0.3, "seed": 7}
    first, again = numbers(given, 1000), numbers(given, 1000)
    assert first == again and 250 < len(first) < 350
    assert numbers(given, 1000, "M1002") != first
    assert numbers(given | {"seed": 8}, 1000) != first
    faults = misbehaving(given)
    both = [faults.of("M1002")[0], faults.of("M1001")[0]]
    mixed = [number for number in range(1, 1001) if [one.happens(Occasion(START, [READ]), {}) for one in both][1]]
    assert mixed == first, "whatever other meters do"


def test_never_and_always() -> None:
    assert numbers({"fault": "slow", "probability": 0}) == []
    assert numbers({"fault": "slow", "probability": 1}) == [1, 2, 3, 4, 5, 6]


def test_a_share_of_the_meters() -> None:
    names = [f"M{number}" for number in range(10_000)]
    chosen = Rule.parse({"fault": "silent", "share": 0.2, "seed": 3})
    first = [name for name in names if chosen.applies_to(name, ())]
    assert 1900 < len(first) < 2100
    assert first == [name for name in names if chosen.applies_to(name, ())]
    more = Rule.parse({"fault": "silent", "share": 0.4, "seed": 3})
    assert set(first) < {name for name in names if more.applies_to(name, ())}


def test_meters_by_name_by_pattern_and_by_group() -> None:
    faults = Faults(groups_of=lambda name: {"feeder-1"} if name in ("A1", "B1") else set())
    faults.set(Rule.parse({"fault": "silent", "meters": ["A1", "A2"]}))
    faults.set(Rule.parse({"fault": "slow", "meters": ["B*"]}))
    faults.set(Rule.parse({"fault": "busy", "group": "feeder-1"}))
    found = {name: [one.rule.fault for one in faults.of(name)] for name in ("A1", "A2", "B1", "C1")}
    assert found == {"A1": ["silent", "busy"], "A2": ["silent"], "B1": ["slow", "busy"], "C1": []}


def test_dice_are_uniform_and_octets_are_as_long_as_wanted() -> None:
    dice = Dice(1, "a")
    drawn = [dice.fraction() for _ in range(10_000)]
    assert 0.49 < sum(drawn) / len(drawn) < 0.51 and min(drawn) >= 0 and max(drawn) < 1
    assert [len(dice.octets(length)) for length in (0, 1, 64, 65, 1000)] == [0, 1, 64, 65, 1000]


# --- setting and resetting


def test_reset_is_health_in_one_call() -> None:
    faults = misbehaving({"fault": "silent"}, {"fault": "slow", "meters": ["M1001"]})
    assert len(faults.of("M1001")) == 2
    assert (faults.reset(), faults.of("M1001"), faults.rules) == (2, (), [])


def test_a_fault_that_stays_remembers() -> None:
    """Setting and removing others begins nothing anew."""
    faults = misbehaving({"fault": "slow", "when": {"nth": 2}})
    assert [one.happens(Occasion(START, [READ]), {}) for one in faults.of("M1001")] == [False]
    number = faults.set(Rule.parse({"fault": "silent"}))
    assert [one.happens(Occasion(START, [READ]), {}) for one in faults.of("M1001")] == [True, True]
    assert (faults.remove(number), faults.remove(number)) == (True, False)
    assert [one.happens(Occasion(START, [READ]), {}) for one in faults.of("M1001")] == [False]


# --- what is refused


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"fault": "lazy"}, r"there is no 'lazy'; there are silent, slow, .*slice"),
        ({}, r"there is no 'None'"),
        ({"fault": 7}, r"there is no '7'"),
        ({"fault": "slow", "second": 1}, r"slow: there is no 'second'; there are seconds, jitter_s, fault, when"),
        ({"fault": "slow", "when": {"clas": 1}}, r"slow: there is no 'when.clas'; there are .*class"),
        ({"fault": "slow", "seconds": -1}, r"slow: seconds: .*greater than or equal to 0"),
        ({"fault": "slow", "seconds": float("nan")}, r"slow: seconds: .*finite"),
        ({"fault": "slow", "probability": 1.5}, r"slow: probability: .*less than or equal to 1"),
        ({"fault": "slow", "share": -0.1}, r"slow: share"),
        ({"fault": "slow", "seed": -1}, r"slow: seed"),
        ({"fault": "slow", "when": {"service": "read"}}, r"slow: when\.service"),
        ({"fault": "slow", "when": {"service": []}}, r"slow: when\.service"),
        ({"fault": "slow", "when": {"instance": "everything"}}, r"slow: when\.instance: is no OBIS code"),
        ({"fault": "slow", "when": {"since": "2026-01-01T00:00:00"}}, r"slow: when\.since"),
        ({"fault": "refuses", "result": "maybe"}, r"refuses: result: 'maybe' is none of success.*other-reason"),
        ({"fault": "refuses", "when": {"direction": "push"}}, r"refuses: when\.direction push is not possible"),
        ({"fault": "splits-every-byte", "size": 2}, r"splits-every-byte: size"),
    ],
)
def test_a_rule_that_can_not_be_used(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(FaultError, match=reason):
        Rule.parse(given)


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_says_what_it_does_and_what_to_do(name: str) -> None:
    row = FAULTS[name]
    assert row.does and row.advice and row.kind.__doc__
    assert row.kind.model_fields.keys() <= meanings(row.kind).keys(), "say below each parameter what it is"
    assert row.kind.model_fields.keys().isdisjoint(Rule.model_fields), "they are in one table"
    given = Rule.parse({"fault": name})
    assert Rule.parse(given.described()).described() == given.described(), "what the list shows can be set again"
