"""What stands under every codec: the cursor, BER elements, OBIS codes, errors that speak."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ami_dlms import ber
from ami_dlms.cursor import Reader, encode_length
from ami_dlms.errors import DecodeError, DlmsError, LocalError, RemoteError, SecurityError
from ami_dlms.obis import Obis


class TestReader:
    def test_reads_in_order_and_knows_the_end(self) -> None:
        reader = Reader(bytes.fromhex("01 0203 04050607 02 AABB CC"))
        assert (reader.u8(), reader.u16(), reader.u32(), reader.counted()) == (1, 0x203, 0x4050607, b"\xaa\xbb")
        assert (reader.remaining, reader.rest(), reader.remaining) == (1, b"\xcc", 0)
        reader.finish()

    @pytest.mark.parametrize("method", ["u8", "u16", "u32", "length", "counted", "count"])
    def test_past_the_end_nothing_moves(self, method: str) -> None:
        reader = Reader(b"")
        with pytest.raises(DecodeError):
            getattr(reader, method)()
        assert reader.offset == 0

    def test_what_is_left_over_is_an_error(self) -> None:
        with pytest.raises(DecodeError, match="2 more octets"):
            Reader(bytes(2)).finish()

    @settings(deadline=None)
    @given(st.integers(0, 0xFFFFFFFF))
    def test_lengths_both_ways(self, length: int) -> None:
        encoded = encode_length(length)
        reader = Reader(encoded)
        assert reader.length() == length
        assert reader.remaining == 0

    @pytest.mark.parametrize(("length", "octets"), [(127, "7F"), (128, "8180"), (256, "820100"), (65536, "83010000")])
    def test_lengths_in_their_shortest_form(self, length: int, octets: str) -> None:
        assert encode_length(length) == bytes.fromhex(octets)

    @pytest.mark.parametrize("length", [-1, 2**32])
    def test_lengths_that_do_not_fit(self, length: int) -> None:
        with pytest.raises(LocalError):
            encode_length(length)

    @pytest.mark.parametrize("octets", ["80", "85 0000000001", "FF", "82 01", "84 000000"])
    def test_illegal_lengths(self, octets: str) -> None:
        with pytest.raises(DecodeError):
            Reader(bytes.fromhex(octets)).length()

    def test_counts_are_held_against_what_can_follow(self) -> None:
        assert Reader(b"\x02" + bytes(20)).count(10) == 2
        with pytest.raises(DecodeError, match="3 elements"):
            Reader(b"\x03" + bytes(20)).count(10)


class TestBer:
    @settings(deadline=None)
    @given(st.integers(-(2**63), 2**63 - 1))
    def test_integers(self, value: int) -> None:
        assert ber.decode_integer(ber.encode_integer(value)) == value

    @pytest.mark.parametrize(("value", "octets"), [(0, "00"), (127, "7F"), (128, "0080"), (-1, "FF"), (-128, "80")])
    def test_integers_in_their_shortest_form(self, value: int, octets: str) -> None:
        assert ber.encode_integer(value) == bytes.fromhex(octets)

    @settings(deadline=None)
    @given(st.lists(st.booleans(), max_size=70).map(tuple))
    def test_bit_strings(self, bits: tuple[bool, ...]) -> None:
        assert ber.decode_bits(ber.encode_bits(bits)) == bits

    @pytest.mark.parametrize("octets", ["", "08 00", "01"])
    def test_illegal_bit_strings(self, octets: str) -> None:
        with pytest.raises(DecodeError):
            ber.decode_bits(bytes.fromhex(octets))

    @settings(deadline=None)
    @given(st.binary(max_size=300), st.integers(0, 255).filter(lambda tag: tag & 0x1F != 0x1F))
    def test_elements(self, contents: bytes, tag: int) -> None:
        encoded = ber.encode(tag, contents)
        twice = Reader(encoded + encoded)
        for _ in range(2):
            found, window = ber.read(twice)
            assert (found, window.rest()) == (tag, contents)
        twice.finish()
        assert ber.only(tag, Reader(encoded)).rest() == contents
        with pytest.raises(DecodeError):
            ber.only(tag ^ 1, Reader(encoded))

    @pytest.mark.parametrize("octets", ["04 80 00 00", "1F 81 01 00", "04 05 00", "04"])
    def test_illegal_elements(self, octets: str) -> None:
        with pytest.raises(DecodeError):
            ber.only(4, Reader(bytes.fromhex(octets)))

    def test_bits_that_octets_do_not_hold(self) -> None:
        with pytest.raises(LocalError):
            ber.unpack_bits(b"\x00", 9)


class TestObis:
    @settings(deadline=None)
    @given(st.binary(min_size=6, max_size=6))
    def test_text_both_ways(self, octets: bytes) -> None:
        obis = Obis(octets)
        assert Obis.parse(str(obis)) == obis == octets
        assert hash(obis) == hash(octets)

    def test_group_f_is_kept_and_255_when_left_out(self) -> None:
        assert Obis.parse("1-0:1.8.0*101") == bytes((1, 0, 1, 8, 0, 101))
        assert Obis.parse("1-0:1.8.0") == bytes((1, 0, 1, 8, 0, 255))
        assert repr(Obis.parse("0-0:96.3.10")) == "Obis.parse('0-0:96.3.10*255')"

    @pytest.mark.parametrize(
        "text", ["", "1.8.0", "1-0:1.8", "1-0:1.8.256", "1-0:1.8.0*256", "a-0:1.8.0", "1-0:1.8.0*", "1-0:1.8.٣"]
    )
    def test_other_texts_are_refused(self, text: str) -> None:
        with pytest.raises(LocalError):
            Obis.parse(text)

    @pytest.mark.parametrize("size", [0, 5, 7])
    def test_other_sizes_are_refused(self, size: int) -> None:
        with pytest.raises(LocalError):
            Obis(bytes(size))


def test_errors_have_two_sides_and_speak() -> None:
    error: Any = DecodeError("one more octet", "the end", 7).within("value").within("Aarq")
    assert str(error) == "expected one more octet, got the end at octet 7 in Aarq.value"
    assert isinstance(error, RemoteError) and not isinstance(error, LocalError)
    assert issubclass(SecurityError, RemoteError) and issubclass(LocalError, DlmsError)
    assert str(DecodeError("a")) == "expected a at octet 0"
