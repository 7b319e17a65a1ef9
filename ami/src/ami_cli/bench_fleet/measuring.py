"""Populations of several sizes, each a process of its own, measured one after the other."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy
import tomli_w

from ami_cli.bench_fleet.client import Asking, Client, NoAnswer
from ami_cli.bench_fleet.figures import Dialogues, FleetFigures
from ami_cli.bench_fleet.inside import measure_inside
from ami_cli.chosen_ports import chosen_port
from ami_cli.cpu_time import used_s
from ami_meter_sim.populating import prepare
from ami_meter_sim.population.columns import COLUMNS, KNOWN
from ami_meter_sim.population.journal import StateUnusable
from ami_meter_sim.population.store import Store
from ami_meter_sim.settings import Settings
from ami_process.settings import SettingsError

AT_ONCE = 32
READY_S = 300.0
MARGIN = 200
"""Descriptors that are not connections to meters."""
OPENED_AT_ONCE = 100

OF_A_USED_METER = {
    "flags": KNOWN,
    "time_zone_min": 0,
    "configured_time_zone_min": 0,
    "control_state": 1,
    "control_mode": 4,
    "configured_control_mode": 4,
    "clock_offset_s": 0,
    "failed_logins": 0,
    "locked_until": 0,
}
"""Of the fields of a row that can't be any number."""

Report = Callable[[str], None]


class FleetBenchError(Exception):
    """Nothing could be measured; the text says why."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything is measured at one size."""

    meters: int
    dialogues: int
    sessions: int


@dataclass(slots=True)
class Simulator:
    """The process."""

    process: asyncio.subprocess.Process
    ready_s: float

    def memory(self) -> int:
        """Resident, in octets."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * resource.getpagesize()

    def cpu_s(self) -> float:
        """User and system."""
        return used_s(self.process.pid)


def measure(size: Size, report: Report) -> FleetFigures:
    """One size. Raises FleetBenchError."""
    with tempfile.TemporaryDirectory(prefix="ami-bench-fleet-") as directory:
        try:
            return asyncio.run(_measure(size, Path(directory), report))
        except (NoAnswer, OSError, TimeoutError, SettingsError, StateUnusable) as trouble:
            raise FleetBenchError(f"{size.meters} meters: {trouble or type(trouble).__name__}") from None


async def _measure(size: Size, directory: Path, report: Report) -> FleetFigures:
    path = _configuration(size.meters, directory)
    client = Client(prepare(Settings.load(path).populations)[0])
    report(f"{size.meters} meters: a new population")
    async with _simulator(path) as new:
        new_ready_s = new.ready_s
    report(f"{size.meters} meters: filling the store")
    fill(path)
    report(f"{size.meters} meters: from a full store")
    async with _simulator(path) as simulator:
        memory = simulator.memory()
        report(f"{size.meters} meters: dialogues")
        for _ in range(AT_ONCE):
            await client.dialogue_with_any()
        alone = await _dialogues(client, simulator, size.dialogues, 1)
        together = await _dialogues(client, simulator, size.dialogues, AT_ONCE)
        report(f"{size.meters} meters: open sessions")
        sessions, added = await _sessions(client, simulator, min(size.sessions, size.meters))
    report(f"{size.meters} meters: last gasps, what is due, a year of profile")
    inside = await asyncio.to_thread(measure_inside, client.population, Settings.load(path).meter_sim.state)
    return FleetFigures(size.meters, new_ready_s, simulator.ready_s, memory, alone, together, sessions, added, inside)


def _configuration(meters: int, directory: Path) -> Path:
    population = {"name": "bench", "count": meters, "seed": "bench", "first_serial": 2, "port": chosen_port()}
    content = {"meter_sim": {"state": str(directory / "state")}, "populations": [population]}
    path = directory / "ami.toml"
    path.write_text(tomli_w.dumps(content), "utf-8")
    return path


def fill(path: Path) -> None:
    """Give every meter of a population a row in which most fields have been changed, as of meters that were in operation until now."""
    settings = Settings.load(path)
    (prepared,) = prepare(settings.populations)
    store = Store.open(settings.meter_sim.state, [prepared.wanted])
    (placed,) = store.ranges.values()
    names = [name for name, column in COLUMNS.items() if column.number is not None]
    now = int(time.time())
    values = OF_A_USED_METER | {"captured_until": now, "clock_set_at": now - 86_400}
    row = [values.get(name, 100) for name in names]
    numbers = numpy.arange(placed.number, placed.number + placed.count).tolist()
    store.fill_rows(names, ((number, *row) for number in numbers))
    store.close()


@asynccontextmanager
async def _simulator(path: Path) -> AsyncIterator[Simulator]:
    began = time.perf_counter()
    command = (sys.executable, "-m", "ami_meter_sim", "serve", "--config", str(path))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        if process.stdout is None:
            raise FleetBenchError("the simulator has no output")
        await asyncio.wait_for(_ready(process.stdout), READY_S)
        drained = asyncio.create_task(_drain(process.stdout))
        yield Simulator(process, time.perf_counter() - began)
        process.terminate()
        await process.wait()
        await drained
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def most_sessions(wanted: int) -> int:
    """This number, or the number that this machine has descriptors for."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard - MARGIN)


async def _ready(output: asyncio.StreamReader) -> None:
    last = b"nothing"
    while line := await output.readline():
        if json.loads(line).get("event") == "ready":
            return
        last = line
    raise FleetBenchError(f"the simulator ended before it was ready; the last that it said: {last.decode().strip()}")


async def _drain(output: asyncio.StreamReader) -> None:
    while await output.read(65536):
        pass


async def _dialogues(client: Client, simulator: Simulator, number: int, at_once: int) -> Dialogues:
    seconds: list[float] = []
    left = iter(range(number))

    async def work() -> None:
        for _ in left:
            seconds.append(await client.dialogue_with_any())

    before = simulator.cpu_s()
    await asyncio.gather(*(work() for _ in range(at_once)))
    return Dialogues(tuple(seconds), simulator.cpu_s() - before)


async def _sessions(client: Client, simulator: Simulator, wanted: int) -> tuple[int, int]:
    """How many could be opened, and what they have added to the memory."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    number = most_sessions(wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, number + MARGIN), hard))
    before, opened = simulator.memory(), list[Asking]()
    first = client.population.settings.count - number
    try:
        for begin in range(0, number, OPENED_AT_ONCE):
            indexes = range(first + begin, first + min(begin + OPENED_AT_ONCE, number))
            opened += await asyncio.gather(*map(client.associate, indexes))
        return len(opened), simulator.memory() - before
    finally:
        for one in opened:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
