"""POST `/api/v1/readings`: meters are read now, for an operator of the head-end.

The order becomes the GetMeterReadings that any client would send, so what is answered, kept, reported and refused is the same for both.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from http import HTTPStatus
from itertools import repeat
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_cim import wire
from ami_cim.errors import CimError
from ami_cim.identity import EndDevice, Identified, Name, is_uuid
from ami_cim.limits import for_peer
from ami_cim.message import Header, RequestMessage, ResponseMessage
from ami_cim.payloads.get_meter_readings import AskedReading, GetMeterReadings
from ami_cim.payloads.interval_blocks import IntervalBlock
from ami_cim.payloads.meter_readings import MeterReading, MeterReadings, Reading
from ami_cim.periods import Period
from ami_cim.quality import Quality
from ami_cim.schema import Schemas
from ami_hes.api import paths
from ami_hes.api.reading_types import Type
from ami_hes.jobs import KeptAnswer
from ami_mapping.qualities import parse_quality
from ami_process.api import ApiRefused, answer_of, read_body
from ami_process.environment import Environment
from ami_process.local_times import NoSuchTime, at_home

NOUN = "MeterReadings"
SOURCE = "HES API"
"""Header/Source of such a request."""
MOST_METERS, MOST_TYPES, MOST_QUALITIES = 100, 100, 50
MOST_ANSWER = 50_000_000
"""Octets of an answer, the most that `hes.max_answer_octets` may be."""
Ask = Callable[[RequestMessage], Awaitable[ResponseMessage | KeptAnswer]]


def quality_of(text: str) -> str:
    """The code of a ReadingQualityType. ValueError says what is wrong."""
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


class ReadProblem(BaseModel):
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
    errors: tuple[ReadProblem, ...]
    readings: tuple[ReadValueEntry, ...]

    @classmethod
    def of(cls, response: ResponseMessage, names: Callable[[str], str | None], zone: ZoneInfo) -> Self:
        """The same for an operator, in a zone; `names` has the name of a meter by its mRID."""
        payload = response.payload if isinstance(response.payload, MeterReadings) else MeterReadings()
        return cls(
            message_id=response.header.correlation_id or "",
            result=response.reply.result,
            errors=tuple(
                ReadProblem(
                    code=one.code,
                    meter=_named(None if one.identifier is None else one.identifier.value, names),
                    reason=one.reason,
                )
                for one in response.reply.errors
            ),
            readings=tuple(value for one in payload.meter_readings for value in _values(one, names, zone)),
        )


def reading_routes(
    ask: Ask, names: Callable[[str], str | None], schemas: Schemas, environment: Environment, zone: ZoneInfo
) -> list[Route]:
    """POST reads, and answers when that has an end."""

    async def read(request: Request) -> Response:
        message = _message(await read_body(request, ReadOrder), environment, zone)
        try:
            response = await answered(ask, message, schemas)
        except CimError as problem:
            raise ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, problem.reason) from None
        return await asyncio.to_thread(lambda: answer_of(ReadAnswer.of(response, names, zone)))

    return [Route(paths.READINGS, read, methods=["POST"])]


async def answered(ask: Ask, message: RequestMessage, schemas: Schemas) -> ResponseMessage:
    """What is answered to a message, in whichever form it is kept. Raises CimError."""
    answer = await ask(message)
    return answer if isinstance(answer, ResponseMessage) else await _opened(answer, schemas)


async def _opened(answer: KeptAnswer, schemas: Schemas) -> ResponseMessage:
    """What may be large is read beside the event loop."""
    return await asyncio.to_thread(wire.read_response, answer.octets, schemas, for_peer(MOST_ANSWER))


def _message(order: ReadOrder, environment: Environment, zone: ZoneInfo) -> RequestMessage:
    try:
        start, end = (None if one is None else at_home(one, zone) for one in (order.start, order.end))
    except NoSuchTime as problem:
        raise ApiRefused(HTTPStatus.UNPROCESSABLE_ENTITY, str(problem)) from None
    message_id = str(environment.new_uuid())
    period = Period(start=start, end=end)
    asked = AskedReading(period=period if period != Period() else None, source=order.source)
    return RequestMessage(
        header=Header(
            verb="get",
            noun=NOUN,
            timestamp=environment.now(),
            source=SOURCE,
            message_id=message_id,
            correlation_id=message_id,
        ),
        query=GetMeterReadings(
            end_devices=tuple(map(_device, order.meters)),
            end_device_groups=tuple(map(_group, order.groups)),
            reading_types=tuple(Identified(mrid=code) for code in dict.fromkeys(order.reading_types)),
            readings=(asked,),
            qualities=tuple(Quality(code=code) for code in dict.fromkeys(order.qualities)),
        ),
    )


def _device(name: str) -> EndDevice:
    return EndDevice(mrid=name) if is_uuid(name) else EndDevice(names=(Name(name=name),))


def _group(text: str) -> Identified:
    tag, has_tag, value = text.partition("=")
    return Identified(names=(Name(name=value, name_type=tag) if has_tag else Name(name=text),))


def _named(identifier: str | None, names: Callable[[str], str | None]) -> str | None:
    return None if identifier is None else names(identifier) or identifier


def _values(read: MeterReading, names: Callable[[str], str | None], zone: ZoneInfo) -> Iterator[ReadValueEntry]:
    meter = (read.meter and _named(read.meter.mrid, names)) or ""
    for one in read.readings:
        yield _register(meter, one, zone)
    for block in read.blocks:
        yield from _intervals(meter, block, zone)


def _register(meter: str, one: Reading, zone: ZoneInfo) -> ReadValueEntry:
    period = one.period or Period()
    return ReadValueEntry(
        meter=meter,
        reading_type=one.reading_type,
        at=_in(zone, period.end or one.taken_at),
        start=_in(zone, period.start),
        value=one.value,
        qualities=tuple(quality.code for quality in one.qualities),
        source=one.source,
    )


def _intervals(meter: str, block: IntervalBlock, zone: ZoneInfo) -> Iterator[ReadValueEntry]:
    columns = block.columns
    sources = columns.sources or repeat(None)
    for row, (value, source) in enumerate(zip(columns.values, sources, strict=False)):
        yield ReadValueEntry(
            meter=meter,
            reading_type=block.reading_type,
            at=_in(zone, columns.ended_at(row)),
            start=_in(zone, columns.starts[row] if columns.starts else None),
            value=value,
            qualities=tuple(quality.code for quality in columns.qualities(row)),
            source=source,
        )


def _in(zone: ZoneInfo, moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(zone)
