"""One association over a link: hands requests to the protocol core, waits for their answers, maps what goes wrong.

The exchange itself is the protocol core's (`ami_dlms.association.client.steps`); here its steps meet a link, a store and a clock.
Frames that are no answer here go to `ami_hes.meters.push` and never disturb the exchange.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from ami_dlms.apdu.notify import DataNotification
from ami_dlms.association import (
    Action,
    ActionOutcome,
    ClientConnection,
    ClientSettings,
    Confirm,
    Get,
    GetList,
    GetListResult,
    GetResult,
    InformationReported,
    Open,
    Opened,
    OpenRefused,
    PeerFault,
    Release,
    Released,
    Set,
    SetResult,
)
from ami_dlms.association.client.steps import (
    ExchangeStep,
    ReadLink,
    Steps,
    TopUp,
    Unsolicited,
    WriteLink,
    answer,
    exchange,
    hang_up,
    most_in_a_list,
    run_async,
)
from ami_dlms.cosem.confidential import SECRET_ATTRIBUTES, SECRET_METHODS, is_secret
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.cosem.selection import SelectiveAccess
from ami_dlms.data import Data
from ami_dlms.enums import DataAccessResult
from ami_dlms.errors import DlmsError
from ami_dlms.framing.framing import WrapperPdu
from ami_dlms.security import ReceiveCounter, SendCounter
from ami_hes.meters.confirming import WayBack, asks_to_be_confirmed
from ami_hes.meters.counters import CounterSource
from ami_hes.meters.faults import FOREIGN, MeterFault, fault_of, peer_fault, refused
from ami_hes.meters.lines import Routed, line_of
from ami_hes.meters.link import Link
from ami_hes.meters.push import Notifications
from ami_hes.meters.pushed import NotedPush
from ami_hes.meters.recording import Recording
from ami_hes.meters.registry import Meter
from ami_hes.meters.trace import recording
from ami_process.environment import real_time

MOST_PER_ANSWER = 2**16
"""Octets that a meter may send before it is asked on, and be late with: more of them, and it sends without end."""

Asked = Open | Get | GetList | Set | Action | Release
"""What is asked in one exchange."""

A = TypeVar("A")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long one answer may take, and when everything has to have ended (the event loop's clock)."""

    apdu_timeout_s: float
    until: float

    @property
    def next_answer(self) -> float:
        return min(real_time() + self.apdu_timeout_s, self.until)


class GetRefused(MeterFault):
    """The meter answered a GET with a data-access-result; the association is as good as before."""

    def __init__(self, result: DataAccessResult, where: str) -> None:
        super().__init__("data-access-result", result.name, where=where)


class Association:
    """A client association; every method raises MeterFault, after which the link is of no more use."""

    def __init__(
        self,
        link: Link,
        settings: ClientSettings,
        notifications: Notifications,
        timeouts: Timeouts,
        *,
        challenge: bytes = b"",
        source: CounterSource | None = None,
        received: ReceiveCounter | None = None,
        meter: Meter | None = None,
    ) -> None:
        self._link = link
        self._line = line_of(link, settings, meter)
        self._routed = Routed(self._line.framing, link, settings)
        self._framed = meter is not None and meter.transport.framed
        self._before: Callable[[], Awaitable[None]] | None = None
        self._until: float | None = None
        self._heard = 0
        self._most_in_a_list = 0
        self._pushed: NotedPush | None = None
        self._notifications = notifications
        self.timeouts = timeouts
        self._source = source
        self._received = received or ReceiveCounter()
        self._connection = ClientConnection(
            settings,
            challenge=challenge,
            send_counter=SendCounter(0, 0) if source is None else source.counter,
            receive_counter=self._received,
            framing=self._routed,
            clear=link.deciphered,  # and nothing of this object, which the connection would keep alive
        )

    async def open(self, where: str) -> Opened:
        event = await self._exchange(Open(), where)
        if isinstance(event, OpenRefused):
            raise refused(event, where)
        opened = self._expected(Opened, event, where)
        self._most_in_a_list = most_in_a_list(opened)
        return opened

    async def get(
        self, descriptor: AttributeDescriptor, selection: SelectiveAccess | None, where: str, *, encoded: bool = False
    ) -> Data:
        """The attribute's value; `encoded` as of the protocol core's Get."""
        event = self._expected(GetResult, await self._exchange(Get(descriptor, selection, encoded), where), where)
        if event.value is None:
            raise GetRefused(event.result, where)
        return event.value

    async def get_many(self, descriptors: Sequence[AttributeDescriptor]) -> list[Data]:
        """The attributes' values, by one request where the meter has agreed to lists and answers them, else one by one."""
        if 1 < len(descriptors) <= self._most_in_a_list:
            try:
                return await self._get_list(descriptors)
            except MeterFault as fault:
                if fault.kind != "exception":
                    raise
                self._most_in_a_list = 0
        return [await self.get(one, None, f"reading {one}") for one in descriptors]

    async def get_each(
        self, descriptors: Sequence[AttributeDescriptor], last: Get | None = None
    ) -> list[Data | GetRefused]:
        """As `get_many`, but what the meter refuses is in the place of its value, and lists that are too long are divided.

        `last` comes behind them, as it may with a selection.
        """
        asked = [*map(Get, descriptors), *(() if last is None else (last,))]
        if len(asked) > 1 < self._most_in_a_list:
            try:
                return [one for part in self._parts(asked) for one in await self._list_results(part)]
            except MeterFault as fault:
                if fault.kind != "exception":
                    raise
                self._most_in_a_list = 0
        return [await self._get_or_refusal(one) for one in asked]

    def _parts(self, asked: Sequence[Get]) -> Iterator[Sequence[Get]]:
        for start in range(0, len(asked), self._most_in_a_list):
            yield asked[start : start + self._most_in_a_list]

    @property
    def most_in_a_list(self) -> int:
        """How many attributes one request may name; 0 where the meter takes no lists."""
        return self._most_in_a_list

    async def _get_or_refusal(self, asked: Get) -> Data | GetRefused:
        where = f"reading {asked.descriptor}"
        try:
            return await self.get(asked.descriptor, asked.selection, where, encoded=asked.encoded)
        except GetRefused as refusal:
            return refusal

    async def _get_list(self, descriptors: Sequence[AttributeDescriptor]) -> list[Data]:
        values = []
        for one in await self._list_results(list(map(Get, descriptors))):
            if isinstance(one, GetRefused):
                raise one
            values.append(one)
        return values

    async def _list_results(self, asked: Sequence[Get]) -> list[Data | GetRefused]:
        where = f"reading {asked[0].descriptor} and {len(asked) - 1} more"
        event = await self._exchange(GetList(tuple(asked)), where)
        results = self._expected(GetListResult, event, where).results
        return [
            GetRefused(result.result, f"reading {one.descriptor}") if result.value is None else result.value
            for one, result in zip(asked, results, strict=True)
        ]

    async def set(self, descriptor: AttributeDescriptor, value: Data, where: str) -> DataAccessResult:
        return self._expected(SetResult, await self._exchange(Set(descriptor, value), where), where).result

    async def action(
        self, descriptor: MethodDescriptor, parameters: Data | None, where: str, before: Callable[[], Awaitable[None]]
    ) -> ActionOutcome:
        request = Action(descriptor, parameters)
        return self._expected(ActionOutcome, await self._exchange(request, where, before), where)

    async def late_action(self, where: str) -> ActionOutcome:
        """The answer to an action that was given up, if it still comes; waits without an end of its own."""
        self._until = None
        return self._expected(ActionOutcome, await self._carry_out(answer(self._connection, self._line), where), where)

    async def listen(self, where: str) -> None:
        """Take what comes unasked while nothing is pending; ends with MeterFault only."""
        self._until = None
        self._link.begins = self._push_begins
        try:
            event = await self._carry_out(answer(self._connection, self._line), where)
        finally:
            self._link.begins = None
            self._push_ends()
        raise MeterFault("protocol", "other", where=where, detail=f"{type(event).__name__} came unasked")

    def _push_begins(self) -> Recording | None:
        """Something comes while nothing is pending: it is noted as a push is."""
        self._pushed = self._notifications.noted_from(self._link.peer, self._link.transport)
        return None if self._pushed is None else self._pushed.recording

    def _push_ends(self) -> NotedPush | None:
        """What was noted so, if anything; what comes next is another one."""
        pushed, self._pushed = self._pushed, None
        if pushed is not None:
            self._link.noted = None
        return pushed

    async def release(self, where: str) -> None:
        self._expected(Released, await self._exchange(Release(), where), where)
        await self._hang_up()

    async def _hang_up(self) -> None:
        """Take the data link down, where there is one."""
        where = "taking the data link down"
        work = hang_up(self._line)
        noted = recording() if self._line.is_up else None
        await (self._carry_out(work, where) if noted is None else self._noted(noted, "exchange", work, where))

    async def _exchange(
        self,
        request: Asked,
        where: str,
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> object:
        self._before = before
        work = exchange(self._connection, self._line, request)
        noted = recording()
        if noted is None:
            return await self._carry_out(work, where)
        noted.carries = is_about_a_secret(request)
        return await self._noted(noted, _KINDS.get(type(request), "exchange"), work, where)

    async def _noted(self, noted: Recording, kind: str, work: Steps[ExchangeStep, R], where: str) -> R:
        """The same as a part of a trace."""
        entry = noted.begin(kind, where)
        link = self._link
        link.noted = noted
        try:
            event = await run_async(work, self._perform)
        except FOREIGN as error:
            fault = fault_of(error, where)
            noted.end(entry, "failed", str(fault))
            raise fault from None
        except MeterFault as fault:
            noted.end(entry, "failed", str(fault))
            raise
        finally:
            link.noted, noted.carries, noted.going = None, False, None
        noted.end(entry, *_outcome_of(event))
        return event

    async def _carry_out(self, steps: Steps[ExchangeStep, R], where: str) -> R:
        try:
            return await run_async(steps, self._perform)
        except FOREIGN as error:
            raise fault_of(error, where) from None

    def _perform(self, step: ExchangeStep) -> Coroutine[Any, Any, bytes | None] | None:
        """A coroutine where there may be something to wait for, which there seldom is but for reading."""
        if isinstance(step, ReadLink):
            return self._read()
        if isinstance(step, WriteLink):
            if step.first and self._before is not None:
                return self._write_after(self._before, step)
            return self._write(step)
        if isinstance(step, TopUp):
            return self._source.top_up() if self._source is not None and self._source.is_low else None
        return self._report(step.event)

    async def _write_after(self, before: Callable[[], Awaitable[None]], step: WriteLink) -> None:
        await before()
        if (taken := self._write(step)) is not None:
            await taken

    def _write(self, step: WriteLink) -> Coroutine[Any, Any, None] | None:
        until = self.timeouts.next_answer
        self._heard = 0
        if self._framed and (noted := self._link.noted) is not None:
            noted.framed(step.octets, True)
        if step.first or self._until is not None:  # every frame of a long exchange has its own time
            self._until = until
        return self._link.send(step.octets, until)

    async def _read(self) -> bytes | None:
        """What comes; empty when something was dealt with that is no answer, None when the line was silent."""
        if self._routed.aside:
            self._push_ends()  # it is noted where it is taken
            pdu = self._routed.aside.popleft()
            await self._notifications.take_in_turn(pdu.apdu, self._way_back(pdu))
            if self._until is not None and real_time() > self._until:  # frames that have come need no waiting
                raise TimeoutError
            return b""
        until = self._until
        if until is not None:
            if self._heard > MOST_PER_ANSWER and real_time() > until:
                raise TimeoutError
            wait_s = self._line.wait_s(self.timeouts.apdu_timeout_s)
            if wait_s < self.timeouts.apdu_timeout_s:  # the line asks again before the answer is late
                until = min(until, real_time() + wait_s)
        try:
            octets = await self._link.receive(until)
        except TimeoutError:
            return None
        self._heard += len(octets)
        if self._framed and (noted := self._link.noting()) is not None:
            noted.framed(octets, False)
        return octets

    def _way_back(self, pdu: WrapperPdu) -> WayBack:
        """To whom this came from, in the middle of whatever we do."""
        ports = (pdu.source, pdu.destination)
        way = WayBack(self._link.peer, self._link.transport, None, waits=True, in_session=True, ports=ports)
        if self._framed:
            return way
        if self._routed.is_between_us(pdu) and self._source is not None:
            return replace(way, obstacle="it came unencrypted, to a client that has keys")
        return replace(way, send=partial(self._link.answer, pdu))

    async def _report(self, event: Unsolicited) -> None:
        sender = None if self._source is None or not event.protected else self._source.meter
        notification = event.report if isinstance(event, InformationReported) else event.notification
        counter = self._received.lowest_acceptable - 1
        pushed = self._pushed
        reported = self._notifications.report_associated(
            notification, self._link, sender=sender, counter=counter, noted=pushed
        )
        if not isinstance(notification, DataNotification) or not asks_to_be_confirmed(notification):
            self._push_ends()
            return
        taken = True
        try:
            taken = reported if isinstance(reported, bool) else await asyncio.shield(reported)
            if taken:  # it is confirmed, even if we are ended
                await self._confirm(notification, sender)
        finally:
            if taken:  # else it was handed over with the reason
                self._notifications.hand_over(pushed)
            self._push_ends()

    async def _confirm(self, notification: DataNotification, sender: Meter | None) -> None:
        """Inside the association, protected as its requests are."""
        confirmations = self._notifications.confirmations
        way = WayBack(self._link.peer, self._link.transport, None if self._framed else self._link.offer)
        if self._source is not None and self._source.is_low:
            await self._source.top_up()
        try:
            octets = b"" if self._framed else self._connection.send(Confirm(notification))
        except DlmsError as error:
            confirmations.failed(sender, way, str(error))
        else:
            confirmations.leave(octets, sender, way)

    @staticmethod
    def _expected(kind: type[A], event: object, where: str) -> A:
        if isinstance(event, kind):
            return event
        if isinstance(event, PeerFault):
            raise peer_fault(event, where)
        raise MeterFault("protocol", "other", where=where, detail=f"{type(event).__name__} is no answer to this")


_KINDS = {Open: "association", Release: "association"}
_CAN_BE_REFUSED = (GetResult, SetResult, ActionOutcome)
_WITH_DESCRIPTOR = (Get, Set, Action)
_FAILURES = (PeerFault, OpenRefused)
_OK = ("ok", "")
_SECRET_CLASSES = frozenset(class_id for class_id, _ in SECRET_ATTRIBUTES | SECRET_METHODS)


def is_about_a_secret(request: Asked) -> bool:
    """Whether a value of it, or of its answer, is one (`ami_dlms.cosem.confidential`)."""
    if isinstance(request, _WITH_DESCRIPTOR):
        return request.descriptor.class_id in _SECRET_CLASSES and is_secret(request.descriptor)
    if isinstance(request, GetList):
        for one in request.items:
            if one.descriptor.class_id in _SECRET_CLASSES and is_secret(one.descriptor):
                return True
    return False


def _outcome_of(event: object) -> tuple[str, str]:
    """A word of `ami_trace.form.Outcome`, and why. The result of every service is 0 where it went well."""
    if isinstance(event, _CAN_BE_REFUSED):
        return ("refused", event.result.name.lower().replace("_", "-")) if event.result else _OK
    return ("failed", event.reason) if isinstance(event, _FAILURES) else _OK
