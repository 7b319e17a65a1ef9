"""The two APDUs that a head-end and a meter see most, decoded in one step each.

A shortcut takes only the plainest form; for everything else, errors included, it gives None and the general road decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import Struct

from dlms import data
from dlms.apdu.get import GetRequestNormal, GetResponseNormal
from dlms.cosem.descriptors import AttributeDescriptor
from dlms.cursor import Reader
from dlms.errors import DecodeError
from dlms.obis import Obis

_REQUEST = Struct(">xxBH6sbx")
_SELECTION_FLAG, _CHOICE, _DATA = 12, 3, 4


def _get_request_normal(octets: bytes) -> GetRequestNormal | None:
    """Without selection: always 13 octets."""
    if len(octets) != _REQUEST.size or octets[_SELECTION_FLAG]:
        return None
    invoke_id_and_priority, class_id, name, attribute_id = _REQUEST.unpack(octets)
    descriptor = AttributeDescriptor(class_id, bytes.__new__(Obis, name), attribute_id)
    return GetRequestNormal(invoke_id_and_priority, descriptor)


def _get_response_normal(octets: bytes) -> GetResponseNormal | None:
    """With data."""
    if len(octets) <= _DATA or octets[_CHOICE]:
        return None
    reader = Reader(octets, _DATA)
    try:
        value = data.read(reader)
    except DecodeError:
        return None
    return None if reader.remaining else GetResponseNormal(octets[2], value)


SHORTCUTS: Mapping[bytes, Callable[[bytes], GetRequestNormal | GetResponseNormal | None]] = {
    b"\xc0\x01": _get_request_normal,
    b"\xc4\x01": _get_response_normal,
}
