"""A codec is the description of what it reads: it can be looked at, taken apart and made again."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from ami_dlms.apdu import CODECS
from ami_dlms.apdu.acse_fields import Elements
from ami_dlms.apdu.codec import DATA, UNSIGNED8, UNSIGNED16, Choice, Codec, Optional, Sequence, SequenceOf, sequence
from ami_dlms.apdu.get import GetRequestNormal
from ami_dlms.apdu.initiate import InitiateRequest
from ami_dlms.cursor import Reader
from ami_dlms.enums import Conformance
from ami_dlms.errors import DecodeError


def written(codec: Codec[Any], value: object) -> bytes:
    out = bytearray()
    codec.write(out, value)
    return bytes(out)


def test_a_declaration_shows_its_fields() -> None:
    codec = sequence(GetRequestNormal)
    assert codec.kind is GetRequestNormal
    assert [name for name, _ in codec.fields] == ["invoke_id_and_priority", "descriptor", "selection"]
    selection = dict(codec.fields)["selection"]
    assert isinstance(selection, Optional) and isinstance(selection.part, Sequence)
    assert dict(selection.part.fields) == {"selector": UNSIGNED8, "parameters": DATA}


def test_every_apdu_is_declared_by_a_sequence_a_choice_of_sequences_or_elements() -> None:
    for _, codec in CODECS.values():
        parts = [part for _, part in codec.alternatives.values()] if isinstance(codec, Choice) else [codec]
        assert parts and all(isinstance(part, Sequence | Elements) for part in parts)


def test_a_codec_made_again_of_another_part_reads_the_other_part() -> None:
    numbers = SequenceOf(UNSIGNED8)
    assert numbers.read(Reader(b"\x02\x00\x01")) == (0, 1)
    assert replace(numbers, part=UNSIGNED16).read(Reader(b"\x01\x00\x01")) == (1,)
    either = Optional(UNSIGNED8, 7)
    assert (either.read(Reader(b"\x00")), either.read(Reader(b"\x01\x05")), written(either, 7)) == (7, 5, b"\x00")


def test_smallest_is_the_sum_of_the_fields_and_bounds_a_count() -> None:
    pair = Sequence(lambda *values: values, (("first", UNSIGNED16), ("second", UNSIGNED8)))
    assert pair.smallest == 3
    with pytest.raises(DecodeError, match="2 elements"):
        SequenceOf(pair).read(Reader(b"\x02" + bytes(5)))


def test_values_are_put_together_by_name_where_the_declaration_wants_names() -> None:
    values = (None, True, None, 6, Conformance(0), 0xFFFF)
    made = sequence(InitiateRequest).make(values)
    assert made == InitiateRequest(conformance=Conformance(0), client_max_receive_pdu_size=0xFFFF)


def test_a_codec_is_frozen_and_equal_to_itself_alone() -> None:
    one, other = SequenceOf(UNSIGNED8), SequenceOf(UNSIGNED8)
    assert one == one and one != other
    with pytest.raises(FrozenInstanceError):
        one.part = UNSIGNED16  # type: ignore[misc, assignment]
    with pytest.raises(AttributeError):
        UNSIGNED8.read = UNSIGNED16.read  # type: ignore[method-assign, assignment]
