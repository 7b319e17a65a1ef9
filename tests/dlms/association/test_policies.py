"""Policies by direction, suites, general-ciphering, signed APDUs and broadcast keys inside associations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from in_memory import (
    CHALLENGE,
    CLIENT_TITLE,
    KEYS,
    LONG,
    NAME,
    SERVER_TITLE,
    Pair,
    from_client,
    from_server,
    pdus,
    profile,
    requested,
    server_of,
    settings,
)

from ami_dlms import apdu, data
from ami_dlms.apdu import Apdu
from ami_dlms.apdu.ciphered import (
    GeneralCiphering,
    GeneralGloCiphering,
    GeneralSigning,
    IdentifiedKey,
    ServiceCiphering,
)
from ami_dlms.apdu.faults import ExceptionResponse
from ami_dlms.apdu.get import GetRequestNext, GetRequestNormal, GetResponseNormal, GetResponseWithDataBlock
from ami_dlms.apdu.notify import DataNotification
from ami_dlms.association import (
    Ciphering,
    ClientConnection,
    Discarded,
    Get,
    GetResult,
    Notified,
    Open,
    Opened,
    OpenRefused,
    Release,
    Released,
    Requested,
    Security,
    Service,
)
from ami_dlms.association.protection.apdu_protection import PLAIN, ApduProtection, CipheringKind, largest_plaintext
from ami_dlms.association.protection.association_protection import AssociationProtection, Counters
from ami_dlms.association.protection.general_ciphering import UNICAST, CipheringHeader, header_of, protect_general
from ami_dlms.association.protection.general_signing import sign_general, verify_general
from ami_dlms.enums import DataAccessResult, KeyId, Mechanism
from ami_dlms.errors import LocalError, SecurityError
from ami_dlms.security import (
    AUTHENTICATED,
    ENCRYPTED,
    AsymmetricKeys,
    GlobalKeys,
    PrivateKey,
    ProtectionFlags,
    ReceiveCounter,
    SecurityPolicy,
    SendCounter,
    protect,
    unprotect,
)

BOTH = ProtectionFlags.AUTHENTICATED | ProtectionFlags.ENCRYPTED
PROTECTION = AUTHENTICATED | ENCRYPTED
POLICIES = [SecurityPolicy(ProtectionFlags(a), ProtectionFlags(b)) for a in range(4) for b in range(4)]
CURVES = {0: 0, 1: 32, 2: 48}


def signing_keys(suite: int, own: int, peer: int) -> AsymmetricKeys:
    if not suite:
        return AsymmetricKeys()
    first, second = (PrivateKey(number.to_bytes(CURVES[suite], "big")) for number in (own, peer))
    return AsymmetricKeys(signing=first, peer_signing=second.public_key)


def ends(suite: int = 0, client: dict[str, Any] | None = None, **both: Any) -> tuple[Security, Security]:
    """Security of the client and of the server."""
    length = 32 if suite == 2 else 16
    keys = KEYS if suite == 0 else GlobalKeys(b"e" * length, b"a" * length)
    shared: dict[str, Any] = {"keys": keys, "suite": suite, **both}
    theirs = {key: value for key, value in shared.items() if key != "ciphering"}
    ours = {"system_title": CLIENT_TITLE, "asymmetric": signing_keys(suite, 5, 7), **shared, **(client or {})}
    return Security(**ours), Security(system_title=SERVER_TITLE, asymmetric=signing_keys(suite, 7, 5), **theirs)


def joined_with(client: Security, server: Security, limit: int = 65535, key: bytes | None = None, **more: Any) -> Pair:
    end = ClientConnection(
        settings(Mechanism.GMAC, security=client, max_receive_pdu_size=limit),
        challenge=CHALLENGE,
        send_counter=SendCounter(1),
        dedicated_key=key,
    )
    return Pair(end, server_of(profile(Mechanism.GMAC, security=server, **more)))


def whole_session(joined: Pair) -> None:
    (event,) = joined.ask(Open())
    assert isinstance(event, Opened), joined.seen
    assert joined.ask(Get(NAME)) == [GetResult(joined.values[NAME], DataAccessResult.SUCCESS)]
    assert joined.ask(Get(LONG)) == [GetResult(joined.values[LONG], DataAccessResult.SUCCESS)]
    assert joined.ask(Release()) == [Released()]


def services(joined: Pair, side: str) -> list[Apdu]:
    """What one side sent between opening and release."""
    found = [apdu.decode(pdu.apdu) for end, octets in joined.wire if end == side for pdu in pdus(octets)]
    return found[1:-1]


def control_of(message: Apdu) -> int:
    """The protections that an APDU bears."""
    if isinstance(message, GeneralGloCiphering | GeneralCiphering | ServiceCiphering):
        return message.content[0] & PROTECTION
    return 0


# --- both directions


@pytest.mark.parametrize("ciphering", Ciphering)
@pytest.mark.parametrize("policy", POLICIES)
def test_each_direction_bears_what_its_policy_demands(policy: SecurityPolicy, ciphering: Ciphering) -> None:
    joined = joined_with(*ends(policy=policy, ciphering=ciphering), limit=120)
    whole_session(joined)
    assert {control_of(message) for message in services(joined, "client")} == {policy.request.control}
    assert {control_of(message) for message in services(joined, "server")} == {policy.response.control}
    assert max(len(octets) - 8 for end, octets in joined.wire[2:] if end == "server") <= 120


@pytest.mark.parametrize("policy", POLICIES)
def test_more_than_is_demanded_is_taken_and_answered_alike(policy: SecurityPolicy) -> None:
    """A client that protects all, where the server demands less: the answer keeps what went beyond the demand."""
    if not policy.protects:
        return
    ours, theirs = ends()
    ours = replace(ours, policy=SecurityPolicy(BOTH, policy.response))
    joined = joined_with(ours, replace(theirs, policy=policy))
    whole_session(joined)
    beyond = BOTH.control & ~policy.request.control
    assert {control_of(message) for message in services(joined, "server")} == {policy.response.control | beyond}


@pytest.mark.parametrize("given", [ProtectionFlags.NOTHING, ProtectionFlags.AUTHENTICATED, ProtectionFlags.ENCRYPTED])
def test_a_request_that_bears_less_is_refused(given: ProtectionFlags) -> None:
    ours, theirs = ends(policy=SecurityPolicy(BOTH, BOTH))
    joined = joined_with(replace(ours, policy=SecurityPolicy(given, BOTH)), theirs)
    (event,) = joined.ask(Open())
    assert isinstance(event, OpenRefused)


@pytest.mark.parametrize("given", [ProtectionFlags.NOTHING, ProtectionFlags.AUTHENTICATED, ProtectionFlags.ENCRYPTED])
def test_a_response_that_bears_less_is_refused(given: ProtectionFlags) -> None:
    ours, theirs = ends(policy=SecurityPolicy(BOTH, BOTH))
    policy = SecurityPolicy(BOTH, given)
    joined = joined_with(ours, replace(theirs, policy=policy))
    with pytest.raises(SecurityError):
        joined.ask(Open())


def test_an_answer_in_clear_passes_only_where_nothing_is_demanded() -> None:
    for response, passes in ((ProtectionFlags.NOTHING, True), (ProtectionFlags.AUTHENTICATED, False)):
        joined = joined_with(*ends(policy=SecurityPolicy(BOTH, response)))
        joined.ask(Open())
        joined.client.send(Get(NAME))
        answer = apdu.encode(GetResponseNormal(0xC0 | joined.client._invoke_id, data.null()))
        joined.client.receive_data(from_server(answer))
        if passes:
            assert joined.client.next_event() == GetResult(data.null(), DataAccessResult.SUCCESS)
        else:
            with pytest.raises(SecurityError, match="unencrypted"):
                joined.client.next_event()


def test_a_dedicated_key_needs_a_policy_that_protects_requests() -> None:
    ours, theirs = ends(policy=SecurityPolicy(ProtectionFlags.NOTHING, BOTH))
    with pytest.raises(LocalError, match="dedicated"):
        joined_with(ours, theirs, key=b"dedicated key 16")


# --- suites


@pytest.mark.parametrize("ciphering", Ciphering)
@pytest.mark.parametrize("suite", [0, 1, 2])
def test_every_suite(suite: int, ciphering: Ciphering) -> None:
    joined = joined_with(*ends(suite, ciphering=ciphering), limit=150)
    whole_session(joined)
    contents = {message.content[0] & 0x0F for message in services(joined, "server")}  # type: ignore[union-attr]
    assert contents == {suite}


@pytest.mark.parametrize(("ours", "theirs"), [(0, 1), (1, 0), (1, 2), (2, 1), (0, 2)])
def test_another_suite_is_refused(ours: int, theirs: int) -> None:
    joined = joined_with(ends(ours)[0], ends(theirs)[1])
    (event,) = joined.ask(Open())
    assert isinstance(event, OpenRefused)


def test_a_lower_suite_number_under_the_same_keys_is_a_downgrade() -> None:
    joined = joined_with(*ends(1))
    joined.ask(Open())
    joined.seen.clear()
    keys, plaintext = joined.client._settings.security.keys, apdu.encode(GetRequestNormal(0xC1, NAME))  # type: ignore[union-attr]
    content = protect(0x30, keys, CLIENT_TITLE, 9000, plaintext)
    joined.to_server(from_client(apdu.encode(GeneralGloCiphering(CLIENT_TITLE, content))))
    (event,) = joined.seen
    assert isinstance(event, Discarded)
    assert "suite" in event.reason


# --- general-ciphering


def general(**more: Any) -> Pair:
    joined = joined_with(*ends(ciphering=Ciphering.GENERAL_CIPHERING), **more)
    joined.ask(Open())
    joined.seen.clear()
    joined.wire.clear()
    return joined


def test_an_answer_bears_the_transaction_id_of_its_request() -> None:
    joined = general(limit=150)
    joined.ask(Get(LONG))
    sent = [message for end in ("client", "server") for message in all_of(joined, end)]
    assert all(isinstance(message, GeneralCiphering) for message in sent)
    asked = [message.transaction_id for message in all_of(joined, "client")]
    assert [message.transaction_id for message in all_of(joined, "server")] == asked
    assert len(set(asked)) == len(asked) > 2


def all_of(joined: Pair, side: str) -> list[Any]:
    return [apdu.decode(pdu.apdu) for end, octets in joined.wire if end == side for pdu in pdus(octets)]


@pytest.mark.parametrize(
    "changes",
    [
        {"originator_system_title": b"OTHER123"},
        {"recipient_system_title": b"OTHER123"},
        {"recipient_system_title": b""},
        {"transaction_id": b"12345678"},
        {"date_time": bytes(12)},
        {"other_information": b"!"},
        {"key_info": IdentifiedKey(KeyId.GLOBAL_BROADCAST_ENCRYPTION_KEY)},
        {"content": b""},
        {"content": b"\x30"},
    ],
)
def test_altered_general_ciphering_moves_no_counter(changes: dict[str, Any]) -> None:
    joined = general()
    octets = joined.client.send(Get(NAME))
    message = apdu.decode(pdus(octets)[0].apdu)
    assert isinstance(message, GeneralCiphering)
    answer = joined.to_server(from_client(apdu.encode(replace(message, **changes))))
    assert isinstance(apdu.decode(pdus(answer)[0].apdu), ExceptionResponse)
    assert [type(event) for event in joined.seen] == [Discarded]
    assert joined.carry(octets) == [GetResult(joined.values[NAME], DataAccessResult.SUCCESS)]
    joined.seen.clear()
    joined.to_server(octets)
    assert [type(event) for event in joined.seen] == [Discarded], "a replay"


def test_a_transaction_id_of_any_length_is_answered_within_the_limit() -> None:
    joined = general(limit=200)
    header = CipheringHeader(bytes(range(40)), CLIENT_TITLE, SERVER_TITLE)
    security = joined.client._settings.security
    assert security is not None
    request = apdu.encode(GetRequestNormal(0xC1, LONG))
    octets = apdu.encode(protect_general(header, UNICAST, security, BOTH, 900, request))
    (answer,) = pdus(joined.to_server(from_client(octets)))
    assert len(answer.apdu) <= 200
    message = apdu.decode(answer.apdu)
    assert isinstance(message, GeneralCiphering)
    assert message.transaction_id == bytes(range(40))
    following = apdu.encode(GetRequestNext(0xC1, 1))
    header = CipheringHeader(b"another", CLIENT_TITLE, SERVER_TITLE)
    octets = apdu.encode(protect_general(header, UNICAST, security, BOTH, 901, following))
    (answer,) = pdus(joined.to_server(from_client(octets)))
    message = apdu.decode(answer.apdu)
    assert isinstance(message, GeneralCiphering)
    opened = unprotect(KEYS, SERVER_TITLE, message.content, header_of(message).octets)
    block = apdu.decode(opened.plaintext)
    assert isinstance(block, GetResponseWithDataBlock)
    assert block.block_number == 2


def test_a_dedicated_key_takes_the_place_of_general_ciphering() -> None:
    joined = joined_with(*ends(ciphering=Ciphering.GENERAL_CIPHERING), key=b"dedicated key 16")
    whole_session(joined)
    assert {type(message).__name__ for message in services(joined, "server")[1:]} == {"GeneralDedCiphering"}


# --- signed


SIGNED = SecurityPolicy(BOTH | ProtectionFlags.SIGNED, BOTH | ProtectionFlags.SIGNED)
GENERAL = [Ciphering.GENERAL_GLO, Ciphering.GENERAL_CIPHERING]


@pytest.mark.parametrize("ciphering", GENERAL)
@pytest.mark.parametrize("suite", [1, 2])
@pytest.mark.parametrize("octet", [0x1C, 0x9C, 0xF0, 0xFC, 0xB4])
def test_signed_apdus(suite: int, ciphering: Ciphering, octet: int) -> None:
    policy = SecurityPolicy.from_version_1(octet)
    ours, theirs = ends(suite, policy=policy, ciphering=ciphering) if not wrong(policy) else (None, None)
    if ours is None or theirs is None:
        with pytest.raises(LocalError, match="signing alone"):
            ends(suite, policy=policy, ciphering=ciphering)
        return
    joined = joined_with(ours, theirs, limit=400)
    whole_session(joined)
    assert max(len(octets) - 8 for end, octets in joined.wire[2:] if end == "server") <= 400
    for side, demand, security in (("client", policy.request, theirs), ("server", policy.response, ours)):
        for message in services(joined, side):
            plaintext = opened(message, security)
            assert plaintext.startswith(b"\xdf") == bool(demand & ProtectionFlags.SIGNED)
            if demand & ProtectionFlags.SIGNED:
                signed = apdu.decode(plaintext)
                assert isinstance(signed, GeneralSigning)
                assert verify_general(signed, security)


def wrong(policy: SecurityPolicy) -> bool:
    return any(
        demand & ProtectionFlags.SIGNED and not demand & ProtectionFlags.AUTHENTICATED
        for demand in (policy.request, policy.response)
    )


def opened(message: Apdu, security: Security) -> bytes:
    """The plaintext of any APDU."""
    title = SERVER_TITLE if security.system_title == CLIENT_TITLE else CLIENT_TITLE
    if isinstance(message, GeneralCiphering):
        return unprotect(security.keys, title, message.content, header_of(message).octets).plaintext
    if isinstance(message, GeneralGloCiphering):
        return unprotect(security.keys, title, message.content).plaintext
    return apdu.encode(message)


def signed_pair() -> tuple[Pair, Security]:
    ours, theirs = ends(1, policy=SIGNED)
    joined = joined_with(ours, theirs)
    joined.ask(Open())
    joined.seen.clear()
    return joined, ours


@pytest.mark.parametrize("wrong_part", ["no signature", "signature", "signer", "originator", "recipient", "content"])
def test_a_signature_that_does_not_hold_moves_no_counter(wrong_part: str) -> None:
    joined, ours = signed_pair()
    request = apdu.encode(GetRequestNormal(0xC1, NAME))
    header = CipheringHeader(b"transact", CLIENT_TITLE, SERVER_TITLE)
    other = replace(ours, asymmetric=signing_keys(1, 6, 7))
    good = sign_general(header, ours, request)
    plaintext = {
        "no signature": request,
        "signature": apdu.encode(replace(good, signature=bytes(64))),
        "signer": apdu.encode(sign_general(header, other, request)),
        "originator": apdu.encode(sign_general(header._replace(originator_system_title=b"OTHER123"), ours, request)),
        "recipient": apdu.encode(sign_general(header._replace(recipient_system_title=b"OTHER123"), ours, request)),
        "content": apdu.encode(replace(good, content=request[:-1] + b"\7")),
    }[wrong_part]
    for inner, expected in ((plaintext, Discarded), (apdu.encode(good), Requested)):
        content = protect(0x31, ours.keys, CLIENT_TITLE, 9000, inner)
        joined.to_server(from_client(apdu.encode(GeneralGloCiphering(CLIENT_TITLE, content))))
        assert isinstance(joined.seen[-1], expected), "the same counter serves when the signature holds"


@pytest.mark.parametrize("ciphering", GENERAL)
def test_signed_notifications_inside_an_association(ciphering: Ciphering) -> None:
    ours, theirs = ends(1, policy=SIGNED)
    theirs = replace(theirs, ciphering=ciphering)
    joined = joined_with(ours, theirs)
    joined.ask(Open())
    push = DataNotification(1, None, data.octet_string(b"an alarm"))
    octets = joined.server.notify(17, 1, push)
    signed = apdu.decode(opened(apdu.decode(pdus(octets)[0].apdu), ours))
    assert isinstance(signed, GeneralSigning)
    assert joined.carry_back(octets) == [Notified(push, protected=True)]
    content = protect(0x31, ours.keys, SERVER_TITLE, 9000, apdu.encode(push))
    joined.client.receive_data(from_server(apdu.encode(GeneralGloCiphering(SERVER_TITLE, content))))
    with pytest.raises(SecurityError, match="signature"):
        joined.client.next_event()


def test_an_unsigned_answer_is_refused() -> None:
    ours, theirs = ends(1, policy=SIGNED)
    joined = joined_with(ours, replace(theirs, policy=SecurityPolicy(SIGNED.request, BOTH)))
    with pytest.raises(SecurityError, match="signature"):
        joined.ask(Open())


def test_policies_that_sign_and_can_not_be() -> None:
    with pytest.raises(LocalError, match="suite 0"):
        ends(0, policy=SIGNED)
    with pytest.raises(LocalError, match="service-specific"):
        ends(1, policy=SIGNED, ciphering=Ciphering.SERVICE_SPECIFIC)


@pytest.mark.parametrize("limit", range(60, 700, 7))
@pytest.mark.parametrize("suite", [1, 2])
def test_room_left_by_every_form(limit: int, suite: int) -> None:
    """What is said to fit does fit, and not much is given away."""
    ours, _ = ends(suite, policy=SIGNED)
    protection = AssociationProtection(ours, Counters(SendCounter(0), ReceiveCounter()))
    protection.accept_title(SERVER_TITLE)
    for kind in (CipheringKind.GENERAL_GLO, CipheringKind.GENERAL_CIPHERING):
        for signed in (False, True):
            form = ApduProtection(kind, 0x30 | suite, signed)
            room = largest_plaintext(limit, form)
            if room > 0:
                assert limit - 4 <= len(protection.protect(bytes(room), form)) <= limit
    assert largest_plaintext(limit, PLAIN) == limit


# --- broadcast key


def broadcast_server(counter: ReceiveCounter | None) -> tuple[Pair, GlobalKeys]:
    keys = replace(KEYS, broadcast_encryption_key=b"broadcast key 16")
    ours, theirs = ends(keys=keys)
    joined = joined_with(ours, theirs, broadcast_receive_counter=counter)
    joined.ask(Open())
    joined.seen.clear()
    return joined, keys


def test_a_frame_under_the_broadcast_key_has_a_counter_of_its_own() -> None:
    counter = ReceiveCounter(5)
    joined, keys = broadcast_server(counter)
    plaintext = apdu.encode(GetRequestNormal(0xC1, NAME))
    octets = from_client(
        apdu.encode(GeneralGloCiphering(CLIENT_TITLE, protect(0x70, keys, CLIENT_TITLE, 5, plaintext)))
    )
    (answer,) = pdus(joined.to_server(octets))
    assert counter.lowest_acceptable == 6
    message = apdu.decode(answer.apdu)
    assert isinstance(message, GeneralGloCiphering)
    assert message.content[0] == 0x30
    joined.seen.clear()
    joined.to_server(octets)
    assert [type(event) for event in joined.seen] == [Discarded], "a replay"


@pytest.mark.parametrize("reason", ["no counter", "no key", "wrong key", "general-ciphering"])
def test_a_broadcast_that_is_refused(reason: str) -> None:
    joined, keys = broadcast_server(None if reason == "no counter" else ReceiveCounter())
    if reason == "no key":
        joined = joined_with(*ends(), broadcast_receive_counter=ReceiveCounter())
        joined.ask(Open())
        joined.seen.clear()
    if reason == "wrong key":
        keys = replace(keys, broadcast_encryption_key=bytes(16))
    content = protect(0x70, keys, CLIENT_TITLE, 9000, apdu.encode(GetRequestNormal(0xC1, NAME)))
    message: Apdu = GeneralGloCiphering(CLIENT_TITLE, content)
    if reason == "general-ciphering":
        message = GeneralCiphering(b"transact", CLIENT_TITLE, SERVER_TITLE, b"", b"", UNICAST, content)
    joined.to_server(from_client(apdu.encode(message)))
    assert [type(event) for event in joined.seen] == [Discarded]


@pytest.mark.parametrize("ciphering", GENERAL)
def test_no_octet_of_a_signed_request_can_be_altered(ciphering: Ciphering) -> None:
    ours, theirs = ends(1, policy=SIGNED, ciphering=ciphering)
    joined = joined_with(ours, theirs)
    joined.ask(Open())
    joined.seen.clear()
    (asked,) = pdus(joined.client.send(Get(NAME)))
    for index in range(len(asked.apdu)):
        for bit in (0x01, 0x80):
            octets = bytearray(asked.apdu)
            octets[index] ^= bit
            joined.to_server(from_client(bytes(octets)))
    assert {type(event) for event in joined.seen} == {Discarded}
    joined.to_server(from_client(asked.apdu))
    requested(joined.seen[-1], Service.GET)
