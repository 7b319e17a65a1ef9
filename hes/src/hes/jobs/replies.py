"""Asynchronous replies: posted to the ReplyAddress again and again, ever more slowly, until they are taken."""

import asyncio

import structlog

from hes.jobs.answers import Means
from hes.outbox import Outbox, parse_answer
from hes.reply_hosts import NotAllowed, NotTaken
from hes.store import Delivery, Lane

ROOM = 20
"""Replies that are posted at once."""

log = structlog.get_logger()


class Replies:
    """Works the REPLIES lane."""

    def __init__(self, means: Means, outbox: Outbox, *, first_s: float, most_s: float) -> None:
        self._means = means
        self._outbox = outbox
        self._first_s = first_s
        self._most_s = most_s
        self._waits: dict[str, float] = {}

    async def work(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(ROOM):
                group.create_task(self._post_replies())

    async def _post_replies(self) -> None:
        while True:
            for delivery in await self._means.jobs.take(Lane.REPLIES, 1):
                await self._post(delivery)

    async def _post(self, delivery: Delivery) -> None:
        request_id, address = delivery.job.request_id, delivery.job.body
        request = await self._means.results.find(request_id)
        if request is None or request.answer is None:
            raise LookupError(f"the request {request_id} has no answer to post")
        try:
            await self._outbox.post(address, request.answer)
        except (NotTaken, NotAllowed) as problem:
            wait_s = self._waits.get(request_id, self._first_s)
            self._waits[request_id] = min(wait_s * 2, self._most_s)
            log.info("reply_postponed", message_id=request_id, address=address, reason=str(problem), after_s=wait_s)
            delivery.again(wait_s)
            return
        await self._means.results.replied(request_id, self._means.now())
        self._waits.pop(request_id, None)
        delivery.done()
        result = parse_answer(request.answer).reply.result
        ms = self._means.milliseconds_since(request.accepted_at)
        log.info("reply_sent", message_id=request_id, result=result, ms=ms, asynchronous=True)
