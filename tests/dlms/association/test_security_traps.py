"""Attacks and mistakes of protection that real stacks let through, one test each."""

from __future__ import annotations

from dataclasses import replace

import pytest
from in_memory import (
    CHALLENGE,
    CLIENT_TITLE,
    CLIENT_WPORT,
    DISCONNECT,
    KEYS,
    LONG,
    NAME,
    OTHER_KEYS,
    SERVER_TITLE,
    SERVER_WPORT,
    Pair,
    altered,
    from_client,
    from_server,
    initiate,
    opened,
    pair,
    pdus,
    receive_counter,
    secured,
    security,
    settings,
)

from ami_dlms import apdu, data
from ami_dlms.apdu.acse import Aare, Aarq, Diagnostic, Rlrq
from ami_dlms.apdu.action import ActionRequestNormal, ActionResponseNormal
from ami_dlms.apdu.ciphered import GeneralCiphering, GeneralGloCiphering, ServiceCiphering
from ami_dlms.apdu.faults import ExceptionResponse
from ami_dlms.apdu.get import GetRequestNormal, GetResponseNormal
from ami_dlms.apdu.initiate import InitiateResponse
from ami_dlms.association import (
    CLIENT_CONFORMANCE,
    Action,
    AssociationRefused,
    Ciphering,
    ClientConnection,
    ClientState,
    Discarded,
    Get,
    GetResult,
    Open,
    Opened,
    OpenRefused,
    PeerFault,
    Release,
    ServerState,
)
from ami_dlms.association.protection.general_ciphering import header_of
from ami_dlms.association.server.access_control import REPLY_TO_HLS_AUTHENTICATION
from ami_dlms.enums import (
    AcseServiceUserDiagnostic,
    ActionResult,
    ApduTag,
    ApplicationContext,
    AssociationResult,
    DataAccessResult,
    Mechanism,
    ServiceError,
    StateError,
)
from ami_dlms.errors import LocalError, SecurityError
from ami_dlms.security import ReceiveCounter, SendCounter, gmac_response, protect, unprotect

USER = AcseServiceUserDiagnostic
BOTH = (True, True)


@pytest.mark.parametrize("index", [-1, -13, 8 + 12, 8 + 14])
def test_a_bad_tag_moves_no_counter_at_the_server(index: int) -> None:
    joined = secured()
    octets = joined.client.send(Get(NAME))
    before = receive_counter(joined).lowest_acceptable
    joined.seen.clear()
    answer = joined.to_server(altered(octets, index))
    assert [type(event) for event in joined.seen] == [Discarded]
    assert receive_counter(joined).lowest_acceptable == before
    fault = apdu.decode(pdus(answer)[0].apdu)
    assert fault == ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.DECIPHERING_ERROR)
    assert joined.carry(octets) == [GetResult(joined.values[NAME], DataAccessResult.SUCCESS)], (
        "the true frame still passes"
    )


def test_a_forged_counter_does_not_lock_the_true_client_out() -> None:
    joined = secured()
    forged = bytearray(joined.client.send(Get(NAME)))
    start = forged.index(CLIENT_TITLE) + 8 + 2
    forged[start : start + 4] = b"\xff\xff\xff\xff"
    joined.to_server(bytes(forged))
    assert receive_counter(joined).lowest_acceptable < 100
    joined.client.abandon()
    assert joined.ask(Get(NAME)) == [GetResult(joined.values[NAME], DataAccessResult.SUCCESS)]


def test_encryption_alone_moves_the_counter_only_for_legible_content() -> None:
    joined = opened(policy=(False, True))
    octets = joined.client.send(Get(NAME))
    before = receive_counter(joined).lowest_acceptable
    forged = bytearray(octets)
    start = forged.index(CLIENT_TITLE) + 8 + 2
    forged[start : start + 4] = b"\xff\xff\xff\xff"
    joined.to_server(bytes(forged))
    assert receive_counter(joined).lowest_acceptable == before


def test_a_replay_is_refused_and_says_which_counter_would_pass() -> None:
    joined = secured()
    octets = joined.client.send(Get(NAME))
    joined.carry(octets)
    joined.seen.clear()
    answer = joined.to_server(octets)
    assert [type(event) for event in joined.seen] == [Discarded]
    fault = apdu.decode(pdus(answer)[0].apdu)
    assert isinstance(fault, ExceptionResponse)
    assert fault.invocation_counter == receive_counter(joined).lowest_acceptable


def test_a_replayed_aarq_is_refused() -> None:
    joined = secured(Mechanism.LOW)
    aarq = joined.wire[0][1]
    joined.seen.clear()
    answer = joined.to_server(aarq)
    assert [type(event) for event in joined.seen] == [AssociationRefused]
    assert isinstance(apdu.decode(pdus(answer)[0].apdu), ExceptionResponse)
    late = pair(Mechanism.LOW, policy=BOTH)
    late.server = joined.server
    (event,) = late.ask(Open())
    assert isinstance(event, PeerFault)
    assert isinstance(event.fault, ExceptionResponse)
    assert event.fault.invocation_counter == receive_counter(joined).lowest_acceptable


def test_counter_error_is_told_to_the_true_peer_only() -> None:
    joined = secured()
    octets = joined.client.send(Get(NAME))
    joined.carry(octets)
    answer = joined.to_server(altered(octets))
    fault = apdu.decode(pdus(answer)[0].apdu)
    assert isinstance(fault, ExceptionResponse)
    assert fault.invocation_counter is None


def test_the_largest_counter_passes_once_and_then_nothing() -> None:
    joined = pair(policy=BOTH, first_counter=2**32 - 2)
    assert isinstance(joined.ask(Open())[0], Opened)
    assert joined.ask(Get(NAME)) == [GetResult(joined.values[NAME], DataAccessResult.SUCCESS)]
    with pytest.raises(LocalError):
        joined.client.send(Get(NAME))
    assert joined.client.state is ClientState.OPEN
    assert receive_counter(joined).lowest_acceptable == 2**32


def test_counter_zero_passes() -> None:
    joined = pair(policy=BOTH, first_counter=0, server={"receive_counter": ReceiveCounter(0)})
    assert isinstance(joined.ask(Open())[0], Opened)


def test_a_plain_answer_in_a_ciphered_association_is_refused() -> None:
    joined = secured()
    octets = joined.client.send(Get(NAME))
    forged = GetResponseNormal(0xC0 | (joined.client._invoke_id), data.octet_string(b"forged"))
    assert octets
    with pytest.raises(SecurityError):
        joined.carry_back(from_server(apdu.encode(forged)))
    assert joined.client.state is ClientState.CLOSED


def test_a_plain_request_in_a_ciphered_association_is_refused() -> None:
    joined = secured()
    joined.seen.clear()
    joined.to_server(from_client(apdu.encode(GetRequestNormal(0xC1, NAME))))
    assert [type(event) for event in joined.seen] == [Discarded]


def test_a_plain_release_with_content_does_not_end_a_ciphered_association() -> None:
    joined = secured()
    joined.seen.clear()
    joined.to_server(from_client(apdu.encode(Rlrq(user_information=initiate()))))
    assert [type(event) for event in joined.seen] == [Discarded]
    assert joined.server.state(SERVER_WPORT, CLIENT_WPORT) is ServerState.OPEN


def test_a_ciphered_answer_in_a_plain_association_is_refused() -> None:
    joined = opened()
    joined.client.send(Get(NAME))
    with pytest.raises(SecurityError):
        joined.carry_back(from_server(apdu.encode(GeneralGloCiphering(SERVER_TITLE, bytes(30)))))


def test_a_ciphered_request_in_a_plain_association_is_refused() -> None:
    joined = opened()
    joined.seen.clear()
    joined.to_server(from_client(apdu.encode(GeneralGloCiphering(CLIENT_TITLE, bytes(30)))))
    assert [type(event) for event in joined.seen] == [Discarded]


@pytest.mark.parametrize("control", [0x10, 0x20, 0x31, 0x70, 0xB0, 0x00])
def test_weaker_or_other_protection_than_the_policy_is_refused(control: int) -> None:
    plaintext = apdu.encode(GetRequestNormal(0xC1, NAME))
    content = under(control, CLIENT_TITLE, plaintext)
    joined = secured()
    joined.seen.clear()
    joined.to_server(from_client(apdu.encode(GeneralGloCiphering(CLIENT_TITLE, content))))
    assert [type(event) for event in joined.seen] == [Discarded]
    other = secured()
    other.client.send(Get(NAME))
    answer = apdu.encode(GetResponseNormal(0xC0 | other.client._invoke_id, data.null()))
    content = under(control, SERVER_TITLE, answer)
    with pytest.raises(SecurityError):
        other.carry_back(from_server(apdu.encode(GeneralGloCiphering(SERVER_TITLE, content))))


def under(control: int, title: bytes, plaintext: bytes) -> bytes:
    """A ciphered content with that security control, even where we would not make one."""
    if not control & 0x30:
        return bytes(5) + plaintext
    keys = replace(KEYS, broadcast_encryption_key=KEYS.encryption_key)
    return bytes((control,)) + protect(control & 0x7F, keys, title, 9000, plaintext)[1:]


def test_stronger_protection_than_the_policy_passes_and_is_answered_alike() -> None:
    ours = pair(policy=(True, False))
    client = ClientConnection(settings(security=security(CLIENT_TITLE)), send_counter=SendCounter(1))
    joined = Pair(client, ours.server)
    joined.ask(Open())
    assert joined.ask(Get(NAME)) == [GetResult(joined.values[NAME], DataAccessResult.SUCCESS)]


def test_a_foreign_system_title_is_refused() -> None:
    joined = pair(policy=BOTH, client={"security": security(CLIENT_TITLE, peer_system_title=b"OTHER123")})
    with pytest.raises(SecurityError, match="foreign"):
        joined.ask(Open())
    joined = pair(policy=BOTH, server={"security": security(SERVER_TITLE, peer_system_title=b"OTHER123")})
    (event,) = joined.ask(Open())
    assert isinstance(event, OpenRefused)
    assert event.diagnostic == USER.CALLING_AP_TITLE_NOT_RECOGNIZED
    joined = secured()
    joined.client.send(Get(NAME))
    content = protect(0x30, KEYS, b"OTHER123", 9000, apdu.encode(GetResponseNormal(0xC2, data.null())))
    both = f"foreign system title {b'OTHER123'.hex()} in a ciphered APDU, expected {SERVER_TITLE.hex()}"
    with pytest.raises(SecurityError, match=both):
        joined.carry_back(from_server(apdu.encode(GeneralGloCiphering(b"OTHER123", content))))


def test_our_own_title_shown_by_the_peer_is_refused() -> None:
    joined = pair(policy=BOTH, server={"security": security(CLIENT_TITLE)})
    (event,) = joined.ask(Open())
    assert isinstance(event, OpenRefused)
    with pytest.raises(LocalError):
        security(CLIENT_TITLE, peer_system_title=CLIENT_TITLE)


def test_a_mirror_does_not_pass_for_a_meter() -> None:
    """Everything that the client proves is sent back to it, under its own title and with its own challenge."""
    from ami_dlms.apdu.acse import Diagnostic

    client = pair(Mechanism.GMAC, policy=(False, False)).client
    client.send(Open())
    response = apdu.encode(InitiateResponse(conformance=CLIENT_CONFORMANCE, server_max_receive_pdu_size=0))
    mirror = Aare(
        ApplicationContext.LN,
        AssociationResult.ACCEPTED,
        Diagnostic.user(USER.AUTHENTICATION_REQUIRED),
        CLIENT_TITLE,
        Mechanism.GMAC,
        CHALLENGE,
        response,
    )
    client.receive_data(from_server(apdu.encode(mirror)))
    with pytest.raises(SecurityError):
        client.next_event()
    client = pair(Mechanism.GMAC, policy=(False, False)).client
    client.send(Open())
    client.receive_data(from_server(apdu.encode(replace(mirror, responding_ap_title=SERVER_TITLE))))
    with pytest.raises(SecurityError, match="challenge"):
        client.next_event()


def test_a_server_that_skips_its_proof_is_refused() -> None:
    joined = pair(Mechanism.GMAC, policy=(False, False))
    aare = apdu.decode(pdus(joined.to_server(joined.client.send(Open())))[0].apdu)
    assert isinstance(aare, Aare)
    skipped = replace(aare, diagnostic=Diagnostic.user(USER.NULL))
    with pytest.raises(SecurityError, match="proof"):
        joined.carry_back(from_server(apdu.encode(skipped)))


def test_an_aare_in_clear_or_in_another_context_is_a_downgrade() -> None:
    plain = apdu.encode(InitiateResponse(conformance=CLIENT_CONFORMANCE, server_max_receive_pdu_size=0))
    for changes in ({"user_information": plain}, {"application_context": ApplicationContext.LN}):
        joined = pair(policy=BOTH)
        aare = apdu.decode(pdus(joined.to_server(joined.client.send(Open())))[0].apdu)
        assert isinstance(aare, Aare)
        with pytest.raises(SecurityError):
            joined.carry_back(from_server(apdu.encode(replace(aare, **changes))))


@pytest.mark.parametrize("index", range(17))
def test_a_server_whose_proof_is_wrong_anywhere_is_refused(index: int) -> None:
    joined = pair(Mechanism.GMAC, policy=(False, False))
    joined.client.receive_data(joined.to_server(joined.client.send(Open())))
    assert joined.client.next_event() is None
    good = pdus(joined.to_server(joined.client.data_to_send()))[0].apdu
    with pytest.raises(SecurityError, match="prove"):
        joined.carry_back(from_server(altered(good, index - 17)))
    assert joined.client.state is ClientState.CLOSED


def test_a_client_whose_proof_is_wrong_learns_only_that() -> None:
    """Wrong tag, wrong control, wrong type, wrong length, no proof at all, another key: one and the same answer."""
    answers = set()
    reasons = set()
    challenge = bytes(range(100, 116))
    good = gmac_response(0, KEYS, CLIENT_TITLE, 2, challenge)
    proofs = [
        *(data.octet_string(altered(good, index)) for index in range(17)),
        data.octet_string(gmac_response(0, OTHER_KEYS, CLIENT_TITLE, 2, challenge)),
        data.octet_string(gmac_response(0, KEYS, SERVER_TITLE, 2, challenge)),
        data.octet_string(good[:-1]),
        data.octet_string(b""),
        data.long_unsigned(3),
        data.null(),
        None,
    ]
    for proof in proofs:
        joined = pair(Mechanism.GMAC, policy=(False, False))
        joined.to_server(joined.client.send(Open()))
        request = ActionRequestNormal(0xC1, REPLY_TO_HLS_AUTHENTICATION, proof)
        answers.add(joined.to_server(from_client(apdu.encode(request))))
        event = joined.seen[-1]
        assert isinstance(event, AssociationRefused)
        reasons.add(event.reason)
        assert joined.server.state(SERVER_WPORT, CLIENT_WPORT) is ServerState.UNASSOCIATED
    assert len(answers) == len(reasons) == 1
    answer = apdu.decode(pdus(answers.pop())[0].apdu)
    assert answer == ActionResponseNormal(0xC1, ActionResult.OTHER_REASON)


def test_a_client_that_is_refused_hears_why() -> None:
    joined = pair(
        Mechanism.GMAC,
        policy=(False, False),
        client={"security": security(CLIENT_TITLE, keys=OTHER_KEYS, authenticated=False, encrypted=False)},
    )
    (event,) = joined.ask(Open())
    assert isinstance(event, OpenRefused)
    assert event.diagnostic == USER.AUTHENTICATION_FAILURE
    assert joined.client.state is ClientState.IDLE


def test_a_wrong_key_of_a_ciphered_client_is_refused_and_burns_no_counter() -> None:
    joined = pair(Mechanism.GMAC, policy=BOTH, client={"security": security(CLIENT_TITLE, keys=OTHER_KEYS)})
    (event,) = joined.ask(Open())
    assert isinstance(event, OpenRefused)
    assert event.diagnostic == USER.AUTHENTICATION_FAILURE
    assert receive_counter(joined).lowest_acceptable == 1


def test_nothing_is_served_before_the_proof() -> None:
    joined = pair(Mechanism.GMAC, policy=(False, False))
    joined.to_server(joined.client.send(Open()))
    joined.to_server(from_client(apdu.encode(GetRequestNormal(0xC1, NAME))))
    assert isinstance(joined.seen[-1], Discarded)
    assert joined.server.state(SERVER_WPORT, CLIENT_WPORT) is ServerState.PROVING


@pytest.mark.parametrize("ciphering", Ciphering)
@pytest.mark.parametrize("policy", [BOTH, (True, False), (False, True), (False, False)])
def test_no_initialization_vector_is_used_twice(ciphering: Ciphering, policy: tuple[bool, bool]) -> None:
    """Proofs, AARQ, AARE, requests, blocks and release: each end takes a new counter for each."""
    joined = opened(Mechanism.GMAC, policy=policy, ciphering=ciphering, client={"max_receive_pdu_size": 100})
    joined.ask(Get(LONG))
    joined.ask(Action(DISCONNECT))
    joined.ask(Release())
    for end, title in (("client", CLIENT_TITLE), ("server", SERVER_TITLE)):
        counters = [counter for side, octets in joined.wire if side == end for counter in counters_in(octets, title)]
        assert len(counters) == len(set(counters))
        assert len(counters) >= (1 if policy == (False, False) else 5)


def counters_in(octets: bytes, title: bytes) -> list[int]:
    """Counters of everything in a frame that is protected: the frame, and a proof inside it."""
    message = apdu.decode(pdus(octets)[0].apdu)
    found = []
    if isinstance(message, Aarq | Aare) and message.user_information:
        message = apdu.decode(message.user_information)
    if isinstance(message, GeneralGloCiphering | ServiceCiphering):
        opened_ = unprotect(KEYS, title, message.content)
        found.append(opened_.invocation_counter)
        message = apdu.decode(opened_.plaintext)
    elif isinstance(message, GeneralCiphering):
        opened_ = unprotect(KEYS, title, message.content, header_of(message).octets)
        found.append(opened_.invocation_counter)
        message = apdu.decode(opened_.plaintext)
    proof = None
    if isinstance(message, ActionRequestNormal):
        proof = message.parameters
    elif isinstance(message, ActionResponseNormal):
        proof = message.return_parameters
    if isinstance(proof, data.Data) and isinstance(proof.value, bytes) and len(proof.value) == 17:
        found.append(int.from_bytes(proof.value[1:5], "big"))
    return found


@pytest.mark.parametrize("tag", [ApduTag.GLO_SET_REQUEST, ApduTag.GLO_ACTION_REQUEST, ApduTag.GLO_GET_RESPONSE])
def test_the_outer_tag_has_to_tell_the_truth(tag: int) -> None:
    joined = secured(ciphering=Ciphering.SERVICE_SPECIFIC)
    content = protect(0x30, KEYS, CLIENT_TITLE, 9000, apdu.encode(GetRequestNormal(0xC1, NAME)))
    joined.seen.clear()
    joined.to_server(from_client(apdu.encode(ServiceCiphering(tag, content))))
    assert [type(event) for event in joined.seen] == [Discarded]


def test_a_dedicated_key_that_was_never_agreed_is_refused() -> None:
    joined = secured()
    content = protect(0x30, KEYS, CLIENT_TITLE, 9000, apdu.encode(GetRequestNormal(0xC1, NAME)))
    joined.seen.clear()
    joined.to_server(from_client(apdu.encode(ServiceCiphering(ApduTag.DED_GET_REQUEST, content))))
    assert [type(event) for event in joined.seen] == [Discarded]


def test_a_dedicated_key_dies_with_its_association() -> None:
    joined = opened(policy=BOTH, dedicated_key=b"dedicated key 16")
    request = joined.client.send(Get(NAME))
    again = pair(policy=BOTH, first_counter=100)
    again.server = joined.server
    again.ask(Open())
    again.seen.clear()
    again.to_server(request)
    assert [type(event) for event in again.seen] == [Discarded]


def test_a_dedicated_key_of_a_wrong_length_is_refused() -> None:
    with pytest.raises(LocalError):
        pair(policy=BOTH, dedicated_key=b"short")
    joined = pair(policy=BOTH)
    protection = joined.client._protection
    assert protection is not None
    content = protect(0x30, KEYS, CLIENT_TITLE, 9, initiate(dedicated_key=b"short"))
    information = apdu.encode(ServiceCiphering(ApduTag.GLO_INITIATE_REQUEST, content))
    joined.to_server(
        from_client(apdu.encode(Aarq(ApplicationContext.LN_CIPHERED, CLIENT_TITLE, user_information=information)))
    )
    assert [type(event) for event in joined.seen] == [AssociationRefused]
    assert not joined.server.closed


def test_our_counter_running_out_closes_the_server_without_a_raise() -> None:
    joined = pair(policy=BOTH, server={"send_counter": SendCounter(7, 7)})
    joined.ask(Open())
    assert isinstance(joined.seen[-1], Discarded)
    assert joined.server.closed


def test_genuine_but_unreadable_content_is_answered_and_its_counter_is_spent() -> None:
    joined = secured()
    joined.seen.clear()
    content = protect(0x30, KEYS, CLIENT_TITLE, 9000, b"\xc0\x01")
    answer = joined.to_server(from_client(apdu.encode(GeneralGloCiphering(CLIENT_TITLE, content))))
    assert [type(event) for event in joined.seen] == [Discarded]
    assert isinstance(apdu.decode(pdus(answer)[0].apdu), ExceptionResponse)
    assert receive_counter(joined).lowest_acceptable == 9001


def test_a_fault_under_protection_is_a_fault() -> None:
    joined = secured()
    joined.client.send(Get(NAME))
    fault = ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.OTHER_REASON)
    content = protect(0x30, KEYS, SERVER_TITLE, 9000, apdu.encode(fault))
    answer = from_server(apdu.encode(GeneralGloCiphering(SERVER_TITLE, content)))
    assert joined.carry_back(answer) == [PeerFault(fault, fault.reason)]


@pytest.mark.parametrize(
    "message", [GeneralGloCiphering(CLIENT_TITLE, b""), ServiceCiphering(ApduTag.GLO_GET_REQUEST, b"")]
)
def test_a_ciphered_apdu_without_content_is_refused(message: GeneralGloCiphering) -> None:
    joined = secured()
    joined.seen.clear()
    joined.to_server(from_client(apdu.encode(message)))
    assert [type(event) for event in joined.seen] == [Discarded]


def test_a_system_title_of_a_wrong_length_is_refused() -> None:
    joined = pair(policy=BOTH)
    aarq = Aarq(ApplicationContext.LN_CIPHERED, b"short", user_information=initiate())
    joined.to_server(from_client(apdu.encode(aarq)))
    assert [type(event) for event in joined.seen] == [AssociationRefused]


def test_a_challenge_of_a_wrong_length_is_refused() -> None:
    for challenge in (b"seven..", bytes(65)):
        joined = pair(Mechanism.GMAC, policy=(False, False))
        aarq = Aarq(ApplicationContext.LN, CLIENT_TITLE, Mechanism.GMAC, challenge, initiate())
        joined.to_server(from_client(apdu.encode(aarq)))
        assert [type(event) for event in joined.seen] == [AssociationRefused]
        other = pair(Mechanism.GMAC, policy=(False, False))
        aare = apdu.decode(pdus(other.to_server(other.client.send(Open())))[0].apdu)
        assert isinstance(aare, Aare)
        with pytest.raises(SecurityError, match="challenge"):
            other.carry_back(from_server(apdu.encode(replace(aare, responding_authentication_value=challenge))))
