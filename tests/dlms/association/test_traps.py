"""Traps that real stacks fall into, one test each."""

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
    SERVER_WPORT,
    Pair,
    from_client,
    from_server,
    initiate,
    opened,
    pair,
    pdus,
    profile,
    requested,
    secured,
    security,
    server_of,
    settings,
)

from ami_dlms import apdu, data
from ami_dlms.apdu.acse import Aare, Aarq, Diagnostic
from ami_dlms.apdu.ciphered import GeneralGloCiphering
from ami_dlms.apdu.faults import ConfirmedServiceError, ExceptionResponse
from ami_dlms.apdu.get import GetRequestNormal, GetResponseNormal, GetResponseWithDataBlock
from ami_dlms.apdu.initiate import InitiateResponse
from ami_dlms.apdu.notify import DataNotification, EventNotificationRequest
from ami_dlms.apdu.set import SetResponseNormal
from ami_dlms.association import (
    LN_CONFORMANCE,
    Action,
    Answer,
    AssociationOpened,
    AssociationRefused,
    AssociationReleased,
    ClientConnection,
    ClientState,
    Discarded,
    Get,
    GetResult,
    Notified,
    Open,
    Opened,
    OpenRefused,
    PeerFault,
    Release,
    Released,
    ServerState,
    Service,
    Set,
    SetResult,
)
from ami_dlms.association.settings import MAX_OCTETS_BEFORE_OPEN
from ami_dlms.enums import (
    AcseServiceUserDiagnostic,
    ActionResult,
    ApplicationContext,
    AssociationResult,
    ConfirmedService,
    Conformance,
    DataAccessResult,
    DiagnosticSource,
    ErrorClass,
    Mechanism,
    ServiceError,
    StateError,
)
from ami_dlms.errors import LocalError, ProtocolError, RemoteError
from ami_dlms.framing.wrapper import WrapperPdu, encode
from ami_dlms.security import SendCounter, protect

USER = AcseServiceUserDiagnostic
BOTH = (True, True)
NOTIFICATION = DataNotification(7, None, data.long_unsigned(42))
FAULTS = [
    ExceptionResponse(StateError.SERVICE_UNKNOWN, ServiceError.OTHER_REASON),
    ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.INVOCATION_COUNTER_ERROR, 77),
    ConfirmedServiceError(ConfirmedService.READ, ErrorClass.ACCESS, 1),
]


# --- faults, pushes, strange and late answers at the client


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("policy", [None, BOTH])
@pytest.mark.parametrize("request_", [Get(NAME), Set(CLOCK, data.null()), Action(DISCONNECT)])
def test_a_fault_may_answer_any_request(
    fault: ExceptionResponse, policy: tuple[bool, bool] | None, request_: Get
) -> None:
    joined = opened(policy=policy)
    joined.client.send(request_)
    assert joined.carry_back(from_server(apdu.encode(fault))) == [PeerFault(fault, fault.reason)]
    assert joined.ask(Get(NAME)) == [GetResult(joined.values[NAME], DataAccessResult.SUCCESS)]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("request_", [Open(), Release()])
def test_a_fault_may_answer_opening_and_releasing(fault: ExceptionResponse, request_: Open | Release) -> None:
    joined = pair() if isinstance(request_, Open) else opened()
    joined.client.send(request_)
    assert joined.carry_back(from_server(apdu.encode(fault))) == [PeerFault(fault, fault.reason)]
    assert joined.client.state is ClientState.IDLE


def test_a_fault_in_the_middle_of_blocks() -> None:
    joined = opened(client={"max_receive_pdu_size": 64})
    joined.client.receive_data(joined.to_server(joined.client.send(Get(LONG))))
    assert joined.client.next_event() is None
    assert joined.carry_back(from_server(apdu.encode(FAULTS[0]))) == [PeerFault(FAULTS[0], FAULTS[0].reason)]


@pytest.mark.parametrize("policy", [None, BOTH])
def test_a_push_in_the_middle_of_a_get(policy: tuple[bool, bool] | None) -> None:
    joined = opened(policy=policy, client={"max_receive_pdu_size": 64})
    first = joined.to_server(joined.client.send(Get(LONG)))
    push = from_server(apdu.encode(NOTIFICATION))
    assert joined.carry_back(push + first + push) == [
        Notified(NOTIFICATION),
        Notified(NOTIFICATION),
        GetResult(joined.values[LONG], DataAccessResult.SUCCESS),
    ]


def test_a_protected_push_says_that_it_is() -> None:
    joined = secured()
    content = protect(0x30, KEYS, SERVER_TITLE, 9000, apdu.encode(NOTIFICATION))
    push = from_server(apdu.encode(GeneralGloCiphering(SERVER_TITLE, content)))
    assert joined.carry_back(push) == [Notified(NOTIFICATION, protected=True)]


def test_an_answer_with_a_foreign_invoke_id_is_dropped() -> None:
    joined = opened()
    octets = joined.client.send(Get(NAME))
    invoke = octets[10]
    for strange in (invoke ^ 1, invoke ^ 8):
        answer = apdu.encode(GetResponseNormal(strange, data.octet_string(b"foreign")))
        assert joined.carry_back(from_server(answer)) == []
    true = joined.to_server(octets)
    assert joined.carry_back(true) == [GetResult(joined.values[NAME], DataAccessResult.SUCCESS)]
    assert joined.carry_back(true) == [], "the meter answers twice"


def test_a_late_answer_after_giving_up_is_dropped() -> None:
    joined = opened()
    late = joined.to_server(joined.client.send(Get(NAME)))
    joined.client.abandon()
    octets = joined.client.send(Get(CLOCK))
    assert joined.carry_back(late) == []
    assert joined.carry(octets) == [GetResult(joined.values[CLOCK], DataAccessResult.SUCCESS)]


def test_priority_bits_of_the_invoke_id_do_not_matter() -> None:
    joined = opened()
    invoke = joined.client.send(Get(NAME))[10]
    answer = apdu.encode(GetResponseNormal(invoke & 0x0F, data.null()))
    assert joined.carry_back(from_server(answer)) == [GetResult(data.null(), DataAccessResult.SUCCESS)]


def test_frames_for_other_wrapper_ports_are_dropped() -> None:
    joined = opened()
    octets = joined.client.send(Get(NAME))
    answer = bytearray(joined.to_server(octets))
    answer[5] ^= 0x40
    assert joined.carry_back(bytes(answer)) == []


def test_an_answer_of_another_service_is_a_protocol_error() -> None:
    joined = opened()
    invoke = joined.client.send(Get(NAME))[10]
    with pytest.raises(ProtocolError):
        joined.carry_back(from_server(apdu.encode(SetResponseNormal(invoke, DataAccessResult.SUCCESS))))
    assert joined.client.state is ClientState.CLOSED
    assert joined.client.next_event() is None
    with pytest.raises(LocalError):
        joined.client.send(Get(NAME))


def test_a_repeated_block_is_taken_once_and_a_lost_one_is_noticed() -> None:
    joined = opened(client={"max_receive_pdu_size": 64})
    first = joined.to_server(joined.client.send(Get(LONG)))
    invoke = pdus(first)[0].apdu[2]
    joined.client.receive_data(first + first)
    assert joined.client.next_event() is None
    assert len(pdus(joined.client.data_to_send())) == 1
    with pytest.raises(ProtocolError):
        joined.carry_back(from_server(apdu.encode(GetResponseWithDataBlock(invoke, False, 3, b"x"))))


IN_ONE, IN_BLOCKS, IN_GENERAL_BLOCKS = "in one APDU", "in blocks", "in general blocks"
GENERAL_BLOCKS_ALONE = LN_CONFORMANCE & ~Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
TRANSFERS: dict[str, dict[str, Any]] = {
    IN_ONE: {},
    IN_BLOCKS: {"max_receive_pdu_size": 64},
    IN_GENERAL_BLOCKS: {"max_receive_pdu_size": 64, "conformance": GENERAL_BLOCKS_ALONE},
}


@pytest.mark.parametrize("way", TRANSFERS)
def test_a_result_may_be_as_long_as_the_settings_say(way: str) -> None:
    offered = {"conformance": LN_CONFORMANCE}
    length = len(data.encode(opened().values[LONG]))
    for most in (length + 100, 64 * 1024):
        joined = opened(client=TRANSFERS[way] | {"max_result_octets": most}, server=offered)
        assert joined.ask(Get(LONG)) == [GetResult(joined.values[LONG], DataAccessResult.SUCCESS)]
    joined = opened(client=TRANSFERS[way] | {"max_result_octets": length - 300}, server=offered)
    with pytest.raises(ProtocolError, match=r"most here|long value"):
        joined.ask(Get(LONG))
    assert joined.client.closed


@pytest.mark.parametrize("state", [ClientState.OPENING, ClientState.PROVING])
def test_what_comes_before_the_association_is_open_stays_small(state: ClientState) -> None:
    joined = pair(Mechanism.GMAC, policy=(True, True))
    octets = joined.client.send(Open())
    if state is ClientState.PROVING:
        joined.to_client(joined.to_server(octets))
    assert joined.client.state is state
    joined.client.receive_data(from_server(b"\xdb\x00" + bytes(MAX_OCTETS_BEFORE_OPEN)))
    with pytest.raises(ProtocolError, match=f"{MAX_OCTETS_BEFORE_OPEN} are the most"):
        joined.client.next_event()


@pytest.mark.parametrize("way", [IN_BLOCKS, IN_GENERAL_BLOCKS])
def test_a_request_may_be_as_long_as_the_profile_says(way: str) -> None:
    blocks = Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE if way is IN_GENERAL_BLOCKS else Conformance(0)
    ours: dict[str, Any] = {"conformance": LN_CONFORMANCE & ~blocks}
    theirs = ours | {"max_receive_pdu_size": 64, "max_request_octets": 200}
    for octets, taken in ((100, True), (400, False)):
        joined, value = opened(client=ours, server=theirs), data.octet_string(bytes(octets))
        assert (joined.ask(Set(CLOCK, value)) == [SetResult(DataAccessResult.SUCCESS)]) is taken
        assert (joined.values[CLOCK] == value) is taken


def test_one_bad_apdu_does_not_poison_the_next_answer() -> None:
    joined = opened()
    joined.server.receive_data(from_client(b"\xc0\x01") + from_client(b"\x00") + from_client(b"\xc0\xff\x00"))
    for _ in range(3):
        assert isinstance(joined.server.next_event(), Discarded)
    assert len(pdus(joined.server.data_to_send())) == 3
    assert joined.ask(Get(NAME)) == [GetResult(joined.values[NAME], DataAccessResult.SUCCESS)]


# --- opening: variants of real clients and servers


def plain_aarq(**changes: object) -> Aarq:
    return replace(Aarq(ApplicationContext.LN, user_information=initiate()), **changes)


def answered(aarq: Aarq, **changes: object) -> tuple[object, Aare | None]:
    """What a server without security makes of an AARQ: its event and its AARE."""
    server = server_of(profile(**changes))
    server.receive_data(from_client(apdu.encode(aarq)))
    event = server.next_event()
    octets = server.data_to_send()
    found = apdu.decode(pdus(octets)[0].apdu) if octets else None
    assert found is None or isinstance(found, Aare)
    return event, found


def test_a_challenge_of_64_octets_and_long_form_lengths() -> None:
    server = server_of(profile(Mechanism.GMAC, security=security(SERVER_TITLE)))
    client = ClientConnection(
        settings(Mechanism.GMAC, security=security(CLIENT_TITLE)),
        challenge=bytes(range(64)),
        send_counter=SendCounter(1),
        dedicated_key=bytes(16),
    )
    joined = Pair(client, server)
    first = joined.ask(Open())
    assert isinstance(first[0], Opened)
    assert pdus(joined.wire[0][1])[0].apdu[1] == 0x81, "the AARQ has a length of two octets"


def test_an_explicit_protocol_version() -> None:
    event, aare = answered(plain_aarq(protocol_version=(True,)))
    assert isinstance(event, AssociationOpened)
    event, aare = answered(plain_aarq(protocol_version=(False,)))
    assert isinstance(event, AssociationRefused)
    assert aare is not None
    assert aare.diagnostic.reason == "no-common-acse-version"


def test_quality_of_service_and_response_allowed_false() -> None:
    event, aare = answered(plain_aarq(user_information=initiate(quality_of_service=3)))
    assert isinstance(event, AssociationOpened)
    assert aare is not None
    event, aare = answered(plain_aarq(user_information=initiate(response_allowed=False)))
    assert isinstance(event, AssociationOpened)
    assert aare is None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"dlms_version": 5}, 1),
        ({"conformance": Conformance.READ}, 2),
        ({"client_max_receive_pdu_size": 10}, 3),
    ],
)
def test_what_can_not_be_negotiated_is_refused_with_its_reason(changes: dict, code: int) -> None:
    event, aare = answered(plain_aarq(user_information=initiate(**changes)))
    assert isinstance(event, AssociationRefused)
    assert aare is not None
    error = apdu.decode(aare.user_information or b"")
    assert error == ConfirmedServiceError(ConfirmedService.INITIATE_ERROR, ErrorClass.INITIATE, code)
    joined = pair()
    joined.client.send(Open())
    (refused,) = joined.carry_back(from_server(apdu.encode(aare)))
    assert isinstance(refused, OpenRefused)
    assert "initiate" in refused.reason


@pytest.mark.parametrize(
    "user_information", [None, b"", b"\x01", b"\xff\xff", b"\xc0\x01\xc1", initiate() + b"\0", b"\x0e\x01\x06\x01"]
)
def test_broken_user_information_is_refused(user_information: bytes | None) -> None:
    event, aare = answered(plain_aarq(user_information=user_information))
    assert isinstance(event, AssociationRefused)
    assert aare is not None
    assert aare.result is AssociationResult.REJECTED_PERMANENT


def test_the_whole_conformance_block_survives() -> None:
    everything = Conformance(0xFFFFFF)
    _, aare = answered(plain_aarq(user_information=initiate(conformance=everything)), conformance=everything)
    assert aare is not None
    response = apdu.decode(aare.user_information or b"")
    assert isinstance(response, InitiateResponse)
    assert response.conformance == everything


def test_an_unknown_pair_of_wrapper_ports_is_refused() -> None:
    joined = pair(client={"server_wport": 99})
    (event,) = joined.ask(Open())
    assert isinstance(event, OpenRefused)
    assert isinstance(joined.seen[-1], AssociationRefused)


def test_an_empty_rlrq() -> None:
    joined = opened()
    joined.server.receive_data(from_client(bytes.fromhex("6200")))
    assert isinstance(joined.server.next_event(), AssociationReleased)
    assert pdus(joined.server.data_to_send())[0].apdu == bytes.fromhex("6303800100")


def test_an_empty_rlre() -> None:
    joined = opened()
    joined.client.send(Release())
    assert joined.carry_back(from_server(bytes.fromhex("6300"))) == [Released()]


def test_several_associations_on_one_connection() -> None:
    public = profile(client_wport=16, secret=None, send_counter=None, receive_counter=None)
    managed = profile(Mechanism.GMAC, security=security(SERVER_TITLE))
    server = server_of(public, managed)
    first = Pair(ClientConnection(settings(client_wport=16)), server)
    second = Pair(
        ClientConnection(
            settings(Mechanism.GMAC, security=security(CLIENT_TITLE)), challenge=CHALLENGE, send_counter=SendCounter(1)
        ),
        server,
    )
    assert isinstance(first.ask(Open())[0], Opened)
    assert isinstance(second.ask(Open())[0], Opened)
    assert first.ask(Get(NAME)) == second.ask(Get(NAME))
    assert first.ask(Release()) == [Released()]
    assert server.state(SERVER_WPORT, 16) is ServerState.UNASSOCIATED
    assert second.ask(Get(NAME))[0] == GetResult(second.values[NAME], DataAccessResult.SUCCESS)


@pytest.mark.parametrize(
    ("client", "server", "diagnostic"),
    [
        (Mechanism.LOWEST, Mechanism.LOW, USER.AUTHENTICATION_MECHANISM_NAME_REQUIRED),
        (Mechanism.LOW, Mechanism.LOWEST, USER.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED),
    ],
)
def test_another_mechanism_is_refused(client: Mechanism, server: Mechanism, diagnostic: int) -> None:
    joined = Pair(ClientConnection(settings(client)), server_of(profile(server)))
    (event,) = joined.ask(Open())
    assert isinstance(event, OpenRefused)
    assert event.diagnostic == diagnostic


@pytest.mark.parametrize("source", DiagnosticSource)
def test_a_diagnostic_is_of_the_list_of_who_gives_it(source: DiagnosticSource) -> None:
    """Code 2 of the ACSE provider is another complaint than code 2 of its user."""
    joined = Pair(ClientConnection(settings()), server_of(profile()))
    joined.client.send(Open())
    refusing = Aare(ApplicationContext.LN, AssociationResult.REJECTED_PERMANENT, Diagnostic(source, 2))
    joined.client.receive_data(from_server(apdu.encode(refusing)))
    event = joined.client.next_event()
    assert isinstance(event, OpenRefused)
    assert (event.source, event.diagnostic) == (source, 2)
    provider = source is DiagnosticSource.ACSE_SERVICE_PROVIDER
    assert event.reason == ("no-common-acse-version" if provider else "application-context-name-not-supported")


def test_a_wrong_password_is_refused_without_a_hint() -> None:
    answers = set()
    for secret in (b"12345679", b"1", b"12345678 and more"):
        joined = pair(Mechanism.LOW, client={"secret": secret})
        (event,) = joined.ask(Open())
        assert isinstance(event, OpenRefused)
        assert event.diagnostic == USER.AUTHENTICATION_FAILURE
        answers.add(joined.wire[-1][1])
    assert len(answers) == 1


def test_context_with_ciphering_has_to_match() -> None:
    ours = {"security": security(CLIENT_TITLE)}
    joined = Pair(ClientConnection(settings(**ours), send_counter=SendCounter(1)), server_of(profile()))
    (event,) = joined.ask(Open())
    assert isinstance(event, OpenRefused)
    assert event.diagnostic == USER.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED


# --- limits and settings


def test_services_that_were_not_negotiated_are_refused() -> None:
    joined = opened(client={"conformance": Conformance.GET})
    (event,) = joined.ask(Action(DISCONNECT))
    assert isinstance(event, PeerFault)
    assert isinstance(joined.seen[-1], Discarded)


def test_services_that_are_not_built_are_refused() -> None:
    joined = opened()
    joined.to_server(from_client(bytes.fromhex("C003C101") + apdu.encode(GetRequestNormal(0xC1, NAME))[3:]))
    assert isinstance(joined.seen[-1], Discarded)


def test_the_same_request_twice_reaches_the_application_once() -> None:
    joined = opened()
    octets = joined.client.send(Get(NAME))
    joined.server.receive_data(octets + octets)
    first, second = joined.server.next_event(), joined.server.next_event()
    requested(first, Service.GET)
    assert isinstance(second, Discarded)
    assert joined.server.send(Answer(first.key, (data.null(),)))


def test_a_request_longer_than_the_server_takes_is_refused_by_both_ends() -> None:
    joined = opened(server={"max_receive_pdu_size": 100})
    with pytest.raises(LocalError):
        joined.client.send(Set(CLOCK, data.octet_string(bytes(200))))
    assert joined.client.state is ClientState.OPEN
    joined.seen.clear()
    joined.to_server(from_client(b"\xc1\x01" + bytes(200)))
    joined.to_server(from_client(apdu.encode(GeneralGloCiphering(b"", bytes(200)))))
    assert {type(event) for event in joined.seen} == {Discarded}


def test_a_method_result_that_does_not_fit_is_not_sent() -> None:
    joined = opened(client={"max_receive_pdu_size": 64})
    (event,) = joined.ask(Action(DISCONNECT, data.octet_string(bytes(100))))
    assert event.result is ActionResult.SUCCESS
    assert event.value is None


def test_a_stream_that_is_no_wrapper_closes_the_server() -> None:
    joined = opened()
    joined.to_server(b"GET / HTTP/1.1\r\n\r\n")
    assert isinstance(joined.seen[-1], Discarded)
    assert joined.server.closed
    joined.server.receive_data(b"more")
    assert joined.server.next_event() is None


def test_two_servers_do_not_answer_each_other_for_ever() -> None:
    one, two = server_of(profile()), server_of(profile(client_wport=17, server_wport=1))
    octets = from_client(apdu.encode(GetRequestNormal(0xC1, NAME)))
    for turn in range(3):
        end = (one, two)[turn % 2]
        end.receive_data(octets)
        end.next_event()
        octets = end.data_to_send()
        if not octets:
            break
    assert not octets


@pytest.mark.parametrize(
    "wrong",
    [
        {"mechanism": Mechanism.LOW, "secret": None},
        {"mechanism": Mechanism.GMAC},
        {"mechanism": Mechanism.SHA256},
        {"client_wport": 70000},
        {"max_receive_pdu_size": 70000},
    ],
)
def test_settings_that_can_not_work_are_refused(wrong: dict) -> None:
    with pytest.raises(LocalError):
        settings(**wrong)
    with pytest.raises(LocalError):
        profile(**wrong)


def test_security_that_can_not_work_is_refused() -> None:
    with pytest.raises(LocalError):
        security(b"short")
    with pytest.raises(LocalError):
        security(CLIENT_TITLE, suite=2)
    with pytest.raises(LocalError):
        profile(security=security(SERVER_TITLE), receive_counter=None)
    with pytest.raises(LocalError):
        ClientConnection(settings(security=security(CLIENT_TITLE)))
    with pytest.raises(LocalError):
        ClientConnection(
            settings(Mechanism.GMAC, security=security(CLIENT_TITLE)), challenge=b"short", send_counter=SendCounter(1)
        )
    with pytest.raises(LocalError):
        ClientConnection(settings(), dedicated_key=bytes(16))


def test_a_challenge_is_used_once() -> None:
    joined = secured()
    joined.ask(Release())
    with pytest.raises(LocalError, match="challenge"):
        joined.client.send(Open())


def test_a_request_between_unknown_wrapper_ports_gets_an_exception_response() -> None:
    server = server_of(profile())
    server.receive_data(encode(WrapperPdu(99, 98, apdu.encode(GetRequestNormal(0xC1, NAME)))))
    assert isinstance(server.next_event(), Discarded)
    (answer,) = pdus(server.data_to_send())
    assert (answer.source, answer.destination) == (98, 99)
    assert isinstance(apdu.decode(answer.apdu), ExceptionResponse)


@pytest.mark.parametrize("user_information", [None, initiate(), b"\xff"])
def test_an_aare_that_accepts_without_a_good_initiate_response_is_refused(user_information: bytes | None) -> None:
    joined = pair()
    aare = apdu.decode(pdus(joined.to_server(joined.client.send(Open())))[0].apdu)
    assert isinstance(aare, Aare)
    with pytest.raises(RemoteError):
        joined.carry_back(from_server(apdu.encode(replace(aare, user_information=user_information))))
    assert joined.client.state is ClientState.CLOSED


def test_a_proof_that_was_not_proposed_is_a_protocol_error() -> None:
    joined = pair()
    aare = apdu.decode(pdus(joined.to_server(joined.client.send(Open())))[0].apdu)
    assert isinstance(aare, Aare)
    wanted = replace(aare, diagnostic=Diagnostic.user(USER.AUTHENTICATION_REQUIRED))
    with pytest.raises(ProtocolError):
        joined.carry_back(from_server(apdu.encode(wanted)))


def test_a_client_drops_an_event_notification_and_refuses_requests() -> None:
    joined = opened()
    octets = joined.client.send(Get(NAME))
    event = apdu.encode(EventNotificationRequest(None, CLOCK, data.null()))
    assert joined.carry_back(from_server(event)) == []
    assert joined.carry(octets) == [GetResult(joined.values[NAME], DataAccessResult.SUCCESS)]
    with pytest.raises(ProtocolError):
        joined.carry_back(from_server(apdu.encode(GetRequestNormal(0xC1, NAME))))
