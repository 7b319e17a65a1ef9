"""What meters send of their own accord, over TCP or UDP, plain or under general-glo-ciphering: DataNotification,
EventNotification and InformationReport.

Each is decoded and told as one event; a long one may come in blocks of a general block transfer, which wait here
for the last of them. What can't be decoded or trusted is dropped with one event that says why and what it looks like.
Replay is refused as long as this process lives; the highest counter seen is not kept longer (docs/mapping.md, M-024).
"""

from collections import Counter
from collections.abc import Mapping
from math import isfinite

import structlog

from dlms import data
from dlms.apdu.notify import DataNotification, EventNotificationRequest
from dlms.apdu.short_names import InformationReportRequest
from dlms.association import PushedBlocks, Unasked, unprotect_unasked
from dlms.data import Data
from dlms.datetimes import CosemDateTime
from dlms.enums import ApduTag
from dlms.errors import DlmsError, LocalError, ProtocolError
from dlms.security import GlobalKeys, ReceiveCounter
from hes.meters.registry import Meter, Registry
from hes.meters.strangers import guess

log = structlog.get_logger()
MAX_SHOWN = 16  # first octets of what was dropped
MAX_PLAIN_OCTETS = 16 * 1024  # of a push in clear, which anybody can send
MAX_PUSH_OCTETS = 64 * 1024  # of a push in blocks
MAX_SENDERS = 64  # whose blocks are kept until the last one comes


_GENERAL_GLO = bytes((ApduTag.GENERAL_GLO_CIPHERING,))


class Notifications:
    """Decodes and tells notifications; knows the keys of the registry's meters by their system titles."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._keys: dict[bytes, tuple[GlobalKeys, ReceiveCounter]] = {}
        self._blocks: dict[tuple[str, str], PushedBlocks] = {}

    def take(self, apdu: bytes, *, peer: str, transport: str) -> bool | None:
        """Decode one APDU and tell it; False when it was dropped, None when it is a block and more have to come."""
        try:
            whole = self._joined(apdu, (transport, peer))
            if whole is None:
                return None
            if whole[:1] != _GENERAL_GLO and len(whole) > MAX_PLAIN_OCTETS:
                raise ProtocolError(f"a push in clear of {len(whole)} octets, {MAX_PLAIN_OCTETS} are the most")
            notification, title = unprotect_unasked(whole, self._lookup)
        except DlmsError as error:
            dropped(peer, transport, str(error), apdu, framed=True)
            return False
        self.tell(notification, peer=peer, transport=transport, title=title, secured=title is not None)
        return True

    def tell(
        self,
        notification: Unasked,
        *,
        peer: str,
        transport: str,
        title: bytes | None = None,
        secured: bool = False,
    ) -> None:
        meter = None if title is None else self._registry.find_by_system_title(title)
        log.info(
            "notification",
            transport=transport,
            peer=peer,
            system_title=None if title is None else title.hex().upper(),
            meter=None if meter is None else meter.name,
            secured=secured,
            **_content(notification),
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
        known = self._keys.get(title)
        meter = self._registry.find_by_system_title(title)
        if known is None and meter is not None and meter.ciphered:
            known = self._keys[title] = global_keys(meter), ReceiveCounter()
        return known


def global_keys(meter: Meter) -> GlobalKeys:
    """The keys of a ciphered meter."""
    return GlobalKeys(meter.encryption_key or b"", meter.authentication_key or b"")


def dropped(peer: str, transport: str, reason: str, octets: bytes = b"", *, framed: bool = False) -> None:
    """Tell that something from the network was thrown away, with its first octets and what they look like.

    `framed` when they were in a frame of the wrapper, which is not among them.
    """
    log.warning(
        "dropped",
        peer=peer,
        transport=transport,
        reason=reason,
        hex=octets[:MAX_SHOWN].hex().upper(),
        looks_like=guess(octets, framed=framed),
    )


def _host(peer: str) -> str:
    return peer.rpartition(":")[0]


def _content(notification: Unasked) -> dict[str, object]:
    """What it says: its service, its time and its values; an event-notification names the one attribute that it is about."""
    match notification:
        case DataNotification(date_time=sent_at, body=body):
            return {"service": "data-notification", "sent_at": _moment(sent_at), "body": _plain(body)}
        case EventNotificationRequest(time=sent_at, descriptor=descriptor, value=value):
            told = {"service": "event-notification", "sent_at": _moment(sent_at), "body": _plain(value)}
            about = descriptor.class_id, str(descriptor.instance_id), descriptor.attribute_id
            return told | dict(zip(("class_id", "obis", "attribute"), about, strict=True))
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
