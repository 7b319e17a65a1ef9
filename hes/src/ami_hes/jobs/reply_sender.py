"""Asynchronous replies: posted to the ReplyAddress, ever more slowly, until they are taken or given up.

A delivery is bounded in attempts and in age, both counted across restarts; then the reply is a dead letter: kept,
reported, and handed to the sender that asks again with its MessageID. Receivers don't wait for each other (`ami_hes.jobs.destinations`).
Nothing that goes wrong with one reply ends the work on the others.
"""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from functools import partial

from ami_cim.errors import InvalidMessage
from ami_cim.spoken import Speech, late, spoken
from ami_hes import events
from ami_hes.engine import Delivery, ReplyJob
from ami_hes.file_drop import EventFile, FileDrop, is_drop
from ami_hes.jobs.alone import alone
from ami_hes.jobs.backoff import Backoff
from ami_hes.jobs.context import Context
from ami_hes.jobs.destinations import Destinations, Post
from ami_hes.nouns.kept_partners import parse_partner
from ami_hes.outbox import ACK_REQUIRED, NotServed, Outbox
from ami_hes.reply_hosts import NoAnswer, NotAllowed, NotAnAddress, NotTaken, origin_of
from ami_hes.store import StoredRequest
from ami_hes.traces import delivered
from ami_process.environment import real_sleep
from ami_process.events import Event
from ami_process.store.columns import AlteredOctets

ROOM = 100
"""Replies that are posted at once."""
PER_DESTINATION = 8
"""Of these, to one host and port."""
MOMENT_S = 1.0
"""A receiver that takes longer counts as slow."""

Way = Callable[[bytes], Coroutine[None, None, None]]
"""Hands one message over; raises what the outbox raises."""


class ReplySender:
    """Works the lane of replies."""

    def __init__(self, context: Context, outbox: Outbox, drop: FileDrop, backoff: Backoff) -> None:
        self._context = context
        self._outbox = outbox
        self._drop = drop
        self._backoff = backoff
        self._destinations: Destinations[Delivery[ReplyJob]] = Destinations(room=ROOM, per_destination=PER_DESTINATION)
        self._group = asyncio.TaskGroup()

    async def work(self) -> None:
        """Until cancelled."""
        async with self._group:
            while True:
                for delivery in await self._context.engine.replies.take(ROOM):
                    self._destinations.add(_destination(delivery.job.address), delivery, delivery.job.rank)
                self._begin()

    def _begin(self) -> None:
        while (post := self._destinations.next()) is not None:
            self._group.create_task(self._deliver(post))

    async def _rest(self, destination: str, seconds: float) -> None:
        await real_sleep(seconds)
        self._destinations.wake(destination)
        self._begin()

    async def _deliver(self, post: Post[Delivery[ReplyJob]]) -> None:
        await self._alone(post.item, self._attempt(post))
        if post.under_way:
            self._destinations.answered(post)
        self._begin()

    async def _alone(self, delivery: Delivery[ReplyJob], work: Coroutine[None, None, None]) -> None:
        def failed(fault: str) -> Event:
            job = delivery.job
            return events.ReplyFailed(message_id=job.request_id, address=job.address, exception=fault)

        await alone(delivery, work, failed, emit=self._context.emit, again_s=self._backoff.most_s)

    async def _attempt(self, post: Post[Delivery[ReplyJob]]) -> None:
        job = post.item.job
        request, began_at = await self._context.results.find(job.request_id), self._context.now()
        if request is None or request.answer is None:
            raise LookupError(f"the request {job.request_id} has no answer to post")
        try:
            await self._post_parts(post, self._way(job.address, request), late(parse_partner(request.partner).dialect))
        except NoAnswer as problem:
            await self._no_answer(post, str(problem))
            return
        except Unusable as problem:
            self._destinations.answered(post)
            await self._give_up(post.item, f"what was to be posted is not in the store as it was kept: {problem}")
            return
        except (NotTaken, NotAllowed) as problem:
            self._destinations.answered(post)
            await self._refused(post.item, problem)
            return
        self._destinations.answered(post)
        await self._taken(post.item, request, began_at)

    def _way(self, address: str, request: StoredRequest) -> Way:
        """Into a directory, or to an address of the network."""
        if is_drop(address):
            event = EventFile(request.accepted_at, request.noun, request.verb, request.request_id)
            return partial(self._drop.write, address, event)
        outgoing = parse_partner(request.partner).outgoing
        return partial(self._outbox.post, address, ack_required=request.query == ACK_REQUIRED, outgoing=outgoing)

    async def _post_parts(self, post: Post[Delivery[ReplyJob]], way: Way, speech: Speech) -> None:
        """Post the parts in order, each after the one before it was taken; a restarted process goes on where the last one ended."""
        request_id, results = post.item.job.request_id, self._context.results
        while (part := await results.next_part(request_id)) is not None:
            await self._post(post, way(await _spoken(part.octets, speech)))
            if part.last:
                return
            await results.part_taken(request_id, part.number)

    async def _post(self, post: Post[Delivery[ReplyJob]], work: Coroutine[None, None, None]) -> None:
        """Raises what the outbox raises, or NoAnswer for a slow receiver while too many others are slow as well."""
        posting = asyncio.ensure_future(work)
        try:
            await asyncio.wait({posting}, timeout=MOMENT_S)
            if not posting.done() and not self._destinations.linger(post):
                raise NoAnswer(f"no answer within {MOMENT_S:g} s, and too many other receivers are slow as well")
            await posting
        finally:
            if not posting.done():
                posting.cancel()
                await asyncio.wait({posting})

    async def _taken(self, delivery: Delivery[ReplyJob], request: StoredRequest, began_at: datetime) -> None:
        await self._context.results.replied(request.request_id, at := self._context.now())
        if self._context.telemetry is not None:
            self._context.telemetry.tell(delivered(request, began_at, at))
        await delivery.done()
        ms = self._context.milliseconds_since(request.accepted_at)
        self._context.emit(
            events.ReplySent(message_id=request.request_id, result=request.result, ms=ms, asynchronous=True)
        )

    async def _refused(self, delivery: Delivery[ReplyJob], problem: NotTaken | NotAllowed) -> None:
        """The receiver is there and did not take this reply, or may not be asked; others may go better."""
        failures = await self._count(delivery, str(problem), final=isinstance(problem, NotServed | NotAnAddress))
        if failures is not None:
            after_s = self._backoff.pause_s(failures)
            self._report_postponed(delivery.job, str(problem), failures, after_s)
            await delivery.again(after_s)

    async def _no_answer(self, post: Post[Delivery[ReplyJob]], reason: str) -> None:
        """Nothing answers there, so everything else that goes there waits as well; what is too old by now is given up with it."""
        in_a_row = self._destinations.failed(post)
        after_s = self._backoff.pause_s(in_a_row or 1)
        if in_a_row is not None:
            self._group.create_task(self._rest(post.destination, after_s))
        for other in self._destinations.waiting(post.destination):
            if self._is_too_old(other.job):
                self._destinations.remove(post.destination, other)
                self._group.create_task(self._alone(other, self._give_up(other, reason)))
        failures = await self._count(post.item, reason, final=False)
        if failures is not None:
            self._report_postponed(post.item.job, reason, failures, after_s)
            self._destinations.add(post.destination, post.item, post.item.job.rank)

    async def _count(self, delivery: Delivery[ReplyJob], reason: str, *, final: bool) -> int | None:
        """Count an attempt that failed; how many there were, None if that was the last."""
        job = delivery.job
        kept = await self._context.deliveries.failed(job.request_id, reason, self._context.now())
        if final or kept.attempts >= self._backoff.attempts or self._is_too_old(job):
            await self._give_up(delivery, reason)
            return None
        return kept.attempts

    def _is_too_old(self, job: ReplyJob) -> bool:
        return self._context.now() >= job.give_up_at

    async def _give_up(self, delivery: Delivery[ReplyJob], reason: str) -> None:
        """What it takes to tell of it is read first, so nothing that fails afterwards takes it from the log."""
        job, at, telemetry = delivery.job, self._context.now(), self._context.telemetry
        kept = await self._context.deliveries.find(job.request_id)
        request = None if telemetry is None else await self._context.results.find(job.request_id)
        attempts = 0 if kept is None else kept.attempts
        await self._context.deliveries.give_up(job.request_id, reason, at)
        self._context.emit(
            events.ReplyDeadLetter(message_id=job.request_id, address=job.address, reason=reason, attempts=attempts)
        )
        if telemetry is not None and request is not None:
            telemetry.tell(delivered(request, at, at, f"given up after {attempts} attempts: {reason}"))
        await delivery.done()

    def _report_postponed(self, job: ReplyJob, reason: str, attempts: int, after_s: float) -> None:
        self._context.emit(
            events.ReplyPostponed(
                message_id=job.request_id, address=job.address, reason=reason, attempts=attempts, after_s=after_s
            )
        )


class Unusable(Exception):
    """What is kept can't be posted, now or later; the text says why."""


async def _spoken(octets: bytes, speech: Speech) -> bytes:
    """A kept message as its receiver has it."""
    if isinstance(octets, AlteredOctets):
        raise Unusable("it can't be unpacked")
    if speech.is_ours:
        return octets
    try:
        return await asyncio.to_thread(spoken, octets, speech)
    except InvalidMessage as problem:
        raise Unusable(f"it can't be read: {problem}") from None


def _destination(address: str) -> str:
    """Whom to ask for it; what is no address is a destination of its own, where its only post will fail."""
    return origin_of(address) or address
