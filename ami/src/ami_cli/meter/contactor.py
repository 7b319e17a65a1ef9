"""disconnect and connect: read, act, read back, and the truth about it, as the head-end does it (docs/mapping.md, M-004).

Done means that the meter accepted the method AND shows the wanted state afterwards. When the answer is lost the meter is
asked for its state again over a new connection, which tells a person more but does not make it done.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ami_cli.meter.client import Association
from ami_cli.meter.errors import ExitCode, MeterError, words
from ami_cli.meter.options import MeterTarget
from ami_cli.meter.session import SessionEnvironment, connected
from ami_cli.meter.values import Json, text_of_octets
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.enums import ActionResult
from ami_dlms.obis import Obis
from ami_mapping.controls import (
    CONTROL_MODE,
    CONTROL_STATE,
    OUTPUT_STATE,
    Control,
    DisconnectState,
    Verdict,
    control_for,
    judge,
    refusal,
)

DISCONNECT, CONNECT = "3.31.0.23", "3.31.0.18"
DEVICE_ID = AttributeDescriptor(1, Obis.parse("0-0:96.1.0*255"), 2)
SETTLING_S = (0.1, 0.3, 0.6)
"""A switch takes its time to move: when a read-back disagrees it is read again after these pauses."""


DISCONNECT_CONTROL, SWITCHING_METHODS = 70, (1, 2)


def switches(method: MethodDescriptor) -> bool:
    """Whether a method changes the supply."""
    return method.class_id == DISCONNECT_CONTROL and method.method_id in SWITCHING_METHODS


@dataclass(slots=True)
class Switching:
    """What was seen and done."""

    before: DisconnectState | None = None
    sent: bool = False
    action_result: ActionResult | None = None
    after: DisconnectState | None = None
    lost: str = ""
    verdict: Verdict | None = None

    @property
    def done(self) -> bool:
        """Only what the meter accepted and shows."""
        return self.verdict is not None and self.verdict.ok

    def document(self) -> dict[str, Json]:
        return {
            "done": self.done,
            "before": _state(self.before),
            "sent": self.sent,
            "action_result": None if self.action_result is None else words(self.action_result.name),
            "after": _state(self.after),
            "reason": "" if self.verdict is None else self.verdict.reason,
            "lost": self.lost or None,
        }

    def lines(self) -> list[str]:
        """For a person, in the order in which it happened."""
        answer = "no answer" if self.action_result is None else words(self.action_result.name)
        if not self.sent:
            answer = "none, nothing was sent"
        lines = [f"before  {_words(self.before)}", f"action  {answer}{f': {self.lost}' if self.lost else ''}"]
        if self.sent:
            lines.append(f"after   {_words(self.after)}")
        if self.verdict is not None:
            lines.append(f"{'done' if self.done else 'NOT DONE'}: {self.verdict.reason}")
        return lines


def switch(target: MeterTarget, environment: SessionEnvironment, code: str, obis: Obis | None) -> Switching:
    """Carry out one control; MeterError only for what went wrong before anything was sent."""
    control = control_for(code)
    if obis is not None:
        control = replace(control, obis=obis)
    found = Switching()
    try:
        with connected(target, environment) as session:
            _check_identity(session.association, target)
            found.before = _read_state(session.association, control)
            found.verdict = refusal(control, found.before, attempted=False)
            if found.verdict is None:
                _act(session.association, control, found)
                _read_back(session.association, control, found, environment.pause)
    except MeterError as error:
        if not found.sent:
            raise
        found.lost = found.lost or f"{error.where}: {error.what}"
        _look_again(target, environment, control, found)
    return found


def _act(association: Association, control: Control, found: Switching) -> None:
    found.sent = True
    try:
        found.action_result = association.action(control.descriptor, control.parameters).result
    except MeterError as error:
        found.lost = error.what
        raise


def _read_back(association: Association, control: Control, found: Switching, pause: Callable[[float], None]) -> None:
    """Read until the state agrees, or has had its time to settle."""
    for pause_s in (*SETTLING_S, None):
        found.after = _read_state(association, control)
        found.verdict = judge(control, found.action_result, found.after, before=found.before)
        if found.verdict.ok or pause_s is None or found.action_result is not ActionResult.SUCCESS:
            return
        pause(pause_s)


def _look_again(target: MeterTarget, environment: SessionEnvironment, control: Control, found: Switching) -> None:
    """The state of the meter now, over a new connection; what can't be read stays unknown, whatever was seen halfway."""
    found.after = None
    try:
        with connected(target, environment) as session:
            found.after = _read_state(session.association, control)
    except MeterError as error:
        found.lost += f"; it could not be read again: {error.what}"
    found.verdict = judge(control, found.action_result, found.after, before=found.before)


def _check_identity(association: Association, target: MeterTarget) -> None:
    """A meter that a registry names has to be the one that is switched."""
    if not target.device_id:
        return
    answered = text_of_octets(association.get(DEVICE_ID))
    if answered != target.device_id:
        raise MeterError(
            ExitCode.NOT_TRUSTED,
            f"the registry says device {target.device_id}, the meter says {answered}; nothing was sent",
            where=str(target),
            hint="mend device_id or the address",
        )


def _read_state(association: Association, control: Control) -> DisconnectState:
    values = [association.get(control.attribute(one)).value for one in (OUTPUT_STATE, CONTROL_STATE, CONTROL_MODE)]
    output_state, control_state, control_mode = values
    if not isinstance(output_state, bool) or not isinstance(control_state, int) or not isinstance(control_mode, int):
        raise MeterError(
            ExitCode.NOT_UNDERSTOOD, "its attributes have other types", where=f"disconnect control {control.obis}"
        )
    return DisconnectState(output_state, int(control_state), int(control_mode))


def _words(state: DisconnectState | None) -> str:
    return "not known" if state is None else state.described


def _state(state: DisconnectState | None) -> Json:
    if state is None:
        return None
    return {
        "output_state": state.output_state,
        "control_state": state.control_state,
        "control_mode": state.control_mode,
    }
