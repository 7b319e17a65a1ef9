"""General-ciphering inside associations under wrapped and agreed keys: both roles, every suite, and what must not pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha512
from typing import Any

import pytest
from in_memory import (
    CHALLENGE,
    CLIENT_TITLE,
    LONG,
    NAME,
    SERVER_TITLE,
    Pair,
    from_client,
    from_server,
    pdus,
    profile,
    server_of,
    services,
    settings,
)

from ami_dlms import apdu, data
from ami_dlms.apdu.ciphered import AgreedKey, GeneralCiphering, GeneralGloCiphering, KeyInfo, WrappedKey
from ami_dlms.apdu.faults import ExceptionResponse
from ami_dlms.apdu.get import GetRequestNormal, GetResponseNormal
from ami_dlms.apdu.notify import DataNotification
from ami_dlms.association import (
    Ciphering,
    CipheringHeader,
    ClientConnection,
    Discarded,
    Get,
    GetResult,
    KeyChoice,
    KeyForm,
    MessageKeys,
    NewKey,
    Notified,
    OnePass,
    Open,
    Opened,
    Release,
    Released,
    Security,
    Service,
    StaticUnified,
    protect_general,
)
from ami_dlms.association.protection.apdu_protection import ApduProtection, CipheringKind, largest_plaintext
from ami_dlms.association.protection.association_protection import AssociationProtection, Counters
from ami_dlms.association.protection.general_ciphering import UNICAST
from ami_dlms.enums import DataAccessResult, KekId, Mechanism
from ami_dlms.errors import LocalError, SecurityError
from ami_dlms.security import (
    AsymmetricKeys,
    GlobalKeys,
    PrivateKey,
    ProtectionFlags,
    ReceiveCounter,
    SecurityPolicy,
    SendCounter,
    protect,
    wrap_key,
)

COORDINATES = {0: 0, 1: 32, 2: 48}
BOTH = ProtectionFlags.AUTHENTICATED | ProtectionFlags.ENCRYPTED
FORMS = [
    (suite, form) for suite in COORDINATES for form in KeyForm if suite or form in (KeyForm.IDENTIFIED, KeyForm.WRAPPED)
]
OF_ONE_MESSAGE = [KeyForm.WRAPPED, KeyForm.C_1E_1S, KeyForm.C_0E_2S]


def source(seed: str) -> Callable[[int], bytes]:
    """Octets that differ with every draw, and are the same in every run."""
    drawn = 0

    def random_bytes(length: int) -> bytes:
        nonlocal drawn
        drawn += 1
        return sha512(f"{seed} {drawn}".encode()).digest()[:length]

    return random_bytes


def private(suite: int, number: int) -> PrivateKey:
    return PrivateKey(number.to_bytes(COORDINATES[suite], "big"))


def end(title: bytes, suite: int, own: int, peer: int, **changes: Any) -> Security:
    """One end: the number `own` signs, the next one agrees."""
    length = 32 if suite == 2 else 16
    held = AsymmetricKeys()
    if suite:
        held = AsymmetricKeys(
            signing=private(suite, own),
            agreement=private(suite, own + 1),
            peer_signing=private(suite, peer).public_key,
            peer_agreement=private(suite, peer + 1).public_key,
        )
    keys = GlobalKeys(b"e" * length, b"a" * length, master_key=b"m" * length)
    given = {"keys": keys, "system_title": title, "suite": suite, "asymmetric": held}
    return Security(**(given | changes))


def client_security(form: KeyForm, suite: int = 1, **changes: Any) -> Security:
    keys = MessageKeys(own=form, taken=frozenset({form}), random_bytes=source("client"))
    given = {"ciphering": Ciphering.GENERAL_CIPHERING, "message_keys": keys}
    return end(CLIENT_TITLE, suite, 5, 7, **(given | changes))


def server_security(*taken: KeyForm, suite: int = 1, **changes: Any) -> Security:
    keys = MessageKeys(own=taken[0], taken=frozenset(taken), random_bytes=source("server"))
    given = {"ciphering": Ciphering.GENERAL_CIPHERING, "message_keys": keys}
    return end(SERVER_TITLE, suite, 7, 5, **(given | changes))


def joined_with(client: Security, server: Security, limit: int = 65535, first_counter: int = 1) -> Pair:
    opening = ClientConnection(
        settings(Mechanism.GMAC, security=client, max_receive_pdu_size=limit),
        challenge=CHALLENGE,
        send_counter=SendCounter(first_counter),
    )
    return Pair(opening, server_of(profile(Mechanism.GMAC, security=server)))


def opened(form: KeyForm, *taken: KeyForm, suite: int = 1, limit: int = 65535, **both: Any) -> Pair:
    joined = joined_with(
        client_security(form, suite, **both), server_security(*(taken or (form,)), suite=suite, **both), limit
    )
    assert isinstance(joined.ask(Open())[0], Opened), joined.seen
    joined.seen.clear()
    joined.wire.clear()
    return joined


def sent_by(joined: Pair, side: str) -> list[GeneralCiphering]:
    """What one side sent; nothing else than general-ciphering."""
    found = [apdu.decode(pdu.apdu) for who, octets in joined.wire if who == side for pdu in pdus(octets)]
    messages = [message for message in found if isinstance(message, GeneralCiphering)]
    assert len(messages) == len(found)
    return messages


# --- whole sessions


@pytest.mark.parametrize(("suite", "form"), FORMS)
def test_a_session_under_every_form_of_key(suite: int, form: KeyForm) -> None:
    joined = opened(form, suite=suite, limit=500)
    assert joined.ask(Get(NAME)) == [GetResult(joined.values[NAME], DataAccessResult.SUCCESS)]
    assert joined.ask(Get(LONG)) == [GetResult(joined.values[LONG], DataAccessResult.SUCCESS)]
    asked, answered = sent_by(joined, "client"), sent_by(joined, "server")
    assert {kind_of(message.key_info) for message in (*asked, *answered)} == {form}
    assert [message.transaction_id for message in answered] == [message.transaction_id for message in asked]
    assert len({message.transaction_id for message in asked}) == len(asked) > 2
    assert max(len(pdu.apdu) for who, octets in joined.wire if who == "server" for pdu in pdus(octets)) <= 500
    assert joined.ask(Release()) == [Released()]


def kind_of(key_info: KeyInfo | None) -> KeyForm:
    if isinstance(key_info, WrappedKey):
        return KeyForm.WRAPPED
    if isinstance(key_info, AgreedKey):
        return KeyForm.C_1E_1S if key_info.key_ciphered_data else KeyForm.C_0E_2S
    assert key_info == UNICAST
    return KeyForm.IDENTIFIED


@pytest.mark.parametrize("form", [KeyForm.WRAPPED, KeyForm.C_1E_1S])
def test_every_message_has_a_key_of_its_own(form: KeyForm) -> None:
    joined = opened(form)
    for _ in range(3):
        joined.ask(Get(NAME))
    infos = [message.key_info for side in ("client", "server") for message in sent_by(joined, side)]
    assert len(infos) == 6
    assert all(infos.count(info) == 1 for info in infos)


@pytest.mark.parametrize("form", OF_ONE_MESSAGE)
def test_a_server_answers_in_the_form_of_the_request(form: KeyForm) -> None:
    """Its own form is another one, which its notifications take."""
    joined = opened(form, KeyForm.IDENTIFIED, *OF_ONE_MESSAGE)
    assert joined.ask(Get(NAME)) == [GetResult(joined.values[NAME], DataAccessResult.SUCCESS)]
    (answer,) = sent_by(joined, "server")
    assert kind_of(answer.key_info) is form


@pytest.mark.parametrize("form", OF_ONE_MESSAGE)
def test_notifications_bear_the_form_of_the_server(form: KeyForm) -> None:
    joined = opened(form)
    body = DataNotification(1, None, data.octet_string(b"an alarm"))
    octets = joined.server.notify(17, 1, body)
    assert joined.carry_back(octets) == [Notified(body, protected=True)]
    assert kind_of(sent_by(joined, "server")[0].key_info) is form
    with pytest.raises(SecurityError, match="used before"):
        joined.carry_back(octets)


@pytest.mark.parametrize("form", [KeyForm.WRAPPED, KeyForm.C_1E_1S])
def test_signed_within_keys_of_one_message(form: KeyForm) -> None:
    demand = BOTH | ProtectionFlags.SIGNED
    joined = opened(form, policy=SecurityPolicy(demand, demand), limit=700)
    assert joined.ask(Get(LONG)) == [GetResult(joined.values[LONG], DataAccessResult.SUCCESS)]


# --- what must not pass


def sealed(
    joined: Pair, choice: KeyChoice, counter: int = 9000, security: Security | None = None, **header: Any
) -> bytes:
    """A request of a client that chooses freely."""
    ours = security or joined.client._settings.security
    assert ours is not None
    head = CipheringHeader(b"transact", CLIENT_TITLE, SERVER_TITLE)._replace(**header)
    request = apdu.encode(GetRequestNormal(0xC1, NAME))
    return from_client(apdu.encode(protect_general(head, choice, ours, BOTH, counter, request)))


CHOICES: dict[KeyForm, KeyChoice] = {
    KeyForm.IDENTIFIED: UNICAST,
    KeyForm.WRAPPED: NewKey(b"n" * 16),
    KeyForm.C_1E_1S: OnePass(private(1, 99)),
    KeyForm.C_0E_2S: StaticUnified(),
}


@pytest.mark.parametrize("asked", KeyForm)
@pytest.mark.parametrize("taken", KeyForm)
def test_only_the_forms_that_the_settings_take(taken: KeyForm, asked: KeyForm) -> None:
    joined = opened(taken)
    joined.to_server(sealed(joined, CHOICES[asked]))
    if taken is asked:
        assert services(joined)[0] is Service.GET
        return
    (event,) = joined.seen
    assert isinstance(event, Discarded)
    assert asked.value in event.reason
    assert taken.value in event.reason
    assert joined.ask(Get(NAME)) == [GetResult(joined.values[NAME], DataAccessResult.SUCCESS)], "nothing has moved"


@pytest.mark.parametrize("form", OF_ONE_MESSAGE)
def test_an_ordinary_frame_is_a_downgrade_for_a_server(form: KeyForm) -> None:
    joined = opened(form)
    security = server_security(form)
    content = protect(0x31, security.keys, CLIENT_TITLE, 9000, apdu.encode(GetRequestNormal(0xC1, NAME)))
    joined.to_server(from_client(apdu.encode(GeneralGloCiphering(CLIENT_TITLE, content))))
    (event,) = joined.seen
    assert isinstance(event, Discarded)
    assert "identified" in event.reason


@pytest.mark.parametrize("kind", ["general-glo", "identified"])
@pytest.mark.parametrize("form", OF_ONE_MESSAGE)
def test_an_answer_under_the_global_key_is_a_downgrade(form: KeyForm, kind: str) -> None:
    joined = opened(form)
    (asked,) = pdus(joined.client.send(Get(NAME)))
    request, security = apdu.decode(asked.apdu), server_security(form)
    assert isinstance(request, GeneralCiphering)
    answer = apdu.encode(GetResponseNormal(0xC0 | joined.client._invoke_id, data.null()))
    message: apdu.Apdu = GeneralGloCiphering(SERVER_TITLE, protect(0x31, security.keys, SERVER_TITLE, 9000, answer))
    if kind == "identified":
        header = CipheringHeader(request.transaction_id, SERVER_TITLE, CLIENT_TITLE)
        message = protect_general(header, UNICAST, security, BOTH, 9000, answer)
    joined.client.receive_data(from_server(apdu.encode(message)))
    with pytest.raises(SecurityError, match="identified"):
        joined.client.next_event()


@pytest.mark.parametrize("form", OF_ONE_MESSAGE)
def test_a_recorded_request_is_refused_whatever_its_key(form: KeyForm) -> None:
    """Its key, its titles and its tag are all genuine; what the counter has passed is not taken again."""
    joined = opened(form)
    octets = joined.client.send(Get(NAME))
    joined.carry(octets)
    joined.seen.clear()
    (answer,) = pdus(joined.to_server(octets))
    assert [type(event) for event in joined.seen] == [Discarded]
    assert isinstance(apdu.decode(answer.apdu), ExceptionResponse)
    joined.seen.clear()
    joined.to_server(sealed(joined, CHOICES[form], counter=0))
    (event,) = joined.seen
    assert isinstance(event, Discarded), "a counter that begins at 0 with a new key"
    assert "used before" in event.reason


@pytest.mark.parametrize("form", OF_ONE_MESSAGE)
def test_a_recorded_answer_is_refused(form: KeyForm) -> None:
    joined = opened(form)
    answer = joined.to_server(joined.client.send(Get(NAME)))
    joined.to_client(answer)
    joined.client.send(Get(NAME))
    joined.client.receive_data(answer)
    with pytest.raises(SecurityError, match="used before"):
        joined.client.next_event()


@pytest.mark.parametrize("form", [form for form in OF_ONE_MESSAGE if form is not KeyForm.C_1E_1S])
def test_no_octet_can_be_altered(form: KeyForm) -> None:
    joined = opened(form)
    (asked,) = pdus(joined.client.send(Get(NAME)))
    for index in range(len(asked.apdu)):
        octets = bytearray(asked.apdu)
        octets[index] ^= 1
        joined.to_server(from_client(bytes(octets)))
    assert {type(event) for event in joined.seen} == {Discarded}
    joined.to_server(from_client(asked.apdu))
    assert services(joined)[-1:] == [Service.GET]


@pytest.mark.parametrize("wrong", ["signer", "originator", "recipient", "tag", "only encrypted", "master key"])
def test_what_is_not_of_the_peer_moves_no_counter(wrong: str) -> None:
    joined = opened(KeyForm.C_1E_1S, KeyForm.C_1E_1S, KeyForm.WRAPPED)
    ours = client_security(KeyForm.C_1E_1S)
    choice = CHOICES[KeyForm.C_1E_1S]
    if wrong == "signer":
        ours = replace(ours, asymmetric=replace(ours.asymmetric, signing=private(1, 6)))
    if wrong == "master key":
        ours, choice = replace(ours, keys=replace(ours.keys, master_key=bytes(16))), NewKey(b"n" * 16)
    header = {"originator": "originator_system_title", "recipient": "recipient_system_title"}.get(wrong)
    octets = sealed(joined, choice, security=ours, **({header: b"OTHER123"} if header else {}))
    if wrong == "tag":
        octets = octets[:-1] + bytes((octets[-1] ^ 1,))
    if wrong == "only encrypted":
        request = apdu.encode(GetRequestNormal(0xC1, NAME))
        head = CipheringHeader(b"transact", CLIENT_TITLE, SERVER_TITLE)
        octets = from_client(apdu.encode(protect_general(head, choice, ours, ProtectionFlags.ENCRYPTED, 9000, request)))
    (answer,) = pdus(joined.to_server(octets))
    assert isinstance(apdu.decode(answer.apdu), ExceptionResponse)
    assert [type(event) for event in joined.seen] == [Discarded]
    joined.seen.clear()
    joined.to_server(sealed(joined, CHOICES[KeyForm.C_1E_1S]))
    assert services(joined)[0] is Service.GET, "the same counter serves the true peer"


def test_a_key_of_another_length_or_scheme_is_refused() -> None:
    joined = opened(KeyForm.WRAPPED, KeyForm.WRAPPED, KeyForm.C_1E_1S)
    octets = sealed(joined, CHOICES[KeyForm.WRAPPED])
    message = apdu.decode(pdus(octets)[0].apdu)
    assert isinstance(message, GeneralCiphering)
    for key_info in (WrappedKey(KekId.MASTER_KEY, wrap_key(b"m" * 16, b"n" * 32)), AgreedKey(b"\3", b"")):
        joined.to_server(from_client(apdu.encode(replace(message, key_info=key_info))))
    assert [type(event) for event in joined.seen] == [Discarded, Discarded]


def test_a_signature_key_that_came_with_a_certificate_holds_ephemeral_keys() -> None:
    """The settings name no signature key of the client: the application trusts what the AARQ shows."""
    server = server_security(KeyForm.C_1E_1S)
    server = replace(
        server,
        asymmetric=replace(server.asymmetric, peer_signing=None),
        trust=lambda certificate, title: private(1, 5).public_key,
    )
    client = replace(client_security(KeyForm.C_1E_1S), certificate=b"a certificate")
    joined = joined_with(client, server)
    assert isinstance(joined.ask(Open())[0], Opened), joined.seen
    assert joined.ask(Get(NAME)) == [GetResult(joined.values[NAME], DataAccessResult.SUCCESS)]


# --- the settings


@pytest.mark.parametrize("form", OF_ONE_MESSAGE)
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"message_keys": "no source"}, "random"),
        ({"message_keys": "own is not taken"}, "own form"),
        ({"keys": GlobalKeys(b"e" * 16, b"a" * 16), "asymmetric": AsymmetricKeys()}, "need"),
        ({"ciphering": Ciphering.GENERAL_GLO}, "general-ciphering"),
        ({"authenticated": False}, "authenticates"),
    ],
)
def test_settings_that_can_not_be(form: KeyForm, changes: dict[str, Any], reason: str) -> None:
    keys = {
        "no source": MessageKeys(own=form, taken=frozenset({form})),
        "own is not taken": MessageKeys(own=form, random_bytes=source("client")),
    }.get(changes.get("message_keys", ""))
    with pytest.raises(LocalError, match=reason):
        client_security(form, **(changes if keys is None else {"message_keys": keys}))


def test_suite_0_agrees_on_no_keys_and_a_dedicated_key_leaves_no_place() -> None:
    with pytest.raises(LocalError, match="suite 0"):
        client_security(KeyForm.C_0E_2S, suite=0)
    with pytest.raises(LocalError, match="dedicated"):
        ClientConnection(
            settings(Mechanism.GMAC, security=client_security(KeyForm.WRAPPED)),
            challenge=CHALLENGE,
            send_counter=SendCounter(1),
            dedicated_key=b"dedicated key 16",
        )


@pytest.mark.parametrize("octets", [b"", bytes(48), b"\xff" * 48])
def test_a_source_of_random_octets_that_gives_none(octets: bytes) -> None:
    keys = MessageKeys(own=KeyForm.C_1E_1S, taken=frozenset({KeyForm.C_1E_1S}), random_bytes=lambda _: octets)
    security = client_security(KeyForm.C_1E_1S, 2, message_keys=keys)
    protection = AssociationProtection(security, Counters(SendCounter(0), ReceiveCounter()))
    protection.accept_title(SERVER_TITLE)
    with pytest.raises(LocalError, match="random"):
        protection.protect(b"any APDU", protection.own_protection()._replace(transaction_id=b"transact"))


@pytest.mark.parametrize("limit", [250, 300, 500, 700])
@pytest.mark.parametrize(("suite", "form"), FORMS)
def test_room_left_by_every_form_of_key(suite: int, form: KeyForm, limit: int) -> None:
    security = client_security(form, suite)
    protection = AssociationProtection(security, Counters(SendCounter(0), ReceiveCounter()))
    protection.accept_title(SERVER_TITLE)
    for transaction_id in (b"", bytes(40)):
        way = ApduProtection(
            CipheringKind.GENERAL_CIPHERING, 0x30 | suite, transaction_id=transaction_id, key_form=form
        )
        room = largest_plaintext(limit, way)
        if room > 0:
            assert limit - 4 <= len(protection.protect(bytes(room), way)) <= limit


def test_no_secret_in_a_repr() -> None:
    text = repr(client_security(KeyForm.C_1E_1S))
    assert "random_bytes" not in text
    assert "mmm" not in text
