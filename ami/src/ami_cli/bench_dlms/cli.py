"""`ami bench-dlms`: the DLMS core's own figures."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ami_cli.bench import machine
from ami_cli.bench_dlms import in_memory, peers, report, round_trips
from ami_cli.bench_dlms.ends import DlmsBenchError
from ami_cli.bench_dlms.figures import Figures

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command("bench-dlms")
def bench_dlms(
    runs: Annotated[int, typer.Option(min=1, help="Runs of each contender over sockets.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.05, help="Of each such run, after a warm-up.")] = 1.5,
    root: Annotated[
        Path, typer.Option(help="Where .venv/interop and tests/interop are: foreign stacks to compare with.")
    ] = Path(),
    json: Annotated[bool, typer.Option("--json", help="The figures as one JSON object.")] = False,
    write: Annotated[Path | None, typer.Option(help="Write the page here as Markdown, too.")] = None,
) -> None:
    """Time the DLMS core: round trips, decoding, protecting, sessions; each as a ratio.

    Foreign stacks take part where `python tests/interop/prepare.py` has installed them.
    """
    console = Console(stderr=True)
    try:
        with console.status("starting") as status:
            figures = _measure(root, runs, seconds, lambda text: status.update(text))
    except DlmsBenchError as trouble:
        typer.echo(str(trouble), err=True)
        raise typer.Exit(1) from None
    where = machine()
    if write is not None:
        write.write_text(report.markdown(figures, where), "utf-8")
    if json:
        typer.echo(dumps(report.document(figures, where)))
    else:
        Console().print(report.terminal(figures, where))


def _measure(root: Path, runs: int, seconds: float, report: round_trips.Report) -> Figures:
    found = peers.installed(root)
    report("in memory")
    return Figures(
        decoding_s=in_memory.decoding(found),
        protecting_s=in_memory.protecting(),
        sessions=in_memory.sessions(),
        allocations=in_memory.allocations(),
        round_trips=tuple(round_trips.measure(found, runs, seconds, report)),
    )
