"""The command line `meter-sim`: `meter-sim serve --config FILE` is the process; `python -m ami_meter_sim` is the same."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

import ami_process.open_files  # noqa: F401 - where POSIX is missing, every command says so
from ami_process.loading import loading

with loading():
    from ami_meter_sim.commands import clock as clock_commands
    from ami_meter_sim.commands import fault as fault_commands
    from ami_meter_sim.commands import meters as meters_commands
    from ami_meter_sim.commands import snapshot as snapshot_commands
    from ami_meter_sim.commands.clock import moment
    from ami_meter_sim.population.journal import StateUnusable
    from ami_meter_sim.population.shipment import Form, Receiver
    from ami_meter_sim.settings import ClockName, Settings, by_clock, choose
    from ami_packs.document import ModelError
    from ami_process.commands import exit_code_of, explaining, lazy_group, serve_until_stopped, version_option
    from ami_process.environment import Environment, clock_of
    from ami_process.events import Events, events_on_standard_output
    from ami_process.settings import SettingsError


def _scenario() -> typer.Typer:
    from ami_meter_sim.commands.scenario import scenario

    return scenario


def _store() -> typer.Typer:
    from ami_meter_sim.commands.store import store_commands

    return store_commands(lambda config: Settings.load(config).meter_sim.state)


LAZY_COMMANDS = {"scenario": _scenario, "store": _store}
"""What knows faults and the store, which commands that ask a running process don't load."""

app = typer.Typer(
    name="meter-sim", cls=lazy_group(LAZY_COMMANDS), no_args_is_help=True, add_completion=False, rich_markup_mode=None
)
app.add_typer(meters_commands.meters)
app.add_typer(fault_commands.fault)
app.add_typer(snapshot_commands.snapshot)
app.add_typer(clock_commands.clock)


@app.callback()
def simulated_meters(version: Annotated[bool, version_option("ami-meter-sim")] = False) -> None:
    """Simulated DLMS/COSEM meters."""


@app.command("serve")
def serve_meters(
    config: Annotated[Path, typer.Option(metavar="FILE", help="The TOML file with [meter_sim] and [[meters]].")],
    meter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Only this meter of [[meters]]; may be repeated. Default: all, populations included."
        ),
    ] = None,
    population: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this one of [[populations]]; may be repeated.")
    ] = None,
    clock: Annotated[
        ClockName | None,
        typer.Option(help="In place of the [clock] of the file; a virtual one stops until `meter-sim clock` moves it."),
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="MOMENT", help="Where a virtual clock begins, such as 2026-03-28T00:00+01:00.")
    ] = None,
    rate: Annotated[float | None, typer.Option(help="How many times as fast a scaled clock is.")] = None,
) -> None:
    """Be the simulated meters of a configuration, as one process, until SIGTERM or SIGINT."""
    with explaining("meter-sim", SettingsError, ModelError, StateUnusable):
        begins = None if start is None else moment(start)
        settings = by_clock(Settings.load(config), clock, begins, rate)
        process_clock = clock_of(settings.clock)
        with events_on_standard_output(process_clock.now) as events:
            chosen = choose(settings, meter or (), population or ())
            environment = Environment(emit=events).by(process_clock)
            # asyncio's own loop: uvloop's brought nothing here (docs/adr/0017)
            dumps = settings.meter_sim.core_dumps
            ended = serve_until_stopped(
                lambda stop: _run(chosen, environment, events, stop), asyncio.run, core_dumps=dumps
            )
            raise typer.Exit(ended)


@app.command("faults")
def list_faults(
    write: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the page with all parameters here, in Markdown.")
    ] = None,
) -> None:
    """List every fault that a simulated meter can have, and what a head-end should do about it."""
    from ami_meter_sim.faults.page import listed, page

    if write is None:
        typer.echo("\n".join(listed()))
    else:
        write.write_text(page(), "utf-8")


@app.command("shipment")
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
    from ami_meter_sim.shipping import seen_at, ship  # a process that serves meters has no use for it

    with explaining("meter-sim", SettingsError, ModelError):
        tables = seen_at(address, Settings.load(config).populations)
        count = ship(tables, population or (), receiver, form, reference=transport_key, path=write)
    if write is not None:
        sys.stderr.write(f"{write}: {count:,} meters\n")


async def _run(settings: Settings, environment: Environment, events: Events, stop: asyncio.Event) -> int:
    # here: what asks a running process needs neither meters nor their store
    with loading():
        from ami_meter_sim.app import run
        from ami_meter_sim.fleet import die_at_once, serve_evenly

    def die() -> None:
        """As a process that is killed, but what was reported is out."""
        events.flush()
        die_at_once()

    serve_evenly()
    return await run(settings, settings.meters, environment, stop, die)


@app.command("image")
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
    from ami_meter_sim.objects.firmware import sample_image  # a process that serves meters is told its images

    with explaining("meter-sim", ValueError, OSError):
        written = file.write_bytes(sample_image(version, octets, damaged=damaged))
        typer.echo(f"{file}: version {version}, {written} octets")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments say; the exit code."""
    return exit_code_of(app, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
