"""A client and a server joined in memory, with a small object tree behind the server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ami_dlms import apdu, data
from ami_dlms.apdu.initiate import InitiateRequest
from ami_dlms.association import (
    CLIENT_CONFORMANCE,
    Action,
    ActionOutcome,
    Answer,
    AssociationProfile,
    AttributeAccess,
    Ciphering,
    ClientConnection,
    ClientOutput,
    ClientSettings,
    Get,
    ItemResult,
    Open,
    Request,
    Requested,
    Security,
    ServerConnection,
    ServerOutput,
    Service,
    Set,
    lookup_among,
)
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataAccessResult, Mechanism
from ami_dlms.framing.wrapper import Deframer, WrapperPdu, encode
from ami_dlms.obis import Obis
from ami_dlms.security import GlobalKeys, ReceiveCounter, SendCounter

KEYS = GlobalKeys(bytes(range(16)), bytes(range(0xD0, 0xE0)))
OTHER_KEYS = GlobalKeys(bytes(range(1, 17)), bytes(range(0xD0, 0xE0)))
CLIENT_TITLE = b"CLI\0\0\0\0\1"
SERVER_TITLE = b"MTR\0\0\0\0\2"
PASSWORD = b"12345678"
CHALLENGE = b"K56iVagYK56iVagY"
CLIENT_WPORT, SERVER_WPORT = 1, 17

CLOCK = AttributeDescriptor(8, Obis.parse("0-0:1.0.0*255"), 2)
NAME = AttributeDescriptor(1, Obis.parse("0-0:42.0.0*255"), 2)
LONG = AttributeDescriptor(7, Obis.parse("1-0:99.1.0*255"), 2)
WRITE_ONLY = AttributeDescriptor(15, Obis.parse("0-0:40.0.0*255"), 7)
HIDDEN = AttributeDescriptor(1, Obis.parse("0-0:96.1.9*255"), 2)
DISCONNECT = MethodDescriptor(70, Obis.parse("0-0:96.3.10*255"), 1)
FORBIDDEN = MethodDescriptor(70, Obis.parse("0-0:96.3.10*255"), 2)
UNKNOWN = MethodDescriptor(70, Obis.parse("0-0:96.3.11*255"), 1)


class Rights:
    """What the server of these tests shows and allows."""

    def attribute(self, descriptor: AttributeDescriptor) -> AttributeAccess | None:
        return {
            CLOCK: AttributeAccess.READ | AttributeAccess.WRITE,
            NAME: AttributeAccess.READ,
            LONG: AttributeAccess.READ,
            WRITE_ONLY: AttributeAccess.WRITE,
        }.get(descriptor)

    def method(self, descriptor: MethodDescriptor) -> bool | None:
        return {DISCONNECT: True, FORBIDDEN: False}.get(descriptor)


def security(title: bytes, **changes: Any) -> Security:
    return Security(**({"keys": KEYS, "system_title": title} | changes))


def profile(mechanism: Mechanism = Mechanism.LOWEST, **changes: Any) -> AssociationProfile:
    settings: dict[str, Any] = {
        "client_wport": CLIENT_WPORT,
        "server_wport": SERVER_WPORT,
        "access": Rights(),
        "mechanism": mechanism,
        "secret": PASSWORD,
        "send_counter": SendCounter(1000),
        "receive_counter": ReceiveCounter(1),
    }
    return AssociationProfile(**(settings | changes))


def settings(mechanism: Mechanism = Mechanism.LOWEST, **changes: Any) -> ClientSettings:
    given: dict[str, Any] = {
        "client_wport": CLIENT_WPORT,
        "server_wport": SERVER_WPORT,
        "mechanism": mechanism,
        "secret": PASSWORD,
    }
    return ClientSettings(**(given | changes))


def random_bytes(count: int) -> bytes:
    return bytes(range(100, 100 + count))


def server_of(*profiles: AssociationProfile) -> ServerConnection:
    return ServerConnection(lookup_among(*profiles), random_bytes=random_bytes)


@dataclass
class Pair:
    """Both ends; `values` is what the server holds, `seen` and `got` all events of either side, `wire` all frames."""

    client: ClientConnection
    server: ServerConnection
    portion: int = 0
    values: dict[AttributeDescriptor, Data] = field(
        default_factory=lambda: {
            CLOCK: data.octet_string(bytes(12)),
            NAME: data.octet_string(b"AMI0000000001001"),
            LONG: data.array(*(data.structure(data.long_unsigned(n), data.double_long_unsigned(n)) for n in range(96))),
        }
    )
    seen: list[ServerOutput] = field(default_factory=list)
    got: list[ClientOutput] = field(default_factory=list)
    wire: list[tuple[str, bytes]] = field(default_factory=list)

    def ask(self, request: Request) -> list[ClientOutput]:
        """Send one request and carry octets to and fro until both ends are quiet; the client's events."""
        return self.carry(self.client.send(request))

    def carry(self, octets: bytes) -> list[ClientOutput]:
        before = len(self.got)
        while octets:
            answer = self.to_server(octets)
            octets = self.to_client(answer) if answer else b""
        return self.got[before:]

    def carry_back(self, octets: bytes) -> list[ClientOutput]:
        """Give the client octets and carry on; its events."""
        before = len(self.got)
        answer = self.to_client(octets)
        if answer:
            self.carry(answer)
        return self.got[before:]

    def to_server(self, octets: bytes) -> bytes:
        self.wire.append(("client", octets))
        return feed(self.server, octets, self.portion, self._serve)

    def to_client(self, octets: bytes) -> bytes:
        self.wire.append(("server", octets))
        return feed(self.client, octets, self.portion, self._note)

    def _note(self, event: ClientOutput) -> bytes:
        self.got.append(event)
        return b""

    def _serve(self, event: ServerOutput) -> bytes:
        self.seen.append(event)
        if not isinstance(event, Requested):
            return b""
        return self.server.send(Answer(event.key, tuple(self._do(item) for item in event.items)))

    def _do(self, item: Get | Set | Action) -> ItemResult:
        if isinstance(item, Get):
            return self.values[item.descriptor]
        if isinstance(item, Action):
            return ActionOutcome(ActionResult.SUCCESS, item.parameters)
        self.values[item.descriptor] = item.value
        return DataAccessResult.SUCCESS


def services(joined: Pair) -> list[Service]:
    """Of the requests that reached the server's application, in their order."""
    return [event.service for event in joined.seen if isinstance(event, Requested)]


def requested(event: object, service: Service) -> Requested:
    """A request of this service."""
    assert isinstance(event, Requested)
    assert event.service is service
    return event


def feed(end: Any, octets: bytes, portion: int, react: Any) -> bytes:
    """Give octets to one end in portions (0: all at once); what it answers."""
    step = portion or len(octets)
    answer = b""
    for start in range(0, len(octets), step):
        end.receive_data(octets[start : start + step])
        while True:
            event = end.next_event()
            answer += end.data_to_send()
            if event is None:
                break
            answer += react(event)
    return answer


def pair(
    mechanism: Mechanism = Mechanism.LOWEST,
    *,
    policy: tuple[bool, bool] | None = None,
    ciphering: Ciphering = Ciphering.GENERAL_GLO,
    dedicated_key: bytes | None = None,
    client: dict[str, Any] | None = None,
    server: dict[str, Any] | None = None,
    portion: int = 0,
    first_counter: int = 1,
) -> Pair:
    """Both ends with matching settings; `policy` is (authenticated, encrypted), None without keys."""
    ours: dict[str, Any] = {}
    theirs: dict[str, Any] = {}
    if policy is not None:
        bits = {"authenticated": policy[0], "encrypted": policy[1]}
        ours["security"] = security(CLIENT_TITLE, ciphering=ciphering, **bits)
        theirs["security"] = security(SERVER_TITLE, **bits)
    end = ClientConnection(
        settings(mechanism, **(ours | (client or {}))),
        challenge=CHALLENGE,
        send_counter=SendCounter(first_counter),
        dedicated_key=dedicated_key,
    )
    return Pair(end, server_of(profile(mechanism, **(theirs | (server or {})))), portion)


def opened(mechanism: Mechanism = Mechanism.LOWEST, **changes: Any) -> Pair:
    """A pair whose association is open."""
    joined = pair(mechanism, **changes)
    joined.ask(Open())
    return joined


def pdus(octets: bytes) -> list[WrapperPdu]:
    deframer = Deframer()
    deframer.receive_data(octets)
    found = []
    while (pdu := deframer.next_pdu()) is not None:
        found.append(pdu)
    return found


def from_server(apdu: bytes) -> bytes:
    return encode(WrapperPdu(SERVER_WPORT, CLIENT_WPORT, apdu))


def from_client(apdu: bytes) -> bytes:
    return encode(WrapperPdu(CLIENT_WPORT, SERVER_WPORT, apdu))


def secured(mechanism: Mechanism = Mechanism.GMAC, ciphering: Ciphering = Ciphering.GENERAL_GLO) -> Pair:
    """A pair whose association is open with authenticated encryption."""
    return opened(mechanism, policy=(True, True), ciphering=ciphering)


def receive_counter(joined: Pair) -> ReceiveCounter:
    found = joined.server._profile_of(CLIENT_WPORT, SERVER_WPORT)
    assert found is not None and found.receive_counter is not None
    return found.receive_counter


def altered(octets: bytes, index: int = -1) -> bytes:
    copy = bytearray(octets)
    copy[index] ^= 1
    return bytes(copy)


def initiate(**changes: object) -> bytes:
    given: dict[str, Any] = {"conformance": CLIENT_CONFORMANCE, "client_max_receive_pdu_size": 1000}
    return apdu.encode(InitiateRequest(**(given | changes)))
