"""Long values and lists in memory: every service, block size, policy and direction, and what goes wrong between blocks."""

from __future__ import annotations

from itertools import product
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
    services,
)

from ami_dlms import apdu, data
from ami_dlms.apdu.action import (
    ActionRequestNextBlock,
    ActionRequestNormal,
    ActionRequestWithBlock,
    ActionRequestWithFirstBlock,
    ActionRequestWithListAndFirstBlock,
    ActionResponseNextBlock,
    ActionResponseNormal,
    ActionResponseWithBlock,
    ActionResponseWithList,
)
from ami_dlms.apdu.fields import AttributeItem, Block
from ami_dlms.apdu.get import GetRequestWithList, GetResponseNormal, GetResponseWithDataBlock, GetResponseWithList
from ami_dlms.apdu.set import (
    SetRequestNormal,
    SetRequestWithDataBlock,
    SetRequestWithFirstDataBlock,
    SetRequestWithList,
    SetRequestWithListAndFirstDataBlock,
    SetResponseDataBlock,
    SetResponseLastDataBlock,
    SetResponseLastDataBlockWithList,
    SetResponseNormal,
)
from ami_dlms.association import (
    LN_CONFORMANCE,
    Action,
    ActionList,
    ActionListOutcome,
    ActionOutcome,
    Answer,
    Ciphering,
    ClientState,
    Discarded,
    Get,
    GetList,
    GetListResult,
    GetResult,
    PeerFault,
    ServerState,
    Service,
    Set,
    SetList,
    SetListResult,
    SetResult,
)
from ami_dlms.association.client.exchange import ExchangeLimits
from ami_dlms.association.client.fast_path import result_in
from ami_dlms.association.client.ln import get_list_exchange
from ami_dlms.enums import ActionResult, Conformance, DataAccessResult, DataTag, Mechanism, ServiceError
from ami_dlms.errors import LocalError, ProtocolError

OK, DENIED, UNDEFINED = (
    DataAccessResult.SUCCESS,
    DataAccessResult.READ_WRITE_DENIED,
    DataAccessResult.OBJECT_UNDEFINED,
)
SIZES = [64, 80, 127, 128, 140, 200, 255, 256, 300, 1000, 0]
POLICIES = [None, (True, True)]
COMBINATIONS = [
    (size, policy, ciphering)
    for size, policy, ciphering in product(SIZES, POLICIES, Ciphering)
    if not (size == 64 and policy and ciphering is Ciphering.GENERAL_CIPHERING)  # its header leaves no room
]
NOTHING = Conformance(0)
SERVICES = LN_CONFORMANCE & ~Conformance.GENERAL_BLOCK_TRANSFER
FIRST = Block(False, 1, b"\x09\x04a")
VALUE = data.octet_string(bytes(range(256)) * 2)
ROWS = data.array(*(data.structure(data.long_unsigned(n), data.double_long_unsigned(n)) for n in range(60)))


def talking(
    size: int = 0,
    policy: tuple[bool, bool] | None = None,
    without: Conformance = NOTHING,
    ciphering: Ciphering = Ciphering.GENERAL_GLO,
    mechanism: Mechanism = Mechanism.LOWEST,
) -> Pair:
    """Both ends take `size` octets at most and speak everything but `without`."""
    limits = {"max_receive_pdu_size": size, "conformance": SERVICES & ~without}
    joined = opened(mechanism, policy=policy, ciphering=ciphering, client=limits, server=limits)
    joined.wire.clear()
    joined.seen.clear()
    return joined


def check_sizes(joined: Pair, size: int) -> None:
    sizes = [len(pdu.apdu) for _, octets in joined.wire for pdu in pdus(octets)]
    assert not size or max(sizes) <= size


# --- one of everything, in every size


@pytest.mark.parametrize(("size", "policy", "ciphering"), COMBINATIONS)
def test_long_set(size: int, policy: tuple[bool, bool] | None, ciphering: Ciphering) -> None:
    joined = talking(size, policy, ciphering=ciphering)
    assert joined.ask(Set(CLOCK, VALUE)) == [SetResult(OK)]
    assert joined.values[CLOCK] == VALUE
    assert services(joined) == [Service.SET] and len(joined.seen) == 1
    check_sizes(joined, size)
    assert joined.ask(Get(CLOCK)) == [GetResult(VALUE, OK)]
    assert joined.ask(Set(CLOCK, data.null())) == [SetResult(OK)]


@pytest.mark.parametrize(("size", "policy", "ciphering"), COMBINATIONS)
def test_long_action_both_ways(size: int, policy: tuple[bool, bool] | None, ciphering: Ciphering) -> None:
    joined = talking(size, policy, ciphering=ciphering)
    assert joined.ask(Action(DISCONNECT, VALUE)) == [ActionOutcome(ActionResult.SUCCESS, VALUE)]
    assert services(joined) == [Service.ACTION] and len(joined.seen) == 1
    check_sizes(joined, size)
    assert joined.ask(Action(DISCONNECT)) == [ActionOutcome(ActionResult.SUCCESS, None)]


@pytest.mark.parametrize(("size", "policy"), list(product(SIZES, POLICIES)))
def test_an_array_in_blocks_or_on_the_fast_path_may_stay_encoded(size: int, policy: tuple[bool, bool] | None) -> None:
    joined = talking(size, policy)
    for value in (ROWS, VALUE, data.array()):
        joined.values[CLOCK] = value
        (answer,) = joined.ask(Get(CLOCK, encoded=True))
        assert answer == GetResult(value, OK) == joined.ask(Get(CLOCK))[0]
        in_blocks = 0 < size < len(data.encode(value))
        stays = value.tag is DataTag.ARRAY and (in_blocks or policy == (True, True))
        assert isinstance(answer.value.value, data.EncodedItems) == stays


@pytest.mark.parametrize(("size", "policy"), list(product(SIZES[4:], POLICIES)))
def test_an_array_at_the_end_of_a_list_may_stay_encoded(size: int, policy: tuple[bool, bool] | None) -> None:
    joined = talking(size, policy)
    for value in (ROWS, VALUE, data.array()):
        joined.values[CLOCK] = value
        (answer,) = joined.ask(GetList((Get(NAME), Get(CLOCK, encoded=True))))
        first, last = answer.results
        assert answer == joined.ask(GetList((Get(NAME), Get(CLOCK))))[0] == GetListResult((first, GetResult(value, OK)))
        whole = 3 + len(data.encode(joined.values[NAME])) + len(data.encode(value))
        stays = value.tag is DataTag.ARRAY and (0 < size < whole or policy == (True, True))
        assert isinstance(last.value.value, data.EncodedItems) == stays
    (answer,) = joined.ask(GetList((Get(CLOCK), Get(WRITE_ONLY, encoded=True))))
    assert [one.result for one in answer.results] == [OK, DENIED]


def test_a_list_with_an_array_at_its_end_has_as_many_results_as_were_asked_for() -> None:
    asked = GetList((Get(NAME), Get(NAME), Get(CLOCK, encoded=True)))
    exchange = get_list_exchange(1, asked, ExchangeLimits(1000, LN_CONFORMANCE))
    for results in ((VALUE, ROWS), (VALUE, VALUE, VALUE, ROWS)):
        with pytest.raises(ProtocolError, match="results for 3 items"):
            result_in(apdu.encode(GetResponseWithList(exchange.invoke_id_and_priority, results)), exchange)


@pytest.mark.parametrize(("size", "policy"), list(product(SIZES, POLICIES)))
def test_lists(size: int, policy: tuple[bool, bool] | None) -> None:
    joined = talking(size, policy)
    if 0 < size < 140 and policy:
        return  # the descriptors of a list do not fit: see below
    if 0 < size < 80:
        return
    answer = GetListResult((GetResult(joined.values[NAME], OK), GetResult(joined.values[LONG], OK)))
    assert joined.ask(GetList((Get(NAME), Get(LONG)))) == [answer]
    check_sizes(joined, size)
    written = SetListResult((SetResult(OK), SetResult(OK)))
    assert joined.ask(SetList((Set(CLOCK, VALUE), Set(WRITE_ONLY, ROWS)))) == [written]
    assert (joined.values[CLOCK], joined.values[WRITE_ONLY]) == (VALUE, ROWS)
    check_sizes(joined, size)
    called = tuple(ActionOutcome(ActionResult.SUCCESS, value) for value in (VALUE, None, ROWS))
    request = ActionList((Action(DISCONNECT, VALUE), Action(DISCONNECT), Action(DISCONNECT, ROWS)))
    assert joined.ask(request) == [ActionListOutcome(called)]
    check_sizes(joined, size)


@pytest.mark.parametrize("mechanism", [Mechanism.LOW, Mechanism.GMAC])
def test_long_and_many_after_a_proof(mechanism: Mechanism) -> None:
    joined = talking(200, (True, True), mechanism=mechanism)
    assert joined.ask(Set(CLOCK, VALUE)) == [SetResult(OK)]
    assert joined.ask(GetList((Get(CLOCK),))) == [GetListResult((GetResult(VALUE, OK),))]


def test_a_list_that_does_not_fit_is_ours_to_cut() -> None:
    joined = talking(64)
    with pytest.raises(LocalError, match="64 octets"):
        joined.client.send(GetList((Get(NAME),) * 20))
    with pytest.raises(LocalError, match="no room"):
        joined.client.send(SetList((Set(CLOCK, VALUE),) * 20))
    assert joined.client.state is ClientState.OPEN
    assert joined.ask(Get(NAME)) == [GetResult(joined.values[NAME], OK)]


# --- rights, one by one


def test_each_item_has_its_own_right() -> None:
    joined = talking()
    request = GetList((Get(NAME), Get(WRITE_ONLY), Get(HIDDEN), Get(CLOCK)))
    (answer,) = joined.ask(request)
    assert answer == GetListResult(
        (
            GetResult(joined.values[NAME], OK),
            GetResult(None, DENIED),
            GetResult(None, UNDEFINED),
            GetResult(joined.values[CLOCK], OK),
        )
    )
    event = joined.seen[-1]
    requested(event, Service.GET_WITH_LIST)
    assert event.items == (Get(NAME), Get(CLOCK)), "the application sees what the client may have"
    (answer,) = joined.ask(SetList((Set(NAME, VALUE), Set(CLOCK, VALUE), Set(HIDDEN, VALUE))))
    assert answer == SetListResult((SetResult(DENIED), SetResult(OK), SetResult(UNDEFINED)))
    event = joined.seen[-1]
    requested(event, Service.SET_WITH_LIST)
    assert event.items == (Set(CLOCK, VALUE),)
    (answer,) = joined.ask(ActionList((Action(FORBIDDEN), Action(DISCONNECT), Action(UNKNOWN))))
    assert answer == ActionListOutcome(
        (
            ActionOutcome(ActionResult.READ_WRITE_DENIED, None),
            ActionOutcome(ActionResult.SUCCESS, None),
            ActionOutcome(ActionResult.OBJECT_UNDEFINED, None),
        )
    )


def test_a_list_of_nothing_allowed_never_reaches_the_application() -> None:
    joined = talking()
    assert joined.ask(GetList((Get(HIDDEN),))) == [GetListResult((GetResult(None, UNDEFINED),))]
    assert joined.ask(SetList((Set(NAME, VALUE),))) == [SetListResult((SetResult(DENIED),))]
    assert joined.ask(GetList(())) == [GetListResult(())]
    assert {type(event) for event in joined.seen} == {Discarded}


@pytest.mark.parametrize("request_", [Set(NAME, VALUE), Set(HIDDEN, VALUE), Action(FORBIDDEN, VALUE)])
def test_a_long_request_is_denied_at_its_first_block(request_: Set | Action) -> None:
    joined = talking(64)
    (answer,) = joined.ask(request_)
    assert isinstance(answer, SetResult | ActionOutcome)
    assert answer.result.name in ("READ_WRITE_DENIED", "OBJECT_UNDEFINED")
    assert len(joined.wire) == 2
    assert joined.server.state(17, 1) is ServerState.OPEN
    assert joined.client.state is ClientState.OPEN


# --- what was not negotiated


def test_the_client_does_not_send_lists_that_were_not_negotiated() -> None:
    joined = talking(without=Conformance.MULTIPLE_REFERENCES)
    for request in (GetList((Get(NAME),)), SetList((Set(CLOCK, VALUE),)), ActionList((Action(DISCONNECT),))):
        with pytest.raises(LocalError, match="MULTIPLE_REFERENCES"):
            joined.client.send(request)


@pytest.mark.parametrize("request_", [Set(CLOCK, VALUE), Action(DISCONNECT, VALUE)])
def test_without_blocks_a_long_request_is_ours_to_cut(request_: Set | Action) -> None:
    blocks = Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE | Conformance.BLOCK_TRANSFER_WITH_ACTION
    joined = talking(64, without=blocks)
    with pytest.raises(LocalError, match="64 octets"):
        joined.client.send(request_)


@pytest.mark.parametrize(
    ("message", "without"),
    [
        (GetRequestWithList(0xC1, ()), Conformance.MULTIPLE_REFERENCES),
        (SetRequestWithList(0xC1, (), ()), Conformance.MULTIPLE_REFERENCES),
        (SetRequestWithFirstDataBlock(0xC1, CLOCK, None, Block(False, 1, b"")), Conformance.SET),
        (
            SetRequestWithFirstDataBlock(0xC1, CLOCK, None, Block(False, 1, b"")),
            Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE,
        ),
        (
            SetRequestWithListAndFirstDataBlock(0xC1, (), Block(False, 1, b"")),
            Conformance.MULTIPLE_REFERENCES,
        ),
        (
            ActionRequestWithFirstBlock(0xC1, DISCONNECT, Block(False, 1, b"")),
            Conformance.BLOCK_TRANSFER_WITH_ACTION,
        ),
        (ActionRequestWithListAndFirstBlock(0xC1, (), Block(False, 1, b"")), Conformance.ACTION),
    ],
)
def test_the_server_refuses_what_was_not_negotiated(message: Any, without: Conformance) -> None:
    joined = talking(without=without)
    (fault,) = pdus(joined.to_server(from_client(apdu.encode(message))))
    response: Any = apdu.decode(fault.apdu)
    assert response.service_error is ServiceError.SERVICE_NOT_SUPPORTED
    assert joined.server.state(17, 1) is ServerState.OPEN


def test_a_long_answer_to_an_action_without_blocks_keeps_its_result() -> None:
    joined = talking(without=Conformance.BLOCK_TRANSFER_WITH_ACTION)
    limited = {"max_receive_pdu_size": 64, "conformance": SERVICES & ~Conformance.BLOCK_TRANSFER_WITH_ACTION}
    joined = opened(client=limited)
    assert joined.ask(Action(DISCONNECT, VALUE)) == [ActionOutcome(ActionResult.SUCCESS, None)]


def test_a_refusal_that_does_not_fit_either_is_a_fault() -> None:
    limited = {"max_receive_pdu_size": 64, "conformance": SERVICES & ~Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ}
    joined = opened(client=limited, server={"conformance": SERVICES})
    (event,) = joined.ask(GetList((Get(LONG),) * 40))
    assert isinstance(event, PeerFault)
    assert "pdu-too-long" in event.reason


# --- between the blocks


def server_reply(joined: Pair, message: Any) -> Any:
    """What the server answers to one APDU."""
    octets = joined.to_server(from_client(apdu.encode(message)))
    found = pdus(octets)
    return apdu.decode(found[0].apdu) if found else None


def first(block: Block = FIRST, invoke: int = 0xC9) -> SetRequestWithFirstDataBlock:
    return SetRequestWithFirstDataBlock(invoke, CLOCK, None, block)


def test_a_block_that_comes_twice_is_confirmed_twice_and_taken_once() -> None:
    joined = talking()
    for message in (first(), SetRequestWithDataBlock(0xC9, Block(False, 1, b"\x09\x04a"))):
        assert server_reply(joined, message) == SetResponseDataBlock(0xC9, 1)
    for _ in range(2):
        assert server_reply(joined, SetRequestWithDataBlock(0xC9, Block(False, 2, b"bc"))) == SetResponseDataBlock(
            0xC9, 2
        )
    last = SetRequestWithDataBlock(0xC9, Block(True, 3, b"d"))
    assert server_reply(joined, last) == SetResponseLastDataBlock(0xC9, OK, 3)
    assert joined.values[CLOCK] == data.octet_string(b"abcd")
    assert server_reply(joined, last) == SetResponseLastDataBlock(0xC9, DataAccessResult.NO_LONG_SET_IN_PROGRESS, 3)


@pytest.mark.parametrize("number", [0, 3, 99])
def test_a_lost_block_ends_a_long_set(number: int) -> None:
    joined = talking()
    server_reply(joined, first())
    wrong = SetRequestWithDataBlock(0xC9, Block(False, number, b"x"))
    assert server_reply(joined, wrong) == SetResponseLastDataBlock(
        0xC9, DataAccessResult.DATA_BLOCK_NUMBER_INVALID, number
    )
    assert joined.server.state(17, 1) is ServerState.OPEN
    again = SetRequestWithDataBlock(0xC9, Block(True, 2, b"x"))
    assert server_reply(joined, again) == SetResponseLastDataBlock(0xC9, DataAccessResult.NO_LONG_SET_IN_PROGRESS, 2)


def test_blocks_of_another_request_do_not_mix() -> None:
    joined = talking()
    server_reply(joined, first())
    foreign = SetRequestWithDataBlock(0xC5, Block(True, 2, b"x"))
    none = DataAccessResult.NO_LONG_SET_IN_PROGRESS
    assert server_reply(joined, foreign) == SetResponseLastDataBlock(0xC5, none, 2)
    action = ActionRequestWithBlock(0xC9, Block(True, 2, b"x"))
    assert server_reply(joined, action) == ActionResponseNormal(0xC9, ActionResult.NO_LONG_ACTION_IN_PROGRESS)
    assert joined.server.state(17, 1) is ServerState.RECEIVING_BLOCKS
    last = SetRequestWithDataBlock(0xC9, Block(True, 2, b"bcd"))
    assert server_reply(joined, last) == SetResponseLastDataBlock(0xC9, OK, 2)


def test_a_new_request_ends_a_long_set() -> None:
    joined = talking()
    server_reply(joined, first())
    assert server_reply(joined, SetRequestNormal(0xC5, CLOCK, None, VALUE)) == SetResponseNormal(0xC5, OK)
    last = SetRequestWithDataBlock(0xC9, Block(True, 2, b"bcd"))
    assert server_reply(joined, last).result is DataAccessResult.NO_LONG_SET_IN_PROGRESS


def test_a_first_block_begins_anew() -> None:
    joined = talking()
    server_reply(joined, first())
    server_reply(joined, first(Block(False, 1, b"\x09\x02"), invoke=0xCA))
    last = SetRequestWithDataBlock(0xCA, Block(True, 2, b"yz"))
    assert server_reply(joined, last) == SetResponseLastDataBlock(0xCA, OK, 2)
    assert joined.values[CLOCK] == data.octet_string(b"yz")


def test_one_block_may_be_first_and_last() -> None:
    joined = talking()
    assert server_reply(joined, first(Block(True, 1, b"\x09\x01a"))) == SetResponseLastDataBlock(0xC9, OK, 1)


@pytest.mark.parametrize("rest", [b"", b"bcde", b"bcdef"])
def test_blocks_that_make_no_value(rest: bytes) -> None:
    joined = talking()
    server_reply(joined, first())
    last = server_reply(joined, SetRequestWithDataBlock(0xC9, Block(True, 2, rest)))
    assert last == SetResponseLastDataBlock(0xC9, DataAccessResult.OTHER_REASON, 2)
    assert joined.server.state(17, 1) is ServerState.OPEN


def test_a_long_list_with_another_number_of_values() -> None:
    joined = talking()
    items = (AttributeItem(CLOCK), AttributeItem(CLOCK))
    message = SetRequestWithListAndFirstDataBlock(0xC9, items, Block(True, 1, b"\x01\x11\x05"))
    assert server_reply(joined, message).result is DataAccessResult.OTHER_REASON
    message = SetRequestWithListAndFirstDataBlock(0xC9, items, Block(True, 1, b"\x02\x11\x05\x11\x06"))
    assert server_reply(joined, message) == SetResponseLastDataBlockWithList(0xC9, (OK, OK), 1)
    plain = SetRequestWithList(0xC9, items, (data.null(),))
    assert server_reply(joined, plain).service_error is ServiceError.OPERATION_NOT_POSSIBLE


def test_a_request_that_grows_without_end_is_stopped() -> None:
    limits = {"max_receive_pdu_size": 64, "conformance": SERVICES}
    joined = opened(client=limits, server=limits | {"max_request_octets": 100})
    assert joined.ask(Set(CLOCK, VALUE)) == [SetResult(DataAccessResult.DATA_BLOCK_NUMBER_INVALID)]
    assert joined.ask(Action(DISCONNECT, VALUE)) == [ActionOutcome(ActionResult.LONG_ACTION_ABORTED, None)]


def test_a_long_answer_to_an_action_asked_wrongly() -> None:
    joined = opened(client={"max_receive_pdu_size": 64, "conformance": SERVICES})
    ask = ActionRequestNormal(0xC5, DISCONNECT, VALUE)
    begun = server_reply(joined, ask)
    assert isinstance(begun, ActionResponseWithBlock)
    assert joined.server.state(17, 1) is ServerState.SENDING_BLOCKS
    assert server_reply(joined, ActionRequestNextBlock(0xC5, 9)).result is ActionResult.LONG_ACTION_ABORTED
    assert server_reply(joined, ActionRequestNextBlock(0xC5, 1)).result is ActionResult.NO_LONG_ACTION_IN_PROGRESS
    assert joined.server.state(17, 1) is ServerState.OPEN


# --- the client, with answers made by hand


def answering(joined: Pair, request: Any, *answers: Any) -> list[Any]:
    joined.client.send(request)
    return joined.carry_back(b"".join(from_server(apdu.encode(answer)) for answer in answers))


def test_a_server_may_end_a_long_set_early() -> None:
    joined = talking(64)
    invoke = 0xC1
    for answer in (SetResponseNormal, SetResponseLastDataBlock):
        arguments = (invoke, DENIED) if answer is SetResponseNormal else (invoke, DENIED, 1)
        joined.client.send(Set(CLOCK, VALUE))
        assert joined.carry_back(from_server(apdu.encode(answer(*arguments)))) == [SetResult(DENIED)]
        invoke += 1
    joined.client.send(SetList((Set(CLOCK, VALUE),)))
    refused = SetResponseLastDataBlock(invoke, DENIED, 1)
    assert joined.carry_back(from_server(apdu.encode(refused))) == [SetListResult((SetResult(DENIED),))]


def test_a_confirmation_that_comes_twice_is_dropped() -> None:
    joined = talking(64)
    joined.client.send(Set(CLOCK, VALUE))
    taken = from_server(apdu.encode(SetResponseDataBlock(0xC1, 1)))
    joined.client.receive_data(taken + taken)
    assert joined.client.next_event() is None
    assert len(pdus(joined.client.data_to_send())) == 1


@pytest.mark.parametrize("number", [2, 7])
def test_a_confirmation_of_what_was_not_sent(number: int) -> None:
    joined = talking(64)
    with pytest.raises(ProtocolError, match="block"):
        answering(joined, Set(CLOCK, VALUE), SetResponseDataBlock(0xC1, number))
    assert joined.client.state is ClientState.CLOSED


def test_a_server_that_wants_more_than_there_is() -> None:
    joined = talking()
    with pytest.raises(ProtocolError):
        answering(joined, Set(CLOCK, data.null()), SetResponseDataBlock(0xC1, 1))


def test_a_list_answered_with_another_number_of_results() -> None:
    for answer in (GetResponseWithList(0xC1, (OK,)), GetResponseWithList(0xC1, (data.null(),) * 3)):
        with pytest.raises(ProtocolError, match="results for 2 items"):
            answering(talking(), GetList((Get(NAME), Get(CLOCK))), answer)
    with pytest.raises(ProtocolError, match="results"):
        answering(talking(), ActionList((Action(DISCONNECT),)), ActionResponseWithList(0xC1, ()))


def test_a_list_refused_like_a_single_attribute() -> None:
    other = GetResult(None, DataAccessResult.OTHER_REASON)
    asked_for = GetList((Get(NAME), Get(CLOCK)))
    refusal = GetResponseNormal(0xC1, DataAccessResult.OTHER_REASON)
    assert answering(talking(), asked_for, refusal) == [GetListResult((other, other))]
    with pytest.raises(ProtocolError, match="one value answers a list"):
        answering(talking(), asked_for, GetResponseNormal(0xC1, VALUE))


def test_a_list_refused_as_a_whole() -> None:
    refused = GetResponseWithDataBlock(0xC1, True, 1, DataAccessResult.LONG_GET_ABORTED)
    aborted = GetResult(None, DataAccessResult.LONG_GET_ABORTED)
    assert answering(talking(), GetList((Get(NAME), Get(CLOCK))), refused) == [GetListResult((aborted, aborted))]
    failed = ActionResponseNormal(0xC1, ActionResult.LONG_ACTION_ABORTED)
    outcome = ActionOutcome(ActionResult.LONG_ACTION_ABORTED, None)
    assert answering(talking(), ActionList((Action(DISCONNECT),)), failed) == [ActionListOutcome((outcome,))]


def test_an_answer_in_blocks_while_we_still_send_ours() -> None:
    joined = talking(64)
    with pytest.raises(ProtocolError):
        answering(joined, Action(DISCONNECT, VALUE), ActionResponseWithBlock(0xC1, Block(False, 1, b"x")))


def test_giving_up_in_the_middle_of_sending() -> None:
    joined = talking(64)
    joined.client.send(Set(CLOCK, VALUE))
    joined.client.abandon()
    assert joined.carry_back(from_server(apdu.encode(SetResponseDataBlock(0xC1, 1)))) == []
    assert joined.ask(Set(CLOCK, VALUE)) == [SetResult(OK)]


def test_a_confirmation_of_an_action_block_is_for_an_action() -> None:
    with pytest.raises(ProtocolError, match="ActionResponseNextBlock answers"):
        answering(talking(64), Set(CLOCK, VALUE), ActionResponseNextBlock(0xC1, 1))


# --- answers of the application


def asked(joined: Pair, request: Any) -> Any:
    joined.server.receive_data(joined.client.send(request))
    return joined.server.next_event()


def test_an_answer_must_fit_its_request() -> None:
    joined = talking()
    event = asked(joined, GetList((Get(NAME), Get(HIDDEN))))
    for wrong in (
        Answer(event.key, (ActionOutcome(ActionResult.SUCCESS, None),)),
        Answer(event.key, ()),
        Answer(event.key, (data.null(), data.null())),
        Answer(event.key, (GetResult(data.null(), OK),)),
    ):
        with pytest.raises(LocalError):
            joined.server.send(wrong)
    answer = joined.server.send(Answer(event.key, (data.null(),)))
    expected = GetListResult((GetResult(data.null(), OK), GetResult(None, UNDEFINED)))
    assert joined.carry_back(answer) == [expected]


def test_who_wants_no_answer_gets_none() -> None:
    joined = talking()
    for message in (
        SetRequestNormal(0x81, CLOCK, None, VALUE),
        SetRequestNormal(0x82, HIDDEN, None, VALUE),
        ActionRequestNormal(0x83, DISCONNECT, None),
        SetRequestWithList(0x84, (AttributeItem(CLOCK),), (data.null(),)),
    ):
        assert server_reply(joined, message) is None
    assert [type(event).__name__ for event in joined.seen] == ["Requested", "Discarded", "Requested", "Requested"]
    assert services(joined) == [Service.SET, Service.ACTION, Service.SET_WITH_LIST]
    event = joined.seen[2]
    requested(event, Service.ACTION)
    with pytest.raises(LocalError, match="not open"):
        joined.server.send(Answer(event.key, (ActionOutcome(ActionResult.SUCCESS, None),)))
