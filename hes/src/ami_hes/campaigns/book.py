"""The campaigns as they are ordered, paused, resumed and cancelled, and their commands put into the lane of campaigns.

A campaign is a request whose commands are its meters, so that its results, its restart and its limits are those of any request. What
is its own is a row with what was ordered last, which says whether its open commands are in the lane.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import TypeVar

from ami_cim.codes import Verb
from ami_hes import events
from ami_hes.askers import Asker
from ami_hes.campaigns.not_approved import not_begun, why_not_approved
from ami_hes.commands import Command, CommandJob, Lane, MeterId, Outcome
from ami_hes.engine import LOST, Engine
from ami_hes.enums import ApprovalOf, ApprovalState
from ami_hes.guard import ApprovalNeeded, Guard, format_limit
from ami_hes.meters.registry import Meter
from ami_hes.operations import Assignment, HeldBack
from ami_hes.store import (
    CampaignLine,
    Campaigns,
    CampaignState,
    Gate,
    LimitReached,
    Results,
    StoredApproval,
    StoredCampaign,
    StoredRequest,
    StoreUnavailable,
)
from ami_process.environment import Environment, real_sleep, real_time, real_timer
from ami_process.events import format_fault
from ami_process.principals import ITSELF

MOST_UNDER_WAY = 1_000
UNAVAILABLE_S = 1.0
FAILED_S = 10.0
"""When a campaign that a fault of ours has stopped is gone on with."""
ROOM_S = 0.1
"""When a full lane is looked at again."""
LOOK_EVERY_S = 2.0
"""How often it is looked up which meters of a limited campaign have an end: what fails for good after several attempts says so in the store alone."""
LONG_S = 30.0
"""What goes on as late as this is under way no more, where the number of those is limited."""
T = TypeVar("T")
Run = Callable[[Assignment], Awaitable[Outcome]]


class NotPossible(Exception):
    """What is ordered can't be done; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignOrder:
    """One operation on many meters, each of which has to have an end `within` that time."""

    operation: str
    body: str
    summary: str
    """For a person."""
    meters: Sequence[Meter]
    within: timedelta
    at_once: int | None = None
    asker: Asker | None = None
    """None: the head-end by itself."""


def _nobody(_: str) -> None:
    """A single process has nobody to tell."""


@dataclass(slots=True)
class CampaignBook:
    """All campaigns. Any front end orders and changes them; `under_way` and `work` are for the one that is in charge (`look`: when another one has changed something)."""

    store: Campaigns
    results: Results
    engine: Engine
    environment: Environment
    guard: Guard
    pending: int
    """Commands that may wait or be worked in the lane of campaigns."""
    told: Callable[[str], None] = _nobody
    """Called with each campaign that was ordered, decided or changed here, for the process in charge where that is another one."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _put: set[str] = field(default_factory=set)
    """Campaigns whose open commands are in the lane."""
    _held_back: set[str] = field(default_factory=set)
    """Campaigns of which no command may be put."""
    _cancelled: set[str] = field(default_factory=set)
    _not_approved: dict[str, str] = field(default_factory=dict)
    """Why, of those that are cancelled since nobody has approved them."""
    _under_way: dict[str, set[str]] = field(default_factory=dict)
    """By campaign whose number of these is limited: meters that were put and have not come so far that others may."""
    _left: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.engine.events.listen(LOST, lambda *_: self.put_again())

    async def order(self, order: CampaignOrder) -> str:
        """Begin a campaign, or have it wait for approval; its id. Raises ControlsStopped and StoreUnavailable."""
        principal = "" if order.asker is None else order.asker.name
        campaign_id = str(self.environment.new_uuid())
        commands = [
            Command(campaign_id, MeterId(one.name, one.mrid), order.operation, order.body) for one in order.meters
        ]
        try:
            gate = self.guard.gate(commands, principal)
            await self._keep(order, commands, CampaignState.RUNNING, gate)
        except (ApprovalNeeded, LimitReached) as problem:
            why = format_limit(problem) if isinstance(problem, LimitReached) else str(problem)
            return await self._wait_for_approval(order, commands, why)
        self.environment.emit(
            events.CampaignBegun(campaign=campaign_id, summary=order.summary, meters=len(order.meters))
        )
        self._changed.set()
        self.told(campaign_id)
        return campaign_id

    async def _wait_for_approval(self, order: CampaignOrder, commands: Sequence[Command], why: str) -> str:
        """Kept under another id, since a row that came before may be there. Raises StoreUnavailable."""
        campaign_id = str(self.environment.new_uuid())
        commands = [replace(one, request_id=campaign_id) for one in commands]
        principal = "" if order.asker is None else order.asker.name
        wanted = self.guard.wanted(campaign_id, ApprovalOf.CAMPAIGN, commands, principal, order.summary, why)
        deadline_at = self.environment.after_real(order.within)
        wanted = replace(wanted, expires_at=min(wanted.expires_at, deadline_at))
        self._held_back.add(campaign_id)
        await self._keep(order, commands, CampaignState.WAITING, Gate(since=wanted.asked_at, approval=wanted))
        self.told(campaign_id)
        return campaign_id

    async def _keep(
        self, order: CampaignOrder, commands: Sequence[Command], state: CampaignState, gate: Gate | None
    ) -> None:
        """First its row and then its request, since a row alone counts for nothing. Raises what `Results.accept` raises."""
        campaign_id, now = commands[0].request_id, self.environment.now()
        deadline_at = self.environment.after_real(order.within)
        row = StoredCampaign(
            campaign_id=campaign_id,
            kind=order.operation,
            summary=order.summary,
            state=state,
            created_at=now,
            at_once=order.at_once,
        )
        await self.store.put(row)
        request = StoredRequest(
            request_id=campaign_id,
            digest="",
            verb=Verb.CREATED,
            noun="EndDeviceControls",
            source="campaign",
            correlation_id=campaign_id,
            reply_address=None,
            accepted_at=now,
            deadline_at=deadline_at,
            errors="[]",
            principal=None if order.asker is None else order.asker.name,
            principal_by=None if order.asker is None else order.asker.by,
        )
        jobs = [CommandJob(one, Lane.CAMPAIGN, deadline_at) for one in commands]
        await self.results.accept(request, jobs, gate=gate)

    async def decided(self, approval: StoredApproval) -> None:
        """A second person has decided, or nobody has in time. Raises StoreUnavailable."""
        campaign_id, among = approval.request_id, (CampaignState.WAITING,)
        if approval.kind is not ApprovalOf.CAMPAIGN:
            return
        if approval.state is ApprovalState.APPROVED:
            if await self.store.move(campaign_id, CampaignState.RUNNING, among):
                self._held_back.discard(campaign_id)
                self._changed.set()
                self.told(campaign_id)
        elif await self.store.move(campaign_id, CampaignState.CANCELLED, among):
            self._end(campaign_id, why_not_approved(approval))

    def _end(self, campaign_id: str, not_approved: str | None = None) -> None:
        """Its meters end, those at which nothing was begun without being touched."""
        if not_approved is not None:
            self._not_approved[campaign_id] = not_approved
        self._cancelled.add(campaign_id)
        self._held_back.discard(campaign_id)
        self._changed.set()
        self.told(campaign_id)

    async def pause(self, campaign_id: str) -> None:
        """Begin no more of its meters; what is in hand goes on to its end. Raises NotPossible, StoreUnavailable."""
        await self._move(campaign_id, CampaignState.PAUSED, CampaignState.RUNNING)
        self._held_back.add(campaign_id)
        await self._take_out(campaign_id)
        self.told(campaign_id)

    async def resume(self, campaign_id: str) -> None:
        """Go on with a paused one. Raises NotPossible, StoreUnavailable."""
        await self._move(campaign_id, CampaignState.RUNNING, CampaignState.PAUSED)
        self._held_back.discard(campaign_id)
        self._changed.set()
        self.told(campaign_id)

    async def cancel(self, campaign_id: str) -> None:
        """End it: a meter at which nothing was begun ends as cancelled. Raises NotPossible, StoreUnavailable."""
        states = (CampaignState.RUNNING, CampaignState.PAUSED, CampaignState.WAITING)
        await self._move(campaign_id, CampaignState.CANCELLED, *states)
        self._end(campaign_id)
        await self._take_out(campaign_id)  # what waits for its time hears of it now
        await self.guard.store.decide(
            campaign_id, ApprovalState.WITHDRAWN, ITSELF, self.environment.now(), "the campaign was cancelled"
        )
        self._changed.set()

    async def _take_out(self, campaign_id: str) -> None:
        """Out of the lane, to be put again; what is in hand stays there."""
        for delivery in await self.engine.commands.cancel(campaign_id):
            await delivery.done()  # it is open in the store
        self._put.discard(campaign_id)
        self._under_way.pop(campaign_id, None)
        self._left.set()

    def guarded(self, run: Run) -> Run:
        """The same, but a command of a cancelled campaign is not begun; one whose change may have left is brought to its end.

        One of a paused campaign that goes on in parts is held back between two of them.
        """

        async def guarded(assignment: Assignment) -> Outcome:
            command, attempt = assignment.command, assignment.attempt

            def is_cancelled() -> bool:
                return command.request_id in self._cancelled

            if is_cancelled() and not attempt.begun:
                outcome = not_begun(command, attempt, self._not_approved.get(command.request_id))
            elif command.request_id in self._held_back:
                raise HeldBack
            else:
                outcome = await run(replace(assignment, is_cancelled=is_cancelled))
            self._note_end(command, outcome)
            return outcome

        return guarded

    def _note_end(self, command: Command, outcome: Outcome) -> None:
        """Another meter of a campaign that is limited may begin. What is tried again in vain counts as under way until it is looked up."""
        under_way = self._under_way.get(command.request_id)
        if under_way is not None and not outcome.again and (outcome.goes_on_s is None or outcome.goes_on_s >= LONG_S):
            under_way.discard(command.meter.name)
            self._left.set()

    async def under_way(self) -> frozenset[str]:
        """Those that an earlier life has left, or another process that was in charge: `work` puts what is open of them. Raises StoreUnavailable."""
        for of_before in (self._put, self._held_back, self._cancelled, self._not_approved, self._under_way):
            of_before.clear()
        await self.store.forget()
        left = await self.store.lines(MOST_UNDER_WAY, under_way=True)
        for one in left:
            self._note(one)
            decided = await self.guard.store.approval(one.campaign.campaign_id)
            if decided is not None and decided.state is not ApprovalState.WAITING:
                await self._decided_before(one.campaign, decided)
        return frozenset(one.campaign.campaign_id for one in left)

    async def _decided_before(self, campaign: StoredCampaign, approval: StoredApproval) -> None:
        """In an earlier life, which may have come no further."""
        why = why_not_approved(approval)
        if campaign.state is CampaignState.CANCELLED and why is not None:
            self._not_approved[campaign.campaign_id] = why
        await self.decided(approval)

    async def look(self, campaign_id: str) -> None:
        """Take over what another process has ordered or changed; by who is in charge alone. Raises StoreUnavailable."""
        line = await self.store.find(campaign_id)
        if line is None:
            return
        campaign_id, state = line.campaign.campaign_id, line.campaign.state
        if state is CampaignState.RUNNING:
            self._held_back.discard(campaign_id)
        elif state is CampaignState.CANCELLED:
            await self._note_why(campaign_id)
            self._held_back.discard(campaign_id)
            self._cancelled.add(campaign_id)
        else:
            self._held_back.add(campaign_id)
        if state is not CampaignState.RUNNING:
            await self._take_out(campaign_id)
        self._changed.set()

    async def look_at_all(self) -> None:
        """The same of all that are under way. Raises StoreUnavailable."""
        for one in await self.store.lines(MOST_UNDER_WAY, under_way=True):
            await self.look(one.campaign.campaign_id)

    async def _note_why(self, campaign_id: str) -> None:
        """Of one that is cancelled since nobody has approved it."""
        why = why_not_approved(await self.guard.store.approval(campaign_id))
        if why is not None:
            self._not_approved[campaign_id] = why

    async def work(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            await self._work(group)

    async def _work(self, group: asyncio.TaskGroup) -> None:
        while True:
            self._changed.clear()
            for one in await _patiently(lambda: self.store.lines(MOST_UNDER_WAY, under_way=True)):
                if one.campaign.campaign_id not in self._put | self._held_back:
                    self._put.add(one.campaign.campaign_id)
                    if one.campaign.at_once is None:
                        await self._reported(one.campaign, self._dispatch(one.campaign.campaign_id))
                    else:
                        limited = self._dispatch_few(one.campaign.campaign_id, one.campaign.at_once)
                        group.create_task(self._reported(one.campaign, limited))
            await self._changed.wait()

    async def _reported(self, campaign: StoredCampaign, work: Awaitable[None]) -> None:
        """A fault holds up this campaign alone, and not for good."""
        try:
            await work
        except Exception as problem:  # noqa: BLE001  # reported, with its traceback
            fault = format_fault(problem)
            self.environment.emit(events.CampaignFailed(campaign=campaign.campaign_id, exception=fault))
            real_timer(real_time() + FAILED_S, partial(self._put_again, campaign.campaign_id))

    def put_again(self) -> None:
        """What was put may have been lost: whatever is open of campaigns that run is put once more; what is in the lane stays there once."""
        self._put.clear()
        self._under_way.clear()
        self._left.set()
        self._changed.set()

    def _put_again(self, campaign_id: str) -> None:
        """What is in the lane already stays there once."""
        self._put.discard(campaign_id)
        self._changed.set()

    async def _dispatch(self, campaign_id: str) -> None:
        """Put its open commands as the lane has room; one place is left, so that it is not full for others."""
        commands, most = self.engine.commands, max(1, self.pending - 1)
        left = [one.job for one in await _patiently(lambda: self.results.open_commands(campaign_id))]
        while left:
            room = max(0, most - await _patiently(lambda: commands.pending(Lane.CAMPAIGN)))
            if campaign_id in self._held_back:
                return
            await commands.put(left[:room], again=True)
            left = left[room:]
            if left:
                await real_sleep(ROOM_S)

    async def _dispatch_few(self, campaign_id: str, at_once: int) -> None:
        """Put so many of its open commands, and another one whenever one of them has an end or waits for long."""
        jobs = {one.job.subject: one.job for one in await _patiently(lambda: self.results.open_commands(campaign_id))}
        under_way = self._under_way[campaign_id] = set()
        begun: set[str] = set()
        while self._under_way.get(campaign_id) is under_way and jobs.keys() - begun:
            room = max(0, at_once - len(under_way))
            next_ones = [job for name, job in jobs.items() if name not in begun][:room]
            under_way.update(job.subject for job in next_ones)
            begun.update(job.subject for job in next_ones)
            await self.engine.commands.put(next_ones, again=True)
            self._left.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._left.wait()
            if len(under_way) >= at_once:
                under_way -= await self._ended_among(campaign_id, frozenset(under_way))

    async def _ended_among(self, campaign_id: str, meters: frozenset[str]) -> frozenset[str]:
        """Of meters that are under way, not of all that are left, which may be thousands."""
        return meters - await _patiently(lambda: self.results.open_among(campaign_id, meters))

    async def _move(self, campaign_id: str, state: CampaignState, *among: CampaignState) -> None:
        if await self.store.move(campaign_id, state, among):
            return
        found = await self.store.find(campaign_id)
        if found is None:
            raise LookupError(campaign_id)
        now = "at its end" if found.done == found.meters else str(found.campaign.state)
        raise NotPossible(f"the campaign is {now}")

    def _note(self, line: CampaignLine) -> None:
        if line.campaign.state in (CampaignState.PAUSED, CampaignState.WAITING):
            self._held_back.add(line.campaign.campaign_id)
        elif line.campaign.state is CampaignState.CANCELLED:
            self._cancelled.add(line.campaign.campaign_id)


async def _patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """A store that is unavailable for a while is waited for."""
    while True:
        try:
            return await ask()
        except StoreUnavailable:
            await real_sleep(UNAVAILABLE_S)
