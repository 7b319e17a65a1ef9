"""CPU time of the HES per meter: with associations opened for each request, with kept ones, and of another checkout's HES.

Wall time says little on a machine that others use too. So each HES is a process of its own with simulated meters of its own, they
take turns, and what counts is the user and system time of the HES's process from the request to its reply, as the kernel keeps
it. Linux only.
"""

import shlex
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from ami_cli import generated_meters
from ami_cli.bench import PATH, REQUEST_S, request, start_head_end, until_ready, write_configuration
from ami_cli.cpu_time import used_s
from ami_cli.processes import Processes, Program, environment, module

KEPT_S = 3_600.0
"""How long associations stay open where they are kept: longer than the runs."""
OURS = module("ami_hes", "serve")


@dataclass(frozen=True, slots=True)
class Contender:
    """An HES: the command that `--config FILE` is appended to, and what differs in its section [hes]."""

    name: str
    command: tuple[str, ...]
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HesCpu:
    """Milliseconds of the HES's CPU per meter: of its first request, when no meter is known yet, and of those after it."""

    name: str
    meters: int
    first_ms: float
    known_ms: tuple[float, ...]

    @property
    def median_ms(self) -> float:
        return statistics.median(self.known_ms)


@dataclass(slots=True)
class _Turn:
    contender: Contender
    process_id: int
    url: str
    document: generated_meters.Document
    used_ms: list[float] = field(default_factory=list)


def contenders(against: str | None) -> list[Contender]:
    """Cold and warm, and first of all the other command if there is one."""
    other = [] if against is None else [Contender("the other one", tuple(shlex.split(against)))]
    kept = {"keep_open_s": KEPT_S, "max_kept_open": 100_000}
    return [*other, Contender("cold", OURS, {"keep_open_s": 0}), Contender("warm", OURS, kept)]


async def measure(
    base: Path, meters: int, runs: int, taking_part: Sequence[Contender], report: Callable[[str], None]
) -> list[HesCpu]:
    """`runs` requests of each after its first one; BenchError if a meter does not confirm."""
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ami-bench-")))
        surroundings = environment(("AMI_METERS", "AMI_CONFIG"))
        processes = await stack.enter_async_context(Processes(directory / "logs", surroundings))
        client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=REQUEST_S))
        turns = []
        for number, one in enumerate(taking_part):
            path, document = write_configuration(base, meters, directory / str(number), one.settings)
            turns.append(await _start(processes, one, path, document))
        for run in range(runs + 1):
            for turn in turns:
                before_s = used_s(turn.process_id)
                await request(client, turn.url, turn.document, run)
                turn.used_ms.append((used_s(turn.process_id) - before_s) * 1000 / meters)
                report(f"CPU, run {run} of {runs}: {turn.contender.name} {turn.used_ms[-1]:.2f} ms per meter")
    return [HesCpu(turn.contender.name, meters, turn.used_ms[0], tuple(turn.used_ms[1:])) for turn in turns]


async def _start(processes: Processes, contender: Contender, path: Path, document: generated_meters.Document) -> _Turn:
    """Meters first, then the HES that works them."""
    name = contender.name
    simulated = Program(f"meters of {name}", "meter", module("ami_meter_sim", "serve", "--config", str(path)), rank=1)
    await processes.start(simulated)
    await until_ready(processes, simulated)
    hes, ready = await start_head_end(processes, name, contender.command, path, document)
    return _Turn(contender, processes.process_id(hes), f"http://{ready['listen'][0]}{PATH}", document)
