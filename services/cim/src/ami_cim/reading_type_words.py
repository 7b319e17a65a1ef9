"""A ReadingType in words: its 18 numbers (IEC 61968-9) by the lists of the standard, data/reading_type_fields.csv, as a person would say it.

What is in the table of names is called as there ("active energy import"); of any other code each field is said that is not 0, and not
what goes without saying: electricity, and that a register goes on and on.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from importlib.resources import files

from ami_cim.reading_type_names import fields_of, known_types

FIELDS = (
    "macro_period",
    "aggregate",
    "measuring_period",
    "accumulation",
    "flow_direction",
    "commodity",
    "measurement_kind",
    "interharmonic_numerator",
    "interharmonic_denominator",
    "argument_numerator",
    "argument_denominator",
    "tou",
    "cpp",
    "consumption_tier",
    "phases",
    "multiplier",
    "unit",
    "currency",
)
"""In the order of the text."""
_ELECTRICITY = frozenset({0, 1, 2})
_POWERS = {37: "power", 12: "energy", 8: "demand"}
"""Numbers of MeasurementKind that are active, reactive or apparent by their unit."""
_SORTS = {
    "w": "active ",
    "wh": "active ",
    "var": "reactive ",
    "varh": "reactive ",
    "va": "apparent ",
    "vah": "apparent ",
}
_PREFIXES = {-6: "µ", -3: "m", -2: "c", -1: "d", 0: "", 1: "da", 2: "h", 3: "k", 6: "M", 9: "G", 12: "T"}
_DIRECTIONS = {1: "import", 19: "export", 20: "in total"}
_PERIODS = {1: "10 min", 2: "15 min", 3: "1 min", 4: "24 h", 5: "30 min", 6: "5 min", 7: "60 min", 10: "2 min", 14: "3 min", 31: "20 min"}  # fmt: skip
_DELTA = 4
_REGISTERS = frozenset({1, 3, 9})
"""Numbers of AccumulationKind that a register has: it goes without saying."""
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@cache
def field_words() -> Mapping[str, Mapping[int, str]]:
    """The enumerations: name of a field -> number -> word. Fields without a list are not in it."""
    text = files("ami_cim").joinpath("data", "reading_type_fields.csv").read_text(encoding="utf-8")
    words: dict[str, dict[int, str]] = {}
    for row in csv.DictReader(text.splitlines(), strict=True):
        if row["field"] not in FIELDS or not row["name"]:
            raise ValueError(f"{row['field']!r} is no field of a ReadingType, or it has no name")
        if words.setdefault(row["field"], {}).setdefault(int(row["number"]), row["name"]) != row["name"]:
            raise ValueError(f"{row['field']} {row['number']} is there twice")
    return words


@lru_cache(10_000)
def describe(reading_type: str) -> str:
    """A code in words; the code itself where it is none."""
    numbers = fields_of(reading_type)
    if len(numbers) != len(FIELDS):
        return reading_type
    return _meanings().get(tuple(numbers)) or ", ".join(_parts(dict(zip(FIELDS, numbers, strict=True))))


@cache
def _meanings() -> Mapping[tuple[int, ...], str]:
    return {tuple(fields_of(row.reading_type)): row.meaning for row in known_types()}


def _parts(field: dict[str, int]) -> Iterator[str]:
    yield " ".join(filter(None, _quantity(field)))
    if field["commodity"] not in _ELECTRICITY:
        yield _word("commodity", field["commodity"])
    if field["phases"]:
        yield f"phase {_word('phases', field['phases'])}"
    if field["argument_numerator"] or field["interharmonic_numerator"]:
        yield from _fractions(field)
    for name, word in (("tou", "tariff"), ("cpp", "critical peak"), ("consumption_tier", "tier")):
        if field[name]:
            yield f"{word} {field[name]}"
    yield from _times(field)
    if field["unit"]:
        power = field["multiplier"]
        yield _PREFIXES.get(power, f"10^{power} ") + _word("unit", field["unit"])
    elif field["multiplier"]:
        yield f"times 10^{field['multiplier']}"
    if field["currency"]:
        yield f"currency {field['currency']}"


def _quantity(field: dict[str, int]) -> Iterator[str]:
    """Such as "maximum active power import"."""
    if field["aggregate"]:
        yield _word("aggregate", field["aggregate"])
    kind, unit = field["measurement_kind"], field_words()["unit"].get(field["unit"], "")
    yield _SORTS.get(unit.lower(), "") + _POWERS[kind] if kind in _POWERS else _word("measurement_kind", kind)
    direction = field["flow_direction"]
    if direction:
        yield _DIRECTIONS.get(direction) or _word("flow_direction", direction)


def _fractions(field: dict[str, int]) -> Iterator[str]:
    for name, word in (("interharmonic", "harmonic"), ("argument", "argument")):
        numerator, denominator = field[f"{name}_numerator"], field[f"{name}_denominator"]
        if numerator:
            yield f"{word} {numerator}" if denominator in (0, 1) else f"{word} {numerator}/{denominator}"


def _times(field: dict[str, int]) -> Iterator[str]:
    if field["macro_period"]:
        yield _word("macro_period", field["macro_period"])
    accumulation, period = field["accumulation"], field["measuring_period"]
    if period:
        spoken = _PERIODS.get(period) or _word("measuring_period", period)
        yield f"of each {spoken}" if accumulation == _DELTA else f"every {spoken}"
    elif accumulation == _DELTA:
        yield _word("accumulation", accumulation)
    if accumulation and accumulation != _DELTA and accumulation not in _REGISTERS:
        yield _word("accumulation", accumulation)


def _word(field: str, number: int) -> str:
    """As the standard has it, its words apart."""
    word = field_words().get(field, {}).get(number)
    if word is None:
        return f"{field.replace('_', ' ')} {number}"
    if field in ("unit", "phases"):
        return word
    return _HUMP.sub(" ", word).lower() if not word[:1].isupper() else word
