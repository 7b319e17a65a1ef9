"""A stand-in HES for what only the CIS does: real sockets, our cim package and Starlette, and a behaviour that a test may set."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from lxml import etree
from patience import PATIENCE_S
from reported import as_read
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_cim import envelope, wire, wsdl
from ami_cim.envelope import Received
from ami_cim.identity import Identifier
from ami_cim.message import Header, Reply, ReplyError, RequestMessage, ResponseMessage
from ami_cim.payloads import Payload
from ami_cim.payloads.end_device_controls import EndDeviceControls
from ami_cim.schema import Schemas
from ami_cim.services import GENERIC_PATH, OFFERED
from ami_cis.app import FORGET_EVERY_S, System, running
from ami_cis.meters import Meter
from ami_cis.settings import Cis, Demo, Settings
from ami_process.environment import Environment
from ami_process.events import Event
from ami_process.http_server import serving
from ami_process.sockets import listening

SCHEMAS = Schemas()
METERS = (
    Meter(name="M1001", mrid="42932298-b7b6-415e-a2d2-c34197bed259", usage_points=("UP-1001",)),
    Meter(name="M1002", mrid="47cb61c2-bc00-41a0-8501-70b464e9e464"),
)

Behaviour = Callable[["StandInHes", Received], Awaitable[Response]]


def reply_to(request: RequestMessage, reply: Reply, payload: Payload | None = None, **header: Any) -> ResponseMessage:
    fields: dict[str, Any] = {
        "verb": "reply",
        "noun": request.header.noun,
        "timestamp": datetime.now(UTC),
        "source": "stand-in",
        "message_id": str(uuid.uuid4()),
        "correlation_id": request.header.correlation_id or request.header.message_id,
    }
    return ResponseMessage(header=Header(**(fields | header)), reply=reply, payload=payload)


def failed_meter(code: str, reason: str, value: str, kind: Any = "uuid") -> ReplyError:
    return ReplyError(code=code, reason=reason, identifier=Identifier(value=value, kind=kind, object_type="EndDevice"))


def soap(message: ResponseMessage, wrapper: etree.QName, status: int = 200) -> Response:
    return Response(wire.write_response(message, wrapper, SCHEMAS), status_code=status, media_type="text/xml")


def answering(reply: Reply, **header: Any) -> Behaviour:
    """Answer everything so."""

    async def behave(_: StandInHes, received: Received) -> Response:
        return soap(reply_to(received.message, reply, **header), received.wrapper)

    return behave


def saying(octets: bytes, status: int = 200) -> Behaviour:
    """Answer everything with these octets."""

    async def behave(_: StandInHes, __: Received) -> Response:
        return Response(octets, status_code=status, media_type="text/xml")

    return behave


def acknowledging(*replies: Reply, deliver_first: bool = False) -> Behaviour:
    """Acknowledge, and deliver these replies to the ReplyAddress; perhaps before the acknowledgement."""

    async def behave(hes: StandInHes, received: Received) -> Response:
        async def deliver() -> None:
            for reply in replies:
                address = received.message.header.reply_address or ""
                hes.delivered.append(await post_response(address, reply_to(received.message, reply)))

        if deliver_first:
            await deliver()
        else:
            hes.tasks.append(asyncio.create_task(deliver()))
        acknowledgement = Reply(result="OK", errors=(ReplyError(code="0.3"),))
        return soap(reply_to(received.message, acknowledgement), received.wrapper)

    return behave


async def post(url: str, octets: bytes, **options: Any) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=PATIENCE_S) as client:
        return await client.post(url, content=octets, headers={"Content-Type": "text/xml; charset=utf-8"}, **options)


async def post_response(url: str, message: ResponseMessage) -> ResponseMessage:
    """Deliver as a HES does: the generic Response operation."""
    answer = await post(url, wire.write_response(message, envelope.REQUEST_MESSAGE, SCHEMAS))
    assert answer.status_code == 200, answer.text
    return wire.read_response(answer.content, SCHEMAS)


@dataclass
class StandInHes:
    url: str = ""
    behaviour: Behaviour = field(default_factory=lambda: answering(Reply(result="OK")))
    octets: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    requests: list[RequestMessage] = field(default_factory=list)
    delivered: list[ResponseMessage] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    serves_wsdl: bool = True
    change_wsdl: Callable[[bytes], bytes] = lambda octets: octets
    healthy: bool = True

    @property
    def control(self) -> Any:
        payload = self.requests[-1].payload
        assert isinstance(payload, EndDeviceControls)
        (control,) = payload.controls
        return control

    async def deliver(self, request: Request) -> Response:
        octets = await request.body()
        received = wire.read_request(octets, SCHEMAS)
        self.octets.append(octets)
        self.headers.append(dict(request.headers))
        self.requests.append(received.message)
        return await self.behaviour(self, received)

    async def describe(self, request: Request) -> Response:
        if not self.serves_wsdl:
            return Response(status_code=404)
        name = request.query_params.get("xsd", request.url.path.rpartition("/")[2])
        octets = wsdl.resolve(name, str(request.url.replace(query="")))
        return Response(self.change_wsdl(octets), media_type="text/xml")

    async def health(self, _: Request) -> Response:
        return Response(status_code=200 if self.healthy else 503)


@asynccontextmanager
async def standing_in(port: int = 0) -> AsyncIterator[StandInHes]:
    hes = StandInHes()
    application = Starlette(
        routes=[
            *(Route(service.path, hes.deliver, methods=["POST"]) for service in OFFERED),
            Route(GENERIC_PATH, hes.deliver, methods=["POST"]),
            Route(GENERIC_PATH, hes.describe, methods=["GET"]),
            *(Route(service.path, hes.describe, methods=["GET"]) for service in OFFERED),
            Route("/healthz", hes.health, methods=["GET"]),
        ]
    )
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listening("127.0.0.1", port, "cis."))
        hes.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        await stack.enter_async_context(serving(application, listener))
        yield hes
        await asyncio.gather(*hes.tasks)


class Events:
    """What was told, in order; a test may wait for the next of a kind."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self._more = asyncio.Event()

    def __call__(self, event: Event) -> None:
        self.told.append(as_read(event))
        self._more.set()

    def named(self, event: str) -> list[dict[str, Any]]:
        return [one for one in self.told if one["event"] == event]

    @property
    def names(self) -> list[str]:
        return [one["event"] for one in self.told]

    async def wait_for(self, event: str, count: int = 1) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            while len(self.named(event)) < count:
                self._more.clear()
                await self._more.wait()
        return self.named(event)[count - 1]


class Clock:
    """Time that passes only when somebody sleeps, and never the hour until what is old is forgotten."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        if seconds >= FORGET_EVERY_S:
            await asyncio.Event().wait()
        self.slept.append(seconds)
        self.passed += seconds
        await asyncio.sleep(0)


def numbered() -> Iterator[UUID]:
    number = 0
    while True:
        number += 1
        yield UUID(int=number)


def environment(events: Events, clock: Clock | None = None) -> Environment:
    clock = clock or Clock()
    numbers = numbered()
    return Environment(
        now=lambda: datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
        monotonic=clock.monotonic,
        perf_counter=clock.monotonic,
        sleep=clock.sleep,
        new_uuid=lambda: next(numbers),
        emit=events,
    )


def settings(
    directory: Path, hes_url: str, *, demo: Demo | None = None, meters: Sequence[Meter] = METERS, **cis: Any
) -> Settings:
    fields = {"port": 0, "hes_url": hes_url, "store": directory / "cis.sqlite", "request_timeout_s": 10.0} | cis
    return Settings(demo=demo or Demo(), cis=Cis(**fields), meters=tuple(meters))


@asynccontextmanager
async def asking(directory: Path, hes: StandInHes, **cis: Any) -> AsyncIterator[tuple[System, httpx.AsyncClient]]:
    async with running(settings(directory, hes.url, **cis), environment(Events()), 0) as system:
        port = system.listen.rpartition(":")[2]
        url, at_once = f"http://127.0.0.1:{port}", httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE_S, limits=at_once) as client:
            yield system, client
