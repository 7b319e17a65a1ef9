"""What values say to a person: names of enumerations, classes, attributes and OBIS codes, units, times, bits by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import IntEnum, IntFlag
from typing import Any

from ami_dlms.apdu.acse import Diagnostic
from ami_dlms.apdu.faults import ConfirmedServiceError, ExceptionResponse
from ami_dlms.apdu.short_names import VariableName
from ami_dlms.cosem.classes import attribute_name, class_name, method_name
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.cosem.obis_names import describe
from ami_dlms.cosem.quantity import ScalerUnit, unit_of, units
from ami_dlms.cosem.selection import (
    BY_ENTRY,
    BY_RANGE,
    CaptureObject,
    EntryDescriptor,
    RangeDescriptor,
    SelectiveAccess,
)
from ami_dlms.data import Data
from ami_dlms.datetimes import DAYLIGHT_SAVING_ACTIVE, CosemDate, CosemDateTime, CosemTime
from ami_dlms.enums import ApplicationContext, DataTag, Mechanism
from ami_dlms.errors import DlmsError
from ami_dlms.explain.value_types import kebab
from ami_dlms.obis import Obis

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
CLOCK_STATUS = {0x01: "invalid value", 0x02: "doubtful value", 0x04: "other clock base", 0x08: "invalid clock status"}
MECHANISMS = {
    Mechanism.LOWEST: "no authentication",
    Mechanism.LOW: "LLS, password",
    Mechanism.HIGH: "HLS of the manufacturer",
    Mechanism.MD5: "HLS with MD5",
    Mechanism.SHA1: "HLS with SHA-1",
    Mechanism.GMAC: "HLS with GMAC",
    Mechanism.SHA256: "HLS with SHA-256",
    Mechanism.ECDSA: "HLS with ECDSA",
}
CONTEXTS = {
    ApplicationContext.LN: "logical names, no ciphering",
    ApplicationContext.SN: "short names, no ciphering",
    ApplicationContext.LN_CIPHERED: "logical names with ciphering",
    ApplicationContext.SN_CIPHERED: "short names with ciphering",
}
PLAUSIBLE_YEARS = range(1990, 2100)


def text_of(value: Any) -> str:
    """A value for a person."""
    if value is None:
        return "absent"
    for kind, tell in _TEXTS.items():
        if isinstance(value, kind):
            return tell(value)
    if isinstance(value, tuple):
        return _tuple(value)
    if is_dataclass(value):
        return ", ".join(f"{one.name} {text_of(getattr(value, one.name))}" for one in fields(value) if one.repr)
    return str(value)


def is_record(value: Any) -> bool:
    """Whether a value has no words of its own but those of its fields."""
    return is_dataclass(value) and not isinstance(value, tuple(_TEXTS))


def _tuple(value: Any) -> str:
    """Records by name; bits as they are; a list by its length."""
    names = getattr(value, "_fields", ())
    if names:
        return ", ".join(f"{name.replace('_', ' ')} {text_of(part)}" for name, part in zip(names, value, strict=True))
    if value and all(type(bit) is bool for bit in value):
        return "".join("1" if bit else "0" for bit in value)
    return f"{len(value)} item{'' if len(value) == 1 else 's'}"


def descriptor(value: AttributeDescriptor | MethodDescriptor) -> str:
    """`disconnect_control 0-0:96.3.10*255 output_state (class 70, attribute 2)`."""
    if isinstance(value, AttributeDescriptor):
        name, number = attribute(value), f"attribute {value.attribute_id}"
    else:
        name, number = method_name(value), f"method {value.method_id}"
    return f"{class_name(value.class_id)} {value.instance_id} {name} (class {value.class_id}, {number})"


def attribute(value: AttributeDescriptor) -> str:
    """The name of an attribute; number 0 means all."""
    return "all attributes" if value.attribute_id == 0 else attribute_name(value)


def obis(value: bytes) -> str:
    """`1-0:1.8.0*255, active energy import, time integral 1`."""
    code = Obis(value)
    name = describe(code)
    return f"{code}, {name}" if name else str(code)


def printable(value: bytes) -> str:
    """Octets that are text in quotes; empty for all others."""
    text = value.decode("ascii", "replace") if value.isascii() else ""
    return f'"{text}"' if text and text.isprintable() else ""


def octets(value: bytes) -> str:
    """Text in quotes, or how many there are; the octets themselves stand beside it."""
    return printable(value) or f"{len(value)} octet{'' if len(value) == 1 else 's'}"


def system_title(value: bytes) -> str:
    """`"MMM" 0000BC614E`: the manufacturer's three letters, then its own number."""
    letters = printable(value[:3])
    return f"{letters} {value[3:].hex().upper()}" if len(value) == 8 and letters else octets(value)


def date_time(value: CosemDateTime) -> str:
    """`2023-02-15 17:55:21.00 UTC+01:00, Wednesday`; what is not specified as question marks."""
    clock = CosemTime(value.hour, value.minute, value.second, value.hundredths)
    parts = [f"{_date(CosemDate(value.year, value.month, value.day))} {_time(clock)}{_offset(value)}"]
    if value.day_of_week is not None:
        parts.append(_weekday(value.day_of_week))
    parts += _clock_status(value.clock_status)
    return ", ".join(parts)


def _offset(value: CosemDateTime) -> str:
    if value.deviation_minutes is None:
        return ""
    sign, minutes = ("+", -value.deviation_minutes) if value.deviation_minutes <= 0 else ("-", value.deviation_minutes)
    return f" UTC{sign}{minutes // 60:02d}:{minutes % 60:02d}"


def _clock_status(status: int | None) -> list[str]:
    if status is None:
        return ["no clock status"]
    found = [name for bit, name in CLOCK_STATUS.items() if status & bit]
    return [*found, "daylight saving"] if status & DAYLIGHT_SAVING_ACTIVE else found


def _weekday(number: int) -> str:
    return DAYS[number - 1] if 1 <= number <= len(DAYS) else f"day of week {number}"


def _part(value: int | None, width: int = 2) -> str:
    return "?" * width if value is None else f"{value:0{width}d}"


def _date(value: CosemDate) -> str:
    day = f"{_part(value.year, 4)}-{_part(value.month)}-{_part(value.day)}"
    return day if value.day_of_week is None else f"{day}, {_weekday(value.day_of_week)}"


def _time(value: CosemTime) -> str:
    clock = f"{_part(value.hour)}:{_part(value.minute)}:{_part(value.second)}"
    return clock if value.hundredths is None else f"{clock}.{value.hundredths:02d}"


def _data(item: Data) -> str:
    """The type and the value."""
    kind, value = kebab(item.tag.name), item.value
    if item.tag in (DataTag.NULL_DATA, DataTag.DONT_CARE):
        return kind
    if item.tag in (DataTag.ARRAY, DataTag.STRUCTURE):
        return f"{kind} of {len(value)}{_meaning(item)}"
    if item.tag is DataTag.OCTET_STRING:
        return f"{kind} {_octet_string(value)}"
    if item.tag is DataTag.COMPACT_ARRAY:
        return f"{kind}, {octets(value.contents)} of contents"
    if item.tag in (DataTag.VISIBLE_STRING, DataTag.UTF8_STRING):
        return f'{kind} "{value}"' if value.isprintable() else f"{kind} {value!r}"
    return f"{kind} {text_of(value)}"


def _octet_string(value: bytes) -> str:
    """Most attributes hold names and times as octet-strings: six and twelve octets are looked at."""
    if len(value) == 6 and value[5] == 0xFF:
        return obis(value)
    if len(value) == 12:
        moment = CosemDateTime.decode(value)
        if _is_plausible(moment):
            return date_time(moment)
    return octets(value)


def _is_plausible(moment: CosemDateTime) -> bool:
    limits = ((moment.month, 12), (moment.hour, 23), (moment.minute, 59), (moment.second, 59), (moment.day_of_week, 7))
    if any(part is not None and part > limit and part < 0xFD for part, limit in limits):
        return False
    return moment.year is None or moment.year in PLAUSIBLE_YEARS


def _meaning(item: Data) -> str:
    """Structures that the standard uses everywhere: a scaler with its unit, a column of a profile."""
    try:
        scaled = ScalerUnit.decode(item)
    except DlmsError:
        scaled = None
    if scaled is not None and scaled.unit in units():
        return f": as scaler_unit, 10^{scaled.scaler} {unit_of(scaled.unit).symbol}".rstrip()
    try:
        column = CaptureObject.decode(item)
    except DlmsError:
        return ""
    reference = AttributeDescriptor(column.class_id, column.logical_name, column.attribute_index)
    return f": as capture object, {descriptor(reference)}"


def _selection(value: SelectiveAccess) -> str:
    """Rows by their number or by their time."""
    try:
        if value.selector == BY_ENTRY:
            entry = EntryDescriptor.decode(value)
            last, right = entry.to_entry or "the last", entry.to_selected_value or "the last"
            return f"rows {entry.from_entry} to {last}, columns {entry.from_selected_value} to {right}"
        if value.selector == BY_RANGE:
            one = RangeDescriptor.decode(value)
            name = obis(one.restricting_object.logical_name)
            columns = f"{len(one.selected_values)} columns" if one.selected_values else "all columns"
            return f"rows whose {name} is from {_data(one.from_value)} to {_data(one.to_value)}, {columns}"
    except DlmsError:
        pass
    return f"selector {value.selector}"


def _flags(value: IntFlag) -> str:
    return ", ".join(kebab(flag.name or "") for flag in type(value) if flag in value) or "none"


def _context(value: ApplicationContext) -> str:
    if value is ApplicationContext.UNKNOWN:
        return "unknown name"
    return f"{CONTEXTS[value]} (2.16.756.5.8.1.{value:d})"


def _mechanism(value: Mechanism) -> str:
    return "unknown name" if value is Mechanism.UNKNOWN else f"{MECHANISMS[value]} (2.16.756.5.8.2.{value:d})"


_TEXTS: Mapping[type, Callable[[Any], str]] = {
    Data: _data,
    bool: lambda value: "true" if value else "false",
    ApplicationContext: _context,
    Mechanism: _mechanism,
    IntFlag: _flags,
    IntEnum: lambda value: f"{kebab(value.name)} ({value:d})",
    Obis: obis,
    bytes: octets,
    str: lambda value: f'"{value}"' if value.isprintable() else repr(value),
    CosemDateTime: date_time,
    CosemDate: _date,
    CosemTime: _time,
    AttributeDescriptor: descriptor,
    MethodDescriptor: descriptor,
    SelectiveAccess: _selection,
    VariableName: lambda value: f"short name {value.name:#06x}",
    Diagnostic: lambda value: f"{value.reason} ({kebab(value.source.name)} {value.code})",
    ExceptionResponse: lambda value: value.reason,
    ConfirmedServiceError: lambda value: value.reason,
}
