"""Every xDLMS and ACSE APDU by its tag: `encode` and `decode` between dataclasses and octets (IEC 62056-5-3).

Where a service has several forms, the octet after the tag chooses; the table below is the whole of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache, partial
from struct import error as StructError
from typing import Any

from ami_dlms.apdu import (
    access,
    acse,
    action,
    blocks,
    ciphered,
    fast_action,
    fast_get,
    faults,
    get,
    initiate,
    notify,
    short_names,
)
from ami_dlms.apdu import set as set_service
from ami_dlms.apdu.acse_fields import ber_sequence
from ami_dlms.apdu.codec import OCTETS, Choice, Codec, Sequence, sequence
from ami_dlms.cursor import Reader
from ami_dlms.enums import ApduTag
from ami_dlms.errors import DecodeError, LocalError

__all__ = ["CODECS", "Apdu", "decode", "encode"]

Apdu = (
    acse.Aarq
    | acse.Aare
    | acse.Rlrq
    | acse.Rlre
    | initiate.InitiateRequest
    | initiate.InitiateResponse
    | get.GetRequestNormal
    | get.GetRequestNext
    | get.GetRequestWithList
    | get.GetResponseNormal
    | get.GetResponseWithDataBlock
    | get.GetResponseWithList
    | set_service.SetRequestNormal
    | set_service.SetRequestWithFirstDataBlock
    | set_service.SetRequestWithDataBlock
    | set_service.SetRequestWithList
    | set_service.SetRequestWithListAndFirstDataBlock
    | set_service.SetResponseNormal
    | set_service.SetResponseDataBlock
    | set_service.SetResponseLastDataBlock
    | set_service.SetResponseLastDataBlockWithList
    | set_service.SetResponseWithList
    | action.ActionRequestNormal
    | action.ActionRequestNextBlock
    | action.ActionRequestWithList
    | action.ActionRequestWithFirstBlock
    | action.ActionRequestWithListAndFirstBlock
    | action.ActionRequestWithBlock
    | action.ActionResponseNormal
    | action.ActionResponseWithBlock
    | action.ActionResponseWithList
    | action.ActionResponseNextBlock
    | notify.DataNotification
    | notify.DataNotificationConfirm
    | notify.EventNotificationRequest
    | access.AccessRequest
    | access.AccessResponse
    | short_names.ReadRequest
    | short_names.ReadResponse
    | short_names.WriteRequest
    | short_names.WriteResponse
    | short_names.UnconfirmedWriteRequest
    | short_names.InformationReportRequest
    | blocks.GeneralBlockTransfer
    | faults.ExceptionResponse
    | faults.ConfirmedServiceError
    | ciphered.GeneralGloCiphering
    | ciphered.GeneralDedCiphering
    | ciphered.GeneralCiphering
    | ciphered.GeneralSigning
    | ciphered.ServiceCiphering
)

_WHOLE_KINDS: dict[ApduTag, type] = {
    ApduTag.INITIATE_REQUEST: initiate.InitiateRequest,
    ApduTag.READ_REQUEST: short_names.ReadRequest,
    ApduTag.WRITE_REQUEST: short_names.WriteRequest,
    ApduTag.INITIATE_RESPONSE: initiate.InitiateResponse,
    ApduTag.READ_RESPONSE: short_names.ReadResponse,
    ApduTag.WRITE_RESPONSE: short_names.WriteResponse,
    ApduTag.CONFIRMED_SERVICE_ERROR: faults.ConfirmedServiceError,
    ApduTag.EXCEPTION_RESPONSE: faults.ExceptionResponse,
    ApduTag.DATA_NOTIFICATION: notify.DataNotification,
    ApduTag.DATA_NOTIFICATION_CONFIRM: notify.DataNotificationConfirm,
    ApduTag.UNCONFIRMED_WRITE_REQUEST: short_names.UnconfirmedWriteRequest,
    ApduTag.INFORMATION_REPORT_REQUEST: short_names.InformationReportRequest,
    ApduTag.EVENT_NOTIFICATION_REQUEST: notify.EventNotificationRequest,
    ApduTag.ACCESS_REQUEST: access.AccessRequest,
    ApduTag.ACCESS_RESPONSE: access.AccessResponse,
    ApduTag.GENERAL_GLO_CIPHERING: ciphered.GeneralGloCiphering,
    ApduTag.GENERAL_DED_CIPHERING: ciphered.GeneralDedCiphering,
    ApduTag.GENERAL_CIPHERING: ciphered.GeneralCiphering,
    ApduTag.GENERAL_SIGNING: ciphered.GeneralSigning,
    ApduTag.GENERAL_BLOCK_TRANSFER: blocks.GeneralBlockTransfer,
}
_BER_KINDS: dict[ApduTag, type] = {
    ApduTag.AARQ: acse.Aarq,
    ApduTag.AARE: acse.Aare,
    ApduTag.RLRQ: acse.Rlrq,
    ApduTag.RLRE: acse.Rlre,
}
_FORMS: dict[ApduTag, dict[int, type]] = {
    ApduTag.GET_REQUEST: {1: get.GetRequestNormal, 2: get.GetRequestNext, 3: get.GetRequestWithList},
    ApduTag.GET_RESPONSE: {
        1: get.GetResponseNormal,
        2: get.GetResponseWithDataBlock,
        3: get.GetResponseWithList,
    },
    ApduTag.SET_REQUEST: {
        1: set_service.SetRequestNormal,
        2: set_service.SetRequestWithFirstDataBlock,
        3: set_service.SetRequestWithDataBlock,
        4: set_service.SetRequestWithList,
        5: set_service.SetRequestWithListAndFirstDataBlock,
    },
    ApduTag.SET_RESPONSE: {
        1: set_service.SetResponseNormal,
        2: set_service.SetResponseDataBlock,
        3: set_service.SetResponseLastDataBlock,
        4: set_service.SetResponseLastDataBlockWithList,
        5: set_service.SetResponseWithList,
    },
    ApduTag.ACTION_REQUEST: {
        1: action.ActionRequestNormal,
        2: action.ActionRequestNextBlock,
        3: action.ActionRequestWithList,
        4: action.ActionRequestWithFirstBlock,
        5: action.ActionRequestWithListAndFirstBlock,
        6: action.ActionRequestWithBlock,
    },
    ApduTag.ACTION_RESPONSE: {
        1: action.ActionResponseNormal,
        2: action.ActionResponseWithBlock,
        3: action.ActionResponseWithList,
        4: action.ActionResponseNextBlock,
    },
}


class _Codecs(Mapping[int, tuple[str, Codec[Any]]]):
    """A codec is made of its declaration when the first APDU of its tag is read or written."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[str, Codec[Any]]] = {}

    def __getitem__(self, tag: int) -> tuple[str, Codec[Any]]:
        found = self._made.get(tag)
        if found is None:
            if tag not in _TAGS:
                raise KeyError(tag)
            found = self._made[tag] = _named_codec(ApduTag(tag))
        return found

    def __iter__(self) -> Iterator[int]:
        return iter(_TAGS)

    def __len__(self) -> int:
        return len(_TAGS)

    def __contains__(self, tag: object) -> bool:
        return tag in _TAGS


_TAGS = dict.fromkeys((*_WHOLE_KINDS, *_BER_KINDS, *_FORMS, *ciphered.SERVICE_CIPHERING_TAGS))
_PREFIXES: dict[type, bytes] = {
    **{kind: bytes((tag,)) for tag, kind in (_WHOLE_KINDS | _BER_KINDS).items()},
    **{kind: bytes((tag, form)) for tag, forms in _FORMS.items() for form, kind in forms.items()},
}

# By tag: a name, and the codec of all that follows the tag.
CODECS: Mapping[int, tuple[str, Codec[Any]]] = _Codecs()


def _named_codec(tag: ApduTag) -> tuple[str, Codec[Any]]:
    if tag in _FORMS:
        return tag.name.lower(), Choice({form: (kind, _codec_of(kind)) for form, kind in _FORMS[tag].items()})
    if tag in ciphered.SERVICE_CIPHERING_TAGS:
        return tag.name.lower(), Sequence(partial(ciphered.ServiceCiphering, tag), (("content", OCTETS),))
    kind = _WHOLE_KINDS.get(tag) or _BER_KINDS[tag]
    return kind.__name__, _codec_of(kind)


@cache
def _codec_of(kind: type) -> Codec[Any]:
    return ber_sequence(kind) if kind in _BER_KINDS.values() else sequence(kind)


FAST_ENCODERS: Mapping[type, Callable[[Any], bytes | None]] = {**fast_get.FAST_ENCODERS, **fast_action.FAST_ENCODERS}


def encode(apdu: Apdu) -> bytes:
    """Octets of an APDU; LocalError when a number does not fit its field."""
    fast = FAST_ENCODERS.get(type(apdu))
    try:
        known_form = fast(apdu) if fast is not None else None
        return known_form if known_form is not None else _encode(apdu)
    except (StructError, OverflowError) as error:
        raise LocalError(f"{type(apdu).__name__}: a value does not fit its field ({error})") from None


def _encode(apdu: Apdu) -> bytes:
    """The general path."""
    if type(apdu) is ciphered.ServiceCiphering:
        return ciphered.encode_service_ciphering(apdu)
    kind: type = type(apdu)
    out = bytearray(_PREFIXES[kind])
    _codec_of(kind).write(out, apdu)
    return bytes(out)


def decode(octets: bytes) -> Apdu:
    """The APDU that exactly these octets are; DecodeError for anything else."""
    fast = _FAST_DECODERS.get(octets[:2])
    known_form = fast(octets) if fast is not None else None
    return known_form if known_form is not None else _decode(octets)


def _decode(octets: bytes) -> Apdu:
    """The general path."""
    reader = Reader(octets)
    tag = reader.u8()
    if tag not in _TAGS:
        raise DecodeError("the tag of a known APDU", f"0x{tag:02X}")
    name, codec = CODECS[tag]
    try:
        apdu: Apdu = codec.read(reader)
        reader.finish()
    except DecodeError as error:
        raise error.within(name) from None
    return apdu


@lru_cache(maxsize=64)
def _remembered(octets: bytes) -> Apdu:
    """What peers of one kind send alike, and what holds nothing secret: an InitiateResponse, an InitiateRequest without a dedicated key, an AARQ that
    has room for an application context and such a request alone, an RLRQ with its reason or with nothing."""
    return _decode(octets)


def _general_glo_ciphering(octets: bytes) -> Apdu | None:
    """One with a short length; None for others."""
    if (
        len(octets) <= _GLO_CONTENT
        or octets[_GLO_CONTENT - 1] != len(octets) - _GLO_CONTENT
        or len(octets) > _GLO_SHORT
    ):
        return None
    return ciphered.GeneralGloCiphering(octets[2 : _GLO_CONTENT - 1], octets[_GLO_CONTENT:])


_UNSECURED_AARQ = 29
"""Octets of an AARQ with an application context (11) and the user information of an InitiateRequest without a dedicated key (18)."""
_GLO_CONTENT = 11
_GLO_SHORT = _GLO_CONTENT + 0x7F
_FAST_DECODERS: Mapping[bytes, Callable[[bytes], Apdu | None]] = {
    **fast_get.FAST_DECODERS,
    **fast_action.FAST_DECODERS,
    bytes((ApduTag.INITIATE_REQUEST, 0)): _remembered,
    bytes((ApduTag.INITIATE_RESPONSE, 0)): _remembered,
    bytes((ApduTag.AARQ, _UNSECURED_AARQ)): _remembered,
    bytes((ApduTag.RLRQ, 0)): _remembered,
    bytes((ApduTag.RLRQ, 3)): _remembered,
    bytes((ApduTag.GENERAL_GLO_CIPHERING, 8)): _general_glo_ciphering,
}
