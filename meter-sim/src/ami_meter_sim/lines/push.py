"""What meters send unasked: due in order of time, over TCP or UDP, from the address of the meter, and tried again where that is wanted.

Strategy: one sender for all meters of the process, and no task for any of them. A push is made into octets when it is sent, since a
counter is used once, and leaves after the write of its turn like every answer. A few are sent in each turn of the event loop, so that a
session beside ten thousand of them hardly notices. `sent` counts what has left; what arrives only the receiver knows.
"""

import asyncio
import heapq
import itertools
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from ami_dlms.errors import DlmsError
from ami_meter_sim.effects import Effect, Report, Send, Wait
from ami_meter_sim.events import PushConfirmed, Pushed, PushFailed
from ami_meter_sim.faults import Occasion, disturbed
from ami_meter_sim.fleet import Fleet
from ami_meter_sim.lines.confirming import Confirmation, Unconfirmed, confirmed
from ami_meter_sim.lines.sockets import Address, Datagrams, connected, resolve
from ami_meter_sim.meter.communication import over_hdlc
from ami_meter_sim.population.journal import StateUnusable
from ami_process.sockets import format_address

TIMEOUT_S = 10.0
"""For one attempt over TCP."""
AT_ONCE = 10
"""Pushes in one turn of the event loop."""
MOST_CALLS = 64
"""Connections at a time; further ones wait."""
ANYWHERE = {socket.AF_INET: ("0.0.0.0", 0), socket.AF_INET6: ("::", 0)}  # noqa: S104 - to send from any address of ours


@dataclass(frozen=True, slots=True)
class PushEndpoint:
    """`transport` is `tcp` or `udp` with the wrapper, or `hdlc` over TCP."""

    transport: str
    host: str
    port: int

    def __str__(self) -> str:
        return format_address(self.host, self.port)


def no_retry(attempt: int, at: datetime) -> None:
    """A push that is tried once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """A push that a meter wants to send.

    `frames` makes its octets at the instant of an attempt (StateUnusable or DlmsError: there are none). `why` is the word for faults and
    for who reads about it. `own_host` is the address of ours that it leaves from, None for any. `retry_at` says when attempt number
    1, 2, ... is made after one that failed at an instant, None for no more. `confirmation` is what has to come back for it.
    """

    meter: str
    frames: Callable[[datetime], Sequence[bytes]]
    destination: PushEndpoint
    why: str
    own_host: str | None = None
    retry_at: Callable[[int, datetime], datetime | None] = no_retry
    attempt: int = 0
    confirmation: Confirmation | None = None


@dataclass(slots=True)
class PushAttempt:
    """What is left to do of one attempt."""

    push: Push
    effects: Iterator[Effect]


class PushSender:
    """Sends the pushes of all meters while `run` runs."""

    def __init__(self, fleet: Fleet) -> None:
        self.sent = 0
        self.failed = 0
        self._fleet = fleet
        self._due: list[tuple[float, int, Push | PushAttempt]] = []
        self._number = itertools.count()
        self._more = asyncio.Event()
        self._sockets: dict[int, Datagrams] = {}
        self._held = 0
        self._calls: set[asyncio.Task[None]] = set()
        self._callers: deque[PushAttempt] = deque()

    @property
    def waiting(self) -> int:
        """Pushes that are not due yet or not sent yet."""
        return len(self._due) + self._held + len(self._callers) + len(self._calls)

    def want(self, push: Push, at: datetime) -> None:
        """Send it when it is `at` (aware)."""
        self._line_up((at - self._fleet.environment.now()).total_seconds(), push)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                self._more.clear()
                with self._fleet.environment.clock.hold():
                    await self._send_due()
                await self._wait()
        finally:
            for call in self._calls:
                call.cancel()
            while self._sockets:
                self._sockets.popitem()[1].close()

    # --- what is due

    async def _send_due(self) -> None:
        """All that is due now, a few at a time."""
        while True:
            if not self._some():
                return
            await asyncio.sleep(0)  # the turn of others

    def _line_up(self, seconds: float, what: Push | PushAttempt) -> None:
        """After this time of the process's clock."""
        heapq.heappush(self._due, (self._fleet.environment.monotonic() + seconds, next(self._number), what))
        self._more.set()

    def _some(self) -> bool:
        """Send a few that are due; False when none is."""
        environment = self._fleet.environment
        until, now = environment.monotonic(), environment.now()
        made: list[PushAttempt] = []
        for _ in range(AT_ONCE):
            if not self._due or self._due[0][0] > until:
                break
            what = heapq.heappop(self._due)[2]
            sending = what if isinstance(what, PushAttempt) else self._made(what, now)
            if sending is not None:
                made.append(sending)
        if made:
            self._held += len(made)
            self._fleet.commit.hold(PushBatch(self, made))
        return bool(made)

    async def _wait(self) -> None:
        """Until more is wanted or the first of those that wait is due."""
        environment = self._fleet.environment
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._more.wait())]
        if self._due:
            seconds = max(self._due[0][0] - environment.monotonic(), 0.0)
            waits.append(asyncio.ensure_future(environment.sleep(seconds)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    # --- an attempt

    def _made(self, push: Push, now: datetime) -> PushAttempt | None:
        """The octets of an attempt, as the meter's faults let them leave."""
        try:
            frames = push.frames(now)
        except (StateUnusable, DlmsError) as error:
            self._fail(push, str(error))
            return None
        occasion = Occasion(now, push=push.why)
        effects = itertools.chain.from_iterable(
            disturbed(self._fleet.faults, push.meter, frame, occasion) for frame in frames
        )
        return PushAttempt(push, over_hdlc(effects) if push.destination.transport == "hdlc" else effects)

    def go_on(self, sendings: Sequence[PushAttempt]) -> None:
        """Send them now, over UDP at once, over TCP when there is a connection."""
        self._held -= len(sendings)
        for sending in sendings:
            where = sending.push.destination
            if where.transport == "udp" and _is_address(where.host) and sending.push.confirmation is None:
                self._send_datagrams(sending, (where.host, where.port))
            else:
                self._callers.append(sending)
        self._call()

    def give_up(self, sendings: Sequence[PushAttempt], reason: str) -> None:
        """Their counters are not on disk."""
        self._held -= len(sendings)
        for sending in sendings:
            self._fail(sending.push, reason)

    def _call(self) -> None:
        while self._callers and len(self._calls) < MOST_CALLS:
            call = asyncio.get_running_loop().create_task(self._send_with_waiting(self._callers.popleft()))
            self._calls.add(call)
            call.add_done_callback(self._call_ended)

    def _call_ended(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        if not call.cancelled():
            call.result()
            self._call()

    def _send_datagrams(self, sending: PushAttempt, to: Address) -> None:
        push = sending.push
        try:
            for effect in sending.effects:
                match effect:
                    case Send(octets):
                        self._socket(to).send(octets, to, push.own_host)
                        self._has_left(push)
                    case Wait(seconds):
                        self._line_up(seconds, sending)
                        return
                    case Report(event):
                        self._fleet.report(event)
                    case _:
                        break
        except OSError as error:
            self._fail(push, error.strerror or str(error))

    async def _send_with_waiting(self, sending: PushAttempt) -> None:
        push, destination = sending.push, sending.push.destination
        try:
            if push.confirmation is not None:
                await self._send_confirmed(sending, push.confirmation)
                return
            if destination.transport == "udp":
                async with asyncio.timeout(TIMEOUT_S):
                    to = (await resolve(destination.host, destination.port, socket.SOCK_DGRAM))[0][1]
                self._send_datagrams(sending, to)
                return
            await self._send_over_tcp(sending)
        except (OSError, TimeoutError, DlmsError, Unconfirmed) as error:
            self._fail(push, str(error) or type(error).__name__)

    async def _send_confirmed(self, sending: PushAttempt, wanted: Confirmation) -> None:
        """Over a socket of its own, on which the receiver answers; what was lost on its way out is missed like its answer."""
        push, where, loop = sending.push, sending.push.destination, asyncio.get_running_loop()
        kind = socket.SOCK_DGRAM if where.transport == "udp" else socket.SOCK_STREAM
        async with asyncio.timeout(TIMEOUT_S):
            near = await connected(where.host, where.port, push.own_host, kind)
        with near:
            async for octets in self._frames(sending):
                async with asyncio.timeout(TIMEOUT_S):
                    await loop.sock_sendall(near, octets)
                self._has_left(push)
            await confirmed(near, where.transport, wanted)
        self._fleet.report(PushConfirmed(meter=push.meter, transport=where.transport, address=str(where)))

    async def _frames(self, sending: PushAttempt) -> AsyncIterator[bytes]:
        """What leaves, one after the other and in its time."""
        for effect in sending.effects:
            match effect:
                case Send(octets):
                    yield octets
                case Wait(seconds):
                    await self._fleet.environment.sleep(seconds)
                case Report(event):
                    self._fleet.report(event)
                case _:
                    return

    async def _send_over_tcp(self, sending: PushAttempt) -> None:
        """One connection for all frames of the push, made when the first octets leave."""
        push, writer = sending.push, None
        try:
            async for octets in self._frames(sending):
                async with asyncio.timeout(TIMEOUT_S):
                    writer = writer or await self._connect(push)
                    writer.write(octets)
                    await writer.drain()
                self._has_left(push)
        finally:
            if writer is not None:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()

    async def _connect(self, push: Push) -> asyncio.StreamWriter:
        where = push.destination
        _, writer = await asyncio.open_connection(sock=await connected(where.host, where.port, push.own_host))
        return writer

    def _socket(self, to: Address) -> Datagrams:
        family = socket.AF_INET6 if ":" in to[0] else socket.AF_INET
        if family not in self._sockets:
            self._sockets[family] = Datagrams(family, ANYWHERE[family])
        return self._sockets[family]

    # --- how it ended

    def _has_left(self, push: Push) -> None:
        self.sent += 1
        where = push.destination
        self._fleet.report(Pushed(meter=push.meter, transport=where.transport, address=str(where)))

    def _fail(self, push: Push, reason: str) -> None:
        """It could not be sent: later, if it is wanted then."""
        self.failed += 1
        where = push.destination
        self._fleet.report(PushFailed(meter=push.meter, transport=where.transport, address=str(where), reason=reason))
        attempt = push.attempt + 1
        try:
            again = push.retry_at(attempt, self._fleet.environment.now())
        except (StateUnusable, DlmsError):
            return  # a meter that can't be made: the failure above is reported, and there is nothing to say when
        if again is not None:
            self.want(replace(push, attempt=attempt), again)


@dataclass(frozen=True, slots=True)
class PushBatch:
    """Pushes that wait for the write of their turn."""

    sender: PushSender
    sendings: Sequence[PushAttempt]

    def leave(self) -> None:
        """Send them."""
        self.sender.go_on(self.sendings)

    def abandon(self, reason: str) -> None:
        """Nothing leaves."""
        self.sender.give_up(self.sendings, reason)


@lru_cache(1024)
def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
