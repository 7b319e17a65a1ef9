"""Each fault is a small class, and several of them go together: the first that speaks decides, and every one sees a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import CLOCK, SWITCH, Bench, Dialogue, attribute, clear_client, method, session, setup

from ami_dlms import data
from ami_dlms.association import Action, ActionOutcome, Get, ItemResult
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_meter_sim.effects import Die, Effect, HangUp, Report, Send, Wait
from ami_meter_sim.faults import BreakDownAfterAction, Delay, Fault, Item, LieAboutAction, RefuseAction, Silence

DISCONNECT = Action(method(SWITCH, 1), data.integer(0))
ADJUST = Action(method(CLOCK, 3), data.integer(0))
READ = Get(attribute(SWITCH, 2))
FRAME = (Send(b"frame"),)


def with_faults(tmp_path: Path, *faults: Fault) -> Dialogue:
    bench = Bench(tmp_path)
    bench.start(setup(faults=faults))
    dialogue = Dialogue(session(bench.meter), clear_client())
    dialogue.open()
    return dialogue


def but_reports(dialogue: Dialogue) -> list[Effect]:
    return [effect for effect in dialogue.effects if not isinstance(effect, Report)]


def test_what_a_fault_is_about() -> None:
    refusal, lie = RefuseAction(ActionResult.HARDWARE_FAULT), LieAboutAction()
    assert refusal.on_request(DISCONNECT) == ActionOutcome(ActionResult.HARDWARE_FAULT, None)
    assert lie.on_request(DISCONNECT) == ActionOutcome(ActionResult.SUCCESS, None)
    assert [fault.on_request(item) for fault in (refusal, lie) for item in (ADJUST, READ)] == [None] * 4
    assert RefuseAction(ActionResult.HARDWARE_FAULT, class_id=8).on_request(ADJUST) is not None
    dying = BreakDownAfterAction(Die())
    assert (dying.on_outcome([READ, DISCONNECT]), dying.on_outcome([READ, ADJUST])) == (Die(), None)


def test_what_becomes_of_a_frame() -> None:
    assert Delay(2).on_frame(FRAME, answers=False) == [Wait(2), *FRAME]
    assert Delay(2).on_frame((), answers=True) == ()
    assert [Silence().on_frame(FRAME, answers) for answers in (False, True)] == [FRAME, ()]
    assert [Silence(always=True).on_frame(FRAME, answers) for answers in (False, True)] == [(), ()]


def test_the_first_fault_that_speaks_decides(tmp_path: Path) -> None:
    dialogue = with_faults(tmp_path, RefuseAction(ActionResult.TEMPORARY_FAILURE), LieAboutAction())
    assert dialogue.ask(DISCONNECT).result is ActionResult.TEMPORARY_FAILURE


def test_a_silent_meter_does_not_wait_before_it_says_nothing(tmp_path: Path) -> None:
    dialogue = with_faults(tmp_path, Delay(2), Silence())
    assert but_reports(dialogue) == [Wait(2)], "the answer to the association"
    assert dialogue.ask(DISCONNECT) is None
    assert but_reports(dialogue) == [Wait(2)]


def test_a_refused_action_breaks_down_as_well(tmp_path: Path) -> None:
    dialogue = with_faults(tmp_path, LieAboutAction(), BreakDownAfterAction(HangUp()))
    assert dialogue.ask(DISCONNECT) is None
    assert but_reports(dialogue) == [HangUp()]


@dataclass(frozen=True, slots=True)
class Doubled(Fault):
    """A fault of a test's own: readings are refused, and every frame comes twice."""

    def on_request(self, item: Item) -> ItemResult | None:
        return DataAccessResult.HARDWARE_FAULT if isinstance(item, Get) else None

    def on_frame(self, leaving: Sequence[Effect], answers: bool) -> Sequence[Effect]:
        return [*leaving, *leaving] if answers else leaving


def test_a_new_fault_is_a_class_and_nothing_else(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start(setup(faults=(Doubled(),)))
    dialogue = Dialogue(session(bench.meter), clear_client())
    dialogue.open()
    request = dialogue.connection.send(READ)
    sent = [effect for effect in dialogue.session.receive_data(request) if isinstance(effect, Send)]
    assert len(sent) == 2 and sent[0] == sent[1]
    dialogue.connection.receive_data(sent[0].octets)
    result = dialogue.connection.next_event()
    assert result.result is DataAccessResult.HARDWARE_FAULT  # type: ignore[union-attr]
