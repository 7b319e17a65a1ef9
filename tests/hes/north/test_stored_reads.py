"""What is answered from the store waits for no meter: not for its own that is being read, and not for a place among those that are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from north_bench import North, StandIn, entries, mrid, settings
from patience import PATIENCE_S
from reported import ignore

from ami_cim.identity import EndDevice, Identified
from ami_cim.message import Header, RequestMessage, ResponseMessage
from ami_cim.payloads.get_meter_readings import AskedReading, GetMeterReadings
from ami_cim.payloads.meter_readings import MeterReadings
from ami_cim.periods import Period
from ami_hes.app import running
from ami_hes.commands import Command, CommandJob, Lane, MeterId
from ami_hes.operations.read_results import METER, STORE, STORE_FIRST, WantedReadings, number_of
from ami_hes.served import is_meterless
from ami_hes.store import Database, SqlReadings, StoredSeries
from ami_process.environment import Environment

REGISTER, QUARTERS = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0", "0.0.2.4.1.1.12.0.0.0.0.0.0.0.0.0.72.0"
DAY = datetime(2026, 11, 20, tzinfo=UTC)
NEXT_DAY = DAY + timedelta(days=1)
QUARTER = timedelta(minutes=15)


class Silent:
    """A meter that lets a head-end in, and says nothing."""

    def __init__(self) -> None:
        self.callers: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(lambda _, writer: self.callers.put_nowait(writer), "127.0.0.1", 0)
        try:
            yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()

    async def called(self) -> asyncio.StreamWriter:
        """The next caller."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.callers.get()


async def keep(store: Path) -> None:
    """A register and a day of quarter hours of M1."""
    ends = [number_of(DAY + QUARTER * number) for number in range(1, 97)]
    async with Database(store) as database:
        for code, times in ((REGISTER, ends[-1:]), (QUARTERS, ends)):
            count = len(times)
            series = StoredSeries(
                reading_type=code,
                times=times,
                values=["7"] * count,
                qualities=[""] * count,
                received=times,
                by_meter=[True] * count,
            )
            await SqlReadings(database).keep(mrid(1), [series])


def asked(source: str, *types: str, start: datetime | None = None, end: datetime | None = None) -> RequestMessage:
    message_id = str(uuid4())
    head = Header(verb="get", noun="MeterReadings", message_id=message_id, correlation_id=message_id, timestamp=DAY)
    period = None if start is None else Period(start=start, end=end)
    query = GetMeterReadings(
        end_devices=(EndDevice(mrid=mrid(1)),),
        reading_types=tuple(Identified(mrid=code) for code in types),
        readings=(AskedReading(source=source, period=period),),
    )
    return RequestMessage(header=head, query=query)


def values(answer: ResponseMessage) -> int:
    payload = answer.payload
    assert isinstance(payload, MeterReadings)
    return sum(len(one.readings) + sum(len(b.columns.values) for b in one.blocks) for one in payload.meter_readings)


@asynccontextmanager
async def head_end(tmp_path: Path, address: str, **hes: object) -> AsyncIterator[North]:
    """With its own recipes; nothing is tried twice, and one meter is worked at once."""
    await keep(tmp_path / "hes.sqlite")
    registry = [entry | {"address": address} for entry in entries(1)]
    read = {"deadline_s": 20.0, "attempts": 1}
    configured = settings(tmp_path, registry=registry, max_sessions=1, lanes={"read": read}, **hes)
    async with (
        running(configured, Environment(emit=ignore, now=lambda: NEXT_DAY)) as listening,
        httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False) as client,
    ):
        yield North(f"http://{listening[0]}", client, StandIn())


async def test_what_is_kept_is_given_while_its_meter_is_read(tmp_path: Path) -> None:
    """Nor does it wait for the pace at which sessions are begun, or for the only place of one."""
    silent = Silent()
    async with silent.listening() as address, head_end(tmp_path, address, sessions_per_second=0.001) as hes:
        reading = asyncio.create_task(hes.ask(asked(METER, REGISTER), "/cim"))
        at_meter = await silent.called()
        of_store = await hes.ask(asked(STORE, REGISTER, QUARTERS, start=DAY, end=NEXT_DAY), "/cim")
        kept_wholly = await hes.ask(asked(STORE_FIRST, QUARTERS, start=DAY, end=NEXT_DAY), "/cim")
        assert [(one.reply.result, values(one)) for one in (of_store, kept_wholly)] == [("OK", 97), ("OK", 96)]
        assert not reading.done(), "the meter is read still"
        at_meter.close()
        assert (await reading).reply.result == "FAILED"


async def test_what_is_not_kept_wholly_waits_for_its_meter(tmp_path: Path) -> None:
    silent = Silent()
    async with silent.listening() as address, head_end(tmp_path, address) as hes:
        reading = asyncio.create_task(hes.ask(asked(METER, REGISTER), "/cim"))
        at_meter = await silent.called()
        gap = asked(STORE_FIRST, QUARTERS, start=DAY - QUARTER, end=NEXT_DAY)
        filling = asyncio.create_task(hes.ask(gap, "/cim"))
        await hes.ask(asked(STORE, REGISTER), "/cim")
        assert silent.callers.empty() and not filling.done()
        at_meter.close()
        (await silent.called()).close()
        await reading
        answer = await filling
        assert (answer.reply.result, values(answer)) == ("PARTIAL", 96), "what is kept is given all the same"


@pytest.mark.parametrize(
    ("body", "lane", "meterless"),
    [
        (WantedReadings(source=STORE).format(), Lane.READ, True),
        (WantedReadings(source=STORE).format(), Lane.CAMPAIGN, True),
        (WantedReadings(source=STORE_FIRST).format(), Lane.READ, True),
        (WantedReadings(source=STORE_FIRST).format(), Lane.CAMPAIGN, False),
        (WantedReadings(source=METER).format(), Lane.READ, False),
        ("no JSON", Lane.READ, False),
        ("7", Lane.READ, False),
    ],
)
def test_which_commands_may_be_done_without_their_meter(body: str, lane: Lane, meterless: bool) -> None:
    def job(operation: str) -> CommandJob:
        return CommandJob(Command("r1", MeterId("M1", mrid(1)), operation, body), lane, DAY)

    assert is_meterless(job("read_meter")) is meterless
    assert not is_meterless(job("disconnect_control")) and not is_meterless(job("of another version"))
