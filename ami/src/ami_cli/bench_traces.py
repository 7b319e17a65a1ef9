"""`ami bench-traces`: what traces cost: CPU time of the HES per meter with traces off, sampled as by default, and with every APDU kept.

Each HES is a process with simulated meters of its own; they take turns, request for request, so that what else goes on at the machine
meets all of them alike. The ratio is the median of those of single turns. Linux only.
"""

from json import dumps
from typing import Annotated

import typer

from ami_cli import configuration
from ami_cli.bench import machine
from ami_cli.bench_cpu import OURS, Contender, measure
from ami_cli.bench_runs import beside_the_first, measured

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
    used = measured(lambda report: measure(configuration.default(), meters, runs, taking_part, report))
    rows = beside_the_first("keep", [(one.name, one.known_ms) for one in used])
    if json:
        typer.echo(dumps({"machine": machine(), "meters": meters, "runs": runs, "traces": rows}))
        return
    typer.echo(f"{machine()}; {runs} requests for {meters:,} meters, CPU of the HES per meter")
    for row in rows:
        typer.echo(f"traces {row['keep']:<10}  {row['median_ms']:.2f} ms  {row['ratio']:.2f} of that without")
