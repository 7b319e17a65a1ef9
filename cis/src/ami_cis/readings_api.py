"""Readings over the REST API: `POST` asks meters by way of the HES and answers when that has an end, `GET` gives what is kept.

Times may be without an offset: then they are those of `cis.time_zone`. All times in an answer are of that zone, with their offset.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from http import HTTPStatus
from zoneinfo import ZoneInfo

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_cim.reading_type_names import known_type, reading_type_of, with_any_multiplier
from ami_cis.api_values.readings import MAX_TYPES, READINGS, KeptReadings, PeriodQuery, ReadingsOrder, ReadingsOutcome
from ami_cis.meters import Meter
from ami_cis.store import ReadingQuery, Store, StoreUnavailable
from ami_cis.under_way import Asking, UnderWay
from ami_cis.workflows import Readings, ReadOrder, Target
from ami_process.api import ApiRefused, answer_of, read_body
from ami_process.local_times import NoSuchTime, at_home
from ami_process.query_parameters import check_known, values_of


def reading_routes(readings: Readings, store: Store, asking: Asking) -> list[Route]:
    """POST asks meters, GET looks at what is kept."""
    under_way, zone = UnderWay("question", asking.stopping), asking.zone

    async def ask(request: Request) -> Response:
        asked = await read_body(request, ReadingsOrder)
        asking.demand_replies(asynchronous=asked.asynchronous)
        order = _order_of(asked, asking.meters, zone)
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


def in_zone(period: PeriodQuery, zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
    """Both ends with their offsets; raises ApiRefused."""
    try:
        start, end = (None if one is None else at_home(one, zone) for one in (period.start, period.end))
    except NoSuchTime as problem:
        raise ApiRefused(HTTPStatus.UNPROCESSABLE_ENTITY, str(problem)) from None
    if start is not None and end is not None and end <= start:
        raise ApiRefused(HTTPStatus.UNPROCESSABLE_ENTITY, f"to: {end.isoformat()} is not after {start.isoformat()}")
    return start, end


def _order_of(asked: ReadingsOrder, known: Sequence[Meter], zone: ZoneInfo) -> ReadOrder:
    """The same for the workflow; a meter that the configuration knows is given its mRID too. Raises ApiRefused."""
    mrids = {meter.name: meter.mrid for meter in known}
    start, end = in_zone(asked, zone)
    return ReadOrder(
        targets=(
            *(Target.meter(name, mrids.get(name)) for name in asked.meters),
            *(Target.mrid(mrid) for mrid in asked.mrids),
            *(Target.point(name) for name in asked.usage_points),
            *(Target.group_of(text) for text in asked.groups),
            *(Target.point_group_of(text) for text in asked.usage_point_groups),
        ),
        reading_types=tuple(dict.fromkeys(asked.reading_types)),
        start=start,
        end=end,
        source=asked.source,
        qualities=tuple(dict.fromkeys(asked.qualities)),
        asynchronous=asked.asynchronous,
        message_id=asked.message_id,
    )


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
    start, end = in_zone(period, zone)
    return ReadingQuery(
        meters=tuple(meters), reading_types=types, after=start, until=end, message_id=query.get("request")
    )


def _codes_of(text: str) -> tuple[str, ...]:
    """What a name or OBIS code means is kept with whichever multiplier it came; a code is itself. Raises UnknownType."""
    code = reading_type_of(text)
    return (code,) if known_type(text) is None else with_any_multiplier(code)
