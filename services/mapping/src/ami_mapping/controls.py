"""EndDeviceControlType -> what is done to a meter for it (table data/end_device_controls.csv), and the verdict over its switch.

Each row names its recipe. That of the switch is here: disconnect control, interface class 70 of the Blue Book; the others are in
`ami_mapping.recipes` (docs/adr/0025). A control is OK only when the meter accepted it AND what it shows, read afterwards, agrees
(docs/mapping.md, M-004); what "agrees" means for a connect depends on the control mode (M-005). Pure functions: the caller reads the meter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

from ami_cim.errors import CimError
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.data import Data, integer
from ami_dlms.enums import ActionResult
from ami_dlms.obis import Obis
from ami_mapping.faults import Fault, explain
from ami_mapping.tables import number, packaged, read_table

SWITCH = "switch"
"""The recipe of the rows that are judged here."""
LONG = frozenset({"key_change", "firmware_activate"})
"""Recipes that take several associations, or minutes: the operations of campaigns carry them out."""
OUTPUT_STATE, CONTROL_STATE, CONTROL_MODE = 2, 3, 4
DISCONNECTED, CONNECTED, READY_FOR_RECONNECTION = 0, 1, 2
ALWAYS_CONNECTED = 0  # the control mode in which neither method does anything
ARMING_MODES = frozenset({1, 3, 5, 6})  # remote_reconnect leaves the meter ready: the customer closes the switch


class StateWord(StrEnum):
    """control_state in the Blue Book's words."""

    DISCONNECTED = "disconnected"
    CONNECTED = "connected"
    READY_FOR_RECONNECTION = "ready_for_reconnection"
    UNKNOWN = "unknown"


_WORDS = {
    DISCONNECTED: StateWord.DISCONNECTED,
    CONNECTED: StateWord.CONNECTED,
    READY_FOR_RECONNECTION: StateWord.READY_FOR_RECONNECTION,
}


class UnknownControl(CimError):
    """An EndDeviceControlType that no row of the table translates: refused before any octet goes to a meter."""


@dataclass(frozen=True, slots=True)
class Control:
    """One row: the CIM code, and the recipe with the COSEM object that it works on."""

    code: str
    name: str
    """As a command line takes it."""
    recipe: str
    takes: str | None
    """What it needs beside its type: an element of ControlParameters, or PanDisplay."""
    class_id: int
    obis: Obis
    member: str
    """What of the object is invoked or written: "method 1" or "attribute 2"."""
    wanted: StateWord | None
    """Of the switch, afterwards; None for other recipes."""
    read_back: str
    """What the meter has to show for OK, in words."""
    done: str | None
    """EndDeviceEventType of its end as asked for."""
    failed: str | None
    """EndDeviceEventType of any other end."""
    decision: str
    source: str

    @property
    def method(self) -> int:
        """The number of the method; ValueError where attributes are written."""
        kind, _, which = self.member.partition(" ")
        if kind != "method":
            raise ValueError(f"{self.name} writes {self.member}")
        return int(which)

    @property
    def is_switch(self) -> bool:
        """Whether it works on the disconnect control, whose object the registry may name."""
        return self.recipe == SWITCH

    @property
    def is_long(self) -> bool:
        """Whether an operation of campaigns carries it out."""
        return self.recipe in LONG

    @property
    def descriptor(self) -> MethodDescriptor:
        return MethodDescriptor(self.class_id, self.obis, self.method)

    @property
    def parameters(self) -> Data:
        """Of the methods of the switch: integer (0), M-003."""
        return integer(0)

    @property
    def place(self) -> str:
        """The object and what of it, for a person."""
        return f"class {self.class_id} {self.obis} {self.member}"

    def attribute(self, attribute_id: int) -> AttributeDescriptor:
        """An attribute of the same object."""
        return AttributeDescriptor(self.class_id, self.obis, attribute_id)


@dataclass(frozen=True, slots=True)
class DisconnectState:
    """The three attributes of a disconnect control object that give its state."""

    output_state: bool
    control_state: int
    control_mode: int

    @property
    def word(self) -> StateWord:
        return _WORDS.get(self.control_state, StateWord.UNKNOWN)

    @property
    def described(self) -> str:
        """For a person: the state and the three values behind it."""
        return (
            f"{self.word} (output_state {str(self.output_state).lower()}, "
            f"control_state {self.control_state}, control_mode {self.control_mode})"
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a control may be reported as done; code and level are None when there is nothing to add to OK."""

    ok: bool
    code: str | None
    level: str | None
    reason: str
    state_word: StateWord = StateWord.UNKNOWN


def _controls() -> dict[str, Control]:
    file = "end_device_controls.csv"
    rows = read_table(packaged(file), file, _control, [one.name for one in fields(Control)])
    return {row.code: row for row in rows}


def _control(row: dict[str, str], line: int) -> Control:
    return Control(
        code=row["code"],
        name=row["name"],
        recipe=row["recipe"],
        takes=row["takes"] or None,
        class_id=number(row["class_id"], "class_id"),
        obis=Obis.parse(row["obis"]),
        member=_member(row["member"]),
        wanted=StateWord(row["wanted"]) if row["wanted"] else None,
        read_back=row["read_back"],
        done=row["done"] or None,
        failed=row["failed"] or None,
        decision=row["decision"],
        source=row["source"],
    )


def _member(text: str) -> str:
    kind, _, which = text.partition(" ")
    if kind not in ("method", "attribute"):
        raise ValueError(f"{text!r} is neither a method nor an attribute")
    number(which, "member", highest=127)
    return text


CONTROLS = _controls()
CODES: Mapping[str, str] = {row.name: row.code for row in reversed(CONTROLS.values())}
"""Name of a control -> the first code of that name."""


def control_for(code: str) -> Control:
    """The row of an EndDeviceControlType; raises UnknownControl (M-002)."""
    try:
        return CONTROLS[code]
    except KeyError:
        fault = explain("control", "unknown", attempted=False, detail=repr(code[:64]))
        raise UnknownControl(fault.code, fault.reason) from None


def refusal(control: Control, before: DisconnectState, *, attempted: bool) -> Verdict | None:
    """Why the method is not to be invoked (again) in this state, or None (M-007, M-148).

    `attempted` when an earlier life of the process may have invoked it.
    """
    if before.control_mode == ALWAYS_CONNECTED:
        return _failed(explain("control", "mode-0", attempted=attempted, detail=_seen(before)), before)
    if control.wanted is not StateWord.READY_FOR_RECONNECTION:
        return None
    if before.control_mode not in ARMING_MODES:
        return _failed(explain("control", "would-connect", attempted=attempted, detail=_seen(before)), before)
    if before.output_state:
        return _failed(explain("control", "nothing-to-arm", attempted=attempted, detail=_seen(before)), before)
    return None


def judge(
    control: Control,
    action_result: ActionResult | None,
    after: DisconnectState | None,
    *,
    before: DisconnectState | None = None,
    detail: str = "",
) -> Verdict:
    """The verdict over a control that was sent (M-004); None is an answer or a read-back that never came.

    `detail` says why it did not come. Without a read-back nothing tells what the meter has done, whatever it answered.
    """
    if action_result is None or after is None:
        return _unread(action_result, after, detail)
    if action_result != ActionResult.SUCCESS:
        return _failed(explain("action-result", action_result.name, attempted=None, detail=_seen(after)), after)
    if control.wanted is StateWord.DISCONNECTED:
        return _judge_disconnect(after, before)
    if control.wanted is StateWord.READY_FOR_RECONNECTION:
        return _judge_arm(after, before)
    return _judge_connect(after, before)


def _unread(action_result: ActionResult | None, after: DisconnectState | None, detail: str) -> Verdict:
    kind, name = "control", "no-read-back"
    if action_result is None:
        name = "no-action-result"
    elif action_result != ActionResult.SUCCESS:
        kind, name = "action-result", action_result.name
    seen = "; ".join(filter(None, (_seen(after), detail)))
    return _failed(explain(kind, name, attempted=True, detail=seen), after)


def _judge_disconnect(after: DisconnectState, before: DisconnectState | None) -> Verdict:
    if not after.output_state and after.control_state == DISCONNECTED:
        return _done(after, before)
    return _failed(explain("control", "not-disconnected", attempted=None, detail=_seen(after)), after)


def _judge_arm(after: DisconnectState, before: DisconnectState | None) -> Verdict:
    if not after.output_state and after.control_state == READY_FOR_RECONNECTION:
        return _done(after, before)
    return _failed(explain("control", "not-armed", attempted=None, detail=_seen(after)), after)


def _judge_connect(after: DisconnectState, before: DisconnectState | None) -> Verdict:
    if after.output_state and after.control_state == CONNECTED:
        return _done(after, before)
    ready = not after.output_state and after.control_state == READY_FOR_RECONNECTION
    if ready and after.control_mode in ARMING_MODES:
        reason = explain("control", "ready-for-reconnection", attempted=None, detail=_seen(after))
        return Verdict(True, reason.code, reason.level, reason.reason, after.word)
    name = "still-ready" if ready else "not-connected"
    return _failed(explain("control", name, attempted=None, detail=_seen(after)), after)


def _done(after: DisconnectState, before: DisconnectState | None) -> Verdict:
    """OK with nothing to add; the reason is for our own log (M-009: it may have been so before)."""
    already = ", as it was before the control" if before is not None and before.word is after.word else ""
    return Verdict(True, None, None, f"{after.word}{already}: the meter reads back {after.described}", after.word)


def _failed(fault: Fault, seen: DisconnectState | None) -> Verdict:
    return Verdict(False, fault.code, fault.level, fault.reason, _word(seen))


def _seen(after: DisconnectState | None) -> str:
    return "" if after is None else f"the meter reads back {after.described}"


def _word(after: DisconnectState | None) -> StateWord:
    return StateWord.UNKNOWN if after is None else after.word
