"""`/api/v1/outages`: where power is gone, by what meters have said, what waits to be told, and pings."""

from datetime import tzinfo
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_cim.errors import CimError
from ami_hes.api import paths, query
from ami_hes.api.moments import given
from ami_hes.api.values.outages import OutageList, PingAnswer, PingOrder
from ami_hes.meters.registry import Registry
from ami_hes.outages import NotAsked, OutageBook
from ami_mapping.events import IMPORTANCE
from ami_process.api import ApiRefused, answer_of, read_body
from ami_process.query_parameters import check_known


def outage_routes(book: OutageBook, registry: Registry, zone: tzinfo) -> list[Route]:
    """GET looks, POST pings and answers when that has an end."""

    async def look(request: Request) -> Response:
        check_known(request, ())
        with query.looking():
            report, waiting = await book.report(), await book.taker.store.waiting(IMPORTANCE)
        return given(OutageList.of(report, waiting, registry), zone)

    async def ping(request: Request) -> Response:
        order = await read_body(request, PingOrder)
        mrids = _mrids(order, registry) if order.meters or order.groups else None
        try:
            with query.looking():
                return answer_of(PingAnswer.of(await book.ping(mrids), registry))
        except NotAsked as problem:
            raise ApiRefused(HTTPStatus.CONFLICT, str(problem)) from None
        except CimError as problem:
            raise ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, problem.reason) from None

    return [Route(paths.OUTAGES, look, methods=["GET"]), Route(paths.OUTAGE_PING, ping, methods=["POST"])]


def _mrids(order: PingOrder, registry: Registry) -> list[str]:
    """Each once. Raises ApiRefused for a name that nobody has."""
    found = [
        mrid
        for tag, _, value in (one.partition("=") for one in order.groups)
        for mrid in registry.member_ids(tag, value)
    ]
    for name in order.meters:
        meter = registry.find_by_name(name) or registry.find_by_mrid(name)
        if meter is None:
            raise ApiRefused(HTTPStatus.NOT_FOUND, f"there is no meter {name[:100]}")
        found.append(meter.mrid)
    return list(dict.fromkeys(found))
