"""`ami bench-commissioning`: how fast meters of a shipment are commissioned, from the order until the last one has its end.

Head-end and meters are processes of their own, over real sockets. All meters are new; each gets a clock that is looked at, a push target
that is written and read back, and in the second measurement two keys that take the place of the shipment's. A figure counts only if every
meter is commissioned.
"""

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from json import dumps
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer

from ami_cli import configuration
from ami_cli.bench import REQUEST_S, BenchError, machine
from ami_cli.bench_readings.systems import Running, population
from ami_cli.bench_runs import measured
from ami_cli.processes import Processes, environment

MOST = 10_000
"""Of one campaign."""
LOOK_S = 0.1
PUSH = {"setup": "0-4:25.9.0", "destination": "127.0.0.1:4059"}
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True, slots=True)
class Figure:
    """One campaign; CPU of the two processes in seconds."""

    meters: int
    keys: bool
    """Whether default keys were changed, two for each meter."""
    seconds: float
    hes_cpu_s: float
    simulator_cpu_s: float

    @property
    def per_second(self) -> float:
        return self.meters / self.seconds

    def line(self) -> str:
        """For a person."""
        what = "with two keys each" if self.keys else "without keys"
        cpu = 1000 * self.hes_cpu_s / self.meters
        rate = f"{self.per_second:,.0f} meters/s"
        return f"{self.meters:,} meters, {what}: {self.seconds:.1f} s, {rate}, {cpu:.1f} ms CPU of the HES a meter"


@app.command("bench-commissioning")
def bench_commissioning(
    meters: Annotated[int, typer.Option(min=1, max=MOST, help="Of one campaign.")] = MOST,
    json: Annotated[bool, typer.Option("--json", help="The figures as one JSON object.")] = False,
) -> None:
    """Measure the commissioning of simulated meters from a shipment, without and with new keys. Linux only."""
    figures = measured(lambda report: measure(configuration.default(), meters, report))
    if json:
        rates = [asdict(one) | {"meters_per_second": one.per_second} for one in figures]
        typer.echo(dumps({"machine": machine(), "campaigns": rates}))
    else:
        typer.echo("\n".join((machine(), *(one.line() for one in figures))))


async def measure(base: Path, meters: int, report: Callable[[str], None]) -> list[Figure]:
    """Both campaigns, each of a head-end and meters of its own. BenchError if a meter is not commissioned."""
    return [await _measured(base, meters, report, keys=keys) for keys in (False, True)]


async def _measured(base: Path, meters: int, report: Callable[[str], None], *, keys: bool) -> Figure:
    with tempfile.TemporaryDirectory(prefix="ami-bench-") as name:
        directory = Path(name)
        async with Processes(directory / "logs", environment(("AMI_METERS", "AMI_CONFIG"))) as processes:
            hes = {"commissioning": {"push": [PUSH]}, "lanes": {"campaign": {"deadline_s": REQUEST_S}}}
            ours = population(base, meters, processes, directory / "ours", hes=hes, default_keys=keys)
            async with ours as running:
                before, began = running.used(), perf_counter()
                await _commissioned(running, meters, report)
                run = running.ran(perf_counter() - began, before)
    return Figure(meters, keys, run.seconds, run.hes_cpu_s, run.simulator_cpu_s)


async def _commissioned(running: Running, meters: int, report: Callable[[str], None]) -> None:
    client, url = running.asking.client, f"{running.asking.url}/api/v1/campaigns"
    answer = await client.post(f"{url}/commissioning", json={"all_new": True})
    if answer.status_code != 200:  # HTTP
        raise BenchError(f"the order was refused: {answer.text[:300]}")
    found: dict[str, Any] = answer.json()
    while found["done"] < found["meters"]:
        running.heard()  # else all that is said would be kept
        report(f"{found['done']:,} of {meters:,} meters, {found['failed']} failed")
        await asyncio.sleep(LOOK_S)
        found = (await client.get(f"{url}/{found['id']}")).json()
    if found["ok"] != meters:
        reasons = "; ".join(one["reason"] for one in found["failures"][:3])
        raise BenchError(f"{found['ok']} of {meters} meters are commissioned: {reasons}")
