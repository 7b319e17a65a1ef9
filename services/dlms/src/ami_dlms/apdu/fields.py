"""The fields that xDLMS APDUs have in common, under the names of the ASN.1 (IEC 62056-5-3): a type and how it is encoded."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from struct import Struct
from typing import Annotated, Any, TypeVar

from ami_dlms.apdu.codec import (
    BOOLEAN,
    DATA,
    INTEGER8,
    LOGICAL_NAME,
    OCTETS,
    UNSIGNED8,
    UNSIGNED16,
    UNSIGNED32,
    Choice,
    Codec,
    Enumerated,
    Optional,
    Sequence,
    SequenceOf,
    codec,
    derived,
    sequence,
)
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.cosem.selection import SelectiveAccess
from ami_dlms.cursor import Reader
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
from ami_dlms.errors import DecodeError
from ami_dlms.frozen import frozen
from ami_dlms.obis import Obis

T = TypeVar("T")
_REFERENCE = Struct(">H6sb")
_REFERENCE_SIZE, _pack_reference, _unpack_reference_from = _REFERENCE.size, _REFERENCE.pack, _REFERENCE.unpack_from
_REFERENCE_EXPECTED = f"{_REFERENCE_SIZE} octets of class, instance, id"
_new_bytes = bytes.__new__  # for an Obis: the layout has made sure of six octets


@codec
class Reference(Sequence[T]):
    """Cosem-Attribute-Descriptor or Cosem-Method-Descriptor: class, instance, and the number of the attribute or method.

    They are in every request, so all three fields are packed and unpacked in one step.
    """

    _values: Callable[[T], tuple[Any, ...]] = derived()

    def __post_init__(self) -> None:
        Sequence.__post_init__(self)
        object.__setattr__(self, "_values", attrgetter(*[name for name, _ in self.fields]))

    def read(self, reader: Reader) -> T:
        start = reader.need(_REFERENCE_SIZE, _REFERENCE_EXPECTED)
        class_id, name, number = _unpack_reference_from(reader.octets, start)
        return self.kind(class_id, _new_bytes(Obis, name), number)

    def write(self, out: bytearray, value: T) -> None:
        out += _pack_reference(*self._values(value))


_CLASS_AND_INSTANCE = (("class_id", UNSIGNED16), ("instance_id", LOGICAL_NAME))
ATTRIBUTE_REFERENCE = Reference(AttributeDescriptor, (*_CLASS_AND_INSTANCE, ("attribute_id", INTEGER8)))
METHOD_REFERENCE = Reference(MethodDescriptor, (*_CLASS_AND_INSTANCE, ("method_id", INTEGER8)))
SELECTION = Sequence(SelectiveAccess, (("selector", UNSIGNED8), ("parameters", DATA)))
OPTIONAL_SELECTION = Optional(SELECTION)


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


DATA_ACCESS_RESULT = Enumerated(DataAccessResult)
GET_DATA_RESULT = Choice({0: (Data, DATA), 1: (DataAccessResult, DATA_ACCESS_RESULT)})
OPTIONAL_GET_DATA_RESULT = Optional(GET_DATA_RESULT)
ACTION_RESULT = Enumerated(ActionResult)


@frozen
class ActionResponse:
    """Action-Response-With-Optional-Data."""

    result: Annotated[ActionResult, ACTION_RESULT]
    return_parameters: Annotated[Data | DataAccessResult | None, OPTIONAL_GET_DATA_RESULT] = None


class DateTime(Codec[CosemDateTime]):
    """date-time as an OCTET STRING of 12."""

    __slots__ = ()
    smallest = 13

    def read(self, reader: Reader) -> CosemDateTime:
        start = reader.offset
        octets = reader.counted()
        if len(octets) != 12:
            raise DecodeError("a date-time of 12 octets", f"{len(octets)} octets", start)
        return CosemDateTime.decode(octets)

    def write(self, out: bytearray, value: CosemDateTime) -> None:
        OCTETS.write(out, value.encode())


DATE_TIME = DateTime()


class TaggedDateTime(Codec[CosemDateTime]):
    """The same; meters that write a Data instead put the tag of an octet-string in front of the 12 octets."""

    __slots__ = ()
    smallest = 13

    def read(self, reader: Reader) -> CosemDateTime:
        _skip(reader, DataTag.OCTET_STRING)
        return DATE_TIME.read(reader)

    def write(self, out: bytearray, value: CosemDateTime) -> None:
        DATE_TIME.write(out, value)


class DateTimeOrEmpty(Codec[CosemDateTime | None]):
    """Empty, or 12 octets; meters in the field also put the tag of an octet-string in front, which no length can be."""

    __slots__ = ()

    def read(self, reader: Reader) -> CosemDateTime | None:
        return None if _skip(reader, 0) else TAGGED_DATE_TIME.read(reader)

    def write(self, out: bytearray, value: CosemDateTime | None) -> None:
        OCTETS.write(out, b"" if value is None else value.encode())


TAGGED_DATE_TIME = TaggedDateTime()


def _skip(reader: Reader, octet: int) -> bool:
    """Whether this octet comes next; then it is read."""
    found = reader.remaining > 0 and reader.octets[reader.offset] == octet
    if found:
        reader.u8()
    return found


class ConformanceBits(Codec[Conformance]):
    """[APPLICATION 31] in BER; some peers write its tag in the one octet 5F, which the standard tolerates."""

    __slots__ = ()
    smallest = 6

    def read(self, reader: Reader) -> Conformance:
        if reader.u8() != 0x5F:
            raise DecodeError("the tag 5F1F of the conformance block", offset=reader.offset - 1)
        _skip(reader, 0x1F)
        start = reader.offset
        if reader.take(2) != b"\x04\x00":
            raise DecodeError("a bit string of 24 bits", offset=start)
        return Conformance(int.from_bytes(reader.take(3), "big"))

    def write(self, out: bytearray, value: Conformance) -> None:
        out += b"\x5f\x1f\x04\x00"
        out += value.to_bytes(3, "big")


Boolean = Annotated[bool, BOOLEAN]
BooleanDefaultTrue = Annotated[bool, Optional(BOOLEAN, True)]
Unsigned8 = Annotated[int, UNSIGNED8]
Unsigned16 = Annotated[int, UNSIGNED16]
Unsigned32 = Annotated[int, UNSIGNED32]
OptionalInteger8 = Annotated[int | None, Optional(INTEGER8)]
InvokeIdAndPriority = Annotated[int, UNSIGNED8]
LongInvokeIdAndPriority = Annotated[int, UNSIGNED32]
Octets = Annotated[bytes, OCTETS]
OptionalOctets = Annotated[bytes | None, Optional(OCTETS)]
DataValue = Annotated[Data, DATA]
DataValues = Annotated[tuple[Data, ...], SequenceOf(DATA)]
OptionalData = Annotated[Data | None, Optional(DATA)]
AttributeReference = Annotated[AttributeDescriptor, ATTRIBUTE_REFERENCE]
AttributeItems = Annotated[tuple[AttributeItem, ...], SequenceOf(sequence(AttributeItem))]
MethodReference = Annotated[MethodDescriptor, METHOD_REFERENCE]
MethodReferences = Annotated[tuple[MethodDescriptor, ...], SequenceOf(METHOD_REFERENCE)]
Selection = Annotated[SelectiveAccess, SELECTION]
OptionalSelection = Annotated[SelectiveAccess | None, OPTIONAL_SELECTION]
DataBlock = Annotated[Block, sequence(Block)]
GetDataResult = Annotated[Data | DataAccessResult, GET_DATA_RESULT]
GetDataResults = Annotated[tuple[Data | DataAccessResult, ...], SequenceOf(GET_DATA_RESULT)]
OptionalGetDataResult = Annotated[Data | DataAccessResult | None, OPTIONAL_GET_DATA_RESULT]
RawDataResult = Annotated[
    bytes | DataAccessResult, Choice({0: (bytes, OCTETS), 1: (DataAccessResult, DATA_ACCESS_RESULT)})
]
DataAccessResultCode = Annotated[DataAccessResult, DATA_ACCESS_RESULT]
DataAccessResults = Annotated[tuple[DataAccessResult, ...], SequenceOf(DATA_ACCESS_RESULT)]
ActionResultCode = Annotated[ActionResult, ACTION_RESULT]
ActionResponses = Annotated[tuple[ActionResponse, ...], SequenceOf(sequence(ActionResponse))]
ConformanceBlock = Annotated[Conformance, ConformanceBits()]
DateTimeOrNothing = Annotated[CosemDateTime | None, DateTimeOrEmpty()]
OptionalEventTime = Annotated[
    CosemDateTime | None,
    Optional(TAGGED_DATE_TIME, tolerated=DataTag.OCTET_STRING),
]
ConfirmedServiceCode = Annotated[ConfirmedService, Enumerated(ConfirmedService)]
ErrorClassCode = Annotated[ErrorClass, Enumerated(ErrorClass)]
