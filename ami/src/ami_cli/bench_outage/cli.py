"""`ami bench-outage`: a burst of last gasps, as figures."""

from json import dumps
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ami_cli.bench import machine
from ami_cli.bench_outage import report
from ami_cli.bench_outage.measuring import measure
from ami_cli.bench_runs import measured

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command("bench-outage")
def bench_outage(
    meters: Annotated[int, typer.Option(min=1, max=100_000, help="That lose their power.")] = 10_000,
    over: Annotated[float, typer.Option(min=0, max=3600, metavar="SECONDS", help="Within this time.")] = 10.0,
    json: Annotated[bool, typer.Option("--json", help="The figures as one JSON object.")] = False,
    write: Annotated[Path | None, typer.Option(help="Write the page here as Markdown, too.")] = None,
) -> None:
    """Measure what becomes of last gasps that come at once, with two sizes of the receive buffer. Linux only."""
    bursts = measured(lambda tell: measure(meters, over, tell))
    where = machine()
    if write is not None:
        write.write_text(report.markdown(bursts, where), "utf-8")
    if json:
        typer.echo(dumps(report.document(bursts, where)))
    else:
        Console().print(report.terminal(bursts, where))
