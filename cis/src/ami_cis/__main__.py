"""The command line `cis`: `cis serve --config FILE` is the process, with the demo loop; `python -m ami_cis` is the same."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ami_process.loading import loading

with loading():
    from ami_cis.app import serve
    from ami_cis.settings import Settings
    from ami_cis.shipments import read_shipments
    from ami_cis.store import SCHEMA, StoreUnavailable, StoreUnusable
    from ami_process.commands import exit_code_of, explaining, lazy_group, serve_until_stopped, version_option
    from ami_process.environment import Environment, clock_of
    from ami_process.events import events_on_standard_output
    from ami_process.settings import SettingsError
    from ami_process.store.commands import store_commands
    from ami_process.store.places import Place, place_of


def _send() -> typer.Typer:
    from ami_cis.send_client import send

    return send


def _control() -> typer.Typer:
    from ami_cis.control_client import control

    return control


def _read() -> typer.Typer:
    from ami_cis.read_client import read

    return read


def _schedule() -> typer.Typer:
    from ami_cis.schedule_client import schedule

    return schedule


def _meters() -> typer.Typer:
    from ami_cis.meters_client import meters

    return meters


def _usage_points() -> typer.Typer:
    from ami_cis.usage_points_client import usage_points

    return usage_points


def _events() -> typer.Typer:
    from ami_cis.events_client import events

    return events


app = typer.Typer(
    name="cis",
    cls=lazy_group(
        {
            "control": _control,
            "send": _send,
            "read": _read,
            "schedule": _schedule,
            "events": _events,
            "meters": _meters,
            "usage-points": _usage_points,
        }
    ),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


def _store_in(config: Path) -> Place:
    cis = Settings.load(config).cis
    return place_of(cis.store, cis.store_password, "cis.store")


app.add_typer(store_commands(SCHEMA, _store_in), name="store")


Config = Annotated[Path, typer.Option(metavar="FILE", help="The TOML file that all processes share.")]


@app.callback()
def customer_information_system(version: Annotated[bool, version_option("ami-cis")] = False) -> None:
    """The customer information system."""


@app.command("serve")
def serve_cis(
    config: Config,
    no_loop: Annotated[bool, typer.Option("--no-loop", help="Only serve; send nothing unasked.")] = False,
    cycles: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Stop after N disconnect/connect cycles.")
    ] = None,
) -> None:
    """Serve the inbox and run the demo loop, until SIGTERM or SIGINT or the last cycle.

    Exit code 1: a command of the last cycles was not confirmed; 2: the configuration cannot be used; 98: a port is taken.
    """
    with explaining("cis", SettingsError, StoreUnusable, StoreUnavailable):
        settings = Settings.load(config)
        settings = settings.with_meters(read_shipments(settings.cis.shipments))
        if not no_loop and not settings.meters:
            raise SettingsError(
                f"{config}: there are no [[meters]] and no cis.shipments to control; --no-loop only serves"
            )
        if cycles is not None:
            settings = settings.model_copy(update={"demo": settings.demo.model_copy(update={"cycles": cycles})})
        clock = clock_of(settings.clock)
        with events_on_standard_output(clock.now) as events:
            environment = Environment(emit=events).by(clock)
            ended = serve_until_stopped(
                lambda stop: serve(settings, environment, stop, loop=not no_loop), core_dumps=settings.cis.core_dumps
            )
            raise typer.Exit(ended)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments say; the exit code."""
    return exit_code_of(app, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
