"""Associations with short names in memory: every request, every mechanism and size, rights, blocks, and hostile variants."""

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
    pair,
    pdus,
    requested,
)

from ami_dlms import apdu, data
from ami_dlms.apdu.faults import ExceptionResponse
from ami_dlms.apdu.get import GetRequestNormal
from ami_dlms.apdu.short_names import (
    BlockNumberAccess,
    DataBlockResult,
    ParameterizedAccess,
    ReadDataBlockAccess,
    ReadRequest,
    ReadResponse,
    UnconfirmedWriteRequest,
    VariableName,
    WriteDataBlockAccess,
    WriteRequest,
    WriteResponse,
)
from ami_dlms.association import (
    LN_CONFORMANCE,
    SN_CONFORMANCE,
    Access,
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
    Open,
    Opened,
    OpenRefused,
    PeerFault,
    Read,
    ReadResult,
    Release,
    Released,
    ServerState,
    Service,
    Set,
    SetList,
    SetListResult,
    SetResult,
    Write,
    WriteResult,
)
from ami_dlms.cosem.descriptors import MethodDescriptor
from ami_dlms.cosem.selection import EntryDescriptor
from ami_dlms.cosem.short_names import NamedObject, ShortNames
from ami_dlms.enums import ActionResult, Conformance, DataAccessResult, Mechanism, ServiceError
from ami_dlms.errors import LocalError, ProtocolError
from ami_dlms.obis import Obis

OK, DENIED, UNDEFINED, OTHER = (
    DataAccessResult.SUCCESS,
    DataAccessResult.READ_WRITE_DENIED,
    DataAccessResult.OBJECT_UNDEFINED,
    DataAccessResult.OTHER_REASON,
)
ASSOCIATION = Obis.parse("0-0:40.0.0*255")
NAMES = ShortNames(
    [
        NamedObject(0x0100, 8, 0, CLOCK.instance_id),
        NamedObject(0x0200, 1, 0, NAME.instance_id),
        NamedObject(0x0300, 7, 1, LONG.instance_id),
        NamedObject(0x0400, 15, 2, WRITE_ONLY.instance_id),
        NamedObject(0x0500, 1, 0, HIDDEN.instance_id),
        NamedObject(0x0600, 70, 0, DISCONNECT.instance_id),
        NamedObject(0xFA00, 12, 3, ASSOCIATION),
    ]
)
ENTRIES = EntryDescriptor(1, 5).encode()
VALUE = data.octet_string(bytes(range(256)) * 2)
SIZES = [64, 100, 128, 200, 300, 0]
POLICIES = [None, (True, True)]


def named(size: int = 0, without: Conformance | None = None, **changes: Any) -> Pair:
    """Both ends, not yet open."""
    agreed = {
        "max_receive_pdu_size": size,
        "conformance": SN_CONFORMANCE & ~(without or Conformance(0)),
        "short_names": NAMES,
    }
    return pair(**({"client": agreed, "server": agreed} | changes))


def talking(size: int = 0, without: Conformance | None = None, **changes: Any) -> Pair:
    joined = named(size, without, **changes)
    joined.ask(Open())
    joined.wire.clear()
    joined.seen.clear()
    return joined


def server_reply(joined: Pair, message: Any) -> Any:
    """What the server answers to one APDU."""
    found = pdus(joined.to_server(from_client(apdu.encode(message))))
    return apdu.decode(found[0].apdu) if found else None


# --- whole sessions


@pytest.mark.parametrize("ciphering", Ciphering)
@pytest.mark.parametrize("policy", [*POLICIES, (True, False), (False, True)])
@pytest.mark.parametrize("mechanism", [Mechanism.LOWEST, Mechanism.LOW, Mechanism.GMAC])
def test_whole_session(mechanism: Mechanism, policy: tuple[bool, bool] | None, ciphering: Ciphering) -> None:
    if mechanism is Mechanism.GMAC and policy is None:
        return
    joined = named(mechanism=mechanism, policy=policy, ciphering=ciphering)
    (first,) = joined.ask(Open())
    assert isinstance(first, Opened)
    assert first.conformance == SN_CONFORMANCE
    assert joined.ask(Get(NAME)) == [GetResult(joined.values[NAME], OK)]
    assert joined.ask(Set(CLOCK, VALUE)) == [SetResult(OK)]
    assert joined.ask(Get(CLOCK)) == [GetResult(VALUE, OK)]
    assert joined.ask(Action(DISCONNECT, data.integer(0))) == [ActionOutcome(ActionResult.SUCCESS, data.integer(0))]
    assert joined.ask(Action(DISCONNECT)) == [ActionOutcome(ActionResult.SUCCESS, None)]
    assert joined.ask(Release()) == [Released()]
    if policy is not None and policy[1]:
        assert not [octets for _, octets in joined.wire if b"AMI0000000001001" in octets]


def test_with_a_dedicated_key() -> None:
    joined = talking(
        policy=(True, True),
        ciphering=Ciphering.SERVICE_SPECIFIC,
        dedicated_key=b"dedicated key 16",
        mechanism=Mechanism.LOW,
    )
    assert joined.ask(Get(NAME)) == [GetResult(joined.values[NAME], OK)]
    assert [pdus(octets)[0].apdu[0] for _, octets in joined.wire] == [69, 76], "ded-readRequest, ded-readResponse"


def test_the_other_way_of_naming_is_refused() -> None:
    short, long = {"conformance": SN_CONFORMANCE, "short_names": NAMES}, {"conformance": LN_CONFORMANCE}
    for client, server in ((short, long), (long, short)):
        (refused,) = pair(client=client, server=server).ask(Open())
        assert isinstance(refused, OpenRefused)
        assert "context" in refused.reason


def test_a_wrong_proof() -> None:
    joined = named(mechanism=Mechanism.GMAC, policy=(False, False))
    joined.to_server(joined.client.send(Open()))
    assert joined.server.state(17, 1) is ServerState.PROVING
    wrong = ReadRequest((ParameterizedAccess(0xFA58, 0, data.octet_string(bytes(17))),))
    assert server_reply(joined, wrong) == ReadResponse((OTHER,))
    assert joined.server.state(17, 1) is ServerState.UNASSOCIATED


@pytest.mark.parametrize("message", [
    ReadRequest((VariableName(0x0208),)),
    ReadRequest((ParameterizedAccess(0x0208, 0, data.null()),)),
    ReadRequest(()),
    WriteRequest((VariableName(0xFA58),), (data.octet_string(bytes(17)),)),
])  # fmt: skip
def test_nothing_before_the_proof(message: Any) -> None:
    joined = named(mechanism=Mechanism.GMAC, policy=(False, False))
    joined.to_server(joined.client.send(Open()))
    assert isinstance(server_reply(joined, message), ExceptionResponse)
    assert joined.server.state(17, 1) is ServerState.PROVING


def test_a_proof_that_the_server_refuses() -> None:
    joined = named(mechanism=Mechanism.GMAC, policy=(False, False))
    joined.client.receive_data(joined.to_server(joined.client.send(Open())))
    assert joined.client.next_event() is None
    (refused,) = joined.carry_back(from_server(apdu.encode(ReadResponse((OTHER,)))))
    assert isinstance(refused, OpenRefused)
    assert joined.client.state is ClientState.IDLE


@pytest.mark.parametrize("answer", [ReadResponse(()), ReadResponse((data.null(),)), WriteResponse((OK,))])
def test_a_server_that_does_not_prove_itself(answer: Any) -> None:
    joined = named(mechanism=Mechanism.GMAC, policy=(False, False))
    joined.client.receive_data(joined.to_server(joined.client.send(Open())))
    joined.client.next_event()
    with pytest.raises(Exception, match="pro"):
        joined.carry_back(from_server(apdu.encode(answer)))
    assert joined.client.state is ClientState.CLOSED


# --- every request in every size


@pytest.mark.parametrize(("size", "policy"), list(product(SIZES, POLICIES)))
def test_long_and_many(size: int, policy: tuple[bool, bool] | None) -> None:
    joined = talking(size, policy=policy)
    assert joined.ask(Get(LONG)) == [GetResult(joined.values[LONG], OK)]
    assert joined.ask(Set(CLOCK, VALUE)) == [SetResult(OK)]
    assert joined.values[CLOCK] == VALUE
    assert joined.ask(Action(DISCONNECT, VALUE)) == [ActionOutcome(ActionResult.SUCCESS, VALUE)]
    everything = GetListResult((GetResult(joined.values[LONG], OK), GetResult(VALUE, OK)))
    assert joined.ask(GetList((Get(LONG), Get(CLOCK)))) == [everything]
    assert joined.ask(SetList((Set(CLOCK, data.null()), Set(WRITE_ONLY, VALUE)))) == [
        SetListResult((SetResult(OK),) * 2)
    ]
    outcomes = (ActionOutcome(ActionResult.SUCCESS, VALUE), ActionOutcome(ActionResult.SUCCESS, None))
    assert joined.ask(ActionList((Action(DISCONNECT, VALUE), Action(DISCONNECT)))) == [ActionListOutcome(outcomes)]
    assert joined.ask(Get(LONG, ENTRIES)) == [GetResult(joined.values[LONG], OK)]
    assert max(len(pdu.apdu) for _, octets in joined.wire for pdu in pdus(octets)) <= (size or 0xFFFF)


def test_names_themselves() -> None:
    joined = talking()
    variables = (VariableName(0x0208), VariableName(0x0207), ParameterizedAccess(0x0308, 2, ENTRIES.parameters))
    assert joined.ask(Read(variables)) == [
        ReadResult((GetResult(joined.values[NAME], OK), GetResult(None, UNDEFINED), GetResult(joined.values[LONG], OK)))
    ]
    event = joined.seen[-1]
    requested(event, Service.READ)
    assert event.items == (Get(NAME), Get(LONG, ENTRIES))
    written = (VariableName(0x0108), VariableName(0x0620), VariableName(0x0001))
    assert joined.ask(Write(written, (VALUE, data.integer(1), VALUE))) == [
        WriteResult((SetResult(OK), SetResult(OK), SetResult(UNDEFINED)))
    ]
    event = joined.seen[-1]
    requested(event, Service.WRITE)
    assert event.items == (Set(CLOCK, VALUE), Action(DISCONNECT, data.integer(1)))
    assert "000102" not in repr(Write(written, (VALUE,)))


def test_a_name_that_stands_for_nothing() -> None:
    joined = talking()
    assert joined.ask(Read((VariableName(0),))) == [ReadResult((GetResult(None, UNDEFINED),))]
    assert joined.ask(Write((VariableName(0x00F8),), (VALUE,))) == [WriteResult((SetResult(UNDEFINED),))]
    assert joined.seen[-1] == Discarded("a short name that names nothing: object-undefined")
    assert joined.ask(Read(())) == [ReadResult(())]


def test_a_method_named_without_parameters() -> None:
    joined = talking()
    assert joined.ask(Read((VariableName(0x0620),))) == [ReadResult((GetResult(data.null(), OK),))]
    assert joined.ask(Write((VariableName(0x0620),), (data.null(),))) == [WriteResult((SetResult(OK),))]
    event = joined.seen[-1]
    requested(event, Service.WRITE)
    assert event.items == (Action(DISCONNECT),)


# --- rights


def test_each_item_has_its_own_right() -> None:
    joined = talking()
    assert joined.ask(GetList((Get(HIDDEN), Get(NAME), Get(WRITE_ONLY)))) == [
        GetListResult((GetResult(None, UNDEFINED), GetResult(joined.values[NAME], OK), GetResult(None, DENIED)))
    ]
    assert joined.ask(Set(NAME, VALUE)) == [SetResult(DENIED)]
    assert joined.ask(Action(FORBIDDEN)) == [ActionOutcome(ActionResult.READ_WRITE_DENIED, None)]
    assert isinstance(joined.seen[-1], Discarded)
    assert "denied" in joined.seen[-1].reason


def test_nobody_calls_the_proof_later() -> None:
    joined = talking(mechanism=Mechanism.GMAC, policy=(False, False))
    call = ParameterizedAccess(0xFA58, 0, data.octet_string(bytes(17)))
    assert joined.ask(Read((call,))) == [ReadResult((GetResult(None, DENIED),))]
    assert joined.ask(Write((VariableName(0xFA58),), (data.null(),))) == [WriteResult((SetResult(DENIED),))]


def test_what_has_no_short_name_is_ours_to_know() -> None:
    joined = talking()
    for request in (Action(UNKNOWN), Action(MethodDescriptor(1, NAME.instance_id, 1))):
        with pytest.raises(LocalError, match="no short name"):
            joined.client.send(request)
    with pytest.raises(LocalError, match="no place"):
        joined.client.send(Access((Get(NAME),)))
    with pytest.raises(LocalError, match="1 values for 2 variables"):
        joined.client.send(Write((VariableName(8), VariableName(16)), (VALUE,)))
    with pytest.raises(LocalError, match="no place"):
        opened().client.send(Read((VariableName(8),)))
    assert joined.client.state is ClientState.OPEN


def test_giving_up_without_invoke_ids() -> None:
    joined = talking()
    joined.client.send(Get(NAME))
    with pytest.raises(LocalError, match="invoke id"):
        joined.client.abandon()


# --- what was not negotiated


@pytest.mark.parametrize(
    ("request_", "without"),
    [
        (Get(NAME), Conformance.READ),
        (Set(CLOCK, VALUE), Conformance.WRITE),
        (Get(LONG, ENTRIES), Conformance.PARAMETERIZED_ACCESS),
        (Action(DISCONNECT), Conformance.PARAMETERIZED_ACCESS),
        (GetList((Get(NAME), Get(CLOCK))), Conformance.MULTIPLE_REFERENCES),
        (SetList((Set(CLOCK, VALUE),) * 2), Conformance.MULTIPLE_REFERENCES),
    ],
)
def test_what_was_not_negotiated(request_: Any, without: Conformance) -> None:
    joined = talking(without=without)
    with pytest.raises(LocalError, match=without.name or ""):
        joined.client.send(request_)
    allowed = talking()
    octets = allowed.client.send(request_)
    answer: Any = apdu.decode(pdus(joined.to_server(octets))[0].apdu)
    assert answer.service_error is ServiceError.SERVICE_NOT_SUPPORTED


def test_services_with_logical_names_are_not_served() -> None:
    answer = server_reply(talking(), GetRequestNormal(0xC1, NAME))
    assert answer.service_error is ServiceError.SERVICE_NOT_SUPPORTED
    answer = server_reply(opened(), ReadRequest((VariableName(8),)))
    assert answer.service_error is ServiceError.SERVICE_NOT_SUPPORTED


def test_a_long_answer_without_blocks() -> None:
    agreed = {"conformance": SN_CONFORMANCE & ~Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ, "short_names": NAMES}
    joined = talking(client=agreed | {"max_receive_pdu_size": 64}, server=agreed)
    assert joined.ask(Get(LONG)) == [GetResult(None, OTHER)]
    with pytest.raises(LocalError, match="64 octets"):
        talking(64, without=Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE).client.send(Set(CLOCK, VALUE))


def test_an_unconfirmed_write() -> None:
    joined = talking()
    message = UnconfirmedWriteRequest((VariableName(0x0108), VariableName(0x0208)), (VALUE, VALUE))
    assert server_reply(joined, message) is None
    assert joined.values[CLOCK] == VALUE
    assert server_reply(joined, UnconfirmedWriteRequest((VariableName(0x0208),), (VALUE,))) is None
    assert isinstance(joined.seen[-1], Discarded)
    joined = talking(without=Conformance.UNCONFIRMED_WRITE)
    assert server_reply(joined, message) is None
    assert joined.values[CLOCK] != VALUE


# --- between the blocks


def write_block(number: int, part: bytes, *, last: bool = False) -> WriteRequest:
    return WriteRequest((WriteDataBlockAccess(last, number),), (data.octet_string(part),))


def read_block(number: int, part: bytes, *, last: bool = False) -> ReadRequest:
    return ReadRequest((ReadDataBlockAccess(last, number, part),))


WHOLE_WRITE = apdu.encode(WriteRequest((VariableName(0x0108),), (data.octet_string(b"abcd"),)))[1:]
WHOLE_READ = apdu.encode(ReadRequest((VariableName(0x0208),)))[1:]


def test_blocks_of_requests_come_twice() -> None:
    joined = talking()
    for _ in range(2):
        assert server_reply(joined, write_block(1, WHOLE_WRITE[:3])) == WriteResponse((1,))
    assert joined.server.state(17, 1) is ServerState.RECEIVING_BLOCKS
    for _ in range(2):
        assert server_reply(joined, write_block(2, WHOLE_WRITE[3:5])) == WriteResponse((2,))
    assert server_reply(joined, write_block(3, WHOLE_WRITE[5:], last=True)) == WriteResponse((OK,))
    assert joined.values[CLOCK] == data.octet_string(b"abcd")
    for _ in range(2):
        assert server_reply(joined, read_block(1, WHOLE_READ[:2])) == ReadResponse((1,))
    assert server_reply(joined, read_block(2, WHOLE_READ[2:], last=True)) == ReadResponse((joined.values[NAME],))


def test_another_first_block_begins_anew() -> None:
    joined = talking()
    server_reply(joined, write_block(1, b"\x01\x02"))
    assert server_reply(joined, write_block(1, WHOLE_WRITE[:3])) == WriteResponse((1,))
    assert server_reply(joined, write_block(2, WHOLE_WRITE[3:], last=True)) == WriteResponse((OK,))


@pytest.mark.parametrize("number", [0, 3, 9])
def test_a_lost_block_ends_a_long_request(number: int) -> None:
    invalid, none = DataAccessResult.DATA_BLOCK_NUMBER_INVALID, DataAccessResult.NO_LONG_SET_IN_PROGRESS
    for block, response in ((write_block, WriteResponse), (read_block, ReadResponse)):
        joined = talking()
        server_reply(joined, block(1, b"\x01"))
        assert server_reply(joined, block(number, b"")) == response((invalid,))
        assert server_reply(joined, block(2, b"")) == response((none,))
        assert joined.server.state(17, 1) is ServerState.OPEN


def test_blocks_of_the_other_service_do_not_mix() -> None:
    joined = talking()
    server_reply(joined, write_block(1, WHOLE_WRITE[:3]))
    none = DataAccessResult.NO_LONG_SET_IN_PROGRESS
    assert server_reply(joined, read_block(2, b"", last=True)) == ReadResponse((none,))
    assert server_reply(joined, write_block(2, WHOLE_WRITE[3:], last=True)) == WriteResponse((OK,))


@pytest.mark.parametrize("whole", [b"\xff", b"\x01\x02\x01", WHOLE_READ + b"\0", b"\x01\x05\x00\x01"])
def test_blocks_that_make_no_request(whole: bytes) -> None:
    joined = talking()
    assert server_reply(joined, read_block(1, whole, last=True)) == ReadResponse((OTHER,))
    assert joined.server.state(17, 1) is ServerState.OPEN


def test_a_long_request_for_what_was_not_negotiated() -> None:
    joined = talking(without=Conformance.MULTIPLE_REFERENCES)
    two = apdu.encode(ReadRequest((VariableName(0x0208),) * 2))[1:]
    assert server_reply(joined, read_block(1, two, last=True)) == ReadResponse((OTHER,))


@pytest.mark.parametrize("message", [
    WriteRequest((VariableName(0x0108),), ()),
    WriteRequest((WriteDataBlockAccess(True, 1),), ()),
    WriteRequest((WriteDataBlockAccess(True, 1),), (data.null(),)),
    WriteRequest((WriteDataBlockAccess(True, 1), VariableName(8)), (data.null(),) * 2),
    ReadRequest((BlockNumberAccess(1), VariableName(8))),
])  # fmt: skip
def test_requests_that_make_no_sense(message: Any) -> None:
    joined = talking()
    assert isinstance(server_reply(joined, message), ExceptionResponse)
    assert joined.ask(Get(NAME)) == [GetResult(joined.values[NAME], OK)]


def test_a_long_answer_asked_wrongly() -> None:
    none, invalid = DataAccessResult.NO_LONG_GET_IN_PROGRESS, DataAccessResult.DATA_BLOCK_NUMBER_INVALID
    joined = talking(64)
    assert server_reply(joined, ReadRequest((BlockNumberAccess(1),))) == ReadResponse((none,))
    begun = server_reply(joined, ReadRequest((VariableName(0x0308),)))
    assert isinstance(begun.results[0], DataBlockResult)
    assert joined.server.state(17, 1) is ServerState.SENDING_BLOCKS
    assert server_reply(joined, ReadRequest((BlockNumberAccess(7),))) == ReadResponse((invalid,))
    assert server_reply(joined, ReadRequest((BlockNumberAccess(1),))) == ReadResponse((none,))


# --- the client, with answers made by hand


@pytest.mark.parametrize("answer", [
    WriteResponse((OK,)),
    ReadResponse((data.null(), data.null())),
    ReadResponse((data.null(), 3)),
    ReadResponse((data.null(), DataBlockResult(True, 1, b""))),
    ReadResponse((3,)),
    ReadResponse((DataBlockResult(False, 2, b""),)),
    ReadResponse((DataBlockResult(True, 1, b"\x01\x03\x00\x01"),)),
    ReadResponse((DataBlockResult(True, 1, b"\x02\x00\x00\x00\x00"),)),
])  # fmt: skip
def test_answers_that_fit_nothing(answer: Any) -> None:
    joined = talking()
    joined.client.send(Get(NAME))
    with pytest.raises(ProtocolError):
        joined.carry_back(from_server(apdu.encode(answer)))
    assert joined.client.state is ClientState.CLOSED


def test_one_error_ends_everything() -> None:
    joined = talking()
    joined.client.send(GetList((Get(NAME), Get(CLOCK))))
    aborted = DataAccessResult.LONG_GET_ABORTED
    answer = from_server(apdu.encode(ReadResponse((aborted,))))
    assert joined.carry_back(answer) == [GetListResult((GetResult(None, aborted),) * 2)]
    joined.client.send(Action(DISCONNECT))
    answer = from_server(apdu.encode(ReadResponse((DataAccessResult.DATA_BLOCK_NUMBER_INVALID,))))
    assert joined.carry_back(answer) == [ActionOutcome(ActionResult.OTHER_REASON, None)]
    joined.client.send(Action(DISCONNECT))
    answer = from_server(apdu.encode(ReadResponse((DataAccessResult.SUCCESS,))))
    assert joined.carry_back(answer) == [ActionOutcome(ActionResult.OTHER_REASON, None)]


def test_names_are_learned_from_the_meter() -> None:
    joined = talking(client={"short_names": ShortNames(()), "conformance": SN_CONFORMANCE})
    with pytest.raises(LocalError, match="no short name"):
        joined.client.send(Get(NAME))
    joined.client.learn(ShortNames.decode(NAMES.encode()))
    assert joined.ask(Get(NAME)) == talking().ask(Get(NAME))
    with pytest.raises(LocalError, match="logical names"):
        opened().client.learn(NAMES)


def test_an_answer_that_nobody_waits_for_is_dropped() -> None:
    joined = talking()
    assert joined.carry_back(from_server(apdu.encode(ReadResponse((data.null(),))))) == []
    assert joined.client.state is ClientState.OPEN


def test_a_fault_ends_the_request() -> None:
    joined = talking()
    joined.client.send(Get(NAME))
    fault = from_server(bytes.fromhex("0E050401"))
    (event,) = joined.carry_back(fault)
    assert isinstance(event, PeerFault)
    assert "read" in event.reason


def test_the_second_request_waits_for_the_first() -> None:
    joined = talking()
    octets = joined.client.send(Get(NAME))
    joined.server.receive_data(octets)
    first = joined.server.next_event()
    requested(first, Service.READ)
    joined.server.receive_data(octets)
    assert isinstance(joined.server.next_event(), Discarded)
    answer = joined.server.send(Answer(first.key, (data.null(),)))
    assert joined.carry_back(answer) == [GetResult(data.null(), OK)]


def test_a_method_that_fails_is_answered_with_its_code() -> None:
    """The application says how a method ended as it does for ACTION; Read and Write have one kind of code for all."""
    joined = talking()
    failed = ActionOutcome(ActionResult.HARDWARE_FAULT, None)
    for request, service, expected in (
        (Action(DISCONNECT), Service.READ, ActionOutcome(ActionResult.HARDWARE_FAULT, None)),
        (
            Write((VariableName(0x0620),), (data.null(),)),
            Service.WRITE,
            WriteResult((SetResult(DataAccessResult.HARDWARE_FAULT),)),
        ),
    ):
        joined.server.receive_data(joined.client.send(request))
        event = requested(joined.server.next_event(), service)
        with pytest.raises(LocalError, match="does not answer Action"):
            joined.server.send(Answer(event.key, (DataAccessResult.HARDWARE_FAULT,)))
        assert joined.carry_back(joined.server.send(Answer(event.key, (failed,)))) == [expected]
