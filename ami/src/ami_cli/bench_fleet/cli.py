"""`ami bench-fleet`: what a population costs, as figures."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ami_cli.bench import machine
from ami_cli.bench_fleet import report
from ami_cli.bench_fleet.measuring import FleetBenchError, Size, measure

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command("bench-fleet")
def bench_fleet(
    meters: Annotated[str, typer.Option(help="Sizes of the populations, with commas between.")] = "1000,10000,100000",
    dialogues: Annotated[int, typer.Option(min=1, help="Of each kind, with each population.")] = 1000,
    sessions: Annotated[int, typer.Option(min=1, help="To keep open at once, where descriptors allow it.")] = 10_000,
    json: Annotated[bool, typer.Option("--json", help="The figures as one JSON object.")] = False,
    write: Annotated[Path | None, typer.Option(help="Write the page here as Markdown, too.")] = None,
) -> None:
    """Measure populations of simulated meters: memory, start, dialogues, open sessions."""
    console = Console(stderr=True)
    try:
        sizes = [Size(int(one), dialogues, sessions) for one in meters.split(",")]
        with console.status("starting") as status:
            figures = [measure(size, lambda text: status.update(text)) for size in sizes]
    except (FleetBenchError, ValueError) as trouble:
        typer.echo(str(trouble), err=True)
        raise typer.Exit(1) from None
    where = machine()
    if write is not None:
        write.write_text(report.markdown(figures, where), "utf-8")
    if json:
        typer.echo(dumps(report.document(figures, where)))
    else:
        Console().print(report.terminal(figures, where))
