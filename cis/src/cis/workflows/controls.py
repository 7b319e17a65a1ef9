"""One control seen through: the RequestMessage, its answer, and if that is an acknowledgement the reply that comes later.

A control is one message with one EndDevices element a meter. It counts as confirmed only if the final reply says OK: an
acknowledgement, silence, or an answer to another request is never taken for success.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from cim.message import Header, Identifier, Reply, RequestMessage, ResponseMessage
from cim.payloads.end_device_controls import NOUN, EndDeviceControl, EndDeviceControls
from cis.outbox import Outbox, OutboxError
from cis.pending import ACKNOWLEDGEMENT, Pending
from cis.store import SentRequest
from cis.workflows.orders import CONTROL_WORDS, MeterError, Order, Outcome, Target
from cis.workflows.surroundings import Surroundings


class NoReplyError(Exception):
    """There was no final reply to the request; the text says why."""


class Controls:
    """Sends controls and sees them through."""

    def __init__(
        self, outbox: Outbox, pending: Pending, around: Surroundings, *, reply_address: str | None, timeout_s: float
    ) -> None:
        self._outbox = outbox
        self._pending = pending
        self._around = around
        self._reply_address = reply_address
        self._timeout_s = timeout_s

    async def run(self, order: Order) -> Outcome:
        """Send an order and wait for its end; never raises for what the HES or the network does."""
        request = self._request(order)
        message_id = request.header.message_id or ""
        await self._pending.add(self._sent(order, request))
        self._around.emit("request_sent", **_told(order, request))
        started = self._around.monotonic()
        try:
            response, kept = await self._exchange(request)
            ms = self._ms_since(started)
            if not kept:
                await self._pending.take(response)
        except (OutboxError, NoReplyError) as error:
            await self._pending.fail(message_id, str(error))
            self._around.emit("request_failed", message_id=message_id, reason=str(error))
            return Outcome(message_id=message_id, result=None, reason=str(error), ms=self._ms_since(started))
        outcome = _outcome(order, message_id, response.reply, ms)
        self._around.emit(
            "reply_received",
            message_id=message_id,
            result=outcome.result,
            errors=[{"code": e.code, "reason": e.reason, "meter": e.meter} for e in outcome.errors if e.is_failure],
            ms=outcome.ms,
        )
        return outcome

    async def _exchange(self, request: RequestMessage) -> tuple[ResponseMessage, bool]:
        """The final reply, and whether the inbox has kept it already."""
        message_id = request.header.message_id or ""
        with self._pending.expect(message_id) as reply:
            response = _correlated(request.header, await self._outbox.send(request))
            if request.header.async_reply_flag and response.reply.result == "OK":
                await self._pending.acknowledge(message_id)
                self._around.emit("acknowledged", message_id=message_id)
                return await self._awaited(reply), True
            if any(error.code == ACKNOWLEDGEMENT for error in response.reply.errors):
                raise NoReplyError("the HES has only acknowledged a request that asked for the result at once")
            return response, False

    async def _awaited(self, reply: asyncio.Future[ResponseMessage]) -> ResponseMessage:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await reply
        except TimeoutError:
            raise NoReplyError(f"acknowledged, but no reply came within {self._timeout_s:g} s") from None

    def _request(self, order: Order) -> RequestMessage:
        message_id = order.message_id or str(self._around.new_uuid())
        if order.asynchronous and self._reply_address is None:
            raise ValueError("an asynchronous order needs an address to reply to")
        header = Header(
            verb=order.verb,
            noun=NOUN,
            timestamp=self._around.now(),
            source="CIS",
            async_reply_flag=order.asynchronous,
            reply_address=self._reply_address if order.asynchronous else None,
            message_id=message_id,
            correlation_id=order.correlation_id or message_id,
        )
        control = EndDeviceControl(
            control_type=order.code,
            issuer_id="CIS",
            issuer_tracking_id=message_id,
            end_devices=tuple(target.device for target in order.targets if target.device),
            usage_points=tuple(target.usage_point for target in order.targets if target.usage_point),
        )
        return RequestMessage(header=header, payload=EndDeviceControls((control,)))

    def _sent(self, order: Order, request: RequestMessage) -> SentRequest:
        header = request.header
        return SentRequest(
            message_id=header.message_id or "",
            correlation_id=header.correlation_id or "",
            verb=header.verb,
            noun=header.noun,
            code=order.code,
            meters=tuple(target.label for target in order.targets),
            asynchronous=order.asynchronous,
            sent_at=self._around.now(),
        )

    def _ms_since(self, started: float) -> float:
        return round((self._around.monotonic() - started) * 1000, 3)


def _outcome(order: Order, message_id: str, reply: Reply, ms: float) -> Outcome:
    errors = tuple(
        MeterError(error.code, error.reason, _label(order.targets, error.identifier), error.level)
        for error in reply.errors
    )
    return Outcome(message_id=message_id, result=reply.result, errors=errors, ms=ms)


def _told(order: Order, request: RequestMessage) -> dict[str, object]:
    header = request.header
    return {
        "message_id": header.message_id,
        "correlation_id": header.correlation_id,
        "verb": header.verb,
        "noun": header.noun,
        "code": order.code,
        "control": CONTROL_WORDS.get(order.code, order.code),
        "meters": [target.label for target in order.targets],
        "asynchronous": order.asynchronous,
    }


def _correlated(header: Header, response: ResponseMessage) -> ResponseMessage:
    """The response if it belongs to the request; one that names no request came in our own HTTP response, so it does."""
    answered = response.header.correlation_id
    if answered is None:
        return replace(response, header=replace(response.header, correlation_id=header.message_id))
    if answered not in (header.message_id, header.correlation_id):
        raise NoReplyError(f"the HES has answered another request: CorrelationID {answered}")
    return response


def _label(targets: Sequence[Target], identifier: Identifier | None) -> str | None:
    if identifier is None:
        return None
    return next((target.label for target in targets if target.is_meant_by(identifier)), identifier.value)
