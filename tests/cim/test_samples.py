"""The messages in schemas/samples: for every verb of every noun one, valid, and taken over a socket as it says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import httpx
from lxml import etree
from patience import PATIENCE_S

from ami_cim import incoming, reading, services, wire
from ami_cim.asked_readings import asked_readings
from ami_cim.codes import Verb
from ami_cim.correlation import reply_header
from ami_cim.envelope import Delivered, Received
from ami_cim.errors import CimError
from ami_cim.limits import UNKNOWN_PEER
from ami_cim.message import EventMessage, Reply, RequestMessage, ResponseMessage
from ami_cim.nouns import NOUNS, OPERATION_SETS, REQUEST_VERBS
from ami_cim.payloads.opaque import OpaquePayload
from ami_cim.payloads.operation_set import OperationSet
from ami_cim.schema import Schemas, schema_directory
from ami_process.health import Health
from ami_process.http_server import serving
from ami_process.message_endpoint import Endpoint, Site, Why
from ami_process.sockets import listening
from ami_process.worker import Worker

SAMPLES = sorted((schema_directory() / "samples").glob("*.xml"))
SCHEMAS = Schemas()
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
NAMES = ["OperationSet", *(noun.name for noun in NOUNS)]
REQUESTS = {Verb.GET, Verb.EXECUTE, *REQUEST_VERBS}


@asynccontextmanager
async def endpoint(messages: incoming.Incoming[Any], worker: Worker, taken: list[Any]) -> AsyncIterator[str]:
    """The URL at which these messages are taken and answered OK."""

    async def handle(received: Received | Delivered, _: bytes, __: object) -> bytes:
        taken.append(received.message)
        header = reply_header(received.message.header, message_id="r-1", timestamp=NOW)
        answer = ResponseMessage(header=header, reply=Reply(result="OK"))
        return wire.write_response(answer, received.wrapper, SCHEMAS)

    def report(why: Why, status: HTTPStatus, problem: CimError) -> None:
        raise AssertionError(f"{why} {status} {problem}")

    site = Site(
        addresses={"/cim": services.GENERIC}, names=(), names_setting="", public_url=None, owner="It", body_s=20
    )
    with listening("127.0.0.1", 0, "x.") as listener:
        async with serving(Endpoint(messages, worker, handle, report, site).application(Health({})), listener):
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/cim"


async def test_each_is_taken_as_what_it_says() -> None:
    taken: list[Any] = []
    async with (
        Worker(reading.FUNCTION) as worker,
        endpoint(incoming.requests(SCHEMAS, UNKNOWN_PEER), worker, taken) as head_end,
        endpoint(incoming.deliveries(SCHEMAS, UNKNOWN_PEER), worker, taken) as requester,
        httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as client,
    ):
        for path in SAMPLES:
            octets = path.read_bytes()
            verb = etree.fromstring(octets).findtext(".//{*}Verb")
            url = head_end if verb in REQUESTS else requester
            answer = await client.post(url, content=octets, headers={"Content-Type": "text/xml"})
            assert answer.status_code == 200, f"{path.name}: {answer.text}"
            message = taken.pop()
            correlation = wire.read_response(answer.content, SCHEMAS).header.correlation_id
            assert (message.header.verb, message.header.noun) == (verb, next(one for one in NAMES if one in path.stem))
            assert correlation == message.header.correlation_id
            check_content(path.stem, message)
    assert not taken


def check_content(name: str, message: RequestMessage | ResponseMessage | EventMessage) -> None:
    """It has something to say, and all of it is carried."""
    content = message.payload
    if isinstance(message, RequestMessage) and message.header.verb == Verb.GET:
        content = message.query or asked_readings(message)
    operations = content.operations if isinstance(content, OperationSet) else ()
    for one in (content, *(operation.payload for operation in operations)):
        assert one is not None and not isinstance(one, OpaquePayload), name
        assert not getattr(one, "unsupported", ()), name


def test_every_verb_of_every_noun_has_one() -> None:
    expected = {
        f"{verb.capitalize()}{noun.name}"
        for noun in NOUNS
        for verb in (*noun.verbs, *noun.events, *(() if noun.query is None else (Verb.GET,)))
    }
    expected |= {"ExecuteOperationSet", *(f"Execute{name}" for name in OPERATION_SETS)}
    assert expected <= {path.stem for path in SAMPLES}
