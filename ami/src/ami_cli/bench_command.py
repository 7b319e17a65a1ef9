"""`ami bench`: a control for many meters, timed."""

import asyncio
from functools import partial
from json import dumps
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.status import Status

from ami_cli import bench, bench_cpu, bench_report, configuration
from ami_cli.cpu_time import is_measurable
from ami_cli.options import configuration_option

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command("bench")
def run_bench(
    base: Annotated[Path, configuration_option("The configuration that the fleet is made from.")],
    meters: Annotated[str, typer.Option(help="Sizes of the request, with commas.")] = "2,100,1000",
    runs: Annotated[int, typer.Option(min=1, help="Counted runs of each size.")] = 5,
    warm_up: Annotated[int, typer.Option(min=0, help="Uncounted runs before them.")] = 2,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help="Compare the CPU with this HES too: a command line that --config FILE is appended to.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The figures as one JSON object.")] = False,
    write: Annotated[Path | None, typer.Option(help="Write the page here as Markdown, too.")] = None,
) -> None:
    """Time one control for many meters over real sockets, and show where the time goes."""
    console = Console(stderr=True)
    figures, cpu = [], []
    try:
        with console.status("starting") as status:
            for size in (int(word) for word in meters.split(",")):
                report = partial(_report_progress, status, size)
                figures.append(asyncio.run(bench.measure(base, size, runs, warm_up, report)))
            if is_measurable():
                cpu = asyncio.run(bench_cpu.measure(base, size, runs, bench_cpu.contenders(against), report))
    except (bench.BenchError, configuration.ConfigurationError, ValueError) as trouble:
        typer.echo(str(trouble), err=True)
        raise typer.Exit(1) from None
    machine = bench.machine()
    if write is not None:
        write.write_text(bench_report.markdown(figures, machine, cpu=cpu), "utf-8")
    if json:
        typer.echo(dumps(bench_report.document(figures, machine, cpu=cpu)))
    else:
        Console().print(bench_report.terminal(figures, machine, cpu))


def _report_progress(status: Status, size: int, text: str) -> None:
    status.update(f"{size:,} meters: {text}")
