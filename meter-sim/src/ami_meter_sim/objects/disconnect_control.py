"""Disconnect control (class 70): the supply switch, its seven control modes and its transition table.

Blue Book, class 70: three control states, eight transitions a to h, each with its trigger; a control mode says which
transitions exist. Strategy: both are data, and what is not in them does not happen. A command whose state is already
reached is a success without an event; a command for which the mode has no transition is refused.
"""

from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from typing import ClassVar, Protocol

from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataAccessResult, DataTag
from ami_dlms.obis import Obis
from ami_meter_sim.objects.cosem_object import ActionRefused, CosemObject, Refused, integer_in
from ami_packs.model import ObjectDescription


class ControlState(IntEnum):
    """control_state."""

    DISCONNECTED = 0
    CONNECTED = 1
    READY_FOR_RECONNECTION = 2


class Trigger(StrEnum):
    """What can move the switch: a client, a hand at the meter, the meter itself (limiter, supervision)."""

    REMOTE_DISCONNECT = "remote_disconnect"
    REMOTE_RECONNECT = "remote_reconnect"
    MANUAL_DISCONNECT = "manual_disconnect"
    MANUAL_RECONNECT = "manual_reconnect"
    LOCAL_DISCONNECT = "local_disconnect"
    LOCAL_RECONNECT = "local_reconnect"


DISCONNECTED, CONNECTED, READY = ControlState

TRANSITIONS: dict[str, tuple[ControlState, Trigger, ControlState]] = {
    "a": (DISCONNECTED, Trigger.REMOTE_RECONNECT, CONNECTED),
    "b": (CONNECTED, Trigger.REMOTE_DISCONNECT, DISCONNECTED),
    "c": (READY, Trigger.REMOTE_DISCONNECT, DISCONNECTED),
    "d": (DISCONNECTED, Trigger.REMOTE_RECONNECT, READY),
    "e": (READY, Trigger.MANUAL_RECONNECT, CONNECTED),
    "f": (CONNECTED, Trigger.MANUAL_DISCONNECT, READY),
    "g": (CONNECTED, Trigger.LOCAL_DISCONNECT, READY),
    "h": (READY, Trigger.LOCAL_RECONNECT, CONNECTED),
}
MODES: dict[int, str] = {0: "", 1: "bcdefg", 2: "abcefg", 3: "bcdeg", 4: "abceg", 5: "bcdefgh", 6: "bcdegh"}
"""control_mode -> the transitions that exist in it. In mode 0 the switch is always connected."""

TABLE: dict[tuple[int, ControlState, Trigger], ControlState] = {
    (mode, TRANSITIONS[letter][0], TRANSITIONS[letter][1]): TRANSITIONS[letter][2]
    for mode, letters in MODES.items()
    for letter in letters
}
"""(control_mode, state, trigger) -> next state; all that can happen."""

ALREADY: dict[tuple[ControlState, Trigger], str] = {
    (DISCONNECTED, Trigger.REMOTE_DISCONNECT): "b",
    (CONNECTED, Trigger.REMOTE_RECONNECT): "ad",
    (READY, Trigger.REMOTE_RECONNECT): "d",
}
"""Commands that find their work done, in the modes that have one of these transitions."""


@dataclass(frozen=True, slots=True)
class Switch:
    """What output_state, control_state and control_mode show."""

    control_mode: int
    control_state: ControlState = CONNECTED

    @property
    def output_state(self) -> bool:
        """Whether the supply is connected: the simulated contact always follows the control state."""
        return self.control_state is CONNECTED


def move(switch: Switch, trigger: Trigger) -> Switch | None:
    """The switch after a trigger: the same one if the state is reached already, None if the mode forbids it."""
    after = TABLE.get((switch.control_mode, switch.control_state, trigger))
    if after is not None:
        return replace(switch, control_state=after)
    would_do = ALREADY.get((switch.control_state, trigger), "")
    return switch if any(letter in MODES[switch.control_mode] for letter in would_do) else None


class SwitchHolder(Protocol):
    """What the disconnect control needs of the meter."""

    switch: Switch

    def record_event(self, log: Obis, number: int) -> None:
        """Put an event into a log."""


class DisconnectControl(CosemObject):
    """The parameter of both methods is integer (0) in the Blue Book; the field sends others too, and it means nothing."""

    __slots__ = ("_device",)

    class_id, version = 70, 0
    reads: ClassVar = {
        "output_state": lambda self, _: self._device.switch.output_state,
        "control_state": lambda self, _: self._device.switch.control_state,
        "control_mode": lambda self, _: self._device.switch.control_mode,
    }
    writes: ClassVar = {"control_mode": lambda self, value: self._set_control_mode(value)}
    methods: ClassVar = {
        "remote_disconnect": lambda self, _: self._switch_remotely(Trigger.REMOTE_DISCONNECT),
        "remote_reconnect": lambda self, _: self._switch_remotely(Trigger.REMOTE_RECONNECT),
    }

    def __init__(self, described: ObjectDescription, device: SwitchHolder) -> None:
        super().__init__(described)
        self._device = device

    def pull(self, trigger: Trigger) -> bool:
        """Let something happen to the switch; False when the control mode has no such transition."""
        before = self._device.switch
        after = move(before, trigger)
        if after is None:
            return False
        if after != before:
            self._device.switch = after
            self._record(trigger, after)
        return True

    def _record(self, trigger: Trigger, after: Switch) -> None:
        ready = trigger is Trigger.REMOTE_RECONNECT and after.control_state is READY
        number = self.described.events.get("ready_for_reconnection" if ready else trigger)
        if self.described.log is not None and number is not None:
            self._device.record_event(self.described.log, number)

    def _set_control_mode(self, value: Data) -> None:
        """Mode 0 only while connected, because writing a mode must not close the switch."""
        mode = integer_in(value, DataTag.ENUM, range(len(MODES)))
        if mode == 0 and self._device.switch.control_state is not CONNECTED:
            raise Refused(DataAccessResult.OTHER_REASON)
        self._device.switch = replace(self._device.switch, control_mode=mode)

    def _switch_remotely(self, trigger: Trigger) -> None:
        if not self.pull(trigger):
            raise ActionRefused(ActionResult.OTHER_REASON)
