"""What the operator's side does: send one control and see it through, and do so again and again in the demo loop.

A control (IEC 61968-9 EndDeviceControls) is one RequestMessage with one EndDevices element a meter. It counts as confirmed
only if the final reply says OK: an acknowledgement, silence, or an answer to another request is never taken for success.
"""

import asyncio
import statistics
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol
from uuid import UUID

from cim.message import Header, Identifier, Name, Reply, RequestMessage, ResponseMessage
from cim.payloads.end_device_controls import (
    NOUN,
    EndDevice,
    EndDeviceControl,
    EndDeviceControls,
    UsagePoint,
)
from cis.outbox import Outbox, OutboxError
from cis.pending import ACKNOWLEDGEMENT, Pending
from cis.store import SentRequest

DISCONNECT = "3.31.0.23"
CONNECT = "3.31.0.18"
CONTROL_WORDS = {DISCONNECT: "disconnect", CONNECT: "connect"}
REPLY_TIMES_KEPT = 10_000


class Emit(Protocol):
    """Tells the world what happened, e.g. structlog's `logger.info`."""

    def __call__(self, event: str, /, **fields: object) -> object: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All that comes from outside of the program: time, chance, and where to tell."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    new_uuid: Callable[[], UUID]
    emit: Emit


@dataclass(frozen=True, slots=True)
class Target:
    """What a control is for, and the label by which the operator knows it."""

    label: str
    device: EndDevice | None = None
    usage_point: UsagePoint | None = None

    @classmethod
    def meter(cls, name: str, mrid: str | None = None) -> "Target":
        """A meter by its name, and its mRID where we know it."""
        return cls(name, device=EndDevice(mrid=mrid, names=(Name(name=name),)))

    @classmethod
    def mrid(cls, mrid: str) -> "Target":
        """A meter by its mRID alone."""
        return cls(mrid, device=EndDevice(mrid=mrid))

    @classmethod
    def point(cls, name: str) -> "Target":
        """A usage point by its name; the HES knows its meter."""
        return cls(name, usage_point=UsagePoint(names=(Name(name=name),)))

    def is_meant_by(self, identifier: Identifier) -> bool:
        """Whether a Reply/Error/ID points at this target."""
        known = self.device or self.usage_point or EndDevice()
        values = {self.label, *(name.name for name in known.names)}
        return identifier.value in values or identifier.value.lower() == (known.mrid or "").lower() != ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One control for some targets."""

    code: str
    targets: tuple[Target, ...]
    verb: str = "create"
    asynchronous: bool = False
    message_id: str | None = None
    correlation_id: str | None = None


@dataclass(frozen=True, slots=True)
class MeterError:
    """One Reply/Error, with the label of the meter that it is about."""

    code: str
    reason: str | None
    meter: str | None
    level: str | None = None

    @property
    def is_failure(self) -> bool:
        """Codes 0.* say that nothing is wrong and may still tell something."""
        return not self.code.startswith("0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an order ended; `result` is None if there was no final reply, and `reason` then says why."""

    message_id: str
    result: str | None
    errors: tuple[MeterError, ...] = ()
    reason: str | None = None
    ms: float

    @property
    def confirmed(self) -> bool:
        """Only a final OK is a success."""
        return self.result == "OK"


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


@dataclass(frozen=True, slots=True)
class Plan:
    """The demo loop: a disconnect every `period_s`, the connect `connect_after_s` later; 0 cycles means for ever."""

    period_s: float
    connect_after_s: float
    cycles: int
    targets: tuple[Target, ...]
    asynchronous: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a loop has achieved; a command is one request for all meters, confirmed if all of them confirmed."""

    cycles: int
    commands: int
    confirmed: int
    failed: int
    median_ms: float | None


class DemoLoop:
    """Disconnects and connects all meters, one cycle after another; an overrun delays the next cycle, it does not stack up."""

    def __init__(self, controls: Controls, plan: Plan, around: Surroundings) -> None:
        self._controls = controls
        self._plan = plan
        self._around = around
        self._cycles = 0
        self._confirmed = 0
        self._failed = 0
        self._reply_times: deque[float] = deque(maxlen=REPLY_TIMES_KEPT)

    async def run(self) -> None:
        """Run to the last cycle, or until cancelled; the summary holds at any time."""
        while True:
            begun = self._around.monotonic()
            await self._command(DISCONNECT)
            await self._sleep_until(begun + self._plan.connect_after_s)
            await self._command(CONNECT)
            self._cycles += 1
            if self._cycles == self._plan.cycles:
                return
            await self._sleep_until(begun + self._plan.period_s)

    def summary(self) -> Summary:
        """The figures so far."""
        return Summary(
            cycles=self._cycles,
            commands=self._confirmed + self._failed,
            confirmed=self._confirmed,
            failed=self._failed,
            median_ms=round(statistics.median(self._reply_times), 3) if self._reply_times else None,
        )

    async def _command(self, code: str) -> None:
        order = Order(code=code, targets=self._plan.targets, asynchronous=self._plan.asynchronous)
        outcome = await self._controls.run(order)
        if outcome.result is not None:
            self._reply_times.append(outcome.ms)
        if outcome.confirmed:
            self._confirmed += 1
        else:
            self._failed += 1

    async def _sleep_until(self, due: float) -> None:
        await self._around.sleep(max(0.0, due - self._around.monotonic()))
