"""ACCESS in memory: mixtures of every kind, rights, breaking off at an error, blocks, ciphering, and wrong lists."""

from __future__ import annotations

from typing import Any

import pytest
from in_memory import (
    CLOCK,
    DISCONNECT,
    FORBIDDEN,
    HIDDEN,
    LONG,
    NAME,
    UNKNOWN,
    WRITE_ONLY,
    Pair,
    from_client,
    from_server,
    opened,
    pdus,
    requested,
)

from ami_dlms import apdu, data
from ami_dlms.apdu.access import (
    AccessRequest,
    AccessRequestGet,
    AccessRequestGetWithSelection,
    AccessResponse,
    AccessResponseAction,
    AccessResponseGet,
    AccessResponseSet,
)
from ami_dlms.apdu.faults import ExceptionResponse
from ami_dlms.association import (
    LN_CONFORMANCE,
    Access,
    AccessResult,
    Action,
    ActionOutcome,
    Answer,
    Ciphering,
    Discarded,
    Get,
    GetResult,
    PeerFault,
    Requested,
    Service,
    Set,
    SetResult,
)
from ami_dlms.cosem.selection import EntryDescriptor
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult, Conformance, DataAccessResult, Mechanism, ServiceError
from ami_dlms.errors import LocalError, ProtocolError

OK, DENIED, UNDEFINED, OTHER = (
    DataAccessResult.SUCCESS,
    DataAccessResult.READ_WRITE_DENIED,
    DataAccessResult.OBJECT_UNDEFINED,
    DataAccessResult.OTHER_REASON,
)
VALUE = data.octet_string(bytes(300))
ENTRIES = EntryDescriptor(1, 5).encode()
MIXED = (
    Get(NAME),
    Set(CLOCK, VALUE),
    Get(CLOCK),
    Action(DISCONNECT, data.integer(0)),
    Action(DISCONNECT),
    Get(LONG, ENTRIES),
    Set(WRITE_ONLY, data.null(), ENTRIES),
)
SIZES = [64, 128, 200, 0]


def talking(size: int = 0, without: Conformance | None = None, **changes: Any) -> Pair:
    limits = {"max_receive_pdu_size": size, "conformance": LN_CONFORMANCE & ~(without or Conformance(0))}
    joined = opened(client=limits, server=limits, **changes)
    joined.wire.clear()
    joined.seen.clear()
    return joined


def mixed_result(joined: Pair) -> AccessResult:
    return AccessResult(
        (
            GetResult(joined.values[NAME], OK),
            SetResult(OK),
            GetResult(VALUE, OK),
            ActionOutcome(ActionResult.SUCCESS, data.integer(0)),
            ActionOutcome(ActionResult.SUCCESS, None),
            GetResult(joined.values[LONG], OK),
            SetResult(OK),
        )
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("described", [False, True])
def test_a_mixture(size: int, described: bool) -> None:
    joined = talking(size)
    assert joined.ask(Access(MIXED, self_descriptive=described)) == [mixed_result(joined)]
    (event,) = joined.seen
    requested(event, Service.ACCESS)
    assert event.items == MIXED
    assert max(len(pdu.apdu) for _, octets in joined.wire for pdu in pdus(octets)) <= (size or 0xFFFF)


@pytest.mark.parametrize("ciphering", Ciphering)
@pytest.mark.parametrize("key", [None, b"dedicated key 16"])
def test_ciphered(ciphering: Ciphering, key: bytes | None) -> None:
    joined = talking(200, mechanism=Mechanism.GMAC, policy=(True, True), ciphering=ciphering, dedicated_key=key)
    assert joined.ask(Access(MIXED)) == [mixed_result(joined)]
    assert joined.ask(Get(NAME)) == [GetResult(joined.values[NAME], OK)]
    assert not [octets for _, octets in joined.wire if b"AMI0000000001001" in octets]


def test_each_item_has_its_own_right() -> None:
    joined = talking()
    request = Access((Get(HIDDEN), Get(NAME), Set(NAME, VALUE), Action(FORBIDDEN), Action(DISCONNECT), Action(UNKNOWN)))
    assert joined.ask(request) == [
        AccessResult(
            (
                GetResult(None, UNDEFINED),
                GetResult(joined.values[NAME], OK),
                SetResult(DENIED),
                ActionOutcome(ActionResult.READ_WRITE_DENIED, None),
                ActionOutcome(ActionResult.SUCCESS, None),
                ActionOutcome(ActionResult.OBJECT_UNDEFINED, None),
            )
        )
    ]
    (event,) = joined.seen
    requested(event, Service.ACCESS)
    assert event.items == (Get(NAME), Action(DISCONNECT))


def test_nothing_allowed_never_reaches_the_application() -> None:
    joined = talking()
    assert joined.ask(Access((Get(HIDDEN),))) == [AccessResult((GetResult(None, UNDEFINED),))]
    assert joined.ask(Access(())) == [AccessResult(())]
    assert {type(event) for event in joined.seen} == {Discarded}


def test_nothing_behind_a_denial_when_errors_break() -> None:
    joined = talking()
    request = Access((Get(NAME), Get(HIDDEN), Set(CLOCK, VALUE), Action(DISCONNECT)), break_on_error=True)
    assert joined.ask(request) == [
        AccessResult(
            (
                GetResult(joined.values[NAME], OK),
                GetResult(None, UNDEFINED),
                SetResult(OTHER),
                ActionOutcome(ActionResult.OTHER_REASON, None),
            )
        )
    ]
    assert joined.values[CLOCK] != VALUE
    (event,) = joined.seen
    requested(event, Service.ACCESS)
    assert event.break_on_error
    assert event.items == (Get(NAME),)


def asked(joined: Pair, request: Access) -> Requested:
    joined.server.receive_data(joined.client.send(request))
    event = joined.server.next_event()
    return requested(event, Service.ACCESS)


def test_an_application_that_stops_at_an_error() -> None:
    joined = talking()
    request = Access((Get(NAME), Get(CLOCK), Action(DISCONNECT)), break_on_error=True)
    event = asked(joined, request)
    answer = joined.server.send(Answer(event.key, (DataAccessResult.HARDWARE_FAULT,)))
    assert joined.carry_back(answer) == [
        AccessResult(
            (
                GetResult(None, DataAccessResult.HARDWARE_FAULT),
                GetResult(None, OTHER),
                ActionOutcome(ActionResult.OTHER_REASON, None),
            )
        )
    ]


def test_an_answer_must_fit_its_request() -> None:
    joined = talking()
    event = asked(joined, Access((Get(NAME), Set(CLOCK, VALUE))))
    for results in (
        (),
        (data.null(),),
        (OK, data.null()),
        (ActionOutcome(ActionResult.SUCCESS, None), OK),
        (data.null(), OK, OK),
    ):
        with pytest.raises(LocalError):
            joined.server.send(Answer(event.key, results))
    moment = CosemDateTime(2026, 11, 20, 5, 12, 0, 0, 0, 0, 0)
    answer = joined.server.send(Answer(event.key, (data.null(), DENIED), moment))
    assert joined.carry_back(answer) == [AccessResult((GetResult(data.null(), OK), SetResult(DENIED)), moment)]


def test_the_time_of_a_request_reaches_the_application() -> None:
    moment = CosemDateTime(2026, 11, 20, 5, 12, 0, 0, 0, 0, 0)
    assert asked(talking(), Access((Get(NAME),), date_time=moment)).date_time == moment


def test_access_that_was_not_negotiated() -> None:
    joined = talking(without=Conformance.ACCESS)
    with pytest.raises(LocalError, match="ACCESS"):
        joined.client.send(Access((Get(NAME),)))
    (octets,) = pdus(joined.to_server(from_client(apdu.encode(AccessRequest(0x40000001, None, (), ())))))
    fault = apdu.decode(octets.apdu)
    assert isinstance(fault, ExceptionResponse)
    assert fault.service_error is ServiceError.SERVICE_NOT_SUPPORTED


def test_an_answer_too_long_for_one_apdu_without_general_blocks() -> None:
    limits = {"max_receive_pdu_size": 64, "conformance": LN_CONFORMANCE & ~Conformance.GENERAL_BLOCK_TRANSFER}
    joined = opened(client=limits, server={"conformance": LN_CONFORMANCE})
    assert joined.ask(Access((Get(LONG),))) == [AccessResult((GetResult(None, OTHER),))]
    (event,) = joined.ask(Access((Get(LONG),) * 30))
    assert isinstance(event, PeerFault)
    assert "pdu-too-long" in event.reason


@pytest.mark.parametrize("message", [
    AccessRequest(0x40000001, None, (AccessRequestGet(NAME),), ()),
    AccessRequest(0x40000001, None, (), (data.null(),)),
])  # fmt: skip
def test_lists_of_different_length(message: AccessRequest) -> None:
    joined = talking()
    (octets,) = pdus(joined.to_server(from_client(apdu.encode(message))))
    assert isinstance(apdu.decode(octets.apdu), ExceptionResponse)
    assert joined.ask(Get(NAME)) == [GetResult(joined.values[NAME], OK)]


def test_who_wants_no_answer_gets_none() -> None:
    joined = talking()
    message = AccessRequest(1, None, (AccessRequestGet(NAME), AccessRequestGet(HIDDEN)), (data.null(),) * 2)
    assert joined.to_server(from_client(apdu.encode(message))) == b""
    requested(joined.seen[-1], Service.ACCESS)


def test_selection_needs_its_conformance() -> None:
    joined = talking(without=Conformance.SELECTIVE_ACCESS)
    message = AccessRequest(0x40000001, None, (AccessRequestGetWithSelection(LONG, ENTRIES),), (data.null(),))
    (octets,) = pdus(joined.to_server(from_client(apdu.encode(message))))
    response: Any = apdu.decode(octets.apdu)
    assert response.results == (AccessResponseGet(DataAccessResult.SCOPE_OF_ACCESS_VIOLATED),)


@pytest.mark.parametrize("response", [
    AccessResponse(1, None, None, (data.null(),), ()),
    AccessResponse(1, None, None, (), (AccessResponseGet(OK),)),
    AccessResponse(1, None, None, (data.null(),), (AccessResponseSet(OK),)),
    AccessResponse(1, None, None, (data.null(),), (AccessResponseAction(ActionResult.SUCCESS),)),
])  # fmt: skip
def test_a_response_that_does_not_fit_the_request(response: AccessResponse) -> None:
    joined = talking()
    joined.client.send(Access((Get(NAME),)))
    with pytest.raises(ProtocolError):
        joined.carry_back(from_server(apdu.encode(response)))


def test_foreign_and_late_invoke_ids_are_dropped() -> None:
    joined = talking()
    octets = joined.client.send(Access((Get(NAME),)))
    foreign = AccessResponse(0x40000099, None, None, (data.null(),), (AccessResponseGet(OK),))
    assert joined.carry_back(from_server(apdu.encode(foreign))) == []
    joined.client.abandon()
    assert joined.carry(octets) == []
    assert joined.ask(Access((Get(NAME),))) == [AccessResult((GetResult(joined.values[NAME], OK),))]
