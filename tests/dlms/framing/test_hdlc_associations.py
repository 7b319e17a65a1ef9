"""Associations over HDLC: the same two connections as over the wrapper, with HLS, ciphering and blocks, on good and bad lines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import in_memory
import pytest
from hdlc_line import Fault, frames_of, through
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st
from in_memory import (
    CHALLENGE,
    CLIENT_TITLE,
    CLOCK,
    DISCONNECT,
    LONG,
    NAME,
    SERVER_TITLE,
    Pair,
    random_bytes,
    requested,
    security,
)
from sizes import examples

from ami_dlms import apdu, data
from ami_dlms.apdu.notify import DataNotification
from ami_dlms.association import (
    CLIENT_CONFORMANCE,
    Action,
    ActionOutcome,
    Answer,
    AssociationOpened,
    AssociationRefused,
    AssociationReleased,
    Ciphering,
    ClientConnection,
    ClientOutput,
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
    ServerConnection,
    ServerState,
    Service,
    Set,
    SetResult,
    lookup_among,
)
from ami_dlms.enums import ActionResult, Conformance, DataAccessResult, Mechanism
from ami_dlms.errors import LocalError, ProtocolError
from ami_dlms.framing.framing import LinkLost, WrapperPdu
from ami_dlms.framing.hdlc import Frame, FrameKind, control_of, encode
from ami_dlms.framing.hdlc_address import HdlcAddress
from ami_dlms.framing.hdlc_framing import HdlcClientFraming, HdlcServerFraming
from ami_dlms.framing.hdlc_parameters import LinkParameters
from ami_dlms.security import SendCounter

CLIENT, SERVER, PHYSICAL = 1, 17, 5
ADDRESS = HdlcAddress(SERVER, PHYSICAL)
OTHER_CLIENT = 16
GENERAL_BLOCKS = Conformance.GENERAL_BLOCK_TRANSFER | CLIENT_CONFORMANCE & ~Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ


@dataclass
class HdlcPair(Pair):
    """Both ends over HDLC, on a line with faults; silence is told to the client until its answer is there."""

    ours: HdlcClientFraming = field(default_factory=lambda: HdlcClientFraming(CLIENT, ADDRESS))
    theirs: HdlcServerFraming = field(default_factory=lambda: HdlcServerFraming([SERVER]))
    faults: Iterable[Fault] = ()

    def __post_init__(self) -> None:
        self._faults = iter(self.faults)

    def to_server(self, octets: bytes) -> bytes:
        arrived = through(octets, self._faults)
        return super().to_server(arrived) if arrived else b""

    def to_client(self, octets: bytes) -> bytes:
        arrived = through(octets, self._faults)
        return super().to_client(arrived) if arrived else b""

    def answer(self, request: Open | Get | Set | Action | Release) -> ClientOutput:
        before = len(self.got)
        self.carry(self.client.send(request))
        for _ in range(200):
            if len(self.got) > before:
                return self.got[-1]
            self.carry(self.ours.timeout())
        raise AssertionError("no answer")

    def kinds(self) -> list[FrameKind]:
        return [frame.kind for _, octets in self.wire for frame in frames_of(octets)]


def hdlc_pair(
    mechanism: Mechanism = Mechanism.LOWEST,
    *,
    ciphering: Ciphering | None = None,
    parameters: LinkParameters | None = None,
    faults: Iterable[Fault] = (),
    portion: int = 0,
    address: HdlcAddress = ADDRESS,
    max_pdu_size: int = 0xFFFF,
    max_retries: int = 100,
    settings: dict[str, Any] | None = None,
    profile: dict[str, Any] | None = None,
) -> HdlcPair:
    ours = HdlcClientFraming(CLIENT, address, parameters, max_retries=max_retries)
    theirs = HdlcServerFraming([SERVER, 1], PHYSICAL, parameters)
    keys: dict[str, Any] = {}
    server_keys: dict[str, Any] = {}
    if ciphering is not None:
        keys["security"] = security(CLIENT_TITLE, ciphering=ciphering)
        server_keys["security"] = security(SERVER_TITLE)
    client = ClientConnection(
        in_memory.settings(mechanism, max_receive_pdu_size=max_pdu_size, **(keys | (settings or {}))),
        challenge=CHALLENGE,
        send_counter=SendCounter(1),
        framing=ours,
    )
    profiles = [
        in_memory.profile(mechanism, **(server_keys | (profile or {}))),
        in_memory.profile(client_wport=OTHER_CLIENT),
    ]
    server = ServerConnection(lookup_among(*profiles), random_bytes=random_bytes, framing=theirs)
    return HdlcPair(client, server, portion, ours=ours, theirs=theirs, faults=faults)


def whole_session(joined: HdlcPair) -> None:
    assert isinstance(joined.answer(Open()), Opened)
    assert joined.answer(Get(LONG)) == GetResult(joined.values[LONG], DataAccessResult.SUCCESS)
    value = data.octet_string(bytes(range(200)))
    assert joined.answer(Set(CLOCK, value)) == SetResult(DataAccessResult.SUCCESS)
    assert joined.answer(Get(CLOCK)) == GetResult(value, DataAccessResult.SUCCESS)
    assert joined.answer(Action(DISCONNECT, data.integer(0))) == ActionOutcome(ActionResult.SUCCESS, data.integer(0))
    assert joined.answer(Release()) == Released()
    joined.carry(joined.ours.disconnect())
    while not joined.ours.disconnected:
        joined.carry(joined.ours.timeout())


@pytest.mark.parametrize("ciphering", Ciphering)
@pytest.mark.parametrize("max_pdu_size", [256, 0xFFFF])
@pytest.mark.parametrize("parameters", [None, LinkParameters(256, 512, 3, 5), LinkParameters(2030, 2030, 7, 7)])
def test_hls_ciphering_and_blocks(ciphering: Ciphering, max_pdu_size: int, parameters: LinkParameters | None) -> None:
    joined = hdlc_pair(Mechanism.GMAC, ciphering=ciphering, parameters=parameters, max_pdu_size=max_pdu_size)
    whole_session(joined)
    kinds = joined.kinds()
    assert kinds[:2] == [FrameKind.SNRM, FrameKind.UA]
    assert kinds[-2:] == [FrameKind.DISC, FrameKind.UA]
    assert not [event for event in joined.seen if isinstance(event, Discarded)]


@pytest.mark.parametrize("address", [HdlcAddress(SERVER), ADDRESS, HdlcAddress(SERVER, PHYSICAL, wide=True)])
@pytest.mark.parametrize("mechanism", [Mechanism.LOWEST, Mechanism.LOW])
@pytest.mark.parametrize("portion", [0, 1, 13])
def test_addresses_of_any_size_and_portions(address: HdlcAddress, mechanism: Mechanism, portion: int) -> None:
    whole_session(hdlc_pair(mechanism, address=address, portion=portion))


@bounded(max_examples=examples(60), deadline=None)
@given(
    st.lists(st.sampled_from(Fault), max_size=60),
    st.integers(128, 2030),
    st.integers(1, 7),
    st.sampled_from([300, 1000, 0xFFFF]),
)
def test_a_bad_line_changes_nothing(faults: list[Fault], length: int, window: int, max_pdu_size: int) -> None:
    """HLS and counters do not forgive a lost, doubled or exchanged APDU: the link has to be right."""
    joined = hdlc_pair(
        Mechanism.GMAC,
        ciphering=Ciphering.GENERAL_GLO,
        parameters=LinkParameters(length, length, window, window),
        faults=faults,
        max_pdu_size=max_pdu_size,
    )
    whole_session(joined)
    assert not [event for event in joined.seen if isinstance(event, Discarded)]


def test_a_slow_answer_comes_when_it_is_asked_for() -> None:
    joined = hdlc_pair()
    joined.answer(Open())
    joined.server.receive_data(joined.client.send(Get(NAME)))
    asked = joined.server.next_event()
    requested(asked, Service.GET)
    joined.carry(joined.ours.timeout())
    assert joined.server.send(Answer(asked.key, (data.integer(7),))) == b""
    joined.carry(joined.ours.timeout())
    assert joined.got[-1] == GetResult(data.integer(7), DataAccessResult.SUCCESS)


def test_what_is_never_answered_does_not_keep_the_client_waiting() -> None:
    joined = hdlc_pair()
    joined.answer(Open())
    notification = apdu.encode(DataNotification(1, None, data.null()))
    joined.server.receive_data(joined.ours.encode(CLIENT, SERVER, notification))
    assert isinstance(joined.server.next_event(), Discarded)
    assert [frame.kind for frame in frames_of(joined.server.data_to_send())] == [FrameKind.RR]


@pytest.mark.parametrize("window", [1, 3, 7])
def test_general_block_transfer_over_hdlc(window: int) -> None:
    """Blocks that stream share a turn of HDLC as far as its window goes; for the rest the client asks."""
    joined = hdlc_pair(
        parameters=LinkParameters(256, 256, window, window),
        max_pdu_size=200,
        settings={"block_window": 3, "conformance": GENERAL_BLOCKS},
        profile={"max_receive_pdu_size": 200, "conformance": GENERAL_BLOCKS},
    )
    whole_session(joined)
    senders = {who for who, octets in joined.wire for frame in frames_of(octets) if frame.information[3:4] == b"\xe0"}
    assert senders == {"client", "server"}


def test_a_request_given_up_and_another_one() -> None:
    joined = hdlc_pair()
    joined.answer(Open())
    joined.server.receive_data(joined.client.send(Get(NAME)))
    asked = joined.server.next_event()
    requested(asked, Service.GET)
    joined.client.abandon()
    assert joined.client.send(Get(CLOCK)) == b"", "the turn is the server's"
    joined.carry_back(joined.server.send(Answer(asked.key, (data.integer(7),))))
    assert joined.got[-1] == GetResult(joined.values[CLOCK], DataAccessResult.SUCCESS)


def test_a_push_over_hdlc() -> None:
    joined = hdlc_pair()
    joined.answer(Open())
    notification = DataNotification(1, None, data.long_unsigned(5))
    joined.carry_back(joined.theirs.push(WrapperPdu(SERVER, CLIENT, apdu.encode(notification))))
    assert joined.got[-1] == Notified(notification)
    without_link = HdlcServerFraming([SERVER], PHYSICAL)
    octets = without_link.push(WrapperPdu(SERVER, CLIENT, apdu.encode(notification)))
    (frame,) = frames_of(octets)
    assert (frame.kind, frame.source, frame.destination) == (FrameKind.UI, ADDRESS, HdlcAddress(CLIENT))


# --- the end of a link is the end of what was agreed over it


def snrm(client: int = CLIENT, server: HdlcAddress = ADDRESS) -> bytes:
    return encode(Frame(server, HdlcAddress(client), control_of(FrameKind.SNRM)))


@pytest.mark.parametrize("end", ["SNRM", "DISC", "time-out"])
def test_nobody_inherits_an_association(end: str) -> None:
    """Whoever sets up the link anew with a known client address has proved nothing."""
    joined = hdlc_pair(Mechanism.LOW)
    joined.answer(Open())
    assert joined.server.state(SERVER, CLIENT) is ServerState.OPEN
    if end == "SNRM":
        joined.server.receive_data(snrm())
    elif end == "DISC":
        joined.server.receive_data(joined.ours.disconnect())
    else:
        joined.theirs.timeout()
    event = joined.server.next_event()
    assert isinstance(event, AssociationReleased)
    assert joined.server.next_event() is None
    assert joined.server.state(SERVER, CLIENT) is ServerState.UNASSOCIATED
    intruder = HdlcClientFraming(CLIENT, ADDRESS)
    joined.server.data_to_send()
    joined.server.receive_data(intruder.encode(CLIENT, SERVER, b"?"))
    joined.server.next_event()
    intruder.receive_data(joined.server.data_to_send())
    intruder.next_pdu()
    joined.server.receive_data(intruder.encode(CLIENT, SERVER, bytes.fromhex("C001C1000100002A0000FF0200")))
    assert isinstance(joined.server.next_event(), Discarded)


def test_a_late_answer_to_a_link_that_is_gone_is_dropped() -> None:
    framing = HdlcServerFraming([SERVER])
    assert framing.encode(SERVER, CLIENT, b"late") == b""
    joined = hdlc_pair()
    joined.answer(Open())
    joined.server.receive_data(joined.client.send(Get(NAME)))
    asked = joined.server.next_event()
    requested(asked, Service.GET)
    joined.server.receive_data(snrm())
    assert isinstance(joined.server.next_event(), AssociationReleased)
    with pytest.raises(LocalError):
        joined.server.send(Answer(asked.key, (data.null(),)))


def test_a_link_without_association_ends_without_a_word() -> None:
    joined = hdlc_pair()
    joined.server.receive_data(snrm() + snrm() + snrm(client=99))
    assert joined.server.next_event() is None


def test_a_client_that_gives_up_closes_its_connection() -> None:
    joined = hdlc_pair(max_retries=1)
    joined.client.send(Open())
    assert joined.ours.timeout()
    assert joined.ours.timeout() == b""
    with pytest.raises(ProtocolError, match="no answer after 1"):
        joined.client.next_event()
    assert joined.client.closed


def test_a_meter_that_has_restarted_is_noticed() -> None:
    joined = hdlc_pair()
    joined.answer(Open())
    joined.theirs._links.clear()
    with pytest.raises(ProtocolError, match="no link"):
        joined.ask(Get(NAME))
    assert joined.client.closed


# --- many clients, many devices, one line


def test_several_clients_on_one_line() -> None:
    joined = hdlc_pair(Mechanism.LOW)
    public = HdlcClientFraming(OTHER_CLIENT, ADDRESS)
    other = HdlcPair(
        ClientConnection(in_memory.settings(client_wport=OTHER_CLIENT), framing=public),
        joined.server,
        ours=public,
        theirs=joined.theirs,
    )
    assert isinstance(joined.answer(Open()), Opened)
    assert isinstance(other.answer(Open()), Opened)
    for _ in range(3):
        assert isinstance(joined.answer(Get(NAME)), GetResult)
        assert isinstance(other.answer(Get(NAME)), GetResult)
    assert isinstance(other.answer(Release()), Released)
    other.carry(public.disconnect())
    assert public.disconnected
    assert isinstance(joined.answer(Get(NAME)), GetResult)
    opened = [event for event in joined.seen + other.seen if isinstance(event, AssociationOpened)]
    assert len(opened) == 2


def test_a_client_that_nobody_knows_gets_a_link_and_no_association() -> None:
    joined = hdlc_pair()
    framing = HdlcClientFraming(99, ADDRESS)
    stranger = HdlcPair(
        ClientConnection(in_memory.settings(client_wport=99), framing=framing), joined.server, ours=framing
    )
    assert isinstance(stranger.answer(Open()), OpenRefused)
    assert isinstance(stranger.seen[-1], AssociationRefused)


@pytest.mark.parametrize("address", [HdlcAddress(99), HdlcAddress(SERVER, 6), HdlcAddress(127), HdlcAddress(127, 127)])
def test_frames_for_other_stations_get_no_answer(address: HdlcAddress) -> None:
    joined = hdlc_pair()
    joined.server.receive_data(snrm(server=address))
    assert joined.server.next_event() is None
    assert joined.server.data_to_send() == b""
    assert joined.theirs.discarded == 1


def test_any_physical_device_when_none_is_named() -> None:
    framing = HdlcServerFraming([SERVER])
    framing.receive_data(snrm(server=HdlcAddress(SERVER, 77)))
    assert framing.next_pdu() is None
    assert [frame.kind for frame in frames_of(framing.data_to_send())] == [FrameKind.UA]


def test_a_broadcast_reaches_every_logical_device() -> None:
    framing = HdlcServerFraming([1, SERVER], PHYSICAL)
    client = HdlcClientFraming(CLIENT, ADDRESS)
    framing.receive_data(client.link.send_unnumbered(b"all", HdlcAddress(127, 0x3FFF)))
    assert list(iter(framing.next_pdu, None)) == [WrapperPdu(CLIENT, 1, b"all"), WrapperPdu(CLIENT, SERVER, b"all")]
    framing.receive_data(client.link.send_unnumbered(b"one"))
    assert framing.next_pdu() == WrapperPdu(CLIENT, SERVER, b"one")
    framing.receive_data(client.link.send_unnumbered(b"none", HdlcAddress(99)))
    assert framing.next_pdu() is None


def test_an_unnumbered_request_is_no_way_around_an_association() -> None:
    joined = hdlc_pair()
    octets = joined.ours.link.send_unnumbered(bytes.fromhex("C001C1000100002A0000FF0200"))
    joined.server.receive_data(octets)
    assert isinstance(joined.server.next_event(), Discarded)
    assert joined.server.data_to_send() == b""


def test_links_are_counted() -> None:
    framing = HdlcServerFraming([SERVER], max_links=3)
    for client in range(1, 11):
        framing.receive_data(snrm(client=client))
    assert framing.next_pdu() is None
    assert len(frames_of(framing.data_to_send())) == 3
    assert framing.discarded == 7
    framing.receive_data(encode(Frame(ADDRESS, HdlcAddress(1), control_of(FrameKind.DISC))) + snrm(client=10))
    assert framing.next_pdu() == LinkLost(1, SERVER, "the client asked for it")
    assert framing.next_pdu() is None
    assert [frame.kind for frame in frames_of(framing.data_to_send())] == [FrameKind.UA, FrameKind.UA]
    framing.receive_data(encode(Frame(ADDRESS, HdlcAddress(77), control_of(FrameKind.RR))))
    assert framing.next_pdu() is None
    assert [frame.kind for frame in frames_of(framing.data_to_send())] == [FrameKind.DM]
    assert len(framing._links) == 3


def test_frames_leave_in_the_order_in_which_they_were_made() -> None:
    """An older frame behind a newer one would carry an older acknowledgement, which no client can take."""
    framing = HdlcServerFraming([SERVER])
    client = HdlcClientFraming(CLIENT, ADDRESS)
    framing.receive_data(client.encode(CLIENT, SERVER, b"ask"))
    assert framing.next_pdu() is None
    octets = framing.encode(SERVER, CLIENT, b"answer") + framing.push(WrapperPdu(SERVER, CLIENT, b"push"))
    assert [frame.kind for frame in frames_of(octets)] == [FrameKind.UA, FrameKind.UI]
    assert framing.data_to_send() == b""


def test_responses_are_no_commands() -> None:
    framing = HdlcServerFraming([SERVER])
    framing.receive_data(snrm() + encode(Frame(ADDRESS, HdlcAddress(CLIENT), control_of(FrameKind.UA))))
    assert framing.next_pdu() is None
    assert framing.discarded == 1
    assert len(frames_of(framing.data_to_send())) == 1


def test_a_framing_belongs_to_its_two_ends() -> None:
    framing = HdlcClientFraming(CLIENT, ADDRESS)
    with pytest.raises(LocalError, match="client 1 and server 17"):
        framing.encode(CLIENT, 18, b"apdu")


def test_a_fault_of_the_server_over_hdlc() -> None:
    joined = hdlc_pair()
    assert isinstance(joined.answer(Open()), Opened)
    joined.server.receive_data(snrm())
    while joined.server.next_event() is not None:
        pass
    joined.server.data_to_send()
    joined.ours.link.disconnect()
    joined.ours.receive_data(encode(Frame(HdlcAddress(CLIENT), ADDRESS, control_of(FrameKind.UA))))
    assert joined.client.next_event() is None
    assert isinstance(joined.answer(Get(NAME)), PeerFault)


@bounded(max_examples=examples(200), deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=40), st.tuples(st.integers(0, 255), st.binary(max_size=60))), max_size=20))
def test_a_server_bears_anything(stream: list[bytes | tuple[int, bytes]]) -> None:
    joined = hdlc_pair()
    joined.answer(Open())
    for part in stream:
        frame = part if isinstance(part, bytes) else encode(Frame(ADDRESS, HdlcAddress(CLIENT), *part))
        joined.server.receive_data(frame)
        joined.theirs.silence()
        while joined.server.next_event() is not None:
            pass
        joined.server.data_to_send()
    assert not joined.server.closed
