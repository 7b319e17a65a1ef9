"""Every authentication mechanism at both ends: who is let in, who is not, and what the settings must hold."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from in_memory import (
    CHALLENGE,
    CLIENT_TITLE,
    CLIENT_WPORT,
    NAME,
    PASSWORD,
    SERVER_TITLE,
    SERVER_WPORT,
    Pair,
    from_client,
    from_server,
    initiate,
    pdus,
    profile,
    security,
    server_of,
    settings,
)

from ami_dlms import apdu, data
from ami_dlms.apdu.acse import Aare, Aarq, Diagnostic
from ami_dlms.apdu.action import ActionRequestNormal
from ami_dlms.apdu.initiate import InitiateResponse
from ami_dlms.association import (
    CLIENT_CONFORMANCE,
    AssociationOpened,
    AssociationRefused,
    ClientConnection,
    ClientState,
    Get,
    GetResult,
    Open,
    Opened,
    OpenRefused,
    Security,
    ServerState,
)
from ami_dlms.enums import (
    AcseServiceUserDiagnostic,
    ApplicationContext,
    AssociationResult,
    DataAccessResult,
    Mechanism,
)
from ami_dlms.errors import LocalError, SecurityError
from ami_dlms.security import (
    AsymmetricKeys,
    Challenges,
    GlobalKeys,
    PrivateKey,
    PublicKey,
    ReceiveCounter,
    SendCounter,
)
from ami_dlms.security.hls import HLS

USER = AcseServiceUserDiagnostic
KEY_LENGTH = {1: 16, 2: 32}
CURVE_LENGTH = {1: 32, 2: 48}
DIGESTS = (Mechanism.MD5, Mechanism.SHA1)
LONG_CHALLENGE = b"K56iVagY" * 4


def reversed_challenge(secret: bytes, exchange: Challenges) -> bytes:
    """A manufacturer's own idea of a proof."""
    return hashlib.sha256(secret + exchange.challenge[::-1]).digest()


def private(suite: int, number: int) -> PrivateKey:
    return PrivateKey(number.to_bytes(CURVE_LENGTH[suite], "big"))


def signing(suite: int, own: int, peer: int, title: bytes, **changes: Any) -> Security:
    """Suite 1 or 2 with signing keys made of small numbers."""
    keys = GlobalKeys(b"e" * KEY_LENGTH[suite], b"a" * KEY_LENGTH[suite])
    asymmetric = AsymmetricKeys(signing=private(suite, own), peer_signing=private(suite, peer).public_key)
    return security(title, **({"suite": suite, "keys": keys, "asymmetric": asymmetric} | changes))


def joined_by(
    mechanism: Mechanism, ciphered: bool = True, suite: int = 1, client: dict[str, Any] | None = None
) -> Pair:
    """Both ends with what the mechanism needs; `client` replaces settings of the client."""
    ours: dict[str, Any] = {"manufacturer_proof": reversed_challenge} if mechanism is Mechanism.HIGH else {}
    theirs = dict(ours)
    policy = {"authenticated": ciphered, "encrypted": ciphered}
    if mechanism is Mechanism.ECDSA:
        ours["security"] = signing(suite, 5, 7, CLIENT_TITLE, **policy)
        theirs["security"] = signing(suite, 7, 5, SERVER_TITLE, **policy)
    elif ciphered or mechanism in (Mechanism.GMAC, Mechanism.SHA256):
        ours["security"] = security(CLIENT_TITLE, **policy)
        theirs["security"] = security(SERVER_TITLE, **policy)
    end = ClientConnection(
        settings(mechanism, **(ours | (client or {}))), challenge=LONG_CHALLENGE, send_counter=SendCounter(1)
    )
    return Pair(end, server_of(profile(mechanism, **theirs)))


@pytest.mark.parametrize("ciphered", [True, False])
@pytest.mark.parametrize("mechanism", sorted(HLS))
def test_both_ends_prove_themselves(mechanism: Mechanism, ciphered: bool) -> None:
    joined = joined_by(mechanism, ciphered)
    (event,) = joined.ask(Open())
    assert isinstance(event, Opened)
    assert isinstance(joined.seen[-1], AssociationOpened)
    assert joined.ask(Get(NAME)) == [GetResult(joined.values[NAME], DataAccessResult.SUCCESS)]
    shown = repr([joined.client, joined.server, joined.client._settings, joined.seen, joined.got])
    assert repr(PASSWORD)[2:-1] not in shown


@pytest.mark.parametrize("suite", [1, 2])
def test_ecdsa_in_both_suites(suite: int) -> None:
    joined = joined_by(Mechanism.ECDSA, suite=suite)
    (event,) = joined.ask(Open())
    assert isinstance(event, Opened)
    assert joined.ask(Get(NAME)) == [GetResult(joined.values[NAME], DataAccessResult.SUCCESS)]


@pytest.mark.parametrize(
    ("mechanism", "wrong"),
    [
        (Mechanism.MD5, {"secret": b"12345679"}),
        (Mechanism.SHA1, {"secret": b"12345679"}),
        (Mechanism.SHA256, {"secret": b"12345679"}),
        (Mechanism.HIGH, {"secret": b"12345679"}),
        (Mechanism.HIGH, {"manufacturer_proof": lambda secret, exchange: b""}),
        (Mechanism.ECDSA, {"security": signing(1, 6, 7, CLIENT_TITLE)}),
    ],
)
def test_who_does_not_know_the_secret_is_refused(mechanism: Mechanism, wrong: dict[str, Any]) -> None:
    joined = joined_by(mechanism, client=wrong)
    (event,) = joined.ask(Open())
    assert isinstance(event, OpenRefused)
    assert event.diagnostic == USER.AUTHENTICATION_FAILURE
    refused = joined.seen[-1]
    assert isinstance(refused, AssociationRefused)
    assert refused.reason == "the client did not prove that it knows the keys"
    assert joined.client.state is ClientState.IDLE
    assert joined.server.state(SERVER_WPORT, CLIENT_WPORT) is ServerState.UNASSOCIATED


def test_a_server_with_another_signing_key_is_left() -> None:
    joined = joined_by(Mechanism.ECDSA, client={"security": signing(1, 5, 8, CLIENT_TITLE)})
    with pytest.raises(SecurityError, match="did not prove"):
        joined.ask(Open())
    assert joined.client.closed


def server_that_echoes(mechanism: Mechanism, proof: bytes) -> tuple[ClientConnection, bytes]:
    """A client in the middle of its proof, and a server's answer to it that holds `proof`."""
    given: dict[str, Any] = {"manufacturer_proof": reversed_challenge} if mechanism is Mechanism.HIGH else {}
    client = ClientConnection(settings(mechanism, **given), challenge=CHALLENGE)
    client.send(Open())
    wanted = Diagnostic.user(USER.AUTHENTICATION_REQUIRED)
    response = apdu.encode(InitiateResponse(conformance=CLIENT_CONFORMANCE, server_max_receive_pdu_size=0))
    aare = Aare(ApplicationContext.LN, AssociationResult.ACCEPTED, wanted, None, mechanism, b"challenge", response)
    client.receive_data(from_server(apdu.encode(aare)))
    assert client.next_event() is None
    (asked,) = pdus(client.data_to_send())
    message = apdu.decode(asked.apdu)
    assert isinstance(message, ActionRequestNormal)
    assert message.parameters is not None
    answer = bytes((199, 1, message.invoke_id_and_priority, 0, 1, 0)) + data.encode(data.octet_string(proof))
    return client, answer


@pytest.mark.parametrize("mechanism", [*DIGESTS, Mechanism.HIGH])
@pytest.mark.parametrize("proof", [b"", bytes(16), bytes(20), bytes(32)])
def test_a_server_without_the_secret_is_left(mechanism: Mechanism, proof: bytes) -> None:
    client, answer = server_that_echoes(mechanism, proof)
    client.receive_data(from_server(answer))
    with pytest.raises(SecurityError, match="did not prove"):
        client.next_event()


@pytest.mark.parametrize("mechanism", DIGESTS)
def test_the_clients_own_proof_sent_back_proves_nothing(mechanism: Mechanism) -> None:
    made = hashlib.new(mechanism.name.lower(), b"challenge" + PASSWORD, usedforsecurity=False).digest()
    client, answer = server_that_echoes(mechanism, made)
    client.receive_data(from_server(answer))
    with pytest.raises(SecurityError, match="did not prove"):
        client.next_event()


@pytest.mark.parametrize("mechanism", sorted(HLS))
def test_our_own_challenge_sent_back_is_refused(mechanism: Mechanism) -> None:
    client = joined_by(mechanism, ciphered=False).client
    client.send(Open())
    aare = Aare(
        ApplicationContext.LN,
        AssociationResult.ACCEPTED,
        Diagnostic.user(USER.AUTHENTICATION_REQUIRED),
        SERVER_TITLE,
        mechanism,
        LONG_CHALLENGE,
        apdu.encode(InitiateResponse(conformance=CLIENT_CONFORMANCE, server_max_receive_pdu_size=0)),
    )
    client.receive_data(from_server(apdu.encode(aare)))
    with pytest.raises(SecurityError, match="our own challenge"):
        client.next_event()


@pytest.mark.parametrize(("offered", "wanted"), [(Mechanism.MD5, Mechanism.SHA1), (Mechanism.SHA1, Mechanism.SHA256)])
def test_a_weaker_mechanism_is_not_taken(offered: Mechanism, wanted: Mechanism) -> None:
    server = joined_by(wanted, ciphered=False).server
    joined = Pair(ClientConnection(settings(offered), challenge=CHALLENGE), server)
    (event,) = joined.ask(Open())
    assert isinstance(event, OpenRefused)
    assert event.diagnostic == USER.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED
    client = ClientConnection(
        settings(wanted, security=security(CLIENT_TITLE, authenticated=False, encrypted=False)),
        challenge=CHALLENGE,
        send_counter=SendCounter(1),
    )
    client.send(Open())
    aare = Aare(
        ApplicationContext.LN,
        AssociationResult.ACCEPTED,
        Diagnostic.user(USER.AUTHENTICATION_REQUIRED),
        SERVER_TITLE,
        offered,
        b"challenge",
        apdu.encode(InitiateResponse(conformance=CLIENT_CONFORMANCE, server_max_receive_pdu_size=0)),
    )
    client.receive_data(from_server(apdu.encode(aare)))
    with pytest.raises(SecurityError, match="without the mutual proof"):
        client.next_event()


@pytest.mark.parametrize("length", [16, 31])
def test_ecdsa_wants_long_challenges_of_both(length: int) -> None:
    joined = joined_by(Mechanism.ECDSA, ciphered=False)
    aarq = Aarq(ApplicationContext.LN, CLIENT_TITLE, Mechanism.ECDSA, bytes(length), initiate())
    joined.to_server(pdu_of(aarq))
    refused = joined.seen[-1]
    assert isinstance(refused, AssociationRefused)
    assert str(length) in refused.reason
    with pytest.raises(LocalError):
        ClientConnection(joined.client._settings, challenge=bytes(length), send_counter=SendCounter(1))


def pdu_of(aarq: Aarq) -> bytes:
    return from_client(apdu.encode(aarq))


# --- certificates


def trust(certificate: bytes, title: bytes) -> PublicKey | None:
    """Believes certificates that name their title and a small number."""
    if certificate[:8] != title:
        return None
    return private(1, certificate[8]).public_key


def with_certificates(own: int, shown: int | None, title: bytes) -> Security:
    certificate = None if shown is None else title + bytes((shown,))
    return signing(
        1, own, 1, title, asymmetric=AsymmetricKeys(signing=private(1, own)), trust=trust, certificate=certificate
    )


def certified(client: Security, server: Security) -> Pair:
    end = ClientConnection(
        settings(Mechanism.ECDSA, security=client), challenge=LONG_CHALLENGE, send_counter=SendCounter(1)
    )
    return Pair(end, server_of(profile(Mechanism.ECDSA, security=server)))


def test_signing_keys_come_from_certificates_that_are_trusted() -> None:
    joined = certified(with_certificates(5, 5, CLIENT_TITLE), with_certificates(7, 7, SERVER_TITLE))
    (event,) = joined.ask(Open())
    assert isinstance(event, Opened)
    aarq = apdu.decode(pdus(joined.wire[0][1])[0].apdu)
    aare = apdu.decode(pdus(joined.wire[1][1])[0].apdu)
    assert isinstance(aarq, Aarq)
    assert isinstance(aare, Aare)
    assert aarq.calling_ae_qualifier == CLIENT_TITLE + b"\5"
    assert aare.responding_ae_qualifier == SERVER_TITLE + b"\7"


def test_a_certificate_that_is_not_trusted() -> None:
    stranger = replace(with_certificates(5, 5, CLIENT_TITLE), certificate=b"OTHER123\5")
    joined = certified(stranger, with_certificates(7, 7, SERVER_TITLE))
    (event,) = joined.ask(Open())
    assert isinstance(event, OpenRefused)
    assert event.diagnostic == USER.CALLING_AE_QUALIFIER_NOT_RECOGNIZED
    stranger = replace(with_certificates(7, 7, SERVER_TITLE), certificate=b"OTHER123\7")
    joined = certified(with_certificates(5, 5, CLIENT_TITLE), stranger)
    with pytest.raises(SecurityError, match="not trusted"):
        joined.ask(Open())


@pytest.mark.parametrize("shown", [6, None])
def test_a_certificate_of_another_key_or_none_proves_nothing(shown: int | None) -> None:
    joined = certified(with_certificates(5, shown, CLIENT_TITLE), with_certificates(7, 7, SERVER_TITLE))
    (event,) = joined.ask(Open())
    assert isinstance(event, OpenRefused)
    assert event.diagnostic == USER.AUTHENTICATION_FAILURE


def test_a_key_of_the_settings_is_not_replaced_by_a_certificate() -> None:
    known = replace(
        with_certificates(7, 7, SERVER_TITLE),
        asymmetric=AsymmetricKeys(signing=private(1, 7), peer_signing=private(1, 5).public_key),
    )
    joined = certified(with_certificates(6, 6, CLIENT_TITLE), known)
    (event,) = joined.ask(Open())
    assert isinstance(event, OpenRefused)


# --- what the settings must hold


@pytest.mark.parametrize(
    ("mechanism", "given"),
    [
        (Mechanism.UNKNOWN, {}),
        (Mechanism.LOW, {"secret": None}),
        (Mechanism.MD5, {"secret": None}),
        (Mechanism.SHA1, {"secret": b""}),
        (Mechanism.SHA256, {"secret": None, "security": security(CLIENT_TITLE)}),
        (Mechanism.SHA256, {}),
        (Mechanism.GMAC, {}),
        (Mechanism.HIGH, {}),
        (Mechanism.ECDSA, {}),
        (Mechanism.ECDSA, {"security": security(CLIENT_TITLE)}),
        (Mechanism.ECDSA, {"security": signing(1, 5, 7, CLIENT_TITLE, asymmetric=AsymmetricKeys())}),
        (
            Mechanism.ECDSA,
            {"security": signing(1, 5, 7, CLIENT_TITLE, asymmetric=AsymmetricKeys(signing=private(1, 5)))},
        ),
    ],
)
def test_a_mechanism_without_what_it_needs(mechanism: Mechanism, given: dict[str, Any]) -> None:
    with pytest.raises(LocalError):
        settings(mechanism, **given)
    with pytest.raises(LocalError):
        profile(mechanism, **given)


@pytest.mark.parametrize(
    "changes",
    [
        {"suite": 2},
        {"suite": 0, "keys": GlobalKeys(bytes(32), bytes(32))},
        {"suite": 0, "asymmetric": AsymmetricKeys(signing=private(1, 5))},
        {"suite": 1, "asymmetric": AsymmetricKeys(agreement=private(2, 5))},
        {"suite": 3},
    ],
)
def test_keys_that_do_not_fit_the_suite(changes: dict[str, Any]) -> None:
    with pytest.raises(LocalError):
        security(CLIENT_TITLE, **changes)


def test_no_private_key_in_a_repr_of_settings() -> None:
    shown = repr(settings(Mechanism.ECDSA, security=signing(1, 5, 7, CLIENT_TITLE, certificate=b"certificate")))
    assert "eeee" not in shown
    assert "PrivateKey()" in shown
    assert "certificate" not in shown


def test_a_challenge_is_used_once() -> None:
    joined = joined_by(Mechanism.MD5, ciphered=False, client={"secret": b"wrong"})
    joined.ask(Open())
    with pytest.raises(LocalError, match="spent"):
        joined.ask(Open())


def test_receive_counter_is_not_touched_by_digests() -> None:
    counter = ReceiveCounter(1)
    server = server_of(profile(Mechanism.MD5, receive_counter=counter))
    joined = Pair(ClientConnection(settings(Mechanism.MD5), challenge=CHALLENGE), server)
    assert isinstance(joined.ask(Open())[0], Opened)
    assert counter.lowest_acceptable == 1
