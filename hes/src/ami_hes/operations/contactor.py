"""Disconnect and connect (interface class 70): identity, read, ACTION, read back, and the truth about it.

OK needs an action-result success AND a read-back that agrees. An ACTION is sent at most once a command and run, and only
after a read; when its answer is lost the meter is read again to report its state, which does not make it OK
(docs/mapping.md, M-004 and M-011; docs/adr/0005).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ami_cim.xml import printable
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult
from ami_hes.commands import Command, ControlEnd, Lane, Outcome
from ami_hes.events import LateAnswer
from ami_hes.meters import Meter, MeterFault, Meters, Session
from ami_hes.meters.trace import step, tracing
from ami_hes.operations.assignment import Assignment
from ami_hes.operations.identity import read_identified
from ami_hes.operations.operation import Operation
from ami_hes.store import StoreUnavailable
from ami_mapping.controls import (
    CONTROL_MODE,
    CONTROL_STATE,
    CONTROLS,
    OUTPUT_STATE,
    Control,
    DisconnectState,
    Verdict,
    judge,
    refusal,
)
from ami_mapping.faults import Fault, explain
from ami_process.environment import real_sleep, real_time

NAME = "disconnect_control"
"""The operation's name; the body of its commands is an EndDeviceControlType."""

SETTLING_S = (0.1, 0.3, 0.6)  # a switch takes its time to move: when a read-back disagrees it is read again
FIRST_RETRY_S, LONGEST_RETRY_S = 0.1, 1.0  # between attempts to reach a meter that broke off


async def run(meters: Meters, assignment: Assignment) -> Outcome:
    """Carry one command out on one meter; every end is an Outcome."""
    meter, attempt, code = assignment.meter, assignment.attempt, assignment.command.body
    control = CONTROLS.get(code)
    if control is None:
        fault = explain("control", "unknown", attempted=attempt.begun, detail=repr(code[:64]))
        return Outcome(False, fault.code, fault.level, fault.reason, attempted=attempt.begun)
    work = _Work(meters, assignment, _at(meter, control))
    verdict = await work.verdict()
    return Outcome(
        ok=verdict.ok,
        code=verdict.code,
        level=verdict.level,
        reason=f"{meter.name}: {verdict.reason}",
        payload=_format_seen(work.before, work.after, work.action_result),
        attempted=attempt.begun,
    )


def describe(command: Command, meter: Meter | None, outcome: Outcome) -> Mapping[str, object]:
    """The control and its COSEM method, the state before and after, and what the meter said to the ACTION."""
    control = CONTROLS.get(command.body)
    if control is not None and meter is not None:
        control = _at(meter, control)
    return _details(command.body, control, outcome.payload or _format_seen(None, None, None))


def ends_as(command: Command, outcome: Outcome) -> str | None:
    """The EndDeviceEventType of its end; a meter that is only ready for reconnection (OK with a code) has none."""
    control = CONTROLS.get(command.body)
    return None if control is None else _event_type(control, ok=outcome.ok, code=outcome.code)


def _event_type(control: Control, *, ok: bool, code: str | None) -> str | None:
    if ok and code is not None:
        return None
    return control.done if ok else control.failed


def control_type(command: Command) -> str:
    """The body is it."""
    return command.body


OPERATION = Operation(run, describe, Lane.CONTROL, acts=True, ends_as=ends_as, control_type=control_type)


class _Work:
    """One command on its way: what has been seen and done so far."""

    def __init__(self, meters: Meters, assignment: Assignment, control: Control) -> None:
        self._meters = meters
        self._meter = assignment.meter
        self._command = assignment.command
        self._attempt = assignment.attempt
        self._until = assignment.until
        self._control = control
        self._sent_at: float | None = None
        self.before: DisconnectState | None = None
        self.after: DisconnectState | None = None
        self.action_result: ActionResult | None = None

    async def verdict(self) -> Verdict:
        """How it ended."""
        try:
            verdict = await self._switch()
        except MeterFault as fault:
            return await self._ended_by(fault)
        if verdict is None:
            verdict = await self._judge_afresh()
        return verdict

    async def _switch(self) -> Verdict | None:
        """The recipe; None when the meter accepted the control and could then not be read on this connection."""
        async with self._meters.hold(self._meter, until=self._until) as session:
            self.before = _state(await read_identified(session, *self._attributes))
            refused = refusal(self._control, self.before, attempted=self._attempt.begun)
            if refused is not None:
                return refused
            await self._act(session)
            try:
                return await self._read_back(session)
            except MeterFault:
                return None

    async def _act(self, session: Session) -> None:
        try:
            outcome = await session.action(self._control.descriptor, self._control.parameters, before=self._begin)
        except MeterFault as fault:
            if fault.kind == "deadline" and self._sent_at is not None:
                session.linger(lambda: self._await_late_answer(session))
            raise
        self.action_result = outcome.result

    async def _begin(self) -> None:
        """The ACTION is ready and about to leave: from here on its state is unknown until it has been read."""
        try:
            await self._attempt.begin()
        except StoreUnavailable as problem:
            raise MeterFault("internal", "store", detail=str(problem)) from None
        self._sent_at = real_time()

    async def _read_back(self, session: Session) -> Verdict:
        """Read until the state agrees, or has had its time to settle."""
        for pause_s in (*SETTLING_S, None):
            with step("read-back"):
                self.after = await self._read(session)
            verdict = self._judge()
            if verdict.ok or pause_s is None or self.action_result != ActionResult.SUCCESS:
                break
            await real_sleep(pause_s)
        return verdict

    @property
    def _attributes(self) -> list[AttributeDescriptor]:
        return [self._control.attribute(one) for one in (OUTPUT_STATE, CONTROL_STATE, CONTROL_MODE)]

    async def _read(self, session: Session) -> DisconnectState:
        return _state(await session.get_many(*self._attributes))

    def _judge(self) -> Verdict:
        return judge(self._control, self.action_result, self.after, before=self.before)

    async def _ended_by(self, fault: MeterFault) -> Verdict:
        """A fault ended the recipe. Once the control was sent, it is unknown what happened; so look again, and report it."""
        seen = ""
        if self._sent_at is not None and fault.kind != "deadline":
            seen = await self._look_again()
        return _failed(fault.add_detail(seen).explained(attempted=self._attempt.begun))

    async def _judge_afresh(self) -> Verdict:
        """The meter's answer is there, the read-back is not: read it over a new connection."""
        self.after = None
        seen = await self._look_again()
        return judge(self._control, self.action_result, self.after, before=self.before, detail=seen)

    async def _look_again(self) -> str:
        """Reach the meter anew and read its state into `after`; in words what was seen, or why nothing was."""
        until = min(self._until, real_time() + 2 * self._meters.settings.apdu_timeout_s)
        pause_s = FIRST_RETRY_S
        while True:
            try:
                with step("read-back over a new connection"):
                    async with self._meters.hold(self._meter, until=until) as session:
                        self.after = _state(await read_identified(session, *self._attributes))
                return f"read again over a new connection: {self.after.described}"
            except MeterFault as fault:
                if fault.kind != "transport" or until - real_time() <= pause_s:
                    return f"it could not be read again: {fault}"
            await real_sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_RETRY_S)

    async def _await_late_answer(self, session: Session) -> None:
        """Runs after the command has failed: an answer that comes late is reported, with the state that was read then."""
        with tracing(self._command.request_id):
            outcome = await session.late_action()
            ms = round((real_time() - (self._sent_at or real_time())) * 1000, 1)
            after = await self._read(session)
        seen = _format_seen(self.before, after, outcome.result)
        kept = await self._keep_late(judge(self._control, outcome.result, after, before=self.before))
        self._meters.environment.emit(
            LateAnswer(
                message_id=self._command.request_id,
                meter=self._meter.name,
                operation=NAME,
                details=_details(self._control.code, self._control, seen),
                ms=ms,
                kept=kept,
            )
        )

    async def _keep_late(self, verdict: Verdict) -> bool:
        """As an event of the meter, by what it shows now; whether it is kept."""
        if self._meters.taker is None:
            return False
        end = ControlEnd(
            command=self._command,
            control_type=self._control.code,
            event_type=_event_type(self._control, ok=verdict.ok, code=verdict.code),
            ok=verdict.ok,
            reply_code=verdict.code,
            attempted=True,
            reason=printable(
                f"{self._meter.name}: the meter has answered after the command had failed: {verdict.reason}"
            ),
            at=self._meters.environment.now(),
            late=True,
        )
        try:
            await self._meters.taker.take_end(end)
        except StoreUnavailable:
            return False
        return True


def _state(values: Sequence[Data]) -> DisconnectState:
    output_state, control_state, control_mode = (data.value for data in values)
    if not isinstance(output_state, bool) or not isinstance(control_state, int) or not isinstance(control_mode, int):
        raise MeterFault("data-access-result", "unexpected-value", where="reading the disconnect control")
    return DisconnectState(output_state, int(control_state), int(control_mode))


def _details(code: str, control: Control | None, seen: str) -> dict[str, object]:
    """The fields of `ami_hes.events.DisconnectDetails`; `seen` as in `_format_seen`."""
    return {
        "code": code,
        "control": None if control is None else control.name,
        "class_id": None if control is None else control.class_id,
        "obis": None if control is None else str(control.obis),
        "method": None if control is None else control.method,
        **json.loads(seen),
    }


def _at(meter: Meter, control: Control) -> Control:
    """The control as this meter wants it: its registry entry may name another object than the mapping's table."""
    return control if meter.disconnect_object is None else replace(control, obis=meter.disconnect_object)


def _failed(fault: Fault) -> Verdict:
    return Verdict(False, fault.code, fault.level, fault.reason)


def _format_seen(
    before: DisconnectState | None, after: DisconnectState | None, action_result: ActionResult | None
) -> str:
    """The payload: what the meter showed before and after, and what it said to the ACTION."""
    seen = {
        "before": _format_state(before),
        "after": _format_state(after),
        "action_result": _format_result(action_result),
    }
    return json.dumps(seen)


def _format_state(state: DisconnectState | None) -> dict[str, bool | int] | None:
    """The three attributes of the disconnect control."""
    if state is None:
        return None
    return {
        "output_state": state.output_state,
        "control_state": state.control_state,
        "control_mode": state.control_mode,
    }


def _format_result(result: ActionResult | None) -> str | None:
    """The standard's name, with hyphens."""
    return None if result is None else result.name.lower().replace("_", "-")
