"""What a ReadingType says of the values that the CIS shows: their unit, how long an interval is, whether they go on and on.

The CIS knows no meter and no DLMS: an OBIS code is a name here (`ami_cim.reading_type_names`)."""

from datetime import timedelta
from functools import lru_cache

from ami_cim.reading_type_names import fields_of

_MEASURING_PERIOD, _ACCUMULATION, _MULTIPLIER, _UNIT = 2, 3, 15, 16
_TIME_STAMP = 108
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


@lru_cache(1_000)
def unit_of(reading_type: str) -> str:
    """What is written behind a value, e.g. kWh; nothing for a code without a unit that is known here."""
    fields = fields_of(reading_type)
    if not fields:
        return ""
    unit = _UNITS.get(fields[_UNIT])
    if unit is None:
        return ""
    power = fields[_MULTIPLIER]
    return _PREFIXES[power] + unit if power in _PREFIXES else f"10^{power} {unit}"


def interval_of(reading_type: str) -> timedelta:
    """How long the intervals of a code are; zero where it says no minutes."""
    fields = fields_of(reading_type)
    return timedelta(minutes=_MINUTES.get(fields[_MEASURING_PERIOD], 0) if fields else 0)


@lru_cache(1_000)
def is_time(reading_type: str) -> bool:
    """Whether values of a code are moments, as those of a clock, and no numbers."""
    fields = fields_of(reading_type)
    return bool(fields) and fields[_UNIT] == _TIME_STAMP


def is_register(reading_type: str) -> bool:
    """Whether values of a code go on from where the last one was, so that their differences say more than they do."""
    fields = fields_of(reading_type)
    return bool(fields) and fields[_ACCUMULATION] in _REGISTERS
