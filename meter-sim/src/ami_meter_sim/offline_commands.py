"""The commands of `meter-sim` that need no running process: shipment files, firmware images, copies of the store."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ami_meter_sim.commands.store import store_commands
from ami_meter_sim.objects.firmware import sample_image
from ami_meter_sim.population.shipment import Form, Receiver
from ami_meter_sim.settings import Settings
from ami_meter_sim.shipping import seen_at, ship
from ami_packs.document import ModelError
from ami_process.commands import explaining
from ami_process.settings import SettingsError

shipment = typer.Typer(add_completion=False, rich_markup_mode=None)
image = typer.Typer(add_completion=False, rich_markup_mode=None)
store = store_commands(lambda config: Settings.load(config).meter_sim.state)


@shipment.command("shipment")
def write_shipment(
    config: Annotated[Path, typer.Option(metavar="FILE", help="The TOML file with [[populations]].")],
    population: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this one of [[populations]]; may be repeated. Default: all."),
    ] = None,
    receiver: Annotated[
        Receiver, typer.Option("--for", help="hes: with addresses and keys; cis: without either.")
    ] = Receiver.HES,
    form: Annotated[Form, typer.Option("--format", help="How it is written.")] = Form.JSON,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST", help="Where the head-end reaches them (the first one), if that is not where they listen."
        ),
    ] = None,
    transport_key: Annotated[
        str | None,
        typer.Option(metavar="REF", help="Wrap all keys by this one (RFC 3394): env:NAME, file:PATH or hex digits."),
    ] = None,
    write: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Into this file, for its owner alone. Default: standard output.")
    ] = None,
) -> None:
    """Write the shipment file of populations: what comes along with delivered meters. No meter has to run for it.

    Exit code 2: the configuration can't be used, or the file can't be written.
    """
    with explaining("meter-sim", SettingsError, ModelError):
        tables = seen_at(address, Settings.load(config).populations)
        count = ship(tables, population or (), receiver, form, reference=transport_key, path=write)
    if write is not None:
        sys.stderr.write(f"{write}: {count:,} meters\n")


@image.command("image")
def write_image(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new file.")],
    version: Annotated[str, typer.Option(metavar="TEXT", help="What meters show that run it.")],
    octets: Annotated[
        int, typer.Option(metavar="N", min=1, max=2**24 - 96, help="How much it has beside its header.")
    ] = 50_000,
    damaged: Annotated[
        bool, typer.Option("--damaged", help="An octet is another one: its verification fails.")
    ] = False,
) -> None:
    """Write a firmware image that simulated meters know the version of, and verify by its checksum. Exit code 2: the file can't be written."""
    with explaining("meter-sim", ValueError, OSError):
        written = file.write_bytes(sample_image(version, octets, damaged=damaged))
        typer.echo(f"{file}: version {version}, {written} octets")
