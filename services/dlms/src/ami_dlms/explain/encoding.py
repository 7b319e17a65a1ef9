"""From the parts of a document back to octets, by the declarations that decoding uses: nothing here knows a single APDU.

Lengths, counts, tags, checks and other framing are made anew in their shortest form, so octets that came with long forms
come back shorter; decoded again they say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from ami_dlms import apdu, data
from ami_dlms.apdu import CODECS
from ami_dlms.apdu.acse_fields import Elements
from ami_dlms.apdu.codec import DATA, REST, Choice, Codec, DataChoice, Optional, Sequence, SequenceOf
from ami_dlms.cursor import Reader
from ami_dlms.data import Data
from ami_dlms.enums import ApduTag, DataTag
from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.explain.apdus import APDU
from ami_dlms.explain.documents import DocumentPart
from ami_dlms.explain.frames import WRAPPER
from ami_dlms.explain.hdlc import FOUR_OCTETS, HDLC, INFORMATION
from ami_dlms.explain.mbus import MBUS
from ami_dlms.explain.node import MISSING
from ami_dlms.explain.value_types import ABSENT, DATA_TYPES, LIST, read_plain, snake, type_word
from ami_dlms.framing import hdlc, mbus, wrapper
from ami_dlms.framing.hdlc import Frame
from ami_dlms.framing.hdlc_address import HdlcAddress
from ami_dlms.framing.mbus import MbusFrame
from ami_dlms.framing.wrapper import WrapperPdu

CONTAINERS = ("array", "structure")
_WITHOUT_VALUE = frozenset((ABSENT, LIST, "null-data", "dont-care", *CONTAINERS))


def octets_of(part: DocumentPart) -> bytes:
    """The octets of a message, a frame or a plain part; LocalError says which part cannot be encoded and why."""
    if part.type == APDU:
        return _apdu(part)
    if part.type == WRAPPER:
        return _wrapper(part)
    if part.type == HDLC:
        return _hdlc_frame(part)
    if part.type == MBUS:
        return _mbus_frame(part)
    if part.type == INFORMATION:
        return b"".join(octets_of(inner) for inner in part.contents)
    if part.type == "octets":
        return _whole(part)
    if part.type in DATA_TYPES:
        return data.encode(_value(DATA, part, part.name))
    raise LocalError(f"{part.name}: {_undecoded(part) or f'{part.type!r} cannot stand here'}")


def _undecoded(part: DocumentPart) -> str:
    return "it was not decoded, so it cannot be encoded" if part.type == MISSING else ""


# --- frames


def _wrapper(part: DocumentPart) -> bytes:
    return wrapper.encode(WrapperPdu(_number(part, "source"), _number(part, "destination"), _inner_apdu(part)))


def _inner_apdu(part: DocumentPart) -> bytes:
    inner = [one for one in part.contents if one.type in (APDU, MISSING)]
    if len(inner) != 1:
        raise LocalError(f"{part.name}: one APDU is wanted, {len(inner)} are there")
    return octets_of(inner[0])


def _hdlc_frame(part: DocumentPart) -> bytes:
    information = part.named("information")
    framing = part.named("format")
    frame = Frame(
        _address(part, "destination"),
        _address(part, "source"),
        _number(part, "control"),
        octets_of(information) if information else b"",
        segmented=framing is not None and bool(int(framing.hex or "0", 16) >> 8 & hdlc.SEGMENTED),
    )
    octets = hdlc.encode(frame)
    return octets if part.named("opening_flag") else octets[1:]


def _mbus_frame(part: DocumentPart) -> bytes:
    if part.named("ci") is None:
        return mbus.encode(MbusFrame(_octet(part, "control"), _octet(part, "address")))
    saps = [_octet(part, name) for name in ("stsap", "dtsap") if part.named(name)]
    information = part.named("information")
    payload = bytes(saps) + (octets_of(information) if information else b"")
    return mbus.encode(MbusFrame(_octet(part, "control"), _octet(part, "address"), _octet(part, "ci"), payload))


def _octet(part: DocumentPart, name: str) -> int:
    number = _number(part, name)
    if not 0 <= number <= 0xFF:
        raise LocalError(f"{part.name}.{name}: {number} is no octet")
    return number


def _address(part: DocumentPart, name: str) -> HdlcAddress:
    text = str(_needed(part, name).value)
    upper, slash, lower = text.removesuffix(FOUR_OCTETS).partition("/")
    try:
        return HdlcAddress(int(upper), int(lower) if slash else None, text.endswith(FOUR_OCTETS))
    except ValueError:
        raise LocalError(f"{part.name}.{name}: {text!r} is no HDLC address") from None


def _number(part: DocumentPart, name: str) -> int:
    found = _within(f"{part.name}.{name}", "number", _needed(part, name).value)
    return int(found)


def _needed(part: DocumentPart, name: str) -> DocumentPart:
    found = part.named(name)
    if found is None:
        raise LocalError(f"{part.name}: {name} is missing")
    return found


# --- APDUs


@cache
def _names() -> Mapping[str, Codec[Any]]:
    """The codec of every APDU by its name, without its tag and the octet that chooses its form."""
    found: dict[str, Codec[Any]] = {}
    for tag, (name, codec) in CODECS.items():
        if isinstance(codec, Choice):
            found |= {snake(kind.__name__): part for kind, part in codec.alternatives.values()}
        else:
            found[snake(name) if name[0].isupper() else ApduTag(tag).name.lower()] = codec
    return found


def _apdu(part: DocumentPart) -> bytes:
    codec = _names().get(part.name)
    if codec is None:
        raise LocalError(f"no APDU is called {part.name!r}")
    value = _value(codec, part, part.name)
    try:
        return apdu.encode(value)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise LocalError(f"{part.name}: a value is not of the type that its field wants ({error})") from None


def _value(codec: Codec[Any], part: DocumentPart, path: str) -> Any:
    """The value of a part, as its codec takes it together."""
    if part.type == MISSING:
        raise LocalError(f"{path}: {_undecoded(part)}")
    if _counts_by_hex(part):
        return _from_hex(codec, part, path)
    match codec:
        case DataChoice():
            return _data(part, path)
        case Sequence(_, fields):
            return codec.make([_field(name, one, part, path) for name, one in fields])
        case Optional(inner, default):
            return default if part.type == ABSENT else _value(inner, part, path)
        case Choice(alternatives):
            return _value(_chosen(alternatives, part, path), part, path)
        case SequenceOf(inner):
            return tuple([_value(inner, one, f"{path}[{number}]") for number, one in enumerate(part.contents)])
        case Elements(kind, elements, absent):
            return _elements(kind, dict(elements.values()), absent, part, path)
    return _whole(part) if part.parts else _within(path, part.type, part.value)


def _field(name: str, codec: Codec[Any], part: DocumentPart, path: str) -> Any:
    """A field that the document leaves out is absent, if it may be."""
    found = part.named(name)
    if found is None and not isinstance(codec, Optional):
        raise LocalError(f"{path}: {name} is missing")
    return _value(codec, found or DocumentPart(name, ABSENT), f"{path}.{name}")


def _elements(
    kind: Callable[..., Any], codecs: Mapping[str, Codec[Any]], absent: Mapping[str, Any], part: DocumentPart, path: str
) -> Any:
    values = {
        one.name: _value(codecs[one.name], one, f"{path}.{one.name}") for one in part.contents if one.name in codecs
    }
    try:
        return kind(**{**absent, **values})
    except TypeError as error:
        raise LocalError(f"{path}: {error}") from None


def _chosen(alternatives: Mapping[int, tuple[type, Codec[Any]]], part: DocumentPart, path: str) -> Codec[Any]:
    for kind, codec in alternatives.values():
        if part.type == type_word(kind) or (kind is Data and part.type in DATA_TYPES):
            return codec
    raise LocalError(f"{path}: no choice is of the type {part.type!r}")


def _data(part: DocumentPart, path: str) -> Data:
    if part.type in CONTAINERS:
        items = [_value(DATA, one, f"{path}[{number}]") for number, one in enumerate(part.contents)]
        return Data(DataTag[part.type.upper()], tuple(items))
    if part.type not in DATA_TYPES:
        raise LocalError(f"{path}: {part.type!r} is no type of Data")
    value: Data = _within(path, part.type, part.value)
    return value


def _counts_by_hex(part: DocumentPart) -> bool:
    if part.hex is None or part.type in _WITHOUT_VALUE:
        return False
    return part.type == "compact-array" or (part.value is None and not part.parts)


def _from_hex(codec: Codec[Any], part: DocumentPart, path: str) -> Any:
    try:
        reader = Reader(bytes.fromhex(part.hex or ""))
        value = codec.read(reader)
        reader.finish()
    except (ValueError, DecodeError) as error:
        raise LocalError(f"{path}: the hex cannot be used: {error}") from None
    return value


def _whole(part: DocumentPart) -> bytes:
    """Octets: given as they are, or made of an APDU or of pieces; what could not be decoded inside stays what it was."""
    if part.parts:
        return b"".join(_raw(one) if one.type == MISSING else octets_of(one) for one in part.contents)
    found: bytes = _within(part.name, "octets", part.value)
    return found


def _raw(part: DocumentPart) -> bytes:
    return b"".join(_raw(one) for one in part.parts) if part.parts else _from_hex(REST, part, part.name)


def _within(path: str, word: str, plain: Any) -> Any:
    try:
        return read_plain(word, plain)
    except LocalError as error:
        raise LocalError(f"{path}: {error}") from None
