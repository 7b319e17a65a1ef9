"""Runs in a process whose `ami_cim` has the second noun: CIS and HES speak it over sockets, by code that has never heard of it.

Prints what was seen as JSON; what is wrong ends it with a traceback."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import httpx
import zeep
from patience import PATIENCE_S

import ami_cim
from ami_cim import envelope, reading, soap, wire
from ami_cim.correlation import reply_header
from ami_cim.identity import EndDevice
from ami_cim.limits import UNKNOWN_PEER
from ami_cim.message import EventMessage, Header, Property, Reply, RequestMessage, ResponseMessage
from ami_cim.payloads.meter_asset_reading import (
    GetMeterAssetReading,
    MeterAssetReading,
    MeterReading,
    Reading,
)
from ami_cim.schema import Schemas
from ami_cis.inbox import Inbox
from ami_cis.outbox import Outbox
from ami_cis.pending import Pending
from ami_cis.store import Store
from ami_hes.inbox import InboxSettings, create_inbox
from ami_process.environment import Environment
from ami_process.health import Health
from ami_process.http_server import serving
from ami_process.sockets import listening
from ami_process.worker import Worker

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ENERGY = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"
SCHEMAS = Schemas()
QUERY = GetMeterAssetReading((EndDevice("id-1"),), (EndDevice(ENERGY),))
READ = MeterAssetReading(
    (MeterReading(meter=EndDevice("id-1"), readings=(Reading(reading_type=ENERGY, value="4711", taken_at=NOW),)),)
)
XML = {"Content-Type": "text/xml"}


def header(verb: str, **fields: Any) -> Header:
    given = {"noun": "MeterAssetReading", "timestamp": NOW, "message_id": "m-1", "correlation_id": "c-1"}
    return Header(verb=verb, **(given | fields))


class Intake:
    """In place of the HES's: keeps what it is asked, and answers with what was read."""

    def __init__(self) -> None:
        self.asked: list[RequestMessage] = []

    async def handle(self, message: RequestMessage) -> ResponseMessage:
        self.asked.append(message)
        return ResponseMessage(
            header=reply_header(message.header, message_id="r-1", timestamp=NOW), reply=Reply(result="OK"), payload=READ
        )


async def ask(url: str, intake: Intake, answers: Worker) -> dict[str, Any]:
    """A get by zeep from the HES's own WSDL, and the same in the generic message."""
    typed = RequestMessage(header=header("get"), query=QUERY, start_at=NOW, options=(Property(name="o", value="v"),))
    async with Outbox.opened(url, 20.0, SCHEMAS, answers) as outbox:
        await outbox.knock()
        assert (await outbox.send(typed)).payload == READ
    assert intake.asked.pop() == typed
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as client:
        octets = wire.write_request(typed, envelope.REQUEST_MESSAGE, SCHEMAS)
        answer = await client.post(f"{url}/cim", content=octets, headers=XML)
        assert wire.read_response(answer.content, SCHEMAS).payload == READ
        assert intake.asked.pop() == typed
        wrong = octets.replace(b"ReadingType>", b"ReadingTip>")
        refused = await client.post(f"{url}/cim", content=wrong, headers=XML)
        many = replace(typed, query=replace(QUERY, end_devices=QUERY.end_devices * 1_000))
        large = wire.write_request(many, envelope.typed_wrapper("get", "MeterAssetReading"), SCHEMAS)
        assert not reading.is_light(large)
        answer = await client.post(f"{url}/cim/GetMeterAssetReading", content=large, headers=XML)
        assert intake.asked.pop() == many
    wsdl = await asyncio.to_thread(
        zeep.Client, f"{url}/cim/GetMeterAssetReading?wsdl", settings=zeep.Settings(strict=True)
    )
    (service,) = wsdl.wsdl.services.values()
    (port,) = service.ports.values()
    wsdl.transport.session.close()
    return {
        "answer": soap.unwrap(answer.content).tag,
        "operations": sorted(port.binding.all()),
        "a wrong element": refused.status_code,
    }


async def deliver(url: str, events: list[Any]) -> dict[str, Any]:
    """What was read comes as an event to the CIS, with more in it than is carried."""
    event = EventMessage(header=header("created"), payload=READ)
    octets = wire.write_event(event, envelope.typed_wrapper("created", "MeterAssetReading"), SCHEMAS)
    more = octets.replace(b"<Meter>", b"<isCoincidentTrigger>true</isCoincidentTrigger><Meter>")
    (read,) = wire.read_delivery(more, SCHEMAS).message.payload.meter_readings  # type: ignore[union-attr]
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as client:
        answer = await client.post(f"{url}/cim/ReplyMeterAssetReading", content=more, headers=XML)
    assert wire.read_response(answer.content, SCHEMAS).reply.result == "OK"
    return {"unsupported": read.unsupported, "events": [type(event).__name__ for event in events]}


async def served(application: Any, use: Callable[[str], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    with listening("127.0.0.1", 0, "x.") as listener:
        async with serving(application, listener):
            return await use(f"http://127.0.0.1:{listener.getsockname()[1]}")


async def main() -> None:
    seen: dict[str, Any] = {"package": ami_cim.__file__}
    intake, events = Intake(), []
    environment = Environment(emit=events.append, now=lambda: NOW)
    with TemporaryDirectory() as directory:
        async with (
            Worker(reading.FUNCTION) as requests,
            Worker(reading.FUNCTION) as answers,
            Worker(reading.FUNCTION) as deliveries,
            Store.opened(Path(directory) / "cis.sqlite") as store,
        ):
            settings = InboxSettings(limits=UNKNOWN_PEER, emit=lambda event: None)
            hes = create_inbox(SimpleNamespace(handle=intake.handle), SCHEMAS, requests, Health({}), settings)  # type: ignore[arg-type]
            seen |= await served(hes, lambda url: ask(url, intake, answers))
            inbox = Inbox(Pending(store, environment.now), store, environment, SCHEMAS, deliveries)
            seen |= await served(inbox.application(Health({})), lambda url: deliver(url, events))
    print(json.dumps(seen))


asyncio.run(main())
