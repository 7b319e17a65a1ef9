"""`ami one-request`: one disconnect, hop by hop."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from ami_cli import one_request
from ami_cli.options import configuration_option

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command("one-request")
def write_one_request(
    base: Annotated[Path, configuration_option("Whose M1001 is asked.")],
    write: Annotated[Path | None, typer.Option(help="Write the page here, not to the screen.")] = None,
) -> None:
    """Show one disconnect hop by hop, with its real XML and octets (docs/one-request.md)."""
    page = asyncio.run(one_request.page(base))
    if write is None:
        typer.echo(page, nl=False)
    else:
        write.write_text(page, "utf-8")
