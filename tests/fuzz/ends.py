"""What the fuzzer feeds to both ends of an association, from every stage: unencrypted, and under the right keys.

An input is an octet that chooses mechanism, policy and stage, and then messages (`chunks`). The first octet of each message
says how it travels: as it is in the stream, in the wrapper, or protected with the keys and counters of its sender, because no
fuzzer finds a tag. Out of a client come only DlmsErrors, out of a server nothing; a server in good order serves the next one.
"""

from __future__ import annotations

from contextlib import suppress
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
    receive_counter,
)

from ami_dlms import data
from ami_dlms.association import (
    Access,
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
    Unconfirmed,
)
from ami_dlms.association.protection.apdu_protection import ApduProtection, CipheringKind
from ami_dlms.association.protection.association_protection import AssociationProtection
from ami_dlms.association.settings import LN_CONFORMANCE, SN_CONFORMANCE
from ami_dlms.cosem.short_names import NamedObject, ShortNames
from ami_dlms.enums import Mechanism
from ami_dlms.errors import DlmsError, LocalError
from ami_dlms.obis import Obis

MOST = 1 << 20
ONE_IN = 3
"""After every so many inputs a server has to serve somebody else: doing it each time would halve the speed."""
LAST_COUNTERS = 0xFFFF0000
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
    {"named": True},
    {"named": True, "mechanism": Mechanism.GMAC, "policy": (True, True)},
]
NAMES = ShortNames(
    [
        NamedObject(0x0100, 8, 0, CLOCK.instance_id),
        NamedObject(0x0200, 1, 0, NAME.instance_id),
        NamedObject(0x0300, 7, 1, LONG.instance_id),
        NamedObject(0x0600, 70, 0, DISCONNECT.instance_id),
        NamedObject(0xFA00, 12, 3, Obis.parse("0-0:40.0.0*255")),
    ]
)
LIMITS = {
    False: {"conformance": LN_CONFORMANCE, "max_receive_pdu_size": 128},
    True: {"conformance": SN_CONFORMANCE, "max_receive_pdu_size": 128, "short_names": NAMES},
}
SERVER_STAGES = ("new", "proving", "open")
REQUESTS = (
    Open(),
    Get(NAME),
    Set(CLOCK, data.octet_string(bytes(200))),
    Action(DISCONNECT, data.octet_string(bytes(200))),
    GetList((Get(NAME), Get(LONG))),
    SetList((Set(CLOCK, data.octet_string(bytes(120))), Set(CLOCK, data.null()))),
    ActionList((Action(DISCONNECT, data.octet_string(bytes(120))), Action(DISCONNECT))),
    Access((Get(NAME), Set(CLOCK, data.null()), Action(DISCONNECT))),
    Unconfirmed(Set(CLOCK, data.null())),
    Release(),
)
KINDS = tuple(CipheringKind)
WAYS = len(KINDS) + 1
CONTROLS = (0x30, 0x10, 0x20, 0x70, 0x31)


def agreed(octet: int, first_counter: int = 1) -> Pair:
    """Two ends that fit together, before anything is sent; the octet chooses what they agree on."""
    kind = dict(AGREED[octet % len(AGREED)])
    limits = LIMITS[kind.pop("named", False)]
    return pair(**kind, client=limits, server=limits, first_counter=first_counter)


def ways(octet: int) -> tuple[int, ...]:
    """The first octets of messages that travel as they should under an agreement."""
    kind = AGREED[octet % len(AGREED)]
    if not any(kind.get("policy", ())):
        return (0,)
    usual = (
        (CipheringKind.GENERAL_DED, CipheringKind.DED)
        if "dedicated_key" in kind
        else (CipheringKind.GENERAL_GLO, CipheringKind.GLO)
    )
    control = CONTROLS.index(kind["policy"][0] << 4 | kind["policy"][1] << 5)
    return tuple(KINDS.index(one) + WAYS * control for one in usual)


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
    if framed and not joined.server.closed and sum(octets) % ONE_IN == 0:
        serves(joined, octets[0])


def serves(joined: Pair, octet: int) -> None:
    """A client that knows the secrets gets in and gets what it asks for."""
    counter = receive_counter(joined)
    if counter.lowest_acceptable > LAST_COUNTERS:
        return  # a genuine frame has used the counter up
    new = agreed(octet, counter.lowest_acceptable)
    new.server, new.values = joined.server, joined.values
    assert any(isinstance(event, Opened) for event in new.ask(Open()))
    assert any(isinstance(event, GetResult) and event.value for event in new.ask(Get(NAME)))


def client(octets: bytes) -> None:
    """A client that waits for the answer to any of its requests."""
    if not octets:
        return
    joined, request = agreed(octets[0]), REQUESTS[octets[0] // len(AGREED) % len(REQUESTS)]
    association = joined.server._association(SERVER_WPORT, CLIENT_WPORT)
    assert association is not None
    if isinstance(request, Open):
        joined.client.send(request)
    else:
        joined.ask(Open())
        with suppress(LocalError):  # with short names there is no ACCESS
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


def travelling(chunk: bytes, protection: AssociationProtection | None, framed: Any) -> bytes:
    """A message as it comes out of the wire."""
    if not chunk:
        return b""
    how, text = chunk[0], chunk[1:]
    if raw(chunk) or not text:
        return text
    if protection is not None:
        usual = ApduProtection(KINDS[how % WAYS], CONTROLS[how // WAYS % len(CONTROLS)])
        try:
            text = protection.protect(text, usual)
        except DlmsError:
            return b""  # this message can't travel in this way
    return bytes(framed(text))


def raw(chunk: bytes) -> bool:
    """Whether a message goes into the stream as it is, without a wrapper."""
    return bool(chunk) and chunk[0] % WAYS == len(KINDS)
