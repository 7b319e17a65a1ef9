"""What meters send of their own accord: DataNotification over TCP or UDP, plain or under general-glo-ciphering.

A notification is decoded and told as one event; a long one may come in blocks of a general block transfer, which wait here
for the last of them. What can't be decoded or trusted is dropped with one event that says why.
Replay is refused as long as this process lives; the highest counter seen is not kept longer (docs/mapping.md, M-024).
"""

from collections.abc import Mapping
from math import isfinite

import structlog

from dlms import data
from dlms.apdu.notify import DataNotification
from dlms.association.notification import PushedBlocks, unprotect_notification
from dlms.errors import DlmsError, LocalError
from dlms.security import GlobalKeys, ReceiveCounter
from hes.meters.registry import Meter, Registry

log = structlog.get_logger()
MAX_SHOWN = 64  # octets of a dropped APDU that are shown
MAX_SENDERS = 64  # whose blocks are kept until the last one comes; the one that was heard longest ago makes room


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
            notification, title = unprotect_notification(whole, self._lookup)
        except DlmsError as error:
            dropped(peer, transport, str(error), apdu)
            return False
        self.tell(notification, peer=peer, transport=transport, title=title, secured=title is not None)
        return True

    def tell(
        self,
        notification: DataNotification,
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
            sent_at=_sent_at(notification),
            body=shown(data.to_python(notification.body)),
        )

    def _joined(self, apdu: bytes, sender: tuple[str, str]) -> bytes | None:
        """The APDU that is complete with this one."""
        blocks = self._blocks.pop(sender, None) or PushedBlocks()
        whole = blocks.join(apdu)
        if whole is None:
            self._blocks[sender] = blocks
            if len(self._blocks) > MAX_SENDERS:
                del self._blocks[next(iter(self._blocks))]
        return whole

    def _lookup(self, title: bytes) -> tuple[GlobalKeys, ReceiveCounter] | None:
        known = self._keys.get(title)
        meter = self._registry.find_by_system_title(title)
        if known is None and meter is not None and meter.ciphered:
            known = self._keys[title] = global_keys(meter), ReceiveCounter()
        return known


def global_keys(meter: Meter) -> GlobalKeys:
    """The keys of a ciphered meter."""
    return GlobalKeys(meter.encryption_key or b"", meter.authentication_key or b"")


def dropped(peer: str, transport: str, reason: str, octets: bytes = b"") -> None:
    """Tell that something from the network was thrown away."""
    log.warning("dropped", peer=peer, transport=transport, reason=reason, hex=octets[:MAX_SHOWN].hex().upper())


def _sent_at(notification: DataNotification) -> str | None:
    """The meter's own date-time when it is a whole one."""
    if notification.date_time is None:
        return None
    try:
        return notification.date_time.to_datetime().isoformat()
    except LocalError:
        return str(notification.date_time)


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
