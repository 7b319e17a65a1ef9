"""Values as documents spell them: a word for the type, and a plain value that JSON and XML can both hold.

Types of Data keep the standard's names; plain fields have names of their own (number, truth, octets, ...), so that the type
alone tells what a CHOICE has chosen. What has no spelling is written into the document as its octets in hex.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import IntEnum, IntFlag
from math import isfinite
from typing import Any

from ami_dlms import enums
from ami_dlms.data import Data
from ami_dlms.data.types import FORMATS
from ami_dlms.datetimes import CosemDate, CosemDateTime, CosemTime
from ami_dlms.enums import DataTag
from ami_dlms.errors import DlmsError, LocalError
from ami_dlms.obis import Obis

Plain = str | int | float | bool | None
Spelled = tuple[str, Plain]

ABSENT = "absent"
LIST = "list"
DATA_TYPES = {tag.name.lower().replace("_", "-"): tag for tag in DataTag}
_FLOATS = (DataTag.FLOAT32, DataTag.FLOAT64)
_DATES: dict[DataTag, type] = {DataTag.DATE_TIME: CosemDateTime, DataTag.DATE: CosemDate, DataTag.TIME: CosemTime}
_MOMENTS: dict[str, type] = {"cosem-date-time": CosemDateTime, "cosem-date": CosemDate, "cosem-time": CosemTime}
_PLAIN_TYPES: dict[type, str] = {int: "number", bool: "truth", bytes: "octets", str: "string", Obis: "obis"}
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def kebab(name: str) -> str:
    """GetRequestNormal or GET_REQUEST as get-request-normal or get-request."""
    return _HUMP.sub("-", name).replace("_", "-").lower()


def snake(name: str) -> str:
    """The same with low lines: names of parts."""
    return kebab(name).replace("-", "_")


_ENUMS: dict[str, type[IntEnum]] = {
    kebab(kind.__name__): kind
    for kind in vars(enums).values()
    if isinstance(kind, type) and issubclass(kind, IntEnum) and kind is not IntEnum
}
_FLAGS: dict[str, type[IntFlag]] = {
    kebab(kind.__name__): kind
    for kind in vars(enums).values()
    if isinstance(kind, type) and issubclass(kind, IntFlag) and kind is not IntFlag
}


def type_word(kind: type) -> str:
    """The word for values of a Python type."""
    return _PLAIN_TYPES.get(kind) or kebab(kind.__name__)


def spell(value: Any) -> tuple[str, bool, Plain]:
    """The type's word, whether there is a plain value, and that value."""
    if value is None:
        return ABSENT, True, None
    if type(value) is Data:
        return _spell_data(value)
    word = type_word(type(value))
    if isinstance(value, IntFlag):
        return word, True, " ".join(kebab(flag.name or "") for flag in type(value) if flag in value)
    if isinstance(value, IntEnum):
        return word, True, kebab(value.name)
    if word in _MOMENTS:
        return word, True, value.encode().hex().upper()
    if type(value) is tuple and all(type(bit) is bool for bit in value):
        return "bits", True, _bits(value)
    return word, type(value) in _PLAIN_TYPES and _can_stand(value), _simple(value)


def _spell_data(item: Data) -> tuple[str, bool, Plain]:
    word, value = kebab(item.tag.name), item.value
    if item.tag in _DATES:
        return word, True, value.encode().hex().upper()
    if item.tag is DataTag.BIT_STRING:
        return word, True, _bits(value)
    if item.tag in _FLOATS:
        return word, True, value if isfinite(value) else repr(value)
    if item.tag in (DataTag.ARRAY, DataTag.STRUCTURE, DataTag.COMPACT_ARRAY):
        return word, False, None
    return word, _can_stand(value), _simple(value)


def _simple(value: Any) -> Plain:
    if isinstance(value, Obis):
        return str(value)
    if isinstance(value, bytes):
        return value.hex().upper()
    return value if isinstance(value, str | int | float | bool) else None


def _can_stand(value: Any) -> bool:
    """A text that XML could not hold, or would change, is not spelled."""
    return not isinstance(value, str) or all(letter.isprintable() for letter in value)


def _bits(value: tuple[bool, ...]) -> str:
    return "".join("1" if bit else "0" for bit in value)


# --- and back


def read_plain(word: str, plain: Plain) -> Any:
    """The value that `spell` wrote; XML gives every plain value as text. LocalError when it is no such value."""
    try:
        if word in DATA_TYPES:
            return Data(DATA_TYPES[word], _read_data(DATA_TYPES[word], plain))
        if word in _ENUMS:
            return _member(_ENUMS[word], plain)
        if word in _FLAGS:
            return _flags(_FLAGS[word], str(plain))
        return _READERS[word](plain)
    except (ValueError, KeyError, TypeError, DlmsError):
        raise LocalError(f"{plain!r} is no {word}" if word in KNOWN_TYPES else f"no type {word!r}") from None


def _read_data(tag: DataTag, plain: Plain) -> Any:
    if tag in _FLOATS:
        return float(str(plain))
    if tag is DataTag.BOOLEAN:
        return _truth(plain)
    if tag in FORMATS:
        return _number(plain)
    return _DATA_READERS[tag](plain)


def _number(plain: Plain) -> int:
    if isinstance(plain, bool | float):
        raise ValueError
    return plain if isinstance(plain, int) else int(str(plain), 0)


def _truth(plain: Plain) -> bool:
    return plain if isinstance(plain, bool) else {"true": True, "false": False}[str(plain)]


def _octets(plain: Plain) -> bytes:
    return bytes.fromhex(str(plain))


def _text(plain: Plain) -> str:
    return str(plain)


def _nothing(plain: Plain) -> None:
    return None


def _read_bits(plain: Plain) -> tuple[bool, ...]:
    return tuple([{"0": False, "1": True}[bit] for bit in str(plain)])


def _moment(kind: Any) -> Callable[[Plain], Any]:
    """From the octets in hex, and a date-time also from ISO 8601 with an offset."""

    def read(plain: Plain) -> Any:
        if kind is CosemDateTime and "-" in str(plain):
            return CosemDateTime.from_datetime(datetime.fromisoformat(str(plain)))
        return kind.decode(_octets(plain))

    return read


def _member(kind: type[IntEnum], plain: Plain) -> IntEnum:
    if str(plain).isdecimal():
        return kind(int(str(plain)))
    return {kebab(member.name): member for member in kind}[str(plain)]


def _flags(kind: type[IntFlag], plain: str) -> IntFlag:
    by_name = {kebab(flag.name or ""): flag for flag in kind}
    found = kind(0)
    for name in plain.split():
        found |= by_name[name]
    return found


_DATA_READERS: Mapping[DataTag, Callable[[Plain], Any]] = {
    DataTag.NULL_DATA: _nothing,
    DataTag.DONT_CARE: _nothing,
    DataTag.OCTET_STRING: _octets,
    DataTag.VISIBLE_STRING: _text,
    DataTag.UTF8_STRING: _text,
    DataTag.BIT_STRING: _read_bits,
    **{tag: _moment(kind) for tag, kind in _DATES.items()},
}
_READERS: Mapping[str, Callable[[Plain], Any]] = {
    ABSENT: _nothing,
    "number": _number,
    "truth": _truth,
    "octets": _octets,
    "string": _text,
    "bits": _read_bits,
    "obis": lambda plain: Obis.parse(str(plain)),
    **{word: _moment(kind) for word, kind in _MOMENTS.items()},
}
KNOWN_TYPES = frozenset((*DATA_TYPES, *_ENUMS, *_FLAGS, *_READERS))
