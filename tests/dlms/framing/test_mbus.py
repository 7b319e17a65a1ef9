"""Frames of wired M-Bus and the APDUs in their segments: vectors from the field, both ways, cut, damaged, in any order."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.framing import mbus
from ami_dlms.framing.mbus import MbusAssembler, MbusFrame, MbusSegment, decode, encode, frames_of, segment_of, size_of

FIELD = Path(__file__).parents[2] / "vectors/field"
RECORDED = [bytes.fromhex(line) for line in (FIELD / "mbus_two_frames_ciphered.hex").read_text().split()]
OCTET = st.integers(0, 0xFF)
LONG_FRAMES = st.builds(MbusFrame, OCTET, OCTET, OCTET, st.binary(max_size=252))
FRAMES = LONG_FRAMES | st.builds(MbusFrame, OCTET, OCTET)


def taken(segments: list[MbusSegment]) -> list[bytes]:
    assembler, found = MbusAssembler(), []
    for segment in segments:
        if (whole := assembler.take(segment)) is not None:
            found.append(whole)
    return found


def segments_of(apdu: bytes, length: int = 0xFF) -> list[MbusSegment]:
    found = [segment_of(decode(encode(frame))) for frame in frames_of(apdu, 1, 103, length=length)]
    return [segment for segment in found if segment is not None]


def test_frames_from_the_field() -> None:
    frames = [decode(octets) for octets in RECORDED]
    assert [encode(frame) for frame in frames] == RECORDED
    assert [(frame.control, frame.address, frame.ci) for frame in frames] == [(0x53, 0xFF, 0x00), (0x53, 0xFF, 0x11)]
    segments = [segment_of(frame) for frame in frames]
    assert [(one.number, one.last, one.source, one.destination) for one in segments if one] == [
        (0, False, 1, 103),
        (1, True, 1, 103),
    ]
    (apdu,) = taken([one for one in segments if one])
    assert (apdu[0], len(apdu)) == (0xDB, 220)
    assert [encode(frame) for frame in frames_of(apdu, 1, 103, length=0x9B)] == RECORDED


def test_a_short_frame() -> None:
    assert decode(bytes.fromhex("1040014116")) == MbusFrame(0x40, 1)
    assert segment_of(MbusFrame(0x40, 1)) is None
    with pytest.raises(LocalError, match="no data"):
        encode(MbusFrame(0x40, 1, None, b"x"))


@given(FRAMES)
def test_any_frame_and_back(frame: MbusFrame) -> None:
    octets = encode(frame)
    assert decode(octets) == frame
    assert size_of(octets) == size_of(octets + b"more") == len(octets)
    for length in range(len(octets)):
        with pytest.raises(DecodeError):
            decode(octets[:length])
    with pytest.raises(DecodeError, match="more octets"):
        decode(octets + b"\0")


@given(LONG_FRAMES, st.data())
def test_one_octet_that_is_another_is_seen(frame: MbusFrame, data: st.DataObject) -> None:
    octets = bytearray(encode(frame))
    octets[data.draw(st.integers(0, len(octets) - 1))] ^= data.draw(st.integers(1, 0xFF))
    with pytest.raises(DecodeError):
        decode(bytes(octets))


def test_the_error_names_both_sums() -> None:
    wrong = RECORDED[1][:-2] + b"\x00\x16"
    with pytest.raises(DecodeError, match=f"the check sum {RECORDED[1][-2]:02X}, got 00"):
        decode(wrong)


@given(st.binary(min_size=1, max_size=5000), st.integers(6, 0xFF))
def test_any_apdu_in_frames_and_back(apdu: bytes, length: int) -> None:
    """More than 16 segments too: their numbers go round."""
    segments = segments_of(apdu, length)
    assert taken(segments) == [apdu]
    assert taken([one for segment in segments for one in (segment, segment)][:-1]) == [apdu]
    assert [segment.last for segment in segments] == [False] * (len(segments) - 1) + [True]


@given(st.binary(min_size=600, max_size=3000), st.data())
def test_a_segment_that_is_missing(apdu: bytes, data: st.DataObject) -> None:
    segments = segments_of(apdu)
    missing = data.draw(st.integers(0, len(segments) - 2))
    with pytest.raises(DecodeError, match=f"segment {missing}"):
        taken(segments[:missing] + segments[missing + 1 :])
    assert taken(segments[:missing] + segments) == [apdu] or missing == 0


def test_an_apdu_that_never_ends_is_refused() -> None:
    assembler = MbusAssembler()
    with pytest.raises(DecodeError):
        for number in range(1000):
            assembler.take(MbusSegment(number & 15, False, 1, 2, bytes(250)))
    assert assembler.count == 0


@pytest.mark.parametrize(("octets", "length"), [(b"", 0xFF), (b"x", 5), (b"x", 256), (bytes(0x10000), 0xFF)])
def test_what_does_not_go_into_frames(octets: bytes, length: int) -> None:
    with pytest.raises(LocalError):
        frames_of(octets, 1, 2, length=length)


def test_a_frame_that_carries_something_else() -> None:
    assert segment_of(MbusFrame(0x08, 1, 0x72, bytes(20))) is None
    with pytest.raises(DecodeError, match="STSAP"):
        segment_of(MbusFrame(0x53, 1, 0x10, b"\1"))
    assert "3 octets" in repr(MbusSegment(0, True, 1, 2, b"abc"))


@given(st.binary(max_size=40))
def test_any_octets(octets: bytes) -> None:
    size = size_of(octets)
    try:
        frame = decode(octets)
    except DecodeError:
        return
    assert size == len(octets) and encode(frame) == octets
    assert octets[0] in (mbus.LONG, mbus.SHORT)
