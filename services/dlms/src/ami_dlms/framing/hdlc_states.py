"""Both roles' link state machines as data (IEC 62056-46, 6.4.4: normal response mode): (state, event) -> next state.

In normal response mode one end at a time may send: the P bit of the client gives the turn away, the F bit of the server
gives it back. What is not in a table has no place: one of our own events is then a LocalError, the peer's a ProtocolError.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from ami_dlms.framing.hdlc import FrameKind


class ClientLinkState(Enum):
    """The state of the primary station; in READY the turn is ours, in WAITING the server's."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    READY = "ready"
    WAITING = "waiting"
    DISCONNECTING = "disconnecting"


class ClientLinkEvent(Enum):
    """What a client sends (SEND_...) or sees."""

    SEND_CONNECT = "send connect"
    SEND_DISCONNECT = "send disconnect"
    SEND_APDU = "send APDU"
    SEND_UNNUMBERED = "send unnumbered"
    SEND_POLL = "send poll"
    TIMEOUT = "time-out"
    GIVE_UP = "give up"
    ACKNOWLEDGED = "UA"
    DISCONNECTED_MODE = "DM"
    REJECTED = "FRMR"
    INFORMATION = "I"
    READY = "RR"
    NOT_READY = "RNR"
    UNNUMBERED = "UI"
    FINAL = "final"
    SET_MODE = "SNRM"
    DISCONNECT = "DISC"
    UNDEFINED = "undefined"


class ServerLinkState(Enum):
    """The state of the secondary station; in LISTENING the turn is the client's, in ANSWERING ours."""

    DISCONNECTED = "disconnected"
    LISTENING = "listening"
    ANSWERING = "answering"
    REJECTING = "rejecting"


class ServerLinkEvent(Enum):
    """What a server sends (SEND_...) or sees."""

    SEND_APDU = "send APDU"
    SEND_UNNUMBERED = "send unnumbered"
    SEND_FINAL = "send final"
    SEND_REJECT = "send FRMR"
    TIMEOUT = "time-out"
    SET_MODE = "SNRM"
    SET_MODE_REFUSED = "SNRM refused"
    DISCONNECT = "DISC"
    INFORMATION = "I"
    READY = "RR"
    NOT_READY = "RNR"
    UNNUMBERED = "UI"
    UNDEFINED = "undefined"
    POLLED = "polled"
    ACKNOWLEDGED = "UA"
    DISCONNECTED_MODE = "DM"
    REJECTED = "FRMR"


C, CE = ClientLinkState, ClientLinkEvent
S, SE = ServerLinkState, ServerLinkEvent

CLIENT_FRAMES: Mapping[FrameKind, ClientLinkEvent] = {
    FrameKind.I: CE.INFORMATION,
    FrameKind.RR: CE.READY,
    FrameKind.RNR: CE.NOT_READY,
    FrameKind.UA: CE.ACKNOWLEDGED,
    FrameKind.DM: CE.DISCONNECTED_MODE,
    FrameKind.FRMR: CE.REJECTED,
    FrameKind.UI: CE.UNNUMBERED,
    FrameKind.SNRM: CE.SET_MODE,
    FrameKind.DISC: CE.DISCONNECT,
    FrameKind.UNDEFINED: CE.UNDEFINED,
}
SERVER_FRAMES: Mapping[FrameKind, ServerLinkEvent] = {
    FrameKind.I: SE.INFORMATION,
    FrameKind.RR: SE.READY,
    FrameKind.RNR: SE.NOT_READY,
    FrameKind.UA: SE.ACKNOWLEDGED,
    FrameKind.DM: SE.DISCONNECTED_MODE,
    FrameKind.FRMR: SE.REJECTED,
    FrameKind.UI: SE.UNNUMBERED,
    FrameKind.SNRM: SE.SET_MODE,
    FrameKind.DISC: SE.DISCONNECT,
    FrameKind.UNDEFINED: SE.UNDEFINED,
}

# A frame that comes late, or twice, is no mistake: it leaves the state as it is.
CLIENT_LINK_TABLE: Mapping[tuple[ClientLinkState, ClientLinkEvent], ClientLinkState] = {
    (C.DISCONNECTED, CE.SEND_CONNECT): C.CONNECTING,
    (C.CONNECTING, CE.ACKNOWLEDGED): C.READY,
    (C.CONNECTING, CE.DISCONNECTED_MODE): C.DISCONNECTED,
    (C.CONNECTING, CE.SEND_APDU): C.CONNECTING,
    (C.READY, CE.SEND_APDU): C.READY,
    (C.WAITING, CE.SEND_APDU): C.WAITING,
    (C.READY, CE.SEND_POLL): C.WAITING,
    (C.WAITING, CE.SEND_POLL): C.WAITING,
    (C.READY, CE.FINAL): C.READY,
    (C.WAITING, CE.FINAL): C.READY,
    (C.READY, CE.DISCONNECTED_MODE): C.DISCONNECTED,
    (C.WAITING, CE.DISCONNECTED_MODE): C.DISCONNECTED,
    (C.READY, CE.REJECTED): C.DISCONNECTED,
    (C.WAITING, CE.REJECTED): C.DISCONNECTED,
    **{(state, CE.SEND_DISCONNECT): C.DISCONNECTING for state in C if state is not C.DISCONNECTING},
    (C.DISCONNECTING, CE.ACKNOWLEDGED): C.DISCONNECTED,
    (C.DISCONNECTING, CE.DISCONNECTED_MODE): C.DISCONNECTED,
    **{(state, CE.GIVE_UP): C.DISCONNECTED for state in C if state is not C.DISCONNECTED},
    **{(state, CE.TIMEOUT): state for state in C},
    **{(state, CE.SEND_UNNUMBERED): state for state in C},
    **{(state, CE.UNNUMBERED): state for state in C},
    **{(state, event): state for state in C for event in (CE.INFORMATION, CE.READY, CE.NOT_READY)},
    **{(state, CE.ACKNOWLEDGED): state for state in (C.DISCONNECTED, C.READY, C.WAITING)},
    (C.DISCONNECTED, CE.DISCONNECTED_MODE): C.DISCONNECTED,
    **{(state, CE.REJECTED): state for state in (C.DISCONNECTED, C.CONNECTING, C.DISCONNECTING)},
}

SERVER_LINK_TABLE: Mapping[tuple[ServerLinkState, ServerLinkEvent], ServerLinkState] = {
    **{(state, SE.SET_MODE): S.LISTENING for state in S},
    **{(state, SE.SET_MODE_REFUSED): S.DISCONNECTED for state in S},
    **{(state, SE.DISCONNECT): S.DISCONNECTED for state in S},
    **{(state, SE.TIMEOUT): S.DISCONNECTED for state in S},
    **{
        (state, event): state
        for state in S
        for event in (SE.INFORMATION, SE.READY, SE.NOT_READY, SE.UNNUMBERED, SE.UNDEFINED)
    },
    **{(state, SE.SEND_UNNUMBERED): state for state in S},
    (S.LISTENING, SE.POLLED): S.ANSWERING,
    (S.ANSWERING, SE.POLLED): S.ANSWERING,
    (S.LISTENING, SE.SEND_APDU): S.LISTENING,
    (S.ANSWERING, SE.SEND_APDU): S.ANSWERING,
    (S.ANSWERING, SE.SEND_FINAL): S.LISTENING,
    (S.LISTENING, SE.SEND_REJECT): S.REJECTING,
    (S.ANSWERING, SE.SEND_REJECT): S.REJECTING,
    (S.REJECTING, SE.SEND_REJECT): S.REJECTING,
}
