"""Values that meters are asked for, as `/api/v1/readings` takes and gives them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from ami_hes.api.values.reading_types import Type

MOST_METERS, MOST_TYPES, MOST_QUALITIES = 100, 100, 50


def quality_of(text: str) -> str:
    """The code of a ReadingQualityType. ValueError says what is wrong."""
    from ami_mapping.qualities import parse_quality  # when one is named

    parse_quality(text)
    return text


Text = Annotated[str, Field(min_length=1, max_length=300)]


class ReadOrder(BaseModel):
    """Which values of which meters; none named: all that they have. Times without an offset are those of `hes.time_zone`."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    meters: tuple[Text, ...] = Field(default=(), max_length=MOST_METERS)
    """Names or mRIDs."""
    groups: tuple[Text, ...] = Field(default=(), max_length=MOST_METERS)
    """VALUE or TAG=VALUE of tags of the registry."""
    reading_types: tuple[Type, ...] = Field(default=(), max_length=MOST_TYPES)
    """ReadingTypes, names of them, or OBIS codes of values as they are now."""
    start: datetime | None = Field(default=None, alias="from")
    end: datetime | None = Field(default=None, alias="to")
    source: Literal["meter", "store", "store first"] = "meter"
    qualities: tuple[Annotated[Text, AfterValidator(quality_of)], ...] = Field(default=(), max_length=MOST_QUALITIES)
    """Of which a value has to have one; none: it may have any, or none at all."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if not (self.meters or self.groups):
            raise ValueError("name at least one of meters and groups")
        return self


class ReadValueEntry(BaseModel):
    """One value; `at` is the end of an interval, `value` is None where it is known to be missing."""

    model_config = ConfigDict(frozen=True)

    meter: str
    reading_type: str
    at: AwareDatetime | None
    start: AwareDatetime | None
    value: str | None
    qualities: tuple[str, ...]
    source: str | None


class Problem(BaseModel):
    """An error of the reply; `meter` is its name where it is about one of the registry."""

    model_config = ConfigDict(frozen=True)

    code: str
    meter: str | None
    reason: str | None


class ReadAnswer(BaseModel):
    """What the head-end answers: OK, PARTIAL or FAILED, with what was read and what was not."""

    model_config = ConfigDict(frozen=True)

    message_id: str
    result: str
    errors: tuple[Problem, ...]
    readings: tuple[ReadValueEntry, ...]
