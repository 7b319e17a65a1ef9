"""Another firmware for one meter: an image transferred (class 18), verified, activated at once or by a schedule, and its version read back.

Each run opens an association, reads which version runs and what the meter has of an image, and does what comes next; so it does not matter
where an earlier run ended, by whatever. OK is for the version alone, read over an association that was opened after the activation.
A run sends blocks for some seconds and then leaves the meter to others; what came a step further goes on later (`Outcome.goes_on_s`) and is no
attempt in vain. Of what is in the meter's image memory only what the store knows to be of this image is gone on with (docs/mapping.md, M-159).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, TypeVar

from ami_dlms import data
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_hes.commands import Command, Lane, Outcome
from ami_hes.meters import Meter, MeterFault, Meters, Session
from ami_hes.meters.public_client import as_text
from ami_hes.operations import image_transfer
from ami_hes.operations.assignment import Assignment
from ami_hes.operations.firmware_order import FirmwareOrder, parse_order
from ami_hes.operations.identity import check_identity
from ami_hes.operations.image_transfer import (
    MOST_BLOCKS,
    RUNNING,
    TAKES_BLOCKS,
    ImageState,
    ImageTransferStatus,
    read_state,
)
from ami_hes.operations.operation import Operation
from ami_hes.operations.retries import PASSING
from ami_hes.store import FirmwareStore, StoredTransfer, StoreUnavailable, TransferStage
from ami_process.environment import real_sleep, real_time

NAME = "transfer_firmware"
"""The operation's name; the body of its commands is a FirmwareOrder."""
SLICE_S = 10.0
"""So long a meter is sent blocks before others may have it."""
LONGEST_S = 60.0
"""A meter is held no longer than this for one run."""
LOOK_AFTER = 20
"""Blocks that are sent before the meter is asked what it has of them; a twentieth of the image, where that is more."""
STUCK = 8
"""Looks in a row at which the meter has none of what was sent before; all but the first of them send one block alone."""
MOST_REFUSALS = 2
"""Verifications that fail before the image is given up."""
POLL_S, GO_ON_S = 0.5, 5.0
"""While the meter verifies or activates: how often it is looked at within a run, and when the next run begins."""
DIALS_IN_S = 20.0
"""How often it is looked whether a meter is there that dials in; until the deadline, since it takes no session."""
RESTART_S = 1.0
"""After an activation: when the meter is called first."""
PATIENCE = timedelta(minutes=15)
"""A meter that came a step further so long ago at most may restart; nothing of that is an attempt in vain."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 60.0
"""Between such calls; they become rarer as time goes by."""
LOOK_AT_CLOCK_S = 600.0
SCHEDULE_GRACE = timedelta(hours=2)
"""Behind its time, before a schedule is said to have done nothing: clocks change by an hour."""
SETTLING = timedelta(seconds=2)
"""Behind an activation, before another version than that of the image is believed."""
MOST_ACTIVATIONS = 5
"""How often a meter that has verified the image and runs another one is told to activate it."""
T = TypeVar("T")
_OVER = frozenset({ImageTransferStatus.ACTIVATION_SUCCESSFUL, ImageTransferStatus.NOT_INITIATED})
"""Of a meter that has no image to be activated any more."""
_ACTIVATES = frozenset({TransferStage.SCHEDULING, TransferStage.SCHEDULED, TransferStage.ACTIVATING})


async def run(meters: Meters, assignment: Assignment) -> Outcome:
    """Carry one command out on one meter, as far as one run comes; every end is an Outcome."""
    if meters.firmware is None:
        raise LookupError("there is no store of firmware")
    work = _Work(meters, meters.firmware, assignment)
    try:
        return await work.carried_out()
    except MeterFault as fault:
        return work.ended_by(fault)


def describe(command: Command, _: Meter | None, __: Outcome) -> Mapping[str, object]:
    """The fields of `ami_hes.events.FirmwareDetails`."""
    order = parse_order(command.body)
    return {"image": order.identifier, "version": order.version}


OPERATION = Operation(run, describe, Lane.CAMPAIGN, acts=True, switches=False)


class _Work:
    """One run."""

    def __init__(self, meters: Meters, store: FirmwareStore, assignment: Assignment) -> None:
        self._meters = meters
        self._store = store
        self._assignment = assignment
        self._meter = assignment.meter
        self._request_id = assignment.command.request_id
        self._order: FirmwareOrder = parse_order(assignment.command.body)
        self._slice_until = 0.0
        self._sends = False
        """Whether a block was sent in this run: one is, however long the association took."""
        self._sent = 0
        """Blocks since the last look."""
        self._known: StoredTransfer | None = None
        self._shown = ""
        """The version that the meter showed."""

    # --- the way through a run

    async def carried_out(self) -> Outcome:
        """Raises MeterFault."""
        self._known = await self._asked(lambda: self._store.transfer(self._meter.mrid))
        if self._assignment.is_cancelled() and not self._has(*_ACTIVATES):
            raise MeterFault("firmware", "cancelled")
        waits_s = self._waits_s()
        if waits_s > 0 and not self._assignment.is_cancelled():
            return _goes_on(min(waits_s, LOOK_AT_CLOCK_S))
        until = min(self._assignment.until, real_time() + LONGEST_S)
        if not self._meters.is_there(self._meter):
            return _goes_on(DIALS_IN_S)
        async with self._meters.hold(self._meter, until=until) as session:
            self._slice_until = real_time() + SLICE_S
            await check_identity(session)
            if await self._version(session) == self._order.version:
                return self._ok()
            if self._assignment.is_cancelled() and self._has(TransferStage.SCHEDULING, TransferStage.SCHEDULED):
                return await self._take_back(session)
            return await self._next(session)

    async def _next(self, session: Session) -> Outcome:
        """What the meter's status asks for."""
        state = await self._settled(session)
        if state.status in RUNNING:
            return _goes_on(GO_ON_S)
        if self._has(TransferStage.ACTIVATING, TransferStage.SCHEDULED):
            self._check_activation(state)
        if self._assignment.is_cancelled():
            raise MeterFault("firmware", "cancelled")
        await self._learn_name(state)
        if self._is_ours(state):
            if state.status is ImageTransferStatus.VERIFICATION_SUCCESSFUL:
                return await self._activate(session)
            if state.status in TAKES_BLOCKS and not self._order.activates_alone:
                return await self._send(session, state)
        if self._order.activates_alone:
            raise MeterFault("firmware", "not-verified", detail=state.status.name.lower().replace("_", " "))
        return await self._initiate(session, state)

    def _check_activation(self, state: ImageState) -> None:
        """The version is another one although an activation was ordered: is that its end? Raises MeterFault."""
        if state.status is ImageTransferStatus.ACTIVATION_FAILED:
            raise MeterFault("firmware", "activation-failed")
        if state.status in _OVER:
            if self._is_recent(SETTLING):
                raise MeterFault("data-access-result", "TEMPORARY_FAILURE", where="reading the version that is active")
            raise MeterFault("firmware", "other-version", detail=f"it shows {self._shown}, not {self._order.version}")
        at = self._order.activate_at
        if at is not None and self._has(TransferStage.SCHEDULED) and self._now() > at + SCHEDULE_GRACE:
            raise MeterFault("firmware", "schedule-passed", detail=f"it was for {at.isoformat()}")

    async def _initiate(self, session: Session, state: ImageState) -> Outcome:
        """Begin anew; what the meter has of another image is gone by that."""
        blocks = -(-self._order.size // state.block_size)
        if blocks > MOST_BLOCKS:
            raise MeterFault("firmware", "unsuitable", detail=f"the image would have {blocks} blocks")
        if not state.enabled:
            await self._begin()
            written = await session.set(image_transfer.ENABLED, data.boolean(True))
            _check(written, DataAccessResult.SUCCESS, "enabling the image transfer")
        known = self._known if self._has(*TransferStage) else None
        lost = known is not None and known.stage is TransferStage.INITIATING
        await self._keep(
            StoredTransfer(
                mrid=self._meter.mrid,
                request_id=self._request_id,
                identifier=self._order.identifier,
                sha256=self._order.sha256,
                stage=TransferStage.INITIATING,
                blocks=blocks,
                there=0,
                refusals=0 if known is None else known.refusals,
                changed_at=known.changed_at if known is not None and lost else self._now(),
            )
        )
        parameters = image_transfer.initiate_parameters(self._order.image_identifier, self._order.size)
        await self._act(session, image_transfer.INITIATE, parameters, "initiating the image transfer")
        await self._change(stage=TransferStage.TRANSFERRING)
        return await self._send(session, await read_state(session))

    async def _send(self, session: Session, state: ImageState) -> Outcome:
        """Blocks that the meter has not, until it has all of them or the slice is over."""
        octets = await self._asked(lambda: self._store.octets(self._order.identifier, self._order.sha256))
        if octets is None:
            raise MeterFault("firmware", "no-image")
        blocks = -(-self._order.size // state.block_size)
        while missing := state.missing(blocks):
            await self._look(blocks, blocks - len(missing))
            if self._is_over:
                return _goes_on(0.0)
            most = 1 if self._stuck else max(LOOK_AFTER, blocks // LOOK_AFTER)
            for number in missing[:most]:
                block = octets[number * state.block_size : (number + 1) * state.block_size]
                parameters = image_transfer.block_parameters(number, block)
                await self._act(session, image_transfer.TRANSFER_BLOCK, parameters, f"transferring block {number}")
                self._sent, self._sends = self._sent + 1, True
                if self._is_over:
                    break
            state = await read_state(session)
            if state.status not in TAKES_BLOCKS:
                raise MeterFault("firmware", "overtaken", detail=state.status.name.lower().replace("_", " "))
        await self._look(blocks, blocks)
        return await self._verify(session)

    async def _verify(self, session: Session) -> Outcome:
        """Asked for as often as it is needed: it changes nothing but the status."""
        result = (await session.action(image_transfer.VERIFY, image_transfer.NOTHING, before=self._begin)).result
        state = await self._settled(session)
        if state.status in RUNNING:
            return _goes_on(GO_ON_S)
        if state.status is ImageTransferStatus.VERIFICATION_SUCCESSFUL:
            await self._learn_name(state)
            if not self._is_ours(state):
                raise MeterFault("firmware", "overtaken", detail="what it has verified is another image")
            return await self._activate(session)
        if state.status is ImageTransferStatus.VERIFICATION_FAILED:
            return await self._refused_image()
        _check(result, ActionResult.SUCCESS, "verifying the image")
        raise MeterFault("firmware", "overtaken", detail=state.status.name.lower().replace("_", " "))

    async def _refused_image(self) -> Outcome:
        """An image that fails is transferred once more from the beginning: what the meter had of it may have been of another one."""
        known = self._of_ours()
        await self._change(refusals=known.refusals + 1, stage=TransferStage.INITIATING)
        if known.refusals + 1 >= MOST_REFUSALS:
            raise MeterFault("firmware", "verification-failed")
        return _goes_on(0.0)

    async def _activate(self, session: Session) -> Outcome:
        """At once, or by the meter's own schedule."""
        if self._assignment.is_cancelled():
            raise MeterFault("firmware", "cancelled")
        if self._order.activate_at is not None:
            return await self._schedule(session)
        times = self._of_ours().stuck + 1 if self._has(TransferStage.ACTIVATING) else 1
        if times > MOST_ACTIVATIONS:
            raise MeterFault("firmware", "not-activated")
        await self._change(stage=TransferStage.ACTIVATING, stuck=times, changed_at=self._now())
        await session.action(image_transfer.ACTIVATE, image_transfer.NOTHING, before=self._begin)
        session.healthy = False  # what it has answered is no proof: the next run looks, over a new association
        return _goes_on(RESTART_S)

    async def _schedule(self, session: Session) -> Outcome:
        """Written once, and read back; then nothing is to be done until its time."""
        if self._has(TransferStage.SCHEDULED):
            late_s = -self._waits_s()
            return _goes_on(min(max(GO_ON_S, late_s / 4), LONGEST_PAUSE_S))
        at = self._order.activate_at
        if at is None or at <= self._now():
            raise MeterFault("firmware", "too-late")
        await self._change(stage=TransferStage.SCHEDULING, changed_at=self._now())
        await self._write_schedule(session, await image_transfer.execution_time(session, at))
        await self._change(stage=TransferStage.SCHEDULED, changed_at=self._now())
        return _goes_on(max(0.0, min(self._waits_s(), LOOK_AT_CLOCK_S)))

    async def _take_back(self, session: Session) -> Outcome:
        """Of a cancelled command: the schedule is emptied, and then what became of it before that is looked at. Raises MeterFault."""
        await self._write_schedule(session, await image_transfer.execution_time(session, None))
        if (await read_state(session)).status is not ImageTransferStatus.VERIFICATION_SUCCESSFUL:
            await self._change(stage=TransferStage.ACTIVATING, changed_at=self._now())
            return _goes_on(RESTART_S)
        await self._change(stage=TransferStage.TRANSFERRING)
        raise MeterFault("firmware", "cancelled", detail="its schedule is empty again")

    async def _write_schedule(self, session: Session, written: Data) -> None:
        await image_transfer.check_script(session)
        await self._begin()
        result = await session.set(image_transfer.EXECUTION_TIME, written)
        _check(result, DataAccessResult.SUCCESS, "writing the schedule of the activation")
        if not image_transfer.same_times(await session.get(image_transfer.EXECUTION_TIME), written):
            raise MeterFault("firmware", "not-scheduled")

    @property
    def _is_over(self) -> bool:
        """Whether others may have the meter now, or nothing more is wanted of it."""
        return self._assignment.is_cancelled() or (self._sends and real_time() > self._slice_until)

    # --- single steps

    async def _version(self, session: Session) -> str:
        """What the meter shows as the version that runs."""
        self._shown = as_text(await session.get(AttributeDescriptor(1, self._order.shows_version, 2)))
        return self._shown

    async def _settled(self, session: Session) -> ImageState:
        """What it shows once it neither verifies nor activates, or the slice is over."""
        while (state := await read_state(session)).status in RUNNING and real_time() < self._slice_until:
            await real_sleep(POLL_S)
        return state

    async def _act(self, session: Session, method: MethodDescriptor, parameters: Data, where: str) -> None:
        result = (await session.action(method, parameters, before=self._begin)).result
        _check(result, ActionResult.SUCCESS, where)

    async def _begin(self) -> None:
        """Something is about to leave."""
        await self._asked(self._assignment.attempt.begin)

    async def _look(self, blocks: int, there: int) -> None:
        """Note what the meter has of the image. Raises MeterFault where nothing of what is sent stays there."""
        known = self._of_ours()
        further = there > known.there or known.blocks != blocks
        if not further and not self._sent:
            return
        stuck = 0 if further else known.stuck + 1
        self._sent = 0
        changed_at = self._now() if further else known.changed_at
        await self._change(blocks=blocks, there=there, stuck=stuck, changed_at=changed_at)
        if stuck >= STUCK:
            await self._change(stuck=0)
            raise MeterFault("firmware", "blocks-lost", detail=f"{there} of {blocks} are there")

    # --- what is known

    def _has(self, *stages: TransferStage) -> bool:
        """Whether this command came so far."""
        known = self._known
        return known is not None and known.request_id == self._request_id and known.stage in stages

    def _is_ours(self, state: ImageState) -> bool:
        """Whether what is in its image memory is of this image, whoever has begun it."""
        known, order = self._known, self._order
        return (
            known is not None
            and (known.identifier, known.sha256) == (order.identifier, order.sha256)
            and known.stage is not TransferStage.INITIATING
            and state.names(
                order.image_identifier, order.size, None if known.named is None else bytes.fromhex(known.named)
            )
        )

    async def _learn_name(self, state: ImageState) -> None:
        """A meter may call the image otherwise than it was told, as by its version: the name that it shows first, of an image of this size that was wholly there."""
        known, order = self._known, self._order
        if (
            known is None
            or not self._has(TransferStage.TRANSFERRING)
            or state.names(order.image_identifier, order.size)
        ):
            return
        is_whole = 0 < known.blocks == known.there and known.identifier == order.identifier
        name = state.other_name(order.size)
        if is_whole and name is not None and state.status is ImageTransferStatus.VERIFICATION_SUCCESSFUL:
            await self._change(named=name.hex())

    def _of_ours(self) -> StoredTransfer:
        """What is known, as this command's own; counts of another one are not taken over."""
        known = self._known
        if known is None:
            raise LookupError("a transfer goes on that was not begun")
        if known.request_id == self._request_id:
            return known
        return replace(known, request_id=self._request_id, stage=TransferStage.TRANSFERRING, stuck=0, refusals=0)

    @property
    def _stuck(self) -> bool:
        return self._known is not None and self._known.stuck > 0

    def _waits_s(self) -> float:
        """Until the time of the schedule that the meter has."""
        at = self._order.activate_at
        return 0.0 if at is None or not self._has(TransferStage.SCHEDULED) else self._real_s(at)

    def _real_s(self, at: datetime) -> float:
        return self._meters.environment.real_seconds_until(at)

    def _now(self) -> datetime:
        return self._meters.environment.now()

    def _is_recent(self, age: timedelta) -> bool:
        """Whether the meter came a step further so short a time ago."""
        known = self._known
        return known is not None and known.request_id == self._request_id and self._now() - known.changed_at < age

    async def _keep(self, transfer: StoredTransfer) -> None:
        await self._asked(lambda: self._store.keep_transfer(transfer))
        self._known = transfer

    async def _change(self, **changes: Any) -> None:
        await self._keep(replace(self._of_ours(), **changes))

    async def _asked(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Of the store; that it is away ends the run, and nothing leaves that it does not know."""
        try:
            return await ask()
        except StoreUnavailable as problem:
            raise MeterFault("internal", "store", detail=str(problem)) from None

    # --- ends

    def _ok(self) -> Outcome:
        begun = self._assignment.attempt.begun
        how = "was read back" if begun else "was there already; nothing was transferred"
        return Outcome(True, reason=f"{self._meter.name}: version {self._order.version} {how}", attempted=begun)

    def ended_by(self, fault: MeterFault) -> Outcome:
        """A fault that may pass is waited for as long as the meter came a step further not long ago."""
        if (fault.kind, fault.name) == ("transport", "not-dialled-in"):
            return _goes_on(DIALS_IN_S)
        passing = (fault.kind, fault.name) in PASSING
        if passing and not self._assignment.is_cancelled() and self._is_recent(PATIENCE):
            return _goes_on(self._pause_s())
        why = fault.explained(attempted=None, switches=False)
        reason = f"{self._meter.name}: {why.reason} {self._what_counts()}"
        begun = self._assignment.attempt.begun
        return Outcome(False, why.code, why.level, reason.strip(), attempted=begun, again=passing)

    def _pause_s(self) -> float:
        known = self._known
        age_s = 0.0 if known is None else (self._now() - known.changed_at).total_seconds()
        return min(max(FIRST_PAUSE_S, age_s / 4), LONGEST_PAUSE_S)

    def _what_counts(self) -> str:
        """What is known of the meter's firmware now."""
        if not self._assignment.attempt.begun:
            return "Nothing was sent for its firmware."
        if self._has(*_ACTIVATES):
            return "Its activation may have been ordered: read the version before it is ordered again."
        there = "" if self._known is None else f"{self._known.there} of {self._known.blocks} blocks were there; "
        return f"{there}nothing was activated."


def _goes_on(after_s: float) -> Outcome:
    """No end."""
    return Outcome(False, attempted=True, goes_on_s=after_s)


def _check(result: IntEnum, success: IntEnum, where: str) -> None:
    """Raises MeterFault for what the meter has refused."""
    if result == success:
        return
    if result.name == DataAccessResult.TEMPORARY_FAILURE.name:
        raise MeterFault("data-access-result", result.name, where=where)
    raise MeterFault("firmware", "refused", where=where, detail=result.name.lower().replace("_", "-"))
