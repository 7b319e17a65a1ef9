"""Every (state, event) of both link tables and both sign-on tables, in the tables and through real links."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from hdlc_line import CLIENT, SERVER, frames_of, line

from ami_dlms.errors import LocalError, ProtocolError
from ami_dlms.framing.hdlc import Frame, FrameKind, control_of, encode
from ami_dlms.framing.hdlc_client import HdlcClient
from ami_dlms.framing.hdlc_server import HdlcServer
from ami_dlms.framing.hdlc_states import (
    CLIENT_FRAMES,
    CLIENT_LINK_TABLE,
    SERVER_FRAMES,
    SERVER_LINK_TABLE,
    ClientLinkEvent,
    ClientLinkState,
    ServerLinkEvent,
    ServerLinkState,
)
from ami_dlms.framing.mode_e import CLIENT_SIGN_ON, SERVER_SIGN_ON, SignOnEvent, SignOnState
from ami_dlms.transitions import next_state

C, CE = ClientLinkState, ClientLinkEvent
S, SE = ServerLinkState, ServerLinkEvent
LLC = bytes.fromhex("E6E600")
TABLES: list[tuple[Any, Any, Any]] = [
    (CLIENT_LINK_TABLE, C, CE),
    (SERVER_LINK_TABLE, S, SE),
    (CLIENT_SIGN_ON, SignOnState, SignOnEvent),
    (SERVER_SIGN_ON, SignOnState, SignOnEvent),
]
PAIRS = [(table, state, event) for table, states, events in TABLES for state, event in product(states, events)]


@pytest.mark.parametrize(("table", "state", "event"), PAIRS)
def test_what_is_not_in_a_table_is_a_mistake(table: Any, state: Any, event: Any) -> None:
    if (state, event) in table:
        assert next_state(table, state, event) is table[state, event]
        return
    with pytest.raises(LocalError if event.name.startswith("SEND_") else ProtocolError):
        next_state(table, state, event)


@pytest.mark.parametrize(
    ("table", "start", "states"), [(CLIENT_LINK_TABLE, C.DISCONNECTED, C), (SERVER_LINK_TABLE, S.DISCONNECTED, S)]
)
def test_every_state_can_be_reached_and_left(table: Any, start: Any, states: Any) -> None:
    for first in states:
        found = {first}
        while more := {after for (state, _), after in table.items() if state in found} - found:
            found |= more
        assert found == set(states)


def test_every_kind_of_frame_is_an_event() -> None:
    assert set(CLIENT_FRAMES) == set(SERVER_FRAMES) == set(FrameKind)


# --- clients


def client_in(state: ClientLinkState) -> HdlcClient:
    client = HdlcClient(CLIENT, SERVER, max_retries=0)
    if state is C.DISCONNECTED:
        return client
    client.connect()
    if state is C.CONNECTING:
        return client
    client.receive_data(encode(Frame(CLIENT, SERVER, control_of(FrameKind.UA))))
    client.next_event()
    if state is C.WAITING:
        client.send_apdu(b"ask")
    elif state is C.DISCONNECTING:
        client.disconnect()
    return client


CLIENT_ACTS: dict[ClientLinkEvent, Callable[[HdlcClient], object]] = {
    CE.SEND_CONNECT: lambda client: client.connect(),
    CE.SEND_DISCONNECT: lambda client: client.disconnect(),
    CE.SEND_APDU: lambda client: client.send_apdu(b"apdu"),
    CE.SEND_UNNUMBERED: lambda client: client.send_unnumbered(b"apdu"),
}
FRAME_OF_CLIENT_EVENT = {event: kind for kind, event in CLIENT_FRAMES.items()}


def control(kind: FrameKind) -> int:
    return 0x19 if kind is FrameKind.UNDEFINED else control_of(kind)


def receives(kind: FrameKind, asked: bool) -> bytes:
    """A server's frame; what has been asked is acknowledged by the information that answers it."""
    information = LLC + b"apdu" if kind in (FrameKind.I, FrameKind.UI) else b""
    acknowledged = 1 << 5 if asked and kind is FrameKind.I else 0
    return encode(Frame(CLIENT, SERVER, control(kind) | acknowledged, information))


@pytest.mark.parametrize(("state", "event"), list(product(C, [*CLIENT_ACTS, *FRAME_OF_CLIENT_EVENT])))
def test_a_client_follows_its_table(state: ClientLinkState, event: ClientLinkEvent) -> None:
    client = client_in(state)
    assert client.state is state
    following = CLIENT_LINK_TABLE.get((state, event))
    if event in CLIENT_ACTS:
        if following is None:
            with pytest.raises(LocalError):
                CLIENT_ACTS[event](client)
            assert client.state is state
            assert client.data_to_send() == b""
        else:
            CLIENT_ACTS[event](client)
            assert client.state is (C.WAITING if (state, event) == (C.READY, CE.SEND_APDU) else following)
        return
    client.receive_data(receives(FRAME_OF_CLIENT_EVENT[event], asked=state is C.WAITING))
    if following is None:
        with pytest.raises(ProtocolError):
            client.next_event()
        assert client.state is state
        return
    client.next_event()
    answered = event in (CE.INFORMATION, CE.NOT_READY) and state is C.WAITING
    assert client.state is (C.READY if answered else following)


@pytest.mark.parametrize("state", C)
def test_a_client_that_is_out_of_patience_gives_up(state: ClientLinkState) -> None:
    client = client_in(state)
    client.timeout()
    assert client.state is C.DISCONNECTED
    assert CLIENT_LINK_TABLE[state, CE.TIMEOUT] is state
    assert CLIENT_LINK_TABLE.get((state, CE.GIVE_UP), C.DISCONNECTED) is C.DISCONNECTED


# --- servers


def server_in(state: ServerLinkState) -> HdlcServer:
    server = HdlcServer(SERVER, CLIENT)
    if state is not S.DISCONNECTED:
        feed(server, FrameKind.SNRM)
    if state is S.ANSWERING:
        feed(server, FrameKind.I, LLC + b"ask")
    elif state is S.REJECTING:
        feed(server, FrameKind.RR, b"information")
    server.data_to_send()
    return server


def feed(server: HdlcServer, kind: FrameKind, information: bytes = b"") -> None:
    server.receive_data(encode(Frame(SERVER, CLIENT, control(kind), information)))
    while server.next_event() is not None:
        pass


SERVER_ACTS: dict[ServerLinkEvent, Callable[[HdlcServer], object]] = {
    SE.SEND_APDU: lambda server: server.send_apdu(b"apdu"),
    SE.SEND_UNNUMBERED: lambda server: server.send_unnumbered(b"apdu"),
    SE.TIMEOUT: lambda server: server.timeout(),
    SE.SET_MODE_REFUSED: lambda server: feed(server, FrameKind.SNRM, b"?"),
}
FRAME_OF_SERVER_EVENT = {event: kind for kind, event in SERVER_FRAMES.items()}
ANSWERS: dict[tuple[ServerLinkState, ServerLinkEvent], FrameKind] = {
    **{(S.REJECTING, event): FrameKind.FRMR for event in SE},
    **{(S.DISCONNECTED, event): FrameKind.DM for event in SE},
    **{(state, event): FrameKind.RR for state in (S.LISTENING, S.ANSWERING) for event in (SE.READY, SE.NOT_READY)},
    **{(state, SE.UNDEFINED): FrameKind.FRMR for state in (S.LISTENING, S.ANSWERING)},
    (S.ANSWERING, SE.INFORMATION): FrameKind.RR,
    **{(state, SE.SET_MODE): FrameKind.UA for state in S},
    **{(state, SE.DISCONNECT): FrameKind.UA for state in S if state is not S.DISCONNECTED},
}


@pytest.mark.parametrize(("state", "event"), list(product(S, [*SERVER_ACTS, *FRAME_OF_SERVER_EVENT])))
def test_a_server_follows_its_table(state: ServerLinkState, event: ServerLinkEvent) -> None:
    server = server_in(state)
    assert server.state is state
    following = SERVER_LINK_TABLE.get((state, event))
    if event in SERVER_ACTS:
        if following is None:
            with pytest.raises(LocalError):
                SERVER_ACTS[event](server)
            following = state
        else:
            SERVER_ACTS[event](server)
            following = S.LISTENING if (state, event) == (S.ANSWERING, SE.SEND_APDU) else following
        assert server.state is following
        return
    kind = FRAME_OF_SERVER_EVENT[event]
    information = LLC + b"apdu" if kind in (FrameKind.I, FrameKind.UI) else b""
    if following is None:
        with pytest.raises(ProtocolError):
            feed(server, kind, information)
        assert server.state is state
        assert server.data_to_send() == b""
        return
    feed(server, kind, information)
    answers = [frame.kind for frame in frames_of(server.data_to_send())]
    if event is SE.UNNUMBERED:
        assert (answers, server.state) == ([], state)
    elif state is S.LISTENING and event is SE.INFORMATION:
        assert (answers, server.state) == ([], S.ANSWERING)
    else:
        wanted = ANSWERS[state, event]
        assert answers == [wanted]
        rejected = state in (S.LISTENING, S.ANSWERING) and event is SE.UNDEFINED
        turn_used = state is S.ANSWERING and wanted is FrameKind.RR
        assert server.state is (S.REJECTING if rejected else S.LISTENING if turn_used else following)


def test_both_ends_walk_through_all_states() -> None:
    joined = line(answers=lambda apdu: [])
    seen = [(joined.client.state, joined.server.state)]
    octets = joined.client.connect()
    seen.append((joined.client.state, joined.server.state))
    joined.carry(octets)
    seen.append((joined.client.state, joined.server.state))
    joined.carry(joined.client.send_apdu(b"ask"))
    seen.append((joined.client.state, joined.server.state))
    joined.carry_back(joined.server.send_apdu(b"answer"))
    seen.append((joined.client.state, joined.server.state))
    octets = joined.client.disconnect()
    seen.append((joined.client.state, joined.server.state))
    joined.carry(octets)
    seen.append((joined.client.state, joined.server.state))
    assert seen == [
        (C.DISCONNECTED, S.DISCONNECTED),
        (C.CONNECTING, S.DISCONNECTED),
        (C.READY, S.LISTENING),
        (C.WAITING, S.ANSWERING),
        (C.READY, S.LISTENING),
        (C.DISCONNECTING, S.LISTENING),
        (C.DISCONNECTED, S.DISCONNECTED),
    ]
