"""General block transfer: both ends in memory under every window, with blocks lost, doubled and reordered; foreign habits."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from in_memory import CLOCK, DISCONNECT, HIDDEN, LONG, NAME, Pair, from_client, from_server, opened, pdus, requested
from sizes import examples

from ami_dlms import apdu, data
from ami_dlms.apdu.blocks import BlockControl, GeneralBlockTransfer
from ami_dlms.apdu.faults import ExceptionResponse
from ami_dlms.apdu.get import GetRequestNormal, GetResponseNormal
from ami_dlms.apdu.notify import DataNotification
from ami_dlms.association import (
    LN_CONFORMANCE,
    Access,
    AccessResult,
    Action,
    ActionOutcome,
    Answer,
    ClientState,
    Discarded,
    Get,
    GetList,
    GetListResult,
    GetResult,
    Notified,
    PeerFault,
    ServerState,
    Service,
    Set,
    SetList,
    SetListResult,
    SetResult,
)
from ami_dlms.association.blocks.general_block_transfer import GeneralTransfer, OneWayBlocks
from ami_dlms.enums import ActionResult, ApduTag, Conformance, DataAccessResult, ServiceError
from ami_dlms.errors import LocalError, ProtocolError, RemoteError
from ami_dlms.framing.wrapper import encode

OK = DataAccessResult.SUCCESS
BLOCKS_OF_SERVICES = (
    Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
    | Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE
    | Conformance.BLOCK_TRANSFER_WITH_ACTION
)
GENERAL = LN_CONFORMANCE & ~BLOCKS_OF_SERVICES
VALUE = data.octet_string(bytes(range(256)) * 2)
POLICIES = [None, (True, True)]


def talking(
    size: int = 64, windows: tuple[int, int] = (4, 3), policy: tuple[bool, bool] | None = None, server_size: int = 0
) -> Pair:
    """Both ends have no blocks but the general ones."""
    client, server = windows
    ours = {"max_receive_pdu_size": size, "conformance": GENERAL, "block_window": client}
    theirs = {"max_receive_pdu_size": server_size or size, "conformance": GENERAL, "block_window": server}
    joined = opened(policy=policy, client=ours, server=theirs)
    joined.wire.clear()
    joined.seen.clear()
    return joined


def frames(octets: bytes) -> list[bytes]:
    return [encode(pdu) for pdu in pdus(octets)]


def blocks_of(octets: bytes) -> list[Any]:
    return [apdu.decode(pdu.apdu) for pdu in pdus(octets)]


EXCHANGES: list[tuple[Any, Callable[[Pair], Any]]] = [
    (Get(LONG), lambda joined: GetResult(joined.values[LONG], OK)),
    (Get(NAME), lambda joined: GetResult(joined.values[NAME], OK)),
    (Set(CLOCK, VALUE), lambda joined: SetResult(OK)),
    (Action(DISCONNECT, VALUE), lambda joined: ActionOutcome(ActionResult.SUCCESS, VALUE)),
    (GetList((Get(LONG), Get(NAME))), lambda joined: GetListResult(
        (GetResult(joined.values[LONG], OK), GetResult(joined.values[NAME], OK))
    )),
    (SetList((Set(CLOCK, VALUE),) * 3), lambda joined: SetListResult((SetResult(OK),) * 3)),
    (Access((Set(CLOCK, VALUE), Get(CLOCK))), lambda joined: AccessResult((SetResult(OK), GetResult(VALUE, OK)))),
]  # fmt: skip


# --- a network that keeps everything


@pytest.mark.parametrize(("windows", "policy"), list(product(product((1, 2, 5, 63), repeat=2), POLICIES)))
@pytest.mark.parametrize("size", [64, 100, 128, 200, 256, 1000])
def test_every_service_under_every_window(
    size: int, windows: tuple[int, int], policy: tuple[bool, bool] | None
) -> None:
    joined = talking(size, windows, policy)
    for request, expected in EXCHANGES:
        joined.seen.clear()
        assert joined.ask(request) == [expected(joined)]
        assert len(joined.seen) == 1, "the application is asked once"
    assert joined.client.timeout() == b""
    lengths = [len(pdu.apdu) for _, octets in joined.wire for pdu in pdus(octets)]
    assert max(lengths) <= size
    if size <= 256:
        assert max(lengths) >= size - 1, "blocks fill what the other takes"


def test_a_window_is_filled_and_then_confirmed() -> None:
    joined = talking(64, (5, 3))
    octets = joined.client.send(Get(LONG))
    assert blocks_of(octets)[0] == GetRequestNormal(0xC1, LONG), "what is short goes as it is"
    first = blocks_of(joined.to_server(octets))
    assert [block.block_control for block in first] == [BlockControl(False, False, 3)], "the client's window is unknown"
    joined.client.receive_data(from_server(apdu.encode(first[0])))
    assert joined.client.next_event() is None
    confirmation = joined.client.data_to_send()
    assert blocks_of(confirmation) == [GeneralBlockTransfer(BlockControl(True, False, 5), 1, 1, b"")]
    second = blocks_of(joined.to_server(confirmation))
    assert [block.block_control.streaming for block in second] == [True] * 4 + [False]
    assert [block.block_number for block in second] == [2, 3, 4, 5, 6]
    assert {block.block_number_ack for block in second} == {1}


def test_a_request_in_blocks_has_its_response_in_blocks() -> None:
    joined = talking(64, (4, 3))
    sent = blocks_of(joined.client.send(Set(CLOCK, VALUE)))
    assert len(sent) == 1
    joined = talking(64, (4, 3))
    assert joined.ask(Set(CLOCK, VALUE)) == [SetResult(OK)]
    bursts = [blocks_of(octets) for end, octets in joined.wire if end == "client"]
    assert [len(burst) for burst in bursts[:2]] == [1, 3]
    (last,) = blocks_of(joined.wire[-1][1])
    assert last.block_control.last_block
    assert apdu.decode(last.block_data) is not None


def test_blocks_of_the_service_come_first_when_both_were_negotiated() -> None:
    both = {"max_receive_pdu_size": 64, "conformance": LN_CONFORMANCE}
    joined = opened(client=both, server=both)
    for request in (Get(LONG), Set(CLOCK, VALUE), Action(DISCONNECT, VALUE)):
        joined.wire.clear()
        joined.ask(request)
        assert ApduTag.GENERAL_BLOCK_TRANSFER not in {pdu.apdu[0] for _, o in joined.wire for pdu in pdus(o)}
    wide = GetList((Get(NAME),) * 20)
    assert joined.ask(wide) == [GetListResult((GetResult(joined.values[NAME], OK),) * 20)]
    many = SetList((Set(CLOCK, VALUE),) * 20)
    assert joined.ask(many) == [SetListResult((SetResult(OK),) * 20)]


def test_a_denied_request_in_blocks_is_answered_in_blocks() -> None:
    joined = talking(64)
    assert joined.ask(Set(HIDDEN, VALUE)) == [SetResult(DataAccessResult.OBJECT_UNDEFINED)]
    assert all(isinstance(message, GeneralBlockTransfer) for message in blocks_of(joined.wire[-1][1]))


# --- a network that loses, doubles and reorders


class Network:
    """Carries frames between both ends as `fate` says, until there is an answer; time passes when all is quiet."""

    def __init__(self, joined: Pair, fates: list[int]) -> None:
        self.joined = joined
        self.fates = fates
        self.way: list[tuple[str, bytes]] = []
        self.carried = 0

    def ask(self, request: Any) -> Any:
        self._add("server", self.joined.client.send(request))
        for _ in range(200):
            while self.way:
                self._step()
                if self.joined.got and not isinstance(self.joined.got[-1], Notified):
                    return self.joined.got.pop()
            self._add("server", self.joined.client.timeout())
            self._add("client", self.joined.server.timeout(17, 1))
            if not self.way:
                break
        raise AssertionError("no answer came")

    def _add(self, towards: str, octets: bytes) -> None:
        self.way += [(towards, frame) for frame in frames(octets)]

    def _step(self) -> None:
        towards, frame = self.way.pop(0)
        fate = self.fates.pop() if self.fates and frame[8] == ApduTag.GENERAL_BLOCK_TRANSFER else 0
        if fate == 1:
            return
        if fate == 2:
            self.way.insert(0, (towards, frame))
        if fate >= 3:
            self.way.insert(min(fate, len(self.way)), (towards, frame))
            if len(self.way) > 1:
                towards, frame = self.way.pop(0)
            else:
                self.way.clear()
        self.carried += 1
        assert self.carried < 3000, "the traffic multiplies"
        deliver = self.joined.to_server if towards == "server" else self.joined.to_client
        self._add("client" if towards == "server" else "server", deliver(frame))


@given(
    which=st.integers(0, len(EXCHANGES) - 1),
    size=st.integers(60, 140),
    windows=st.tuples(st.integers(1, 63), st.integers(1, 63)),
    policy=st.sampled_from(POLICIES),
    fates=st.lists(st.integers(0, 6), max_size=120),
)
@settings(max_examples=examples(100), deadline=None)
def test_any_network(
    which: int, size: int, windows: tuple[int, int], policy: tuple[bool, bool] | None, fates: list[int]
) -> None:
    joined = talking(size, windows, policy)
    joined.got.clear()
    request, expected = EXCHANGES[which]
    assert Network(joined, fates).ask(request) == expected(joined)
    joined.seen.clear()
    joined.got.clear()
    assert Network(joined, []).ask(Get(CLOCK)) == GetResult(joined.values[CLOCK], OK), "nothing is left behind"


@pytest.mark.parametrize("windows", [(1, 1), (4, 4), (63, 63)])
@pytest.mark.parametrize("which", range(len(EXCHANGES)))
def test_everything_comes_twice(windows: tuple[int, int], which: int) -> None:
    joined = talking(64, windows)
    joined.got.clear()
    network = Network(joined, [0, 2] * 1000)
    request, expected = EXCHANGES[which]
    assert network.ask(request) == expected(joined)
    assert len(joined.seen) == 1


@pytest.mark.parametrize("which", range(len(EXCHANGES)))
@pytest.mark.parametrize("lost", range(1, 12))
def test_any_one_block_may_be_lost(which: int, lost: int) -> None:
    joined = talking(64, (4, 4), (True, True))
    joined.got.clear()
    request, expected = EXCHANGES[which]
    fates = [0] * 30
    fates[-lost] = 1
    assert Network(joined, fates).ask(request) == expected(joined)


# --- the client, with a server made by hand


def wire_block(
    number: int, ack: int, part: bytes, *, last: bool = False, streaming: bool = False, window: int = 1
) -> bytes:
    return from_server(apdu.encode(GeneralBlockTransfer(BlockControl(last, streaming, window), number, ack, part)))


RESPONSE = apdu.encode(GetResponseNormal(0xC1, data.octet_string(b"a" * 20)))
ANSWER = GetResult(data.octet_string(b"a" * 20), OK)


def waiting() -> Pair:
    joined = talking(64)
    joined.client.send(Get(NAME))
    return joined


def hear(joined: Pair, *octets: bytes) -> tuple[list[Any], list[Any]]:
    """The client's events and what it sends."""
    joined.client.receive_data(b"".join(octets))
    events = []
    while (event := joined.client.next_event()) is not None:
        events.append(event)
    return events, blocks_of(joined.client.data_to_send())


def test_a_server_that_does_not_count_its_confirmations() -> None:
    joined = talking(64)
    joined.client.send(Set(CLOCK, VALUE))
    _, sent = hear(joined, wire_block(1, 1, b"", window=20))
    assert sent[0].block_number == 2
    response = bytes.fromhex("C501C100")
    events, sent = hear(joined, wire_block(1, len(sent) + 1, response, last=True))
    assert events == [SetResult(OK)]


def test_a_confirmation_without_number_always_counts() -> None:
    joined = talking(64)
    joined.client.send(Set(CLOCK, VALUE))
    for _ in range(3):
        _, sent = hear(joined, wire_block(0, 1, b"", window=2))
        assert [block.block_number for block in sent] == [2, 3]


def test_the_missing_block_alone_is_given_when_that_is_asked() -> None:
    transfer = GeneralTransfer(client=False, window=1, room=20)
    transfer.send(bytes(100))
    step = transfer.receive(GeneralBlockTransfer(BlockControl(True, False, 6), 1, 1, b""))
    assert len(step.to_send) == 6
    step = transfer.receive(GeneralBlockTransfer(BlockControl(True, False, 1), 2, 3, b""))
    (again,) = step.to_send
    assert apdu.decode(again).block_number == 4  # type: ignore[union-attr]


def test_an_empty_block_may_be_the_last() -> None:
    events, _ = hear(waiting(), wire_block(1, 0, RESPONSE), wire_block(2, 0, b"", last=True))
    assert events == [ANSWER]


def test_blocks_after_the_last_and_far_ahead_are_dropped() -> None:
    joined = waiting()
    events, _ = hear(joined, wire_block(1, 0, RESPONSE[:5]), wire_block(999, 0, b"zzz"), wire_block(3, 0, b"zz"))
    assert events == []
    events, _ = hear(joined, wire_block(2, 0, RESPONSE[5:], last=True))
    assert events == [ANSWER]
    events, sent = hear(joined, wire_block(2, 0, RESPONSE[5:], last=True))
    assert (events, sent) == ([], []), "late blocks are dropped"


def test_a_plain_answer_after_blocks_were_begun() -> None:
    joined = waiting()
    hear(joined, wire_block(1, 0, RESPONSE[:5]))
    events, _ = hear(joined, from_server(RESPONSE))
    assert events == [ANSWER]


@pytest.mark.parametrize("whole", [b"\xff\xff", b"\xe0\x80\x00\x01\x00\x00\x00", RESPONSE + b"\0"])
def test_blocks_that_make_nonsense_end_the_connection(whole: bytes) -> None:
    joined = waiting()
    with pytest.raises(RemoteError):
        hear(joined, wire_block(1, 0, whole, last=True))
    assert joined.client.state is ClientState.CLOSED


def test_general_blocks_that_were_not_negotiated() -> None:
    joined = opened()
    joined.client.send(Get(NAME))
    with pytest.raises(ProtocolError, match="not negotiated"):
        hear(joined, wire_block(1, 0, RESPONSE, last=True))


def test_giving_up_and_asking_something_else() -> None:
    joined = talking(64)
    octets = joined.client.send(Set(CLOCK, VALUE))
    late = joined.to_server(octets)
    joined.client.abandon()
    assert joined.client.timeout() == b""
    assert hear(joined, late) == ([], [])
    assert joined.ask(Get(LONG)) == [GetResult(joined.values[LONG], OK)]
    assert joined.ask(Set(CLOCK, VALUE)) == [SetResult(OK)]


def test_a_result_that_grows_without_end_is_stopped() -> None:
    transfer = GeneralTransfer(client=True, window=4, room=0, limit=10)
    transfer.receive(GeneralBlockTransfer(BlockControl(False, True, 1), 1, 0, bytes(10)))
    with pytest.raises(ProtocolError, match="more than 10"):
        transfer.receive(GeneralBlockTransfer(BlockControl(False, True, 1), 2, 0, bytes(1)))


@pytest.mark.parametrize("room", [1, 6, 7])
def test_no_room_for_a_block(room: int) -> None:
    with pytest.raises(LocalError, match="no room"):
        GeneralTransfer(client=True, window=1, room=room)


@pytest.mark.parametrize("window", [0, 64, -1])
def test_windows_that_do_not_exist(window: int) -> None:
    with pytest.raises(LocalError):
        GeneralTransfer(client=True, window=window, room=100)
    with pytest.raises(LocalError):
        talking(windows=(window, 1))


def test_more_blocks_than_have_numbers() -> None:
    with pytest.raises(LocalError, match="65535"):
        GeneralTransfer(client=True, window=1, room=8).send(bytes(70000))


# --- pushes in blocks that nobody confirms, as meters in the field send them


def pushed(body: bytes, size: int = 10) -> list[bytes]:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return [
        wire_block(number, 0, part, last=number == len(parts), streaming=True, window=0)
        for number, part in enumerate(parts, 1)
    ]


PUSH = DataNotification(9, None, data.octet_string(bytes(60)))


@pytest.mark.parametrize("busy", [False, True])
def test_a_push_in_blocks(busy: bool) -> None:
    joined = talking(64)
    if busy:
        joined.client.send(Get(NAME))
    assert hear(joined, *pushed(apdu.encode(PUSH))) == ([Notified(PUSH)], [])
    assert hear(joined, *pushed(apdu.encode(PUSH))) == ([Notified(PUSH)], [])
    if busy:
        assert hear(joined, from_server(RESPONSE))[0] == [ANSWER]


def test_a_push_with_a_gap_is_dropped() -> None:
    joined = talking(64)
    parts = pushed(apdu.encode(PUSH))
    del parts[2]
    assert hear(joined, *parts) == ([], [])
    assert hear(joined, *pushed(apdu.encode(PUSH))) == ([Notified(PUSH)], [])


def test_a_push_that_grows_without_end_is_dropped() -> None:
    one_way = OneWayBlocks(limit=25)
    for number in range(1, 6):
        assert one_way.take(GeneralBlockTransfer(BlockControl(number == 5, True, 0), number, 0, bytes(10))) is None


# --- the server, with a client made by hand


def ask_block(number: int, ack: int, part: bytes, *, last: bool = True, streaming: bool = False) -> bytes:
    return from_client(apdu.encode(GeneralBlockTransfer(BlockControl(last, streaming, 4), number, ack, part)))


REQUEST = apdu.encode(GetRequestNormal(0xC5, NAME))


def test_a_short_request_in_blocks_is_answered_in_blocks() -> None:
    joined = talking(64)
    (answer,) = blocks_of(joined.to_server(ask_block(1, 0, REQUEST)))
    assert (answer.block_control.last_block, answer.block_number, answer.block_number_ack) == (True, 1, 1)
    assert isinstance(apdu.decode(answer.block_data), GetResponseNormal)
    (again,) = blocks_of(joined.to_server(ask_block(1, 0, REQUEST)))
    assert again == answer, "the client asks again, the application is not asked again"
    assert len(joined.seen) == 1
    joined.to_server(ask_block(1, 0, REQUEST[:2] + b"\xc6" + REQUEST[3:]))
    assert len(joined.seen) == 2, "another request"


def test_a_request_that_was_given_up_in_the_middle() -> None:
    joined = talking(64)
    joined.to_server(ask_block(1, 0, b"\xc1\x01", last=False, streaming=True))
    (answer,) = blocks_of(joined.to_server(ask_block(1, 0, REQUEST)))
    assert isinstance(apdu.decode(answer.block_data), GetResponseNormal)


def test_a_confirmation_of_nothing() -> None:
    joined = talking(64)
    assert joined.to_server(ask_block(1, 0, b"")) == b""
    assert isinstance(joined.seen[-1], Discarded)


@pytest.mark.parametrize("whole", [b"\xff", b"\x62\x00", b"\xe0\x80\x00\x01\x00\x00\x00", b"\x60\x00"])
def test_blocks_that_make_no_request(whole: bytes) -> None:
    joined = talking(64)
    (answer,) = blocks_of(joined.to_server(ask_block(1, 0, whole)))
    assert isinstance(answer, ExceptionResponse)
    assert joined.server.state(17, 1) is ServerState.OPEN
    assert joined.ask(Get(LONG)) == [GetResult(joined.values[LONG], OK)]


def test_general_blocks_need_an_agreement() -> None:
    joined = opened()
    joined.client.send(Get(NAME))
    (event,) = joined.carry_back(joined.to_server(ask_block(1, 0, REQUEST)))
    assert isinstance(event, PeerFault)
    assert isinstance(event.fault, ExceptionResponse)
    assert event.fault.service_error is ServiceError.SERVICE_NOT_SUPPORTED


def test_an_answer_that_comes_after_the_client_has_begun_something_else() -> None:
    joined = talking(64)
    joined.server.receive_data(ask_block(1, 0, REQUEST))
    event = joined.server.next_event()
    requested(event, Service.GET)
    joined.to_server(ask_block(1, 0, REQUEST[:2] + b"\xc6" + REQUEST[3:]))
    assert joined.server.send(Answer(event.key, (data.null(),))) == b""


def test_a_request_in_the_middle_of_an_answer_in_blocks() -> None:
    joined = talking(64)
    joined.to_server(joined.client.send(Get(LONG)))
    joined.client.abandon()
    assert joined.server.timeout(17, 1)
    assert joined.ask(Get(NAME)) == [GetResult(joined.values[NAME], OK)]
    assert joined.server.timeout(17, 1) == b""
    assert joined.server.timeout(17, 99) == b""


# --- giving a transfer up

ABORTED = bytes.fromhex("e0 80 0000 0000 00")


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("request_", [Get(LONG), Set(CLOCK, VALUE)], ids=["answer", "request"])
def test_a_client_gives_up_and_tells_the_server(request_: Any, policy: tuple[bool, bool] | None) -> None:
    joined = talking(64, policy=policy)
    answer = joined.to_server(joined.client.send(request_))
    joined.client.receive_data(answer)
    joined.client.next_event()
    octets = joined.client.abandon()
    assert [pdu.apdu for pdu in pdus(octets)] == [ABORTED]
    joined.seen.clear()
    assert joined.to_server(octets) == b""
    assert [type(event) for event in joined.seen] == [Discarded]
    assert joined.server.timeout(17, 1) == b"", "nothing is repeated any more"
    joined.client.data_to_send()
    assert joined.ask(Get(LONG)) == [GetResult(joined.values[LONG], OK)]


@pytest.mark.parametrize("request_", [Get(LONG), Set(CLOCK, VALUE)], ids=["answer", "request"])
def test_a_server_gives_up_and_tells_the_client(request_: Any) -> None:
    joined = talking(64)
    joined.client.receive_data(joined.to_server(joined.client.send(request_)))
    joined.client.next_event()
    octets = joined.server.abort(17, 1)
    assert [pdu.apdu for pdu in pdus(octets)] == [ABORTED]
    assert joined.server.abort(17, 1) == joined.server.abort(17, 99) == b""
    (event,) = joined.carry_back(octets)
    assert isinstance(event, PeerFault)
    assert "given up" in event.reason
    joined.client.data_to_send()
    assert joined.client.state is ClientState.OPEN
    assert joined.ask(request_) != []


def test_giving_up_what_is_not_under_way_has_no_effect() -> None:
    joined = talking(64)
    joined.client.receive_data(from_server(ABORTED))
    assert joined.client.next_event() is None
    octets = joined.client.send(Get(NAME))
    joined.client.receive_data(from_server(ABORTED))
    assert joined.client.next_event() is None, "no block has come yet"
    joined.to_server(from_client(ABORTED))
    assert joined.carry(octets) == [GetResult(joined.values[NAME], OK)]
    joined.client.send(Get(NAME))
    assert joined.client.abandon() == b""


def test_the_answer_to_what_was_given_up_is_not_sent() -> None:
    joined = talking(64)
    joined.server.receive_data(ask_block(1, 0, REQUEST))
    event = joined.server.next_event()
    requested(event, Service.GET)
    joined.to_server(from_client(ABORTED))
    assert joined.server.send(Answer(event.key, (data.null(),))) == b""


def test_a_confirmation_of_nothing_with_a_window_gives_nothing_up() -> None:
    """Somebody who gives confirmations no numbers and has not got the first block."""
    joined = talking(64)
    first = joined.to_server(joined.client.send(Get(LONG)))
    again = joined.to_server(from_client(apdu.encode(GeneralBlockTransfer(BlockControl(True, False, 4), 0, 0, b""))))
    assert blocks_of(again)[0].block_data == blocks_of(first)[0].block_data
