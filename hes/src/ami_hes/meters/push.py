"""What meters send unsolicited, over TCP or UDP, plain or under general-glo-ciphering: DataNotification,
EventNotification and InformationReport.

Each is decoded and reported as one event; a long one may come in blocks of a general block transfer, which wait here
for the last of them. What can't be decoded or trusted is dropped with one event that says why and what it looks like.
A protected one is published when its counter and its events are in the store, and never again (docs/mapping.md, M-024, M-043, M-154). What asks to be
confirmed is, once it is published (`ami_hes.meters.confirming`).
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Protocol

from ami_dlms import data
from ami_dlms.apdu.notify import DataNotification, EventNotificationRequest
from ami_dlms.apdu.short_names import InformationReportRequest
from ami_dlms.association import PushedBlocks, Unsolicited, unprotect_unsolicited
from ami_dlms.association import Sender as PushSender
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ApduTag
from ami_dlms.errors import DlmsError, LocalError, ProtocolError
from ami_dlms.security.aead import SYSTEM_TITLE_LENGTH
from ami_hes import events
from ami_hes.commands import ControlEnd
from ami_hes.meters.allowance import Allowance
from ami_hes.meters.confirming import Confirmations, WayBack, asks_to_be_confirmed
from ami_hes.meters.faults import MeterFault
from ami_hes.meters.pushed import NotedPush, NotesPushes
from ami_hes.meters.received import FrameOrigin, ReceiveCounters
from ami_hes.meters.refusals import Refusals, TakesSuspicions, host_of
from ami_hes.meters.registry import Meter, Registry
from ami_hes.meters.strangers import guess
from ami_hes.meters.trace import traced_message_id
from ami_hes.store import StoredDeviceEvent, StoreUnavailable
from ami_process.environment import real_sleep, real_time
from ami_process.events import Emit
from ami_registry.agreement import global_keys

MAX_SHOWN = 16  # first octets of what was dropped
MAX_PLAIN_OCTETS = 16 * 1024  # of an unencrypted push, which anybody can send
MAX_PUSH_OCTETS = 64 * 1024  # of a push in blocks
MAX_WAITING = 1_000  # protected notifications whose counters are being kept
MAX_SENDERS = 64  # whose blocks are kept until the last one comes
PLAIN_PER_HOST, PLAIN_IN_ALL, PLAIN_WINDOW_S = 8_000_000, 32_000_000, 60.0
"""Octets of unencrypted pushes that are told in a minute: each is a line of the log, and anybody can send them."""
LINE_OCTETS = 400  # of such a line, whatever was pushed

_SERVICES: dict[type, str] = {
    DataNotification: "DataNotification",
    EventNotificationRequest: "EventNotification",
    InformationReportRequest: "InformationReport",
}
_GENERAL_GLO = bytes((ApduTag.GENERAL_GLO_CIPHERING,))


class TakesPushes(TakesSuspicions, Protocol):
    """What keeps events of meters (`ami_hes.end_device_events`)."""

    async def take_push(self, notification: Unsolicited, meter: Meter) -> Sequence[StoredDeviceEvent]:
        """Those that a push says, which are handed back. Kept when it returns; raises StoreUnavailable."""

    async def take_end(self, end: ControlEnd) -> None:
        """What came of a control after it had its end; likewise."""


class Sender(Protocol):
    """The connection that something came over (`ami_hes.meters.link.Link`)."""

    @property
    def peer(self) -> str: ...

    @property
    def transport(self) -> str: ...


@dataclass(frozen=True, slots=True)
class _Came:
    """What was decoded; `title` of who vouches for it."""

    notification: Unsolicited
    way: WayBack
    title: bytes | None
    secured: bool
    noted: NotedPush | None = None
    answered_there: bool = False
    """Its sender waits for a confirmation inside the association that it came in."""


class Notifications:
    """Decodes and reports notifications; knows the keys of the registry's meters by their system titles."""

    def __init__(
        self,
        registry: Registry,
        received: ReceiveCounters,
        confirmations: Confirmations,
        emit: Emit,
        taker: TakesPushes | None = None,
        strangers: Callable[[str, bytes | None, str], None] = lambda _, __, ___: None,
        refusals: Refusals | None = None,
    ) -> None:
        """Without `taker` pushes are reported and nothing is kept of them; `strangers` is told of system titles that no entry has, `refusals` of what is not believed."""
        self._refusals = refusals or Refusals(emit)
        self._plain = Allowance(PLAIN_PER_HOST, PLAIN_IN_ALL, PLAIN_WINDOW_S)
        self._registry = registry
        self._taker = taker
        self._note_stranger = strangers
        self._received = received
        self.confirmations = confirmations
        self._emit = emit
        self._senders: dict[bytes, PushSender] = {}
        self._keys_of = registry.version
        self._waiting: set[asyncio.Task[bool]] = set()
        self._left = asyncio.Event()
        self._blocks: dict[tuple[str, str], tuple[PushedBlocks, NotedPush | None]] = {}
        self.notes: NotesPushes | None = None
        """Who keeps traces of pushes; None: nobody."""
        self._turn = asyncio.Lock()

    def take(self, apdu: bytes, way: WayBack) -> bool | None:
        """Decode one APDU and report it; False when it was dropped, None when it is a block and more have to come."""
        taken = self._take(apdu, way)
        return True if isinstance(taken, asyncio.Task) else taken

    async def room(self) -> None:
        """Return when one more may wait for the store."""
        while len(self._waiting) >= MAX_WAITING:
            self._left.clear()
            await self._left.wait()

    async def take_in_turn(self, apdu: bytes, way: WayBack) -> bool | None:
        """As `take`, with a pause as long as it took, one connection after the other.

        So connections that are full of notifications have half of the time together, and the others the other half. Where the
        way back waits for a confirmation, it is given or failed when this returns.
        """
        began = real_time()
        taken = self._take(apdu, way)
        took_s = real_time() - began
        async with self._turn:
            await real_sleep(took_s)
        if not isinstance(taken, asyncio.Task):
            return taken
        if way.waits:
            await asyncio.wait([taken])
        return True

    def _take(self, apdu: bytes, way: WayBack) -> "bool | asyncio.Task[bool] | None":
        """As `take`; a task when it is being published."""
        claimed: list[bytes] = []
        noted, blocks = self._begun(apdu, way)
        if noted is not None:
            way = noted.noting(way)
        try:
            whole = self._joined(apdu, way, blocks, noted)
            if whole is None:
                return None
            if whole[:1] != _GENERAL_GLO and len(whole) > MAX_PLAIN_OCTETS:
                raise ProtocolError(f"an unencrypted push of {len(whole)} octets, {MAX_PLAIN_OCTETS} are the most")
            clear = None if noted is None else noted.deciphered
            notification, title = unprotect_unsolicited(
                whole, lambda title: self._lookup(title, way.peer, claimed), clear
            )
            if title is None and not self._plain.takes(host_of(way.peer), LINE_OCTETS + len(whole)):
                raise ProtocolError(f"more unencrypted pushes within {PLAIN_WINDOW_S:g} s than are taken")
        except DlmsError as error:
            self._suspect(claimed, error, way)
            self.drop(way.peer, way.transport, str(error), apdu, framed=True)
            self.hand_over(noted, reason=str(error))
            return False
        sender = None if title is None else self._registry.find_by_system_title(title)
        came = _Came(notification, way, title, secured=title is not None, noted=noted)
        if noted is not None:
            noted.service = _SERVICES[type(notification)]
            noted.meter = "" if sender is None else sender.name
        if sender is not None:
            return self._publish(sender, came, confirming=True) or True
        self._report(came)
        if isinstance(notification, DataNotification) and asks_to_be_confirmed(notification):
            self.confirmations.confirm_plain(notification, way)
        self.hand_over(noted)
        return True

    def _begun(self, apdu: bytes, way: WayBack) -> tuple[NotedPush | None, PushedBlocks]:
        """Where this APDU is noted, and the blocks before it."""
        blocks, noted = self._blocks.pop((way.transport, way.peer), (None, None))
        if noted is None:
            noted = self.noted_from(way.peer, way.transport)
        if noted is not None:
            noted.came(apdu, way)
        return noted, blocks or PushedBlocks(MAX_PUSH_OCTETS)

    def noted_from(self, peer: str, transport: str) -> NotedPush | None:
        """Where a push that begins now is noted; None where none is."""
        if self.notes is None or (recording := self.notes.recording()) is None:
            return None
        recording.end(recording.begin("connection", f"from {peer}", peer, transport))
        return NotedPush(recording)

    def hand_over(self, noted: NotedPush | None, *, reason: str = "") -> None:
        """A push has its end."""
        if noted is not None and self.notes is not None:
            noted.reason = reason
            self.notes.pushed(noted)

    def report_associated(
        self,
        notification: Unsolicited,
        link: Sender,
        *,
        sender: Meter | None,
        counter: int,
        noted: NotedPush | None = None,
    ) -> "bool | asyncio.Task[bool]":
        """What came inside an association over `link`; `sender` and `counter` when its keys vouch for it.

        Whether it is reported, or a task that says so; who asks inside an association to be confirmed is answered there, and its
        trace is handed over after that.
        """
        way = WayBack(link.peer, link.transport, None)
        title = None if sender is None else sender.system_title
        answered = asks_to_be_confirmed(notification)
        came = _Came(notification, way, title, secured=sender is not None, noted=noted, answered_there=answered)
        if noted is not None:
            noted.service = _SERVICES[type(notification)]
            noted.meter = "" if sender is None else sender.name
        if sender is None:
            self._report(came)
            if not answered:
                self.hand_over(noted)
            return True
        if self._received.of(sender, FrameOrigin.PUSH).accepts(counter):
            return self._publish(sender, came) or False
        reason = f"a notification with invocation counter {counter}, which was used before"
        self._refusals.suspect(sender, MeterFault("security", "replayed", detail=reason), link.peer, link.transport)
        self.drop(link.peer, link.transport, reason)
        self.hand_over(noted, reason=reason)
        return False

    async def close(self) -> None:
        """Wait for what is being published."""
        if self._waiting:
            await asyncio.wait(self._waiting)
        await self.confirmations.close()  # the last one, since what is published may begin one

    def _publish(self, sender: Meter, came: "_Came", *, confirming: bool = False) -> asyncio.Task[bool] | None:
        """Report it once its counter and its events are kept."""
        if len(self._waiting) >= MAX_WAITING:
            reason = f"{MAX_WAITING} notifications wait for the store already"
            self.drop(came.way.peer, came.way.transport, reason)
            self.hand_over(came.noted, reason=reason)
            return None
        lowest = self._received.of(sender, FrameOrigin.PUSH).lowest_acceptable
        work = self._keep_and_report(sender, came, lowest, confirming=confirming)
        task = asyncio.get_running_loop().create_task(work)
        self._waiting.add(task)
        task.add_done_callback(self._published)
        return task

    def _published(self, task: asyncio.Task[bool]) -> None:
        self._waiting.discard(task)
        self._left.set()

    async def _keep_and_report(self, sender: Meter, came: "_Came", lowest: int, *, confirming: bool) -> bool:
        """`lowest`: where the counter of its sender stood behind it."""
        try:
            await self._received.keep(sender, FrameOrigin.PUSH, lowest)
            if self._taker is not None:
                events = await self._taker.take_push(came.notification, sender)
                if came.noted is not None:
                    came.noted.events = events
        except (MeterFault, StoreUnavailable) as fault:
            if isinstance(fault, MeterFault) and fault.kind == "security":
                self._refusals.suspect(sender, fault, came.way.peer, came.way.transport)
            self.drop(came.way.peer, came.way.transport, str(fault))
            self.hand_over(came.noted, reason=str(fault))
            return False
        self._report(came)
        confirmed: asyncio.Task[None] | None = None
        if confirming and isinstance(came.notification, DataNotification) and asks_to_be_confirmed(came.notification):
            if came.way.waits:
                await self.confirmations.confirm(came.notification, sender, came.way)
            else:
                confirmed = self.confirmations.begin(came.notification, sender, came.way)
        if confirmed is None:
            if not came.answered_there:
                self.hand_over(came.noted)
        else:  # with the confirmation
            confirmed.add_done_callback(lambda _: self.hand_over(came.noted))
        return True

    def _report(self, came: "_Came") -> None:
        title = came.title
        meter = None if title is None else self._registry.find_by_system_title(title)
        self._emit(
            events.Notification(
                message_id=traced_message_id(),
                transport=came.way.transport,
                peer=came.way.peer,
                system_title=None if title is None else title.hex().upper(),
                meter=None if meter is None else meter.name,
                secured=came.secured,
                **_content(came.notification),
            )
        )

    def drop(self, peer: str, transport: str, reason: str, octets: bytes = b"", *, framed: bool = False) -> None:
        """Report that something from the network was thrown away, with its first octets and what they look like.

        `framed` when they were in a frame of the wrapper, which is not among them.
        """
        self._refusals.drop(
            events.Dropped(
                peer=peer,
                transport=transport,
                reason=reason,
                hex=octets[:MAX_SHOWN].hex().upper(),
                looks_like=guess(octets, framed=framed),
            )
        )

    def _joined(self, apdu: bytes, way: WayBack, blocks: PushedBlocks, noted: NotedPush | None) -> bytes | None:
        """The APDU that is complete with this one; a block that its sender wants to have acknowledged is."""
        sender = (way.transport, way.peer)
        whole = blocks.join(apdu)
        answered = way.answers_plain or self._names_a_meter(blocks.begins)
        if blocks.acknowledgement is not None and way.send is not None and answered:
            way.send(blocks.acknowledgement)
        if whole is None:
            self._blocks[sender] = blocks, noted
            if len(self._blocks) > MAX_SENDERS:
                self._make_room()
        return whole

    def _names_a_meter(self, begins: bytes) -> bool:
        """Whether an APDU that begins so is in the name of a meter; whether it is the meter's is known at its end."""
        head = _GENERAL_GLO + bytes((SYSTEM_TITLE_LENGTH,))
        title = begins[len(head) : len(head) + SYSTEM_TITLE_LENGTH]
        return begins.startswith(head) and self._registry.find_by_system_title(title) is not None

    def _make_room(self) -> None:
        """Forget the blocks that were heard longest ago, of the host that sends most of them from many ports."""
        of_each = Counter(_host(peer) for _, peer in self._blocks)
        crowd = of_each.most_common(1)[0][0]
        del self._blocks[next(sender for sender in self._blocks if _host(sender[1]) == crowd)]

    def _suspect(self, claimed: list[bytes], error: DlmsError, way: WayBack) -> None:
        """Tell of what was dropped, where it claims to be of a meter that has keys."""
        meter = self._registry.find_by_system_title(claimed[0]) if claimed else None
        if meter is not None and meter.ciphered:
            self._refusals.suspect(meter, error, way.peer, way.transport)

    def _lookup(self, title: bytes, peer: str, claimed: list[bytes]) -> PushSender | None:
        """The keys of who claims to have sent it; the claim is noted."""
        claimed.append(title)
        if self._keys_of != self._registry.version:
            self._senders, self._keys_of = {}, self._registry.version
        known = self._senders.get(title)
        meter = self._registry.find_by_system_title(title)
        if meter is None and len(title) == SYSTEM_TITLE_LENGTH:
            self._note_stranger("", title, peer)
        if known is None and meter is not None and meter.ciphered:
            counter = self._received.of(meter, FrameOrigin.PUSH)
            known = self._senders[title] = PushSender(global_keys(meter), counter, suite=int(meter.suite))
        return known


def _host(peer: str) -> str:
    return peer.rpartition(":")[0]


def _content(notification: Unsolicited) -> dict[str, Any]:
    """What it says: its service, its time and its values; an event-notification names the one attribute that it is about."""
    match notification:
        case DataNotification(date_time=sent_at, body=body):
            return {"service": "data-notification", "sent_at": _moment(sent_at), "body": _plain(body)}
        case EventNotificationRequest(time=sent_at, descriptor=descriptor, value=value):
            content = {"service": "event-notification", "sent_at": _moment(sent_at), "body": _plain(value)}
            about = descriptor.class_id, str(descriptor.instance_id), descriptor.attribute_id
            return content | dict(zip(("class_id", "obis", "attribute"), about, strict=True))
        case InformationReportRequest(current_time=sent_at, values=values):
            return {"service": "information-report", "sent_at": sent_at, "body": [_plain(value) for value in values]}


def _plain(value: Data) -> object:
    return shown(data.to_python(value))


def _moment(moment: CosemDateTime | None) -> str | None:
    """The meter's own date-time when it is a whole one."""
    if moment is None:
        return None
    try:
        return moment.to_datetime().isoformat()
    except LocalError:
        return str(moment)


def shown(value: object) -> object:
    """A decoded value as JSON can hold it: octets as hex."""
    match value:
        case bytes():
            return value.hex().upper()
        case list() | tuple():
            return [shown(item) for item in value]
        case Mapping():
            return {str(key): shown(item) for key, item in value.items()}
        case float() if not isfinite(value):
            return str(value)
        case None | bool() | int() | float() | str():
            return value
        case _:
            return str(value)
