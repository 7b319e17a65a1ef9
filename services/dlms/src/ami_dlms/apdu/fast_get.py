"""The two APDUs that a head-end and a meter see most, each decoded and encoded in one step.

The fast path takes only the plainest form: GET of one attribute without selection, and a response with data. For everything
else, errors included, it gives None and the general path decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from struct import Struct
from struct import error as StructError
from typing import Any

from ami_dlms import data
from ami_dlms.apdu.get import GetRequestNormal, GetResponseNormal
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cursor import Reader
from ami_dlms.data import Data, EncodedItems
from ami_dlms.data.decoding import READERS, Room, read_items
from ami_dlms.data.types import FORMATS
from ami_dlms.enums import DataTag
from ami_dlms.errors import DecodeError
from ami_dlms.obis import Obis

_REQUEST = Struct(">HBH6sbB")
_REQUESTED = Struct(">H6sb")
_RESPONSE = Struct(">HBB")
_GET_REQUEST_NORMAL, _GET_RESPONSE_NORMAL = 0xC001, 0xC401
_PACKED = {tag: Struct(">HBBB" + layout).pack for tag, layout in FORMATS.items()}
_DESCRIPTOR, _SELECTION_FLAG, _CHOICE, _DATA = 3, 12, 3, 4
KNOWN_DESCRIPTORS = 4096
GET_REQUEST_NORMAL, GET_RESPONSE_NORMAL = (
    tag.to_bytes(2, "big") for tag in (_GET_REQUEST_NORMAL, _GET_RESPONSE_NORMAL)
)
REQUEST_SIZE = _REQUEST.size


def request_for(invoke_id_and_priority: int, descriptor: AttributeDescriptor) -> bytes:
    """A request without selection; StructError when a number does not fit."""
    class_id, instance_id, attribute_id = descriptor.class_id, descriptor.instance_id, descriptor.attribute_id
    return _REQUEST.pack(_GET_REQUEST_NORMAL, invoke_id_and_priority, class_id, instance_id, attribute_id, 0)


def asked_in(octets: bytes) -> tuple[int, AttributeDescriptor] | None:
    """Invoke-id-and-priority and attribute of a request without selection: always 13 octets."""
    if len(octets) != REQUEST_SIZE or octets[_SELECTION_FLAG]:
        return None
    return octets[2], _descriptor(octets[_DESCRIPTOR:_SELECTION_FLAG])


@lru_cache(maxsize=KNOWN_DESCRIPTORS)
def _descriptor(octets: bytes) -> AttributeDescriptor:
    """Clients ask for the same attributes again and again."""
    class_id, name, attribute_id = _REQUESTED.unpack(octets)
    return AttributeDescriptor(class_id, Obis(name), attribute_id)


def response_with(invoke_id_and_priority: int, value: Data) -> bytes:
    """A response with data; StructError when a number does not fit."""
    tag, content = value
    pack = _PACKED.get(tag)
    if pack is not None:
        return pack(_GET_RESPONSE_NORMAL, invoke_id_and_priority, 0, tag, content)
    out = bytearray(_RESPONSE.pack(_GET_RESPONSE_NORMAL, invoke_id_and_priority, 0))
    data.write(out, value)
    return bytes(out)


def value_in(octets: bytes) -> Data | None:
    """The data of a response."""
    if len(octets) <= _DATA or octets[_CHOICE]:
        return None
    tag, unpack_from, size, _ = READERS[octets[_DATA]]
    if size:  # a number, as registers have
        whole = len(octets) == _DATA + size
        return Data(tag, unpack_from(octets, _DATA + 1)[0]) if whole else None
    try:
        (value,), end = read_items(octets, _DATA, 1, Room())
    except (DecodeError, IndexError, StructError):
        return None
    return value if end == len(octets) else None


def encoded_array_in(octets: bytes) -> Data | None:
    """The array of a response, its elements as they came; None for everything else."""
    if len(octets) <= _DATA + 1 or octets[_CHOICE] or octets[_DATA] != DataTag.ARRAY:
        return None
    reader = Reader(octets, _DATA + 1)
    try:
        length = reader.length()
    except DecodeError:
        return None
    return Data(DataTag.ARRAY, EncodedItems(length, octets[reader.offset :]))


def _get_request_normal(octets: bytes) -> GetRequestNormal | None:
    asked = asked_in(octets)
    return None if asked is None else GetRequestNormal(*asked)


def _get_response_normal(octets: bytes) -> GetResponseNormal | None:
    value = value_in(octets)
    return None if value is None else GetResponseNormal(octets[2], value)


def _encode_get_request_normal(message: GetRequestNormal) -> bytes | None:
    if message.selection is not None:
        return None
    return request_for(message.invoke_id_and_priority, message.descriptor)


def _encode_get_response_normal(message: GetResponseNormal) -> bytes | None:
    if type(message.result) is not Data:
        return None
    return response_with(message.invoke_id_and_priority, message.result)


# By the first two octets.
FAST_DECODERS: Mapping[bytes, Callable[[bytes], GetRequestNormal | GetResponseNormal | None]] = {
    GET_REQUEST_NORMAL: _get_request_normal,
    GET_RESPONSE_NORMAL: _get_response_normal,
}
# By the type; numbers that do not fit show as on the general path.
FAST_ENCODERS: Mapping[type, Callable[[Any], bytes | None]] = {
    GetRequestNormal: _encode_get_request_normal,
    GetResponseNormal: _encode_get_response_normal,
}
