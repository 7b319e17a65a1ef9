"""`ami bench-scale`: options, sections, and where the figures go."""

from collections.abc import Sequence
from json import dumps
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ami_cli.bench import machine
from ami_cli.bench_runs import Report, measured
from ami_cli.bench_scale import report
from ami_cli.bench_scale.found import Found, Setting
from ami_cli.bench_scale.sections import SECTIONS

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command("bench-scale")
def bench_scale(
    only: Annotated[
        list[str] | None, typer.Option(metavar="SECTION", help=f"Of {', '.join(SECTIONS)}; may be given again.")
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="postgresql://USER@HOST/DATABASE, in which schemas are made and dropped again."
        ),
    ] = None,
    engine: Annotated[str | None, typer.Option(metavar="URL", help="nats://HOST:PORT, with JetStream.")] = None,
    runs: Annotated[int, typer.Option(min=1, help="Of each, after one that warms up.")] = 5,
    meters: Annotated[int | None, typer.Option(min=20, help="In a registry, in place of the section's number.")] = None,
    small: Annotated[bool, typer.Option("--small", help="The least that shows that it works.")] = False,
    json: Annotated[bool, typer.Option("--json", help="The figures as one JSON object.")] = False,
    write: Annotated[Path | None, typer.Option(help="Write the sections into this page of Markdown, too.")] = None,
) -> None:
    """Measure what goes beyond one machine, with the embedded engine beside it. Linux only."""
    setting = Setting(runs, small, meters, store, engine)
    names = _chosen(only, setting)
    found = measured(lambda tell: _each(names, setting, tell))
    where = machine()
    if write is not None:
        before = write.read_text("utf-8") if write.exists() else ""
        write.write_text(report.markdown(found, where, before), "utf-8")
    if json:
        typer.echo(dumps(report.document(found, where)))
    else:
        Console().print(report.terminal(found, where))


def _chosen(only: Sequence[str] | None, setting: Setting) -> list[str]:
    """In the order of the page. Raises BadParameter for what can't be measured."""
    for name in only or ():
        if name not in SECTIONS:
            raise typer.BadParameter(f"there is no section {name}: expected one of {', '.join(SECTIONS)}")
    names = [name for name in SECTIONS if not only or name in only]
    for name in names:
        for need in SECTIONS[name].needs:
            if getattr(setting, need) is None:
                raise typer.BadParameter(f"the section {name} needs --{need}")
    return names


async def _each(names: Sequence[str], setting: Setting, tell: Report) -> dict[str, Found]:
    return {name: await SECTIONS[name].measure(setting, tell) for name in names}
