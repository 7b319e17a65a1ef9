"""Any APDU that the declarations allow, found by walking over them: a new APDU is generated as soon as it is declared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields
from functools import cache
from typing import Any

from hypothesis import strategies as st

from ami_dlms import data, enums
from ami_dlms.apdu import CODECS
from ami_dlms.apdu.acse_fields import Elements
from ami_dlms.apdu.codec import Choice, Codec, DataChoice, Optional, Sequence, SequenceOf
from ami_dlms.cursor import Reader
from ami_dlms.data import CompactArray, Data, TypeDescription
from ami_dlms.datetimes import CosemDate, CosemDateTime, CosemTime
from ami_dlms.enums import ApduTag, DataTag
from ami_dlms.errors import DlmsError

FILLERS = (bytes(400), bytes(range(1, 201)) * 2, b"\xff" * 400, b"1" * 400)
CONFORMANCE = bytes.fromhex("5F1F0400")
COMPACT = CompactArray(TypeDescription(DataTag.STRUCTURE, (TypeDescription(DataTag.UNSIGNED),) * 2), bytes(range(6)))

scalars = st.one_of(
    st.just(data.null()),
    st.just(Data(DataTag.DONT_CARE, None)),
    st.just(Data(DataTag.COMPACT_ARRAY, COMPACT)),
    st.booleans().map(data.boolean),
    st.integers(-(2**31), 2**31 - 1).map(data.double_long),
    st.integers(0, 2**64 - 1).map(data.long64_unsigned),
    st.integers(0, 255).map(data.enum),
    st.integers(-128, 127).map(data.integer),
    st.floats(width=64, allow_nan=False).map(lambda value: Data(DataTag.FLOAT64, value)),
    st.binary(max_size=140).map(data.octet_string),
    st.text(st.characters(max_codepoint=255), max_size=140).map(data.visible_string),
    st.text(max_size=20).map(data.utf8_string),
    st.lists(st.booleans(), max_size=20).map(lambda bits: data.bit_string(tuple(bits))),
    st.binary(min_size=12, max_size=12).map(lambda raw: data.date_time(CosemDateTime.decode(raw))),
    st.binary(min_size=5, max_size=5).map(lambda raw: data.date(CosemDate.decode(raw))),
    st.binary(min_size=4, max_size=4).map(lambda raw: data.time(CosemTime.decode(raw))),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: data.structure(*items))
        | st.lists(inner, max_size=4).map(lambda items: data.array(*items))
    ),
    max_leaves=10,
)
PLAIN: tuple[Any, ...] = (
    *(False, True, 0, 1, 127, 255, -1, 65535, 2**31),
    *(b"", b"\x01", b"12345678", bytes(130), bytes(300)),
    *((), (True,), (False, True, True)),
)


def _members() -> Iterator[Any]:
    for kind in vars(enums).values():
        if isinstance(kind, type) and issubclass(kind, enums.IntEnum) and kind is not enums.IntEnum:
            yield from kind


@cache
def _read_values(codec: Codec[Any]) -> tuple[Any, ...]:
    """Values of a leaf: what it makes of octets that begin with each number."""
    found = []
    for head in (*(bytes((first,)) for first in range(256)), CONFORMANCE):
        for filler in FILLERS:
            try:
                found.append(codec.read(Reader(head + filler)))
            except DlmsError:
                continue
    return tuple(found)


@cache
def _written_values(codec: Codec[Any]) -> tuple[Any, ...]:
    """Values of a whole element of BER: those that it can write and reads again as the same type."""
    from ami_dlms.apdu.acse import Diagnostic

    diagnostics = [Diagnostic(source, code) for source in enums.DiagnosticSource for code in (0, 1, 14, 99)]
    return tuple([value for value in (*PLAIN, *_members(), *diagnostics) if _is_read_again(codec, value)])


def _is_read_again(codec: Codec[Any], value: Any) -> bool:
    out = bytearray()
    try:
        codec.write(out, value)
        again = codec.read(Reader(bytes(out)))
    except (DlmsError, TypeError, AttributeError, ValueError, OverflowError, IndexError):
        return False
    return type(again) is type(value) and again == value


def of_codec(codec: Codec[Any]) -> st.SearchStrategy[Any]:
    """Any value of a codec."""
    match codec:
        case DataChoice():
            return values
        case Sequence():
            return _records(codec)
        case Optional(part, default):
            return st.just(default) | of_codec(part)
        case Choice(alternatives):
            return st.one_of([of_codec(part) for _, part in alternatives.values()])
        case SequenceOf(part):
            return st.lists(of_codec(part), max_size=3).map(tuple)
        case Elements(kind, elements, _):
            return _elements(kind, dict(elements.values()))
    return st.sampled_from(_read_values(codec))


def _records(codec: Sequence[Any]) -> st.SearchStrategy[Any]:
    def build(found: tuple[Any, ...]) -> Any:
        try:
            return codec.make(found)
        except DlmsError:
            return None

    return st.tuples(*[of_codec(part) for _, part in codec.fields]).map(build).filter(lambda value: value is not None)


def _elements(kind: Any, codecs: dict[str, Codec[Any]]) -> st.SearchStrategy[Any]:
    required = {item.name for item in fields(kind) if item.default is MISSING}
    found = {name: st.sampled_from(_written_values(codec)) for name, codec in codecs.items()}
    return st.fixed_dictionaries(
        {name: found[name] for name in required},
        optional={name: one for name, one in found.items() if name not in required},
    ).map(lambda chosen: kind(**chosen))


APDUS = {ApduTag(tag).name: of_codec(codec) for tag, (_, codec) in CODECS.items()}
