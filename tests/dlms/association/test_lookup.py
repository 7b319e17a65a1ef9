"""A server makes an association when its first APDU comes, however many logical devices are behind its address."""

from __future__ import annotations

import tracemalloc

from in_memory import NAME, SERVER_WPORT, Pair, from_client, profile, random_bytes, requested, settings

from ami_dlms import apdu
from ami_dlms.apdu.get import GetRequestNormal
from ami_dlms.association import (
    AssociationProfile,
    ClientConnection,
    Get,
    Open,
    Opened,
    PreEstablished,
    ServerConnection,
    ServerState,
    Service,
    lookup_among,
)

DEVICES = 1000


def test_one_of_a_thousand_logical_devices_is_one_association() -> None:
    offered = {wport: profile(server_wport=wport) for wport in range(1, DEVICES + 1)}
    looked_up: list[tuple[int, int]] = []

    def profile_of(client_wport: int, server_wport: int) -> AssociationProfile | None:
        looked_up.append((client_wport, server_wport))
        return offered.get(server_wport) if client_wport == 1 else None

    server = ServerConnection(profile_of, random_bytes=random_bytes)
    assert looked_up == []
    joined = Pair(ClientConnection(settings()), server)
    assert isinstance(joined.ask(Open())[0], Opened)
    assert joined.ask(Get(NAME))
    assert looked_up == [(1, SERVER_WPORT)]
    assert list(server._associations) == [(SERVER_WPORT, 1)]


def test_strangers_leave_nothing_behind() -> None:
    server = ServerConnection(lookup_among(profile()), random_bytes=random_bytes)
    frame = bytearray(from_client(apdu.encode(GetRequestNormal(0xC1, NAME))))
    for wport in range(2, 200):
        frame[2:4] = wport.to_bytes(2, "big") if wport != SERVER_WPORT else b"\x7f\xff"
        server.receive_data(bytes(frame))
        while server.next_event() is not None:
            server.data_to_send()
    assert server._associations == {}


def test_a_connection_costs_the_same_whatever_is_behind_the_address() -> None:
    """The lookup is the caller's: nothing is made of what it could find."""

    def octets(devices: int) -> int:
        lookup = lookup_among(*(profile(server_wport=wport) for wport in range(1, devices + 1)))
        tracemalloc.start()
        server = ServerConnection(lookup, random_bytes=random_bytes)
        used = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert not server.closed
        return used

    octets(1)  # what is made once for all
    assert octets(DEVICES) < octets(1) + 512


def test_a_pre_established_association_is_open_before_its_first_apdu() -> None:
    agreed = profile(secret=None, pre_established=PreEstablished())
    server = ServerConnection(lookup_among(agreed), random_bytes=random_bytes)
    assert server.state(SERVER_WPORT, 1) is ServerState.OPEN
    server.receive_data(from_client(apdu.encode(GetRequestNormal(0xC1, NAME))))
    assert requested(server.next_event(), Service.GET).items == (Get(NAME),)
