"""Orders that take as long as meters do and were acknowledged: carried out from their kept messages, in this life of the process or the next.

Those of one sender (Header.Source) are carried out one after the other, in the order in which they were accepted; different senders don't
wait for each other, and none (a principal, where that is proved) may have so many waiting that no other gets in. One that can't go on now, because the store does not take it,
is tried again until it is answered. What it had done by then is known by the requests that it has made, so none of that is done twice. One
that fails by a fault of ours is set aside, so that the next go on, and is tried a few times. One whose message is not there as it was
kept is answered at once, and so is at its end every one that can't be carried out: its sender gets a reply in any case.
"""

import asyncio
import json
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ami_cim.errors import CimError
from ami_cim.message import ReplyError, RequestMessage
from ami_hes import events
from ami_hes.askers import PROVED, Asker, asking_as
from ami_hes.guard import ApprovalNeeded
from ami_hes.jobs.awaited_approvals import AwaitedApprovals
from ami_hes.jobs.backoff import Backoff
from ami_hes.jobs.context import Context
from ami_hes.jobs.order_messages import Altered, parse_message
from ami_hes.nouns import Refused, error
from ami_hes.store import StoredRequest, StoreUnavailable, WaitingMessage
from ami_process.environment import real_sleep
from ami_process.events import format_fault

MOST = 100
"""Orders that wait or are carried out."""
MOST_OCTETS = 100_000_000
"""Of all their messages."""
_PAUSES = Backoff(0.5, 60.0, 5)
"""As many attempts has an order that fails by a fault of ours."""

_RESTORED = (
    "The head-end's store was restored from a copy that was made after this message was acknowledged. All of it, some of it or none may have "
    "been done since; nothing more of it is done. Look at the meters, and ask for what is still to be done by other messages."
)
_UNUSABLE = (
    "This message was acknowledged, and the head-end has not kept it as it came: {}. All of it, some of it or none may have been done before "
    "that was seen; nothing more of it is done. Look at the meters, and ask for what is still to be done by other messages."
)
_FAULTY = (
    "This message was acknowledged, and the head-end fails to carry it out by a fault of its own; look at its events. All of it, some of it or "
    "none may have been done. Look at the meters, and ask for what is still to be done by other messages."
)

CarryOut = Callable[[StoredRequest, RequestMessage | ReplyError], Awaitable[object]]
"""Carries an order out and keeps its answer; of one that has an error in place of its message nothing is done, and the error is the answer.

Raises CimError and StoreUnavailable where it has to be carried out again."""


LONGEST_REST_S = 300.0
"""After which the clock is looked at again, since it may have been set."""
_FOR_LATER = "later "
_CANCEL, _YES, _NO = "late.cancel", b"yes", b"no"
_TAKEN_BACK = "Cancelled before it was begun: nothing was sent to any meter."


def format_later(begins_at: datetime) -> str:
    """The `query` of a request that is carried out at a time."""
    return _FOR_LATER + begins_at.isoformat()


def parse_later(query: str) -> datetime | None:
    """When a request with this `query` is to begin; None for one that is not for later."""
    return datetime.fromisoformat(query.removeprefix(_FOR_LATER)) if query.startswith(_FOR_LATER) else None


@dataclass(slots=True)
class _Later:
    """A request that waits for its time."""

    begins_at: datetime
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    why: str = _TAKEN_BACK
    waits: bool = True
    is_left: bool = False
    """To another process, which is in charge by now."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class _Waiting:
    source: str
    octets: int
    """Of its message."""
    sender: str
    """Whose places it takes."""


def sender_of(source: str | None, principal: str | None, by: str | None) -> str:
    """Whose places a message takes: of who has proved who it is, whatever Header.Source its messages say, and else of that."""
    return f"principal {principal}" if by in PROVED else f"source {source or ''}"


def _waiting(one: WaitingMessage) -> _Waiting:
    return _Waiting(one.source or "", one.octets, sender_of(one.source, one.principal, one.principal_by))


def check_places(kept: Sequence[_Waiting], sender: str, octets: bytes) -> None:
    """Raises Refused where one more beside these would be too many: a sender may have as many as there are still places, so that one is left for others."""
    theirs = [one.octets for one in kept if one.sender == sender]
    places = MOST - len(kept)
    room = MOST_OCTETS - sum(one.octets for one in kept)
    if places <= 0 or len(octets) > room:
        who = f"{len(kept)} acknowledged messages are"
    elif len(theirs) >= places or sum(theirs) + len(octets) > room:
        who = f"{len(theirs)} acknowledged messages of this sender, as many as it may have beside others, are"
    else:
        return
    raise Refused(error("3.2", f"{who} still carried out; nothing was accepted. Try again later."))


def _nobody() -> None:
    """A single process has nobody to tell."""


class LateOrders:
    """Works them."""

    def __init__(
        self, context: Context, carry_out: CarryOut, approvals: AwaitedApprovals, waits: Callable[[], None] = _nobody
    ) -> None:
        """`waits` is called when one waits for the process in charge, where that is another one."""
        self._context = context
        self._waits = waits
        context.engine.charge.answer(_CANCEL, self._cancel_for)
        self._carry_out = carry_out
        self._approvals = approvals
        self._lines: dict[str, deque[str]] = {}
        self._orders: dict[str, _Waiting] = {}
        """By request, those that wait, are carried out or are set aside."""
        self._faults: Counter[str] = Counter()
        """By request, how often it has failed by a fault of ours."""
        self._later: dict[str, _Later] = {}
        self._group: asyncio.TaskGroup | None = None
        """None until work begins."""
        self.entrance = asyncio.Lock()
        """For who looks whether there is room and then puts one in."""

    async def open(self) -> None:
        """What an earlier life has left, or another process that was in charge."""
        self._lines, self._orders, self._group = {}, {}, None
        self._faults.clear()
        for later in self._later.values():
            later.is_left = True
            later.ended.set()
        self._later = {}
        await self.look()

    async def look(self) -> None:
        """Take in what other processes have acknowledged; only by who is in charge. Raises StoreUnavailable."""
        for one in await self._context.messages.waiting():
            if one.request_id in self._orders:
                continue
            request = await self._context.results.find(one.request_id)
            begins_at = None if request is None else parse_later(request.query)
            if one.request_id not in self._orders:
                self._add(one.request_id, _waiting(one), begins_at)

    async def work(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for source in self._lines:
                group.create_task(self._work_off(source))
            await asyncio.Event().wait()

    async def check_room(self, sender: str, octets: bytes) -> None:
        """Raises Refused where one more would be too many, and StoreUnavailable."""
        check_places(list(map(_waiting, await self._context.messages.waiting())), sender, octets)

    async def put(self, request: StoredRequest, octets: bytes) -> None:
        """Keep the message of an accepted request, and have it carried out; the same one again changes nothing."""
        await self._context.messages.keep(request.request_id, octets)
        if not self._context.engine.charge.is_mine:
            self._waits()
        elif request.request_id not in self._orders:
            sender = sender_of(request.source, request.principal, request.principal_by)
            self._add(
                request.request_id, _Waiting(request.source or "", len(octets), sender), parse_later(request.query)
            )

    async def cancel(self, request_id: str, why: str = _TAKEN_BACK) -> bool:
        """Take back a request that is not begun; False for one that may be. When it returns its answer says why.

        Raises StoreUnavailable where the process in charge can't be asked now.
        """
        asked = json.dumps({"request": request_id, "why": why})
        return await self._context.engine.charge.ask(_CANCEL, asked.encode()) == _YES

    async def _cancel_for(self, asked: bytes) -> bytes:
        said = json.loads(asked)
        return _YES if await self._cancel(str(said["request"]), str(said["why"])) else _NO

    async def _cancel(self, request_id: str, why: str) -> bool:
        if request_id not in self._orders:
            await self.look()  # another process may have acknowledged it just now
        later = self._later.get(request_id)
        if later is None or not later.waits:
            return False
        later.why = why if not later.cancelled.is_set() else later.why
        later.cancelled.set()
        await later.ended.wait()
        if later.is_left:
            raise StoreUnavailable("another process is in charge by now")
        return True

    def _add(self, request_id: str, waiting: _Waiting, begins_at: datetime | None) -> None:
        """One that is for later waits in a line of its own, and keeps no other of its sender back."""
        self._orders[request_id] = waiting
        if begins_at is not None:
            self._later[request_id] = _Later(begins_at)
        self._line_up(request_id, waiting.source if begins_at is None else f"{_FOR_LATER}{request_id}")

    def _line_up(self, request_id: str, source: str) -> None:
        line = self._lines.get(source)
        if line is not None:
            line.append(request_id)
            return
        self._lines[source] = deque([request_id])
        if self._group is not None:
            self._group.create_task(self._work_off(source))

    async def _work_off(self, source: str) -> None:
        """All of one sender."""
        line, failures = self._lines[source], 0
        while line:
            if await self._is_over(line[0]):
                line.popleft()
                failures = 0
            else:
                failures += 1
                await real_sleep(_PAUSES.pause_s(failures))
        del self._lines[source]

    async def _is_over(self, request_id: str) -> bool:
        """Whether the next of its sender may be carried out: this one is answered, or set aside after a fault of ours."""
        try:
            await self._carried_out(request_id)
        except Exception as problem:  # noqa: BLE001  # reported, with its traceback
            if _is_for_now(problem):
                return False
            self._context.emit(events.AnswerFailed(message_id=request_id, exception=format_fault(problem)))
            self._set_aside(request_id)
        else:
            del self._orders[request_id]
            del self._faults[request_id]
            if (later := self._later.pop(request_id, None)) is not None:
                later.ended.set()
        return True

    def _set_aside(self, request_id: str) -> None:
        self._faults[request_id] += 1
        if self._group is not None:
            self._group.create_task(self._again(request_id, _PAUSES.pause_s(self._faults[request_id])))

    async def _again(self, request_id: str, after_s: float) -> None:
        await real_sleep(after_s)
        self._line_up(request_id, self._orders[request_id].source)

    async def _time_of(self, later: _Later) -> None:
        """Until it is time, or it is taken back."""
        environment = self._context.environment
        while not later.cancelled.is_set() and (left_s := (later.begins_at - environment.now()).total_seconds()) > 0:
            waits = [
                asyncio.ensure_future(environment.sleep(min(left_s, LONGEST_REST_S))),
                asyncio.ensure_future(later.cancelled.wait()),
            ]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in waits:
                    one.cancel()

    async def _carried_out(self, request_id: str) -> None:
        context = self._context
        if (later := self._later.get(request_id)) is not None:
            await self._time_of(later)
        request = await context.results.find(request_id)
        if request is not None and request.answer is None:
            message = await self._message_of(request)
            if later is not None:
                await self._begun(request, message, later)
            else:
                await self._carry_out(request, message)
        await context.messages.drop(request_id)

    async def _begun(self, request: StoredRequest, message: RequestMessage | ReplyError, later: _Later) -> None:
        """Once it is approved, where a second person has to; it may have to only now, since others have used up a limit."""
        while True:
            refusal = await self._approvals.refusal(request.request_id, later.cancelled)
            what = refusal or message
            if later.cancelled.is_set():
                what = error("6.5", later.why)
            later.waits = False  # from here on it may be begun
            try:
                await self._carry_out(request, what)
            except ApprovalNeeded as needed:
                if isinstance(message, ReplyError):
                    raise
                with asking_as(Asker(request.principal or "", request.principal_by or "")):
                    await self._approvals.want(request, message, str(needed))
                later.waits = True
            else:
                return

    async def _message_of(self, request: StoredRequest) -> RequestMessage | ReplyError:
        """Its kept message, or the answer to one that may not be carried out."""
        kept = await self._context.messages.read(request.request_id)
        if self._faults[request.request_id] >= _PAUSES.attempts:
            return error("5.3", _FAULTY)
        if kept is not None and kept.in_question:
            return error("5.3", _RESTORED)
        try:
            if kept is None:
                raise Altered("it is not there any more")
            return await asyncio.to_thread(parse_message, kept.octets, request)
        except Altered as problem:
            self._context.emit(events.KeptMessageUnusable(message_id=request.request_id, reason=str(problem)))
            return error("5.3", _UNUSABLE.format(problem))


def _is_for_now(problem: Exception) -> bool:
    """Whether it goes on when the store takes something again; any other problem may be there each time."""
    return isinstance(problem, StoreUnavailable) or (isinstance(problem, CimError) and problem.code == "5.1")
