"""The plug-in that reads DLMS/COSEM in Wireshark and tshark 4.0 to 4.6, put in place, and the keys for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ami_cli.formatting import count
from ami_cli.meter.errors import MeterError
from ami_cli.wireshark.assembling import NAME, plugin
from ami_cli.wireshark.installed import find_wireshark
from ami_cli.wireshark.key_files import write_keys

app = typer.Typer(name="wireshark", help=__doc__, no_args_is_help=True, add_completion=False)
NO_WIRESHARK = "no tshark and no wireshark on the search path: give --folder, the Personal Lua Plugins of Help > About Wireshark > Folders"


@app.command("install")
def install(
    folder: Annotated[
        Path | None, typer.Option(help="Where to put it, instead of the folder that Wireshark names.")
    ] = None,
) -> None:
    """Put the plug-in (one file, amidlms.lua) where Wireshark finds it.

    Exit code 0: it is there. 1: Wireshark will not load it as things are. 2: no folder, or it can't be written.
    """
    wireshark = find_wireshark()
    place = folder or (wireshark.folder if wireshark else None)
    if place is None:
        typer.echo(f"ami wireshark: {NO_WIRESHARK}", err=True)
        raise typer.Exit(2)
    try:
        place.mkdir(parents=True, exist_ok=True)
        (place / NAME).write_text(plugin(), "utf-8")
    except OSError as error:
        typer.echo(f"ami wireshark: {place / NAME} can't be written: {error.strerror}", err=True)
        raise typer.Exit(2) from None
    typer.echo(f"{place / NAME}: written; restart Wireshark, or Analyze > Reload Lua Plugins")
    doubts = list(wireshark.doubts(is_root=hasattr(os, "geteuid") and os.geteuid() == 0)) if wireshark else []
    for doubt in doubts:
        typer.echo(f"ami wireshark: {doubt}", err=True)
    if doubts:
        raise typer.Exit(1)


@app.command("keys")
def keys(
    registry: Annotated[Path, typer.Argument(help="A configuration file with [[meters]], or a shipment file.")],
    output: Annotated[Path, typer.Argument(help="The key file; only its owner will read it.")],
) -> None:
    """Write the keys of all meters of a file for the plug-in, and say how Wireshark gets them."""
    try:
        written = write_keys(registry, output, environ=os.environ)
    except (MeterError, OSError) as error:
        typer.echo(f"ami wireshark: {error}", err=True)
        raise typer.Exit(2) from None
    if not written:
        typer.echo(f"ami wireshark: no meter of {registry} has a system title and keys", err=True)
        raise typer.Exit(1)
    typer.echo(f"{output}: keys of {count(written, 'meter')}, for its owner alone")
    typer.echo(f"tshark: -o amidlms.keys:{output.resolve()}")
    typer.echo("Wireshark: Edit > Preferences > Protocols > AMIDLMS > Key file")
