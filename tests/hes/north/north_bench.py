"""The HES's north side on real sockets, with a stand-in where the work on meters would be, and a CIS to reply to."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from free_ports import free_port
from lxml import etree
from patience import PATIENCE_S
from reported import ignore, into

from ami_cim import envelope, wire
from ami_cim.identity import EndDevice, Name, UsagePoint
from ami_cim.message import Header, RequestMessage, ResponseMessage
from ami_cim.payloads.end_device_controls import EndDeviceControl, EndDeviceControls
from ami_cim.schema import Schemas
from ami_hes.app import running
from ami_hes.commands import Command, MeterId, Outcome
from ami_hes.engine import EmbeddedEngine, MakeEngine
from ami_hes.meters.registry import Registry
from ami_hes.operations import Assignment
from ami_hes.settings import Settings
from ami_process.environment import Environment

DISCONNECT, CONNECT = "3.31.0.23", "3.31.0.18"
NOUN = "EndDeviceControls"
TYPED, GENERIC = "/cim/ExecuteEndDeviceControls", "/cim"
SCHEMAS = Schemas()
SWITCHES_MANY = {"disconnects": {"per_principal": 100_000, "in_all": 100_000}}
"""Limits (`[hes.guard]`) of a test that disconnects more than 50 meters."""
ON = {"output_state": True, "control_state": 1, "control_mode": 4}
OFF = {"output_state": False, "control_state": 0, "control_mode": 4}
SWITCHED = Outcome(True, payload=json.dumps({"before": ON, "after": OFF, "action_result": "success"}), attempted=True)


def mrid(number: int) -> str:
    return str(uuid.UUID(int=number))


def entries(count: int = 3) -> list[dict[str, Any]]:
    return [
        {
            "name": f"M{number}",
            "mrid": mrid(number),
            "usage_points": [f"UP-{number}"],
            "address": f"127.0.0.1:{number}",
            "authentication": "none",
            "logical_device_name": f"LDN{number}",
            "device_id": str(number),
        }
        for number in range(1, count + 1)
    ]


def registry(count: int = 3) -> Registry:
    return Registry(entries(count))


def by_name(*names: str) -> tuple[EndDevice, ...]:
    return tuple(EndDevice(names=(Name(name=name),)) for name in names)


def control(code: str, *names: str, points: Sequence[str] = (), **more: Any) -> EndDeviceControl:
    usage_points = tuple(UsagePoint(names=(Name(name=point),)) for point in points)
    return EndDeviceControl(control_type=code, end_devices=by_name(*names), usage_points=usage_points, **more)


def request(*controls: EndDeviceControl, verb: str = "create", noun: str = NOUN, **header: Any) -> RequestMessage:
    message_id = header.pop("message_id", None) or str(uuid.uuid4())
    head = {"message_id": message_id, "correlation_id": message_id, "timestamp": datetime.now(UTC), "source": "CIS"}
    payload = EndDeviceControls(controls) if controls else None
    return RequestMessage(header=Header(verb=verb, noun=noun, **(head | header)), payload=payload)


def octets(message: RequestMessage, path: str = TYPED) -> bytes:
    wrapper = envelope.REQUEST_MESSAGE
    if path == TYPED:
        wrapper = envelope.typed_wrapper(message.header.verb, message.header.noun)
    return wire.write_request(message, wrapper, SCHEMAS)


def texts(body: bytes, name: str) -> list[str]:
    return [element.text or "" for element in etree.fromstring(body).iter(f"{{*}}{name}")]


@dataclass
class StandIn:
    """In place of ami_hes.served.run: says what the test wants, when the test wants it."""

    outcomes: dict[str, Outcome | Exception] = field(default_factory=dict)
    commands: list[Command] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    began: asyncio.Event = field(default_factory=asyncio.Event)
    at_once: int = 0
    most_at_once: int = 0
    acts: bool = True
    """Sends the control."""
    keeps: bool = False
    """Is through with its meters at once, and keeps what they gave."""
    at_work: int = 0
    """How many commands have come so far, their controls sent."""
    _attempted: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.open.set()

    async def __call__(self, assignment: Assignment) -> Outcome:
        meter, command, attempt = assignment.meter, assignment.command, assignment.attempt
        self.commands.append(replace(command, meter=MeterId(meter.name, meter.mrid)))
        self._attempted.append(attempt.begun)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.began.set()
        try:
            if self.acts:
                await attempt.begin()
            self.at_work += 1
            if self.keeps:
                assignment.session_over()
            await asyncio.sleep(0)
            await self.open.wait()
        finally:
            self.at_once -= 1
        outcome = self.outcomes.get(meter.name, SWITCHED)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def told(self) -> list[tuple[str, str, bool]]:
        """Meter, control, and whether an earlier life had sent it."""
        return [(c.meter.name, c.body, a) for c, a in zip(self.commands, self._attempted, strict=True)]


@dataclass
class North:
    """A running HES."""

    url: str
    client: httpx.AsyncClient
    meters: StandIn

    async def post(self, body: bytes, path: str = TYPED) -> httpx.Response:
        return await self.client.post(
            self.url + path, content=body, headers={"Content-Type": "text/xml; charset=utf-8"}
        )

    async def ask(self, message: RequestMessage, path: str = TYPED) -> ResponseMessage:
        response = await self.post(octets(message, path), path)
        assert response.status_code == 200, response.text
        return wire.read_response(response.content, SCHEMAS)


def settings(
    directory: Path, meters: int = 3, registry: Sequence[dict[str, Any]] | None = None, **hes: Any
) -> Settings:
    values = {
        "port": 0,
        "dlms_port": 0,
        "store": directory / "hes.sqlite",
        "store_mark": directory / "hes.mark",
        "deadline_s": 20.0,
        "reply_retry_first_s": 0.01,
    }
    return Settings(hes=values | hes, meters=registry or entries(meters))


@asynccontextmanager
async def north(
    directory: Path,
    stand_in: StandIn | None = None,
    environment: Environment | None = None,
    meters: int = 3,
    events: list[Any] | None = None,
    make_engine: MakeEngine = EmbeddedEngine,
    **hes: Any,
) -> AsyncIterator[North]:
    """`events`: the list that is to get what is reported."""
    stand_in = stand_in or StandIn()
    environment = environment or Environment(emit=ignore if events is None else into(events))
    async with (
        running(settings(directory, meters, **hes), environment, stand_in, make_engine) as listening,
        httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False) as client,
    ):
        yield North(f"http://{listening[0]}", client, stand_in)


class Cis:
    """A place that takes replies: answers with these statuses (and bodies) in turn, the last one from then on."""

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        self.answers = list(answers) or [(200, b"")]
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.taken: asyncio.Queue[bytes] = asyncio.Queue()
        self.url = ""

    @asynccontextmanager
    async def serving(self, host: str = "127.0.0.1", port: int | None = None) -> AsyncIterator[Cis]:
        server = await asyncio.start_server(self._serve, host, free_port() if port is None else port)
        self.url = f"http://{host}:{server.sockets[0].getsockname()[1]}/cim"
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.requests.append((headers, body))
        status, answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        extra = "Location: http://127.0.0.1:1/\r\n" if status == 307 else ""
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Length: {len(answer)}\r\n{extra}Connection: close\r\n\r\n".encode()
            + answer
        )
        await writer.drain()
        writer.close()
        if 200 <= status < 300:
            self.taken.put_nowait(body)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 20, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at
