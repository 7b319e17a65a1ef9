"""What an earlier life left open is put again, request by request, from what the store says.

What cannot be read of one request leaves that request as it is, reported, and keeps no other back.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from ami_hes import events
from ami_hes.commands import CommandJob
from ami_hes.engine.ports import ReplyJob
from ami_hes.store import Deliveries, Results, StoreUnavailable
from ami_process.events import Emit, format_fault

PutCommands = Callable[[Sequence[CommandJob]], Awaitable[None]]
PutReplies = Callable[[Sequence[ReplyJob]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Recovery:
    """Looks into the store and puts what it finds."""

    results: Results
    deliveries: Deliveries
    emit: Emit
    reply_age: timedelta
    put_commands: PutCommands
    put_replies: PutReplies

    async def all_of_it(self, paced: Collection[str] = ()) -> None:
        """Before any request is taken. Commands without a result of `paced` requests are left to who paces them. Raises StoreUnavailable."""
        unanswered, owed = await self.results.unanswered(), await self.results.owed()
        commands = await self.commands(unanswered, paced)
        replies = await self.each(owed, self.reply)
        if unanswered or owed:
            self.emit(events.Recovered(requests=len(unanswered), commands=commands, replies=replies))
        if given_up := await self.deliveries.dead_letters():
            self.emit(events.DeadLetters(replies=given_up))

    async def commands(self, request_ids: Iterable[str], paced: Collection[str] = ()) -> int:
        """Those of these requests, which have no answer: oldest first, so that a meter gets its commands in order; how many."""
        return await self.each(request_ids, partial(self._commands, frozenset(paced)))

    async def replies(self) -> int:
        """All that are owed; how many."""
        return await self.each(await self.results.owed(), self.reply)

    async def each(self, request_ids: Iterable[str], put: Callable[[str], Awaitable[int]]) -> int:
        """Each request for itself; how many jobs were put."""
        done = 0
        for request_id in request_ids:
            try:
                done += await put(request_id)
            except StoreUnavailable:
                raise
            except Exception as problem:  # noqa: BLE001  # reported, with its traceback
                self.emit(events.RecoveryFailed(message_id=request_id, exception=format_fault(problem)))
        return done

    async def _commands(self, paced: Collection[str], request_id: str) -> int:
        """Its commands without result; where only the answer is missing any one of them, since who takes it answers."""
        if await self.results.find(request_id) is None:
            raise LookupError(f"the request {request_id} is not kept")
        left = await self.results.open_commands(request_id)
        if left and request_id in paced:
            return 0
        chosen = left or await self.results.commands(request_id, 0, 1)
        await self.put_commands([one.job for one in chosen])
        return len(left)

    async def reply(self, request_id: str) -> int:
        """That of one request, which has its answer. Raises LookupError for one that is not kept."""
        request = await self.results.find(request_id)
        if request is None:
            raise LookupError(f"the request {request_id} is not kept")
        since = await self.deliveries.owed_since(request_id)
        await self.put_replies([ReplyJob.of(request, self.reply_age, since)])
        return 1
