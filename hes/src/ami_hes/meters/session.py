"""A session with one meter, for one user and one piece of work: its identity is checked, then comes a secured association.

The procedure is the protocol core's (`ami_dlms.association.client.session`). The public client (wrapper port 16, no security)
reads the logical device name and the invocation counter where they are not known yet, or where the meter refuses what it took
before (docs/adr/0016, docs/mapping.md M-041 and M-044).
"""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TypeVar

from ami_dlms.association import ActionOutcome, Get
from ami_dlms.association.client.session import (
    LOGICAL_DEVICE_NAME,
    CountFrom,
    Identify,
    IsNews,
    OpeningStep,
    OpenManagement,
    OpenPublic,
    PublicReads,
    ReadPublic,
    Reconnect,
    ReleasePublic,
    Trouble,
    count_of,
    opening,
)
from ami_dlms.association.client.steps import run_async
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.cosem.selection import SelectiveAccess
from ami_dlms.data import Data
from ami_dlms.enums import DataAccessResult
from ami_dlms.security.hls import HLS, usual_challenge
from ami_hes.meters.association import Association, GetRefused, Timeouts
from ami_hes.meters.counters import InvocationCounters
from ami_hes.meters.faults import CounterRefused, MeterFault
from ami_hes.meters.link import Link
from ami_hes.meters.public_client import as_text, public_association
from ami_hes.meters.push import Notifications
from ami_hes.meters.received import FrameOrigin, ReceiveCounters
from ami_hes.meters.registry import Meter
from ami_registry import client_settings

T = TypeVar("T")
Afterwards = Callable[[], Coroutine[object, object, None]]


@dataclass(frozen=True, slots=True)
class SessionContext:
    """What every session of this head-end system shares."""

    system_title: bytes
    counters: InvocationCounters
    received: ReceiveCounters
    notifications: Notifications
    random_bytes: Callable[[int], bytes]
    fast_path: bool = True
    """As of the protocol core's ClientSettings."""


class Session:
    """A meter held for one user. Every method raises MeterFault; `healthy` says whether the link may still be used."""

    def __init__(self, meter: Meter, link: Link, timeouts: Timeouts, context: SessionContext) -> None:
        self.meter = meter
        self.link = link
        self.healthy = True
        self.afterwards: Afterwards | None = None
        self.suspect: Callable[[Session, MeterFault], None] | None = None
        """Told of what goes wrong once the session is open: it may be somebody else's doing."""
        self._timeouts = timeouts
        self._context = context
        self._association: Association | None = None
        self._public: Association
        self._answered = False
        self._tried_from = 0
        self._refusal: MeterFault | None = None
        self._reconnect: Callable[[], Awaitable[Link]] | None = None
        self._in_doubt = False

    async def open(self, reconnect: Callable[[], Awaitable[Link]] | None = None) -> None:
        """Public association where there is one, comparison, secured association (`ami_dlms.association.client.session`).

        Some meters close the connection when an association is released; with `reconnect` they are called once more.
        """
        meter = self.meter
        wanted = PublicReads(
            name=meter.public_client,
            counter=meter.invocation_counter if meter.public_client and meter.keyed else None,
            known=meter.public_client and meter.authentication in HLS and self._context.counters.knows(meter),
        )
        self._reconnect = reconnect
        try:
            await self._guarded(run_async(opening(wanted, self._sense), self._perform))
        except MeterFault as fault:
            raise self._explained(fault) from None

    async def get(
        self, descriptor: AttributeDescriptor, selection: SelectiveAccess | None = None, *, encoded: bool = False
    ) -> Data:
        """An attribute's value; a refusal of the meter is a MeterFault of kind data-access-result.

        `encoded`: the elements of a long array may stay as they came (`ami_dlms.data.EncodedItems`).
        """
        where = f"reading {descriptor}"
        return await self._read(lambda: self._open.get(descriptor, selection, where, encoded=encoded))

    async def get_many(self, *descriptors: AttributeDescriptor) -> list[Data]:
        """Several attributes' values, in as few requests as the meter takes; refusals as for `get`."""
        return await self._read(lambda: self._open.get_many(descriptors))

    async def get_each(self, *descriptors: AttributeDescriptor, last: Get | None = None) -> list[Data | GetRefused]:
        """The same, with a refusal of the meter in the place of the value that it refuses; `last` comes behind the others."""
        return await self._read(lambda: self._open.get_each(descriptors, last))

    @property
    def most_in_a_list(self) -> int:
        """How many attributes the meter takes in one request; 0 where it takes no lists."""
        return self._open.most_in_a_list

    async def set(self, descriptor: AttributeDescriptor, value: Data) -> DataAccessResult:
        return await self._guarded(self._open.set(descriptor, value, f"writing {descriptor}"))

    async def action(
        self, descriptor: MethodDescriptor, parameters: Data | None, *, before: Callable[[], Awaitable[None]]
    ) -> ActionOutcome:
        """Call a method; `before` is awaited when its octets are ready, right before the first of them leaves."""
        return await self._guarded(self._open.action(descriptor, parameters, f"calling {descriptor}", before))

    async def late_action(self) -> ActionOutcome:
        """The answer that was not waited for, if it still comes."""
        outcome = await self._guarded(self._open.late_action("waiting for a late answer"))
        self.healthy = True
        return outcome

    async def listen(self) -> None:
        """Take what the meter sends unasked, until its connection ends: then, or at any answer, MeterFault."""
        try:
            await self._open.listen("waiting for the next request")
        except MeterFault:
            self.healthy = False
            raise

    def resume(self, timeouts: Timeouts, reconnect: Callable[[], Awaitable[Link]]) -> None:
        """Go on with what was kept open. Whether the meter still has it shows at the first read, which opens it anew if not."""
        self.wait_by(timeouts)
        self._reconnect = reconnect
        self._in_doubt = True

    def wait_by(self, timeouts: Timeouts) -> None:
        """How long to wait from now on."""
        self._timeouts = timeouts
        if self._association is not None:
            self._association.timeouts = timeouts

    def linger(self, afterwards: Afterwards) -> None:
        """Keep the connection for this work when the holder leaves, until it ends or another holder wants the meter."""
        self.afterwards = afterwards

    async def release(self) -> None:
        """Release the association, if there is one that still works."""
        if self.healthy and self._association is not None:
            await self._guarded(self._association.release("releasing the association"))

    @property
    def opened(self) -> bool:
        """Whether the secured association was opened, so that the meter has proved what it can prove."""
        return self._association is not None

    @property
    def _open(self) -> Association:
        if self._association is None:
            raise RuntimeError("a session is used before it is open")
        return self._association

    async def _read(self, work: Callable[[], Coroutine[object, object, T]]) -> T:
        """A read; the first one over what was kept open is repeated over a new connection, since nothing else has left."""
        if not self._in_doubt:
            return await self._guarded(work())
        self._in_doubt = False
        try:
            return await self._guarded(work())
        except GetRefused:
            raise
        except MeterFault:
            await self._open_anew()
        return await self._guarded(work())

    async def _open_anew(self) -> None:
        await self._connect_anew()
        self._association, self.healthy = None, True
        await self.open(self._reconnect)

    async def _guarded(self, work: Coroutine[object, object, T]) -> T:
        try:
            return await work
        except GetRefused:
            raise
        except BaseException as error:
            self.healthy = False
            if self.suspect is not None and isinstance(error, MeterFault):
                self.suspect(self, error)
            raise

    def _sense(self, error: Exception) -> Trouble | int:
        if isinstance(error, CounterRefused):
            return error.expected
        if not isinstance(error, MeterFault):
            return Trouble.OTHER
        if error.kind == "transport" and self._reconnect is not None:
            return Trouble.LOST
        return Trouble.REFUSED if error.kind in _REFUSALS else Trouble.OTHER

    async def _perform(self, step: OpeningStep) -> object:
        match step:
            case OpenPublic():
                self._public = await public_association(
                    self.link, self.meter, self._context.notifications, self._timeouts
                )
            case ReadPublic(descriptor):
                where = "the logical device name" if descriptor == LOGICAL_DEVICE_NAME else "the invocation counter"
                return await self._public.get(descriptor, None, f"reading {where}")
            case Identify(name):
                self._compare(as_text(name))
            case CountFrom(value):
                return _count(value)
            case ReleasePublic():
                await self._public.release("releasing the public association")
                self._answered = True
            case Reconnect():
                await self._connect_anew()
            case OpenManagement(at_least):
                await self._open_association(at_least)
            case IsNews(at_least):
                return at_least > self._tried_from
        return None

    def _explained(self, fault: MeterFault) -> MeterFault:
        """A meter that answered the public client and then falls silent, or refuses without a reason, often has other keys."""
        if fault is not self._refusal or not (self._answered and self.meter.keyed):
            return fault
        if (fault.kind, fault.name) in _WITHOUT_REASON:
            return MeterFault("security", "keys-suspected", where=fault.where, detail=fault.detail)
        if fault.kind in ("transport", "deadline"):
            fault.add_detail(
                "the public client was answered just before; some meters are silent when the keys are wrong"
            )
        return fault

    def _compare(self, name: str) -> None:
        if name != self.meter.logical_device_name:
            found = f"the registry says {self.meter.logical_device_name}, the meter says {name}"
            raise MeterFault("identity", "logical-device-name", detail=found)

    async def _connect_anew(self) -> None:
        if self._reconnect is not None:
            self.link.close()
            self.link = await self._reconnect()

    async def _open_association(self, at_least: int) -> None:
        meter, context = self.meter, self._context
        source = await context.counters.source(meter, at_least) if meter.keyed else None
        self._tried_from = 0 if source is None else source.counter.next_value
        association = Association(
            self.link,
            client_settings(meter, context.system_title, fast_path=context.fast_path),
            context.notifications,
            self._timeouts,
            challenge=context.random_bytes(usual_challenge(meter.authentication)),
            source=source,
            received=context.received.of_association(meter) if meter.keyed else None,
            meter=meter,
        )
        try:
            await association.open("opening the association")
        except MeterFault as fault:
            self._refusal = fault if source is None or not source.doubt else fault.add_detail(source.doubt)
            raise
        if source is not None:
            await context.received.keep(meter, FrameOrigin.ASSOCIATION)
            await source.confirm()
        self._association = association


def _count(value: Data) -> int:
    count = count_of(value)
    if count is None:
        raise MeterFault("data-access-result", "unexpected-value", where="reading the invocation counter")
    return count


_WITHOUT_REASON = {
    (kind, name) for kind in ("association", "association-provider") for name in ("NULL", "NO_REASON_GIVEN")
} | {("exception", "other"), ("exception", "OTHER_REASON")}
_REFUSALS = ("association", "association-provider", "exception", "security")
