"""The command line `meter-sim`: `meter-sim serve --config FILE` is the process; `python -m ami_meter_sim` is the same."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import ami_process.open_files  # noqa: F401 - where POSIX is missing, every command says so
from ami_meter_sim.clock_names import ClockName
from ami_process.loading import loading

with loading():
    from ami_process.commands import Late, exit_code_of, explaining, lazy_group, serve_until_stopped, version_option

if TYPE_CHECKING:
    from ami_meter_sim.settings import Settings
    from ami_process.environment import Environment
    from ami_process.events import Events

COMMANDS = {
    "shipment": Late(
        "ami_meter_sim.offline_commands:shipment",
        "Write the shipment file of populations: what comes along with delivered meters. No meter has to run for it.",
    ),
    "image": Late(
        "ami_meter_sim.offline_commands:image",
        "Write a firmware image that simulated meters know the version of, and verify by its checksum. Exit code 2: the file can't be written.",
    ),
    "meters": Late("ami_meter_sim.commands.meters:meters", "Look at the meters of a running process and change them."),
    "fault": Late(
        "ami_meter_sim.commands.fault:fault", "Set faults at the meters of a running process, and reset them."
    ),
    "snapshot": Late(
        "ami_meter_sim.commands.snapshot:snapshot",
        "Keep what all meters of a running process are, and bring them back to it.",
    ),
    "clock": Late(
        "ami_meter_sim.commands.clock:clock", "The clock of a running process; a virtual one is moved by hand."
    ),
    "scenario": Late(
        "ami_meter_sim.commands.scenario:scenario", "Let things happen to many meters in the course of time."
    ),
    "store": Late(
        "ami_meter_sim.offline_commands:store",
        "Copy, restore or upgrade what meters keep, while none of them runs.",
    ),
}
"""What `serve` has no use for, and what each of them alone loads."""

app = typer.Typer(
    name="meter-sim", cls=lazy_group(COMMANDS), no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


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
    with loading():
        from ami_meter_sim.commands.clock import moment
        from ami_meter_sim.population.journal import StateUnusable
        from ami_meter_sim.settings import Settings, by_clock, choose
        from ami_packs.document import ModelError
        from ami_process.environment import Environment, clock_of
        from ami_process.events import events_on_standard_output
        from ami_process.settings import SettingsError

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


@app.command("defects")
def list_defects(
    write: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the page with clauses and tests here, in Markdown.")
    ] = None,
) -> None:
    """List every defect: a fault by which a meter breaks a standard in one thing, as tests of conformance look for it."""
    from ami_meter_sim.faults.defects.table import listed, page

    if write is None:
        typer.echo("\n".join(listed()))
    else:
        write.write_text(page(), "utf-8")


async def _run(settings: "Settings", environment: "Environment", events: "Events", stop: asyncio.Event) -> int:
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments say; the exit code."""
    return exit_code_of(app, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
