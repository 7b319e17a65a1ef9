"""A second noun, the reading of one register, on the whole way from SOAP to a meter on a socket and back.

Its modules are what production code would get; nothing else of the HES is changed for it but a row in each of two tables.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import register_noun
import register_operation
from north_bench import GENERIC, SCHEMAS, Cis, North, StandIn, settings
from register_payload import NOUN, RegisterReading, format, parse
from reported import Reported, ignore
from small_meter import SmallMeter

from ami_cim import wire
from ami_cim.message import Header, RequestMessage
from ami_cim.payloads.opaque import OpaquePayload
from ami_dlms import data
from ami_dlms.obis import Obis
from ami_hes.app import running
from ami_hes.commands import Outcome
from ami_hes.jobs import Run
from ami_hes.nouns import NOUNS
from ami_hes.operations import OPERATIONS, Assignment
from ami_process.environment import Environment
from ami_process.events import Emit

ENERGY, NOT_THERE = "1-0:1.8.0*255", "1-0:2.8.0*255"
PRODUCTION_FILES = ("register_payload.py", "register_noun.py", "register_operation.py")
ROWS = 2
"""Of the tables NOUNS and OPERATIONS, each in a file of its own."""


@pytest.fixture(autouse=True)
def _rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NOUNS, NOUN, register_noun)  # type: ignore[arg-type]  # a module, as the table has it
    monkeypatch.setitem(OPERATIONS, register_operation.NAME, register_operation.OPERATION)


@dataclass
class Whole:
    hes: North
    meter: SmallMeter

    def ask_for(self, obis: str, **header: Any) -> RequestMessage:
        message_id = str(uuid.uuid4())
        head = {"verb": "get", "noun": NOUN, "message_id": message_id, "correlation_id": message_id, "source": "CIS"}
        payload = format(RegisterReading(self.meter.entry()["mrid"], obis))
        return RequestMessage(header=Header(timestamp=datetime.now(UTC), **(head | header)), payload=payload)

    async def read(self, obis: str, **header: Any) -> Any:
        return await self.hes.ask(self.ask_for(obis, **header), GENERIC)


@asynccontextmanager
async def whole(directory: Path, run: Run | None = None, emit: Emit = ignore) -> AsyncIterator[Whole]:
    async with AsyncExitStack() as stack:
        meter = await SmallMeter().listen()
        stack.push_async_callback(meter.close)
        meter.values[Obis.parse(ENERGY), 2] = data.double_long_unsigned(4711)
        configured = settings(directory, registry=[meter.entry()])
        listening = await stack.enter_async_context(running(configured, Environment(emit=emit), run))
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=20, trust_env=False))
        yield Whole(North(f"http://{listening[0]}", client, StandIn()), meter)


def read_of(payload: object) -> str | None:
    assert isinstance(payload, OpaquePayload)
    return parse(payload).value


async def test_the_value_comes_back_as_the_payload(tmp_path: Path) -> None:
    reported = Reported()
    async with whole(tmp_path, emit=reported) as one:
        message = one.ask_for(ENERGY)
        answer = await one.hes.ask(message, GENERIC)
        assert (answer.header.verb, answer.header.noun, answer.reply.result) == ("reply", NOUN, "OK")
        assert read_of(answer.payload) == "4711"
        one.meter.values.clear()
        assert await one.hes.ask(message, GENERIC) == answer, "the same message again is the same answer"
    (done,) = reported.seen("meter_done")
    assert (done["operation"], done["details"], done["ok"]) == ("read_register", {"obis": ENERGY}, True)


async def test_a_register_that_is_not_there_fails_and_no_switching_is_spoken_of(tmp_path: Path) -> None:
    async with whole(tmp_path) as one:
        answer = await one.read(NOT_THERE)
    (error,) = answer.reply.errors
    assert (answer.reply.result, error.code, answer.payload) == ("FAILED", "5.3", None)
    assert "no such object" in error.reason and "switched" not in error.reason and "control" not in error.reason


async def test_a_late_answer_has_its_payload_too(tmp_path: Path) -> None:
    async with Cis().serving() as cis, whole(tmp_path) as one:
        acknowledged = await one.read(ENERGY, async_reply_flag=True, reply_address=cis.url)
        assert [error.code for error in acknowledged.reply.errors] == ["0.3"]
        late = wire.read_delivery(await cis.taken.get(), SCHEMAS).message
        assert read_of(late.payload) == "4711"


async def test_an_end_without_the_recipe_speaks_of_no_switching_either(tmp_path: Path) -> None:
    async def broken(_: Assignment) -> Outcome:
        raise ZeroDivisionError

    async with whole(tmp_path, broken) as one:
        (error,) = (await one.read(ENERGY)).reply.errors
        assert one.meter.connections == 0
    assert "ZeroDivisionError" in error.reason and "switched" not in error.reason and "control" not in error.reason


def test_it_costs_five_files_and_a_hundred_and_twenty_lines_at_most() -> None:
    here = Path(__file__).parent
    lines = {name: len([line for line in (here / name).read_text().splitlines() if line]) for name in PRODUCTION_FILES}
    assert len(lines) + ROWS <= 5
    assert lines["register_payload.py"] <= 60
    assert sum(lines.values()) + ROWS <= 120, lines


def test_its_modules_use_nothing_of_jobs_store_and_engine() -> None:
    here = Path(__file__).parent
    for name in PRODUCTION_FILES:
        text = (here / name).read_text()
        assert not [room for room in ("ami_hes.jobs", "ami_hes.store", "ami_hes.engine") if room in text]
