"""What is measured: one meter with fresh counters, a small value, a load profile of a day. The keys guard nothing."""

from __future__ import annotations

from ami_dlms import data
from ami_dlms.association import (
    AssociationProfile,
    AttributeAccess,
    ClientConnection,
    ClientSettings,
    Security,
    ServerConnection,
    lookup_among,
)
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import DataAccessResult, Mechanism
from ami_dlms.obis import Obis
from ami_dlms.security import GlobalKeys, ReceiveCounter, SendCounter

ENCRYPTION_KEY = bytes(range(16))
AUTHENTICATION_KEY = bytes(range(0xD0, 0xE0))
KEYS = GlobalKeys(ENCRYPTION_KEY, AUTHENTICATION_KEY)
CLIENT_WPORT, SERVER_WPORT = 1, 17
ENERGY = AttributeDescriptor(3, Obis.parse("1-0:1.8.0*255"), 2)
ENERGY_VALUE = data.double_long_unsigned(123_456)
ROWS, COLUMNS = 96, 4
CHALLENGE = b"a challenge of a client."
SUCCESS = DataAccessResult.SUCCESS


def client_title(number: int) -> bytes:
    """A title for each connection: under one key, no two of them may ever use the same initialization vector."""
    return b"CLI" + number.to_bytes(5, "big")


def server_title(number: int) -> bytes:
    return b"MTR" + number.to_bytes(5, "big")


class Rights:
    """Everything may be read."""

    def attribute(self, descriptor: AttributeDescriptor) -> AttributeAccess | None:
        return AttributeAccess.READ

    def method(self, descriptor: MethodDescriptor) -> bool | None:
        return None


def client(number: int) -> ClientConnection:
    """A client with HLS-GMAC and authenticated encryption, as a head-end has one for each meter."""
    settings = ClientSettings(
        client_wport=CLIENT_WPORT,
        server_wport=SERVER_WPORT,
        mechanism=Mechanism.GMAC,
        security=Security(keys=KEYS, system_title=client_title(number)),
    )
    return ClientConnection(settings, challenge=CHALLENGE, send_counter=SendCounter(1))


def server(number: int) -> ServerConnection:
    """The meter for one connection."""
    profile = AssociationProfile(
        client_wport=CLIENT_WPORT,
        server_wport=SERVER_WPORT,
        access=Rights(),
        mechanism=Mechanism.GMAC,
        security=Security(keys=KEYS, system_title=server_title(number)),
        send_counter=SendCounter(1),
        receive_counter=ReceiveCounter(),
    )
    challenge = b"a challenge of a server."
    return ServerConnection(lookup_among(profile), random_bytes=lambda count: challenge[:count])


def load_profile() -> Data:
    """A day of quarters of an hour: clock, status, import, export."""
    return data.array(
        *(
            data.structure(
                data.octet_string(bytes((7, 0xE8, 1, 1, 1, row // 4, row % 4 * 15, 0, 0, 0x80, 0, 0))),
                data.unsigned(row % 3),
                data.double_long_unsigned(1_000_000 + 37 * row),
                data.double_long_unsigned(2_000 + row),
            )
            for row in range(ROWS)
        )
    )
