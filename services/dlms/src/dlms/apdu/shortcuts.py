"""The two APDUs that a head-end and a meter see most, each decoded and encoded in one step.

A shortcut takes only the plainest form; for everything else, errors included, it gives None and the general road decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import Struct
from struct import error as StructError
from typing import Any

from dlms import data
from dlms.apdu.get import GetRequestNormal, GetResponseNormal
from dlms.cosem.descriptors import AttributeDescriptor
from dlms.data import Data
from dlms.data.decoding import read_items
from dlms.errors import DecodeError
from dlms.obis import Obis

_REQUEST = Struct(">HBH6sbB")
_RESPONSE = Struct(">HBB")
_GET_REQUEST_NORMAL, _GET_RESPONSE_NORMAL = 0xC001, 0xC401
_SELECTION_FLAG, _CHOICE, _DATA = 12, 3, 4


def _get_request_normal(octets: bytes) -> GetRequestNormal | None:
    """Without selection: always 13 octets."""
    if len(octets) != _REQUEST.size or octets[_SELECTION_FLAG]:
        return None
    _, invoke_id_and_priority, class_id, name, attribute_id, _ = _REQUEST.unpack(octets)
    descriptor = AttributeDescriptor(class_id, bytes.__new__(Obis, name), attribute_id)
    return GetRequestNormal(invoke_id_and_priority, descriptor)


def _get_response_normal(octets: bytes) -> GetResponseNormal | None:
    """With data."""
    if len(octets) <= _DATA or octets[_CHOICE]:
        return None
    try:
        (value,), end = read_items(octets, _DATA, 1, 0)
    except (DecodeError, IndexError, StructError):
        return None
    return GetResponseNormal(octets[2], value) if end == len(octets) else None


def _encode_get_request_normal(message: GetRequestNormal) -> bytes | None:
    """Without selection."""
    if message.selection is not None:
        return None
    descriptor = message.descriptor
    return _REQUEST.pack(
        _GET_REQUEST_NORMAL,
        message.invoke_id_and_priority,
        descriptor.class_id,
        descriptor.instance_id,
        descriptor.attribute_id,
        0,
    )


def _encode_get_response_normal(message: GetResponseNormal) -> bytes | None:
    """With data."""
    if type(message.result) is not Data:
        return None
    out = bytearray(_RESPONSE.pack(_GET_RESPONSE_NORMAL, message.invoke_id_and_priority, 0))
    data.write(out, message.result)
    return bytes(out)


# By the first two octets.
SHORTCUTS: Mapping[bytes, Callable[[bytes], GetRequestNormal | GetResponseNormal | None]] = {
    _GET_REQUEST_NORMAL.to_bytes(2, "big"): _get_request_normal,
    _GET_RESPONSE_NORMAL.to_bytes(2, "big"): _get_response_normal,
}
# By the type; numbers that do not fit show as on the general road.
ENCODING_SHORTCUTS: Mapping[type, Callable[[Any], bytes | None]] = {
    GetRequestNormal: _encode_get_request_normal,
    GetResponseNormal: _encode_get_response_normal,
}
