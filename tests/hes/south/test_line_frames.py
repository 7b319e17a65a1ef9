"""Frames of HDLC in a trace: cut out of whatever came, all octets kept but for those that carry a secret in clear."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ami_dlms import data
from ami_dlms.association import ClientConnection, ClientSettings, Open
from ami_dlms.enums import Mechanism
from ami_dlms.explain import nodes
from ami_dlms.framing.hdlc_address import HdlcAddress
from ami_dlms.framing.hdlc_framing import HdlcClientFraming, HdlcServerFraming
from ami_dlms.framing.wrapper import HEADER_SIZE, WrapperPdu
from ami_hes.meters.recording import Recording
from ami_hes.traces.line_frames import FrameCutter
from ami_hes.traces.packing import Numbering, pack, unpack
from ami_trace.captured import captured
from ami_trace.explained import Frames
from ami_trace.form import Kind, Meters, Outcome, Span, Trace

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LONG = b"\xc4\x01\xc1\x00" + data.encode(data.octet_string(bytes(range(256)) * 2))
"""A response that takes several frames of 128 octets."""


def spoken(asked: bytes, answered: bytes) -> list[tuple[bool, bytes]]:
    """What goes over a line for one request, piece by piece, from the first frame of the link on."""
    client = HdlcClientFraming(1, HdlcAddress(1))
    server = HdlcServerFraming((1,))
    said = [(True, client.encode(1, 1, asked))]
    while said[-1][1]:
        sent, octets = said[-1]
        end = server if sent else client
        end.receive_data(octets)
        pdu = end.next_pdu()
        answer = server.encode(1, 1, answered) if sent and isinstance(pdu, WrapperPdu) else b""
        said.append((not sent, answer + end.data_to_send()))
    return said[:-1]


@given(st.sets(st.integers(1, 2000)), st.binary(max_size=5).filter(lambda noise: b"\x7e" not in noise))
def test_frames_are_the_same_however_they_came(cuts: set[int], noise: bytes) -> None:
    frames = [octets for sent, octets in spoken(b"\xc0\x01\xc1" + bytes(10), LONG) if not sent]
    stream = noise + b"".join(frames)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    cutter = FrameCutter()
    found = [frame for first, end in pairwise(places) for frame in cutter.take(stream[first:end])]
    assert b"".join(found) == stream and cutter.rest() == b""
    assert found[bool(noise) :] == frames and len(frames) > 4


def test_flags_that_fill_the_time_between_frames_are_one_piece() -> None:
    frame = spoken(b"\xc0\x01\xc1" + bytes(10), LONG)[0][1]
    fill = b"\x7e" * 100_000
    cutter = FrameCutter()
    assert cutter.take(frame) == [frame] and cutter.take(fill) == []
    assert cutter.take(frame[1:] + fill) == [fill[1:], frame] and cutter.rest() == fill


def test_frames_that_share_flags_are_one_piece_however_they_came() -> None:
    frame = spoken(b"\xc0\x01\xc1" + bytes(10), LONG)[0][1]
    shared = frame + frame[1:] * 3
    for size in range(1, len(shared)):
        cutter = FrameCutter()
        found = [one for first in range(0, len(shared), size) for one in cutter.take(shared[first : first + size])]
        assert b"".join(found) + cutter.rest() == shared
    assert FrameCutter().take(shared) == [shared]


def test_noise_that_is_too_long_for_a_trace_is_left_out_of_it_alone() -> None:
    recording = Recording(NOW, lambda: 0.0, 200_000)
    recording.end(recording.begin("connection", "to 127.0.0.1:1", "127.0.0.1:1", "hdlc"))
    recording.framed(b"\x00" * 70_000, False)
    [_, noise] = unpack(pack(recording), NOW, 1, "M1", Numbering()).spans
    assert noise.frame is not None and (noise.frame.octets, noise.frame.left_out) == ("", 70_000)


@given(st.binary(max_size=300), st.binary(max_size=50))
def test_no_octet_is_lost_whatever_comes(first: bytes, second: bytes) -> None:
    cutter = FrameCutter()
    assert b"".join((*cutter.take(first), *cutter.take(second), cutter.rest())) == first + second


def noted(asked: bytes, answered: bytes) -> list[Span]:
    ticks = iter(range(1_000_000))
    recording = Recording(NOW, lambda: next(ticks) / 1000, 100_000)
    recording.end(recording.begin(Kind.CONNECTION, "connecting", "10.0.0.5:4059", "hdlc"))
    recording.passed((1, 1, asked), True)
    for sent, octets in spoken(asked, answered):
        for part in (octets[:7], octets[7:]):
            recording.framed(part, sent)
    recording.passed((1, 1, answered), False)
    return unpack(pack(recording), NOW, 1, "M1001", Numbering(1)).spans


def test_segments_are_put_together_and_stand_behind_the_frame_that_completes_them() -> None:
    asked = bytes.fromhex("c001c1000100002a0000ff0200")
    spans = (Span(id=1, kind=Kind.REQUEST, name="get", began_at=NOW), *noted(asked, LONG))
    meters = Meters(asked=1, done=1, ok=1, recorded=1)
    trace = Trace(
        message_id="m-1",
        verb="get",
        noun="MeterReadings",
        outcome=Outcome.OK,
        began_at=NOW,
        meters=meters,
        clear_text=False,
        spans=spans,
    )
    reader = Frames()
    told = [reader.told(span, record) for span, record in trace.frames()]
    assert [text.partition(",")[0] for text, _ in told[:3]] == [
        "HDLC set normal response mode",
        "HDLC unnumbered acknowledge",
        "HDLC information",
    ]
    whole = [node.octets for _, tree in told if tree is not None for node in nodes(tree) if node.type == "apdu"]
    assert whole == [asked, LONG]
    capture = b"".join(captured(trace, "ami test"))
    assert LONG in capture and capture.count(b"put together from several messages") == 1


def test_frames_with_a_password_in_clear_are_left_out() -> None:
    settings = ClientSettings(client_wport=1, server_wport=1, mechanism=Mechanism.LOW, secret=b"swordfish")
    aarq = ClientConnection(settings).send(Open())[HEADER_SIZE:]
    spans = noted(aarq, bytes.fromhex("6103a1020000"))
    assert b"swordfish".hex() not in "".join(span.model_dump_json() for span in spans)
    frames = [span.frame for span in spans if span.frame is not None]
    assert [bool(one.left_out) for one in frames[:3]] == [False, False, True]


def test_what_came_beside_a_password_stays_left_out_when_its_frame_is_whole_later() -> None:
    ticks = iter(range(1_000_000))
    recording = Recording(NOW, lambda: next(ticks) / 1000, 100_000)
    recording.end(recording.begin(Kind.CONNECTION, "connecting", "10.0.0.5:4059", "hdlc"))
    said = [
        octets for sent, octets in spoken(b"\xc0\x01\xc1" + bytes(10), b"\xc4\x01\xc1\x00\x09\x09swordfish") if not sent
    ]
    *_, answer = said
    recording.carries = True
    recording.passed((1, 1, bytes.fromhex("c001c100")), True)
    recording.framed(answer[:-2], False)
    recording.carries = False
    recording.passed((1, 1, bytes.fromhex("c001c2000100002a0000ff0200")), True)
    recording.framed(answer[-2:], False)
    spans = unpack(pack(recording), NOW, 1, "M1001", Numbering(1)).spans
    assert b"swordfish" in answer and b"swordfish".hex() not in "".join(span.model_dump_json() for span in spans)
