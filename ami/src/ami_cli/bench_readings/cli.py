"""`ami bench-readings`: reading on demand and by profile, as figures."""

import shlex
from json import dumps
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ami_cli import configuration
from ami_cli.bench import machine
from ami_cli.bench_readings import report
from ami_cli.bench_readings.measuring import Size, measure
from ami_cli.bench_readings.systems import Commands
from ami_cli.bench_runs import measured

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command("bench-readings")
def bench_readings(
    meters: Annotated[int, typer.Option(min=2, help="Read on demand, in one request.")] = 10_000,
    profiles: Annotated[int, typer.Option(min=1, help="Of them, whose day is read.")] = 1_000,
    switched: Annotated[int, typer.Option(min=1, help="Switched in one request.")] = 1_000,
    registered: Annotated[int, typer.Option(min=1, help="In a registry whose memory is measured.")] = 100_000,
    runs: Annotated[int, typer.Option(min=1, help="Of each, after one that warms up.")] = 3,
    against: Annotated[
        str | None, typer.Option(metavar="COMMAND", help="The HES of another checkout; --config FILE is appended.")
    ] = None,
    against_meters: Annotated[
        str | None, typer.Option(metavar="COMMAND", help="Its simulator, which --against needs; the same.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The figures as one JSON object.")] = False,
    write: Annotated[Path | None, typer.Option(help="Write the page here as Markdown, too.")] = None,
) -> None:
    """Measure readings: on demand and by profile, a control amid them, memory, messages, the store. Linux only."""
    if (against is None) != (against_meters is None):
        raise typer.BadParameter("--against and --against-meters belong together")
    other = None
    if against is not None and against_meters is not None:
        other = Commands(tuple(shlex.split(against)), tuple(shlex.split(against_meters)))
    size = Size(meters, min(profiles, meters), min(switched, meters), registered, runs)
    figures = measured(lambda tell: measure(configuration.default(), size, other, tell))
    where = machine()
    if write is not None:
        write.write_text(report.markdown(figures, where), "utf-8")
    if json:
        typer.echo(dumps(report.document(figures, where)))
    else:
        Console().print(report.terminal(figures, where))
