"""Parameters of controls: what the schema of EndDeviceControls has no place for, in a namespace of our own (`schemas/xsd/ControlParameters.xsd`).

One class an element. Their names are those of the field, where there is one. Moments are aware; durations are whole seconds.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

MOST_DIGITS = 80
_EXACT = {"extra": "forbid"}
"""Whoever reads them from JSON or TOML by pydantic, which is not needed here, lets no other field in."""


class _Digits:
    """On either side of the point as many digits as a number in XML may have, for pydantic: an exponent would make a gigabyte of twelve
    characters."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return handler(source) | {"max_digits": 2 * MOST_DIGITS, "decimal_places": MOST_DIGITS}


Threshold = Annotated[Decimal, _Digits()]
"""Its bounds are those of the schema."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limiter:
    """A limit of what the meter lets through. `threshold` is in the unit of what the meter monitors (W), without a multiplier."""

    __pydantic_config__ = _EXACT

    threshold: Threshold
    over_s: int | None = None
    """How long it may be exceeded before the meter acts; None: as it is."""
    under_s: int | None = None
    """How long it has to be kept again; None: as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimiterEmergency:
    """Another limit for a while, in place of the usual one."""

    __pydantic_config__ = _EXACT

    threshold: Threshold
    start_at: datetime | None = None
    """None: at once."""
    duration_s: int
    group: int | None = None
    """Of the meter's list of groups; None: the first one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Season:
    """From this day of each year on this week counts; `start` is --MM-DD (xs:gMonthDay)."""

    __pydantic_config__ = _EXACT

    name: str
    start: str
    week: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """The numbers of days, Monday first."""

    __pydantic_config__ = _EXACT

    name: str
    monday: int
    tuesday: int
    wednesday: int
    thursday: int
    friday: int
    saturday: int
    sunday: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPeriod:
    """From this local time on (HH:MM) this rate counts."""

    __pydantic_config__ = _EXACT

    start: str
    rate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A day by its number."""

    __pydantic_config__ = _EXACT

    day_id: int
    periods: tuple[DayPeriod, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialDay:
    """A day of each year that counts as the day of this number; `date` is --MM-DD (xs:gMonthDay)."""

    __pydantic_config__ = _EXACT

    date: str
    day_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeOfUse:
    """A calendar of rates. Without special days those of the meter stay."""

    __pydantic_config__ = _EXACT

    name: str
    activate_at: datetime | None = None
    """None: at once."""
    seasons: tuple[Season, ...] = ()
    weeks: tuple[Week, ...] = ()
    days: tuple[Day, ...] = ()
    special_days: tuple[SpecialDay, ...] = ()


Parameters = Limiter | LimiterEmergency | TimeOfUse
