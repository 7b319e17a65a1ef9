"""A meter that pushes to a running head-end, ciphered or not, over TCP or UDP."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from north_bench import entries

from ami_dlms import data
from ami_dlms.apdu.access import CONFIRMED
from ami_dlms.apdu.notify import DataNotification, EventNotificationRequest
from ami_dlms.association import Security, protect_notification
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.framing import wrapper
from ami_dlms.framing.wrapper import WrapperPdu
from ami_dlms.obis import Obis
from ami_dlms.security import GlobalKeys, SendCounter

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ON_ALARM, ON_POWER_DOWN, ON_CONNECTIVITY, INTERVAL = "0-4:25.9.0", "0-5:25.9.0", "0-0:25.9.0", "0-1:25.9.0"
KEY = bytes(range(16))


def ciphered(number: int, **more: Any) -> dict[str, Any]:
    """An entry of the registry with keys."""
    (entry,) = (one for one in entries(number) if one["name"] == f"M{number}")
    keys = {
        "authentication": "hls-gmac",
        "encryption_key": KEY.hex(),
        "authentication_key": KEY[::-1].hex(),
        "system_title": (b"AMI\x00\x00\x00\x00" + bytes([number])).hex(),
        "tags": {"feeder": "F12"},
    }
    return entry | keys | more


@dataclass
class PushingMeter:
    """One of those entries; `plain` pushes without its keys."""

    entry: dict[str, Any]
    port: int
    plain: bool = False
    counter: SendCounter = field(default_factory=lambda: SendCounter(1))

    def alarms(self, *descriptors: int, at: datetime | None = NOON) -> bytes:
        device = data.octet_string(self.entry["device_id"].encode())
        values = map(data.double_long_unsigned, descriptors)
        return self._notification(data.structure(device, _setup(ON_ALARM), *values), at)

    def last_gasp(self, at: datetime = NOON) -> bytes:
        device, clock = data.octet_string(self.entry["device_id"].encode()), _clock(at)
        return self._notification(data.structure(device, _setup(ON_POWER_DOWN), clock, data.long_unsigned(3)), None)

    def confirmed_last_gasp(self) -> bytes:
        """One that asks for the head-end's word."""
        body = data.structure(_setup(ON_POWER_DOWN), _clock(NOON), data.long_unsigned(3))
        return self._protected(DataNotification(5 | CONFIRMED, None, body))

    def pushed(self, setup: str, *values: Data) -> bytes:
        return self._notification(data.structure(_setup(setup), *values), NOON)

    def notified(self, class_id: int, name: str, value: Data, at: datetime = NOON) -> bytes:
        descriptor = AttributeDescriptor(class_id, Obis.parse(name), 2)
        return self._protected(EventNotificationRequest(CosemDateTime.from_datetime(at), descriptor, value))

    def send(self, *apdus: bytes, transport: str = "udp") -> None:
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        with socket.socket(socket.AF_INET, kind) as one:
            one.connect(("127.0.0.1", self.port))
            for apdu in apdus:
                one.sendall(wrapper.encode(WrapperPdu(1, 102, apdu)))

    def _notification(self, body: Data, at: datetime | None) -> bytes:
        moment = None if at is None else CosemDateTime.from_datetime(at)
        return self._protected(DataNotification(5, moment, body))

    def _protected(self, notification: DataNotification | EventNotificationRequest) -> bytes:
        keys = GlobalKeys(KEY, KEY[::-1])
        title = bytes.fromhex(self.entry["system_title"])
        security = None if self.plain else Security(keys=keys, system_title=title)
        return protect_notification(notification, security, self.counter)


def _setup(name: str) -> Data:
    return data.octet_string(bytes(Obis.parse(name)))


def _clock(at: datetime) -> Data:
    return data.octet_string(CosemDateTime.from_datetime(at).encode())
