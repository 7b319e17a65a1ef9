"""The command line `hes`: `hes serve --config FILE` is the process; `python -m ami_hes` is the same."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ami_process.loading import loading

with loading():
    from ami_hes.app import serve
    from ami_hes.closed_store import export_readings, mark_restored, rotate_in
    from ami_hes.meters.registry import RegistryError
    from ami_hes.registry import CannotOpen
    from ami_hes.settings import Settings
    from ami_hes.store import SCHEMA, StoreUnavailable, StoreUnusable, assume_the_worst
    from ami_process.commands import exit_code_of, explaining, lazy_group, serve_until_stopped, version_option
    from ami_process.environment import Environment, clock_of
    from ami_process.events import events_on_standard_output
    from ami_process.settings import SettingsError
    from ami_process.store.commands import store_commands
    from ami_process.store.places import Place, place_of


def _meters() -> typer.Typer:
    from ami_hes.client.meters import meters

    return meters


def _requests() -> typer.Typer:
    from ami_hes.client.requests import requests

    return requests


def _read() -> typer.Typer:
    from ami_hes.client.reading import read

    return read


def _readings() -> typer.Typer:
    from ami_hes.client.readings import readings

    return readings


def _schedules() -> typer.Typer:
    from ami_hes.client.schedules import schedules

    return schedules


def _keys() -> typer.Typer:
    from ami_hes.client.campaigns import keys

    return keys


def _firmware() -> typer.Typer:
    from ami_hes.client.campaigns import firmware

    return firmware


def _images() -> typer.Typer:
    from ami_hes.client.images import images

    return images


def _campaigns() -> typer.Typer:
    from ami_hes.client.campaigns import campaigns

    return campaigns


def _events() -> typer.Typer:
    from ami_hes.client.device_events import events

    return events


def _dead_letters() -> typer.Typer:
    from ami_hes.client.outgoing import dead_letters

    return dead_letters


def _subscribers() -> typer.Typer:
    from ami_hes.client.outgoing import subscribers

    return subscribers


def _outages() -> typer.Typer:
    from ami_hes.client.outages import outages

    return outages


def _approvals() -> typer.Typer:
    from ami_hes.client.guard import approvals

    return approvals


def _limits() -> typer.Typer:
    from ami_hes.client.guard import limits

    return limits


def _stop_controls() -> typer.Typer:
    from ami_hes.client.guard import stop

    return stop


def _resume_controls() -> typer.Typer:
    from ami_hes.client.guard import resume

    return resume


def _jobs() -> typer.Typer:
    from ami_hes.client.requests import show_jobs

    jobs = typer.Typer(add_completion=False, rich_markup_mode=None)
    jobs.command("jobs")(show_jobs)
    return jobs


app = typer.Typer(
    name="hes",
    cls=lazy_group(
        {
            "meters": _meters,
            "read": _read,
            "readings": _readings,
            "requests": _requests,
            "schedules": _schedules,
            "keys": _keys,
            "images": _images,
            "firmware": _firmware,
            "campaigns": _campaigns,
            "events": _events,
            "subscribers": _subscribers,
            "dead-letters": _dead_letters,
            "outages": _outages,
            "jobs": _jobs,
            "approvals": _approvals,
            "limits": _limits,
            "stop-controls": _stop_controls,
            "resume-controls": _resume_controls,
        }
    ),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


def _store_in(config: Path) -> Place:
    hes = Settings.load(config).hes
    return place_of(hes.store, hes.store_password, "hes.store")


def _mark_restored(config: Path) -> None:
    mark_restored(Settings.load(config))


store = store_commands(SCHEMA, _store_in, assume_the_worst, _mark_restored)
app.add_typer(store, name="store")


@store.command("rotate-keys")
def rotate_keys(
    config: Annotated[Path, typer.Option(metavar="FILE", help="The TOML file that all processes share.")],
) -> None:
    """Seal all keys of meters in the store by a new master key; older ones stay in its file, for copies of the store."""
    with explaining("hes", SettingsError, CannotOpen, StoreUnusable, StoreUnavailable):
        typer.echo(asyncio.run(rotate_in(Settings.load(config))))


@store.command("readings")
def store_readings(
    config: Annotated[Path, typer.Option(metavar="FILE", help="The TOML file that all processes share.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new file.")],
    since: Annotated[datetime | None, typer.Option("--from", help="Readings after this moment, in UTC.")] = None,
    until: Annotated[datetime | None, typer.Option("--to", help="Readings up to this moment, in UTC.")] = None,
    parquet: Annotated[bool, typer.Option("--parquet", help="Parquet instead of CSV, by the extra parquet.")] = False,
) -> None:
    """Write the readings of the store to a new file, CSV or Parquet, while the process does not run."""
    with explaining("hes", SettingsError, StoreUnusable, StoreUnavailable, OSError):
        first, last = (one and one.replace(tzinfo=UTC) for one in (since, until))
        written = asyncio.run(export_readings(Settings.load(config), file, first, last, parquet=parquet))
        typer.echo(f"{written} readings are in {file}")


@app.callback()
def head_end_system(version: Annotated[bool, version_option("ami-hes")] = False) -> None:
    """The head-end system."""


@app.command("serve")
def serve_hes(
    config: Annotated[Path, typer.Option(metavar="FILE", help="The TOML file that all processes share.")],
) -> None:
    """Run the HES until SIGTERM or SIGINT. Exit code 2: the configuration cannot be used; 98: a port is taken."""
    with explaining("hes", SettingsError, RegistryError, StoreUnusable, StoreUnavailable):
        settings = Settings.load(config)
        clock = clock_of(settings.clock)
        with events_on_standard_output(clock.now) as events:
            environment = Environment(emit=events).by(clock)
            raise typer.Exit(
                serve_until_stopped(lambda stop: serve(settings, stop, environment), core_dumps=settings.hes.core_dumps)
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments say; the exit code."""
    return exit_code_of(app, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
