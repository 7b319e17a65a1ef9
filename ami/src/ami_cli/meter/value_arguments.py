"""A value that a person writes on the command line, as the type that the attribute or method wants.

`env:NAME` and `file:PATH` fetch it from elsewhere, for every type; `hex:`, `text:` and `time:` say how to read it, for the
types that can be read so. A prefix is a prefix everywhere: the letters themselves are written as `text:text:HELLO`.
"""

import os
from collections.abc import Callable
from datetime import datetime

from ami_cli.meter.errors import ExitCode, MeterError
from ami_cli.meter.secret_arguments import given, wrong
from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataTag
from ami_dlms.errors import DlmsError
from ami_registry.references import HEX, TEXT, Given, ambiguous

BOOLEANS = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}
A_XDR = "a-xdr"
TIME = "time"
PREFIXES = (HEX, TEXT, TIME)
MAY_BE_SECRET = frozenset({"octet-string", "visible-string", "utf8-string", A_XDR})
Parser = Callable[[Given], Data]


def _bare(make: Callable[[str], Data]) -> Parser:
    """Of text without a prefix: there is one way to write such a value."""

    def parse(found: Given) -> Data:
        if found.prefix:
            raise _Misplaced(found.prefix)
        return make(found.rest)

    return parse


def _integer(tag: DataTag) -> Parser:
    return _bare(lambda text: Data(tag, int(text, 0)))


def _octets(found: Given) -> Data:
    """Hex digits, `text:ABC`, or `time:2026-01-31T12:00:00+01:00`."""
    if found.prefix == TEXT:
        return data.octet_string(found.rest.encode("utf-8"))
    if found.prefix == TIME:
        return data.octet_string(moment(found.rest).encode())
    return data.octet_string(bytes.fromhex(found.rest))


def _string(make: Callable[[str], Data]) -> Parser:
    """Of text, with `text:` or without, or of the octets that hex digits stand for."""

    def parse(found: Given) -> Data:
        if found.prefix == TIME:
            raise _Misplaced(found.prefix)
        return make(bytes.fromhex(found.rest).decode("utf-8") if found.prefix == HEX else found.rest)

    return parse


def _date_time(found: Given) -> Data:
    if found.prefix not in ("", TIME):
        raise _Misplaced(found.prefix)
    return data.date_time(moment(found.rest))


def _encoded(found: Given) -> Data:
    if found.prefix not in ("", HEX):
        raise _Misplaced(found.prefix)
    return data.decode(bytes.fromhex(found.rest))


class _Misplaced(ValueError):
    """A prefix that this type can't be read by; its argument is the prefix."""


def _boolean(text: str) -> Data:
    return data.boolean(BOOLEANS[text.lower()])


def _bits(text: str) -> Data:
    if set(text) - {"0", "1"}:
        raise ValueError(text)
    return data.bit_string(tuple(digit == "1" for digit in text))


_PARSERS: dict[str, Parser] = {
    "null-data": _bare(lambda text: data.null()),
    "boolean": _bare(_boolean),
    "bit-string": _bare(_bits),
    "octet-string": _octets,
    "visible-string": _string(data.visible_string),
    "utf8-string": _string(data.utf8_string),
    "float32": _bare(lambda text: data.float32(float(text))),
    "float64": _bare(lambda text: data.float64(float(text))),
    "date-time": _date_time,
    A_XDR: _encoded,
    **{
        tag.name.lower().replace("_", "-"): _integer(tag)
        for tag in (
            DataTag.INTEGER,
            DataTag.LONG,
            DataTag.DOUBLE_LONG,
            DataTag.LONG64,
            DataTag.UNSIGNED,
            DataTag.LONG_UNSIGNED,
            DataTag.DOUBLE_LONG_UNSIGNED,
            DataTag.LONG64_UNSIGNED,
            DataTag.ENUM,
            DataTag.BCD,
        )
    },
}
TYPES = tuple(_PARSERS)


def parse(text: str, type_name: str, *, secret: bool = False) -> Data:
    """The value; MeterError when the text is none of this type, or a `secret` that may be text as well as hex."""
    parser = _PARSERS.get(type_name)
    if parser is None:
        raise _wrong(f"{type_name} is none of {', '.join(TYPES)}", "--type")
    found = given("the value", text, environ=os.environ, prefixes=PREFIXES)
    if secret and type_name == "octet-string" and found.is_ambiguous:
        raise wrong("the value", ambiguous(found.place))
    try:
        value = parser(found)
        data.encode(value)  # a number that is too large for its type
    except _Misplaced as error:
        hint = f"{error}: goes with {_GOES_WITH[str(error)]}; these letters themselves are text:{error}:..."
        raise _wrong(f"{error}: does not go with {type_name}", "the value", hint) from None
    except (KeyError, ValueError, DlmsError):
        shown = "what was given" if type_name in MAY_BE_SECRET else repr(found.rest)
        raise _wrong(f"{shown} is no {type_name}", "the value", _hint(type_name)) from None
    return value


_GOES_WITH = {
    HEX: "octet-string, visible-string, utf8-string and a-xdr",
    TEXT: "octet-string, visible-string and utf8-string",
    TIME: "octet-string and date-time",
}
_HINTS = {
    "octet-string": "hex digits, text:ABC, time:2026-01-31T12:00:00+01:00, or env:NAME or file:PATH of one of these",
    "visible-string": "letters of ASCII, or hex: and the digits of theirs",
    "boolean": "true or false",
    A_XDR: "the encoded value in hex digits, tag and all",
}


def _hint(type_name: str) -> str:
    """What a value of this type looks like; for a whole number, its range."""
    tag = DataTag.__members__.get(type_name.upper().replace("-", "_"))
    limits = None if tag is None else _LIMITS.get(tag)
    if limits is not None:
        return f"a whole number from {limits.start} to {limits.stop - 1}; --type names another type"
    return _HINTS.get(type_name, "")


_LIMITS = {
    DataTag.INTEGER: range(-(1 << 7), 1 << 7),
    DataTag.LONG: range(-(1 << 15), 1 << 15),
    DataTag.DOUBLE_LONG: range(-(1 << 31), 1 << 31),
    DataTag.LONG64: range(-(1 << 63), 1 << 63),
    DataTag.UNSIGNED: range(1 << 8),
    DataTag.LONG_UNSIGNED: range(1 << 16),
    DataTag.DOUBLE_LONG_UNSIGNED: range(1 << 32),
    DataTag.LONG64_UNSIGNED: range(1 << 64),
    DataTag.ENUM: range(1 << 8),
}


def moment(text: str) -> CosemDateTime:
    """An ISO date and time; without an offset it is the meter's local time, whatever its offset is."""
    found = datetime.fromisoformat(text)
    if found.utcoffset() is not None:
        return CosemDateTime.from_datetime(found)
    local = (found.year, found.month, found.day, found.isoweekday(), found.hour, found.minute, found.second, 0)
    return CosemDateTime(*local)


def _wrong(what: str, where: str, hint: str = "") -> MeterError:
    return MeterError(ExitCode.USAGE, what, where=where, hint=hint)
