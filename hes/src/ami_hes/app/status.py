"""What a process says of itself: its metrics, and, where it serves no clients, `/healthz`, `/readyz` and `/metrics` at an address of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ami_hes import configured, roles
from ami_hes.api import paths
from ami_hes.api.lane_metrics import LaneMetrics
from ami_hes.api.metrics import Measured, metrics_routes
from ami_hes.app import admitting
from ami_hes.app.setup import Setup
from ami_hes.app.southbound import South
from ami_hes.app.storage import Stores
from ami_hes.commands import Lane
from ami_hes.jobs import Context
from ami_process.api import JSON, Branch, create_api, refuse
from ami_process.health import Health
from ami_process.http_entrance import Entrance, Rules
from ami_process.http_server import serving
from ami_process.sockets import address_of, listening
from ami_process.tls import server_context

NAMES = "hes.host_names"
MAX_BODY = 1_000
"""Octets; no request here has one."""


def measured(setup: Setup, stores: Stores, south: South, context: Context, role: str) -> Measured:
    """What a process of this role keeps account of."""
    lanes, hes, is_front = configured.lanes(setup.settings), setup.settings.hes, role == "front"
    works = not is_front or hes.engine is None or hes.listen
    return Measured(
        role=role,
        meters=lambda: len(south.registry),
        sessions=south.meters.sessions,
        at_work=lambda: south.meters.at_work,
        traffic=south.meters.traffic,
        refused=lambda: south.meters.refused,
        latency=stores.database.latency,
        lanes=LaneMetrics(context.engine.commands, context.tally, lanes, takes_requests=is_front, works=works),
    )


@asynccontextmanager
async def opened(setup: Setup, stores: Stores, context: Context, said: Measured) -> AsyncIterator[list[str]]:
    """Serve where `hes.status_port` says, if it does; the addresses. Raises ListenFailed, and SettingsError for files of tokens or of TLS."""
    hes = setup.settings.hes
    if hes.status_port is None:
        yield []
        return
    with listening(hes.status_host, hes.status_port, "hes.status_") as listener:
        application = _application(setup, stores, context, said, listener.getsockname()[0])
        tls = server_context(hes.tls, "hes.tls", setup.environment.emit)
        async with serving(application, listener, configured.http_limits(setup.settings), tls):
            yield [address_of(listener)]


def _application(setup: Setup, stores: Stores, context: Context, said: Measured, bound_to: str) -> ASGIApp:
    """Health is for everybody; metrics are for those who may read them at a front end."""
    admission = admitting.at(setup, bound_to).admissions.api
    names = configured.names(setup.settings)
    metrics = create_api(
        metrics_routes(setup.metrics, said), admission, names=names, names_setting=NAMES, roles=roles.ROUTES
    )

    async def engine() -> None:
        await context.engine.commands.pending(Lane.CONTROL)

    routes = [
        _health("/healthz", Health(stores.checks)),
        _health(paths.READY, Health(stores.checks | {"engine": engine})),
    ]
    health = Starlette(routes=routes)
    health.router.redirect_slashes = False
    rules = Rules(names=names, names_setting=NAMES, media_types=(JSON,), max_octets=MAX_BODY)
    return Branch(paths.METRICS, metrics, Entrance(health, rules, refuse))


def _health(path: str, health: Health) -> Route:
    async def answer(_: Request) -> Response:
        return await health.response()

    return Route(path, answer, methods=["GET"])
