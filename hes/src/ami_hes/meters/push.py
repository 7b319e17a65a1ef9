"""What meters send unsolicited, over TCP or UDP, plain or under general-glo-ciphering: DataNotification,
EventNotification and InformationReport.

Each is decoded and reported as one event; a long one may come in blocks of a general block transfer, which wait here
for the last of them. What can't be decoded or trusted is dropped with one event that says why and what it looks like.
A protected one is published when its counter is in the store, and never again (docs/mapping.md, M-024 and M-043).
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from math import isfinite
from typing import Any, Protocol

from ami_dlms import data
from ami_dlms.apdu.notify import DataNotification, EventNotificationRequest
from ami_dlms.apdu.short_names import InformationReportRequest
from ami_dlms.association import PushedBlocks, Unsolicited, unprotect_unsolicited
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ApduTag
from ami_dlms.errors import DlmsError, LocalError, ProtocolError
from ami_dlms.security import GlobalKeys, ReceiveCounter
from ami_hes import events
from ami_hes.meters.faults import MeterFault
from ami_hes.meters.received import FrameOrigin, ReceiveCounters
from ami_hes.meters.registry import Meter, Registry
from ami_hes.meters.strangers import guess
from ami_hes.meters.trace import traced_message_id
from ami_process.environment import real_sleep, real_time
from ami_process.events import Emit
from ami_registry.agreement import global_keys

MAX_SHOWN = 16  # first octets of what was dropped
MAX_PLAIN_OCTETS = 16 * 1024  # of an unencrypted push, which anybody can send
MAX_PUSH_OCTETS = 64 * 1024  # of a push in blocks
MAX_WAITING = 1_000  # protected notifications whose counters are being kept
MAX_SENDERS = 64  # whose blocks are kept until the last one comes


_GENERAL_GLO = bytes((ApduTag.GENERAL_GLO_CIPHERING,))


class Sender(Protocol):
    """The connection that something came over (`ami_hes.meters.link.Link`)."""

    @property
    def peer(self) -> str: ...

    @property
    def transport(self) -> str: ...


class Notifications:
    """Decodes and reports notifications; knows the keys of the registry's meters by their system titles."""

    def __init__(self, registry: Registry, received: ReceiveCounters, emit: Emit) -> None:
        self._registry = registry
        self._received = received
        self._emit = emit
        self._keys: dict[bytes, tuple[GlobalKeys, ReceiveCounter]] = {}
        self._keys_of = registry.version
        self._waiting: set[asyncio.Task[None]] = set()
        self._blocks: dict[tuple[str, str], PushedBlocks] = {}
        self._turn = asyncio.Lock()

    def take(self, apdu: bytes, *, peer: str, transport: str) -> bool | None:
        """Decode one APDU and report it; False when it was dropped, None when it is a block and more have to come."""
        try:
            whole = self._joined(apdu, (transport, peer))
            if whole is None:
                return None
            if whole[:1] != _GENERAL_GLO and len(whole) > MAX_PLAIN_OCTETS:
                raise ProtocolError(f"an unencrypted push of {len(whole)} octets, {MAX_PLAIN_OCTETS} are the most")
            notification, title = unprotect_unsolicited(whole, self._lookup)
        except DlmsError as error:
            self.drop(peer, transport, str(error), apdu, framed=True)
            return False
        reported = partial(
            self._report, notification, peer=peer, transport=transport, title=title, secured=title is not None
        )
        sender = None if title is None else self._registry.find_by_system_title(title)
        if sender is None:
            reported()
        else:
            self._publish(sender, reported, peer, transport)
        return True

    async def take_in_turn(self, apdu: bytes, *, peer: str, transport: str) -> bool | None:
        """As `take`, with a pause as long as it took, one connection after the other.

        So connections that are full of notifications have half of the time together, and the others the other half.
        """
        began = real_time()
        taken = self.take(apdu, peer=peer, transport=transport)
        took_s = real_time() - began
        async with self._turn:
            await real_sleep(took_s)
        return taken

    def report_associated(self, notification: Unsolicited, link: Sender, *, sender: Meter | None, counter: int) -> None:
        """What came inside an association over `link`; `sender` and `counter` when its keys vouch for it."""
        peer, transport = link.peer, link.transport
        title = None if sender is None else sender.system_title
        reported = partial(
            self._report, notification, peer=peer, transport=transport, title=title, secured=sender is not None
        )
        if sender is None:
            reported()
        elif self._received.of(sender, FrameOrigin.PUSH).accepts(counter):
            self._publish(sender, reported, peer, transport)
        else:
            self.drop(peer, transport, f"a notification with invocation counter {counter}, which was used before")

    async def close(self) -> None:
        """Wait for what is being published."""
        if self._waiting:
            await asyncio.wait(self._waiting)

    def _publish(self, sender: Meter, reported: Callable[[], None], peer: str, transport: str) -> None:
        """Report it once its counter is kept."""
        if len(self._waiting) >= MAX_WAITING:
            self.drop(peer, transport, f"{MAX_WAITING} notifications wait for the store already")
            return
        task = asyncio.get_running_loop().create_task(self._keep_and_report(sender, reported, peer, transport))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _keep_and_report(self, sender: Meter, reported: Callable[[], None], peer: str, transport: str) -> None:
        try:
            await self._received.keep(sender, FrameOrigin.PUSH)
        except MeterFault as fault:
            self.drop(peer, transport, str(fault))
            return
        reported()

    def _report(
        self,
        notification: Unsolicited,
        *,
        peer: str,
        transport: str,
        title: bytes | None = None,
        secured: bool = False,
    ) -> None:
        meter = None if title is None else self._registry.find_by_system_title(title)
        self._emit(
            events.Notification(
                message_id=traced_message_id(),
                transport=transport,
                peer=peer,
                system_title=None if title is None else title.hex().upper(),
                meter=None if meter is None else meter.name,
                secured=secured,
                **_content(notification),
            )
        )

    def drop(self, peer: str, transport: str, reason: str, octets: bytes = b"", *, framed: bool = False) -> None:
        """Report that something from the network was thrown away, with its first octets and what they look like.

        `framed` when they were in a frame of the wrapper, which is not among them.
        """
        self._emit(
            events.Dropped(
                peer=peer,
                transport=transport,
                reason=reason,
                hex=octets[:MAX_SHOWN].hex().upper(),
                looks_like=guess(octets, framed=framed),
            )
        )

    def _joined(self, apdu: bytes, sender: tuple[str, str]) -> bytes | None:
        """The APDU that is complete with this one."""
        blocks = self._blocks.pop(sender, None) or PushedBlocks(MAX_PUSH_OCTETS)
        whole = blocks.join(apdu)
        if whole is None:
            self._blocks[sender] = blocks
            if len(self._blocks) > MAX_SENDERS:
                self._make_room()
        return whole

    def _make_room(self) -> None:
        """Forget the blocks that were heard longest ago, of the host that sends most of them from many ports."""
        of_each = Counter(_host(peer) for _, peer in self._blocks)
        crowd = of_each.most_common(1)[0][0]
        del self._blocks[next(sender for sender in self._blocks if _host(sender[1]) == crowd)]

    def _lookup(self, title: bytes) -> tuple[GlobalKeys, ReceiveCounter] | None:
        if self._keys_of != self._registry.version:
            self._keys, self._keys_of = {}, self._registry.version
        known = self._keys.get(title)
        meter = self._registry.find_by_system_title(title)
        if known is None and meter is not None and meter.ciphered:
            known = self._keys[title] = global_keys(meter), self._received.of(meter, FrameOrigin.PUSH)
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
