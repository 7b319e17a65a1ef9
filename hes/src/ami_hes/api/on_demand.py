"""POST `/api/v1/readings`: meters are read now, for an operator of the head-end.

The order becomes the GetMeterReadings that any client would send, so what is answered, kept, reported and refused is the same for both.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from http import HTTPStatus
from itertools import repeat
from zoneinfo import ZoneInfo

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
from ami_hes.api.values.on_demand import Problem, ReadAnswer, ReadOrder, ReadValueEntry
from ami_hes.jobs import KeptAnswer
from ami_process.api import ApiRefused, answer_of, read_body
from ami_process.environment import Environment
from ami_process.local_times import NoSuchTime, at_home

NOUN = "MeterReadings"
SOURCE = "HES API"
"""Header/Source of such a request."""
MOST_ANSWER = 50_000_000
"""Octets of an answer, the most that `hes.max_answer_octets` may be."""
Ask = Callable[[RequestMessage], Awaitable[ResponseMessage | KeptAnswer]]


def reading_routes(
    ask: Ask, names: Callable[[str], str | None], schemas: Schemas, environment: Environment, zone: ZoneInfo
) -> list[Route]:
    """POST reads, and answers when that has an end."""

    async def read(request: Request) -> Response:
        message = _message(await read_body(request, ReadOrder), environment, zone)
        try:
            response = await answered(ask, message, schemas)
        except CimError as problem:
            raise unavailable(problem.reason) from None
        check_room(response)
        return await asyncio.to_thread(lambda: answer_of(_answer(response, names, zone)))

    return [Route(paths.READINGS, read, methods=["POST"])]


RETRY_AFTER_S = 10
"""For a lane that is full, a store or an engine that is away."""
NO_ROOM = "3.2"


def unavailable(reason: str) -> ApiRefused:
    """Nothing was accepted for now."""
    return ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, reason, retry_after_s=RETRY_AFTER_S)


def check_room(response: ResponseMessage) -> None:
    """Raises ApiRefused where nothing was accepted since a lane is full."""
    for one in response.reply.errors:
        if one.code == NO_ROOM and response.reply.result == "FAILED":
            raise unavailable(f"{one.code} {one.reason}")


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
            end_devices=tuple(map(device_of, order.meters)),
            end_device_groups=tuple(map(group_of, order.groups)),
            reading_types=tuple(Identified(mrid=code) for code in dict.fromkeys(order.reading_types)),
            readings=(asked,),
            qualities=tuple(Quality(code=code) for code in dict.fromkeys(order.qualities)),
        ),
    )


def device_of(name: str) -> EndDevice:
    """By mRID where it is one, else by name."""
    return EndDevice(mrid=name) if is_uuid(name) else EndDevice(names=(Name(name=name),))


def group_of(text: str) -> Identified:
    """VALUE or TAG=VALUE."""
    tag, has_tag, value = text.partition("=")
    return Identified(names=(Name(name=value, name_type=tag) if has_tag else Name(name=text),))


def _answer(response: ResponseMessage, names: Callable[[str], str | None], zone: ZoneInfo) -> ReadAnswer:
    """The same for an operator, in a zone; `names` has the name of a meter by its mRID."""
    payload = response.payload if isinstance(response.payload, MeterReadings) else MeterReadings()
    return ReadAnswer(
        message_id=response.header.correlation_id or "",
        result=response.reply.result,
        errors=problems_of(response, names),
        readings=tuple(value for one in payload.meter_readings for value in _values(one, names, zone)),
    )


def problems_of(response: ResponseMessage, names: Callable[[str], str | None]) -> tuple[Problem, ...]:
    """The errors of a reply; `names` has the name of a meter by its mRID."""
    return tuple(
        Problem(
            code=one.code,
            meter=_named(None if one.identifier is None else one.identifier.value, names),
            reason=one.reason,
        )
        for one in response.reply.errors
    )


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
