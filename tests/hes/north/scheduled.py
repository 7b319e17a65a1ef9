"""Schedules of an HES with a stand-in for its meters and a clock that is stepped: how they are ordered, what is listed, reported and sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from north_bench import SCHEMAS, North, entries, north
from reported import into

from ami_cim import wire
from ami_cim.message import EventMessage
from ami_cim.payloads.meter_readings import MeterReadings
from ami_hes.commands import Outcome
from ami_hes.operations import Assignment
from ami_hes.operations.read_results import NotRead, ReadSeries, ReadValues, WantedReadings
from ami_process.clocks import SteppedClock
from ami_process.environment import Environment

QUARTERS = "0.0.2.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"
START = datetime(2026, 3, 28, 12, tzinfo=UTC)
DAY = timedelta(days=1)
DUE = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)
MIDNIGHTS = [datetime(2026, 3, day, 24 - hours, tzinfo=UTC) for day, hours in ((27, 1), (28, 1), (29, 2), (30, 2))]
"""Of Berlin; the day between the second and the third has 23 hours."""
ORDER: dict[str, Any] = {"reading_types": [QUARTERS], "group": "feeder=F12", "time_zone": "Europe/Berlin"}


def millis(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


@dataclass
class Readers:
    """In place of the operation: each meter has its profile, unless it is silent."""

    silent: set[str] = field(default_factory=set)
    lacking: set[str] = field(default_factory=set)
    """Meters that have no such profile."""
    asked: list[tuple[str, datetime, datetime]] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    async def __call__(self, assignment: Assignment) -> Outcome:
        wanted, name = WantedReadings.parse(assignment.command.body), assignment.meter.name
        assert wanted.start is not None and wanted.end is not None
        start, end = (datetime.fromtimestamp(one / 1000, UTC) for one in (wanted.start, wanted.end))
        self.asked.append((name, start, end))
        await self.open.wait()
        if name in self.silent:
            return Outcome(False, "4.1", "WARNING", f"{name} is silent")
        if name in self.lacking:
            values = ReadValues((), (), (NotRead(QUARTERS, "5.6", "FATAL", "it has none"),))
            return Outcome(False, "5.6", "FATAL", "it has none", payload=values.format())
        times = tuple(range(wanted.start + 900_000, wanted.end + 1, 900_000))
        texts = tuple(f"{at // 900_000}.5" for at in times)
        series = ReadSeries(QUARTERS, True, times, texts, (("1.0.0",),), (0,) * len(times), wanted.end)
        return Outcome(True, payload=ReadValues((), (series,)).format())


def clock_at(moment: datetime) -> SteppedClock:
    return SteppedClock(moment)


@asynccontextmanager
async def collecting(
    directory: Path, clock: SteppedClock, events: list[Any], readers: Readers, *subscribers: dict[str, Any], **more: Any
) -> AsyncIterator[North]:
    registry = [one | {"tags": {"feeder": "F12" if one["name"] != "M3" else "F13"}} for one in entries(3)]
    environment = Environment(emit=into(events)).by(clock)
    options = {"registry": registry, "subscribers": subscribers, "keep_readings_days": 0} | more
    async with north(directory, readers, environment, **options) as hes:  # type: ignore[arg-type]
        yield hes


async def order(hes: North, name: str = "daily", **changes: Any) -> dict[str, Any]:
    answer = await hes.client.put(f"{hes.url}/api/v1/schedules/{name}", json=ORDER | changes)
    assert answer.status_code == 200, answer.text
    done: dict[str, Any] = answer.json()
    return done


def event_of(body: bytes) -> EventMessage:
    """What a subscriber reads, which is valid."""
    message = wire.read_delivery(body, SCHEMAS).message
    assert isinstance(message, EventMessage)
    return message


def meters_of(body: bytes) -> set[str]:
    payload = event_of(body).payload
    assert isinstance(payload, MeterReadings)
    return {one.meter.names[0].name for one in payload.meter_readings if one.meter is not None}


async def listed(hes: North) -> list[dict[str, Any]]:
    answer = await hes.client.get(f"{hes.url}/api/v1/schedules")
    found: list[dict[str, Any]] = answer.json()["schedules"]
    return found


async def reported(events: list[Any], name: str, count: int = 1, within_s: float = 60) -> list[dict[str, Any]]:
    async with asyncio.timeout(within_s):
        while len(there := [one for one in events if one["event"] == name]) < count:
            await asyncio.sleep(0.005)
    return there
