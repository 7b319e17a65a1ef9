"""A simulated meter on a bench, read over a real socket by a head-end before it; what it should say is computed from the house behind it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ami_dlms import data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataAccessResult
from ami_hes.commands import Command, MeterId, Outcome
from ami_hes.meters import Meters, MetersSettings, Registry
from ami_hes.operations import Assignment, Attempt, read_meter
from ami_hes.operations.read_results import METER, ReadSeries, ReadValues, WantedReadings, number_of
from ami_hes.served import run
from ami_hes.store import SqlReadings, SqlScalerUnits
from ami_meter_sim.faults import Faults
from ami_meter_sim.objects.model_files import load_model
from ami_process.environment import Environment, real_time

sys.path.insert(0, str(Path(__file__).parents[2] / "meter_sim"))

from bench import CLOCK, KEYS, METER_TITLE, Bench, Wire, all_die, attribute, gmac, setup
from reported import as_read
from small_meter import HES_TITLE, South


@dataclass
class Measured:
    """A simulated meter on a bench, and a head-end before it."""

    bench: Bench
    south: South
    faults: Faults = field(default_factory=Faults)
    outages: list[tuple[datetime, datetime]] = field(default_factory=list)
    further: list[dict[str, Any]] = field(default_factory=list)
    """Entries of the registry beside that of the meter."""

    async def listen(self) -> Wire:
        wire = Wire(self.bench.meter, now=lambda: self.bench.at, faults=self.faults)
        await wire.listen()
        await self.start(wire.port)
        return wire

    async def start(self, port: int) -> None:
        """Another life of the head-end, over the same store."""
        entry = {
            "name": "M1001",
            "mrid": "00000000-0000-0000-0000-000000001001",
            "address": f"127.0.0.1:{port}",
            "authentication": "hls-gmac",
            "encryption_key": KEYS.encryption_key.hex(),
            "authentication_key": KEYS.authentication_key.hex(),
            "system_title": METER_TITLE.hex(),
            "logical_device_name": "AMIM1001",
            "device_id": "1001",
        }
        environment = Environment(
            emit=lambda event: self.south.events.append(as_read(event)), now=lambda: self.bench.at
        )
        settings = MetersSettings(host="127.0.0.1", port=0, system_title=HES_TITLE, apdu_timeout_s=2.0)
        self.south.meters = Meters(
            Registry([entry, *self.further]),
            self.south.counters,
            self.south.received,
            settings,
            environment,
            SqlReadings(self.south.database),
            SqlScalerUnits(self.south.database),
        )
        await self.south.meters.start()

    async def restart(self) -> None:
        assert self.south.meters is not None
        _, _, port = str(next(iter(self.south.meters.registry.meters)).place).rpartition(":")
        await self.south.stop()
        await self.start(int(port))

    async def read(
        self,
        start: datetime | None,
        end: datetime | None,
        *types: str,
        source: str = METER,
        qualities: tuple[str, ...] = (),
        meter: str = "M1001",
    ) -> tuple[Outcome, ReadValues]:
        assert self.south.meters is not None
        of = self.south.meters.registry.find_by_name(meter)
        assert of is not None
        first, last = (None if one is None else number_of(one) for one in (start, end))
        wanted = WantedReadings(types, first, last, source, qualities)
        command = Command("request-1", MeterId(of.name, of.mrid), read_meter.NAME, wanted.format())
        attempt = Attempt(self.south._keep, begun=False)
        outcome = await run(self.south.meters, Assignment(of, command, attempt, real_time() + 20))
        return outcome, ReadValues.parse(outcome.payload)

    def lose_power(self, **lasts: float) -> None:
        begun = self.bench.at
        self.bench.meter.lose_power(begun)
        self.bench.meter.advance(self.bench.later(**lasts))
        self.bench.meter.get_power_back(self.bench.at)
        self.outages.append((begun, self.bench.at))

    def set_clock(self, by: timedelta) -> None:
        shown = CosemDateTime.decode(self.bench.value(CLOCK)).to_datetime()
        value = data.octet_string(CosemDateTime.from_datetime(shown + by).encode())
        assert self.bench.meter.set(attribute(CLOCK, 2), value, self.bench.at) is DataAccessResult.SUCCESS

    def imported(self, at: datetime) -> int:
        """Watt-hours on the import register, by the house behind it and the outages; nothing of the meter is asked."""
        house, second = self.bench.meter.device.house, int(at.timestamp())
        energy = house.import_ws(second)
        for begun, ended in self.outages:
            first, last = int(begun.timestamp()), min(int(ended.timestamp()), second)
            if last > first:
                energy -= house.import_ws(last) - house.import_ws(first)
        return energy // 3600


@asynccontextmanager
async def measuring(ami: South, directory: Path) -> AsyncIterator[Any]:
    """Makes one: at a moment, with the past before it, of a model."""
    wires: list[Wire] = []

    async def made(
        at: datetime, *, zone: int = -60, with_past: bool = True, model: str = "three-phase", **more: Any
    ) -> Measured:
        one = Measured(Bench(directory, at), ami, **more)
        one.bench.start(setup(management=gmac(), model=load_model(model), time_zone_minutes=zone), with_past=with_past)
        wires.append(await one.listen())
        return one

    yield made
    await ami.stop()
    for wire in wires:
        await wire.stop()
    all_die()


def times(one: ReadSeries) -> list[datetime]:
    return [datetime.fromtimestamp(at / 1000, UTC) for at in one.times]


def qualities(one: ReadSeries) -> list[tuple[str, ...]]:
    return [one.quality_sets[place] for place in one.quality_of]


def of(found: ReadValues, reading_type: str) -> ReadSeries:
    (one,) = [one for one in found.series if one.reading_type == reading_type]
    return one
