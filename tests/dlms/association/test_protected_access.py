"""Access rights that demand protection attribute by attribute: of requests, of answers, item by item and block by block."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from in_memory import (
    CHALLENGE,
    CLIENT_TITLE,
    CLOCK,
    DISCONNECT,
    KEYS,
    LONG,
    NAME,
    SERVER_TITLE,
    Pair,
    from_client,
    opened,
    pdus,
    profile,
    server_of,
    settings,
)

from ami_dlms import apdu, data
from ami_dlms.apdu import Apdu
from ami_dlms.apdu.blocks import GeneralBlockTransfer
from ami_dlms.apdu.ciphered import GeneralGloCiphering, GeneralSigning, ServiceCiphering
from ami_dlms.apdu.fields import Block
from ami_dlms.apdu.get import GetRequestNext, GetRequestNormal, GetResponseNormal, GetResponseWithDataBlock
from ami_dlms.apdu.set import SetRequestWithDataBlock, SetRequestWithFirstDataBlock, SetResponseLastDataBlock
from ami_dlms.association import (
    LN_CONFORMANCE,
    SN_CONFORMANCE,
    Access,
    AccessResult,
    Action,
    ActionOutcome,
    AttributeAccess,
    Ciphering,
    ClientConnection,
    Get,
    GetList,
    GetListResult,
    GetResult,
    MethodAccess,
    Open,
    Opened,
    Security,
    Set,
    SetResult,
)
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.cosem.short_names import NamedObject, ShortNames
from ami_dlms.enums import ActionResult, Conformance, DataAccessResult, Mechanism
from ami_dlms.security import (
    AUTHENTICATED,
    ENCRYPTED,
    AsymmetricKeys,
    PrivateKey,
    ProtectionFlags,
    SecurityPolicy,
    SendCounter,
    protect,
    unprotect,
)

NOTHING, AUTH, ENC, BOTH = (
    ProtectionFlags(0),
    ProtectionFlags.AUTHENTICATED,
    ProtectionFlags.ENCRYPTED,
    ProtectionFlags(3),
)
READ_WRITE = AttributeAccess.READ | AttributeAccess.WRITE
VIOLATED = DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
OK = DataAccessResult.SUCCESS
BITS = {AttributeAccess.AUTHENTICATED_REQUEST: AUTH, AttributeAccess.ENCRYPTED_REQUEST: ENC}


class Rights:
    """CLOCK and the method demand what a test says; NAME and LONG are free, unless a test says otherwise."""

    def __init__(self, demanded: int, *also: AttributeDescriptor) -> None:
        self.demanded = demanded
        self.also = also

    def attribute(self, descriptor: AttributeDescriptor) -> AttributeAccess | None:
        held = descriptor == CLOCK or descriptor in self.also
        return READ_WRITE | AttributeAccess(self.demanded) if held else READ_WRITE

    def method(self, descriptor: MethodDescriptor) -> bool | MethodAccess | None:
        return MethodAccess.ACCESS | MethodAccess(self.demanded) if descriptor == DISCONNECT else True


def joined(
    demanded: int,
    sent: ProtectionFlags = AUTH,
    policy: tuple[ProtectionFlags, ProtectionFlags] = (AUTH, AUTH),
    *also: AttributeDescriptor,
    limit: int = 65535,
    **changes: Any,
) -> Pair:
    """The server's policy is (requests, answers); the client sends `sent`."""
    keys = {"keys": changes.pop("keys", KEYS), "suite": changes.pop("suite", 0)}
    ours = Security(
        system_title=CLIENT_TITLE,
        policy=SecurityPolicy(sent, policy[1]),
        ciphering=changes.pop("ciphering", Ciphering.GENERAL_GLO),
        asymmetric=changes.pop("client_keys", AsymmetricKeys()),
        **keys,
    )
    theirs = Security(
        system_title=SERVER_TITLE,
        policy=SecurityPolicy(*policy),
        asymmetric=changes.pop("server_keys", AsymmetricKeys()),
        **keys,
    )
    given = {"conformance": changes.pop("conformance", LN_CONFORMANCE), "max_receive_pdu_size": limit, **changes}
    client = ClientConnection(
        settings(Mechanism.GMAC, security=ours, **given), challenge=CHALLENGE, send_counter=SendCounter(1)
    )
    pair = Pair(client, server_of(profile(Mechanism.GMAC, security=theirs, access=Rights(demanded, *also), **given)))
    assert isinstance(pair.ask(Open())[0], Opened), pair.seen
    pair.seen.clear()
    pair.wire.clear()
    return pair


def answers(pair: Pair) -> list[Apdu]:
    return [apdu.decode(pdu.apdu) for who, octets in pair.wire if who == "server" for pdu in pdus(octets)]


def borne(message: Apdu) -> ProtectionFlags:
    if not isinstance(message, GeneralGloCiphering | ServiceCiphering):
        return NOTHING
    control = message.content[0]
    return (AUTH if control & AUTHENTICATED else NOTHING) | (ENC if control & ENCRYPTED else NOTHING)


# --- requests


@pytest.mark.parametrize("ciphering", [Ciphering.GENERAL_GLO, Ciphering.SERVICE_SPECIFIC])
@pytest.mark.parametrize("sent", [AUTH, ENC, BOTH])
@pytest.mark.parametrize("wanted", [AUTH, ENC, BOTH])
def test_a_request_has_to_bear_what_its_attribute_demands(
    wanted: ProtectionFlags, sent: ProtectionFlags, ciphering: Ciphering
) -> None:
    bits = sum(int(bit) for bit, demand in BITS.items() if demand & wanted)
    pair = joined(bits, sent, (NOTHING, AUTH), ciphering=ciphering)
    granted = not wanted & ~sent
    result = GetResult(pair.values[CLOCK], OK) if granted else GetResult(None, VIOLATED)
    assert pair.ask(Get(CLOCK)) == [result]
    value = data.octet_string(b"another time")
    assert pair.ask(Set(CLOCK, value)) == [SetResult(OK if granted else VIOLATED)]
    assert (pair.values[CLOCK] == value) == granted, "the application saw it only when it was granted"
    outcome = ActionOutcome(ActionResult.SUCCESS if granted else ActionResult.SCOPE_OF_ACCESS_VIOLATED, None)
    assert pair.ask(Action(DISCONNECT)) == [outcome]
    assert pair.ask(Get(NAME)) == [GetResult(pair.values[NAME], OK)]


def test_a_request_in_clear_where_the_policy_lets_it() -> None:
    pair = joined(AttributeAccess.AUTHENTICATED_REQUEST, NOTHING, (NOTHING, AUTH))
    assert pair.ask(Get(CLOCK)) == [GetResult(None, VIOLATED)]
    assert pair.ask(Get(NAME)) == [GetResult(pair.values[NAME], OK)]


def test_without_security_what_demands_protection_is_out_of_reach() -> None:
    for bit in (AttributeAccess.AUTHENTICATED_REQUEST, AttributeAccess.ENCRYPTED_RESPONSE):
        pair = opened(server={"access": Rights(int(bit))})
        assert pair.ask(Get(CLOCK)) == [GetResult(None, VIOLATED)]
        assert pair.ask(Get(NAME)) == [GetResult(pair.values[NAME], OK)]


def test_lists_are_judged_item_by_item() -> None:
    pair = joined(AttributeAccess.ENCRYPTED_REQUEST)
    name = GetResult(pair.values[NAME], OK)
    assert pair.ask(GetList((Get(NAME), Get(CLOCK)))) == [GetListResult((name, GetResult(None, VIOLATED)))]
    assert pair.ask(Access((Get(CLOCK), Get(NAME)))) == [AccessResult((GetResult(None, VIOLATED), name))]


# --- answers


@pytest.mark.parametrize("ciphering", [Ciphering.GENERAL_GLO, Ciphering.SERVICE_SPECIFIC])
@pytest.mark.parametrize(
    ("bits", "wanted"),
    [
        (AttributeAccess.AUTHENTICATED_RESPONSE, AUTH),
        (AttributeAccess.ENCRYPTED_RESPONSE, ENC),
        (AttributeAccess.AUTHENTICATED_RESPONSE | AttributeAccess.ENCRYPTED_RESPONSE, BOTH),
    ],
)
@pytest.mark.parametrize("given", [NOTHING, AUTH])
def test_an_answer_bears_what_its_attribute_demands(
    given: ProtectionFlags, bits: AttributeAccess, wanted: ProtectionFlags, ciphering: Ciphering
) -> None:
    pair = joined(int(bits), AUTH, (AUTH, given), ciphering=ciphering)
    assert pair.ask(Get(CLOCK)) == [GetResult(pair.values[CLOCK], OK)]
    assert [borne(message) for message in answers(pair)] == [given | wanted]
    pair.wire.clear()
    pair.ask(Get(NAME))
    assert [borne(message) for message in answers(pair)] == [given], "what demands nothing more has nothing more"
    pair.wire.clear()
    pair.ask(GetList((Get(NAME), Get(CLOCK))))
    assert [borne(message) for message in answers(pair)] == [given | wanted], "one item's demand holds for the answer"
    pair.wire.clear()
    pair.ask(Action(DISCONNECT))
    assert [borne(message) for message in answers(pair)] == [given | wanted]


@pytest.mark.parametrize("general", [False, True])
def test_every_block_of_a_long_answer_bears_it(general: bool) -> None:
    blocks = Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
    conformance = LN_CONFORMANCE & (~blocks if general else ~Conformance.GENERAL_BLOCK_TRANSFER)
    pair = joined(AttributeAccess.ENCRYPTED_RESPONSE, AUTH, (AUTH, AUTH), LONG, limit=120, conformance=conformance)
    assert pair.ask(Get(LONG)) == [GetResult(pair.values[LONG], OK)]
    sent = answers(pair)
    assert len(sent) > 3
    assert all(isinstance(message, GeneralBlockTransfer) for message in sent) == general
    if not general:
        assert {borne(message) for message in sent} == {BOTH}
    assert max(len(pdu.apdu) for who, octets in pair.wire if who == "server" for pdu in pdus(octets)) <= 120


def keys_of(own: int, peer: int) -> AsymmetricKeys:
    first, second = (PrivateKey(number.to_bytes(32, "big")) for number in (own, peer))
    return AsymmetricKeys(signing=first, peer_signing=second.public_key)


def signing(bits: int, sent: ProtectionFlags, **more: Any) -> Pair:
    given: dict[str, Any] = {"suite": 1, "client_keys": keys_of(5, 7), "server_keys": keys_of(7, 5)}
    return joined(bits, sent, (AUTH, AUTH), **(given | more))


@pytest.mark.parametrize("sent", [AUTH, AUTH | ProtectionFlags.SIGNED])
def test_a_signed_request(sent: ProtectionFlags) -> None:
    pair = signing(AttributeAccess.DIGITALLY_SIGNED_REQUEST, sent)
    granted = bool(sent & ProtectionFlags.SIGNED)
    assert pair.ask(Get(CLOCK)) == [GetResult(pair.values[CLOCK], OK) if granted else GetResult(None, VIOLATED)]


def test_a_signed_answer() -> None:
    pair = signing(AttributeAccess.DIGITALLY_SIGNED_RESPONSE, AUTH)
    assert pair.ask(Get(CLOCK)) == [GetResult(pair.values[CLOCK], OK)]
    (answer,) = answers(pair)
    assert isinstance(answer, GeneralGloCiphering)
    held = apdu.decode(unprotect(KEYS, SERVER_TITLE, answer.content).plaintext)
    assert isinstance(held, GeneralSigning)
    assert isinstance(apdu.decode(held.content), GetResponseNormal)


def test_a_server_without_a_signing_key_gives_nothing_away() -> None:
    server_keys = replace(keys_of(7, 5), signing=None)
    pair = signing(AttributeAccess.DIGITALLY_SIGNED_RESPONSE, AUTH, server_keys=server_keys)
    assert pair.ask(Get(CLOCK)) == [GetResult(None, VIOLATED)]


# --- short names


NAMES = ShortNames([NamedObject(0x0100, 8, 0, CLOCK.instance_id), NamedObject(0x0200, 1, 0, NAME.instance_id)])


@pytest.mark.parametrize("sent", [AUTH, BOTH])
def test_short_names_are_judged_alike(sent: ProtectionFlags) -> None:
    bits = AttributeAccess.ENCRYPTED_REQUEST | AttributeAccess.ENCRYPTED_RESPONSE
    pair = joined(bits, sent, (AUTH, AUTH), conformance=SN_CONFORMANCE, short_names=NAMES)
    granted = bool(sent & ENC)
    result = GetResult(pair.values[CLOCK], OK) if granted else GetResult(None, VIOLATED)
    assert pair.ask(Get(CLOCK)) == [result]
    assert pair.ask(Set(CLOCK, data.null())) == [SetResult(OK if granted else VIOLATED)]
    assert [borne(message) for message in answers(pair)] == [BOTH if granted else AUTH] * 2


# --- blocks of different protection


class Talker:
    """A client that protects each APDU as it likes."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.counter = 9000

    def say(self, message: Apdu, control: int) -> Apdu:
        octets = apdu.encode(message)
        if control:
            self.counter += 1
            sealed = protect(control, KEYS, CLIENT_TITLE, self.counter, octets)
            octets = apdu.encode(GeneralGloCiphering(CLIENT_TITLE, sealed))
        (answer,) = pdus(self.pair.to_server(from_client(octets)))
        held = apdu.decode(answer.apdu)
        if isinstance(held, GeneralGloCiphering):
            held = apdu.decode(unprotect(KEYS, SERVER_TITLE, held.content).plaintext)
        return held


def test_the_next_block_is_not_for_a_request_that_bears_less() -> None:
    pair = joined(AttributeAccess.AUTHENTICATED_REQUEST, AUTH, (NOTHING, AUTH), LONG, limit=120)
    talker = Talker(pair)
    first = talker.say(GetRequestNormal(0xC1, LONG), 0x10)
    assert isinstance(first, GetResponseWithDataBlock)
    following = talker.say(GetRequestNext(0xC1, 1), 0)
    assert isinstance(following, GetResponseWithDataBlock)
    assert following.result is DataAccessResult.DATA_BLOCK_NUMBER_INVALID


def test_a_block_in_clear_does_not_slip_into_an_authenticated_request() -> None:
    pair = joined(AttributeAccess.AUTHENTICATED_REQUEST, AUTH, (NOTHING, AUTH))
    value = data.encode(data.octet_string(bytes(20)))
    talker = Talker(pair)
    first = SetRequestWithFirstDataBlock(0xC1, CLOCK, None, Block(False, 1, value[:10]))
    talker.say(first, 0x10)
    refused = talker.say(SetRequestWithDataBlock(0xC1, Block(True, 2, value[10:])), 0)
    assert isinstance(refused, SetResponseLastDataBlock)
    assert refused.result is DataAccessResult.NO_LONG_SET_IN_PROGRESS
    denied = talker.say(first, 0)
    assert isinstance(denied, SetResponseLastDataBlock)
    assert denied.result is VIOLATED
    assert pair.seen
    assert pair.values[CLOCK] == data.octet_string(bytes(12))


def test_the_bits_are_those_of_access_mode() -> None:
    assert [bit.name for bit in AttributeAccess] == [
        "READ",
        "WRITE",
        "AUTHENTICATED_REQUEST",
        "ENCRYPTED_REQUEST",
        "DIGITALLY_SIGNED_REQUEST",
        "AUTHENTICATED_RESPONSE",
        "ENCRYPTED_RESPONSE",
        "DIGITALLY_SIGNED_RESPONSE",
    ]
    for name, bit in MethodAccess.__members__.items():
        assert name in ("NONE", "ACCESS") or bit == AttributeAccess[name]
