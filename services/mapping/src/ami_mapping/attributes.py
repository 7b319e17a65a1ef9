"""What is read beside an attribute to make a reading of it, and the reading that its raw value is (M-111, M-116, M-119).

Registers have a scaler_unit, extended and demand registers the time of their value; a state, a counter and a time have neither.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.quantity import ScalerUnit
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataTag
from ami_dlms.errors import DlmsError
from ami_mapping.lookup import Match
from ami_mapping.reading_types import ReadingType
from ami_mapping.readings import ReadingRow
from ami_mapping.values import reading_of

SCALER_UNITS = {3: 3, 4: 3, 5: 4}
"""Interface class -> its attribute scaler_unit."""
CAPTURE_TIMES = {(4, 2): 5, (5, 3): 6}
"""Class and attribute of a value -> the attribute with its time."""
TIME_STAMP, BOOLEAN, COUNT, CODE = 108, 109, 111, 114
"""Units of a ReadingType whose values are no quantity."""
ENERGIZATION = 11
MOST_TEXT = 64
PLAIN = ScalerUnit(0, 255)
"""A number as it is."""


class UnreadableValue(ValueError):
    """What the meter gave is no value of the row; the message says why."""


def has_unit(row: ReadingRow) -> bool:
    """Whether the attribute of a row is scaled by a scaler_unit of its object."""
    return row.class_id in SCALER_UNITS and row.code.field("unit") != TIME_STAMP


def scaler_unit_of(row: ReadingRow, attribute: AttributeDescriptor) -> AttributeDescriptor | None:
    """The attribute that has the scaler_unit; None when there is none."""
    if not has_unit(row):
        return None
    return AttributeDescriptor(row.class_id, attribute.instance_id, SCALER_UNITS[row.class_id])


def capture_time_of(row: ReadingRow, attribute: AttributeDescriptor) -> AttributeDescriptor | None:
    """The attribute that has the time of the value; None when the meter gives none."""
    number = CAPTURE_TIMES.get((row.class_id, row.attribute))
    return None if number is None else AttributeDescriptor(row.class_id, attribute.instance_id, number)


def value_of(
    match: Match, raw: Data, scaler_unit: Data | None, *, multiplier: int | None = None
) -> tuple[ReadingType, str]:
    """The code and the text of a reading. `multiplier` is the one that was asked for, None where nothing was.

    UnreadableValue when the raw value, its unit or its scaler is not what the row says.
    """
    try:
        if has_unit(match.row) and scaler_unit is not None:
            return reading_of(match, raw, ScalerUnit.decode(scaler_unit), multiplier=multiplier)
        code = match.reading_type()
        if code.unit == COUNT:
            return reading_of(match, raw, PLAIN, multiplier=0)
        return code, _TEXTS[code.unit](code, raw)
    except KeyError:
        raise UnreadableValue(f"a value of class {match.row.class_id} has no unit of its own") from None
    except (DlmsError, ValueError) as problem:
        raise UnreadableValue(str(problem)) from None


def moment_of(raw: Data) -> datetime:
    """The moment of a time that a meter gives, in UTC; UnreadableValue when it is none, or when its deviation is not said."""
    value = raw.value
    try:
        if raw.tag is DataTag.DATE_TIME:
            return CosemDateTime.to_datetime(value)
        if raw.tag is DataTag.OCTET_STRING:
            return CosemDateTime.decode(value).to_datetime()
    except DlmsError as problem:
        raise UnreadableValue(str(problem)) from None
    raise UnreadableValue(f"no time but {raw.tag.name.lower().replace('_', '-')}")


def _moment(_: ReadingType, raw: Data) -> str:
    return moment_of(raw).isoformat().replace("+00:00", "Z")


def _flag(code: ReadingType, raw: Data) -> str:
    if code.measurement_kind == ENERGIZATION:  # that there is an answer is the value
        return "1"
    if not isinstance(raw.value, bool):
        raise UnreadableValue(f"no boolean but {raw.tag.name.lower().replace('_', '-')}")
    return str(int(raw.value))


def _code(_: ReadingType, raw: Data) -> str:
    value = raw.value
    if isinstance(value, bool) or not isinstance(value, bytes | str | int):
        raise UnreadableValue(f"no code but {raw.tag.name.lower().replace('_', '-')}")
    text = _text(value) if isinstance(value, bytes) else str(value)
    if not text.isprintable() or len(text) > MOST_TEXT:
        raise UnreadableValue(f"no code but {text[:MOST_TEXT]!r}")
    return text


def _text(octets: bytes) -> str:
    """Printable ASCII as text, all else as hex."""
    stripped = octets.rstrip(b"\0 ")
    readable = stripped.isascii() and stripped.decode("ascii").isprintable()
    return stripped.decode("ascii") if readable else octets.hex().upper()


_TEXTS: dict[int, Callable[[ReadingType, Data], str]] = {TIME_STAMP: _moment, BOOLEAN: _flag, CODE: _code}
