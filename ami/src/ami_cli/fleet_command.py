"""`ami fleet`: many simulated meters, written as a configuration."""

from pathlib import Path
from typing import Annotated

import tomli_w
import typer

from ami_cli import configuration, generated_meters
from ami_cli.options import SecurityOption, configuration_option

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command("fleet")
def make_fleet(
    base: Annotated[Path, configuration_option("Everything else, and the first meters, come from here.")],
    count: Annotated[int, typer.Option(min=1, help="How many meters.")] = 100,
    seed: Annotated[str, typer.Option(help="Keys and identities come from it: the same seed, the same fleet.")] = "ami",
    layout: Annotated[
        generated_meters.Layout,
        typer.Option(
            help="ports: a port each; one-address: a logical device each; docker: as docker-compose.yml has them; scale: as docker-compose.scale.yml has."
        ),
    ] = generated_meters.Layout.PORTS,
    address: Annotated[str, typer.Option(help="host:port of the first, or of all.")] = "127.0.0.1:4061",
    security: Annotated[
        SecurityOption, typer.Option(help="none: no authentication, no ciphering.")
    ] = SecurityOption.DEFAULT,
    part: Annotated[
        generated_meters.Share,
        typer.Option(help="Only what this container of the layout docker needs: the CIS no key, a meter its own."),
    ] = generated_meters.Share.ALL,
    output: Annotated[Path | None, typer.Option(help="Write here, not to the screen.")] = None,
) -> None:
    """Write a configuration with many simulated meters, each with keys of its own."""
    clear = security is SecurityOption.NONE
    try:
        document = generated_meters.fleet(
            configuration.load(base), count, seed=seed, layout=layout, address=address, clear=clear
        )
    except configuration.ConfigurationError as trouble:
        typer.echo(str(trouble), err=True)
        raise typer.Exit(1) from None
    options = (" --security none" if clear else "") + ("" if part is generated_meters.Share.ALL else f" --part {part}")
    document, note = generated_meters.part(document, part), generated_meters.note(part)
    heading = generated_meters.HEADING.format(
        count=count, seed=seed, layout=layout, base=base, options=options, note=note
    )
    text = heading + tomli_w.dumps(document)
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, "utf-8")
