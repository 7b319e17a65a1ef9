"""Both tables, pair by pair, and what the connections do when a pair is not in them."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from in_memory import (
    CHALLENGE,
    CLOCK,
    DISCONNECT,
    LONG,
    NAME,
    Pair,
    from_client,
    from_server,
    opened,
    pair,
    profile,
    requested,
    server_of,
)
from states_page import page

from ami_dlms import apdu, data
from ami_dlms.apdu.acse import Aare, Aarq, Diagnostic, Rlre, Rlrq
from ami_dlms.apdu.action import ActionRequestNormal, ActionResponseNormal
from ami_dlms.apdu.faults import ExceptionResponse
from ami_dlms.apdu.fields import Block
from ami_dlms.apdu.get import GetRequestNext, GetRequestNormal, GetResponseNormal, GetResponseWithDataBlock
from ami_dlms.apdu.initiate import InitiateRequest, InitiateResponse
from ami_dlms.apdu.notify import DataNotification
from ami_dlms.apdu.set import (
    SetRequestWithDataBlock,
    SetRequestWithFirstDataBlock,
    SetResponseDataBlock,
    SetResponseLastDataBlock,
)
from ami_dlms.association import (
    CLIENT_CONFORMANCE,
    CLIENT_TABLE,
    LN_CONFORMANCE,
    SERVER_TABLE,
    Action,
    Answer,
    AssociationOpened,
    AssociationRefused,
    AssociationReleased,
    ClientEvent,
    ClientState,
    Confirm,
    Discarded,
    Get,
    GetResult,
    Open,
    PeerFault,
    Release,
    Requested,
    ServerEvent,
    ServerState,
    Service,
    Set,
    Unconfirmed,
)
from ami_dlms.association.client.ln import SetExchange
from ami_dlms.association.server.access_control import REPLY_TO_HLS_AUTHENTICATION
from ami_dlms.enums import (
    AcseServiceUserDiagnostic,
    ActionResult,
    ApplicationContext,
    AssociationResult,
    DataAccessResult,
    Mechanism,
    ServiceError,
    StateError,
)
from ami_dlms.errors import LocalError, ProtocolError
from ami_dlms.transitions import next_state

USER = AcseServiceUserDiagnostic
INITIATE_RESPONSE = apdu.encode(InitiateResponse(conformance=CLIENT_CONFORMANCE, server_max_receive_pdu_size=500))
C, CE, S, SE = ClientState, ClientEvent, ServerState, ServerEvent


@pytest.mark.parametrize(("state", "event"), list(product(C, CE)))
def test_client_table_answers_every_pair(state: ClientState, event: ClientEvent) -> None:
    if (state, event) in CLIENT_TABLE:
        assert next_state(CLIENT_TABLE, state, event) is CLIENT_TABLE[state, event]
        return
    with pytest.raises(LocalError if event.name.startswith("SEND_") else ProtocolError) as error:
        next_state(CLIENT_TABLE, state, event)
    assert state.value in str(error.value)
    assert event.value in str(error.value)


@pytest.mark.parametrize(("state", "event"), list(product(S, SE)))
def test_server_table_answers_every_pair(state: ServerState, event: ServerEvent) -> None:
    if (state, event) in SERVER_TABLE:
        assert next_state(SERVER_TABLE, state, event) is SERVER_TABLE[state, event]
        return
    with pytest.raises(LocalError if event.name.startswith("SEND_") else ProtocolError):
        next_state(SERVER_TABLE, state, event)


def reachable(table: dict, start: object) -> set[object]:
    found = {start}
    while True:
        more = {after for (state, _), after in table.items() if state in found} - found
        if not more:
            return found
        found |= more


def test_every_state_can_be_reached_and_a_closed_client_stays_closed() -> None:
    assert reachable(dict(CLIENT_TABLE), C.IDLE) == set(C)
    assert reachable(dict(SERVER_TABLE), S.UNASSOCIATED) == set(S)
    assert {after for (state, _), after in CLIENT_TABLE.items() if state is C.CLOSED} == {C.CLOSED}


# --- the same pairs, through real connections

LONG_VALUE = data.octet_string(bytes(100))
NOTIFICATION = apdu.encode(DataNotification(1, None, data.null()))


def speaking_in_blocks() -> Pair:
    limits = {"max_receive_pdu_size": 64, "conformance": LN_CONFORMANCE}
    return pair(Mechanism.GMAC, policy=(False, False), client=limits, server=limits)


def client_in(state: ClientState) -> Pair:
    """A client brought into a state by real frames; it speaks HLS with GMAC, without ciphering."""
    joined = speaking_in_blocks()
    client = joined.client
    if state is C.IDLE:
        return joined
    if state in (C.OPENING, C.PROVING):
        aare = joined.to_server(client.send(Open()))
        if state is C.PROVING:
            client.receive_data(aare)
            assert client.next_event() is None
        return joined
    joined.ask(Open())
    if state in (C.AWAITING_RESPONSE, C.AWAITING_BLOCK):
        first = joined.to_server(client.send(Get(LONG)))
        if state is C.AWAITING_BLOCK:
            client.receive_data(first)
            assert client.next_event() is None
    elif state is C.SENDING_BLOCKS:
        client.send(Set(CLOCK, LONG_VALUE))
    elif state is C.RELEASING:
        client.send(Release())
    elif state is C.CLOSED:
        client.receive_data(b"not the wrapper at all")
        with pytest.raises(Exception, match="version"):
            client.next_event()
    return joined


def cause(joined: Pair, event: ClientEvent) -> None:
    """Let an event happen to a client, whatever its state."""
    client = joined.client
    if event is CE.SEND_OPEN:
        client.send(Open())
    elif event is CE.SEND_REQUEST:
        client.send(Action(DISCONNECT))
    elif event is CE.SEND_FIRST_BLOCK:
        client.send(Set(CLOCK, LONG_VALUE))
    elif event is CE.SEND_UNCONFIRMED:
        client.send(Unconfirmed(Action(DISCONNECT)))
    elif event is CE.SEND_CONFIRMATION:
        client.send(Confirm(DataNotification(1, None, data.null())))
    elif event is CE.SEND_RELEASE:
        client.send(Release())
    elif event is CE.SEND_ABANDON:
        client.abandon()
    else:
        if event is CE.LAST_BLOCK_WANTED and client.state is C.SENDING_BLOCKS:  # the second of three
            cause(joined, CE.NEXT_BLOCK_WANTED)
        client.receive_data(from_server(octets_of(event, joined)))
        client.next_event()


def octets_of(event: ClientEvent, joined: Pair) -> bytes:
    pending = joined.client._pending
    invoke = pending.invoke_id_and_priority if pending else 0xC1
    accepted, context = AssociationResult.ACCEPTED, ApplicationContext.LN
    title = b"MTR\0\0\0\0\2"
    if event is CE.PROOF_WANTED:
        wanted = Diagnostic.user(USER.AUTHENTICATION_REQUIRED)
        return apdu.encode(Aare(context, accepted, wanted, title, Mechanism.GMAC, b"StoC" * 4, INITIATE_RESPONSE))
    if event is CE.REJECTED:
        return apdu.encode(Aare(context, AssociationResult.REJECTED_PERMANENT, Diagnostic.user(USER.NO_REASON_GIVEN)))
    if event in (CE.PROVED, CE.PROOF_REFUSED):
        return apdu.encode(ActionResponseNormal(invoke, ActionResult.OTHER_REASON))
    if event is CE.RESPONSE and isinstance(pending, SetExchange):
        return apdu.encode(SetResponseLastDataBlock(invoke, DataAccessResult.LONG_SET_ABORTED, 1))
    if event is CE.NEXT_BLOCK_WANTED:
        return apdu.encode(SetResponseDataBlock(invoke, 1))
    if event is CE.LAST_BLOCK_WANTED:
        return apdu.encode(SetResponseDataBlock(invoke, 2))
    if event is CE.RESPONSE:
        return apdu.encode(GetResponseNormal(invoke, DataAccessResult.TEMPORARY_FAILURE))
    if event in (CE.BLOCK, CE.LAST_BLOCK):
        number = pending.blocks.block_number + 1 if pending else 1
        last = event is CE.LAST_BLOCK
        result = DataAccessResult.OTHER_REASON if last else b"\x00"
        return apdu.encode(GetResponseWithDataBlock(invoke, last, number, result))
    return {
        CE.RELEASED: apdu.encode(Rlre()),
        CE.FAULT: apdu.encode(ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.OTHER_REASON)),
        CE.NOTIFICATION: NOTIFICATION,
        CE.BREACH: b"\xff\xff",
    }[event]


PASSIVE = {CE.ACCEPTED, CE.PROVED}  # need the true proof: covered by every HLS session that opens
ANSWERS = {
    CE.RESPONSE,
    CE.BLOCK,
    CE.LAST_BLOCK,
    CE.NEXT_BLOCK_WANTED,
    CE.LAST_BLOCK_WANTED,
    CE.PROVED,
    CE.PROOF_REFUSED,
}
WAITING = (C.PROVING, C.AWAITING_RESPONSE, C.AWAITING_BLOCK, C.SENDING_BLOCKS)


@pytest.mark.parametrize(("state", "event"), [(s, e) for s, e in product(C, CE) if e not in PASSIVE])
def test_the_client_follows_its_table(state: ClientState, event: ClientEvent) -> None:
    joined = client_in(state)
    assert joined.client.state is state
    following = CLIENT_TABLE.get((state, event))
    late = event in ANSWERS and state not in WAITING
    if state is C.CLOSED and not event.name.startswith("SEND_"):
        cause(joined, event)
        assert joined.client.state is C.CLOSED
    elif following is None and late:
        cause(joined, event)
        assert joined.client.state is state, "an answer that nobody waits for is dropped"
    elif following is None and event.name.startswith("SEND_"):
        with pytest.raises(LocalError):
            cause(joined, event)
        assert joined.client.state is state
    elif following is None:
        with pytest.raises(ProtocolError):
            cause(joined, event)
        assert joined.client.state is C.CLOSED
    elif event is CE.BREACH:
        with pytest.raises(Exception, match="expected"):
            cause(joined, event)
        assert joined.client.state is C.CLOSED
    else:
        cause(joined, event)
        assert joined.client.state is following


def server_in(state: ServerState) -> Pair:
    joined = speaking_in_blocks()
    if state is S.PROVING:
        joined.to_server(joined.client.send(Open()))
    elif state is not S.UNASSOCIATED:
        joined.ask(Open())
    if state is S.SENDING_BLOCKS:
        joined.to_server(joined.client.send(Get(LONG)))
    if state is S.RECEIVING_BLOCKS:
        joined.to_server(from_client(SERVER_FRAMES[SE.FIRST_BLOCK]))
    return joined


SERVER_FRAMES = {
    SE.REFUSED: apdu.encode(Aarq(ApplicationContext.SN)),
    SE.REQUEST: apdu.encode(GetRequestNormal(0xC9, NAME)),
    SE.NEXT_BLOCK_WANTED: apdu.encode(GetRequestNext(0xC2, 1)),
    SE.TRANSFER_ABORTED: apdu.encode(GetRequestNext(0xC2, 7)),
    SE.FIRST_BLOCK: apdu.encode(SetRequestWithFirstDataBlock(0xC9, CLOCK, None, Block(False, 1, b"\x09\x03ab"))),
    SE.BLOCK: apdu.encode(SetRequestWithDataBlock(0xC9, Block(False, 2, b""))),
    SE.LAST_BLOCK: apdu.encode(SetRequestWithDataBlock(0xC9, Block(True, 2, b"c"))),
    SE.RELEASED: apdu.encode(Rlrq()),
    SE.PROOF_REFUSED: apdu.encode(ActionRequestNormal(0xC1, REPLY_TO_HLS_AUTHENTICATION, data.octet_string(bytes(17)))),
    SE.PROOF_WANTED: apdu.encode(
        Aarq(
            ApplicationContext.LN,
            b"CLI\0\0\0\0\1",
            Mechanism.GMAC,
            CHALLENGE,
            apdu.encode(InitiateRequest(conformance=CLIENT_CONFORMANCE, client_max_receive_pdu_size=64)),
        )
    ),
}


@pytest.mark.parametrize(("state", "event"), list(product(S, SERVER_FRAMES)))
def test_the_server_follows_its_table(state: ServerState, event: ServerEvent) -> None:
    joined = server_in(state)
    assert joined.server.state(17, 1) is state
    frame = SERVER_FRAMES[event]
    if event is SE.TRANSFER_ABORTED and state is S.RECEIVING_BLOCKS:
        frame = apdu.encode(SetRequestWithDataBlock(0xC9, Block(False, 7, b"")))
    joined.server.receive_data(from_client(frame))
    outcome = joined.server.next_event()
    if event is SE.PROOF_REFUSED and state in (S.OPEN, S.SENDING_BLOCKS, S.RECEIVING_BLOCKS):
        assert isinstance(outcome, Discarded)
        event = SE.REQUEST  # after the opening it is a request like any other, and one that nobody may make
    following = SERVER_TABLE.get((state, event))
    assert joined.server.state(17, 1) is (state if following is None else following)
    if following is None:
        assert isinstance(outcome, Discarded)
    answered = joined.server.data_to_send()
    assert bool(answered) is (not isinstance(outcome, Requested))


@pytest.mark.parametrize("state", S)
def test_the_server_notifies_where_its_table_says(state: ServerState) -> None:
    joined = server_in(state)
    if (state, SE.SEND_NOTIFICATION) in SERVER_TABLE:
        assert joined.server.notify(17, 1, DataNotification(1, None, data.null()))
    else:
        with pytest.raises(LocalError):
            joined.server.notify(17, 1, DataNotification(1, None, data.null()))
    assert joined.server.state(17, 1) is state


def test_the_server_refuses_a_late_answer() -> None:
    server = server_of(profile())
    open_request = Aarq(
        ApplicationContext.LN,
        user_information=apdu.encode(InitiateRequest(conformance=CLIENT_CONFORMANCE, client_max_receive_pdu_size=0)),
    )
    server.receive_data(from_client(apdu.encode(open_request)))
    assert isinstance(server.next_event(), AssociationOpened)
    server.receive_data(from_client(apdu.encode(GetRequestNormal(0xC1, NAME))))
    asked = server.next_event()
    requested(asked, Service.GET)
    server.receive_data(from_client(apdu.encode(Rlrq())))
    assert isinstance(server.next_event(), AssociationReleased)
    with pytest.raises(LocalError):
        server.send(Answer(asked.key, (data.null(),)))


def test_an_answer_is_given_once() -> None:
    joined = opened()
    joined.server.receive_data(joined.client.send(Get(NAME)))
    asked = joined.server.next_event()
    requested(asked, Service.GET)
    joined.server.send(Answer(asked.key, (data.null(),)))
    with pytest.raises(LocalError):
        joined.server.send(Answer(asked.key, (data.null(),)))
    with pytest.raises(LocalError):
        joined.server.send(Answer(asked.key._replace(client_wport=99), (data.null(),)))


def test_a_request_without_association_gets_an_exception_response() -> None:
    joined = pair()
    other = opened()
    answer = joined.to_server(other.client.send(Get(NAME)))
    assert isinstance(joined.seen[-1], Discarded)
    (event,) = other.carry_back(answer)
    assert isinstance(event, PeerFault)
    assert event.fault == ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.OPERATION_NOT_POSSIBLE)


def test_an_aarq_on_an_open_association_opens_it_again() -> None:
    joined = opened(Mechanism.GMAC, policy=(True, True))
    after_crash = pair(Mechanism.GMAC, policy=(True, True), first_counter=500)
    after_crash.server = joined.server
    after_crash.ask(Open())
    assert isinstance(after_crash.seen[-1], AssociationOpened)
    assert after_crash.ask(Get(NAME)) == [GetResult(joined.values[NAME], DataAccessResult.SUCCESS)]


def test_refused_says_why_to_us() -> None:
    joined = server_in(S.PROVING)
    joined.server.receive_data(from_client(SERVER_FRAMES[SE.PROOF_REFUSED]))
    event = joined.server.next_event()
    assert isinstance(event, AssociationRefused)
    assert "prove" in event.reason


def test_the_page_of_the_documentation_shows_these_tables() -> None:
    assert (Path(__file__).parents[3] / "docs" / "states.md").read_text() == page()
