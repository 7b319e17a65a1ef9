"""The command line `hes`: `hes serve --config FILE` is the process; `python -m ami_hes` is the same."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

import ami_process.open_files  # noqa: F401 - where POSIX is missing, every command says so
from ami_process.loading import loading

with loading():
    from ami_process.commands import Late, exit_code_of, explaining, lazy_group, serve_until_stopped, version_option

COMMANDS = {
    "store": Late(
        "ami_hes.store_commands:store", "Copy, restore or upgrade the store, while the process does not run."
    ),
    "meters": Late("ami_hes.client.meters:meters", "The registry of a running HES."),
    "read": Late(
        "ami_hes.client.reading:read",
        "Have the running HES read meters, and show the values: as they are now, or those of a time.",
    ),
    "readings": Late("ami_hes.client.readings:readings", "What a running HES keeps of meters."),
    "requests": Late("ami_hes.client.requests:requests", "What a running HES was asked, and what came of it."),
    "schedules": Late(
        "ami_hes.client.schedules:schedules",
        "What a running HES collects when, and how much came by the deadline.",
    ),
    "keys": Late("ami_hes.client.campaigns:keys", "Keys of meters, changed by a running HES."),
    "images": Late("ami_hes.client.images:images", "Firmware images of a running HES."),
    "firmware": Late("ami_hes.client.campaigns:firmware", "Firmware of meters, changed by a running HES."),
    "campaigns": Late(
        "ami_hes.client.campaigns:campaigns",
        "What a running HES does with many meters: how far it is, and where it fails.",
    ),
    "events": Late(
        "ami_hes.client.device_events:events",
        "What has happened to the meters of a running HES: alarms, last gasps, entries of logs.",
    ),
    "subscribers": Late(
        "ami_hes.client.outgoing:subscribers", "Who gets the events of a running HES, and what is sent again."
    ),
    "dead-letters": Late(
        "ami_hes.client.outgoing:dead_letters",
        "Messages that a running HES has given up to deliver: late replies and events.",
    ),
    "outages": Late(
        "ami_hes.client.outages:outages", "Where power is gone, by what a running HES knows of its meters."
    ),
    "jobs": Late("ami_hes.client.requests:jobs", "Show what is unfinished: commands, requests, replies."),
    "approvals": Late(
        "ami_hes.client.guard:approvals", "What a second person has to approve before a running HES does it."
    ),
    "limits": Late("ami_hes.client.guard:limits", "How much may be switched in an hour without a second person."),
    "stop-controls": Late(
        "ami_hes.client.guard:stop",
        "Stop all controls at once: nothing that changes a meter leaves any more, connects included, until they are resumed.",
    ),
    "resume-controls": Late(
        "ami_hes.client.guard:resume",
        "Let controls leave again. What was refused meanwhile is not done by that: ask for it again.",
    ),
}
"""What `serve` has no use for, and what each of them alone loads."""

app = typer.Typer(
    name="hes", cls=lazy_group(COMMANDS), no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


@app.callback()
def head_end_system(version: Annotated[bool, version_option("ami-hes")] = False) -> None:
    """The head-end system."""


@app.command("serve")
def serve_hes(
    config: Annotated[Path, typer.Option(metavar="FILE", help="The TOML file that all processes share.")],
) -> None:
    """Run the HES until SIGTERM or SIGINT. Exit code 2: the configuration cannot be used; 98: a port is taken."""
    _be("serve", config)


@app.command("work")
def work_for_hes(
    config: Annotated[Path, typer.Option(metavar="FILE", help="The TOML file that all processes share.")],
) -> None:
    """Work meters beside a running HES that shares its store (hes.engine), until SIGTERM or SIGINT; any number of these. Exit code 2: the configuration cannot be used."""
    _be("work", config)


@app.command("listen")
def listen_for_hes(
    config: Annotated[Path, typer.Option(metavar="FILE", help="The TOML file that all processes share.")],
) -> None:
    """Take connections and pushes of meters beside a running HES that shares its store (hes.engine), until SIGTERM or SIGINT; any number of these. Exit code 2: the configuration cannot be used; 98: a port is taken."""
    _be("listen", config)


def _be(role: Literal["serve", "work", "listen"], config: Path) -> NoReturn:
    with loading():
        from ami_hes.app import listen, serve, work
        from ami_hes.meters.registry import RegistryError
        from ami_hes.settings import Settings
        from ami_hes.store import StoreUnavailable, StoreUnusable
        from ami_process.environment import Environment, clock_of
        from ami_process.events import events_on_standard_output
        from ami_process.settings import SettingsError

    be = {"serve": serve, "work": work, "listen": listen}[role]
    with explaining("hes", SettingsError, RegistryError, StoreUnusable, StoreUnavailable):
        settings = Settings.load(config)
        clock = clock_of(settings.clock)
        with events_on_standard_output(clock.now) as events:
            environment = Environment(emit=events).by(clock)
            raise typer.Exit(
                serve_until_stopped(lambda stop: be(settings, stop, environment), core_dumps=settings.hes.core_dumps)
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments say; the exit code."""
    return exit_code_of(app, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
