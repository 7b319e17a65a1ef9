"""The field codecs that xDLMS APDUs are declared with: A-XDR of IEC 62056-5-3 and IEC 61334-6.

A codec is a pair of functions that read and write one type. An APDU is a dataclass whose annotations name the codecs,
so the declaration reads like the ASN.1 and `sequence` makes both directions from it: they cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from dataclasses import fields as dataclass_fields
from enum import IntEnum
from operator import attrgetter
from struct import Struct
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from ami_dlms import data
from ami_dlms.apdu import shapes
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.cosem.selection import SelectiveAccess
from ami_dlms.cursor import Reader, encode_length
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import (
    ActionResult,
    ConfirmedService,
    Conformance,
    DataAccessResult,
    DataTag,
    ErrorClass,
)
from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.frozen import frozen
from ami_dlms.obis import Obis

E = TypeVar("E", bound=IntEnum)


@frozen
class Codec:
    """How one type is read and written; values are checked by the reader and by the struct that packs them."""

    read: Callable[[Reader], Any]
    write: Callable[[bytearray, Any], None]
    smallest: int = 1
    shape: shapes.Shape | None = field(default=None, compare=False, repr=False)


def _packed(layout: str) -> Codec:
    struct = Struct(layout)
    size, pack, unpack_from = struct.size, struct.pack, struct.unpack_from

    def read(reader: Reader) -> Any:
        return unpack_from(reader.octets, reader.need(size))[0]

    def write(out: bytearray, value: Any) -> None:
        out += pack(value)

    return Codec(read, write, size)


def _read_boolean(reader: Reader) -> bool:
    return reader.u8() != 0


def _write_boolean(out: bytearray, value: bool) -> None:
    out.append(1 if value else 0)


def _read_obis(reader: Reader) -> Obis:
    return Obis(reader.take(6))


def _write_obis(out: bytearray, value: Obis) -> None:
    out += value


def _write_octets(out: bytearray, value: bytes) -> None:
    out += encode_length(len(value))
    out += value


UNSIGNED8 = Codec(Reader.u8, _packed(">B").write)
UNSIGNED16 = _packed(">H")
UNSIGNED32 = _packed(">I")
INTEGER8 = _packed(">b")
BOOLEAN = Codec(_read_boolean, _write_boolean)
OBIS = Codec(_read_obis, _write_obis, 6)
OCTETS = Codec(Reader.counted, _write_octets)
DATA = Codec(data.read, data.write)


def enumerated(kind: type[E]) -> Codec:
    """ENUMERATED in one octet; a number outside the list is a DecodeError."""
    members: dict[int, E] = {int(member): member for member in kind}

    def read(reader: Reader) -> E:
        number = reader.u8()
        member = members.get(number)
        if member is None:
            raise DecodeError(f"a {kind.__name__}", str(number), reader.offset - 1)
        return member

    def write(out: bytearray, value: E) -> None:
        out.append(members[value])

    return Codec(read, write)


def optional(codec: Codec, default: Any = None, *, tolerated: int | None = None) -> Codec:
    """OPTIONAL or DEFAULT: one octet says whether the value follows; the default is written as absent.

    `tolerated` is one more octet for a value that follows, as peers in the field write it; it is read and never written.
    """
    present = (1, tolerated)

    def read(reader: Reader) -> Any:
        flag = reader.u8()
        if flag == 0:
            return default
        if flag not in present:
            raise DecodeError("0 or 1 for absent or present", str(flag), reader.offset - 1)
        return codec.read(reader)

    def write(out: bytearray, value: Any) -> None:
        if value is default:
            out.append(0)
        else:
            out.append(1)
            codec.write(out, value)

    return Codec(read, write, shape=shapes.Optional(codec, default, tolerated))


def choice(alternatives: Mapping[int, tuple[type, Codec]]) -> Codec:
    """CHOICE: one octet selects; the Python type of the value selects when writing."""
    by_type = {kind: (number, codec.write) for number, (kind, codec) in alternatives.items()}
    by_number = {number: codec.read for number, (_, codec) in alternatives.items()}

    def read(reader: Reader) -> Any:
        number = reader.u8()
        chosen = by_number.get(number)
        if chosen is None:
            raise DecodeError(f"a choice of {sorted(by_number)}", str(number), reader.offset - 1)
        return chosen(reader)

    def write(out: bytearray, value: Any) -> None:
        if type(value) not in by_type:
            raise LocalError(f"no alternative for a {type(value).__name__}")
        number, chosen = by_type[type(value)]
        out.append(number)
        chosen(out, value)

    return Codec(read, write, 2, shapes.Choice(alternatives))


def sequence_of(codec: Codec) -> Codec:
    """SEQUENCE OF: a count that the remaining octets must be able to hold, then the elements; a tuple."""

    def read(reader: Reader) -> tuple[Any, ...]:
        return tuple([codec.read(reader) for _ in range(reader.count(codec.smallest))])

    def write(out: bytearray, value: tuple[Any, ...]) -> None:
        out += encode_length(len(value))
        for item in value:
            codec.write(out, item)

    return Codec(read, write, shape=shapes.SequenceOf(codec))


def fields_of(kind: type, marker: type = Codec) -> list[tuple[str, Any]]:
    """Names and codecs of a dataclass in order; a codec is the annotation's metadata of the type `marker`."""
    found = []
    for name, hint in get_type_hints(kind, include_extras=True).items():
        metadata = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        found += [(name, item) for item in metadata if isinstance(item, marker)]
    return found


def sequence(kind: type) -> Codec:
    """SEQUENCE: the codec of a dataclass, from its annotations and in their order."""
    return record(kind, tuple(fields_of(kind)), by_keyword=all(item.kw_only for item in dataclass_fields(kind)))


def record(kind: Callable[..., Any], fields: tuple[tuple[str, Codec], ...], by_keyword: bool = False) -> Codec:
    """SEQUENCE: the codec of what `kind` makes of these fields' values and has as attributes."""
    names = [name for name, _ in fields]
    readers = [codec.read for _, codec in fields]
    writers = [(attrgetter(name), codec.write) for name, codec in fields]

    def read(reader: Reader) -> Any:
        values: list[Any] = []
        try:
            for read_field in readers:
                values.append(read_field(reader))
        except DecodeError as error:
            raise error.within(names[len(values)]) from None
        return kind(**dict(zip(names, values, strict=True))) if by_keyword else kind(*values)

    def write(out: bytearray, value: Any) -> None:
        for get, write_field in writers:
            write_field(out, get(value))

    smallest = sum(codec.smallest for _, codec in fields)
    return Codec(read, write, smallest, shapes.Sequence(kind, fields, by_keyword))


_REFERENCE = Struct(">H6sb")


def _reference(kind: Callable[[int, Obis, int], Any], third: str) -> Codec:
    """Cosem-Attribute-Descriptor or Cosem-Method-Descriptor: class, instance, and the number called `third`.

    They are in every request, so all three are unpacked in one step; the shape is the same field by field.
    """
    parts = attrgetter("class_id", "instance_id", third)
    size, pack, unpack_from = _REFERENCE.size, _REFERENCE.pack, _REFERENCE.unpack_from
    new_bytes = bytes.__new__  # the layout has made sure of six octets

    def read(reader: Reader) -> Any:
        class_id, name, number = unpack_from(reader.octets, reader.need(size, f"{size} octets of class, instance, id"))
        return kind(class_id, new_bytes(Obis, name), number)

    def write(out: bytearray, value: Any) -> None:
        out += pack(*parts(value))

    fields = (("class_id", UNSIGNED16), ("instance_id", OBIS), (third, INTEGER8))
    return Codec(read, write, size, shapes.Sequence(kind, fields))


ATTRIBUTE_REFERENCE = _reference(AttributeDescriptor, "attribute_id")
METHOD_REFERENCE = _reference(MethodDescriptor, "method_id")
SELECTION = record(SelectiveAccess, (("selector", UNSIGNED8), ("parameters", DATA)))
OPTIONAL_SELECTION = optional(SELECTION)


@frozen
class AttributeItem:
    """Cosem-Attribute-Descriptor-With-Selection."""

    descriptor: Annotated[AttributeDescriptor, ATTRIBUTE_REFERENCE]
    selection: Annotated[SelectiveAccess | None, OPTIONAL_SELECTION] = None


@frozen
class Block:
    """DataBlock-SA and DataBlock of SET and ACTION: raw octets of something larger; may be a secret and is not shown."""

    last_block: Annotated[bool, BOOLEAN]
    block_number: Annotated[int, UNSIGNED32]
    raw_data: Annotated[bytes, OCTETS]

    def __repr__(self) -> str:
        return f"Block(last_block={self.last_block}, block_number={self.block_number}, {len(self.raw_data)} octets)"


DATA_ACCESS_RESULT = enumerated(DataAccessResult)
GET_DATA_RESULT = choice({0: (Data, DATA), 1: (DataAccessResult, DATA_ACCESS_RESULT)})
OPTIONAL_GET_DATA_RESULT = optional(GET_DATA_RESULT)
ACTION_RESULT = enumerated(ActionResult)


@frozen
class ActionResponse:
    """Action-Response-With-Optional-Data."""

    result: Annotated[ActionResult, ACTION_RESULT]
    return_parameters: Annotated[Data | DataAccessResult | None, OPTIONAL_GET_DATA_RESULT] = None


def _read_date_time(reader: Reader) -> CosemDateTime:
    start = reader.offset
    octets = reader.counted()
    if len(octets) != 12:
        raise DecodeError("a date-time of 12 octets", f"{len(octets)} octets", start)
    return CosemDateTime.decode(octets)


def _read_event_time(reader: Reader) -> CosemDateTime:
    """As `_read_date_time`; meters that write a Data instead put the tag of an octet-string in front of the 12 octets."""
    if reader.remaining and reader.octets[reader.offset] == DataTag.OCTET_STRING:
        reader.u8()
    return _read_date_time(reader)


def _write_date_time(out: bytearray, value: CosemDateTime) -> None:
    _write_octets(out, value.encode())


def _read_date_time_or_nothing(reader: Reader) -> CosemDateTime | None:
    """Empty, or 12 octets; meters in the field also put the tag of an octet-string in front, which no length can be."""
    if reader.remaining and reader.octets[reader.offset] == 0:
        reader.u8()
        return None
    if reader.remaining and reader.octets[reader.offset] == DataTag.OCTET_STRING:
        reader.u8()
    return _read_date_time(reader)


def _write_date_time_or_nothing(out: bytearray, value: CosemDateTime | None) -> None:
    _write_octets(out, b"" if value is None else value.encode())


def _read_conformance(reader: Reader) -> Conformance:
    """[APPLICATION 31] in BER; some peers write its tag in the one octet 5F, which the standard tolerates."""
    if reader.u8() != 0x5F:
        raise DecodeError("the tag 5F1F of the conformance block", offset=reader.offset - 1)
    if reader.remaining and reader.octets[reader.offset] == 0x1F:
        reader.u8()
    start = reader.offset
    if reader.take(2) != b"\x04\x00":
        raise DecodeError("a bit string of 24 bits", offset=start)
    return Conformance(int.from_bytes(reader.take(3), "big"))


def _write_conformance(out: bytearray, value: Conformance) -> None:
    out += b"\x5f\x1f\x04\x00"
    out += value.to_bytes(3, "big")


Boolean = Annotated[bool, BOOLEAN]
BooleanDefaultTrue = Annotated[bool, optional(BOOLEAN, True)]
Unsigned8 = Annotated[int, UNSIGNED8]
Unsigned16 = Annotated[int, UNSIGNED16]
Unsigned32 = Annotated[int, UNSIGNED32]
OptionalInteger8 = Annotated[int | None, optional(INTEGER8)]
InvokeIdAndPriority = Annotated[int, UNSIGNED8]
LongInvokeIdAndPriority = Annotated[int, UNSIGNED32]
Octets = Annotated[bytes, OCTETS]
OptionalOctets = Annotated[bytes | None, optional(OCTETS)]
DataValue = Annotated[Data, DATA]
DataValues = Annotated[tuple[Data, ...], sequence_of(DATA)]
OptionalData = Annotated[Data | None, optional(DATA)]
AttributeReference = Annotated[AttributeDescriptor, ATTRIBUTE_REFERENCE]
AttributeItems = Annotated[tuple[AttributeItem, ...], sequence_of(sequence(AttributeItem))]
MethodReference = Annotated[MethodDescriptor, METHOD_REFERENCE]
MethodReferences = Annotated[tuple[MethodDescriptor, ...], sequence_of(METHOD_REFERENCE)]
Selection = Annotated[SelectiveAccess, SELECTION]
OptionalSelection = Annotated[SelectiveAccess | None, OPTIONAL_SELECTION]
DataBlock = Annotated[Block, sequence(Block)]
GetDataResult = Annotated[Data | DataAccessResult, GET_DATA_RESULT]
GetDataResults = Annotated[tuple[Data | DataAccessResult, ...], sequence_of(GET_DATA_RESULT)]
OptionalGetDataResult = Annotated[Data | DataAccessResult | None, OPTIONAL_GET_DATA_RESULT]
RawDataResult = Annotated[
    bytes | DataAccessResult, choice({0: (bytes, OCTETS), 1: (DataAccessResult, DATA_ACCESS_RESULT)})
]
DataAccessResultCode = Annotated[DataAccessResult, DATA_ACCESS_RESULT]
DataAccessResults = Annotated[tuple[DataAccessResult, ...], sequence_of(DATA_ACCESS_RESULT)]
ActionResultCode = Annotated[ActionResult, ACTION_RESULT]
ActionResponses = Annotated[tuple[ActionResponse, ...], sequence_of(sequence(ActionResponse))]
ConformanceBlock = Annotated[Conformance, Codec(_read_conformance, _write_conformance, 6)]
DateTimeOrNothing = Annotated[CosemDateTime | None, Codec(_read_date_time_or_nothing, _write_date_time_or_nothing)]
OptionalEventTime = Annotated[
    CosemDateTime | None,
    optional(Codec(_read_event_time, _write_date_time, 13), tolerated=DataTag.OCTET_STRING),
]
ConfirmedServiceCode = Annotated[ConfirmedService, enumerated(ConfirmedService)]
ErrorClassCode = Annotated[ErrorClass, enumerated(ErrorClass)]
