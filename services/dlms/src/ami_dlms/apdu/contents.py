"""What the blocks of a long transfer carry when they are put together: parts of APDUs, encoded on their own.

GET and SET of one attribute and ACTION of one method carry a Data. The lists carry their SEQUENCE OF, an ACTION's result is
carried with its code, and the blocks of short name services carry everything that follows the tag.
"""

from __future__ import annotations

from struct import error as StructError
from typing import Any

from ami_dlms.apdu import short_names
from ami_dlms.apdu.codec import DATA, Codec, SequenceOf, sequence
from ami_dlms.apdu.fields import GET_DATA_RESULT, ActionResponse
from ami_dlms.cursor import Reader
from ami_dlms.errors import LocalError

__all__ = [
    "ACTION_RESPONSE",
    "ACTION_RESPONSES",
    "GET_RESULTS",
    "READ_REQUEST",
    "READ_RESPONSE",
    "VALUE",
    "VALUES",
    "WRITE_REQUEST",
    "decode",
    "encode",
]

VALUE = DATA
VALUES = SequenceOf(DATA)
GET_RESULTS = SequenceOf(GET_DATA_RESULT)
ACTION_RESPONSE = sequence(ActionResponse)
ACTION_RESPONSES = SequenceOf(ACTION_RESPONSE)
READ_REQUEST = sequence(short_names.ReadRequest)
READ_RESPONSE = sequence(short_names.ReadResponse)
WRITE_REQUEST = sequence(short_names.WriteRequest)


def encode(codec: Codec[Any], value: Any) -> bytes:
    """Octets of a part; LocalError when a number does not fit its field."""
    out = bytearray()
    try:
        codec.write(out, value)
    except (StructError, OverflowError) as error:
        raise LocalError(f"a value does not fit its field ({error})") from None
    return bytes(out)


def decode(codec: Codec[Any], octets: bytes) -> Any:
    """The part that exactly these octets are; DecodeError for anything else."""
    reader = Reader(octets)
    value = codec.read(reader)
    reader.finish()
    return value
