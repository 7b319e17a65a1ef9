"""`ami encode`: the octets that a document of `ami decode` describes, edited or written by hand as well."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ami_cli.decode import documents
from ami_cli.decode.inputs import STANDARD_INPUT
from ami_dlms.errors import DlmsError
from ami_dlms.explain import octets_of

app = typer.Typer(name="encode", add_completion=False)


class Format(StrEnum):
    """What `--format` takes."""

    JSON = "json"
    XML = "xml"


@app.command("encode")
def encode(
    given: Annotated[str, typer.Argument(metavar="[FILE|-]", help="The document, or - for stdin.")] = STANDARD_INPUT,
    format_: Annotated[
        Format | None, typer.Option("--format", help="Without it the first character decides.", show_default=False)
    ] = None,
) -> None:
    """Make the octets again from JSON or XML of `ami decode`: one line of hex for each message.

    Lengths and counts are made anew in their shortest form. Exit code 1: the document cannot be encoded.
    """
    try:
        text = sys.stdin.read() if given == STANDARD_INPUT else Path(given).read_text("utf-8")
        if format_ is None:
            format_ = Format.XML if text.lstrip().startswith("<") else Format.JSON
        parts = documents.parse_xml(text) if format_ is Format.XML else documents.parse_json(text)
        lines = [octets_of(part).hex().upper() for part in parts]
    except (DlmsError, OSError, UnicodeDecodeError) as error:
        typer.echo(f"ami encode: {error}", err=True)
        raise typer.Exit(1) from None
    for line in lines:
        typer.echo(line)
