"""Any control but that of the switch: the steps of its recipe (`ami_mapping.recipes`) carried out over a session, and the truth about them.

Nothing is written or invoked before the meter is identified and the attempt is kept, and nothing twice in one run. A read that is lost
behind it is made up for over a new connection, once; when that is not possible either, or an answer is lost, the reply says that the
meter may have carried it out (docs/mapping.md, M-011 and M-144; docs/adr/0025).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter

from ami_hes.commands import Command, Lane, Outcome
from ami_hes.meters import Meter, MeterFault, Meters
from ami_hes.operations.assignment import Assignment
from ami_hes.operations.identity import check_identity
from ami_hes.operations.operation import Operation
from ami_hes.operations.recipe_steps import Seen, StepTaker
from ami_mapping.controls import CONTROLS, Control, Verdict
from ami_mapping.faults import Fault, explain
from ami_mapping.recipes import Read, Recipe, Step, Stopped, Taken, recipe_row

NAME = "control"
"""The operation's name; the body of its commands is that of `format_body`."""


def format_body(control: Control, taken: Taken = None) -> str:
    """What the operation needs to know of a control."""
    return _BODIES.dump_json(_Body(control.code, taken), exclude_none=True).decode()


def parse_body(body: str) -> tuple[Control | None, Taken]:
    """The row of the control of a command, None for one that this version does not know; and what it takes."""
    found = _BODIES.validate_json(body)
    return CONTROLS.get(found.code), found.taken


@dataclass(frozen=True, slots=True)
class _Body:
    code: str
    taken: Taken = None


_BODIES: TypeAdapter[_Body] = TypeAdapter(_Body)


async def run(meters: Meters, assignment: Assignment) -> Outcome:
    """Carry one command out on one meter. A MeterFault before anything has left is for who dispatches: it may be tried again."""
    control, taken = parse_body(assignment.command.body)
    if control is None or control.is_switch or control.is_long:
        return _not_begun(assignment, "unknown", assignment.command.body[:64])
    row = recipe_row(control)
    if assignment.attempt.begun and not row.repeatable:
        return _not_begun(assignment, "not-twice")
    work = _Work(meters, assignment, row.make(taken, meters.environment.now))
    verdict = await work.verdict()
    return Outcome(
        ok=verdict.ok,
        code=verdict.code,
        level=verdict.level,
        reason=f"{assignment.meter.name}: {verdict.reason}",
        payload=work.seen.format(),
        attempted=assignment.attempt.begun,
    )


def _not_begun(assignment: Assignment, name: str, detail: str = "") -> Outcome:
    begun = assignment.attempt.begun
    fault = explain("control", name, attempted=begun, detail=detail, switches=False)
    reason = f"{assignment.meter.name}: {fault.reason}"
    return Outcome(False, fault.code, fault.level, reason, attempted=begun)


def describe(command: Command, __: Meter | None, outcome: Outcome) -> Mapping[str, object]:
    """The fields of `ami_hes.events.ControlDetails`."""
    control, _ = parse_body(command.body)
    seen = json.loads(outcome.payload) if outcome.payload else {"steps": [], "shown": []}
    return {
        "code": None if control is None else control.code,
        "control": None if control is None else control.name,
    } | seen


def ends_as(command: Command, outcome: Outcome) -> str | None:
    """The EndDeviceEventType of its end."""
    control, _ = parse_body(command.body)
    if control is None:
        return None
    return control.done if outcome.ok else control.failed


def control_type(command: Command) -> str:
    """That of the body; nothing where it is not known here any more."""
    control, _ = parse_body(command.body)
    return "" if control is None else control.code


OPERATION = Operation(
    run, describe, Lane.CONTROL, acts=True, switches=False, ends_as=ends_as, control_type=control_type
)


def _failed(fault: Fault) -> Verdict:
    return Verdict(False, fault.code, fault.level, fault.reason)


class _Work:
    """One command on its way."""

    def __init__(self, meters: Meters, assignment: Assignment, recipe: Recipe) -> None:
        self._meters = meters
        self._assignment = assignment
        self._recipe = recipe
        self._begun_before = assignment.attempt.begun
        """Whether an earlier run may have sent something, of which no answer came back."""
        self._taker = StepTaker(assignment.attempt)

    @property
    def seen(self) -> Seen:
        return self._taker.seen

    async def verdict(self) -> Verdict:
        """How it ended."""
        try:
            return await self._carried_out()
        except Stopped as stopped:
            return self._stopped(stopped)
        except MeterFault as fault:
            if not self._taker.left:
                raise
            return _failed(fault.explained(attempted=True, switches=False))

    def _stopped(self, stopped: Stopped) -> Verdict:
        """A refusal says itself that it was not done; what was done before it is said beside it."""
        begun = self._assignment.attempt.begun
        said = [stopped.detail, *(f"{one['step']}: {one['result']}" for one in self.seen.steps[:-1])]
        unsure = not stopped.answered or self._begun_before or bool(self.seen.steps[:-1])
        attempted = begun if unsure else None
        detail = "; ".join(filter(None, said if stopped.answered else said[:1]))
        return _failed(
            explain(stopped.kind, stopped.name, attempted=attempted, where=stopped.where, detail=detail, switches=False)
        )

    async def _carried_out(self) -> Verdict:
        """Over one connection, or where it is lost behind all that was sent over a second one."""
        step: Step | None = next(self._recipe)
        for is_last in (False, True):
            async with self._meters.hold(self._assignment.meter, until=self._assignment.until) as session:
                await check_identity(session)
                while True:
                    try:
                        answer = await self._taker.take(session, step)
                    except MeterFault:
                        if is_last or not (self._taker.left and isinstance(step, Read)):
                            raise
                        break
                    try:
                        step = self._recipe.send(answer)
                    except StopIteration as end:
                        verdict: Verdict = end.value
                        return verdict
        raise AssertionError("a second connection ends the recipe or raises")
