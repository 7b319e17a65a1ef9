"""Readings over the REST API: `POST` asks meters by way of the HES and answers when that has an end, `GET` gives what is kept.

Times may be without an offset: then they are those of `cis.time_zone`. All times in an answer are of that zone, with their offset.
"""

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_cim.reading_type_names import known_type, reading_type_of, with_any_multiplier
from ami_cim.reading_type_words import describe
from ami_cis.meters import Meter
from ami_cis.reading_types import is_time, unit_of
from ami_cis.store import KeptReading, ReadingQuery, Store, StoreUnavailable
from ami_cis.under_way import Asking, UnderWay
from ami_cis.workflows import Readings, ReadOrder, ReadOutcome, Target
from ami_process.api import ApiRefused, answer_of, read_body
from ami_process.local_times import NoSuchTime, at_home
from ami_process.query_parameters import check_known, values_of

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

    def in_zone(self, zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
        """Both with their offsets; raises ApiRefused."""
        try:
            start, end = (None if one is None else at_home(one, zone) for one in (self.start, self.end))
        except NoSuchTime as problem:
            raise ApiRefused(HTTPStatus.UNPROCESSABLE_ENTITY, str(problem)) from None
        if start is not None and end is not None and end <= start:
            raise ApiRefused(HTTPStatus.UNPROCESSABLE_ENTITY, f"to: {end.isoformat()} is not after {start.isoformat()}")
        return start, end


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

    def order(self, known: Sequence[Meter], zone: ZoneInfo) -> ReadOrder:
        """The same for the workflow; a meter that the configuration knows is given its mRID too. Raises ApiRefused."""
        mrids = {meter.name: meter.mrid for meter in known}
        start, end = self.in_zone(zone)
        return ReadOrder(
            targets=(
                *(Target.meter(name, mrids.get(name)) for name in self.meters),
                *(Target.mrid(mrid) for mrid in self.mrids),
                *(Target.point(name) for name in self.usage_points),
                *(Target.group_of(text) for text in self.groups),
                *(Target.point_group_of(text) for text in self.usage_point_groups),
            ),
            reading_types=tuple(dict.fromkeys(self.reading_types)),
            start=start,
            end=end,
            source=self.source,
            qualities=tuple(dict.fromkeys(self.qualities)),
            asynchronous=self.asynchronous,
            message_id=self.message_id,
        )


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


def reading_routes(readings: Readings, store: Store, asking: Asking) -> list[Route]:
    """POST asks meters, GET looks at what is kept."""
    under_way, zone = UnderWay("question", asking.stopping), asking.zone

    async def ask(request: Request) -> Response:
        asked = await read_body(request, ReadingsOrder)
        asking.demand_replies(asynchronous=asked.asynchronous)
        order = asked.order(asking.meters, zone)
        read = await under_way.end_of(order.message_id, partial(readings.run, order))
        return await asyncio.to_thread(lambda: answer_of(ReadingsOutcome.of(order, read, zone)))

    async def look(request: Request) -> Response:
        wanted = _wanted(request, zone)
        try:
            found = await store.readings(wanted)
        except StoreUnavailable as problem:
            raise ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, str(problem)) from None
        complete = len(found) < wanted.most
        return await asyncio.to_thread(lambda: answer_of(KeptReadings.of(found, zone, complete=complete)))

    return [Route(READINGS, ask, methods=["POST"]), Route(READINGS, look, methods=["GET"])]


def _wanted(request: Request, zone: ZoneInfo) -> ReadingQuery:
    """The query: `meter` and `type` as often as there are, `from`, `to`, and `request`, the MessageID of the one that brought them. Raises ApiRefused for anything else."""
    check_known(request, ("meter", "type", "from", "to", "request"), several=("meter", "type"))
    meters, asked = (values_of(request, name, MAX_TYPES) for name in ("meter", "type"))
    query = request.query_params
    given = {name: query[name] for name in ("from", "to") if name in query}
    try:
        period = PeriodQuery.model_validate(given)
        types = tuple(code for one in asked for code in _codes_of(one))
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False, include_context=False)[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}"
        raise ApiRefused(HTTPStatus.UNPROCESSABLE_ENTITY, reason) from None
    except ValueError as problem:
        raise ApiRefused(HTTPStatus.UNPROCESSABLE_ENTITY, f"type: {problem}") from None
    start, end = period.in_zone(zone)
    return ReadingQuery(
        meters=tuple(meters), reading_types=types, after=start, until=end, message_id=query.get("request")
    )


def _codes_of(text: str) -> tuple[str, ...]:
    """What a name or OBIS code means is kept with whichever multiplier it came; a code is itself. Raises UnknownType."""
    code = reading_type_of(text)
    return (code,) if known_type(text) is None else with_any_multiplier(code)
