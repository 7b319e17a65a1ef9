"""Both roles' state machines as data (Green Book 9.3.1, 9.4): (state, event) -> next state.

What is not in a table has no place: one of our own events is then a LocalError, one of the peer's a ProtocolError. The
diagrams of the documentation and the exhaustive tests are made from these two dictionaries.
"""

from __future__ import annotations

from collections.abc import Mapping

from ami_dlms.transitions import IdentityEnum


class ClientState(IdentityEnum):
    """The state of a client on its connection."""

    IDLE = "idle"
    OPENING = "opening"
    PROVING = "proving"
    OPEN = "open"
    AWAITING_RESPONSE = "awaiting response"
    AWAITING_BLOCK = "awaiting block"
    SENDING_BLOCKS = "sending blocks"
    RELEASING = "releasing"
    CLOSED = "closed"


class ClientEvent(IdentityEnum):
    """What a client sends (SEND_...) or sees."""

    SEND_OPEN = "send open"
    SEND_REQUEST = "send request"
    SEND_FIRST_BLOCK = "send first block"
    SEND_UNCONFIRMED = "send unconfirmed"
    SEND_CONFIRMATION = "send confirmation"
    SEND_RELEASE = "send release"
    SEND_ABANDON = "send abandon"
    ACCEPTED = "association accepted"
    PROOF_WANTED = "proof wanted"
    REJECTED = "association rejected"
    PROVED = "server proved itself"
    PROOF_REFUSED = "proof refused"
    RESPONSE = "response"
    BLOCK = "block"
    LAST_BLOCK = "last block"
    NEXT_BLOCK_WANTED = "next block wanted"
    LAST_BLOCK_WANTED = "last block wanted"
    RELEASED = "released"
    FAULT = "fault"
    NOTIFICATION = "notification"
    BREACH = "breach"


class ServerState(IdentityEnum):
    """The state of one association of a server."""

    UNASSOCIATED = "unassociated"
    PROVING = "proving"
    OPEN = "open"
    SENDING_BLOCKS = "sending blocks"
    RECEIVING_BLOCKS = "receiving blocks"


class ServerEvent(IdentityEnum):
    """What a server sends (SEND_...) or sees on one association."""

    ACCEPTED = "association accepted"
    PROOF_WANTED = "proof wanted"
    REFUSED = "association refused"
    PROVED = "client proved itself"
    PROOF_REFUSED = "proof refused"
    REQUEST = "request"
    NEXT_BLOCK_WANTED = "next block wanted"
    LAST_BLOCK_WANTED = "last block wanted"
    FIRST_BLOCK = "first block"
    BLOCK = "block"
    LAST_BLOCK = "last block"
    TRANSFER_ABORTED = "transfer aborted"
    RELEASED = "released"
    SEND_ANSWER = "send answer"
    SEND_FIRST_BLOCK = "send first block"
    SEND_NOTIFICATION = "send notification"


C, CE = ClientState, ClientEvent
S, SE = ServerState, ServerEvent

CLIENT_TABLE: Mapping[tuple[ClientState, ClientEvent], ClientState] = {
    (C.IDLE, CE.SEND_OPEN): C.OPENING,
    (C.OPENING, CE.ACCEPTED): C.OPEN,
    (C.OPENING, CE.PROOF_WANTED): C.PROVING,
    (C.OPENING, CE.REJECTED): C.IDLE,
    (C.PROVING, CE.PROVED): C.OPEN,
    (C.PROVING, CE.PROOF_REFUSED): C.IDLE,
    (C.OPEN, CE.SEND_REQUEST): C.AWAITING_RESPONSE,
    (C.AWAITING_RESPONSE, CE.RESPONSE): C.OPEN,
    (C.AWAITING_RESPONSE, CE.BLOCK): C.AWAITING_BLOCK,
    (C.AWAITING_RESPONSE, CE.LAST_BLOCK): C.OPEN,
    (C.AWAITING_RESPONSE, CE.SEND_ABANDON): C.OPEN,
    (C.AWAITING_BLOCK, CE.BLOCK): C.AWAITING_BLOCK,
    (C.AWAITING_BLOCK, CE.LAST_BLOCK): C.OPEN,
    (C.AWAITING_BLOCK, CE.RESPONSE): C.OPEN,
    (C.AWAITING_BLOCK, CE.SEND_ABANDON): C.OPEN,
    (C.OPEN, CE.SEND_FIRST_BLOCK): C.SENDING_BLOCKS,
    (C.SENDING_BLOCKS, CE.NEXT_BLOCK_WANTED): C.SENDING_BLOCKS,
    (C.SENDING_BLOCKS, CE.LAST_BLOCK_WANTED): C.AWAITING_RESPONSE,
    (C.SENDING_BLOCKS, CE.RESPONSE): C.OPEN,
    (C.SENDING_BLOCKS, CE.SEND_ABANDON): C.OPEN,
    (C.OPEN, CE.SEND_UNCONFIRMED): C.OPEN,
    **{
        (state, CE.SEND_CONFIRMATION): state
        for state in (C.OPEN, C.AWAITING_RESPONSE, C.AWAITING_BLOCK, C.SENDING_BLOCKS)
    },
    (C.OPEN, CE.SEND_RELEASE): C.RELEASING,
    (C.RELEASING, CE.RELEASED): C.IDLE,
    (C.IDLE, CE.FAULT): C.IDLE,
    (C.OPENING, CE.FAULT): C.IDLE,
    (C.PROVING, CE.FAULT): C.IDLE,
    (C.OPEN, CE.FAULT): C.OPEN,
    (C.AWAITING_RESPONSE, CE.FAULT): C.OPEN,
    (C.AWAITING_BLOCK, CE.FAULT): C.OPEN,
    (C.SENDING_BLOCKS, CE.FAULT): C.OPEN,
    (C.RELEASING, CE.FAULT): C.IDLE,
    **{(state, CE.NOTIFICATION): state for state in C if state is not C.CLOSED},
    **{(state, CE.BREACH): C.CLOSED for state in C},
}

SERVER_TABLE: Mapping[tuple[ServerState, ServerEvent], ServerState] = {
    **{(state, SE.ACCEPTED): S.OPEN for state in S},
    **{(state, SE.PROOF_WANTED): S.PROVING for state in S},
    **{(state, SE.REFUSED): S.UNASSOCIATED for state in S},
    (S.PROVING, SE.PROVED): S.OPEN,
    (S.PROVING, SE.PROOF_REFUSED): S.UNASSOCIATED,
    (S.OPEN, SE.REQUEST): S.OPEN,
    (S.OPEN, SE.SEND_ANSWER): S.OPEN,
    (S.OPEN, SE.SEND_FIRST_BLOCK): S.SENDING_BLOCKS,
    (S.SENDING_BLOCKS, SE.NEXT_BLOCK_WANTED): S.SENDING_BLOCKS,
    (S.SENDING_BLOCKS, SE.LAST_BLOCK_WANTED): S.OPEN,
    (S.SENDING_BLOCKS, SE.TRANSFER_ABORTED): S.OPEN,
    (S.SENDING_BLOCKS, SE.REQUEST): S.OPEN,
    (S.SENDING_BLOCKS, SE.SEND_ANSWER): S.SENDING_BLOCKS,
    (S.SENDING_BLOCKS, SE.SEND_FIRST_BLOCK): S.SENDING_BLOCKS,
    **{(state, SE.FIRST_BLOCK): S.RECEIVING_BLOCKS for state in (S.OPEN, S.SENDING_BLOCKS, S.RECEIVING_BLOCKS)},
    (S.RECEIVING_BLOCKS, SE.BLOCK): S.RECEIVING_BLOCKS,
    (S.RECEIVING_BLOCKS, SE.LAST_BLOCK): S.OPEN,
    (S.RECEIVING_BLOCKS, SE.TRANSFER_ABORTED): S.OPEN,
    (S.RECEIVING_BLOCKS, SE.REQUEST): S.OPEN,
    (S.RECEIVING_BLOCKS, SE.SEND_ANSWER): S.RECEIVING_BLOCKS,
    (S.RECEIVING_BLOCKS, SE.SEND_FIRST_BLOCK): S.SENDING_BLOCKS,
    **{(state, SE.SEND_NOTIFICATION): state for state in (S.OPEN, S.SENDING_BLOCKS, S.RECEIVING_BLOCKS)},
    **{(state, SE.RELEASED): S.UNASSOCIATED for state in S if state is not S.UNASSOCIATED},
}
