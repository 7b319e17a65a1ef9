"""The kit for other languages: `ami-testkit serve` has systems started, reset and looked at by REST, with its schema at /api/v1/openapi.json.

It listens at loopback alone, without a token: whoever may open a connection there may start processes of this user. Systems end with it.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib.metadata import version
from typing import Any
from uuid import uuid4

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from lxml import etree
from starlette.requests import Request
from starlette.responses import Response

from ami_process.api import exception_handlers, guarded, refuse
from ami_process.http_server import serving
from ami_process.sockets import address_of, listening
from ami_process.tokens import Tokens
from ami_testkit.border.rules import Rule
from ami_testkit.errors import KitError, NotThere
from ami_testkit.options import Options
from ami_testkit.service_bodies import (
    ClockStep,
    ExpectedDeviceEvent,
    ExpectedMessages,
    ExpectedReply,
    ExpectedSwitch,
    Now,
    PassedMessage,
    SeenApdu,
    SeenMessage,
    SystemEntry,
    SystemOrder,
)
from ami_testkit.system import System

HOST = "127.0.0.1"
BASE = "/api/v1/systems"
ONE = BASE + "/{identifier}"
MOST_SYSTEMS = 20


class Systems:
    """Those that run, by an id each."""

    def __init__(self) -> None:
        self._running: dict[str, System] = {}
        self._places = threading.BoundedSemaphore(MOST_SYSTEMS)

    def start(self, order: SystemOrder) -> tuple[str, System]:
        """One more. Raises KitError."""
        if not self._places.acquire(blocking=False):
            raise KitError(f"{MOST_SYSTEMS} systems run already: end some")
        try:
            system = System(Options(**{name: getattr(order, name) for name in SystemOrder.model_fields}))
        except BaseException:
            self._places.release()
            raise
        identifier = uuid4().hex[:12]
        self._running[identifier] = system
        return identifier, system

    def all(self) -> dict[str, System]:
        """Those that run."""
        return dict(self._running)

    def of(self, identifier: str) -> System:
        """One of them. Raises NotThere."""
        if identifier not in self._running:
            raise NotThere(f"there is no system {identifier[:40]!r}")
        return self._running[identifier]

    def end(self, identifier: str) -> None:
        """Stop it. Raises NotThere."""
        system = self.of(identifier)
        if self._running.pop(identifier, None) is not None:
            system.close()
            self._places.release()

    def end_all(self) -> None:
        """Stop those that run."""
        for identifier in self.all():
            with contextlib.suppress(NotThere):
                self.end(identifier)


def application(systems: Systems) -> FastAPI:
    """The API; what waits does so in threads of its own."""
    app = FastAPI(
        title="A kit to test against",
        version=version("ami-testkit"),
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers=_handlers(),
    )
    _life(app, systems)
    _faults(app, systems)
    _looks(app, systems)
    _expectations(app, systems)
    return app


def _life(app: FastAPI, systems: Systems) -> None:
    @app.post(BASE, summary="Start a system")
    def start(order: SystemOrder) -> SystemEntry:
        return SystemEntry.of(*systems.start(order))

    @app.get(BASE, summary="Those that run")
    def listed() -> list[SystemEntry]:
        return [SystemEntry.of(identifier, system) for identifier, system in systems.all().items()]

    @app.get(ONE, summary="One of them")
    def shown(identifier: str) -> SystemEntry:
        return SystemEntry.of(identifier, systems.of(identifier))

    @app.delete(ONE, summary="Stop it")
    def ended(identifier: str) -> dict[str, str]:
        systems.end(identifier)
        return {"ended": identifier}

    @app.post(ONE + "/reset", summary="As it began, but for the clock and invocation counters")
    def reset(identifier: str) -> SystemEntry:
        system = systems.of(identifier)
        system.reset()
        return SystemEntry.of(identifier, system)

    @app.get(ONE + "/clock", summary="What time it is there")
    def clock(identifier: str) -> Now:
        system = systems.of(identifier)
        return Now(now=system.clock.now, virtual=system.clock.virtual)

    @app.post(ONE + "/clock", summary="Move its clock on")
    def moved(identifier: str, step: ClockStep) -> Now:
        return Now(now=step.move(systems.of(identifier)), virtual=True)


def _faults(app: FastAPI, systems: Systems) -> None:
    path = ONE + "/faults"

    @app.get(path, summary="Faults of the border that count (docs/border-faults.md)")
    def listed(identifier: str) -> list[dict[str, Any]]:
        return [one.described() for one in systems.of(identifier).border.faults]

    @app.post(path, summary="Set one")
    def added(identifier: str, rule: Rule) -> dict[str, Any]:
        return systems.of(identifier).border.set(rule.model_dump()).described()

    @app.delete(path + "/{number}", summary="End one; what it holds goes on")
    def removed(identifier: str, number: int) -> dict[str, Any]:
        found = systems.of(identifier).border.numbered(number)
        found.remove()
        return found.described()

    @app.post(path + "/{number}/release", summary="What it holds goes on")
    def released(identifier: str, number: int) -> dict[str, Any]:
        found = systems.of(identifier).border.numbered(number)
        found.release()
        return found.described()


def _looks(app: FastAPI, systems: Systems) -> None:
    @app.get(ONE + "/inbox", summary="Late replies and events that came")
    def inbox(identifier: str) -> list[SeenMessage]:
        return [SeenMessage.of(one) for one in systems.of(identifier).inbox.messages]

    @app.get(ONE + "/messages", summary="What has passed the border")
    def messages(identifier: str) -> list[PassedMessage]:
        return [PassedMessage.of(one) for one in systems.of(identifier).journal.messages]

    @app.get(ONE + "/apdus", summary="APDUs of one request, or of all since the last reset")
    def apdus(identifier: str, request: str | None = None, meter: str | None = None) -> list[SeenApdu]:
        return [SeenApdu.of(one) for one in systems.of(identifier).journal.apdus(request, meter=meter)]

    @app.get(ONE + "/entries", summary="What a head-end has to know of its meters, keys among it")
    def entries(identifier: str) -> list[dict[str, Any]]:
        return systems.of(identifier).entries


def _expectations(app: FastAPI, systems: Systems) -> None:
    path = ONE + "/expect"

    @app.post(path + "/reply", summary="One late reply, or 409 with what came instead")
    def reply(identifier: str, of: ExpectedReply) -> SeenMessage:
        inbox, given = systems.of(identifier).inbox, of.model_dump(exclude={"to", "within_s"})
        return SeenMessage.of(inbox.expect_reply(of.to, **given, within=of.within_s))

    @app.post(path + "/messages", summary="Some messages, or 409 with what came instead")
    def messages(identifier: str, of: ExpectedMessages) -> list[SeenMessage]:
        inbox, given = systems.of(identifier).inbox, of.model_dump(exclude={"within_s"})
        return [SeenMessage.of(one) for one in inbox.expect_message(**given, within=of.within_s)]

    @app.post(path + "/device-event", summary="An EndDeviceEvent, or 409 with what came instead")
    def device_event(identifier: str, of: ExpectedDeviceEvent) -> SeenMessage:
        inbox = systems.of(identifier).inbox
        return SeenMessage.of(inbox.expect_device_event(of.code, of.meter, within=of.within_s))

    @app.post(path + "/switch", summary="The switch inside a meter, or 409")
    def switch(identifier: str, of: ExpectedSwitch) -> ExpectedSwitch:
        systems.of(identifier).expect.switch(of.meter, of.connected)
        return of


def _handlers() -> dict[Any, Any]:
    async def invalid(_: Request, problem: RequestValidationError) -> Response:
        wrong = problem.errors()[0]
        where = ".".join(str(one) for one in wrong["loc"][1:]) or "body"
        return refuse(HTTPStatus.UNPROCESSABLE_ENTITY, f"{where}: {wrong['msg'].removeprefix('Value error, ')}")

    def says(status: HTTPStatus) -> Callable[[Request, Exception], Awaitable[Response]]:
        async def answer(_: Request, problem: Exception) -> Response:
            return refuse(status, str(problem))

        return answer

    conflict = says(HTTPStatus.CONFLICT)
    ours = {
        NotThere: says(HTTPStatus.NOT_FOUND),
        KitError: conflict,
        AssertionError: conflict,
        etree.XPathError: conflict,
    }
    return {**exception_handlers(), RequestValidationError: invalid, **ours}


@asynccontextmanager
async def service(port: int) -> AsyncIterator[str]:
    """Serve it at loopback; gives the address. Raises ListenFailed."""
    systems = Systems()
    with listening(HOST, port, "") as listener:
        tokens = Tokens.of(None, "", bound_to=HOST)
        try:
            async with serving(guarded(application(systems), tokens, names_setting="", bounded=True), listener):
                yield address_of(listener)
        finally:
            await asyncio.to_thread(systems.end_all)
