"""Published examples and a recorded session, octet for octet, through the two connections."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from in_memory import Rights, from_client, from_server, pdus, requested

from ami_dlms import apdu, data
from ami_dlms.apdu.get import GetResponseNormal
from ami_dlms.apdu.initiate import InitiateResponse
from ami_dlms.association import (
    Answer,
    AssociationOpened,
    AssociationProfile,
    AssociationRefused,
    AssociationReleased,
    Ciphering,
    ClientConnection,
    ClientSettings,
    Get,
    GetResult,
    Open,
    Opened,
    OpenRefused,
    Release,
    Released,
    Requested,
    Security,
    ServerConnection,
    Service,
    lookup_among,
)
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.enums import ApduTag, Conformance, DataAccessResult, Mechanism
from ami_dlms.obis import Obis
from ami_dlms.security import GlobalKeys, ReceiveCounter, SendCounter

FOLDER = Path(__file__).parent.parent / "security"
VECTORS = {v["id"]: v for v in json.loads((FOLDER / "vectors.json").read_text())}
CLOCK = AttributeDescriptor(8, Obis.parse("0-0:1.0.0*255"), 2)
SESSION_KEYS = GlobalKeys(*[bytes.fromhex("00112233445566778899AABBCCDDEEFF")] * 2)
CLIENT_TITLE = bytes.fromhex("4349520000000001")
SERVER_TITLE = bytes.fromhex("4C475A2022604828")
DEDICATED_KEY = bytes.fromhex("5E168412318BA71848C99B2B2AB33294")
NOW = data.octet_string(bytes.fromhex("07E7020F0311371500800000"))
GREEN_BOOK_KEYS = GlobalKeys(
    bytes.fromhex("000102030405060708090A0B0C0D0E0F"), bytes.fromhex("D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF")
)
GREEN_BOOK_TITLE = bytes.fromhex("4D4D4D0000BC614E")


class Scripted(SendCounter):
    """Counter values as they were recorded: the recorded ends counted each key by itself."""

    def __init__(self, *values: int) -> None:
        super().__init__(0)
        self._values = list(values)

    def take(self) -> int:
        return self._values.pop(0)


class ClockOnly:
    """Shows the clock and nothing else."""

    attribute = Rights().attribute

    def method(self, descriptor: object) -> None:
        return None


def octets(name: str) -> bytes:
    return bytes.fromhex(VECTORS[name]["hex"])


def session_security(title: bytes) -> Security:
    return Security(keys=SESSION_KEYS, system_title=title, ciphering=Ciphering.SERVICE_SPECIFIC)


def test_recorded_session_from_the_client() -> None:
    settings = ClientSettings(
        client_wport=1,
        server_wport=17,
        mechanism=Mechanism.LOW,
        secret=b"JuS66BCZ",
        security=session_security(CLIENT_TITLE),
        conformance=Conformance(0x00181F),
        max_receive_pdu_size=0x0200,
    )
    counter = Scripted(0x59, 1, 0x5A)
    client = ClientConnection(settings, send_counter=counter, dedicated_key=DEDICATED_KEY)
    assert client.send(Open()) == from_client(octets("sess_aarq"))
    client.receive_data(from_server(octets("sess_aare")))
    assert client.next_event() == Opened(Conformance(0x00181F), 0x00FA, SERVER_TITLE)
    assert client.send(Get(CLOCK)) == from_client(octets("sess_ded_get_request"))
    client.receive_data(from_server(octets("sess_ded_get_response")))
    assert client.next_event() == GetResult(NOW, DataAccessResult.SUCCESS)
    assert client.send(Release()) == from_client(octets("sess_rlrq"))
    client.receive_data(from_server(octets("sess_rlre")))
    assert client.next_event() == Released()


def test_recorded_session_from_the_server() -> None:
    profile = AssociationProfile(
        client_wport=1,
        server_wport=17,
        access=ClockOnly(),
        mechanism=Mechanism.LOW,
        secret=b"JuS66BCZ",
        security=session_security(SERVER_TITLE),
        send_counter=Scripted(0x5A, 1, 0x5B),
        receive_counter=ReceiveCounter(0x59),
        conformance=Conformance(0x00181F),
        max_receive_pdu_size=0x00FA,
    )
    server = ServerConnection(lookup_among(profile), random_bytes=bytes)
    server.receive_data(from_client(octets("sess_aarq")))
    assert server.next_event() == AssociationOpened(profile, CLIENT_TITLE)
    assert server.data_to_send() == from_server(octets("sess_aare"))
    server.receive_data(from_client(octets("sess_ded_get_request")))
    asked = server.next_event()
    requested(asked, Service.GET)
    assert asked.items == (Get(CLOCK),)
    assert server.send(Answer(asked.key, (NOW,))) == from_server(octets("sess_ded_get_response"))
    server.receive_data(from_client(octets("sess_rlrq")))
    assert server.next_event() == AssociationReleased(profile)
    assert server.data_to_send() == from_server(octets("sess_rlre"))


def green_book_server(mechanism: Mechanism, *, ciphered: bool = False, **changes: Any) -> ServerConnection:
    security = Security(keys=GREEN_BOOK_KEYS, system_title=b"SRV00001", authenticated=ciphered, encrypted=ciphered)
    profile = AssociationProfile(
        client_wport=1,
        server_wport=17,
        access=ClockOnly(),
        mechanism=mechanism,
        secret=b"12345678",
        security=security if ciphered else None,
        send_counter=SendCounter(1),
        receive_counter=ReceiveCounter(0),
        conformance=Conformance(0x00501F),
        max_receive_pdu_size=500,
        **changes,
    )
    return ServerConnection(lookup_among(profile), random_bytes=bytes)


@pytest.mark.parametrize(("aarq", "mechanism"), [("gb_aarq_lowest", Mechanism.LOWEST), ("gb_aarq_lls", Mechanism.LOW)])
def test_published_aarq_and_aare(aarq: str, mechanism: Mechanism) -> None:
    server = green_book_server(mechanism)
    server.receive_data(from_client(octets(aarq)))
    assert isinstance(server.next_event(), AssociationOpened)
    assert server.data_to_send() == from_server(octets("gb_aare_ok"))


def test_published_ciphered_aarq() -> None:
    server = green_book_server(Mechanism.LOW, ciphered=True)
    server.receive_data(from_client(octets("gb_aarq_ciphered_lls")))
    opened = server.next_event()
    assert isinstance(opened, AssociationOpened)
    assert opened.client_system_title == GREEN_BOOK_TITLE


def test_published_ciphered_aarq_cut_anywhere_is_refused() -> None:
    whole = octets("gb_aarq_ciphered_lls")
    for end in range(1, len(whole)):
        server = green_book_server(Mechanism.LOW, ciphered=True)
        server.receive_data(from_client(whole[:end]))
        assert not isinstance(server.next_event(), AssociationOpened)


@pytest.mark.parametrize(
    ("name", "authenticated", "encrypted"),
    [("gb_glo_get_auth", True, False), ("gb_glo_get_enc", False, True), ("gb_glo_get_authenc", True, True)],
)
@pytest.mark.parametrize("bad", [False, True])
def test_published_ciphered_get(name: str, authenticated: bool, encrypted: bool, bad: bool) -> None:
    if bad and not authenticated:
        return
    security = Security(
        keys=GREEN_BOOK_KEYS, system_title=b"SRV00001", authenticated=authenticated, encrypted=encrypted
    )
    counter = ReceiveCounter(0)
    profile = AssociationProfile(
        client_wport=1,
        server_wport=17,
        access=ClockOnly(),
        security=security,
        send_counter=SendCounter(1),
        receive_counter=counter,
    )
    server = ServerConnection(lookup_among(profile), random_bytes=bytes)
    mine = Security(
        keys=GREEN_BOOK_KEYS, system_title=GREEN_BOOK_TITLE, authenticated=authenticated, encrypted=encrypted
    )
    client = ClientConnection(
        ClientSettings(client_wport=1, server_wport=17, security=mine), send_counter=SendCounter(0)
    )
    server.receive_data(client.send(Open()))
    assert isinstance(server.next_event(), AssociationOpened)
    server.receive_data(from_client(octets(name + ("_badtag" if bad else ""))))
    event = server.next_event()
    assert isinstance(event, Requested) is not bad
    assert counter.lowest_acceptable == (1 if bad else 0x01234568)


def test_published_refusals() -> None:
    settings = ClientSettings(client_wport=1, server_wport=17)
    for name, words in (
        ("gb_aare_ctx_rejected", "application-context-name-not-supported"),
        ("gb_aare_version_too_low", "dlms-version-too-low"),
    ):
        client = ClientConnection(settings)
        client.send(Open())
        client.receive_data(from_server(octets(name)))
        event = client.next_event()
        assert isinstance(event, OpenRefused)
        assert words in event.reason


def test_published_hls_aarq_is_asked_for_its_proof() -> None:
    security = Security(
        keys=GREEN_BOOK_KEYS,
        system_title=b"SRV00001",
        peer_system_title=bytes.fromhex("4D4D4D0000000001"),
        authenticated=False,
        encrypted=False,
    )
    profile = AssociationProfile(
        client_wport=1,
        server_wport=17,
        access=ClockOnly(),
        mechanism=Mechanism.GMAC,
        security=security,
        send_counter=SendCounter(1),
        receive_counter=ReceiveCounter(0),
    )
    server = ServerConnection(lookup_among(profile), random_bytes=lambda count: b"P6wRJ21F")
    server.receive_data(from_client(octets("gb_aarq_hls5")))
    assert server.next_event() is None
    aare = pdus(server.data_to_send())[0].apdu
    assert b"P6wRJ21F" in aare
    proof = bytes.fromhex("C301C1000F0000280000FF01010911") + octets("gb_hls5_fStoC")
    server.receive_data(from_client(proof))
    assert isinstance(server.next_event(), AssociationOpened)


def test_published_hls_aarq_without_any_known_title_is_refused() -> None:
    server = green_book_server(Mechanism.LOW, ciphered=True)
    server.receive_data(from_client(octets("gb_aarq_hls5")))
    assert isinstance(server.next_event(), AssociationRefused)


def test_recorded_plaintexts_mean_what_they_should() -> None:
    response = apdu.decode(bytes.fromhex(VECTORS["sess_ded_get_response"]["expected_plaintext"]))
    assert response == GetResponseNormal(0xC1, NOW)
    initiate = apdu.decode(bytes.fromhex(VECTORS["sess_aare"]["expected_plaintext"]))
    assert isinstance(initiate, InitiateResponse)
    assert octets("sess_ded_get_request")[0] == ApduTag.DED_GET_REQUEST
