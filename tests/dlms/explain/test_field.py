"""What meters in the field really send and lines really do: blocks without headers, M-Bus, noise, wrong bits, lists of objects."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_every_octet import check_cover

from ami_dlms import apdu, data
from ami_dlms.apdu.blocks import BlockControl, GeneralBlockTransfer
from ami_dlms.apdu.ciphered import GeneralGloCiphering, GeneralSigning
from ami_dlms.apdu.get import GetRequestNormal
from ami_dlms.apdu.notify import DataNotification
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.explain import (
    DecodingSession,
    Keyring,
    Node,
    document,
    explain,
    explain_data,
    is_sound,
    nodes,
    octets_of,
    part_of,
)
from ami_dlms.explain.damage import wrong_bit
from ami_dlms.explain.keyring import MOST_ROUTES, MOST_WAITING
from ami_dlms.framing import hdlc, mbus, wrapper
from ami_dlms.framing.hdlc import Frame, FrameKind, control_of
from ami_dlms.framing.hdlc_address import HdlcAddress
from ami_dlms.framing.mbus import MbusFrame
from ami_dlms.framing.wrapper import WrapperPdu
from ami_dlms.obis import Obis
from ami_dlms.security import GlobalKeys, protect

FIELD = Path(__file__).parents[2] / "vectors/field"
UNHURRIED = settings(deadline=None)
EK, AK, TITLE = bytes(range(16)), bytes(range(0xD0, 0xE0)), b"MTR\0\0\0\0\2"
GOOD = bytes.fromhex("7EA02A410883130413E6E7000F40000000000101020309060100010700FF060000017002020F00161B5DB77E")
LLC = bytes.fromhex("E6E700")
REQUEST = apdu.encode(GetRequestNormal(0xC1, AttributeDescriptor(8, Obis.parse("0-0:1.0.0*255"), 2)))
BLOCK = GeneralBlockTransfer(BlockControl(False, False, 0), 1, 0, b"x")
PUSH = apdu.encode(DataNotification(1, None, data.structure(data.long_unsigned(1))))


def read(octets: bytes, keyring: Keyring | None = None) -> list[Node]:
    trees = explain(octets, DecodingSession(keyring or Keyring()))
    assert b"".join(tree.octets for tree in trees) == octets
    for tree in trees:
        check_cover(tree)
    return trees


def field(name: str, keyring: Keyring | None = None) -> list[Node]:
    return read(bytes.fromhex((FIELD / f"{name}.hex").read_text()), keyring)


def frame(information: bytes, kind: FrameKind = FrameKind.UI) -> bytes:
    return hdlc.encode(Frame(HdlcAddress(32), HdlcAddress(4, 65), control_of(kind), information))


def named(trees: list[Node], name: str) -> list[Node]:
    return [node for tree in trees for node in nodes(tree) if node.name == name]


def back(trees: list[Node]) -> bytes:
    return b"".join(octets_of(part_of(document(tree))) for tree in trees)


def troubles(trees: list[Node]) -> str:
    return "\n".join(node.trouble for tree in trees for node in nodes(tree) if node.trouble)


class TestHeaders:
    def test_blocks_behind_one_llc_header(self) -> None:
        trees = field("gbt_over_hdlc_llc_only_once")
        assert all(map(is_sound, trees))
        (notification,) = named(trees, "data_notification")
        (body,) = [part for part in notification.parts if part.name == "body"]
        assert body.text == "structure of 28"
        texts = [part.text for part in body.parts]
        assert "octet-string 1-0:1.8.0*255, active energy import, time integral 1" in texts
        assert "double-long-unsigned 12937" in texts

    def test_only_a_later_block_goes_without_header(self) -> None:
        block = GeneralBlockTransfer(BlockControl(True, True, 0), 1, 0, PUSH)
        for octets in (apdu.encode(block), REQUEST):
            trees = read(frame(octets))
            assert not is_sound(trees[0])
            assert "the LLC header" in troubles(trees)

    def test_several_apdus_in_one_frame(self) -> None:
        trees = field("several_apdus_in_one_hdlc_frame")
        assert all(map(is_sound, trees))
        ids = [node.value.long_invoke_id_and_priority for node in named(trees, "data_notification")]
        assert ids == [589179, 589180, 589181]
        assert len(named(trees, "llc")) == 3

    @UNHURRIED
    @given(st.lists(st.sampled_from([PUSH, REQUEST]), min_size=1, max_size=20))
    def test_any_number_of_apdus(self, apdus: list[bytes]) -> None:
        octets = b"".join(LLC + one for one in apdus)
        for trees in (read(frame(octets)), read(octets)):
            assert all(map(is_sound, trees))
            assert [node.octets for node in named(trees, "data_notification") + named(trees, "get_request_normal")] == (
                sorted(apdus, key=[PUSH, REQUEST].index)
            )
        assert back(read(octets)) == octets

    def test_a_header_with_nothing_behind_it(self) -> None:
        trees = read(frame(LLC + PUSH + LLC))
        assert not is_sound(trees[0])
        assert len(named(trees, "data_notification")) == 1

    def test_an_llc_header_before_a_bare_apdu(self) -> None:
        (tree,) = read(bytes.fromhex("E6E7000F40000000000203" + "120001" * 3))
        assert is_sound(tree)
        assert [part.name for part in tree.parts] == ["llc", "data_notification"]
        (broken,) = read(LLC + PUSH[:-1])
        assert not is_sound(broken)
        assert named([broken], "data_notification")


class TestMbus:
    def test_segments_are_put_together_and_deciphered(self) -> None:
        trees = field("mbus_two_frames_ciphered", Keyring(EK))
        assert all(map(is_sound, trees))
        assert [tree.name for tree in trees] == ["mbus_frame", "mbus_frame"]
        assert [node.text for node in named(trees, "ci")] == ["segment 0, more follow", "segment 1, the last"]
        assert [node.text for node in named(trees, "dtsap")] == ["103", "103"]
        assert [node.text for node in named(trees, "check_sum")] == ["holds", "holds"]
        assert [node.text for node in named(trees, "system_title")] == ['"KFM" 0000000001']
        assert [node.text for node in named(trees, "body")] == ["structure of 28"]
        assert back(trees) == b"".join(tree.octets for tree in trees)

    def test_one_segment_shows_its_apdu_in_its_place(self) -> None:
        octets = b"".join(mbus.encode(one) for one in mbus.frames_of(PUSH, 1, 103))
        trees = read(octets)
        assert len(named(trees, "data_notification")) == 1
        assert back(trees) == octets

    def test_segments_whose_first_is_lost(self) -> None:
        frames = [mbus.encode(one) for one in mbus.frames_of(PUSH, 1, 103, length=8)]
        trees = read(b"".join(frames[1:]))
        assert "a segment before this one is missing" in troubles(trees)

    def test_a_wrong_sum_still_shows_what_can_be_read(self) -> None:
        octets = bytearray(mbus.encode(mbus.frames_of(PUSH, 1, 103)[0]))
        octets[-2] ^= 0x10
        (tree,) = read(bytes(octets))
        assert not is_sound(tree)
        assert "not verified" in tree.text
        said = f"does not hold: {octets[-2]:02X} found, {octets[-2] ^ 0x10:02X} computed"
        assert [node.text for node in named([tree], "check_sum")] == [said]
        assert named([tree], "data_notification")

    def test_what_is_not_verified_joins_no_segments(self) -> None:
        frames = [bytearray(mbus.encode(one)) for one in mbus.frames_of(PUSH, 1, 103, length=8)]
        frames[0][-2] ^= 1
        assert not named(read(b"".join(frames)), "data_notification")

    def test_what_is_no_dlms(self) -> None:
        for frame_ in (MbusFrame(0x08, 1, 0x72, bytes(20)), MbusFrame(0x40, 1), MbusFrame(0x53, 0xFE, 0x51, b"")):
            (tree,) = read(mbus.encode(frame_))
            assert is_sound(tree) and tree.name == "mbus_frame"
            assert back([tree]) == tree.octets

    def test_cut_short(self) -> None:
        octets = mbus.encode(MbusFrame(0x08, 1, 0x72, bytes(20)))
        (tree,) = read(octets[:-4])
        assert "29 octets of M-Bus frame wanted, 25 are there" in troubles([tree])

    def test_without_its_saps(self) -> None:
        (tree,) = read(mbus.encode(MbusFrame(0x53, 1, 0x10, b"\1")))
        assert "STSAP" in troubles([tree])

    def test_acknowledgements(self) -> None:
        short = mbus.encode(MbusFrame(0x40, 1))
        trees = read(short + b"\xe5" + short)
        assert [tree.name for tree in trees] == ["mbus_frame", "mbus_acknowledge", "mbus_frame"]
        assert all(map(is_sound, trees)) and back(trees) == short + b"\xe5" + short


class TestNoise:
    def test_another_frame_first(self) -> None:
        trees = field("mbus_short_frame_then_hdlc")
        assert [(tree.name, is_sound(tree)) for tree in trees] == [("mbus_frame", True), ("hdlc_frame", True)]
        assert trees[0].text == "short frame, SND-NKE, address 1"
        assert trees[1].text == "4/65 → 32, unnumbered information"

    def test_a_stream_that_begins_in_the_middle(self) -> None:
        trees = field("stream_begins_in_the_middle")
        assert [(tree.name, is_sound(tree)) for tree in trees] == [("noise", False), ("hdlc_frame", True)]
        assert trees[0].trouble == "14 octets that belong to no good frame"

    @pytest.mark.parametrize(
        "good",
        [GOOD, mbus.encode(mbus.frames_of(PUSH, 1, 103)[0]), wrapper.encode(WrapperPdu(1, 16, PUSH))],
        ids=["HDLC", "M-Bus", "wrapper"],
    )
    @UNHURRIED
    @given(st.binary(max_size=60), st.integers(1, 4))
    def test_good_frames_are_found_behind_anything(self, good: bytes, noise: bytes, count: int) -> None:
        """Unless the noise itself begins as something that is longer than it."""
        trees = read(b"\x99" + noise.translate(None, b"\x7e\x68\x10\x00") + good * count)
        assert [tree.octets for tree in trees if is_sound(tree)][-count:] == [good] * count

    def test_idle_flags(self) -> None:
        octets = GOOD + b"\x7e\x7e\x7e" + GOOD[1:] + b"\x7e\x7e"
        trees = read(octets)
        assert [tree.name for tree in trees if tree.name == "hdlc_frame"] == ["hdlc_frame"] * 2
        assert all(map(is_sound, trees))
        assert back(trees) == octets

    @pytest.mark.ci
    def test_a_flood_of_beginnings_costs_little(self) -> None:
        header = hdlc.encode(Frame(HdlcAddress(16), HdlcAddress(1), 0x13, bytes(2000)))[:8]
        for flood in (b"\x7e\xa7\xff", header, b"\x68\xff\xff\x68", b"\x00\x01\x00\x01\x00\x01\xff\xff\x0f", b"\x10@"):
            began = time.process_time()
            explain(b"\x99" + flood * (100_000 // len(flood)), DecodingSession())
            assert time.process_time() - began < 10


class TestDamage:
    def test_one_bit(self) -> None:
        (tree,) = field("hdlc_one_bit_wrong")
        assert not is_sound(tree)
        assert tree.text == "4/65 → 32, unnumbered information, not verified"
        assert "the check sequence 0BBF, got 5DB7" in tree.trouble
        assert "one wrong bit explains it: octet 0x0023 is 00 and was 02" in tree.trouble
        texts = {node.name: node.text for node in nodes(tree)}
        assert texts["header_check"] == "holds"
        assert texts["frame_check"] == "does not hold: 5DB7 found, 0BBF computed"
        assert named([tree], "data_notification")

    @UNHURRIED
    @given(st.binary(max_size=200), st.data())
    def test_any_one_bit_is_told(self, information: bytes, data_: st.DataObject) -> None:
        good = frame(LLC + PUSH + information)
        place, bit = data_.draw(st.integers(1, len(good) - 2)), data_.draw(st.integers(0, 7))
        bad = bytearray(good)
        bad[place] ^= 1 << bit
        assert wrong_bit(bytes(bad[1:-1])) == (place - 1, bit)
        assert wrong_bit(good[1:-1]) is None
        trees = read(bytes(bad))
        assert not all(map(is_sound, trees))
        if place > 2:  # with a wrong length the frame ends elsewhere
            assert f"octet 0x{place:04X} is {bad[place]:02X} and was {good[place]:02X}" in troubles(trees)

    def test_what_resembles_a_wrapper_pdu_inside_a_damaged_frame_is_its_information(self) -> None:
        bad = bytearray(frame(LLC + PUSH + bytes.fromhex("0110")))
        bad[3] ^= 1
        assert "octet 0x0003 is 40 and was 41" in troubles(read(bytes(bad)))
        assert not named(read(bytes(bad)), "wrapper")

    def test_translated_line_ends(self) -> None:
        good = frame(LLC + PUSH + bytes.fromhex("0A0D0A0A"))
        bad = good.replace(b"\n", b"\r\n")
        trees = read(bad)
        assert "0D 0A is where 0A was sent" in troubles(trees)
        assert named(trees, "data_notification")
        other = frame(LLC + PUSH + bytes.fromhex("0D33"))
        assert "is 0A and was 0D" in troubles(read(other.replace(b"\r", b"\n")))

    def test_octets_lost_and_octets_twice(self) -> None:
        assert "octet 0x000D is there twice" in troubles(read(GOOD[:13] + GOOD[12:]))
        assert "2 octets missing" in troubles(read(GOOD[:20] + GOOD[22:]))
        assert "3 octets too many" in troubles(read(GOOD[:20] + b"abc" + GOOD[20:]))
        assert "more than one bit is wrong" in troubles(read(GOOD[:20] + b"ab" + GOOD[22:]))

    @UNHURRIED
    @given(st.integers(1, len(GOOD) - 1))
    def test_cut_short_it_shows_what_is_there(self, length: int) -> None:
        trees = read(GOOD[:length])
        assert length == 1 or not is_sound(trees[0])
        if length >= 7:
            assert [node.text for node in named(trees, "source")] == ["4/65"]

    def test_what_is_not_verified_joins_no_segments(self) -> None:
        def segment(information: bytes, more: bool) -> bytes:
            return hdlc.encode(Frame(HdlcAddress(32), HdlcAddress(4, 65), 0x13, information, more))

        first, last = bytearray(segment(LLC + PUSH[:5], True)), segment(PUSH[5:], False)
        assert named(read(bytes(first) + last), "data_notification")
        first[-3] ^= 1
        assert not named(read(bytes(first) + last), "data_notification")


class TestHostile:
    """An enemy's APDUs reach `explain` where traffic is shown."""

    @pytest.mark.parametrize("kind", ["blocks", "signed", "ciphered"])
    def test_apdus_one_in_the_other_without_end(self, kind: str) -> None:
        octets = REQUEST
        for _ in range(2000):
            if kind == "blocks":
                octets = apdu.encode(GeneralBlockTransfer(BlockControl(True, False, 0), 1, 0, octets))
            elif kind == "signed":
                octets = apdu.encode(GeneralSigning(b"", b"", b"", b"", b"", octets, b""))
            else:
                octets = apdu.encode(GeneralGloCiphering(b"", bytes(5) + octets))
        (tree,) = explain(octets, DecodingSession())
        assert "APDUs one in the other" in troubles([tree])

    def test_what_waits_for_its_other_parts_is_bounded(self) -> None:
        session = DecodingSession()
        for number in range(2000):
            explain(hdlc.encode(Frame(HdlcAddress(1), HdlcAddress(number % 9999, 1), 0x10, PUSH, True)), session)
            explain(mbus.encode(MbusFrame(0x53, number % 256, 0x00, bytes((number % 256, 1)) + PUSH)), session)
            explain(wrapper.encode(WrapperPdu(number, 1, apdu.encode(BLOCK))), session)
        assert max(map(len, (session.segments, session.assemblers, session.blocks))) <= MOST_ROUTES

    def test_a_transfer_that_never_ends_is_forgotten(self) -> None:
        session = DecodingSession()
        for number in range(2, 400):
            block = GeneralBlockTransfer(BlockControl(False, False, 0), number, 0, bytes(0xFFF0))
            explain(apdu.encode(block), session)
            assert (
                sum(len(one) for blocks in session.blocks.values() for one in blocks.values()) < MOST_WAITING + 0x20000
            )

    def test_a_segment_that_begins_anew(self) -> None:
        def segment(number: int, information: bytes, more: bool) -> bytes:
            control = control_of(FrameKind.I, send_number=number)
            return hdlc.encode(Frame(HdlcAddress(32), HdlcAddress(4, 65), control, information, more))

        lost = segment(0, LLC + PUSH[:4], True)
        trees = read(
            lost + segment(2, LLC + PUSH, False) + segment(3, LLC + PUSH[:4], True) + segment(4, PUSH[4:], False)
        )
        assert all(map(is_sound, trees))
        assert len(named(trees, "data_notification")) == 2


class TestValues:
    def test_bare_data(self) -> None:
        (tree,) = field("bare_data")
        assert is_sound(tree)
        assert tree.text == "structure of 2"
        assert back([tree]) == tree.octets

    def test_what_begins_an_apdu_too_is_shown_as_both(self) -> None:
        (tree,) = field("bare_data_array")
        assert not is_sound(tree)
        assert tree.derived[0].how == "the same octets read as Data, no APDU"
        (value,) = explain_data(tree.octets)
        assert is_sound(value) and value.text == "array of 1"
        assert not is_sound(explain_data(tree.octets + b"\0")[0])

    def test_names_from_the_list_of_the_push(self) -> None:
        (tree,) = field("push_with_its_object_list")
        body = tree.part("body")
        assert body is not None
        assert [part.text for part in body.parts[-2:]] == [
            "double-long-unsigned 777: 1-0:1.7.0*255, active power import, instantaneous value",
            "double-long-unsigned 25149419: 1-1:1.8.0*255, active energy import, time integral 1, channel 1",
        ]

    def test_a_list_that_does_not_fit_names_nothing(self) -> None:
        item = data.structure(
            data.long_unsigned(3),
            data.octet_string(bytes.fromhex("0100010700FF")),
            data.integer(2),
            data.long_unsigned(0),
        )
        values = [data.long_unsigned(7)] * 2
        for count, named_ in ((1, 0), (2, 2), (3, 2), (4, 0)):
            body = data.structure(data.array(*[item] * count), *values)
            (tree,) = read(apdu.encode(DataNotification(1, None, body)))
            texts = [node.text for node in nodes(tree) if node.text.startswith("long-unsigned 7: ")]
            assert len(texts) == named_, count

    def test_descriptors_without_tags(self) -> None:
        (tree,) = field("untagged_descriptors_in_a_push")
        assert not is_sound(tree)
        said = "00 01 00 00 60 01 00 FF 02 reads as class 1, 0-0:96.1.0*255, attribute 2 without Data tags"
        assert said in troubles([tree])


class TestWhichKey:
    CIPHERED = apdu.encode(GeneralGloCiphering(TITLE, protect(0x30, GlobalKeys(EK, AK), TITLE, 7, REQUEST)))

    def how(self, keyring: Keyring) -> str:
        (tree,) = read(self.CIPHERED, keyring)
        (outcome,) = [one for node in nodes(tree) for one in node.derived]
        assert outcome.good is False and outcome.tree is None
        return outcome.how

    def test_the_authentication_key(self) -> None:
        how = self.how(Keyring(EK, EK))
        assert "the encryption key fits (it deciphers to a get-request-normal)" in how
        assert "the authentication key is another" in how

    def test_the_encryption_key(self) -> None:
        assert "so the encryption key or the system title is another" in self.how(Keyring(AK, AK))
