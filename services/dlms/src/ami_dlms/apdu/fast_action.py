"""ACTION of one method, decoded and encoded in one step: so the proof of HLS goes that every association opens with, and every control.

The same rule as in `fast_get`: what is not the plainest form, errors included, gives None, and the general path decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import Struct
from struct import error as StructError
from typing import Any

from ami_dlms import data
from ami_dlms.apdu.action import ActionRequestNormal, ActionResponseNormal
from ami_dlms.cosem.descriptors import MethodDescriptor
from ami_dlms.data import Data
from ami_dlms.data.decoding import Room, read_items
from ami_dlms.enums import ActionResult
from ami_dlms.errors import DecodeError
from ami_dlms.obis import Obis

_REQUEST = Struct(">HBH6sbB")
_METHOD = Struct(">H6sb")
_RESPONSE = Struct(">HBBB")
_ACTION_REQUEST_NORMAL, _ACTION_RESPONSE_NORMAL = 0xC301, 0xC701
ACTION_REQUEST_NORMAL, ACTION_RESPONSE_NORMAL = (
    tag.to_bytes(2, "big") for tag in (_ACTION_REQUEST_NORMAL, _ACTION_RESPONSE_NORMAL)
)
_INVOKE, _RESULT, _RETURNED, _CHOICE = 2, 3, 4, 5
_RESULTS = {int(one): one for one in ActionResult}
_ABSENT, _PRESENT, _DATA = 0, 1, 0


def _request(octets: bytes) -> ActionRequestNormal | None:
    size = _REQUEST.size
    if len(octets) < size or octets[size - 1] > _PRESENT:
        return None
    parameters = None
    if octets[size - 1] == _PRESENT:
        if (parameters := _only_value(octets, size)) is None:
            return None
    elif len(octets) != size:
        return None
    class_id, name, method_id = _METHOD.unpack_from(octets, _INVOKE + 1)
    return ActionRequestNormal(octets[_INVOKE], MethodDescriptor(class_id, Obis(name), method_id), parameters)


def _response(octets: bytes) -> ActionResponseNormal | None:
    size = _RESPONSE.size
    result = _RESULTS.get(octets[_RESULT]) if len(octets) >= size else None
    if result is None:
        return None
    if octets[_RETURNED] == _ABSENT:
        return ActionResponseNormal(octets[_INVOKE], result) if len(octets) == size else None
    if octets[_RETURNED] != _PRESENT or octets[_CHOICE : _CHOICE + 1] != bytes((_DATA,)):
        return None
    value = _only_value(octets, _CHOICE + 1)
    return None if value is None else ActionResponseNormal(octets[_INVOKE], result, value)


def _only_value(octets: bytes, start: int) -> Data | None:
    """The value from here to the end."""
    try:
        (value,), end = read_items(octets, start, 1, Room())
    except (DecodeError, IndexError, StructError):
        return None
    return value if end == len(octets) else None


def _encode_request(message: ActionRequestNormal) -> bytes | None:
    method, parameters = message.descriptor, message.parameters
    head = _REQUEST.pack(
        _ACTION_REQUEST_NORMAL,
        message.invoke_id_and_priority,
        method.class_id,
        method.instance_id,
        method.method_id,
        _ABSENT if parameters is None else _PRESENT,
    )
    if parameters is None:
        return head
    out = bytearray(head)
    data.write(out, parameters)
    return bytes(out)


def _encode_response(message: ActionResponseNormal) -> bytes | None:
    returned = message.return_parameters
    if type(message.result) is not ActionResult or (returned is not None and type(returned) is not Data):
        return None
    present = _ABSENT if returned is None else _PRESENT
    head = _RESPONSE.pack(_ACTION_RESPONSE_NORMAL, message.invoke_id_and_priority, message.result, present)
    if returned is None:
        return head
    out = bytearray(head)
    out.append(_DATA)
    data.write(out, returned)
    return bytes(out)


# As in `fast_get`: by the first two octets, and by the type.
FAST_DECODERS: Mapping[bytes, Callable[[bytes], ActionRequestNormal | ActionResponseNormal | None]] = {
    ACTION_REQUEST_NORMAL: _request,
    ACTION_RESPONSE_NORMAL: _response,
}
FAST_ENCODERS: Mapping[type, Callable[[Any], bytes | None]] = {
    ActionRequestNormal: _encode_request,
    ActionResponseNormal: _encode_response,
}
