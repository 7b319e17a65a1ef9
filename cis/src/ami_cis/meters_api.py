"""`/api/v1/meters` and `/api/v1/hes-usage-points`: the meters and usage points that the HES has, as it says; `/api/v1/meter-exchanges`: one is put in the place of another one."""

from collections.abc import Sequence
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_cim.identity import Identified, is_uuid
from ami_cis.api_values.meters import (
    HES_USAGE_POINT,
    HES_USAGE_POINTS,
    METER,
    METER_EXCHANGES,
    METERS,
    Exchanged,
    ExchangeWanted,
    HesUsagePointDetails,
    HesUsagePointLine,
    HesUsagePointList,
    MeterDetails,
    MeterLine,
    MeterList,
)
from ami_cis.under_way import Asking, UnderWay
from ami_cis.workflows import ExchangeOrder, MasterData, MeterExchanges, Target
from ami_process.api import answer_of, read_body
from ami_process.query_parameters import check_known, whole_number

MAX_LISTED = 1_000
DEFAULT_LISTED = 100


def meter_routes(master_data: MasterData, exchanges: MeterExchanges, asking: Asking) -> list[Route]:
    """GET asks the HES, POST exchanges."""
    under_way = UnderWay("exchange", asking.stopping)
    questions = UnderWay("question", asking.stopping)

    async def list_meters(request: Request) -> Response:
        check_known(request, ("limit", "offset", "group"))
        limit, offset = (
            whole_number(request, "limit", DEFAULT_LISTED, 1, MAX_LISTED),
            whole_number(request, "offset", 0, 0, 10**9),
        )
        group = request.query_params.get("group")
        targets = () if group is None else (Target.group_of(group),)
        found = await questions.end_of(None, partial(master_data.meters, targets, limit=limit, offset=offset))
        lines = tuple(map(MeterLine.of_asset, found.meters))
        following = offset + len(lines) if found.more and lines else None
        return answer_of(MeterList.of(found.outcome, meters=lines, next=following))

    async def show(request: Request) -> Response:
        check_known(request, ())
        name = request.path_params["name"]
        target = Target.mrid(name) if is_uuid(name) else Target.meter(name)
        found = await questions.end_of(None, partial(master_data.meters, (target,)))
        if not found.meters:
            return answer_of(MeterDetails.of(found.outcome, meter=None, usage_points=()))
        line = MeterLine.of_asset(found.meters[0])
        linked = await questions.end_of(None, partial(master_data.link_of, meter=line.mrid or line.name))
        points = () if linked.link is None else _names(linked.link.point)
        return answer_of(MeterDetails.of(found.outcome, meter=line, usage_points=points))

    async def list_points(request: Request) -> Response:
        check_known(request, ("limit", "offset"))
        limit, offset = (
            whole_number(request, "limit", DEFAULT_LISTED, 1, MAX_LISTED),
            whole_number(request, "offset", 0, 0, 10**9),
        )
        found = await questions.end_of(None, partial(master_data.usage_points, limit=limit, offset=offset))
        lines = tuple(map(HesUsagePointLine.of_asset, found.usage_points))
        following = offset + len(lines) if found.more and lines else None
        return answer_of(HesUsagePointList.of(found.outcome, usage_points=lines, next=following))

    async def show_point(request: Request) -> Response:
        check_known(request, ())
        name = request.path_params["name"]
        found = await questions.end_of(None, partial(master_data.usage_points, (name,)))
        if not found.usage_points:
            return answer_of(HesUsagePointDetails.of(found.outcome, usage_point=None, meter=None))
        line = HesUsagePointLine.of_asset(found.usage_points[0])
        linked = await questions.end_of(None, partial(master_data.link_of, point=line.mrid or line.name))
        meter = None if linked.link is None else next(iter(_names(linked.link.meter)[::-1]), None)
        return answer_of(HesUsagePointDetails.of(found.outcome, usage_point=line, meter=meter))

    async def exchange(request: Request) -> Response:
        wanted = await read_body(request, ExchangeWanted)
        work = partial(exchanges.run, ExchangeOrder(**wanted.model_dump()))
        outcome = await under_way.end_of(f"exchange at {wanted.usage_point}", work)
        return answer_of(Exchanged.of(wanted, outcome, asking.zone))

    return [
        Route(METERS, list_meters, methods=["GET"]),
        Route(METER, show, methods=["GET"]),
        Route(HES_USAGE_POINTS, list_points, methods=["GET"]),
        Route(HES_USAGE_POINT, show_point, methods=["GET"]),
        Route(METER_EXCHANGES, exchange, methods=["POST"]),
    ]


def _names(point: Identified) -> Sequence[str]:
    return tuple(filter(None, (point.mrid, *(name.name for name in point.names))))
