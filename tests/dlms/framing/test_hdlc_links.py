"""Both ends of an HDLC link joined in memory: windows, segments, faults of the line, and what a stubborn peer may do."""

from __future__ import annotations

import pytest
from hdlc_line import CLIENT, SERVER, Fault, Line, frames_of, line
from hypothesis import given, settings
from hypothesis import strategies as st
from sizes import examples

from ami_dlms.errors import DecodeError, DlmsError, LocalError, ProtocolError
from ami_dlms.framing.hdlc import Frame, FrameKind, control_of, encode
from ami_dlms.framing.hdlc_address import HdlcAddress
from ami_dlms.framing.hdlc_client import HdlcClient
from ami_dlms.framing.hdlc_link import AnswerPending, ApduReceived, LinkConnected, LinkDisconnected
from ami_dlms.framing.hdlc_numbering import ENOUGH_QUEUED, MAX_QUEUED
from ami_dlms.framing.hdlc_parameters import LinkParameters
from ami_dlms.framing.hdlc_segments import RejectReason
from ami_dlms.framing.hdlc_server import HdlcServer
from ami_dlms.framing.hdlc_states import ClientLinkState, ServerLinkState

C, S = ClientLinkState, ServerLinkState
LLC = bytes.fromhex("E6E600")
WINDOWS = range(1, 8)


def both(length: int, window: int) -> LinkParameters:
    return LinkParameters(length, length, window, window)


def from_client(kind: FrameKind, information: bytes = b"", *, final: bool = True, nr: int = 0, ns: int = 0) -> bytes:
    return encode(Frame(SERVER, CLIENT, control_of(kind, final, nr, ns), information))


def from_server(kind: FrameKind, information: bytes = b"", *, final: bool = True, nr: int = 0, ns: int = 0) -> bytes:
    return encode(Frame(CLIENT, SERVER, control_of(kind, final, nr, ns), information))


# --- a good line


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("length", [128, 129, 512, 2030])
def test_every_window_and_length(length: int, window: int) -> None:
    joined = line(both(length, window)).connected()
    assert joined.client.parameters == joined.server.parameters == both(length, window)
    for size in (1, length - 4, length - 3, length - 2, 2 * length, 10 * length + 1):
        apdu = bytes(number % 251 for number in range(size))
        assert joined.ask(apdu) == apdu[::-1]
    assert max(len(frame.information) for _, frame in joined.wire) == length
    assert joined.events[0] == LinkConnected(both(length, window))
    assert all(isinstance(event, ApduReceived) for event in joined.events[1:])
    joined.carry(joined.client.disconnect())
    assert joined.events[-1] == LinkDisconnected("the server agreed to disconnect", wanted=True)
    assert joined.server.state is S.DISCONNECTED


def test_the_course_of_a_link_with_window_1() -> None:
    joined = line(both(128, 1)).connected()
    joined.ask(bytes(200))
    joined.carry(joined.client.disconnect())
    assert joined.shape() == [
        "c:SNRM*",
        "s:UA*",
        "c:I0,0*+",
        "s:RR1*",
        "c:I1,0*",
        "s:I0,2*+",
        "c:RR1*",
        "s:I1,2*",
        "c:DISC*",
        "s:UA*",
    ]


def test_what_a_server_has_beyond_its_turn_is_asked_for_once_for_each_apdu_and_not_waited_for() -> None:
    """As of blocks in streams: with a window of 1 each of them needs a turn."""
    joined = line(both(128, 1), answers=lambda _: [b"first", b"second", b"third"]).connected()
    joined.carry(joined.client.send_apdu(b"go on"))
    assert joined.got == [b"first"]
    joined.carry(joined.client.poll())
    joined.carry(joined.client.poll())
    assert joined.got == [b"first", b"second", b"third"]
    joined.carry(joined.client.poll())
    assert joined.events[-1] == AnswerPending(False)
    assert joined.client.poll() == b"", "a server that has nothing is not asked without end"
    assert joined.shape(2)[2:] == ["c:RR1*", "s:I1,1*", "c:RR2*", "s:I2,1*", "c:RR3*", "s:RR1*"]


def test_the_course_of_a_link_with_window_3() -> None:
    joined = line(both(128, 3)).connected()
    joined.ask(bytes(600))
    assert joined.shape(2) == [
        "c:I0,0+",
        "c:I1,0+",
        "c:I2,0*+",
        "s:RR3*",
        "c:I3,0+",
        "c:I4,0*",
        "s:I0,5+",
        "s:I1,5+",
        "s:I2,5*+",
        "c:RR3*",
        "s:I3,5+",
        "s:I4,5*",
    ]


def test_the_llc_header_is_in_the_first_segment_alone() -> None:
    joined = line(both(128, 1)).connected()
    joined.ask(bytes(200))
    sent = [frame.information for sender, frame in joined.wire if sender == "client" and frame.kind is FrameKind.I]
    answered = [frame.information for sender, frame in joined.wire if sender == "server" and frame.kind is FrameKind.I]
    assert sent == [LLC + bytes(125), bytes(75)]
    assert answered == [bytes.fromhex("E6E700") + bytes(125), bytes(75)]


def test_different_limits_in_both_directions() -> None:
    joined = line(LinkParameters(512, 256, 3, 2), server_offer=LinkParameters(1000, 300, 7, 5)).connected()
    assert joined.client.parameters == LinkParameters(300, 256, 3, 2)
    assert joined.server.parameters == LinkParameters(256, 300, 2, 3)
    joined.ask(bytes(1000))
    longest = {
        sender: max(len(frame.information) for who, frame in joined.wire if who == sender) for sender, _ in joined.wire
    }
    assert longest == {"client": 300, "server": 256}


def test_a_client_that_offers_nothing_gets_the_defaults() -> None:
    joined = line(LinkParameters(), server_offer=both(2030, 7)).connected()
    assert joined.wire[0][1].information == b""
    assert joined.client.parameters == joined.server.parameters == LinkParameters()


@pytest.mark.parametrize("portion", [1, 5, 64])
def test_any_portions(portion: int) -> None:
    joined = line(both(128, 4), portion=portion).connected()
    assert joined.ask(bytes(range(200)) * 4) == bytes(reversed(range(200))) * 4


def test_numbers_go_round() -> None:
    joined = line().connected()
    for number in range(20):
        assert joined.ask(bytes((number + 1,))) == bytes((number + 1,))


def test_requests_before_the_link_stands_wait_for_it() -> None:
    joined = line(both(256, 2))
    octets = joined.client.connect()
    assert joined.client.send_apdu(bytes(300)) == b""
    joined.carry(octets)
    assert joined.got == [bytes(300)]
    assert max(len(frame.information) for _, frame in joined.wire) == 256


def test_a_second_request_waits_for_its_turn() -> None:
    joined = line().connected()
    first = joined.client.send_apdu(b"first")
    assert joined.client.send_apdu(b"second") == b""
    joined.carry(first)
    assert joined.served == [b"first", b"second"]
    assert joined.got == [b"tsrif", b"dnoces"]


def test_a_server_that_says_more_than_it_was_asked() -> None:
    joined = line(both(128, 3), answers=lambda apdu: [apdu, bytes(300), b"more"]).connected()
    joined.carry(joined.client.send_apdu(b"ask"))
    assert joined.got == [b"ask"]
    joined.until(lambda: joined.got == [b"ask", bytes(300), b"more"], patience=3)


def test_several_answers_at_once_share_the_turn() -> None:
    joined = line(both(128, 3), answers=lambda apdu: []).connected()
    joined.carry(joined.client.send_apdu(b"ask"))
    joined.carry_back(joined.server.send_apdu(b"one", b"two", bytes(100)))
    assert joined.got == [b"one", b"two", bytes(100)]
    assert joined.shape(3) == ["s:I0,1", "s:I1,1", "s:I2,1*"]


def test_several_requests_at_once_share_the_turn() -> None:
    joined = line(both(128, 3)).connected()
    octets = joined.client.send_apdu(b"one", b"two")
    assert [frame.final for frame in frames_of(octets)] == [False, True]
    joined.carry(octets)
    joined.until(lambda: joined.got == [b"eno", b"owt"])


def test_a_server_with_nothing_to_say_gives_the_turn_back() -> None:
    joined = line(answers=lambda apdu: []).connected()
    assert joined.server.pass_turn() == b"", "it is not the server's"
    joined.carry(joined.client.send_apdu(b"ask"))
    joined.carry_back(joined.server.pass_turn())
    assert joined.events[-1] == AnswerPending()
    assert joined.client.state is C.READY


# --- a bad line

faults = st.lists(st.sampled_from(Fault), max_size=40)


@settings(max_examples=examples(300), deadline=None)
@given(
    st.integers(128, 2030),
    st.integers(1, 7),
    st.integers(128, 2030),
    st.integers(1, 7),
    st.lists(st.binary(min_size=1, max_size=3000), min_size=1, max_size=4),
    faults,
)
def test_each_apdu_arrives_once_and_in_order(
    length: int, window: int, server_length: int, server_window: int, apdus: list[bytes], bad: list[Fault]
) -> None:
    joined = line(both(length, window), server_offer=both(server_length, server_window), faults=bad, max_retries=100)
    joined.connected()
    for apdu in apdus:
        joined.ask(apdu)
    assert joined.served == apdus
    assert joined.got == [apdu[::-1] for apdu in apdus]


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.DOUBLED, Fault.DAMAGED, Fault.NOISE])
@pytest.mark.parametrize("window", WINDOWS)
def test_a_fault_at_every_place(window: int, fault: Fault) -> None:
    """Each frame of a whole session in turn: from SNRM over segments in both directions to DISC."""
    good = line(both(128, window)).connected()
    good.ask(bytes(range(250)) * 3)
    good.carry(good.client.disconnect())
    for place in range(len(good.wire)):
        joined = line(both(128, window), faults=[Fault.NONE] * place + [fault]).connected()
        joined.ask(bytes(range(250)) * 3)
        joined.carry(joined.client.disconnect())
        joined.until(lambda joined=joined: joined.client.state is C.DISCONNECTED)  # type: ignore[misc]
        assert joined.served == [bytes(range(250)) * 3]
        assert joined.got == [bytes(reversed(range(250))) * 3]
        assert joined.server.state is S.DISCONNECTED
        assert len(joined.wire) <= len(good.wire) + 2 * window + 6


def test_doubled_frames_do_not_breed() -> None:
    joined = line(both(128, 1), faults=[Fault.NONE] * 4 + [Fault.DOUBLED] * 4).connected()
    for number in range(30):
        joined.ask(bytes((number + 1,)) * 300)
    assert len(joined.wire) < 2 + 30 * 10 + 30


def test_two_answers_to_a_repeated_question() -> None:
    """The slow server answers the first question after the client has asked once more: the second answer is old."""
    joined = line(both(128, 1)).connected()
    first = joined.client.send_apdu(bytes(600))
    again = joined.client.timeout()
    joined.carry(first + again)
    assert joined.got == [bytes(600)]
    assert len(joined.wire) < 2 + 2 * 11 + 4


def test_the_first_frame_of_a_window_lost() -> None:
    joined = line(both(128, 4), faults=[Fault.NONE, Fault.NONE, Fault.LOST]).connected()
    joined.ask(bytes(400))
    assert joined.shape(2)[:6] == ["c:I0,0+", "c:I1,0+", "c:I2,0+", "c:I3,0*", "s:RR0*", "c:I0,0+"]
    assert joined.server.discarded == 3


def test_a_frame_of_the_servers_window_lost() -> None:
    joined = line(both(128, 4), answers=lambda apdu: [bytes(400)])
    joined.faults = ()
    joined.connected()
    joined._faults = iter([Fault.NONE, Fault.NONE, Fault.LOST])
    joined.carry(joined.client.send_apdu(b"ask"))
    assert joined.got == [bytes(400)]
    assert joined.shape(2) == [
        "c:I0,0*",
        "s:I0,1+",
        "s:I1,1+",
        "s:I2,1+",
        "s:I3,1*",
        "c:RR1*",
        "s:I1,1+",
        "s:I2,1+",
        "s:I3,1*",
    ]


def test_the_last_frame_of_the_servers_window_lost() -> None:
    joined = line(both(128, 2), answers=lambda apdu: [bytes(200)]).connected()
    joined._faults = iter([Fault.NONE, Fault.NONE, Fault.LOST])
    joined.carry(joined.client.send_apdu(b"ask"))
    assert joined.got == []
    joined.carry(joined.client.timeout())
    assert joined.got == [bytes(200)]
    assert joined.shape()[-2:] == ["c:RR1*", "s:I1,1*"]


# --- silence


@pytest.mark.parametrize("state", [C.CONNECTING, C.WAITING, C.DISCONNECTING])
def test_a_client_gives_up_after_its_retries(state: ClientLinkState) -> None:
    joined = line(max_retries=2).connected()
    client = joined.client
    if state is C.WAITING:
        client.send_apdu(b"ask")
    else:
        client.disconnect()
    if state is C.CONNECTING:
        client.receive_data(from_server(FrameKind.UA))
        assert client.next_event() is not None
        client.connect()
    assert client.state is state
    assert client.timeout() and client.timeout()
    assert client.timeout() == b""
    assert client.state is C.DISCONNECTED
    lost = LinkDisconnected("no answer after 2 repetitions", wanted=state is C.DISCONNECTING)
    assert client.next_event() == lost
    assert client.timeout() == b""
    assert client.next_event() is None


def test_each_second_repetition_is_a_bare_question() -> None:
    """A server that drops a repeated segment without a word still says what it has when it is asked."""
    joined = line(max_retries=3).connected()
    joined.client.send_apdu(b"ask")
    said = [joined.client.timeout() for _ in range(3)]
    assert [frames_of(octets)[0].kind for octets in said] == [FrameKind.I, FrameKind.RR, FrameKind.I]
    joined.carry(said[1])
    assert joined.got == [], (
        "one question was repeated before, so the first answer that acknowledges nothing may be to it"
    )


def test_a_client_that_has_given_up_can_connect_again() -> None:
    joined = line(max_retries=0).connected()
    joined.client.send_apdu(b"lost")
    assert joined.client.timeout() == b""
    joined.connected()
    assert joined.ask(b"found") == b"dnuof"
    assert joined.served == [b"found"]


def test_progress_renews_the_patience() -> None:
    """Each second frame is lost, and still a long APDU gets through with one repetition at a time."""
    joined = line(both(128, 1), max_retries=1).connected()
    joined._faults = iter([Fault.LOST, Fault.NONE, Fault.NONE] * 40)
    assert joined.ask(bytes(2000)) == bytes(2000)


def test_a_slow_server_says_that_it_is_still_there() -> None:
    joined = line(answers=lambda apdu: []).connected()
    joined.carry(joined.client.send_apdu(b"slow"))
    assert joined.server.state is S.ANSWERING
    joined.carry(joined.client.timeout())
    assert joined.events[-1] == AnswerPending()
    assert joined.client.state is C.READY
    assert joined.server.send_apdu(b"answer") == b"", "the turn has gone back"
    joined.carry(joined.client.timeout())
    assert joined.got == [b"answer"]
    assert joined.served == [b"slow"], "asking again is not requesting again"


def test_a_slow_server_answers_at_once_as_long_as_nobody_asked_again() -> None:
    joined = line(answers=lambda apdu: []).connected()
    joined.carry(joined.client.send_apdu(b"slow"))
    joined.carry_back(joined.server.send_apdu(b"answer"))
    assert joined.got == [b"answer"]


def test_asking_a_server_that_is_never_ready_has_no_end_of_its_own() -> None:
    joined = line(answers=lambda apdu: [], max_retries=1).connected()
    joined.carry(joined.client.send_apdu(b"ask"))
    for _ in range(20):
        joined.carry(joined.client.timeout())
    assert joined.client.connected, "it answers: how long to wait for what it has to say is the caller's business"


def test_an_answer_without_a_question_before_it() -> None:
    """Some meters say RR and then the answer, without being asked again."""
    client = line().connected().client
    client.send_apdu(b"ask")
    client.receive_data(from_server(FrameKind.RR, nr=1) + from_server(FrameKind.I, LLC + b"answer", nr=1))
    assert client.next_event() == AnswerPending()
    event = client.next_event()
    assert isinstance(event, ApduReceived)
    assert event.apdu == b"answer"
    assert client.state is C.READY


def test_an_idle_link_ends_at_the_server() -> None:
    joined = line().connected()
    assert joined.server.timeout() == b""
    assert joined.server.next_event() == LinkDisconnected("the client was silent for too long")
    joined.carry(joined.client.send_apdu(b"ask"))
    assert joined.events[-1] == LinkDisconnected("the server has no link with us")
    assert joined.client.state is C.DISCONNECTED


def test_a_frame_that_never_ends_is_forgotten_when_the_line_falls_silent() -> None:
    joined = line().connected()
    octets = joined.client.send_apdu(b"ask")
    joined.server.receive_data(octets[:-4])
    assert joined.server.next_event() is None
    joined.server.silence()
    joined.carry(octets)
    assert joined.got == [b"ksa"]


# --- not ready


def test_a_busy_server_takes_no_segments() -> None:
    joined = line(both(128, 3), max_retries=1).connected()
    joined.server.busy = True
    joined.carry(joined.client.send_apdu(bytes(300)))
    assert joined.shape()[-1] == "s:RNR0*"
    assert joined.events[-1] == AnswerPending(busy=True)
    for _ in range(5):
        joined.carry(joined.client.timeout())
        assert joined.shape()[-2:] == ["c:RR0*", "s:RNR0*"]
    joined.server.busy = False
    joined.carry(joined.client.timeout())
    assert joined.got == [bytes(300)]


def test_a_request_to_a_busy_server_waits() -> None:
    joined = line().connected()
    joined.server.busy = True
    joined.carry(joined.client.send_apdu(b"one"))
    assert joined.client.send_apdu(b"two") == b""
    joined.server.busy = False
    joined.carry(joined.client.timeout())
    joined.carry(joined.client.timeout())
    assert joined.served == [b"one", b"two"]


def test_a_busy_client_gets_no_segments() -> None:
    server = line().connected().server
    server.receive_data(from_client(FrameKind.I, LLC + b"ask"))
    assert isinstance(server.next_event(), (LinkConnected, ApduReceived))
    while server.next_event() is not None:
        pass
    server.receive_data(from_client(FrameKind.RNR, nr=0))
    assert server.next_event() is None
    server.data_to_send()
    assert server.send_apdu(b"answer") == b""
    server.receive_data(from_client(FrameKind.RNR))
    assert server.next_event() is None
    assert [frame.kind for frame in frames_of(server.data_to_send())] == [FrameKind.RR]
    server.receive_data(from_client(FrameKind.RR))
    assert server.next_event() is None
    assert [frame.kind for frame in frames_of(server.data_to_send())] == [FrameKind.I]


def test_a_client_that_asks_and_never_listens_is_held_back() -> None:
    joined = line(answers=lambda apdu: [bytes(1000)]).connected()
    for number in range(60):
        joined.server.receive_data(from_client(FrameKind.I, LLC + b"ask", final=False, ns=number % 8))
        while (event := joined.server.next_event()) is not None:
            joined._serve(event)
    assert len(joined.served) == ENOUGH_QUEUED
    joined.server.receive_data(from_client(FrameKind.RR))
    assert joined.server.next_event() is None
    assert len(frames_of(joined.server.data_to_send())) == 1


def test_an_application_that_says_too_much_is_told_so() -> None:
    server = line().connected().server
    for _ in range(MAX_QUEUED):
        server.send_apdu(b"more")
    with pytest.raises(LocalError, match="too many"):
        server.send_apdu(b"too much")
    client = line().client
    client.connect()
    for _ in range(MAX_QUEUED):
        client.send_apdu(b"more")
    with pytest.raises(LocalError, match="too many"):
        client.send_apdu(b"too much")


@pytest.mark.parametrize("apdu", [b"", bytes(65536)])
def test_an_apdu_that_is_none(apdu: bytes) -> None:
    joined = line().connected()
    for end in (joined.client, joined.server):
        with pytest.raises(LocalError):
            end.send_apdu(apdu)
        with pytest.raises(LocalError):
            end.send_unnumbered(apdu)


# --- rejection


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (encode(Frame(SERVER, CLIENT, 0x19)), RejectReason.UNDEFINED_CONTROL),
        (from_client(FrameKind.RR, b"information"), RejectReason.INFORMATION_NOT_PERMITTED),
        (from_client(FrameKind.I, LLC + bytes(126)), RejectReason.INFORMATION_TOO_LONG),
        (from_client(FrameKind.RR, nr=3), RejectReason.WRONG_RECEIVE_NUMBER),
        (from_client(FrameKind.I, LLC + b"ask", nr=7), RejectReason.WRONG_RECEIVE_NUMBER),
    ],
)
def test_a_server_rejects_what_breaks_the_rules_until_the_link_is_set_up_anew(
    octets: bytes, reason: RejectReason
) -> None:
    joined = line().connected()
    server = joined.server
    server.receive_data(octets)
    assert server.next_event() is None
    (rejection,) = frames_of(server.data_to_send())
    assert rejection.kind is FrameKind.FRMR
    assert rejection.information[0] == frames_of(octets)[0].control
    assert rejection.information[2] == reason
    assert server.state is S.REJECTING
    server.receive_data(from_client(FrameKind.I, LLC + b"ask"))
    assert server.next_event() is None
    assert frames_of(server.data_to_send()) == [rejection]
    with pytest.raises(LocalError):
        server.send_apdu(b"answer")
    joined.client.receive_data(encode(rejection))
    event = joined.client.next_event()
    assert isinstance(event, LinkDisconnected)
    assert reason.name is not None
    assert reason.name.lower().replace("_", " ") in event.reason
    joined.connected()
    assert joined.ask(b"ask") == b"ksa"
    assert LinkDisconnected("the client set it up anew") in joined.server_events


def test_a_rejection_carries_the_state_of_the_server() -> None:
    joined = line(both(128, 3)).connected()
    joined.ask(bytes(300))
    joined.server.receive_data(encode(Frame(SERVER, CLIENT, 0x09)))
    joined.server.next_event()
    (rejection,) = frames_of(joined.server.data_to_send())
    assert rejection.information == bytes((0x09, 3 << 1 | 3 << 5, 1))


def test_a_rejection_without_reasons() -> None:
    client = line().connected().client
    client.receive_data(from_server(FrameKind.FRMR))
    assert client.next_event() == LinkDisconnected("the server rejected a frame: no reason given")


def test_an_apdu_longer_than_any_is_refused_on_both_sides() -> None:
    joined = line(both(2030, 7), max_apdu=5000).connected()
    joined.carry(joined.client.send_apdu(bytes(5001)))
    assert joined.served == []
    assert isinstance(joined.events[-1], LinkDisconnected)
    client = HdlcClient(CLIENT, SERVER, max_apdu=100)
    client.connect()
    client.receive_data(from_server(FrameKind.UA) + from_server(FrameKind.I, LLC + bytes(101)))
    assert client.next_event() is not None
    with pytest.raises(ProtocolError, match="too long"):
        client.next_event()


def test_a_client_takes_a_wrong_acknowledgement_for_a_breach() -> None:
    client = line().connected().client
    client.receive_data(from_server(FrameKind.RR, nr=2))
    with pytest.raises(ProtocolError, match="wrong receive number"):
        client.next_event()


def test_information_without_llc_header() -> None:
    joined = line().connected()
    joined.client.send_apdu(b"ask")
    joined.client.receive_data(from_server(FrameKind.I, b"no header", nr=1))
    with pytest.raises(DecodeError, match="LLC"):
        joined.client.next_event()
    joined.server.receive_data(from_client(FrameKind.I, b"no header"))
    assert joined.server.next_event() is None
    assert [frame.kind for frame in frames_of(joined.server.data_to_send())] == [FrameKind.RR]


def test_either_llc_header_will_do() -> None:
    client = line().connected().client
    client.send_apdu(b"ask")
    client.receive_data(from_server(FrameKind.I, LLC + b"answer", nr=1))
    event = client.next_event()
    assert isinstance(event, ApduReceived)


# --- setting up and taking down


@pytest.mark.parametrize("information", ["818003050110", "FF", "8180FF"])
def test_parameters_that_cannot_be_read_get_no_link(information: str) -> None:
    joined = line().connected()
    joined.server.receive_data(from_client(FrameKind.SNRM, bytes.fromhex(information)))
    event = joined.server.next_event()
    assert isinstance(event, LinkDisconnected)
    assert [frame.kind for frame in frames_of(joined.server.data_to_send())] == [FrameKind.DM]
    assert joined.server.state is S.DISCONNECTED
    client = line().client
    client.connect()
    client.receive_data(from_server(FrameKind.UA, bytes.fromhex(information)))
    with pytest.raises(DecodeError):
        client.next_event()


def test_a_server_that_wants_no_link() -> None:
    client = line().client
    client.connect()
    client.receive_data(from_server(FrameKind.DM))
    assert client.next_event() == LinkDisconnected("the server has no link with us")


def test_disconnecting_what_is_not_connected() -> None:
    joined = line()
    joined.carry(joined.client.disconnect())
    assert joined.shape() == ["c:DISC*", "s:DM*"]
    assert joined.events == [LinkDisconnected("the server has no link with us", wanted=True)]
    assert joined.server_events == []


def test_a_link_set_up_anew_begins_from_nothing() -> None:
    joined = line(both(128, 2)).connected()
    joined.ask(bytes(300))
    joined.server.receive_data(from_client(FrameKind.I, LLC + b"half", ns=3, nr=3)[:-3])
    joined.client = HdlcClient(CLIENT, SERVER)
    joined.connected()
    assert joined.server.parameters == LinkParameters()
    assert joined.ask(b"ask") == b"ksa"
    assert LinkDisconnected("the client set it up anew") in joined.server_events


@pytest.mark.parametrize("kind", [FrameKind.I, FrameKind.RR, FrameKind.RNR])
def test_without_a_link_there_is_one_answer(kind: FrameKind) -> None:
    server = HdlcServer(SERVER, CLIENT)
    server.receive_data(from_client(kind, final=False))
    assert server.next_event() is None
    assert server.data_to_send() == b""
    server.receive_data(from_client(kind))
    assert server.next_event() is None
    assert [frame.kind for frame in frames_of(server.data_to_send())] == [FrameKind.DM]


def test_a_client_has_an_address_of_one_octet() -> None:
    with pytest.raises(LocalError):
        HdlcClient(SERVER, SERVER)


def test_frames_of_others_are_passed_over() -> None:
    joined = line().connected()
    stranger, other = HdlcAddress(17), HdlcAddress(1, 18)
    joined.server.receive_data(encode(Frame(SERVER, stranger, 0x53)) + encode(Frame(other, CLIENT, 0x53)))
    joined.client.receive_data(encode(Frame(stranger, SERVER, 0x1F)) + encode(Frame(CLIENT, other, 0x1F)))
    assert joined.server.next_event() is joined.client.next_event() is None
    assert joined.client.connected and joined.server.connected
    assert joined.client.discarded == joined.server.discarded == 2


def test_the_echo_of_an_optical_head_is_passed_over() -> None:
    joined = line().connected()
    octets = joined.client.send_apdu(b"ask")
    joined.client.receive_data(octets)
    assert joined.client.next_event() is None
    joined.carry(octets)
    assert joined.got == [b"ksa"]


# --- unnumbered information


def test_pushes_need_no_link() -> None:
    server, client = HdlcServer(SERVER, CLIENT), HdlcClient(CLIENT, SERVER)
    client.receive_data(server.send_unnumbered(bytes(300)))
    assert client.next_event() == ApduReceived(SERVER, CLIENT, bytes(300), unnumbered=True)
    assert client.next_event() is None


def test_a_push_in_the_middle_of_an_answer() -> None:
    joined = line(answers=lambda apdu: [bytes(300)]).connected()
    joined.carry(joined.client.send_apdu(b"ask")[:-1])
    pushed = joined.server.send_unnumbered(b"push")
    joined.client.receive_data(pushed)
    event = joined.client.next_event()
    assert isinstance(event, ApduReceived)
    assert event.unnumbered
    assert joined.client.state is C.WAITING
    joined.carry(b"\x7e")
    joined.until(lambda: joined.got == [bytes(300)])


def test_a_broadcast_of_the_client() -> None:
    client, server = HdlcClient(CLIENT, SERVER), HdlcServer(SERVER, CLIENT)
    server.receive_data(client.send_unnumbered(b"all", HdlcAddress(127, 127)))
    event = server.next_event()
    assert isinstance(event, ApduReceived)
    assert (event.apdu, event.unnumbered) == (b"all", True)
    assert server.data_to_send() == b""


def test_unnumbered_information_that_cannot_be_read_is_dropped() -> None:
    joined = line().connected()
    joined.client.receive_data(from_server(FrameKind.UI, b"no header") + from_server(FrameKind.UI))
    joined.server.receive_data(from_client(FrameKind.UI, b"no header"))
    assert joined.client.next_event() is joined.server.next_event() is None
    assert joined.client.discarded == 2


# --- hostile octets

known = st.sampled_from([kind for kind in FrameKind if kind is not FrameKind.UNDEFINED])
hostile = st.one_of(
    st.binary(max_size=40),
    st.builds(
        lambda there, control, information, more: encode(
            Frame(*((SERVER, CLIENT) if there else (CLIENT, SERVER)), control, information, more)
        ),
        st.booleans(),
        st.integers(0, 255),
        st.one_of(st.binary(max_size=140), st.binary(max_size=20).map(lambda octets: LLC + octets)),
        st.booleans(),
    ),
)


def endure(end: HdlcClient | HdlcServer, octets: bytes) -> None:
    end.receive_data(octets)
    while True:
        try:
            if end.next_event() is None:
                break
        except DlmsError as error:
            assert str(error)
    end.data_to_send()


@settings(max_examples=examples(400), deadline=None)
@given(st.lists(hostile, max_size=25), st.booleans())
def test_anything_at_all_raises_nothing_but_dlms_errors(stream: list[bytes], connect: bool) -> None:
    joined: Line = line(both(128, 3), max_retries=1000)
    if connect:
        joined.connected()
        joined.client.send_apdu(bytes(500))
    for octets in stream:
        endure(joined.client, octets)
        endure(joined.server, octets)
        endure(joined.client, joined.client.timeout())
        if joined.server.connected:
            joined.server.send_apdu(b"answer")
    for end in (joined.client, joined.server):
        assert len(end._reader._buffer) < 2100
