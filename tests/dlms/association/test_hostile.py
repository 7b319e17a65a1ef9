"""Random and altered octets into both ends: only our own errors come out of a client, nothing at all out of a server."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from in_memory import CLOCK, DISCONNECT, LONG, NAME, Pair, from_client, from_server, opened, pair, receive_counter
from sizes import examples

from ami_dlms import data
from ami_dlms.association import (
    Action,
    ClientState,
    Get,
    GetResult,
    Open,
    Release,
    ServerState,
    Set,
)
from ami_dlms.enums import DataAccessResult, Mechanism
from ami_dlms.errors import DlmsError

KINDS: list[dict] = [
    {},
    {"mechanism": Mechanism.LOW},
    {"mechanism": Mechanism.GMAC, "policy": (False, False)},
    {"mechanism": Mechanism.GMAC, "policy": (True, True)},
    {"policy": (True, False)},
    {"policy": (False, True)},
]
kinds = st.sampled_from(KINDS)
cuts = st.integers(1, 40)


def recorded(kind: dict) -> Pair:
    joined = pair(**kind, client={"max_receive_pdu_size": 128})
    for request in (Open(), Get(NAME), Get(LONG), Set(CLOCK, data.null()), Action(DISCONNECT), Release()):
        joined.ask(request)
    return joined


RECORDED = [recorded(kind) for kind in KINDS]


def drain_client(joined: Pair) -> None:
    try:
        while joined.client.next_event() is not None:
            pass
    except DlmsError:
        assert joined.client.state is ClientState.CLOSED
        assert joined.client.next_event() is None
    joined.client.data_to_send()


def drain_server(joined: Pair) -> None:
    while (event := joined.server.next_event()) is not None:
        joined._serve(event)
    joined.server.data_to_send()


@given(kind=kinds, octets=st.binary(max_size=200), framed=st.booleans())
@settings(max_examples=examples(200), deadline=None)
def test_random_octets(kind: dict, octets: bytes, framed: bool) -> None:
    for joined in (pair(**kind), opened(**kind)):
        joined.server.receive_data(from_client(octets) if framed and octets else octets)
        drain_server(joined)
        if joined.client.state is ClientState.IDLE:
            joined.client.send(Open())
        else:
            joined.client.send(Get(NAME))
        joined.client.receive_data(from_server(octets) if framed and octets else octets)
        drain_client(joined)


@given(
    which=st.integers(0, len(KINDS) - 1),
    step=st.integers(0, 60),
    change=st.tuples(st.integers(8, 400), st.integers(1, 255)),
    portion=cuts,
)
@settings(max_examples=examples(400), deadline=None)
def test_altered_frames_of_a_true_session(which: int, step: int, change: tuple[int, int], portion: int) -> None:
    """A session runs up to a frame; that frame is altered in one octet and given to whom it was meant for."""
    source = RECORDED[which]
    step %= len(source.wire)
    joined = pair(**KINDS[which], client={"max_receive_pdu_size": 128}, portion=portion)
    requests = iter((Open(), Get(NAME), Get(LONG), Set(CLOCK, data.null()), Action(DISCONNECT), Release()))
    octets = joined.client.send(next(requests))
    for _ in range(step):
        towards = joined.to_client if len(joined.wire) % 2 else joined.to_server
        octets = towards(octets) or joined.client.send(next(requests))
    altered = bytearray(octets)
    altered[8 + (change[0] - 8) % (len(octets) - 8)] ^= change[1]
    before = receive_counter(joined).lowest_acceptable
    if step % 2:
        joined.client.receive_data(bytes(altered))
        drain_client(joined)
        return
    joined.seen.clear()
    joined.server.receive_data(bytes(altered))
    drain_server(joined)
    if KINDS[which].get("policy") == (True, True) and altered[8] != 0x60 and octets[8] == 0xDB:
        assert receive_counter(joined).lowest_acceptable == before
        assert {type(event).__name__ for event in joined.seen} == {"Discarded"}


@given(kind=kinds, octets=st.binary(min_size=1, max_size=60))
@settings(max_examples=examples(100), deadline=None)
def test_a_server_serves_on_after_rubbish(kind: dict, octets: bytes) -> None:
    joined = opened(**kind)
    if octets[0] in (0x60, 0x62):
        return  # an AARQ or RLRQ may rightly change the association
    joined.server.receive_data(from_client(octets))
    drain_server(joined)
    assert joined.server.state(17, 1) is ServerState.OPEN
    assert joined.ask(Get(NAME)) == [GetResult(joined.values[NAME], DataAccessResult.SUCCESS)]


@given(kind=kinds, portion=cuts)
@settings(max_examples=examples(60), deadline=None)
def test_any_portions(kind: dict, portion: int) -> None:
    joined = pair(**kind, portion=portion)
    joined.ask(Open())
    assert joined.ask(Get(LONG)) == [GetResult(joined.values[LONG], DataAccessResult.SUCCESS)]
