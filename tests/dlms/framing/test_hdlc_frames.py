"""HDLC frames: published and foreign ones both ways, check sequences by a second method, addresses, finding back after garbage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sizes import examples

from ami_dlms import apdu
from ami_dlms.apdu.ciphered import GeneralGloCiphering
from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.framing.framing import WrapperPdu
from ami_dlms.framing.hdlc import (
    MAX_LENGTH,
    Frame,
    FrameKind,
    FrameReader,
    check_sequence,
    control_of,
    decode,
    encode,
)
from ami_dlms.framing.hdlc_address import HdlcAddress, decode_address
from ami_dlms.framing.hdlc_framing import HdlcPushReader
from ami_dlms.framing.hdlc_parameters import LinkParameters, decode_parameters
from ami_dlms.security import GlobalKeys, unprotect

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "hdlc.json").read_text())
FRAMES: dict[str, dict[str, Any]] = {row["id"]: row for row in VECTORS["frames"]}
HEX = {name: bytes.fromhex(row["hex"]) for name, row in FRAMES.items()}

CLIENT, SERVER, WIDE = HdlcAddress(32), HdlcAddress(1), HdlcAddress(1, 17, wide=True)
DEFAULTS = LinkParameters()
PARAMETERS = bytes.fromhex("818012050180060180070400000001080400000001")
MEANINGS = {
    "snrm_short": Frame(SERVER, CLIENT, 0x93),
    "snrm_parameters": Frame(SERVER, CLIENT, 0x93, PARAMETERS),
    "disc": Frame(SERVER, CLIENT, 0x53),
    "ua_parameters": Frame(HdlcAddress(1), SERVER, 0x73, PARAMETERS),
    "ua_wide": Frame(HdlcAddress(1), HdlcAddress(1, 5185), 0x73, PARAMETERS),
    "dm_two_octets": Frame(HdlcAddress(16), HdlcAddress(0, 32), 0x1F),
    "snrm_green_book_address": Frame(HdlcAddress(0x1234, 0x3FFF), HdlcAddress(0x3A), 0x93),
    "i_get": Frame(SERVER, CLIENT, 0x32, bytes.fromhex("E6E600C001810001000060010 0FF0200".replace(" ", ""))),
    "i_get_response": Frame(HdlcAddress(18), SERVER, 0x52, bytes.fromhex("E6E700C401C900090600002A0000FF")),
}
KINDS = {
    "push_ui_kamstrup": FrameKind.UI,
    "snrm_wide_window_7": FrameKind.SNRM,
    "ua_wide": FrameKind.UA,
    "disc": FrameKind.DISC,
    "dm_two_octets": FrameKind.DM,
    "i_aarq": FrameKind.I,
}
PROPOSED = {
    "snrm_short": DEFAULTS,
    "snrm_parameters": DEFAULTS,
    "snrm_two_octet_values": DEFAULTS,
    "snrm_wide_window_7": LinkParameters(window_receive=7),
    "snrm_wide_window_3": LinkParameters(window_receive=3),
    "snrm_2030": LinkParameters(2030, 2030),
    "snrm_2048": LinkParameters(2030, 2030, 7, 7),
    "snrm_mixed": LinkParameters(128, 512),
}

addresses = st.one_of(
    st.builds(HdlcAddress, st.integers(0, 127)),
    st.builds(HdlcAddress, st.integers(0, 0x3FFF), st.integers(0, 0x3FFF)),
    st.builds(HdlcAddress, st.integers(0, 127), st.integers(0, 127), st.just(True)),
)
frames = st.builds(Frame, addresses, addresses, st.integers(0, 255), st.binary(max_size=300), st.booleans())


def bit_by_bit(octets: bytes) -> bytes:
    """CRC-16/X.25 as its definition says, without any table."""
    register = 0xFFFF
    for octet in octets:
        register ^= octet
        for _ in range(8):
            register = register >> 1 ^ 0x8408 if register & 1 else register >> 1
    return (register ^ 0xFFFF).to_bytes(2, "little")


def drain(reader: FrameReader) -> list[Frame]:
    return list(iter(reader.next_frame, None))


# --- check sequence


def test_the_check_value_of_the_crc() -> None:
    assert check_sequence(b"123456789") == bytes.fromhex("6E90")
    assert bit_by_bit(b"123456789") == bytes.fromhex("6E90")


@given(st.binary(max_size=200))
def test_the_crc_as_its_definition_says(octets: bytes) -> None:
    assert check_sequence(octets) == bit_by_bit(octets)
    assert check_sequence(bytearray(octets)) == bit_by_bit(octets)


# --- frames of others


@pytest.mark.parametrize("name", sorted(HEX))
def test_frames_of_others_both_ways(name: str) -> None:
    octets = HEX[name]
    frame = decode(octets)
    assert encode(frame) == octets
    for length in range(len(octets)):
        with pytest.raises(DecodeError):
            decode(octets[:length])
    for extra in (b"\x00", b"\x7e"):
        with pytest.raises(DecodeError):
            decode(octets + extra)


@pytest.mark.parametrize("name", sorted(MEANINGS))
def test_meaning(name: str) -> None:
    assert decode(HEX[name]) == MEANINGS[name]


@pytest.mark.parametrize("name", sorted(KINDS))
def test_kind(name: str) -> None:
    assert decode(HEX[name]).kind is KINDS[name]


@pytest.mark.parametrize("name", sorted(PROPOSED))
def test_proposed_parameters(name: str) -> None:
    assert decode_parameters(decode(HEX[name]).information) == PROPOSED[name]


@pytest.mark.parametrize("row", VECTORS["refused"], ids=lambda row: row["id"])
def test_mistyped_frames_are_refused(row: dict[str, str]) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(bytes.fromhex(row["hex"]))
    assert caught.value.field == row["field"]


@pytest.mark.parametrize("portion", [1, 7, 1000])
def test_a_push_capture_whole(portion: int) -> None:
    """The frame, its APDU, and what is ciphered in it."""
    row, reader = FRAMES["push_ui_kamstrup"], HdlcPushReader()
    octets, found = bytes.fromhex(row["hex"]), []
    for start in range(0, len(octets), portion):
        reader.receive_data(octets[start : start + portion])
        found += list(iter(reader.next_pdu, None))
    (pdu,) = found
    assert (pdu.source, pdu.destination) == (1, 32)
    message = apdu.decode(pdu.apdu)
    assert isinstance(message, GeneralGloCiphering)
    keys = GlobalKeys(bytes.fromhex(row["keys"]["ek"]), bytes.fromhex(row["keys"]["ak"]))
    opened = unprotect(keys, message.system_title, message.content)
    assert opened.plaintext == bytes.fromhex(row["expected_plaintext"])


def test_information_is_not_shown() -> None:
    assert "secret" not in repr(Frame(SERVER, CLIENT, 0x10, b"secret"))


# --- our own


@settings(max_examples=examples(200), deadline=None)
@given(frames)
def test_round_trip(frame: Frame) -> None:
    octets = encode(frame)
    assert decode(octets) == frame
    assert octets[-3:-1] == bit_by_bit(octets[1:-3])


@pytest.mark.parametrize("kind", [kind for kind in FrameKind if kind is not FrameKind.UNDEFINED])
@pytest.mark.parametrize("final", [True, False])
def test_control_fields(kind: FrameKind, final: bool) -> None:
    numbered = kind in (FrameKind.I, FrameKind.RR, FrameKind.RNR)
    control = control_of(kind, final, 5 if numbered else 0, 3 if kind is FrameKind.I else 0)
    frame = Frame(SERVER, CLIENT, control)
    assert (frame.kind, frame.final) == (kind, final)
    if numbered:
        assert frame.receive_number == 5
    if kind is FrameKind.I:
        assert frame.send_number == 3


def test_control_fields_of_the_standard() -> None:
    assert [control_of(kind) for kind in (FrameKind.SNRM, FrameKind.DISC, FrameKind.UA, FrameKind.DM)] == [
        0x93,
        0x53,
        0x73,
        0x1F,
    ]
    assert [control_of(kind) for kind in (FrameKind.FRMR, FrameKind.UI, FrameKind.RR, FrameKind.RNR)] == [
        0x97,
        0x13,
        0x11,
        0x15,
    ]


def test_every_control_octet_has_a_kind() -> None:
    kinds = [Frame(SERVER, CLIENT, control).kind for control in range(256)]
    assert kinds.count(FrameKind.I) == 128
    assert kinds.count(FrameKind.RR) == kinds.count(FrameKind.RNR) == 16
    assert all(kinds.count(kind) == 2 for kind in (FrameKind.SNRM, FrameKind.UA, FrameKind.UI, FrameKind.FRMR))
    assert kinds[0x09] is kinds[0x0D] is FrameKind.UNDEFINED, "REJ and SREJ are not used"


def test_the_longest_frame() -> None:
    room = MAX_LENGTH - 2 - 1 - 1 - 1 - 2 - 2
    longest = Frame(SERVER, CLIENT, 0x10, bytes(room))
    assert decode(encode(longest)) == longest
    with pytest.raises(LocalError):
        encode(Frame(SERVER, CLIENT, 0x10, bytes(room + 1)))


@pytest.mark.parametrize(
    ("octets", "field"),
    [
        ("A007 0341 93 5A64 7E", "opening flag"),
        ("7E B007 0341 93 5A64 7E", "format"),
        ("7E A006 0341 93 5A64", "format"),
        ("7E A00A 0202 0341 93 D8F8 7E7E", "address"),
        ("7E A00C 0202020202 41 93 D8F8 7E 7E7E", "address"),
        ("7E A007 0341 93 5A65 7E", "FCS"),
        ("7E A007 0341 93 5A64 7F", "closing flag"),
        ("7E A008 0341 93 5A64 00 7E", "format"),
        ("7E A009 0341 93 5A64 0000 7E", "format"),
    ],
)
def test_what_is_wrong_is_named(octets: str, field: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(bytes.fromhex(octets))
    assert caught.value.field == field


# --- addresses


@pytest.mark.parametrize(
    ("address", "octets"),
    [
        (HdlcAddress(16), "21"),
        (HdlcAddress(127), "FF"),
        (HdlcAddress(1, 16), "0221"),
        (HdlcAddress(1, 17, wide=True), "00020023"),
        (HdlcAddress(0x1234, 0x3FFF), "4868FEFF"),
        (HdlcAddress(1, 5185), "00025083"),
    ],
)
def test_addresses(address: HdlcAddress, octets: str) -> None:
    assert address.encode().hex().upper() == octets
    assert decode_address(bytes.fromhex(octets)) == address
    assert address.size == len(octets) // 2


@given(addresses)
def test_addresses_both_ways(address: HdlcAddress) -> None:
    back = decode_address(address.encode())
    assert back.is_same_station(address)
    assert back.encode() == address.encode()


@pytest.mark.parametrize("given_", [(128,), (-1,), (1, 0x4000), (0x4000, 1), (1, None, True)])
def test_what_is_no_address(given_: tuple[Any, ...]) -> None:
    with pytest.raises(LocalError):
        HdlcAddress(*given_)


@pytest.mark.parametrize("octets", ["", "02", "020203", "0202020203", "0303"])
def test_octets_that_are_no_address(octets: str) -> None:
    with pytest.raises(DecodeError):
        decode_address(bytes.fromhex(octets))


# --- parameters


@pytest.mark.parametrize(
    ("octets", "parameters"),
    [
        ("", DEFAULTS),
        ("818000", DEFAULTS),
        ("818003 070103", LinkParameters(window_transmit=3)),
        ("818004 08020005", LinkParameters(window_receive=5)),
        ("818006 050400000200", LinkParameters(max_information_transmit=512)),
        ("818006 0502FFFF 0701", None),
        ("818007 0502FFFF 070109", LinkParameters(max_information_transmit=2030, window_transmit=7)),
        ("818006 990100 070102", LinkParameters(window_transmit=2)),
        ("818003 070102 F00101", LinkParameters(window_transmit=2)),
        ("828000", None),
        ("818100", None),
        ("8180", None),
        ("818003 050110", None),
        ("818003 070100", None),
        ("818005 0503000080", None),
        ("818002 0500", None),
        ("818009 0501", None),
    ],
)
def test_parameters_are_read_leniently_and_safely(octets: str, parameters: LinkParameters | None) -> None:
    information = bytes.fromhex(octets)
    if parameters is None:
        with pytest.raises(DecodeError):
            decode_parameters(information)
    else:
        assert decode_parameters(information) == parameters


sizes = st.integers(32, 2030)
windows = st.integers(1, 7)
offers = st.builds(LinkParameters, sizes, sizes, windows, windows)


@given(offers, offers)
def test_both_ends_come_to_the_same(client: LinkParameters, server: LinkParameters) -> None:
    at_server = server.agree(decode_parameters(client.encode()))
    at_client = client.agree(decode_parameters(at_server.encode()))
    assert at_client.max_information_transmit == at_server.max_information_receive
    assert at_client.max_information_receive == at_server.max_information_transmit
    assert at_client.window_transmit == at_server.window_receive <= min(client.window_transmit, server.window_receive)
    assert at_client.window_receive == at_server.window_transmit <= min(client.window_receive, server.window_transmit)


@pytest.mark.parametrize("wrong", [(31,), (2031,), (128, 128, 0), (128, 128, 1, 8)])
def test_parameters_out_of_range(wrong: tuple[int, ...]) -> None:
    with pytest.raises(LocalError):
        LinkParameters(*wrong)


# --- a stream of frames

garbage = st.binary(max_size=40)


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(frames, max_size=5), st.data())
def test_any_cut_gives_the_same_frames(sent: list[Frame], draw: st.DataObject) -> None:
    stream = b"".join(encode(frame) for frame in sent)
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    reader, received = FrameReader(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        reader.receive_data(stream[start:end])
        received += drain(reader)
    assert received == sent
    assert reader.discarded == 0


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(st.tuples(garbage, frames), min_size=1, max_size=4), st.integers(1, 50))
def test_frames_are_found_between_garbage(parts: list[tuple[bytes, Frame]], portion: int) -> None:
    """Garbage may look like the beginning of a frame: then what it hides comes out once the line falls silent."""
    stream = b"".join(noise + encode(frame) for noise, frame in parts)
    reader, received = FrameReader(), []
    for start in range(0, len(stream), portion):
        reader.receive_data(stream[start : start + portion])
        received += drain(reader)
    reader.silence()
    received += drain(reader)
    assert received == [frame for _, frame in parts]


def test_one_flag_between_two_frames_is_enough() -> None:
    one, other = HEX["snrm_short"], HEX["disc"]
    reader = FrameReader()
    reader.receive_data(one + other[1:])
    assert [frame.kind for frame in drain(reader)] == [FrameKind.SNRM, FrameKind.DISC]
    reader.receive_data(b"\x7e\x7e\x7e" + one)
    assert [frame.kind for frame in drain(reader)] == [FrameKind.SNRM]


def test_flags_inside_the_information_are_data() -> None:
    inner = HEX["disc"]
    outer = Frame(SERVER, CLIENT, 0x10, b"\x7e" * 10 + inner + inner)
    reader = FrameReader()
    for octet in encode(outer):
        reader.receive_data(bytes((octet,)))
    assert drain(reader) == [outer], "a whole frame as data of another is not taken for one"


def test_octet_by_octet() -> None:
    reader, received = FrameReader(), []
    for octet in b"".join(HEX.values()):
        reader.receive_data(bytes((octet,)))
        received += drain(reader)
    assert received == [decode(octets) for octets in HEX.values()]


def test_a_frame_that_is_never_finished_does_not_hold_up_the_others() -> None:
    reader = FrameReader()
    reader.receive_data(HEX["i_aarq"][:20] + HEX["snrm_short"] + HEX["disc"])
    assert drain(reader) == []
    reader.silence()
    assert [frame.kind for frame in drain(reader)] == [FrameKind.SNRM, FrameKind.DISC]
    assert reader.discarded == 19


def test_a_wrong_header_is_given_up_at_once() -> None:
    reader = FrameReader()
    reader.receive_data(bytes.fromhex("7E A7FF 03 41 10 0000") + HEX["snrm_short"])
    assert [frame.kind for frame in drain(reader)] == [FrameKind.SNRM]


def test_garbage_is_not_kept() -> None:
    reader = FrameReader()
    for _ in range(100):
        reader.receive_data(bytes(1000))
        assert reader.next_frame() is None
    reader.receive_data(b"\x7e" * 100_000 + HEX["disc"])
    assert [frame.kind for frame in drain(reader)] == [FrameKind.DISC]
    assert reader.discarded == 100_000
    assert len(reader._buffer) == 1


@settings(max_examples=examples(300), deadline=None)
@given(st.sampled_from(sorted(HEX)), st.data())
def test_altered_frames_are_never_taken_for_good(name: str, draw: st.DataObject) -> None:
    octets = bytearray(HEX[name])
    octets[draw.draw(st.integers(0, len(octets) - 1))] ^= draw.draw(st.integers(1, 255))
    with pytest.raises(DecodeError):
        decode(bytes(octets))


@settings(max_examples=examples(300), deadline=None)
@given(st.binary(max_size=60))
def test_any_octets_decode_or_are_refused(octets: bytes) -> None:
    for candidate in (octets, b"\x7e" + octets, b"\x7e\xa0" + octets):
        try:
            assert encode(decode(candidate)) == candidate
        except DecodeError as error:
            assert str(error)


# --- pushes


def push(apdu_octets: bytes, length: int, source: HdlcAddress = SERVER) -> list[bytes]:
    octets = bytes.fromhex("E6E700") + apdu_octets
    parts = [octets[start : start + length] for start in range(0, len(octets), length)]
    return [encode(Frame(CLIENT, source, 0x13, part, part is not parts[-1])) for part in parts]


def test_segmented_pushes_of_two_meters_at_once() -> None:
    one, other = push(bytes(range(200)), 64), push(bytes(range(200, 0, -1)), 64, HdlcAddress(2))
    reader = HdlcPushReader()
    for pair in zip(one, other, strict=True):
        reader.receive_data(b"".join(pair))
    found = list(iter(reader.next_pdu, None))
    assert found == [WrapperPdu(1, 32, bytes(range(200))), WrapperPdu(2, 32, bytes(range(200, 0, -1)))]


def test_a_push_whose_end_was_lost_is_dropped_when_the_next_begins() -> None:
    reader = HdlcPushReader()
    reader.receive_data(b"".join(push(bytes(100), 40)[:-1] + push(b"next", 40)))
    assert reader.next_pdu() == WrapperPdu(1, 32, b"next")
    assert reader.next_pdu() is None


def test_what_is_no_push_is_passed_over() -> None:
    reader = HdlcPushReader(max_apdu=50)
    wrong = encode(Frame(CLIENT, SERVER, 0x13, b"\xe6\xe8\x00apdu"))
    empty = encode(Frame(CLIENT, SERVER, 0x13, bytes.fromhex("E6E700")))
    too_long = b"".join(push(bytes(60), 40))
    reader.receive_data(HEX["snrm_short"] + wrong + empty + too_long + push(b"good", 40)[0])
    assert reader.next_pdu() == WrapperPdu(1, 32, b"good")
    assert reader.discarded >= 3


def test_pushes_begun_by_many_are_bounded() -> None:
    reader = HdlcPushReader()
    for station in range(100):
        reader.receive_data(push(bytes(100), 40, HdlcAddress(station))[0])
    assert reader.next_pdu() is None
    assert len(reader._unnumbered._assemblers) <= 16
