"""One association over a link: hands requests to the protocol core, waits for their answers, maps what goes wrong.

Frames that are no answer here (a notification in the middle of a GET, a late frame of another association) go to
`ami_hes.meters.push` and never disturb the exchange.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from ami_dlms.association import (
    Action,
    ActionOutcome,
    ClientConnection,
    ClientSettings,
    Get,
    GetResult,
    Notified,
    Open,
    Opened,
    OpenRefused,
    PeerFault,
    Release,
    Released,
    Set,
    SetResult,
)
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.cosem.selection import SelectiveAccess
from ami_dlms.data import Data
from ami_dlms.enums import ApduTag, DataAccessResult
from ami_dlms.framing import wrapper
from ami_dlms.security import ReceiveCounter, SendCounter
from ami_hes.meters.counters import Supply
from ami_hes.meters.faults import MeterFault, border, peer_fault, refused
from ami_hes.meters.link import Link
from ami_hes.meters.push import Notifications
from ami_process.environment import real_time

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one answer may take, and when everything has to have ended (the event loop's clock)."""

    apdu_timeout_s: float
    until: float

    @property
    def next_answer(self) -> float:
        return min(real_time() + self.apdu_timeout_s, self.until)


class Association:
    """A client association; every method raises MeterFault, after which the link is of no more use."""

    def __init__(
        self,
        link: Link,
        settings: ClientSettings,
        notifications: Notifications,
        patience: Patience,
        *,
        challenge: bytes = b"",
        supply: Supply | None = None,
        received: ReceiveCounter | None = None,
    ) -> None:
        self._link = link
        self._settings = settings
        self._notifications = notifications
        self._patience = patience
        self._supply = supply
        self._received = received or ReceiveCounter()
        self._connection = ClientConnection(
            settings,
            challenge=challenge,
            send_counter=SendCounter(0, 0) if supply is None else supply.counter,
            receive_counter=self._received,
        )

    async def open(self, where: str) -> Opened:
        event = await self._exchange(Open(), where)
        if isinstance(event, OpenRefused):
            raise refused(event, where)
        return self._expected(Opened, event, where)

    async def get(self, descriptor: AttributeDescriptor, selection: SelectiveAccess | None, where: str) -> Data:
        """The attribute's value."""
        event = self._expected(GetResult, await self._exchange(Get(descriptor, selection), where), where)
        if event.value is None:
            raise Refusal(event.result, where)
        return event.value

    async def set(self, descriptor: AttributeDescriptor, value: Data, where: str) -> DataAccessResult:
        return self._expected(SetResult, await self._exchange(Set(descriptor, value), where), where).result

    async def action(
        self, descriptor: MethodDescriptor, parameters: Data | None, where: str, before: Callable[[], Awaitable[None]]
    ) -> ActionOutcome:
        request = Action(descriptor, parameters)
        return self._expected(ActionOutcome, await self._exchange(request, where, before), where)

    async def late_action(self, where: str) -> ActionOutcome:
        """The answer to an action that was given up, if it still comes; waits without an end of its own."""
        with border(where):
            return self._expected(ActionOutcome, await self._answer(None), where)

    async def release(self, where: str) -> None:
        self._expected(Released, await self._exchange(Release(), where), where)

    async def _exchange(
        self,
        request: Open | Get | Set | Action | Release,
        where: str,
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> object:
        await self._top_up()
        with border(where):
            octets = self._connection.send(request)
            if before is not None:
                await before()
            until = self._patience.next_answer
            await self._link.send(octets, until)
            return await self._answer(until)

    async def _answer(self, until: float | None) -> object:
        """The next event that is an answer; `until` is renewed with every frame of a long one."""
        while True:
            while (event := self._connection.next_event()) is None:
                if octets := self._connection.data_to_send():
                    await self._top_up()
                    until = None if until is None else self._patience.next_answer
                    await self._link.send(octets, self._patience.next_answer)
                await self._receive(until)
            if not isinstance(event, Notified):
                return event
            self._tell(event)

    def _tell(self, event: Notified) -> None:
        sender = None if self._supply is None or not event.protected else self._supply.meter
        self._notifications.tell_answered(
            event.notification, peer=self._link.peer, sender=sender, counter=self._received.lowest_acceptable - 1
        )

    async def _receive(self, until: float | None) -> None:
        pdu = await self._link.next_frame(until)
        if self._is_ours(pdu):
            self._connection.receive_data(wrapper.encode(pdu))
        else:
            await self._notifications.take_in_turn(pdu.apdu, peer=self._link.peer, transport="tcp")
            if until is not None and real_time() > until:  # frames that have come need no waiting
                raise TimeoutError

    def _is_ours(self, pdu: wrapper.WrapperPdu) -> bool:
        if (pdu.source, pdu.destination) != (self._settings.server_wport, self._settings.client_wport):
            return False
        tag = pdu.apdu[:1]
        if tag == _GENERAL_GLO:
            return self._settings.security is not None
        return tag not in _UNASKED

    async def _top_up(self) -> None:
        if self._supply is not None:
            await self._supply.top_up()

    @staticmethod
    def _expected(kind: type[A], event: object, where: str) -> A:
        if isinstance(event, kind):
            return event
        if isinstance(event, PeerFault):
            raise peer_fault(event, where)
        raise MeterFault("protocol", "other", where=where, detail=f"{type(event).__name__} is no answer to this")


class Refusal(MeterFault):
    """The meter answered a GET with a data-access-result; the association is as good as before."""

    def __init__(self, result: DataAccessResult, where: str) -> None:
        super().__init__("data-access-result", result.name, where=where)


_GENERAL_GLO = bytes((ApduTag.GENERAL_GLO_CIPHERING,))
_UNASKED = tuple(bytes((tag,)) for tag in (ApduTag.DATA_NOTIFICATION, ApduTag.EVENT_NOTIFICATION_REQUEST))
