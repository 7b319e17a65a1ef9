"""Names of the ReadingTypes that people ask for most, the same in every command and program: rows of data/reading_type_names.csv.

Beside the ReadingType itself (18 numbers) a name or the OBIS code of a row is taken, whatever meter and whatever head-end it is about.
Where else an OBIS code is known, as in a head-end, it may mean more than is here."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ami_cim.decimals import decimal_of, decimal_text

_CODE = re.compile(r"(?:-?\d{1,6}\.){17}-?\d{1,6}", re.ASCII)
_MULTIPLIER = 15
_POWERS = (-6, -3, 0, 3, 6, 9)
"""Those of prefixes from micro to giga."""
_OBIS = re.compile(
    r"(?:(?P<a>\d{1,3})-(?P<b>\d{1,3}):)?(?P<c>\d{1,3})\.(?P<d>\d{1,3})\.(?P<e>\d{1,3})(?:\*(?P<f>\d{1,3}))?", re.ASCII
)
_DOTTED = re.compile(
    r"(?P<a>\d{1,3})\.(?P<b>\d{1,3})\.(?P<c>\d{1,3})\.(?P<d>\d{1,3})\.(?P<e>\d{1,3})\.(?P<f>\d{1,3})", re.ASCII
)


@dataclass(frozen=True, slots=True)
class KnownType:
    """One row of the table."""

    alias: str
    obis: str
    reading_type: str
    meaning: str


class UnknownType(ValueError):
    """Neither a code nor a name of the table; the text says which names there are."""


@cache
def known_types() -> tuple[KnownType, ...]:
    """All rows, in the order of the table."""
    text = files("ami_cim").joinpath("data", "reading_type_names.csv").read_text(encoding="utf-8")
    return tuple(KnownType(**row) for row in csv.DictReader(text.splitlines(), strict=True))


@cache
def names() -> str:
    """All names, as help and errors list them."""
    return ", ".join(row.alias for row in known_types())


def help_of_types(rest: str) -> str:
    """Of an option that takes a ReadingType; `rest` is what else is to be said of it."""
    return f"A ReadingType (18 numbers), an OBIS code (1-0:1.8.0 or 1.8.0) or a name: {names()}. {rest}"


def named_type(text: str) -> str | None:
    """The code that is meant by a name or an OBIS code of the table, or the code itself; None for anything else."""
    wanted = text.strip()
    if fields_of(wanted):
        return ".".join(map(str, fields_of(wanted)))
    row = known_type(wanted)
    return None if row is None else row.reading_type


def known_type(text: str) -> KnownType | None:
    """The row that has this name or OBIS code."""
    wanted, obis = text.strip().lower(), spelled_obis(text)
    return next((row for row in known_types() if wanted == row.alias or (obis and f"{row.obis}*255" == obis)), None)


def spelled_obis(text: str) -> str | None:
    """An OBIS code as 1-0:1.8.0*255, from 1-0:1.8.0, 1.0.1.8.0.255 or, of electricity, 1.8.0; None for anything else."""
    match = _OBIS.fullmatch(text.strip()) or _DOTTED.fullmatch(text.strip())
    if match is None:
        return None
    a, b, c, d, e, f = (
        given or default for given, default in zip(match.group(*"abcdef"), ("1", "0", "", "", "", "255"), strict=True)
    )
    return f"{a}-{b}:{c}.{d}.{e}*{f}"


def reading_type_of(text: str) -> str:
    """The same; raises UnknownType."""
    found = named_type(text)
    if found is None:
        raise UnknownType(
            f"{text.strip()[:80]!r} is no ReadingType (18 numbers) and nothing that has a name here; there are {names()}. "
            "`ami map` says which ReadingTypes any other OBIS code has"
        )
    return found


def name_of(reading_type: str) -> str:
    """The name of a code, whatever its multiplier (the unit says it), or the code."""
    fields = fields_of(reading_type)
    row = _rows_by_type().get(_without_multiplier(fields)) if fields else None
    return reading_type if row is None else row.alias


def in_unit_of_name(reading_type: str, value: str | None) -> tuple[str, str | None]:
    """The same value by the ReadingType of its name, so that one name has one unit: import is in kWh, with whichever multiplier it came."""
    fields = fields_of(reading_type)
    row = _rows_by_type().get(_without_multiplier(fields)) if fields else None
    if row is None or row.reading_type == reading_type:
        return reading_type, value
    power = fields[_MULTIPLIER] - fields_of(row.reading_type)[_MULTIPLIER]
    return row.reading_type, None if value is None else decimal_text(decimal_of(value).scaleb(power))


def with_any_multiplier(reading_type: str) -> tuple[str, ...]:
    """The code with each multiplier that values of it may have come with."""
    fields = fields_of(reading_type)
    powers = {fields[_MULTIPLIER], *_POWERS}
    return tuple(".".join(map(str, (*fields[:_MULTIPLIER], one, *fields[_MULTIPLIER + 1 :]))) for one in sorted(powers))


def fields_of(reading_type: str) -> list[int]:
    """The numbers of a code; none of what is no code."""
    return [int(part) for part in reading_type.split(".")] if _CODE.fullmatch(reading_type) else []


@cache
def _rows_by_type() -> Mapping[tuple[int, ...], KnownType]:
    return {_without_multiplier(fields_of(row.reading_type)): row for row in known_types()}


def _without_multiplier(fields: Sequence[int]) -> tuple[int, ...]:
    return (*fields[:_MULTIPLIER], *fields[_MULTIPLIER + 1 :])
