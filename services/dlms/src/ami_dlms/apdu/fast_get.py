"""The APDUs that a head-end and a meter see most, each decoded and encoded in one step: GET of one attribute and of a short list.

The fast path takes only the plainest form: a single attribute without selection, and for it a response with data; of a list also the
selections. For everything else, errors included, it gives None and the general path decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from struct import Struct
from struct import error as StructError
from typing import Any

from ami_dlms import data
from ami_dlms.apdu.fields import AttributeItem
from ami_dlms.apdu.get import GetRequestNormal, GetRequestWithList, GetResponseNormal, GetResponseWithList
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.selection import SelectiveAccess
from ami_dlms.cursor import Reader
from ami_dlms.data import Data, EncodedItems
from ami_dlms.data.decoding import READERS, Room, read_items
from ami_dlms.data.types import FORMATS
from ami_dlms.enums import DataAccessResult, DataTag
from ami_dlms.errors import DecodeError
from ami_dlms.obis import Obis

_REQUEST = Struct(">HBH6sbB")
_REQUESTED = Struct(">H6sb")
_RESPONSE = Struct(">HBB")
_ITEM = Struct(">H6sbB")
_SELECTED_ITEM = Struct(">H6sbBB")
_LIST = Struct(">HBB")
_GET_REQUEST_NORMAL, _GET_RESPONSE_NORMAL = 0xC001, 0xC401
_GET_REQUEST_WITH_LIST, _GET_RESPONSE_WITH_LIST = 0xC003, 0xC403
_PACKED = {tag: Struct(">HBBB" + layout).pack for tag, layout in FORMATS.items()}
_DESCRIPTOR, _SELECTION_FLAG, _CHOICE, _DATA = 3, 12, 3, 4
KNOWN_DESCRIPTORS = 4096
KNOWN_LISTS, _MOST_REMEMBERED = 256, 1024
"""Lists of items that are remembered, and how many octets one of them may have."""
GetResults = tuple[Data | DataAccessResult, ...]
GET_REQUEST_NORMAL, GET_RESPONSE_NORMAL = (
    tag.to_bytes(2, "big") for tag in (_GET_REQUEST_NORMAL, _GET_RESPONSE_NORMAL)
)
GET_REQUEST_WITH_LIST, GET_RESPONSE_WITH_LIST = (
    tag.to_bytes(2, "big") for tag in (_GET_REQUEST_WITH_LIST, _GET_RESPONSE_WITH_LIST)
)
REQUEST_SIZE = _REQUEST.size
_COUNT = 3
_MOST_IN_A_LIST = 0x7F
"""Items whose number takes one octet."""
_MOST_OCTETS = 4096
"""Of a response with a list: it has not as many elements as would have to be counted."""
_RESULTS = {int(one): one for one in DataAccessResult}
_DATA_CHOICE, _RESULT_CHOICE = 0, 1


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
    try:
        return _encoded_array(octets, _DATA + 1)
    except DecodeError:
        return None


def _get_request_with_list(octets: bytes) -> GetRequestWithList | None:
    if len(octets) <= _COUNT:
        return None
    asked = octets[_COUNT:]
    items = _remembered_items(asked) if len(asked) <= _MOST_REMEMBERED else _items(asked)
    return None if items is None else GetRequestWithList(octets[2], items)


def _items(octets: bytes) -> tuple[AttributeItem, ...] | None:
    """The items of a list, from their number on."""
    count, start, end, room = octets[0], 1, len(octets), Room()
    if count > _MOST_IN_A_LIST:
        return None
    items = []
    try:
        for _ in range(count):
            flag = start + _REQUESTED.size
            descriptor = _descriptor(octets[start:flag])
            selection, start = None, flag + 1
            if octets[flag] == 1:
                (parameters,), start = read_items(octets, flag + 2, 1, room)
                selection = SelectiveAccess(octets[flag + 1], parameters)
            elif octets[flag]:
                return None
            items.append(AttributeItem(descriptor, selection))
    except (DecodeError, IndexError, StructError):
        return None
    return tuple(items) if start == end else None


_remembered_items = lru_cache(maxsize=KNOWN_LISTS)(_items)
"""Clients ask meters of one kind for the same lists, whatever their invoke ids are."""


def _get_response_with_list(octets: bytes) -> GetResponseWithList | None:
    if len(octets) > _MOST_OCTETS:
        return None
    results = _results(octets[_COUNT:], encoded_last=False)
    return GetResponseWithList(octets[2], results) if results else None


def results_in(octets: bytes) -> GetResults | None:
    """The results of a response with a list, the elements of an array at its end as they came."""
    return results_with_array(octets[_COUNT:])


def results_with_array(octets: bytes) -> GetResults | None:
    """The same of what the response carries, from the number of its results on; None where the general path has to decide."""
    return _results(octets, encoded_last=True)


def _results(octets: bytes, *, encoded_last: bool) -> GetResults | None:
    count, end = octets[0] if octets else 0, len(octets)
    if not 0 < count <= _MOST_IN_A_LIST:
        return None
    results: list[Data | DataAccessResult] = []
    offset, room = 1, Room()
    try:
        for left in range(count - 1, -1, -1):
            choice, octet = octets[offset], octets[offset + 1]
            if choice == _RESULT_CHOICE:
                results.append(_RESULTS[octet])
                offset += 2
                continue
            if choice != _DATA_CHOICE:
                return None
            tag, unpack_from, size, _ = READERS[octet]
            if size:  # a number, as registers have
                results.append(Data(tag, unpack_from(octets, offset + 2)[0]))
                offset += 1 + size
            elif encoded_last and not left and octet == DataTag.ARRAY:
                results.append(_encoded_array(octets, offset + 2))
                offset = end
            else:
                (value,), offset = read_items(octets, offset + 1, 1, room)
                results.append(value)
    except (DecodeError, IndexError, KeyError, StructError):
        return None
    return tuple(results) if offset == end else None


def _encoded_array(octets: bytes, start: int) -> Data:
    """The array whose number of elements begins there, and which ends with the octets."""
    reader = Reader(octets, start)
    length = reader.length()
    return Data(DataTag.ARRAY, EncodedItems(length, octets[reader.offset :]))


def _encode_get_request_with_list(message: GetRequestWithList) -> bytes | None:
    items = message.items
    if len(items) > _MOST_IN_A_LIST:
        return None
    out = bytearray(_LIST.pack(_GET_REQUEST_WITH_LIST, message.invoke_id_and_priority, len(items)))
    pack, pack_selected = _ITEM.pack, _SELECTED_ITEM.pack
    for item in items:
        one, selection = item.descriptor, item.selection
        if selection is None:
            out += pack(one.class_id, one.instance_id, one.attribute_id, 0)
        else:
            out += pack_selected(one.class_id, one.instance_id, one.attribute_id, 1, selection.selector)
            data.write(out, selection.parameters)
    return bytes(out)


def _encode_get_response_with_list(message: GetResponseWithList) -> bytes | None:
    results = message.results
    if len(results) > _MOST_IN_A_LIST:
        return None
    out = bytearray(_LIST.pack(_GET_RESPONSE_WITH_LIST, message.invoke_id_and_priority, len(results)))
    for result in results:
        if type(result) is not Data:
            return None
        out.append(_DATA_CHOICE)
        data.write(out, result)
    return bytes(out)


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


Get = GetRequestNormal | GetResponseNormal | GetRequestWithList | GetResponseWithList
# By the first two octets.
FAST_DECODERS: Mapping[bytes, Callable[[bytes], Get | None]] = {
    GET_REQUEST_NORMAL: _get_request_normal,
    GET_RESPONSE_NORMAL: _get_response_normal,
    GET_REQUEST_WITH_LIST: _get_request_with_list,
    GET_RESPONSE_WITH_LIST: _get_response_with_list,
}
# By the type; numbers that do not fit show as on the general path.
FAST_ENCODERS: Mapping[type, Callable[[Any], bytes | None]] = {
    GetRequestNormal: _encode_get_request_normal,
    GetResponseNormal: _encode_get_response_normal,
    GetRequestWithList: _encode_get_request_with_list,
    GetResponseWithList: _encode_get_response_with_list,
}
