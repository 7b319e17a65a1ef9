"""Any legal APDU into either end in any state: a server answers or discards, a client goes on or closes, nothing else."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Any

from every_apdu import APDUS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from in_memory import (
    CLIENT_TITLE,
    CLOCK,
    DISCONNECT,
    KEYS,
    LONG,
    NAME,
    SERVER_TITLE,
    Pair,
    from_client,
    from_server,
    opened,
    pdus,
)
from sizes import examples

from ami_dlms import apdu, data
from ami_dlms.apdu.acse import Aarq, Rlrq
from ami_dlms.apdu.ciphered import GeneralGloCiphering
from ami_dlms.association import (
    LN_CONFORMANCE,
    SN_CONFORMANCE,
    Access,
    Action,
    ActionList,
    ClientState,
    Get,
    GetList,
    ServerState,
    Set,
    SetList,
)
from ami_dlms.cosem.short_names import NamedObject, ShortNames
from ami_dlms.enums import Conformance, Mechanism
from ami_dlms.errors import DlmsError, LocalError
from ami_dlms.framing.wrapper import encode
from ami_dlms.security import protect

NAMES = ShortNames(
    [
        NamedObject(0x0100, 8, 0, CLOCK.instance_id),
        NamedObject(0x0200, 1, 0, NAME.instance_id),
        NamedObject(0x0300, 7, 1, LONG.instance_id),
        NamedObject(0x0600, 70, 0, DISCONNECT.instance_id),
    ]
)
BOTH = {"policy": (True, True), "mechanism": Mechanism.LOW}
WAYS: list[dict[str, Any]] = [
    {"conformance": LN_CONFORMANCE, "short_names": None},
    {"conformance": SN_CONFORMANCE, "short_names": NAMES},
]
VALUE = data.octet_string(bytes(300))
UNDER_WAY = [None, Get(LONG), Set(CLOCK, VALUE), Action(DISCONNECT, VALUE)]
any_apdu = st.one_of(*APDUS.values())


def talking(way: int, ciphered: bool) -> Pair:
    agreed = {"max_receive_pdu_size": 100} | WAYS[way]
    return opened(client=agreed, server=agreed, **(BOTH if ciphered else {}))


def sealed(message: Any, title: bytes, counter: int) -> bytes:
    """An APDU as a partner who holds the keys would send it."""
    return apdu.encode(GeneralGloCiphering(title, protect(0x30, KEYS, title, counter, apdu.encode(message))))


@given(
    messages=st.lists(any_apdu, min_size=1, max_size=4),
    way=st.integers(0, 1),
    ciphered=st.booleans(),
    under_way=st.sampled_from(UNDER_WAY),
)
@settings(max_examples=examples(120), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_server_takes_anything(messages: list[Any], way: int, ciphered: bool, under_way: Any) -> None:
    joined = talking(way, ciphered)
    if under_way is not None:
        joined.to_server(joined.client.send(under_way))
    for number, message in enumerate(messages):
        octets = sealed(message, CLIENT_TITLE, 5000 + number) if ciphered else apdu.encode(message)
        joined.server.receive_data(from_client(octets))
        while (event := joined.server.next_event()) is not None:
            with suppress(KeyError):  # the tree of these tests holds less than the rights show
                joined._serve(event)
        for pdu in pdus(joined.server.data_to_send()):
            assert apdu.decode(pdu.apdu)
    assert not joined.server.closed
    if not any(isinstance(message, Aarq | Rlrq) for message in messages):
        assert joined.server.state(17, 1) in (
            ServerState.OPEN,
            ServerState.SENDING_BLOCKS,
            ServerState.RECEIVING_BLOCKS,
        )


@given(
    messages=st.lists(any_apdu, min_size=1, max_size=4),
    way=st.integers(0, 1),
    ciphered=st.booleans(),
    under_way=st.sampled_from(UNDER_WAY),
)
@settings(max_examples=examples(120), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_client_takes_anything(messages: list[Any], way: int, ciphered: bool, under_way: Any) -> None:
    joined = talking(way, ciphered)
    if under_way is not None:
        joined.client.send(under_way)
    for number, message in enumerate(messages):
        octets = sealed(message, SERVER_TITLE, 5000 + number) if ciphered else apdu.encode(message)
        joined.client.receive_data(from_server(octets))
        try:
            while joined.client.next_event() is not None:
                pass
        except LocalError:
            raise
        except DlmsError:
            assert joined.client.state is ClientState.CLOSED
        joined.client.data_to_send()


# --- altered frames of true sessions, unencrypted, where they reach deepest

LN_REQUESTS: list[Any] = [
    GetList((Get(LONG), Get(NAME))),
    Set(CLOCK, VALUE),
    SetList((Set(CLOCK, VALUE), Set(CLOCK, data.null()))),
    Action(DISCONNECT, VALUE),
    ActionList((Action(DISCONNECT, VALUE), Action(DISCONNECT))),
]
ACCESS = Access((Get(LONG), Set(CLOCK, VALUE), Action(DISCONNECT, data.integer(0))))
GENERAL = LN_CONFORMANCE & ~(
    Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
    | Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE
    | Conformance.BLOCK_TRANSFER_WITH_ACTION
)
SESSIONS: list[tuple[dict[str, Any], list[Any]]] = [
    (WAYS[0], LN_REQUESTS),
    ({"conformance": GENERAL, "short_names": None}, [*LN_REQUESTS, ACCESS]),
    (WAYS[1], LN_REQUESTS),
]


def play(session: int, until: int) -> tuple[Pair, str, bytes]:
    """A session up to its frame with this number, which is not delivered: who would have got it, and the frame."""
    agreed, requests = SESSIONS[session]
    joined = opened(client=agreed | {"max_receive_pdu_size": 150}, server=agreed | {"max_receive_pdu_size": 150})
    way: list[tuple[str, bytes]] = []
    left = iter(requests)
    while True:
        if not way:
            way = [("server", encode(pdu)) for pdu in pdus(joined.client.send(next(left)))]
        towards, frame = way.pop(0)
        if not until:
            return joined, towards, frame
        until -= 1
        answer = joined.to_server(frame) if towards == "server" else joined.to_client(frame)
        way += [("client" if towards == "server" else "server", encode(pdu)) for pdu in pdus(answer)]


@cache
def frames_of(session: int) -> int:
    for number in range(1000):
        try:
            play(session, number)
        except StopIteration:
            return number
    raise AssertionError("a session without end")


@given(st.integers(0, len(SESSIONS) - 1), st.integers(0, 999), st.integers(0, 999), st.integers(1, 255))
@settings(max_examples=examples(120), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_altered_frames(session: int, number: int, position: int, change: int) -> None:
    joined, towards, frame = play(session, number % frames_of(session))
    altered = bytearray(frame)
    altered[8 + position % (len(frame) - 8)] ^= change
    try:
        if towards == "server":
            with suppress(KeyError):
                joined.to_server(bytes(altered))
            assert not joined.server.closed
        else:
            joined.to_client(bytes(altered))
    except LocalError:
        raise
    except DlmsError:
        assert towards == "client"
        assert joined.client.state is ClientState.CLOSED
