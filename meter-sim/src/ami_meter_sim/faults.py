"""What a simulated meter does wrong on purpose, only at its edge: the objects inside are always right.

Strategy: each fault is a small class with up to three hooks, which the session calls where a real meter goes wrong (before a
request is carried out, before it is answered, when a frame leaves). A meter has a list of faults; the first one that has
something to say about a request or its answer decides, and every one may change what becomes of a frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ami_dlms.association import Action, ActionOutcome, Get, ItemResult, Set
from ami_dlms.enums import ActionResult
from ami_meter_sim.effects import Die, Effect, HangUp, Wait

DISCONNECT_CONTROL = 70
Item = Get | Set | Action


class Fault:
    """Nothing wrong yet: a fault overrides the hooks that it needs."""

    __slots__ = ()

    def on_request(self, item: Item) -> ItemResult | None:
        """The result in place of the meter's own, which is then not asked for; None leaves it to the meter."""
        return None

    def on_outcome(self, items: Sequence[Item]) -> Effect | None:
        """What happens in place of the answer to these items, which have been carried out; None leaves the answer."""
        return None

    def on_frame(self, leaving: Sequence[Effect], answers: bool) -> Sequence[Effect]:
        """What happens in place of these effects, with which a frame leaves; whether it answers a request."""
        return leaving


@dataclass(frozen=True, slots=True)
class RefuseAction(Fault):
    """Answer an ACTION of this class with this result, and do nothing."""

    result: ActionResult
    class_id: int = DISCONNECT_CONTROL

    def on_request(self, item: Item) -> ItemResult | None:
        """The refusal."""
        return ActionOutcome(self.result, None) if _is_action(item, self.class_id) else None


@dataclass(frozen=True, slots=True)
class LieAboutAction(Fault):
    """Answer an ACTION of this class with success, and do nothing."""

    class_id: int = DISCONNECT_CONTROL

    def on_request(self, item: Item) -> ItemResult | None:
        """The lie."""
        return ActionOutcome(ActionResult.SUCCESS, None) if _is_action(item, self.class_id) else None


@dataclass(frozen=True, slots=True)
class BreakDownAfterAction(Fault):
    """Carry out an ACTION of this class, and lose the connection, or die with all other meters of the process, before the answer."""

    effect: HangUp | Die
    class_id: int = DISCONNECT_CONTROL

    def on_outcome(self, items: Sequence[Item]) -> Effect | None:
        """The breakdown."""
        return self.effect if any(_is_action(item, self.class_id) for item in items) else None


@dataclass(frozen=True, slots=True)
class Delay(Fault):
    """Wait before every frame."""

    seconds: float

    def on_frame(self, leaving: Sequence[Effect], answers: bool) -> Sequence[Effect]:
        """The same, later."""
        return [Wait(self.seconds), *leaving] if leaving else leaving


@dataclass(frozen=True, slots=True)
class Silence(Fault):
    """Answer no request, or `always`: send nothing, not even the answer to an association."""

    always: bool = False

    def on_frame(self, leaving: Sequence[Effect], answers: bool) -> Sequence[Effect]:
        """Nothing."""
        return () if self.always or answers else leaving


def _is_action(item: Item, class_id: int) -> bool:
    return isinstance(item, Action) and item.descriptor.class_id == class_id
