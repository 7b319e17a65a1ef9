"""The supply switch of class 70: three control states, nine transitions, and the control modes that say which of them exist.

Strategy: transitions and modes are data, and what is not in them does not happen. A command whose state is already reached is a
success; a command for which the mode has no transition is refused. Mode 7 is that of version 1 of the class: with it a
remote reconnect closes a switch that is ready for reconnection, which in modes 2 and 4 only a hand can.
"""

from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from typing import NamedTuple


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
    "i": (READY, Trigger.REMOTE_RECONNECT, CONNECTED),
}
MODES: dict[int, str] = {
    0: "",
    1: "bcdefg",
    2: "abcefg",
    3: "bcdeg",
    4: "abceg",
    5: "bcdefgh",
    6: "bcdegh",
    7: "abceghi",
}
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


class Move(NamedTuple):
    """The switch has moved."""

    trigger: Trigger
    before: Switch
    after: Switch


def move(switch: Switch, trigger: Trigger) -> Switch | None:
    """The switch after a trigger: the same one if the state is reached already, None if the mode forbids it."""
    after = TABLE.get((switch.control_mode, switch.control_state, trigger))
    if after is not None:
        return replace(switch, control_state=after)
    would_do = ALREADY.get((switch.control_state, trigger), "")
    return switch if any(letter in MODES[switch.control_mode] for letter in would_do) else None
