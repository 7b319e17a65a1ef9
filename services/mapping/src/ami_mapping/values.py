"""The value of a reading: exact decimals from the meter's scaler to the multiplier of the ReadingType (M-111, M-112)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import cast

from ami_dlms.cosem.quantity import ScalerUnit
from ami_dlms.data import Data
from ami_mapping.lookup import Match
from ami_mapping.reading_types import ReadingType
from ami_mapping.readings import ReadingRow

MULTIPLIERS = (-12, -9, -6, -3, -2, -1, 0, 1, 2, 3, 6, 9, 12)
"""Powers of ten that field 16 may have."""
PERCENT, PERCENT_SCALER = 56, -2
"""The DLMS unit of a percentage: its CIM unit is a ratio, so the scaler is two lower."""

_EXACT = Context(prec=1_000, traps=[Inexact, InvalidOperation])
"""Digits for any two numbers that a meter can give: from the least float to the largest, with any scaler and multiplier, there are 930."""


class UnitMismatch(ValueError):
    """The meter's scaler_unit has another unit than the row: the value is not relabelled (M-111)."""


def reading_of(
    match: Match, raw: Data, scaler_unit: ScalerUnit, *, multiplier: int | None = None, currency: int = 0
) -> tuple[ReadingType, str]:
    """The code and the text of a reading, of what a meter gave as value and scaler_unit of the attribute of a match.

    `multiplier` is the one that was asked for, None where nothing was. UnitMismatch when the meter's unit is not the row's,
    DecodeError when the value is no number, ValueError for a multiplier that is not in the list.
    """
    check_unit(match.row, scaler_unit.unit)
    wanted = multiplier_for(scaler_unit.scaler, scaler_unit.unit) if multiplier is None else multiplier
    if wanted not in MULTIPLIERS:
        raise ValueError(f"{wanted} is no multiplier of a ReadingType")
    code = match.reading_type(wanted, currency)
    return code, reading_value(scaler_unit.apply(raw).value, code.multiplier, scaler_unit.unit)


def reading_texts(
    match: Match, raws: Iterable[object], scaler_unit: ScalerUnit, *, multiplier: int | None = None
) -> tuple[ReadingType, list[str | None]]:
    """The same for a column of a profile, without an object for each value; what is no whole number has no text.

    Raises UnitMismatch, and ValueError for a multiplier that is not in the list.
    """
    code, shift = scaling_of(match, scaler_unit, multiplier=multiplier)
    return code, _shifted_each(list(raws), shift)


def scaling_of(match: Match, scaler_unit: ScalerUnit, *, multiplier: int | None = None) -> tuple[ReadingType, int]:
    """The code of whole numbers with this scaler_unit, and the power of ten that makes texts of them (`shifted`).

    Raises UnitMismatch, and ValueError for a multiplier that is not in the list.
    """
    check_unit(match.row, scaler_unit.unit)
    wanted = multiplier_for(scaler_unit.scaler, scaler_unit.unit) if multiplier is None else multiplier
    if wanted not in MULTIPLIERS:
        raise ValueError(f"{wanted} is no multiplier of a ReadingType")
    code = match.reading_type(wanted)
    return code, scaler_unit.scaler - code.multiplier + (PERCENT_SCALER if scaler_unit.unit == PERCENT else 0)


def _shifted_each(raws: Sequence[object], shift: int) -> list[str | None]:
    """As `shifted`; where no number has a sign, the point is put into their texts."""
    if raws and set(map(type, raws)) == {int}:
        numbers = cast("Sequence[int]", raws)
        if not shift:
            return list(map(str, numbers))
        if shift < 0 <= (least := min(numbers)):
            texts: Iterable[str] = map(str, numbers)
            if least < 10**-shift:
                texts = [text.zfill(1 - shift) for text in texts]
            return [f"{text[:shift]}.{text[shift:]}" for text in texts]
    return [shifted(raw, shift) if type(raw) is int else None for raw in raws]


def shifted(raw: int, shift: int) -> str:
    """A whole number times a power of ten, every digit kept and no exponent."""
    if shift >= 0:
        return str(raw * 10**shift)
    digits = str(abs(raw)).rjust(1 - shift, "0")
    sign = "-" if raw < 0 else ""
    return f"{sign}{digits[:shift]}.{digits[shift:]}"


def multiplier_for(scaler: int, dlms_unit: int | None = None) -> int:
    """The multiplier of a value that was not asked for in another: the scaler, or the next listed one below it.

    ValueError below -12, where there is none.
    """
    wanted = scaler + (PERCENT_SCALER if dlms_unit == PERCENT else 0)
    fitting = [one for one in MULTIPLIERS if one <= wanted]
    if not fitting:
        raise ValueError(f"no multiplier is as low as 10^{wanted}")
    return fitting[-1]


def check_unit(row: ReadingRow, dlms_unit: int) -> None:
    """UnitMismatch unless a meter's scaler_unit has the unit of the row; a row without a unit takes any."""
    if row.dlms_unit is not None and row.dlms_unit != dlms_unit:
        raise UnitMismatch(f"{row.id} is of unit {row.dlms_unit} and the meter's scaler_unit says {dlms_unit}")


def reading_value(value: Decimal, multiplier: int, dlms_unit: int | None = None) -> str:
    """The text of Reading/value: a value in its DLMS unit, in units of 10^multiplier, every digit kept and no exponent."""
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError(f"{value} is no number that a reading can have")
    shift = PERCENT_SCALER if dlms_unit == PERCENT else 0
    return f"{Decimal((sign, digits, exponent + shift - multiplier)):f}"


def difference(before: Decimal, after: Decimal, *, next_row: bool) -> Decimal | None:
    """The quantity between two register readings; None when the register has gone back or a row between is missing (M-106)."""
    if not next_row or after < before:
        return None
    return _EXACT.subtract(after, before)
