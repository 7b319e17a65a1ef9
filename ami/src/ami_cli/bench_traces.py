"""`ami bench-traces`: what traces cost: CPU time of the HES per meter with traces off, sampled as by default, and with every APDU kept.

Each HES is a process with simulated meters of its own; they take turns, request for request, so that what else goes on at the machine
meets all of them alike. The ratio is the median of those of single turns. Linux only.
"""

import asyncio
import statistics
from collections.abc import Sequence
from json import dumps
from typing import Annotated, Any

import typer
from rich.console import Console

from ami_cli import configuration
from ami_cli.bench import BenchError, machine
from ami_cli.bench_cpu import OURS, Contender, HesCpu, measure

KINDS = ("off", "sampled", "everything")
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command("bench-traces")
def bench_traces(
    meters: Annotated[int, typer.Option(min=1, max=2_000, help="In each request.")] = 400,
    runs: Annotated[int, typer.Option(min=1, help="Counted requests of each.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="The figures as one JSON object.")] = False,
) -> None:
    """Measure what traces cost the HES: off, sampled as by default, and everything. Linux only."""
    taking_part = [Contender(kind, OURS, {"keep_open_s": 0, "traces": {"keep": kind}}) for kind in KINDS]
    try:
        with Console(stderr=True).status("starting") as status:
            used = asyncio.run(measure(configuration.default(), meters, runs, taking_part, status.update))
    except (BenchError, configuration.ConfigurationError) as trouble:
        typer.echo(str(trouble), err=True)
        raise typer.Exit(1) from None
    rows = _rows(used)
    if json:
        typer.echo(dumps({"machine": machine(), "meters": meters, "runs": runs, "traces": rows}))
        return
    typer.echo(f"{machine()}; {runs} requests for {meters:,} meters, CPU of the HES per meter")
    for row in rows:
        typer.echo(f"traces {row['keep']:<10}  {row['median_ms']:.2f} ms  {row['ratio']:.2f} of that without")


def _rows(used: Sequence[HesCpu]) -> list[dict[str, Any]]:
    without = used[0].known_ms
    return [
        {
            "keep": one.name,
            "median_ms": round(one.median_ms, 3),
            "ratio": round(statistics.median(a / b for a, b in zip(one.known_ms, without, strict=True)), 3),
        }
        for one in used
    ]
