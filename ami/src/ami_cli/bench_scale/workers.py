"""Commands per second with one, two and four workers, beside one process that does everything; what a dead worker and a bulk cost others.

Each command is a session of its own with a ciphered meter: it is called, proves who it is, is asked, and is left again.
"""

import asyncio
import os
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from ami_cli import configuration
from ami_cli.bench import BenchError
from ami_cli.bench_readings.asking import REGISTERS
from ami_cli.bench_scale.found import Cell, Found, Report, Setting, Table
from ami_cli.bench_scale.systems import Kind, System, system

WORDS = """\
One request reads two registers of all meters; each meter is a command, and each command a session of its own with a ciphered meter (HLS with GMAC, suite 0): called, proved, asked, left. **Answers at once**: what
limits is the processor. **Answers after 50 ms**: of each of its APDUs, as a meter behind a radio; what limits is how many are waited for (`max_sessions`, for each worker). *One process* is `hes serve` on SQLite;
the others are a front end and workers on PostgreSQL and NATS. Meters, servers and all processes share the machine, so more workers than it has processors for show what they
cost and not what they bring: the CPU per command is what travels. Medians of the counted runs, after one that warms up.

**A worker dies**: of two, one is killed when a third of the median time of a request has passed; every meter is answered all the same, in one reply. **Urgent**: a control of one meter is sent while all meters
are read, and beside it without any other work."""
LOOKS, LOOK_S = 3_000, 0.01
AT_WORK_S = 0.01
"""Of CPU: more than a process of meters uses that nobody asks."""
PACES = (("at once", 0.0), ("after 50 ms", 0.05))
RATES = (
    "answers",
    "system",
    "commands",
    "commands/s",
    "ms CPU/command, front end",
    "ms CPU/command, workers",
    "ms CPU/command, meters",
)
DEATHS = ("answers", "commands", "undisturbed, s", "with a death, s", "from the death to the last command, s")
URGENT = ("answers", "system", "control alone, ms", "control in a bulk, ms", "worst, ms")
Row = tuple[Cell, ...]


@dataclass(slots=True)
class _Rows:
    rates: list[Row] = field(default_factory=list)
    deaths: list[Row] = field(default_factory=list)
    urgent: list[Row] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Measured:
    """Of one system: how it is called, and what it is asked."""

    pace: str
    name: str
    kind: Kind
    runs: int
    tell: Report

    def say(self, what: str) -> None:
        self.tell(f"answers {self.pace}, {self.name}: {what}")


async def measure(setting: Setting, tell: Report) -> Found:
    """Every system has meters, a store and streams of its own, which are gone at the end."""
    rows, load = _Rows(), f"Load of the machine at the beginning: {os.getloadavg()[0]:.1f}"
    meters, numbers = (8, (0, 2)) if setting.small else (100, (0, 1, 2, 4))
    with tempfile.TemporaryDirectory(prefix="ami-bench-") as name:
        for pace, delay_s in PACES[:1] if setting.small else PACES:
            for workers in numbers:
                one = _Measured(pace, _called(workers), Kind(meters, delay_s, workers), setting.runs, tell)
                one.say("starting")
                async with system(
                    configuration.default(), one.kind, setting, Path(name, f"{pace}-{workers}")
                ) as running:
                    await _rows_of(one, running, rows)
    return Found(
        WORDS,
        (Table(RATES, tuple(rows.rates)), Table(DEATHS, tuple(rows.deaths)), Table(URGENT, tuple(rows.urgent))),
        (load,),
    )


def _called(workers: int) -> str:
    return {0: "one process", 1: "1 worker"}.get(workers, f"{workers} workers")


async def _rows_of(one: _Measured, running: System, rows: _Rows) -> None:
    taken, used = await _rates(one, running)
    rows.rates.append((one.pace, one.name, one.kind.meters, round(one.kind.meters / taken), *used))
    if one.kind.workers in (0, 2):
        rows.urgent.append((one.pace, one.name, *await _urgent(one, running)))
    if one.kind.workers == 2:  # at last, since one of them is gone then
        rows.deaths.append((one.pace, one.kind.meters, taken, *await _death(one, running, taken)))


async def _rates(one: _Measured, running: System) -> tuple[float, Sequence[float]]:
    """Seconds of a request, and ms of CPU per command of front end, workers and meters."""
    seconds, used = [], []
    for run in range(one.runs + 1):
        one.say(f"run {run} of {one.runs}")
        before = running.used()
        seconds.append(await running.asking.read(running.meters, REGISTERS[:2]))
        used.append([1000 * (b - a) / one.kind.meters for a, b in zip(before, running.used(), strict=True)])
    return statistics.median(seconds[1:]), [statistics.median(column) for column in zip(*used[1:], strict=True)]


async def _urgent(one: _Measured, running: System) -> tuple[int, int, int]:
    """Milliseconds of a control of one meter: alone, and while all meters are read; and the worst of these."""
    alone, amid = [], []
    for run in range(2 * one.runs):
        one.say(f"a control, run {run + 1} of {2 * one.runs}")
        alone.append(await running.asking.switch(running.meters[:1], run))
        bulk = asyncio.create_task(running.asking.read(running.meters, REGISTERS[:2]))
        await _begun(running)
        amid.append(await running.asking.switch(running.meters[-1:], run))
        await bulk
    return round(1000 * statistics.median(alone)), round(1000 * statistics.median(amid)), round(1000 * max(amid))


async def _begun(running: System) -> None:
    """The meters have work to do."""
    before = running.used()[2]
    for _ in range(LOOKS):
        if running.used()[2] > before + AT_WORK_S:
            return
        await asyncio.sleep(LOOK_S)
    raise BenchError("no meter was asked anything")


async def _death(one: _Measured, running: System, undisturbed_s: float) -> tuple[float, float]:
    one.say("a worker dies")
    asked = asyncio.create_task(running.asking.read(running.meters, REGISTERS[:2]))
    await asyncio.sleep(undisturbed_s / 3)
    if asked.done():
        raise BenchError("all commands were done before the worker was killed")
    running.kill()
    died = perf_counter()
    return await asked, perf_counter() - died
