"""`ami cim`: messages of IEC 61968-9 of any sender, without anything that runs."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from ami_cim.schema import Schemas
from ami_cli.cim import view
from ami_cli.cim.findings import NotReadable, printable
from ami_cli.cim.lint import Lint, lint
from ami_cli.cim.sources import STANDARD_INPUT, take

app = typer.Typer(name="cim", add_completion=False, no_args_is_help=True)
FINDINGS, UNREADABLE = 1, 2


@app.callback()
def cim() -> None:
    """Messages of CIM (IEC 61968-9 in IEC 61968-100), of any sender."""


@app.command("lint")
def lint_command(
    given: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE|URL|-]...", help="Messages; - is standard input.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per message.")] = False,
    content_type: Annotated[
        str | None, typer.Option(metavar="TYPE", help="The Content-Type that came with it, e.g. for its charset.")
    ] = None,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours on a terminal either.")] = False,
) -> None:
    """Say what a message is, what it breaks, what it means, and what our head-end would answer.

    Exit code 0: nothing is wrong with it. 1: there are findings. 2: it can't be read.
    """
    schemas, now = Schemas(), datetime.now(UTC)
    worst = 0
    for one in given or [STANDARD_INPUT]:
        try:
            found = lint(take(one, sys.stdin.buffer, content_type), schemas, now)
        except NotReadable as why:
            view.refuse(f"{'standard input' if one == STANDARD_INPUT else printable(one)}: {why}")
            worst = UNREADABLE
            continue
        _show(found, as_json=as_json, no_color=no_color)
        worst = max(worst, FINDINGS if found.findings else 0)
    raise typer.Exit(worst)


def _show(found: Lint, *, as_json: bool, no_color: bool) -> None:
    if as_json:
        typer.echo(json.dumps(view.document(found), ensure_ascii=False))
    else:
        view.show(found, no_color=no_color)
