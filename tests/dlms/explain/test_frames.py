"""Frames and what is inside them: recognised, in a row, cut short, of many blocks and segments, with keys and without."""

from __future__ import annotations

import pytest
from test_every_octet import check_cover

from ami_dlms import apdu, data
from ami_dlms.apdu.acse import Aarq
from ami_dlms.apdu.action import ActionResponseWithBlock
from ami_dlms.apdu.blocks import BlockControl, GeneralBlockTransfer
from ami_dlms.apdu.ciphered import (
    GeneralCiphering,
    GeneralDedCiphering,
    GeneralGloCiphering,
    GeneralSigning,
    ServiceCiphering,
)
from ami_dlms.apdu.fields import ActionResponse, Block
from ami_dlms.apdu.get import GetRequestNormal, GetResponseNormal, GetResponseWithDataBlock
from ami_dlms.apdu.initiate import InitiateRequest
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.enums import ActionResult, ApduTag, ApplicationContext, Conformance
from ami_dlms.errors import LocalError
from ami_dlms.explain import (
    DecodingSession,
    Derived,
    Keyring,
    Node,
    document,
    explain,
    is_sound,
    nodes,
    octets_of,
    part_of,
)
from ami_dlms.framing import hdlc, wrapper
from ami_dlms.framing.hdlc import Frame, FrameKind, control_of
from ami_dlms.framing.hdlc_address import HdlcAddress
from ami_dlms.framing.wrapper import WrapperPdu
from ami_dlms.obis import Obis
from ami_dlms.security import GlobalKeys, protect

CLIENT, SERVER = b"CLI\0\0\0\0\1", b"MTR\0\0\0\0\2"
EK, AK, DK = bytes(range(16)), bytes(range(16, 32)), bytes(range(32, 48))
KEYS = GlobalKeys(EK, AK)
AUTHENTICATED, ENCRYPTED, BOTH = 0x10, 0x20, 0x30
CLOCK = AttributeDescriptor(8, Obis.parse("0-0:1.0.0*255"), 2)
REQUEST = apdu.encode(GetRequestNormal(0xC1, CLOCK))
RESPONSE = apdu.encode(GetResponseNormal(0xC1, data.octet_string(bytes(200))))
VALUE = data.array(data.long_unsigned(1), data.long_unsigned(2))


def outcomes(tree: Node) -> list[Derived]:
    return [one for node in nodes(tree) for one in node.derived]


def one(octets: bytes, keyring: Keyring | None = None) -> Node:
    (tree,) = explain(octets, DecodingSession(keyring or Keyring()))
    check_cover(tree)
    return tree


def texts(tree: Node) -> dict[str, str]:
    return {node.name: node.text for node in nodes(tree)}


def glo(control: int = BOTH, title: bytes = CLIENT, keys: GlobalKeys = KEYS, plaintext: bytes = REQUEST) -> bytes:
    return apdu.encode(ServiceCiphering(ApduTag.GLO_GET_REQUEST, protect(control, keys, title, 7, plaintext)))


class TestWrapper:
    FRAME = wrapper.encode(WrapperPdu(16, 1, REQUEST))

    def test_several_in_a_row(self) -> None:
        answer = wrapper.encode(WrapperPdu(1, 16, RESPONSE))
        trees = explain(self.FRAME + answer, DecodingSession())
        assert [tree.name for tree in trees] == ["wrapper", "wrapper"]
        assert [tree.start for tree in trees] == [0, len(self.FRAME)]
        assert trees[0].text == "16 → 1"
        assert [part.name for part in trees[1].parts] == [
            "version",
            "source",
            "destination",
            "length",
            "get_response_normal",
        ]
        assert texts(trees[0])["source"] == "16, public client"

    @pytest.mark.parametrize("length", range(2, 21))
    def test_cut_short(self, length: int) -> None:
        tree = one(self.FRAME[:length])
        assert not is_sound(tree)
        assert tree.octets == self.FRAME[:length]

    def test_cut_short_says_how_much_is_missing_and_in_which_field(self) -> None:
        told = [node.trouble for node in nodes(one(self.FRAME[:15])) if node.trouble]
        assert told[0] == "13 octets of APDU wanted, 7 are there"
        assert (
            told[1] == "expected 6 more octets, got 2 octets at octet 13 in get_request.descriptor.instance_id (0x000D)"
        )

    def test_after_a_broken_apdu_comes_the_next_frame(self) -> None:
        trees = explain(wrapper.encode(WrapperPdu(1, 1, b"\xc0\x09")) + self.FRAME, DecodingSession())
        assert [is_sound(tree) for tree in trees] == [False, True]

    @pytest.mark.parametrize(
        ("tail", "told"),
        [
            ("0002000100010001 00", "expected version 1, got 2 at octet 21 in version (0x0015)"),
            ("0001000100010000", "expected a length of 1 or more, got 0 at octet 27 in length (0x001B)"),
            ("0001000100", "expected 2 more octets, got 1 octets at octet 25 (0x0019)"),
        ],
    )
    def test_a_broken_header_ends_it(self, tail: str, told: str) -> None:
        octets = self.FRAME + bytes.fromhex(tail)
        trees = explain(octets, DecodingSession())
        assert [is_sound(tree) for tree in trees] == [True, False]
        assert b"".join(tree.octets for tree in trees) == octets
        assert told in [node.trouble for node in nodes(trees[1])]


class TestHdlc:
    TO, FROM = HdlcAddress(1, 17), HdlcAddress(16)

    def frame(self, information: bytes, number: int = 0, *, segmented: bool = False) -> bytes:
        control = control_of(FrameKind.I, not segmented, 0, number)
        return hdlc.encode(Frame(self.TO, self.FROM, control, information, segmented))

    def test_every_field(self) -> None:
        tree = one(self.frame(b"\xe6\xe6\x00" + REQUEST))
        names = "opening_flag format destination source control header_check information frame_check closing_flag"
        assert [part.name for part in tree.parts] == names.split()
        said = texts(tree)
        assert (said["destination"], said["source"]) == ("1/17", "16")
        assert said["control"] == "information, N(S) 0, N(R) 0, poll/final"
        assert said["llc"] == "command"
        assert "get_request_normal" in said

    def test_segments_are_put_together(self) -> None:
        octets = b"\xe6\xe6\x00" + REQUEST
        frames = [self.frame(octets[:6], 0, segmented=True), self.frame(octets[6:10], 1, segmented=True)]
        frames += [frames[-1], self.frame(octets[10:], 2)]
        trees = explain(b"".join(frames), DecodingSession())
        assert [texts(tree)["information"] for tree in trees] == [
            "segment 1",
            "segment 2",
            "the same segment once more",
            "segment 3",
        ]
        (outcome,) = [found for tree in trees for found in outcomes(tree)]
        assert outcome.how == "put together from 3 segments"
        assert outcome.tree is not None
        assert outcome.tree.octets == octets
        assert outcome.tree.parts[1].value == apdu.decode(REQUEST)

    def test_one_flag_between_two_frames(self) -> None:
        octets = self.frame(b"\xe6\xe6\x00" + REQUEST) + self.frame(b"\xe6\xe6\x00" + REQUEST, 1)[1:]
        trees = explain(octets, DecodingSession())
        assert [tree.parts[0].name for tree in trees] == ["opening_flag", "format"]
        assert b"".join(octets_of(part_of(document(tree))) for tree in trees) == octets

    @pytest.mark.parametrize("position", range(1, 28))
    def test_a_flipped_octet_is_told(self, position: int) -> None:
        octets = bytearray(self.frame(b"\xe6\xe6\x00" + REQUEST))
        octets[position] ^= 0x15
        trees = explain(bytes(octets), DecodingSession())
        assert b"".join(tree.octets for tree in trees) == bytes(octets)
        assert not all(is_sound(tree) for tree in trees)

    def test_a_wrong_check_does_not_hide_the_next_frame(self) -> None:
        good = self.frame(b"\xe6\xe6\x00" + REQUEST)
        bad = good[:-3] + bytes((good[-3] ^ 1, good[-2], good[-1]))
        trees = explain(bad + good, DecodingSession())
        assert [is_sound(tree) for tree in trees] == [False, True]
        assert any("in FCS" in node.trouble for node in nodes(trees[0]))

    def test_garbage_between_frames_hides_none(self) -> None:
        good = self.frame(b"\xe6\xe6\x00" + REQUEST)
        octets = good + b"\x00\x7e\x7e\xa0\x07garbage" + good
        trees = explain(octets, DecodingSession())
        assert [(tree.name, is_sound(tree)) for tree in trees] == [
            ("hdlc_frame", True),
            ("noise", False),
            ("hdlc_frame", False),
            ("hdlc_frame", True),
        ]
        assert b"".join(tree.octets for tree in trees) == octets

    def test_information_without_llc(self) -> None:
        assert not is_sound(one(self.frame(REQUEST)))


class TestDeciphering:
    def test_without_keys_it_says_what_is_missing(self) -> None:
        tree = one(glo())
        assert is_sound(tree)
        assert texts(tree)["ciphertext"] == "13 octets, not deciphered: no encryption key, give --ek"
        assert texts(tree)["security_control"] == "suite 0, authenticated and encrypted, unicast key"
        assert texts(tree)["invocation_counter"] == "7"

    def test_without_a_title_it_says_so(self) -> None:
        assert "no system title is known, give --title" in texts(one(glo(), Keyring(EK, AK)))["ciphertext"]

    def test_without_the_authentication_key_nothing_is_verified(self) -> None:
        tree = one(glo(), Keyring(EK, title=CLIENT))
        (outcome,) = outcomes(tree)
        assert outcome.good is None
        assert outcome.how.endswith("not verified, there is no authentication key: give --ak")
        assert outcome.tree is not None
        assert outcome.tree.octets == REQUEST
        assert is_sound(tree)

    def test_either_title_may_be_the_senders(self) -> None:
        (outcome,) = outcomes(one(glo(), Keyring(EK, AK, title=SERVER, title_peer=CLIENT)))
        assert outcome.good
        assert outcome.how == "the tag holds; deciphered with title 434C490000000001 (--title-peer)"

    def test_a_wrong_key_shows_nothing(self) -> None:
        tree = one(glo(), Keyring(AK, AK, title=CLIENT))
        (outcome,) = outcomes(tree)
        assert (outcome.good, outcome.tree) == (False, None)
        assert texts(tree)["authentication_tag"] == "does not hold"
        assert not is_sound(tree)

    def test_encryption_alone_is_right_when_it_gives_an_apdu(self) -> None:
        (outcome,) = outcomes(one(glo(ENCRYPTED), Keyring(EK, AK, title=SERVER, title_peer=CLIENT)))
        assert outcome.good is None
        assert outcome.how.startswith("deciphered with title 434C490000000001 (--title-peer); nothing verifies it")
        (wrong,) = outcomes(one(glo(ENCRYPTED), Keyring(AK, AK, title=CLIENT)))
        assert wrong.how == "this deciphers to no APDU with title 434C490000000001 (--title)"

    def test_authentication_alone_shows_the_apdu_in_its_place(self) -> None:
        tree = one(glo(AUTHENTICATED), Keyring(EK, AK, title=CLIENT))
        inner = next(node for node in nodes(tree) if node.name == "get_request_normal")
        assert inner.start == 7
        assert texts(tree)["authentication_tag"] == "holds"
        unverified = one(glo(AUTHENTICATED), Keyring(EK, title=CLIENT))
        assert texts(unverified)["authentication_tag"] == "not verified: no authentication key, give --ak"

    def test_general_glo_knows_its_title_but_others_are_tried(self) -> None:
        content = protect(BOTH, KEYS, CLIENT, 1, REQUEST)
        (outcome,) = outcomes(one(apdu.encode(GeneralGloCiphering(CLIENT, content)), Keyring(EK, AK)))
        assert outcome.how == "the tag holds; deciphered with title 434C490000000001 (in the message)"
        other = apdu.encode(GeneralGloCiphering(SERVER, content))
        (outcome,) = outcomes(one(other, Keyring(EK, AK, title=CLIENT)))
        assert outcome.how.endswith("434C490000000001 (--title)")

    def test_an_association_tells_titles_and_dedicated_key(self) -> None:
        initiate = InitiateRequest(dedicated_key=DK, conformance=Conformance.GET, client_max_receive_pdu_size=512)
        inner = protect(BOTH, KEYS, CLIENT, 1, apdu.encode(initiate))
        information = apdu.encode(ServiceCiphering(ApduTag.GLO_INITIATE_REQUEST, inner))
        aarq = Aarq(ApplicationContext.LN_CIPHERED, CLIENT, user_information=information)
        later = protect(BOTH, KEYS.with_encryption_key(DK), CLIENT, 2, REQUEST)
        session = DecodingSession(Keyring(EK, AK))
        explain(apdu.encode(aarq), session)
        (tree,) = explain(apdu.encode(ServiceCiphering(ApduTag.DED_GET_REQUEST, later)), session)
        assert outcomes(tree)[0].how.endswith("434C490000000001 (calling_ap_title of the AARQ)")
        (general,) = explain(apdu.encode(GeneralDedCiphering(CLIENT, later)), session)
        assert outcomes(general)[0].good

    def test_ded_without_its_key(self) -> None:
        ded = apdu.encode(ServiceCiphering(ApduTag.DED_GET_REQUEST, protect(BOTH, KEYS, CLIENT, 2, REQUEST)))
        assert "no dedicated key is known" in texts(one(ded, Keyring(EK, AK, title=CLIENT)))["ciphertext"]
        assert outcomes(one(ded, Keyring(None, AK, EK, CLIENT)))[0].good

    def test_general_ciphering_takes_its_header_into_the_tag(self) -> None:
        header = b"\x08" + bytes(8) + b"\x08" + CLIENT + b"\x08" + SERVER + b"\0\0"
        content = protect(BOTH, KEYS, CLIENT, 0, REQUEST, header)
        message = apdu.encode(GeneralCiphering(bytes(8), CLIENT, SERVER, b"", b"", None, content))
        (outcome,) = outcomes(one(message, Keyring(EK, AK)))
        assert outcome.how.endswith("(originator_system_title)")
        assert outcome.good

    def test_general_signing_shows_what_it_signs(self) -> None:
        message = GeneralSigning(b"\1", CLIENT, SERVER, b"", b"", REQUEST, bytes(64))
        assert texts(one(apdu.encode(message)))["content"].startswith("get-request-normal")

    def test_broadcast_and_compressed(self) -> None:
        keys = GlobalKeys(EK, AK, broadcast_encryption_key=DK)
        tree = one(glo(0x70, keys=keys), Keyring(DK, AK, title=CLIENT))
        assert outcomes(tree)[0].good
        assert texts(tree)["security_control"] == "suite 0, authenticated and encrypted, broadcast key"
        compressed = bytearray(glo())
        compressed[2] |= 0x80
        assert (
            "compressed contents are not supported"
            in texts(one(bytes(compressed), Keyring(EK, AK, title=CLIENT)))["ciphertext"]
        )

    @pytest.mark.parametrize("content", ["", "30", "30000000", "3000000001", "100000000112345678"])
    def test_a_content_too_short_is_told(self, content: str) -> None:
        octets = bytes.fromhex(content)
        tree = one(bytes((ApduTag.GLO_GET_REQUEST, len(octets))) + octets, Keyring(EK, AK, title=CLIENT))
        assert "octets, got" in tree.parts[1].trouble

    def test_keys_and_titles_of_wrong_lengths_are_refused_without_showing_them(self) -> None:
        for wrong in (lambda: Keyring(b"secret"), lambda: Keyring(title=b"short"), lambda: Keyring(EK, b"secret")):
            with pytest.raises(LocalError) as caught:
                wrong()
            assert b"secret".hex() not in str(caught.value)
        assert EK.hex() not in repr(DecodingSession(Keyring(EK, AK)))


class TestBlocks:
    def blocks(self, octets: bytes) -> list[tuple[bool, int, bytes]]:
        parts = [octets[start : start + 5] for start in range(0, len(octets), 5)]
        return [(number == len(parts), number, part) for number, part in enumerate(parts, 1)]

    def read(self, messages: list[bytes]) -> list[Derived]:
        session = DecodingSession()
        return [found for message in messages for tree in explain(message, session) for found in outcomes(tree)]

    def test_a_value_of_many_blocks(self) -> None:
        blocks = self.blocks(data.encode(VALUE))
        messages = [apdu.encode(GetResponseWithDataBlock(0xC1, last, number, part)) for last, number, part in blocks]
        (outcome,) = self.read(messages)
        assert outcome.tree is not None
        assert outcome.tree.value == VALUE
        assert self.read(messages[:1] + messages[2:]) == [] or len(messages) < 3

    def test_a_result_of_an_action(self) -> None:
        response = bytes((ActionResult.SUCCESS, 1, 0)) + data.encode(VALUE)
        blocks = [Block(*block) for block in self.blocks(response)]
        (outcome,) = self.read([apdu.encode(ActionResponseWithBlock(0xC1, block)) for block in blocks])
        assert outcome.tree is not None
        assert outcome.tree.value == ActionResponse(ActionResult.SUCCESS, VALUE)

    def test_blocks_that_are_no_value_are_no_fault_of_the_apdu(self) -> None:
        tree = one(apdu.encode(GetResponseWithDataBlock(0xC1, True, 1, b"\xfe\xfe")))
        assert outcomes(tree)[0].how == "put together from all blocks: 2 octets that are no value"
        assert is_sound(tree)

    @pytest.mark.parametrize("says_last", [False, True])
    def test_an_answer_goes_on_behind_the_blocks_that_confirmed_the_request(self, says_last: bool) -> None:
        whole = bytes.fromhex("C501C100")
        blocks = (
            (BlockControl(says_last, False, 1), b""),
            (BlockControl(False, False, 1), whole[:2]),
            (
                BlockControl(True, False, 1),
                whole[2:],
            ),
        )
        session = DecodingSession()
        trees = [
            explain(apdu.encode(GeneralBlockTransfer(control, number, 0, part)), session)[0]
            for number, (control, part) in enumerate(blocks, 1)
        ]
        assert [len(tree.derived) for tree in trees] == [0, 0, 1]
        together = trees[2].derived[0].tree
        assert together is not None and together.octets == whole

    def test_an_apdu_in_general_block_transfer(self) -> None:
        messages = [
            apdu.encode(GeneralBlockTransfer(BlockControl(last, False, 1), number, 0, part))
            for last, number, part in self.blocks(RESPONSE)
        ]
        (outcome,) = self.read(messages)
        assert outcome.tree is not None
        assert outcome.tree.octets == RESPONSE
        assert outcome.tree.name == "get_response_normal"
