"""What every fault has in common: the hooks at the edge of a meter, where the objects inside stay right.

Strategy: a fault is a small class whose fields are its parameters, each with its bounds, so that a file, the API and the
command line check them alike. Each meter has an instance of its own, with the fault's memory in private attributes. The session
and the push senders ask a fault only when its rule says that it happens now; a hook that a fault does not override changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, PrivateAttr

from ami_dlms.association import Action, AssociationProfile, Get, ItemResult, Set
from ami_dlms.framing.framing import LinkLost, WrapperPdu
from ami_dlms.frozen import frozen
from ami_meter_sim.effects import Effect, Send
from ami_meter_sim.faults.dice import Dice
from ami_process.meanings import Documented

Item = Get | Set | Action
Direction = Literal["request", "answer", "push"]
Service = Literal["association", "get", "set", "action", "push"]

FRAME_HEADER = 8
"""Octets of a wrapper header before the APDU (version, source, destination, length)."""


@frozen
class AnsweredAtOnce:
    """An APDU that goes back to a client, to whose association nothing was said."""

    pdu: WrapperPdu


Arrived = WrapperPdu | LinkLost | AnsweredAtOnce


@dataclass(frozen=True, slots=True)
class Occasion:
    """What is going on at a meter while a fault may happen.

    `items` are what a request asks for; none while an association opens or ends, while further blocks are fetched, or for a
    push. `push` says why a push is sent. `answers`, `octets`: requests answered and octets sent on this connection so far.
    """

    at: datetime
    items: Sequence[Item] = ()
    push: str | None = None
    answers: int = 0
    octets: int = 0

    @property
    def services(self) -> frozenset[Service]:
        if self.push is not None:
            return frozenset({"push"})
        return frozenset(service_of(item) for item in self.items) or frozenset({"association"})


def service_of(item: Item) -> Service:
    """In the words of `when.service`."""
    if isinstance(item, Get):
        return "get"
    return "set" if isinstance(item, Set) else "action"


class Fault(Documented):
    """Nothing wrong yet."""

    # a process uses few of the kinds that there are: the validator of one is built with its first use
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, defer_build=True)

    directions: ClassVar[tuple[Direction, ...]] = ("answer",)
    """Where it can happen; the first one unless its rule says another."""
    about: ClassVar[dict[str, Any]] = {}
    """The `when` of a rule that names neither service nor class."""
    usual_probability: ClassVar[float] = 1.0
    """Of a rule that names none."""
    once_per_connection: ClassVar[bool] = False
    """Whether chance decides once for a whole connection."""
    of_the_line: ClassVar[bool] = False
    """Whether it disturbs answers below the APDU: each frame that goes over the line, over HDLC each of its frames, by itself."""

    _dice: Dice = PrivateAttr(default_factory=lambda: Dice(0))

    def of_its_own(self, dice: Dice) -> "Fault":
        """One with the same parameters and these dice, for one meter."""
        own = type(self).model_construct(**{name: getattr(self, name) for name in type(self).model_fields})
        own._dice = dice
        return own

    def has(self, *hooks: str) -> bool:
        """Whether it overrides one of these hooks."""
        return any(getattr(type(self), hook) is not getattr(Fault, hook) for hook in hooks)

    def concerns(self, occasion: Occasion) -> bool:
        """Whether there is anything here that it could do wrong, by its parameters alone: all meters of a rule share the answer."""
        return True

    def is_down(self, at: datetime) -> bool:
        """Whether the meter is out of order as a consequence of it, and hangs up at whatever comes."""
        return False

    def on_profile(self, profile: AssociationProfile) -> AssociationProfile:
        """The association that a client may open, in place of this one."""
        return profile

    def on_connection(self) -> Effect | None:
        """What happens at the first octets of a connection; None goes on."""
        return None

    def on_octets(self, octets: bytes) -> bytes:
        """The octets of the line in place of these, which the only meter at an address received."""
        return octets

    def on_silence(self) -> bytes:
        """Octets of the line that were held back until more come, when none come: a frame that was begun ends there."""
        return b""

    def on_pdu(self, pdu: WrapperPdu | LinkLost, profile: AssociationProfile | None) -> Sequence[Arrived]:
        """What its association hears in place of this; `profile` is the one of a meter in health, None for a stranger."""
        return (pdu,)

    def on_challenge(self, octets: bytes) -> bytes:
        """The challenge of HLS in place of this one."""
        return octets

    def on_arrival(self) -> Sequence[Effect] | None:
        """What happens before a request is carried out; None: it is lost, neither carried out nor answered."""
        return ()

    def on_request(self, item: Item) -> Item | ItemResult | None:
        """The request or the result in place of the meter's own, which is then not asked for; None leaves it to the meter."""
        return None

    def on_result(self, item: Item, result: ItemResult) -> ItemResult:
        """The result in place of what the meter says."""
        return result

    def on_outcome(self, occasion: Occasion) -> Sequence[Effect] | None:
        """What happens in place of the answer to these items, which have been carried out; None leaves the answer."""
        return None

    def on_frame(self, leaving: Sequence[Effect], occasion: Occasion) -> Sequence[Effect]:
        """What happens in place of these effects, with which a frame leaves: an answer or a push."""
        return leaving


class FrameFault(Fault):
    """A fault of single frames."""

    def on_frame(self, leaving: Sequence[Effect], occasion: Occasion) -> Sequence[Effect]:
        """Each frame as this fault has it."""
        changed: list[Effect] = []
        for effect in leaving:
            changed += self.disturbed(effect.octets, occasion) if isinstance(effect, Send) else (effect,)
        return changed

    def disturbed(self, frame: bytes, occasion: Occasion) -> Sequence[Effect]:
        """What leaves in place of this frame."""
        return (Send(frame),)


def with_apdu(frame: bytes, apdu: bytes) -> bytes:
    """The frame with another APDU, and a header that agrees with it."""
    return frame[:6] + len(apdu).to_bytes(2, "big") + apdu
