"""Readings measured over real sockets, each HES and each simulator a process; ours and the other one take turns."""

import asyncio
import itertools
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from ami_cli.bench_readings.asking import PROFILE, REGISTERS, a_day
from ami_cli.bench_readings.figures import Memory, Rate, ReadingFigures, Run
from ami_cli.bench_readings.messages import message_ratios
from ami_cli.bench_readings.storing import store_ratio
from ami_cli.bench_readings.systems import Commands, Running, another, population, registered
from ami_cli.processes import Processes, environment

URGENT_EVERY_S = 0.5
KEPT = "the same, in the store"
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Size:
    """How many meters are read on demand, by profile, and switched; how many are registered; how often all of it is done after a warm-up."""

    meters: int
    profiles: int
    switched: int
    registered: int
    runs: int


async def measure(base: Path, size: Size, other: Commands | None, report: Report) -> ReadingFigures:
    """All of it. BenchError if a meter does not give what it is asked for."""
    async with _processes() as (processes, directory):
        report(f"registering {size.registered:,} meters")
        async with registered(base, size.registered, processes, directory / "registered") as octets:
            memory = [Memory("registered, none read", size.registered, octets)]
    async with AsyncExitStack() as stack:
        processes, directory = await stack.enter_async_context(_processes())
        ours = await stack.enter_async_context(population(base, size.meters, processes, directory / "ours"))
        theirs = None
        if other is not None:
            old = another(base, size.switched, other, processes, directory / "other")
            theirs = await stack.enter_async_context(old)
        rates = await _rates(ours, theirs, size, report)
        memory.append(Memory("each of them read", size.meters, ours.memory()))
        report("a control amid a bulk read")
        urgent = await _urgent(ours)
    report("messages and the store")
    ratios = (await store_ratio(size.runs), *await asyncio.to_thread(message_ratios, size.runs))
    return ReadingFigures(tuple(rates), tuple(urgent), tuple(memory), ratios)


@asynccontextmanager
async def _processes() -> AsyncIterator[tuple[Processes, Path]]:
    with tempfile.TemporaryDirectory(prefix="ami-bench-") as name:
        directory = Path(name)
        async with Processes(directory / "logs", environment(("AMI_METERS", "AMI_CONFIG"))) as processes:
            yield processes, directory


@dataclass(frozen=True, slots=True)
class _Step:
    """Something that is asked in one request; `ask` takes the number of the run, `kept` is the name of its end in the store."""

    name: str
    running: Running
    meters: int
    ask: Callable[[int], Awaitable[float]]
    kept: str | None = None


async def _rates(ours: Running, theirs: Running | None, size: Size, report: Report) -> list[Rate]:
    steps = _steps(ours, theirs, size)
    runs: dict[tuple[str, int], list[Run]] = defaultdict(list)
    for number in range(size.runs + 1):
        for step in steps:
            step.running.heard()
            before, began = step.running.used(), datetime.now(UTC)
            run = step.running.ran(await step.ask(number), before)
            runs[step.name, step.meters].append(run)
            report(f"run {number} of {size.runs}: {step.name}, {step.meters / run.seconds:,.0f} meters/s")
            if step.kept is not None:
                kept_s = await step.running.kept_s(step.meters, began)
                runs[step.kept, step.meters].append(replace(run, seconds=kept_s))
    return [Rate(name, meters, tuple(counted[1:])) for (name, meters), counted in runs.items()]


def _steps(ours: Running, theirs: Running | None, size: Size) -> list[_Step]:
    asking, day = ours.asking, a_day(datetime.now(UTC))
    switched, read = ours.meters[: size.switched], ours.meters[: size.profiles]
    steps = [
        _Step("switched", ours, len(switched), partial(asking.switch, switched)),
        _Step("registers on demand", ours, len(ours.meters), lambda _: asking.read(ours.meters, REGISTERS)),
        _Step("day of quarters", ours, len(read), lambda _: asking.read(read, PROFILE, day), KEPT),
    ]
    if theirs is None:
        return steps
    other = partial(theirs.asking.switch, theirs.meters)
    return [_Step("switched by the other one", theirs, len(theirs.meters), other), *steps]


async def _urgent(ours: Running) -> list[float]:
    """Seconds of controls for one meter each, one after the other, while all of the others are read."""
    taken: list[float] = []
    first, *others = ours.meters
    bulk = asyncio.create_task(ours.asking.read(others, REGISTERS))
    for number in itertools.count():
        await asyncio.wait({bulk}, timeout=URGENT_EVERY_S)
        if bulk.done():
            break
        took_s = await ours.asking.switch([first], number)
        if not bulk.done():
            taken.append(took_s)
    await bulk
    return taken
