"""Services of short name referencing (IEC 62056-5-3, clause 8): Read, Write, UnconfirmedWrite, InformationReport.

A variable is named by 16 bits: the base name of an object plus the offset of an attribute or method. The service has no
invoke id; long values travel in blocks that are variables of their own kind.
"""

from __future__ import annotations

from dataclasses import field
from typing import Annotated

from ami_dlms.apdu.codec import DATA, OCTETS, UNSIGNED16, Choice, Codec, Optional, SequenceOf, sequence
from ami_dlms.apdu.fields import (
    DATA_ACCESS_RESULT,
    Boolean,
    DataValue,
    DataValues,
    Octets,
    Unsigned8,
    Unsigned16,
)
from ami_dlms.cursor import Reader
from ami_dlms.data import Data
from ami_dlms.enums import DataAccessResult
from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.frozen import frozen


@frozen
class VariableName:
    """variable-name: an attribute, or a method without parameters; written as an unsigned number, 0xFA00 and not -1536."""

    name: Unsigned16


@frozen
class ParameterizedAccess:
    """Parameterized-Access: selective access to an attribute, or a method with its parameter, which may be a secret."""

    name: Unsigned16
    selector: Unsigned8
    parameter: DataValue = field(repr=False)


@frozen
class BlockNumberAccess:
    """Block-Number-Access: confirms this block of a ReadResponse and asks for the next one."""

    block_number: Unsigned16


@frozen
class ReadDataBlockAccess:
    """Read-Data-Block-Access: a block of a ReadRequest or WriteRequest that is too long for one APDU."""

    last_block: Boolean
    block_number: Unsigned16
    raw_data: Octets = field(repr=False)


@frozen
class WriteDataBlockAccess:
    """Write-Data-Block-Access: names the block in the list of data of a WriteRequest."""

    last_block: Boolean
    block_number: Unsigned16


@frozen
class DataBlockResult:
    """Data-Block-Result: a block of a result that is too long for one ReadResponse."""

    last_block: Boolean
    block_number: Unsigned16
    raw_data: Octets = field(repr=False)


VariableAccess = VariableName | ParameterizedAccess | BlockNumberAccess | ReadDataBlockAccess | WriteDataBlockAccess
ReadResult = Data | DataAccessResult | DataBlockResult | int
WriteResult = DataAccessResult | int

_ACCESS = Choice(
    {
        2: (VariableName, sequence(VariableName)),
        4: (ParameterizedAccess, sequence(ParameterizedAccess)),
        5: (BlockNumberAccess, sequence(BlockNumberAccess)),
        6: (ReadDataBlockAccess, sequence(ReadDataBlockAccess)),
        7: (WriteDataBlockAccess, sequence(WriteDataBlockAccess)),
    }
)
_READ_RESULT = Choice(
    {
        0: (Data, DATA),
        1: (DataAccessResult, DATA_ACCESS_RESULT),
        2: (DataBlockResult, sequence(DataBlockResult)),
        3: (int, UNSIGNED16),
    }
)


class WriteResultChoice(Codec[WriteResult]):
    """The CHOICE of a WriteResponse, in which success has no value."""

    __slots__ = ()

    def read(self, reader: Reader) -> WriteResult:
        kind = reader.u8()
        if kind == 0:
            return DataAccessResult.SUCCESS
        if kind == 1:
            return DATA_ACCESS_RESULT.read(reader)
        if kind == 2:
            return reader.u16()
        raise DecodeError("a choice of [0, 1, 2]", str(kind), reader.offset - 1)

    def write(self, out: bytearray, value: WriteResult) -> None:
        if not isinstance(value, DataAccessResult):
            out.append(2)
            UNSIGNED16.write(out, value)
        elif value is DataAccessResult.SUCCESS:
            out.append(0)
        else:
            out += bytes((1, value))


class GeneralizedTime(Codec[str]):
    """GeneralizedTime: a text in ASCII."""

    __slots__ = ()

    def read(self, reader: Reader) -> str:
        start = reader.offset
        octets = reader.counted()
        if not octets.isascii():
            raise DecodeError("a GeneralizedTime in ASCII", octets[:16].hex(), start)
        return octets.decode("ascii")

    def write(self, out: bytearray, value: str) -> None:
        if not value.isascii():
            raise LocalError("a GeneralizedTime is ASCII")
        OCTETS.write(out, value.encode("ascii"))


VariableAccesses = Annotated[tuple[VariableAccess, ...], SequenceOf(_ACCESS)]


@frozen
class ReadRequest:
    """ReadRequest: one variable or many."""

    variables: VariableAccesses


@frozen
class ReadResponse:
    """ReadResponse: a value or an error for each variable, or one block, or the number of a block that was taken."""

    results: Annotated[tuple[ReadResult, ...], SequenceOf(_READ_RESULT)]


@frozen
class WriteRequest:
    """WriteRequest: as many values as variables; they may be secrets and are not shown."""

    variables: VariableAccesses
    values: DataValues = field(repr=False)


@frozen
class WriteResponse:
    """WriteResponse: SUCCESS or an error for each variable, or the number of a block that was taken."""

    results: Annotated[tuple[WriteResult, ...], SequenceOf(WriteResultChoice())]


@frozen
class UnconfirmedWriteRequest:
    """UnconfirmedWriteRequest: a WriteRequest that is not answered."""

    variables: VariableAccesses
    values: DataValues = field(repr=False)


@frozen
class InformationReportRequest:
    """InformationReportRequest: values that the server sends unsolicited; the time as in ASN.1 GeneralizedTime."""

    current_time: Annotated[str | None, Optional(GeneralizedTime())]
    variables: VariableAccesses
    values: DataValues
