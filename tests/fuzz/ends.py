"""What the fuzzer feeds to both ends of an association, from every stage: in clear, and under the right keys.

An input is an octet that chooses mechanism, policy and stage, and then messages (`chunks`). The first octet of each message
says how it travels: as it is in the stream, in the wrapper, or protected with the keys and counters of its sender, because no
fuzzer finds a tag. Out of a client come only DlmsErrors, out of a server nothing; a server in good order serves the next one.
"""

from __future__ import annotations

from typing import Any

from chunks import chunks
from in_memory import (
    CLIENT_WPORT,
    CLOCK,
    DISCONNECT,
    LONG,
    NAME,
    SERVER_WPORT,
    Pair,
    from_client,
    from_server,
    pair,
)

from dlms import data
from dlms.association import (
    Action,
    ActionList,
    ClientState,
    Get,
    GetList,
    GetResult,
    Open,
    Opened,
    Release,
    Set,
    SetList,
)
from dlms.association.protection import Form, Protection, Wrapping
from dlms.association.settings import LN_CONFORMANCE
from dlms.enums import Mechanism
from dlms.errors import DlmsError

MOST = 1 << 20
KEY = bytes(range(16))
AGREED: list[dict[str, Any]] = [
    {},
    {"mechanism": Mechanism.LOW},
    {"mechanism": Mechanism.SHA1},
    {"mechanism": Mechanism.GMAC, "policy": (False, False)},
    {"mechanism": Mechanism.GMAC, "policy": (True, True)},
    {"mechanism": Mechanism.GMAC, "policy": (True, True), "dedicated_key": KEY},
    {"mechanism": Mechanism.LOW, "policy": (True, False)},
    {"policy": (False, True)},
]
SERVER_STAGES = ("new", "proving", "open")
REQUESTS = (
    Open(),
    Get(NAME),
    Set(CLOCK, data.octet_string(bytes(200))),
    Action(DISCONNECT, data.octet_string(bytes(200))),
    GetList((Get(NAME), Get(LONG))),
    SetList((Set(CLOCK, data.octet_string(bytes(120))), Set(CLOCK, data.null()))),
    ActionList((Action(DISCONNECT, data.octet_string(bytes(120))), Action(DISCONNECT))),
    Release(),
)
WRAPPINGS = tuple(Wrapping)
WAYS = len(WRAPPINGS) + 1
CONTROLS = (0x30, 0x10, 0x20, 0x70, 0x31)
LIMITS = {"conformance": LN_CONFORMANCE, "max_receive_pdu_size": 128}


def agreed(octet: int) -> Pair:
    """Two ends that fit together, before anything is sent."""
    return pair(**AGREED[octet % len(AGREED)], client=LIMITS, server=LIMITS)


def ways(octet: int) -> tuple[int, ...]:
    """The first octets of messages that travel as they should under an agreement."""
    kind = AGREED[octet % len(AGREED)]
    if not any(kind.get("policy", ())):
        return (0,)
    usual = (Wrapping.GENERAL_DED, Wrapping.DED) if "dedicated_key" in kind else (Wrapping.GENERAL_GLO, Wrapping.GLO)
    control = CONTROLS.index(kind["policy"][0] << 4 | kind["policy"][1] << 5)
    return tuple(WRAPPINGS.index(one) + WAYS * control for one in usual)


def server(octets: bytes) -> None:
    """A server before what any client may send; afterwards it serves the next client, unless it has hung up."""
    if not octets:
        return
    joined, stage = agreed(octets[0]), SERVER_STAGES[octets[0] // len(AGREED) % len(SERVER_STAGES)]
    opening = joined.client.send(Open())
    if stage == "proving":
        joined.to_server(opening)
    elif stage == "open":
        joined.carry(opening)
    said, framed = 0, True
    for chunk in chunks(octets[1:]):
        sent = travelling(chunk, joined.client._protection, from_client)
        said += len(joined.to_server(sent)) if sent else 0
        framed &= not raw(chunk)
    assert said < MOST
    if framed and not joined.server.closed:
        serves(joined)


def serves(joined: Pair) -> None:
    """A client that knows the secrets gets in and gets what it asks for."""
    association = joined.server._associations[SERVER_WPORT, CLIENT_WPORT]
    counter = association.profile.receive_counter
    assert counter is not None
    if counter.lowest_acceptable > 0xFFFF0000:
        return  # a genuine frame has used the counter up
    name = next(one for one in AGREED if matches(one, association.profile))
    new = pair(**name, client=LIMITS, first_counter=counter.lowest_acceptable)
    new.server, new.values = joined.server, joined.values
    assert any(isinstance(event, Opened) for event in new.ask(Open()))
    assert any(isinstance(event, GetResult) and event.value for event in new.ask(Get(NAME)))


def matches(kind: dict[str, Any], held: Any) -> bool:
    security = held.security
    policy = None if security is None else (security.authenticated, security.encrypted)
    return (kind.get("mechanism", Mechanism.LOWEST), kind.get("policy")) == (held.mechanism, policy)


def client(octets: bytes) -> None:
    """A client that waits for the answer to any of its requests."""
    if not octets:
        return
    joined, request = agreed(octets[0]), REQUESTS[octets[0] // len(AGREED) % len(REQUESTS)]
    association = joined.server._associations[SERVER_WPORT, CLIENT_WPORT]
    if isinstance(request, Open):
        joined.client.send(request)
    else:
        joined.ask(Open())
        joined.client.send(request)
    said = 0
    for chunk in chunks(octets[1:]):
        joined.client.receive_data(travelling(chunk, association._protection, from_server))
        said += drained(joined)
    assert said < MOST


def drained(joined: Pair) -> int:
    """Octets that the client wants to send after it has read everything."""
    try:
        while joined.client.next_event() is not None:
            pass
    except DlmsError:
        assert joined.client.state is ClientState.CLOSED
        assert joined.client.next_event() is None
        assert joined.client.data_to_send() == b""
    return len(joined.client.data_to_send())


def travelling(chunk: bytes, protection: Protection | None, framed: Any) -> bytes:
    """A message as it comes out of the wire."""
    if not chunk:
        return b""
    how, text = chunk[0], chunk[1:]
    if raw(chunk) or not text:
        return text
    if protection is not None:
        form = Form(WRAPPINGS[how % WAYS], CONTROLS[how // WAYS % len(CONTROLS)])
        try:
            text = protection.protect(text, form)
        except DlmsError:
            return b""  # this message can't travel in this way
    return bytes(framed(text))


def raw(chunk: bytes) -> bool:
    """Whether a message goes into the stream as it is, without a wrapper."""
    return bool(chunk) and chunk[0] % WAYS == len(WRAPPINGS)
