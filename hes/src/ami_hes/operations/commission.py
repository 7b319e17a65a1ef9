"""A meter is commissioned: who it is, what it has, its clock, where it pushes to, and keys of its own. Each step is kept with what was seen.

All steps but the keys are taken over one association, and each may be taken again: what is as it should be is left. So a command that
is interrupted begins with the first step again and changes nothing twice; how keys survive that says `change_key` (docs/adr/0029).
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from pydantic import TypeAdapter

from ami_dlms.association.client.session import LOGICAL_DEVICE_NAME
from ami_dlms.association.settings import WITH_SECRET
from ami_hes.commands import Command, Lane, Outcome
from ami_hes.enums import MeterState, StepResult
from ami_hes.meters import Meter, MeterFault, Meters, Session
from ami_hes.meters.known_objects import Objects
from ami_hes.meters.public_client import as_text
from ami_hes.operations.assignment import Assignment
from ami_hes.operations.change_key import FIELDS, LONGEST_S, make_change, what_counts
from ami_hes.operations.change_master_key import make_master_change, what_counts_of_master
from ami_hes.operations.identity import read_identified
from ami_hes.operations.operation import Operation
from ami_hes.operations.recipe_steps import StepTaker
from ami_hes.operations.retries import PASSING
from ami_hes.store import CommissioningStep, StoreUnavailable
from ami_mapping.recipes import PushTarget, Recipe, Stopped, clock_within, push_target
from ami_packs.comparison import nearest
from ami_packs.document import ModelError
from ami_packs.pack_folders import Packs
from ami_process.environment import real_time

NAME = "commission"
"""The operation's name; the body of its commands is an `Order`."""
IDENTITY, OBJECTS, CLOCK, PUSH, KEYS = "identity", "objects", "clock", "push", "keys"
MASTER_KEY = "master_key"
NOT_THERE_YET = frozenset({("transport", "not-dialled-in")})
"""Rows of the fault table: a new meter that dials in may do so later."""
MOST_NAMED, LONGEST_PROBLEM = 5, 200
"""Objects of its pack that a meter lacks, and characters of what is wrong with a pack, that are told."""
DIGEST = 12
"""Characters of the digest by which lists of objects are told apart."""


@dataclass(frozen=True, slots=True)
class Order:
    """What every meter of a campaign is to have."""

    clock_within_s: float
    """A clock that is further off is set."""
    push: tuple[PushTarget, ...] = ()
    master_key: bool = False
    """Whether a default master key is changed too, which a security setup of version 0 doesn't take."""

    def format(self) -> str:
        return _ORDERS.dump_json(self).decode()


_ORDERS: TypeAdapter[Order] = TypeAdapter(Order)


async def run(meters: Meters, assignment: Assignment) -> Outcome:
    """Carry one command out on one meter; every end is an Outcome, and is kept as the meter's state."""
    work = _Work(meters, assignment, _ORDERS.validate_json(assignment.command.body))
    try:
        return await work.outcome()
    except StoreUnavailable as problem:
        why = MeterFault("internal", "store", detail=str(problem)).explained(attempted=None)
        begun = assignment.attempt.begun
        return Outcome(
            False, why.code, why.level, f"{assignment.meter.name}: {why.reason}", attempted=begun, again=True
        )


def describe(_: Command, __: Meter | None, outcome: Outcome) -> Mapping[str, object]:
    """The fields of `ami_hes.events.CommissionDetails`."""
    steps = json.loads(outcome.payload) if outcome.payload else []
    return {"steps": [{"step": step, "result": result, "reason": reason} for step, result, reason in steps]}


OPERATION = Operation(run, describe, Lane.CAMPAIGN, acts=True, switches=False)


class _NotAsWanted(Exception):
    """A step was carried out and is not seen done: a code, a level and a reason."""

    def __init__(self, code: str | None, level: str | None, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.level = level
        self.reason = reason


class _Work:
    """One command on its way."""

    def __init__(self, meters: Meters, assignment: Assignment, order: Order) -> None:
        self._meters = meters
        self._assignment = assignment
        self._meter = assignment.meter
        self._order = order
        self._taker = StepTaker(assignment.attempt)
        self._at = IDENTITY
        self._steps: list[CommissioningStep] = []

    async def outcome(self) -> Outcome:
        """How it ended. Raises StoreUnavailable, and then the end is not kept."""
        try:
            await self._over_one_association()
            await self._keep(MeterState.COMMISSIONING)
            await self._change_keys()
        except MeterFault as fault:
            why = fault.explained(attempted=None)
            again = (fault.kind, fault.name) in PASSING | NOT_THERE_YET
            return await self._failed(why.code, why.level, why.reason, again=again)
        except _NotAsWanted as end:
            return await self._failed(end.code, end.level, end.reason)
        await self._keep(MeterState.COMMISSIONED)
        reason = f"{self._meter.name}: commissioned: " + "; ".join(one.reason for one in self._steps)
        return Outcome(True, reason=reason, payload=json.dumps(self._steps), attempted=self._begun)

    @property
    def _begun(self) -> bool:
        return self._assignment.attempt.begun

    async def _failed(self, code: str | None, level: str | None, reason: str, *, again: bool = False) -> Outcome:
        self._note(StepResult.FAILED, reason)
        await self._keep(MeterState.FAILED)
        before = ", ".join(dict.fromkeys(one.step for one in self._steps[:-1])) or "no step"
        said = f"{self._meter.name}: {self._at}: {reason} Seen done before it: {before}."
        if self._begun:
            said += " Something that changes the meter was sent; to order it again is safe."
        return Outcome(False, code, level, said, json.dumps(self._steps), attempted=self._begun, again=again)

    async def _over_one_association(self) -> None:
        until = min(self._assignment.until, real_time() + LONGEST_S)
        async with self._meters.hold(self._meter, until=until) as session:
            await self._identify(session)
            self._at = OBJECTS
            objects = await self._meters.objects.of(session)
            listed = ",".join(f"{class_id}/{name}" for class_id, name in sorted(objects))
            digest = sha256(listed.encode()).hexdigest()[:DIGEST]
            beside = await asyncio.to_thread(_beside_pack, self._meters.settings.packs, self._meter.pack, objects)
            self._note(StepResult.DONE, f"{len(objects)} objects, list {digest}{beside}")
            self._at = CLOCK
            await self._by(session, clock_within(self._meters.environment.now, self._bound))
            self._at = PUSH
            for target in self._order.push:
                await self._by(session, push_target(target))
            if not self._order.push:
                self._note(StepResult.LEFT, "no push target is configured")

    @property
    def _bound(self) -> timedelta:
        return timedelta(seconds=self._order.clock_within_s)

    async def _identify(self, session: Session) -> None:
        """Over the secured association, whatever the public client was told."""
        meter = self._meter
        (name,) = await read_identified(session, LOGICAL_DEVICE_NAME)
        if as_text(name) != meter.logical_device_name:
            found = f"the registry says {meter.logical_device_name}, the meter says {as_text(name)}"
            raise MeterFault("identity", "logical-device-name", detail=found)
        title = "" if meter.system_title is None or not meter.titled else f", system title {meter.system_title.hex()}"
        self._note(StepResult.DONE, f"{meter.logical_device_name}, device id {meter.device_id}{title}")

    async def _by(self, session: Session, recipe: Recipe) -> None:
        """One step by its recipe. Raises MeterFault and _NotAsWanted."""
        steps_before = len(self._taker.seen.steps)
        try:
            step = next(recipe)
            while True:
                step = recipe.send(await self._taker.take(session, step))
        except Stopped as stopped:
            raise MeterFault(stopped.kind, stopped.name, where=stopped.where, detail=stopped.detail) from None
        except StopIteration as end:
            verdict = end.value
        if not verdict.ok:
            raise _NotAsWanted(verdict.code, verdict.level, verdict.reason)
        left = len(self._taker.seen.steps) == steps_before
        self._note(StepResult.LEFT if left else StepResult.DONE, verdict.reason)

    async def _change_keys(self) -> None:
        self._at = KEYS
        if not self._meter.default_keys:
            self._note(StepResult.LEFT, "the keys are its own")
            return
        for field in _secrets_of(self._meter, with_master=self._order.master_key):
            keys = self._meters.keys
            if not keys.is_of_entry(self._meter, field) and keys.sent(self._meter, field) is None:
                self._note(StepResult.LEFT, f"{field} was changed before")
                continue
            try:
                await self._change_key(field)
            except MeterFault as fault:
                raise fault.add_detail(self._what_counts(field)) from None
            self._note(StepResult.DONE, f"a new {field} is in force")

    async def _change_key(self, field: str) -> None:
        if field == MASTER_KEY:
            await make_master_change(self._meters, self._assignment)
        else:
            await make_change(self._meters, self._assignment, field)

    def _what_counts(self, field: str) -> str:
        if field == MASTER_KEY:
            return what_counts_of_master(self._meters, self._assignment)
        return what_counts(self._meters, self._assignment, field)

    def _note(self, result: StepResult, reason: str) -> None:
        self._steps.append(CommissioningStep(self._at, result, reason))

    async def _keep(self, state: MeterState) -> None:
        request_id = self._assignment.command.request_id
        await self._meters.commissioning.note(self._meter, state, request_id, self._steps)


def _beside_pack(packs: Packs, name: str, objects: Objects) -> str:
    """What is to be said of an object list beside the pack that the entry names; nothing without one."""
    if not name:
        return ""
    try:
        found = nearest(packs.object_keys(name), objects)
    except ModelError as problem:
        return f"; pack {name}: {str(problem).splitlines()[0][:LONGEST_PROBLEM]}"
    if not found.model:
        return f"; pack {name} has no models to compare them with"
    lacks = ", ".join(f"{class_id}/{obis}" for class_id, obis in found.missing[:MOST_NAMED])
    lacks += f" and {len(found.missing) - MOST_NAMED} more" if len(found.missing) > MOST_NAMED else ""
    without = (
        f"without {len(found.missing)} of its {found.number} objects ({lacks})"
        if found.missing
        else "with all of its objects"
    )
    more = f", and {len(found.more)} that it has not" if found.more else ""
    return f"; as {name}/{found.model} {without}{more}"


def _secrets_of(meter: Meter, *, with_master: bool) -> tuple[str, ...]:
    """Those that its association uses, and that can be changed; a master key first, since what goes behind it is then known by nobody else."""
    first = (MASTER_KEY,) if with_master and meter.master_key is not None and meter.keyed else ()
    of_ciphering = meter.keyed
    of_mechanism = meter.authentication in WITH_SECRET
    return first + tuple(
        field
        for field in FIELDS
        if getattr(meter, field) is not None and (of_mechanism if field == "secret" else of_ciphering)
    )
