"""A value that a person writes on the command line, as the type that the attribute or method wants."""

import os
from collections.abc import Callable
from datetime import datetime

from ami.meter.errors import ExitCode, MeterError
from ami.meter.secrets_given import octets
from dlms import data
from dlms.data import Data
from dlms.datetimes import CosemDateTime
from dlms.enums import DataTag
from dlms.errors import DlmsError

BOOLEANS = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}
A_XDR = "a-xdr"
ELSEWHERE = ("env:", "file:")
MAY_BE_SECRET = frozenset({"octet-string", "visible-string", "utf8-string", A_XDR})


def _integer(tag: DataTag) -> Callable[[str], Data]:
    return lambda text: Data(tag, int(text, 0))


def _octets(text: str) -> Data:
    """Hex digits, `text:...`, `time:2026-01-31T12:00:00+01:00`, or hex digits from elsewhere: `env:NAME`, `file:PATH`."""
    kind, separator, rest = text.partition(":")
    if separator and kind == "text":
        return data.octet_string(rest.encode("utf-8"))
    if separator and kind == "time":
        return data.octet_string(moment(rest).encode())
    return data.octet_string(_hex(text))


def _hex(text: str) -> bytes:
    return octets("the value", text, environ=os.environ) if text.startswith(ELSEWHERE) else bytes.fromhex(text)


def _boolean(text: str) -> Data:
    return data.boolean(BOOLEANS[text.lower()])


def _bits(text: str) -> Data:
    if set(text) - {"0", "1"}:
        raise ValueError(text)
    return data.bit_string(tuple(digit == "1" for digit in text))


_PARSERS: dict[str, Callable[[str], Data]] = {
    "null-data": lambda text: data.null(),
    "boolean": _boolean,
    "bit-string": _bits,
    "octet-string": _octets,
    "visible-string": data.visible_string,
    "utf8-string": data.utf8_string,
    "float32": lambda text: data.float32(float(text)),
    "float64": lambda text: data.float64(float(text)),
    "date-time": lambda text: data.date_time(moment(text)),
    A_XDR: lambda text: data.decode(_hex(text)),
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


def parse(text: str, type_name: str) -> Data:
    """The value; MeterError when the text is none of this type."""
    parser = _PARSERS.get(type_name)
    if parser is None:
        raise _wrong(f"{type_name} is none of {', '.join(TYPES)}", "--type")
    try:
        value = parser(text)
        data.encode(value)  # a number that is too large for its type
    except (KeyError, ValueError, DlmsError):
        hint = {
            "octet-string": "hex digits, env:NAME or file:PATH of hex digits, text:ABC, or time:2026-01-31T12:00:00+01:00",
            "boolean": "true or false",
            A_XDR: "the encoded value in hex digits, tag and all",
        }.get(type_name, "")
        given = "what was given" if type_name in MAY_BE_SECRET else repr(text)
        raise _wrong(f"{given} is no {type_name}", "the value", hint) from None
    return value


def moment(text: str) -> CosemDateTime:
    """An ISO date and time; without an offset it is the meter's local time, whatever its offset is."""
    found = datetime.fromisoformat(text)
    if found.utcoffset() is not None:
        return CosemDateTime.from_datetime(found)
    local = (found.year, found.month, found.day, found.isoweekday(), found.hour, found.minute, found.second, 0)
    return CosemDateTime(*local)


def _wrong(what: str, where: str, hint: str = "") -> MeterError:
    return MeterError(ExitCode.USAGE, what, where=where, hint=hint)
