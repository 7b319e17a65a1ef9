"""An HES with its simulated meters, each a process: a population of ours, or the configured meters of another checkout."""

import asyncio
import json
import resource
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx

from ami_cli import configuration, populations
from ami_cli.bench import (
    READY_S,
    REQUEST_S,
    BenchError,
    start_head_end,
    until_ready,
    write_configuration,
)
from ami_cli.bench_readings.asking import Asking
from ami_cli.bench_readings.figures import Run
from ami_cli.chosen_ports import chosen_port
from ami_cli.cpu_time import used_s
from ami_cli.processes import Emitted, Message, Processes, Program, module
from ami_meter_sim.populating import prepare
from ami_meter_sim.population_settings import PopulationSettings

MOST_OCTETS = 50_000_000
"""Of an answer, which is one message here."""
LOOK_S, LOST_S = 0.01, 30.0
"""How often it is looked whether all has been said, and when something of it is lost."""
PAGE = resource.getpagesize()


@dataclass(frozen=True, slots=True)
class Running:
    """The processes, and the mRIDs of their meters."""

    asking: Asking
    hes: int
    simulator: int
    meters: tuple[str, ...]
    heard: Callable[[], list[Message]]
    """What the processes have said and nobody has taken yet."""

    def used(self) -> tuple[float, float]:
        """Seconds of CPU so far, of the HES and of the simulator."""
        return used_s(self.hes), used_s(self.simulator)

    def ran(self, seconds: float, before: tuple[float, float]) -> Run:
        """With what was used since."""
        hes, simulator = self.used()
        return Run(seconds, hes - before[0], simulator - before[1])

    async def kept_s(self, meters: int, began: datetime) -> float:
        """Seconds from `began` until the values of that number of meters are in the store of the HES: the time of its last `meter_done`."""
        last: list[datetime] = []
        try:
            async with asyncio.timeout(LOST_S):
                while len(last) < meters:
                    last += [
                        at for at in _done(self.heard()) if at >= began
                    ]  # what an earlier step did may be heard late
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            raise BenchError(f"the head-end has said of {len(last)} of {meters} meters that they are done") from None
        return (max(last) - began).total_seconds()

    def memory(self) -> int:
        """Resident octets of the HES."""
        return resident(self.hes)


@dataclass(frozen=True, slots=True)
class Commands:
    """How an HES and its simulator are started; `--config FILE` is appended."""

    hes: tuple[str, ...]
    simulator: tuple[str, ...]


OURS = Commands(module("ami_hes", "serve"), module("ami_meter_sim", "serve"))


@asynccontextmanager
async def population(
    base: Path,
    count: int,
    processes: Processes,
    directory: Path,
    *,
    hes: Mapping[str, object] | None = None,
    default_keys: bool = False,
) -> AsyncIterator[Running]:
    """Ours: one address each, ciphered, shipped to the HES; `hes` on top of its section, `default_keys`: the shipment calls its keys so."""
    path, meters = shipped(base, count, directory, hes or {})
    if default_keys:
        _call_keys_default(directory)
    async with _started(processes, "ours", path, meters, OURS) as running:
        yield running


@asynccontextmanager
async def registered(base: Path, count: int, processes: Processes, directory: Path) -> AsyncIterator[int]:
    """An HES with a number of meters in its registry, none of which it works; its resident octets after a restart."""
    path, _ = shipped(base, count, directory)
    async with Processes(directory / "first", processes.environment) as first:
        await serve(first, Program("the import", "hes", (*OURS.hes, "--config", str(path))))
    head_end = Program("the registry", "hes", (*OURS.hes, "--config", str(path)))
    await serve(processes, head_end)
    yield resident(processes.process_id(head_end))


def _call_keys_default(directory: Path) -> None:
    for path in directory.glob("shipment-hes.*"):
        content = json.loads(path.read_text("utf-8"))
        for row in content["meters"]:
            row["default_keys"] = True
        path.write_text(json.dumps(content), "utf-8")


def shipped(
    base: Path, count: int, directory: Path, hes: Mapping[str, object] = MappingProxyType({})
) -> tuple[Path, tuple[str, ...]]:
    """The configuration, and the mRIDs of its meters."""
    table = {"name": "bench", "count": count, "seed": "bench", "port": chosen_port(), "model": "single-phase"}
    document = configuration.load(base) | {"meters": [], "populations": [table]}
    document["hes"] |= {
        "port": 0,
        "dlms_port": 0,
        "keep_open_s": 0,
        "deadline_s": REQUEST_S,
        "max_meters_per_request": count,
        "max_answer_octets": MOST_OCTETS,
        "lanes": {"read": {"deadline_s": REQUEST_S}},
    } | dict(hes)
    document = configuration.anchored(document, directory)
    directory.mkdir(exist_ok=True)
    populations.ship(document, directory)
    path = directory / "bench.toml"
    configuration.write(document, path)
    identities = prepare([PopulationSettings.model_validate(table)])[0].population.identities
    return path, tuple(str(identities.mrid(index)) for index in range(count))


@asynccontextmanager
async def another(
    base: Path, count: int, other: Commands, processes: Processes, directory: Path
) -> AsyncIterator[Running]:
    """With configured meters, which every version of this system knows: a port each, ciphered."""
    path, document = write_configuration(base, count, directory)
    meters = tuple(meter["mrid"] for meter in document["meters"])
    async with _started(processes, "the other one", path, meters, other) as running:
        yield running


@asynccontextmanager
async def _started(
    processes: Processes, name: str, path: Path, meters: tuple[str, ...], commands: Commands
) -> AsyncIterator[Running]:
    simulated = Program(f"meters of {name}", "meter", (*commands.simulator, "--config", str(path)), rank=1)
    await serve(processes, simulated)
    head_end, ready = await start_head_end(processes, name, commands.hes, path, configuration.load(path))
    async with httpx.AsyncClient(trust_env=False, timeout=REQUEST_S) as client:
        asking = Asking(client, f"http://{ready['listen'][0]}")
        yield Running(asking, processes.process_id(head_end), processes.process_id(simulated), meters, processes.heard)


async def serve(processes: Processes, program: Program, within_s: float = READY_S) -> Mapping[str, Any]:
    """Starts it; its event `ready`. BenchError."""
    await processes.start(program)
    return await until_ready(processes, program, within_s)


def _done(messages: Sequence[Message]) -> list[datetime]:
    """When meters were done."""
    events = [one.event for one in messages if isinstance(one, Emitted) and one.origin.role == "hes"]
    return [datetime.fromisoformat(one["at"]) for one in events if one["event"] == "meter_done"]


def resident(process_id: int) -> int:
    """Octets that a process has resident."""
    return PAGE * int(Path(f"/proc/{process_id}/statm").read_text("ascii").split()[1])
