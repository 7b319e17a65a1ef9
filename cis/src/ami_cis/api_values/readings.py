"""Readings and what is asked for, as `/api/v1/readings` takes and gives them.

Times may be without an offset: then they are those of `cis.time_zone`. All times in an answer are of that zone, with their offset.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ami_cim.reading_type_names import reading_type_of
from ami_cim.reading_type_words import describe
from ami_cis.reading_types import is_time, unit_of

if TYPE_CHECKING:
    from ami_cis.store import KeptReading
    from ami_cis.workflows import ReadOrder, ReadOutcome


READINGS = "/api/v1/readings"
MAX_TARGETS = 10_000
MAX_TYPES = 1_000
MAX_QUALITIES = 50


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has to be printable text")
    return text


Text = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_printable)]
Type = Annotated[Text, AfterValidator(reading_type_of)]
_QUALITY = re.compile(r"\d{1,5}(?:\.\d{1,5}){2}", re.ASCII)


def _quality(text: str) -> str:
    if _QUALITY.fullmatch(text) is None:
        raise ValueError(f"{text[:40]!r} is no ReadingQuality, which is three numbers, as 1.0.0")
    return text


Quality = Annotated[Text, AfterValidator(_quality)]
_TIME = re.compile(r"\d{4}-\d\d-\d\d.{,32}", re.ASCII)


def _written(value: object) -> object:
    """A time as ISO 8601 has it. A number is none: it would be taken for seconds since 1970."""
    if value is None or isinstance(value, datetime):
        return value
    with suppress(ValueError):
        if isinstance(value, str) and _TIME.fullmatch(value):
            return datetime.fromisoformat(value)
    raise ValueError(f"{str(value)[:40]!r} is no time: write 2026-11-28, 2026-11-28T12:00 or 2026-11-28T12:00+01:00")


Moment = Annotated[datetime | None, BeforeValidator(_written)]


class PeriodQuery(BaseModel):
    """From a moment until another one, which may be open."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    start: Moment = Field(default=None, alias="from")
    end: Moment = Field(default=None, alias="to")


class ReadingsOrder(PeriodQuery):
    """Which values of which meters: ReadingTypes by code, OBIS code or alias; none of them: all that a meter has."""

    meters: tuple[Text, ...] = Field(default=(), max_length=MAX_TARGETS)
    mrids: tuple[Text, ...] = Field(default=(), max_length=MAX_TARGETS)
    usage_points: tuple[Text, ...] = Field(default=(), max_length=MAX_TARGETS)
    groups: tuple[Text, ...] = Field(default=(), max_length=MAX_TARGETS)
    """Of meters: VALUE or TAG=VALUE of the registry of the HES."""
    usage_point_groups: tuple[Text, ...] = Field(default=(), max_length=MAX_TARGETS)
    """The same of the meters there that are at a usage point."""
    reading_types: tuple[Type, ...] = Field(default=(), max_length=MAX_TYPES)
    source: Text | None = None
    """Where the HES is to take the values from: `meter`, `store`, `store first` with ours."""
    qualities: tuple[Quality, ...] = Field(default=(), max_length=MAX_QUALITIES)
    """ReadingQualityTypes, as 1.0.0, of which a value has to have one."""
    asynchronous: bool = False
    message_id: Text | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if not (self.meters or self.mrids or self.usage_points or self.groups or self.usage_point_groups):
            raise ValueError("name at least one of meters, mrids, usage_points, groups and usage_point_groups")
        if self.end is not None and self.start is None:
            raise ValueError("from: a period that ends has to begin")
        return self


class ReadingError(BaseModel):
    """One Reply/Error; `meter` is the name by which the order named it, where it is about one of them."""

    code: str
    reason: str | None
    meter: str | None
    level: str | None


class ReadingValue(BaseModel):
    """One value; `at` is the end of an interval, `value` an exact decimal, of a clock a moment, None where it is known to be missing. `words` is its ReadingType in words."""

    meter: str
    reading_type: str
    words: str
    at: datetime
    start: datetime | None
    value: str | None
    unit: str
    qualities: tuple[str, ...]
    source: str | None

    @classmethod
    def of(cls, kept: KeptReading, zone: ZoneInfo) -> Self:
        """The same with its unit, in a zone."""
        return cls(
            meter=kept.meter,
            reading_type=kept.reading_type,
            words=describe(kept.reading_type),
            at=kept.at.astimezone(zone),
            start=None if kept.start is None else kept.start.astimezone(zone),
            value=_value_of(kept, zone),
            unit=unit_of(kept.reading_type),
            qualities=kept.qualities,
            source=kept.source,
        )


def _value_of(kept: KeptReading, zone: ZoneInfo) -> str | None:
    if kept.value is None or not is_time(kept.reading_type):
        return kept.value
    return datetime.fromisoformat(kept.value).astimezone(zone).isoformat()


class ReadingsOutcome(BaseModel):
    """How a question ended, and the values that came, `complete` unless there are more; without a final reply `result` is None, and `reason` says why."""

    message_id: str
    meters: tuple[str, ...]
    reading_types: tuple[str, ...]
    start: datetime | None
    end: datetime | None
    result: str | None
    errors: tuple[ReadingError, ...]
    reason: str | None
    unknown: bool
    not_sent: bool = False
    ms: float
    readings: tuple[ReadingValue, ...]
    complete: bool

    @classmethod
    def of(cls, order: ReadOrder, read: ReadOutcome, zone: ZoneInfo) -> Self:
        """The same for a program, in a zone."""
        document: dict[str, Any] = asdict(read.outcome)
        document |= {
            "meters": [target.label for target in order.targets],
            "reading_types": order.reading_types,
            "start": order.start,
            "end": order.end,
            "readings": [ReadingValue.of(one, zone) for one in read.readings],
            "complete": read.complete,
        }
        return cls.model_validate(document)


class KeptReadings(BaseModel):
    """What the CIS has; `complete` is False where there is more than is given at once."""

    readings: tuple[ReadingValue, ...]
    complete: bool

    @classmethod
    def of(cls, kept: Sequence[KeptReading], zone: ZoneInfo, *, complete: bool) -> Self:
        """The same for a program, in a zone."""
        return cls(readings=tuple(ReadingValue.of(one, zone) for one in kept), complete=complete)
