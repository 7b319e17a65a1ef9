"""Schedules of readings, as `/api/v1/schedules` takes and gives them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ami_cis.api_values.ended import Ended
from ami_cis.api_values.readings import Text, Type

if TYPE_CHECKING:
    from ami_cis.store import CountedReadings


SCHEDULES = "/api/v1/schedules"
SCHEDULE = f"{SCHEDULES}/{{name:path}}"
MAX_METERS, MAX_TYPES = 5_000, 200
_AT = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d", re.ASCII)


def _time_of_day(value: str) -> str:
    if _AT.fullmatch(value) is None:
        raise ValueError("a time of day as 00:30 was expected")
    return value


def _zone(value: str) -> str:
    try:
        return ZoneInfo(value).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("expected a time zone of IANA, as Europe/Berlin") from None


class ScheduleOrder(BaseModel):
    """What is to be collected: of meters, or of a group (VALUE, or TAG=VALUE), every day for the day before or every hour for the hour before."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reading_types: tuple[Type, ...] = Field(min_length=1, max_length=MAX_TYPES)
    meters: tuple[Text, ...] = Field(default=(), max_length=MAX_METERS)
    mrids: tuple[Text, ...] = Field(default=(), max_length=MAX_METERS)
    group: Text | None = None
    every: Literal["day", "hour"] = "day"
    at: Annotated[str, AfterValidator(_time_of_day)] = "00:30"
    time_zone: Annotated[Text, AfterValidator(_zone)] | None = None
    message_id: Text | None = None

    @model_validator(mode="after")
    def _has_meters(self) -> Self:
        if bool(self.meters or self.mrids) == (self.group is not None):
            raise ValueError("name meters or mrids, or a group")
        return self


class ScheduleOrdered(Ended):
    """A schedule that was ordered; `first_due_at` is in its zone."""

    name: str
    first_due_at: datetime


class ScheduleEnded(Ended):
    """A schedule that was cancelled or deleted, as the verb says."""

    name: str
    verb: Literal["cancel", "delete"]


class ScheduleLine(BaseModel):
    """A schedule as the HES has it; times are of its zone."""

    name: str
    enabled: bool
    next_due_at: datetime | None
    every: str
    at: str | None
    time_zone: str
    reading_types: tuple[str, ...]
    meters: tuple[str, ...]
    group: str | None


class ScheduleList(Ended):
    """The schedules that collect from the meters that were named, or from all that the CIS knows; `further` are not shown."""

    schedules: tuple[ScheduleLine, ...]
    further: int


class KeptSeries(BaseModel):
    """What the CIS has of a meter and a ReadingType, however it came."""

    meter: str
    reading_type: str
    values: int
    first_at: datetime
    last_at: datetime

    @classmethod
    def of(cls, counted: CountedReadings, zone: ZoneInfo) -> Self:
        first, last = counted.first_at.astimezone(zone), counted.last_at.astimezone(zone)
        return cls.model_validate(counted._asdict() | {"first_at": first, "last_at": last})


class ScheduleDetails(Ended):
    """A schedule, if the HES has it, and what the CIS has of its ReadingTypes and meters."""

    schedule: ScheduleLine | None
    kept: tuple[KeptSeries, ...]
