"""The command line `cis`: `cis serve --config FILE` is the process, with the demo loop; `python -m ami_cis` is the same."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

import ami_process.open_files  # noqa: F401 - where POSIX is missing, every command says so
from ami_process.loading import loading

with loading():
    from ami_process.commands import Late, exit_code_of, explaining, lazy_group, serve_until_stopped, version_option

COMMANDS = {
    "store": Late(
        "ami_cis.store_commands:store", "Copy, restore or upgrade the store, while the process does not run."
    ),
    "control": Late("ami_cis.control_client:control", "Have the running CIS send one control, and show the result."),
    "send": Late(
        "ami_cis.send_client:send",
        "Have the running CIS send one control by its EndDeviceControlType, with any verb, and show the result.",
    ),
    "read": Late(
        "ami_cis.read_client:read",
        "Have the running CIS read meters by way of the HES, and show the values: now, or those of a period.",
    ),
    "schedule": Late(
        "ami_cis.schedule_client:schedule",
        "What the HES collects by schedule: order it, look at it, end it. Exit codes as of `cis read`.",
    ),
    "events": Late("ami_cis.events_client:events", "List what has happened to meters, the latest first."),
    "meters": Late("ami_cis.meters_client:meters", "Meters as the HES has them. Exit codes as of `cis read`."),
    "usage-points": Late(
        "ami_cis.usage_points_client:usage_points", "Usage points as the HES has them. Exit codes as of `cis read`."
    ),
}
"""What `serve` has no use for, and what each of them alone loads."""

app = typer.Typer(
    name="cis", cls=lazy_group(COMMANDS), no_args_is_help=True, add_completion=False, rich_markup_mode=None
)
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
    with loading():
        from ami_cis.app import serve
        from ami_cis.settings import Settings
        from ami_cis.shipments import read_shipments
        from ami_cis.store import StoreUnavailable, StoreUnusable
        from ami_process.environment import Environment, clock_of
        from ami_process.events import events_on_standard_output
        from ami_process.settings import SettingsError

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
