"""Parameters of controls: what the schema of EndDeviceControls has no place for, in a namespace of our own (`schemas/xsd/ControlParameters.xsd`).

One class an element. Their names are those of the field, where there is one. Moments are aware; durations are whole seconds.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

_EXACT = {"extra": "forbid"}
"""Whoever reads them from JSON or TOML by pydantic, which is not needed here, lets no other field in."""


class _Bounds:
    """Those of the schema (`schemas/xsd/ControlParameters.xsd`) for pydantic, so that who gives a value is told what is wrong with it in words of their own."""

    def __init__(self, **bounds: Any) -> None:
        self._bounds = bounds

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return handler(source) | self._bounds


Threshold = Annotated[Decimal, _Bounds(ge=0, lt=10**12, max_digits=160, decimal_places=80)]
"""As many digits as a number in XML may have, zeros behind the others among them: an exponent without a bound would make a gigabyte of twelve characters."""
Seconds = Annotated[int, _Bounds(ge=0, le=2**32 - 1)]
Number = Annotated[int, _Bounds(ge=0, le=2**16 - 1)]
Octet = Annotated[int, _Bounds(ge=0, le=2**8 - 1)]
Rate = Annotated[int, _Bounds(ge=1, le=2**16 - 1)]
ShortName = Annotated[str, _Bounds(pattern="^[!-~]{1,8}$")]
YearlyDay = Annotated[str, _Bounds(pattern="^--(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")]
LocalTime = Annotated[str, _Bounds(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limiter:
    """A limit of what the meter lets through. `threshold` is in the unit of what the meter monitors (W), without a multiplier."""

    __pydantic_config__ = _EXACT

    threshold: Threshold
    over_s: Seconds | None = None
    """How long it may be exceeded before the meter acts; None: as it is."""
    under_s: Seconds | None = None
    """How long it has to be kept again; None: as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimiterEmergency:
    """Another limit for a while, in place of the usual one."""

    __pydantic_config__ = _EXACT

    threshold: Threshold
    start_at: datetime | None = None
    """None: at once."""
    duration_s: Seconds
    group: Number | None = None
    """Of the meter's list of groups; None: the first one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Season:
    """From this day of each year on this week counts; `start` is --MM-DD (xs:gMonthDay)."""

    __pydantic_config__ = _EXACT

    name: ShortName
    start: YearlyDay
    week: ShortName


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """The numbers of days, Monday first."""

    __pydantic_config__ = _EXACT

    name: ShortName
    monday: Octet
    tuesday: Octet
    wednesday: Octet
    thursday: Octet
    friday: Octet
    saturday: Octet
    sunday: Octet


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPeriod:
    """From this local time on (HH:MM) this rate counts."""

    __pydantic_config__ = _EXACT

    start: LocalTime
    rate: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A day by its number."""

    __pydantic_config__ = _EXACT

    day_id: Octet
    periods: tuple[DayPeriod, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialDay:
    """A day of each year that counts as the day of this number; `date` is --MM-DD (xs:gMonthDay)."""

    __pydantic_config__ = _EXACT

    date: YearlyDay
    day_id: Octet


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeOfUse:
    """A calendar of rates. Without special days those of the meter stay."""

    __pydantic_config__ = _EXACT

    name: ShortName
    activate_at: datetime | None = None
    """None: at once."""
    seasons: tuple[Season, ...] = ()
    weeks: tuple[Week, ...] = ()
    days: tuple[Day, ...] = ()
    special_days: tuple[SpecialDay, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """Which key or secret of a meter takes another value; the value itself is the head-end's and never said."""

    __pydantic_config__ = _EXACT

    key: Literal["encryption", "authentication", "secret", "master"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareImage:
    """An image that the head-end has, by its identifier there."""

    __pydantic_config__ = _EXACT

    identifier: Annotated[str, _Bounds(min_length=1, max_length=64)]


Parameters = Limiter | LimiterEmergency | TimeOfUse | KeyChange | FirmwareImage
