"""ReadingTypes as an operator of the CIS names them: the code itself, an OBIS code or an alias of the table data/reading_types.csv.

The CIS knows no meter and no DLMS: an OBIS code is a name here, of the few values that a customer information system asks for."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, lru_cache
from importlib.resources import files

_CODE = re.compile(r"(?:-?\d{1,6}\.){17}-?\d{1,6}", re.ASCII)
_MEASURING_PERIOD, _ACCUMULATION, _MULTIPLIER, _UNIT = 2, 3, 15, 16
_MINUTES = {1: 10, 2: 15, 3: 1, 5: 30, 6: 5, 7: 60, 10: 2, 14: 3, 31: 20}
"""Numbers of MeasuringPeriodKind, and how long they are."""
_REGISTERS = frozenset({1, 2, 3, 9})
"""Numbers of AccumulationKind of values that go on and on: bulkQuantity, continuousCumulative, cumulative, summation."""
_PREFIXES = {-6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}
_UNITS = {
    5: "A",
    9: "°",
    23: "°C",
    27: "s",
    29: "V",
    33: "Hz",
    38: "W",
    42: "m³",
    61: "VA",
    63: "var",
    71: "VAh",
    72: "Wh",
    73: "varh",
    159: "min",
    160: "h",
}
"""Numbers of UnitSymbol (IEC 61968-9) with a unit that is written behind a value."""


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
    text = files("ami_cis").joinpath("data", "reading_types.csv").read_text(encoding="utf-8")
    return tuple(KnownType(**row) for row in csv.DictReader(text.splitlines(), strict=True))


def reading_type_of(text: str) -> str:
    """The code that an operator means; raises UnknownType."""
    wanted = text.strip()
    if _CODE.fullmatch(wanted):
        return ".".join(str(int(part)) for part in wanted.split("."))
    obis = wanted.removesuffix("*255")
    for row in known_types():
        if wanted.lower() == row.alias or (obis and row.obis in (obis, f"1-0:{obis}")):
            return row.reading_type
    names = ", ".join(row.alias for row in known_types())
    raise UnknownType(
        f"{wanted[:80]!r} is no ReadingType (18 numbers) and nothing that has a name here; there are {names}. "
        "`ami map` says which ReadingTypes any other OBIS code has"
    )


def name_of(reading_type: str) -> str:
    """The alias of a code, whatever its multiplier (the unit says it), or the code."""
    fields = _fields(reading_type)
    return _aliases().get(_without_multiplier(fields), reading_type) if fields else reading_type


@cache
def _aliases() -> Mapping[tuple[int, ...], str]:
    return {_without_multiplier(_fields(row.reading_type)): row.alias for row in known_types()}


def _without_multiplier(fields: Sequence[int]) -> tuple[int, ...]:
    return (*fields[:_MULTIPLIER], *fields[_MULTIPLIER + 1 :])


@lru_cache(1_000)
def unit_of(reading_type: str) -> str:
    """What is written behind a value, e.g. kWh; nothing for a code without a unit that is known here."""
    fields = _fields(reading_type)
    if not fields:
        return ""
    unit = _UNITS.get(fields[_UNIT])
    if unit is None:
        return ""
    power = fields[_MULTIPLIER]
    return _PREFIXES[power] + unit if power in _PREFIXES else f"10^{power} {unit}"


def interval_of(reading_type: str) -> timedelta:
    """How long the intervals of a code are; zero where it says no minutes."""
    fields = _fields(reading_type)
    return timedelta(minutes=_MINUTES.get(fields[_MEASURING_PERIOD], 0) if fields else 0)


def is_register(reading_type: str) -> bool:
    """Whether values of a code go on from where the last one was, so that their differences say more than they do."""
    fields = _fields(reading_type)
    return bool(fields) and fields[_ACCUMULATION] in _REGISTERS


def _fields(reading_type: str) -> list[int]:
    """The numbers of a code; none of what is no code."""
    return [int(part) for part in reading_type.split(".")] if _CODE.fullmatch(reading_type) else []
