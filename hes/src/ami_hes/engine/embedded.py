"""The engine of a single process: dispatch in memory beside the store, and what an earlier life left open put again at its start.

Recovery is this engine's own, since its queues are lost with the process. What cannot be read of one request leaves that
request as it is, reported, and keeps no other back.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import timedelta
from functools import partial

from ami_hes import events
from ami_hes.engine.memory_commands import MemoryCommands
from ami_hes.engine.memory_events import MemoryEvents
from ami_hes.engine.memory_queue import MemoryQueue
from ami_hes.engine.ports import ANSWERED, GroupOf, Meterless, ReplyJob, never_meterless, no_group
from ami_hes.engine.stored_answers import StoredAnswers
from ami_hes.store import Deliveries, Results, StoreUnavailable
from ami_process.environment import Environment
from ami_process.events import format_fault


class EmbeddedEngine:
    """The Engine port."""

    def __init__(
        self,
        results: Results,
        deliveries: Deliveries,
        environment: Environment,
        *,
        reply_age: timedelta,
        look_every_s: float,
        group_of: GroupOf = no_group,
        meterless: Meterless = never_meterless,
    ) -> None:
        self.commands = MemoryCommands(group_of, meterless)
        self.replies: MemoryQueue[ReplyJob] = MemoryQueue()
        self.answers = StoredAnswers(results, look_every_s=look_every_s)
        self.events = MemoryEvents()
        self.events.listen(ANSWERED, self.answers.announce)
        self._results = results
        self._deliveries = deliveries
        self._emit = environment.emit
        self._reply_age = reply_age

    async def open(self, paced: Collection[str] = ()) -> None:
        """To be done before any request is taken."""
        unanswered, owed = await self._results.unanswered(), await self._results.owed()
        restore = partial(self._restore_commands, frozenset(paced))
        commands = await self._each(unanswered, restore)  # oldest first: a meter gets its commands in order
        replies = await self._each(owed, self._restore_reply)
        if unanswered or owed:
            self._emit(events.Recovered(requests=len(unanswered), commands=commands, replies=replies))
        if given_up := await self._deliveries.dead_letters():
            self._emit(events.DeadLetters(replies=given_up))

    async def _restore_commands(self, paced: Collection[str], request_id: str) -> int:
        """Its commands without result; where only the answer is missing any one of them, since who takes it answers."""
        if await self._results.find(request_id) is None:
            raise LookupError(f"the request {request_id} is not kept")
        left = await self._results.open_commands(request_id)
        if left and request_id in paced:
            return 0
        chosen = left or await self._results.commands(request_id, 0, 1)
        self.commands.restore([one.job for one in chosen])
        return len(left)

    async def _restore_reply(self, request_id: str) -> int:
        request = await self._results.find(request_id)
        if request is None:
            raise LookupError(f"the request {request_id} is not kept")
        since = await self._deliveries.owed_since(request_id)
        self.replies.restore([ReplyJob.of(request, self._reply_age, since)])
        return 1

    async def _each(self, request_ids: Iterable[str], restore: Callable[[str], Awaitable[int]]) -> int:
        """Each request for itself; how many jobs were restored."""
        restored = 0
        for request_id in request_ids:
            try:
                restored += await restore(request_id)
            except StoreUnavailable:
                raise
            except Exception as problem:  # noqa: BLE001  # reported, with its traceback
                self._emit(events.RecoveryFailed(message_id=request_id, exception=format_fault(problem)))
        return restored
