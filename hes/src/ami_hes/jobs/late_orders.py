"""Orders that take as long as meters do and were acknowledged: carried out from their kept messages, in this life of the process or the next.

Those of one sender (Header.Source) are carried out one after the other, in the order in which they were accepted; different senders don't
wait for each other. One that can't go on now, because the store does not take it, is tried again until it is answered. What it had done by
then is known by the requests that it has made, so none of that is done twice.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime

from ami_cim import envelope, soap
from ami_cim.errors import CimError
from ami_cim.limits import Limits
from ami_cim.message import RequestMessage
from ami_hes import events
from ami_hes.jobs.backoff import Backoff
from ami_hes.jobs.context import Context
from ami_hes.nouns import Refused, error
from ami_hes.store import StoredRequest, StoreUnavailable
from ami_process.environment import real_sleep
from ami_process.events import format_fault

MOST = 100
"""Orders that wait or are carried out."""
MOST_OCTETS = 100_000_000
"""Of all their messages."""
_PAUSES = Backoff(0.5, 60.0, 1)

CarryOut = Callable[[StoredRequest, RequestMessage | None], Awaitable[object]]
"""Carries an order out and keeps its answer; None in place of one of which nothing may be done, since it may be done already.

Raises CimError and StoreUnavailable where it has to be carried out again."""


def format_message(message: RequestMessage, accepted_at: datetime) -> bytes:
    """A message as it is kept. It was valid as it came, so it is not validated again; what we always write in a header and a sender need
    not is filled in."""
    header = message.header
    filled = replace(
        header, timestamp=header.timestamp or accepted_at, correlation_id=header.correlation_id or header.message_id
    )
    return soap.wrap(envelope.format_request(replace(message, header=filled), envelope.REQUEST_MESSAGE))


def parse_message(octets: bytes) -> RequestMessage:
    """What `format_message` wrote."""
    return envelope.parse_request(soap.unwrap(octets, Limits(octets=len(octets), nodes=len(octets)))).message


class LateOrders:
    """Works them."""

    def __init__(self, context: Context, carry_out: CarryOut) -> None:
        self._context = context
        self._carry_out = carry_out
        self._lines: dict[str, deque[str]] = {}
        self._octets: dict[str, int] = {}
        """By request, what its message has; those that wait and those that are carried out."""
        self._group: asyncio.TaskGroup | None = None
        """None until work begins."""
        self.entrance = asyncio.Lock()
        """For who looks whether there is room and then puts one in."""

    async def open(self) -> None:
        """What an earlier life has left; before any request is taken."""
        for one in await self._context.messages.waiting():
            self._add(one.request_id, one.source, one.octets)

    async def work(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for source in self._lines:
                group.create_task(self._work_off(source))
            await asyncio.Event().wait()

    def check_room(self, octets: bytes) -> None:
        """Raises Refused where one more would be too many."""
        if len(self._octets) >= MOST or sum(self._octets.values()) + len(octets) > MOST_OCTETS:
            reason = f"{len(self._octets)} acknowledged messages are still carried out; nothing was accepted. Try again later."
            raise Refused(error("3.2", reason))

    async def put(self, request: StoredRequest, octets: bytes) -> None:
        """Keep the message of an accepted request, and have it carried out; the same one again changes nothing."""
        await self._context.messages.keep(request.request_id, octets)
        if request.request_id not in self._octets:
            self._add(request.request_id, request.source, len(octets))

    def _add(self, request_id: str, source: str | None, octets: int) -> None:
        self._octets[request_id] = octets
        line = self._lines.get(source or "")
        if line is not None:
            line.append(request_id)
            return
        self._lines[source or ""] = deque([request_id])
        if self._group is not None:
            self._group.create_task(self._work_off(source or ""))

    async def _work_off(self, source: str) -> None:
        """All of one sender; one that fails by a fault of ours keeps the others back no longer than one attempt."""
        line, failures = self._lines[source], 0
        while line:
            try:
                await self._carried_out(line[0])
            except Exception as problem:  # noqa: BLE001  # reported, with its traceback
                failures += 1
                if not _is_for_now(problem):
                    self._context.emit(events.AnswerFailed(message_id=line[0], exception=format_fault(problem)))
                    line.rotate(-1)
            else:
                failures = 0
                del self._octets[line.popleft()]
            if failures:
                await real_sleep(_PAUSES.pause_s(failures))
        del self._lines[source]

    async def _carried_out(self, request_id: str) -> None:
        context = self._context
        request = await context.results.find(request_id)
        if request is not None and request.answer is None:
            kept = await context.messages.read(request_id)
            if kept is None:
                raise LookupError(f"the message of {request_id} is not kept")
            message = None if kept.in_question else await asyncio.to_thread(parse_message, kept.octets)
            await self._carry_out(request, message)
        await context.messages.drop(request_id)


def _is_for_now(problem: Exception) -> bool:
    """Whether it goes on when the store takes something again; any other problem may be there each time."""
    return isinstance(problem, StoreUnavailable) or (isinstance(problem, CimError) and problem.code == "5.1")
