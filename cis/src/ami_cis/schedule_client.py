"""`cis schedule`: what the HES collects by schedule, by way of a running CIS."""

import sys
from enum import StrEnum
from typing import Annotated
from urllib.parse import quote, urlencode

import typer
from rich.console import Console

from ami_cim.reading_type_names import help_of_types
from ami_cis.api_values.schedules import (
    SCHEDULES,
    ScheduleDetails,
    ScheduleEnded,
    ScheduleList,
    ScheduleOrder,
    ScheduleOrdered,
)
from ami_cis.client import DEFAULT_URL, Meters, Mrids, TokenFile, Url, order_of, outcome_of
from ami_cis.schedule_tables import Shown, show
from ami_process.asking import NOT_OK, OK, RunningProcess
from ami_process.commands import AsJson

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the schedule: the MessageID of its create.")]
Group = Annotated[str | None, typer.Option(metavar="GROUP", help="VALUE or TAG=VALUE of the registry of the HES.")]


class Every(StrEnum):
    """What `--every` takes."""

    DAY = "day"
    HOUR = "hour"


schedule = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="What the HES collects by schedule: order it, look at it, end it. Exit codes as of `cis read`.",
)


@schedule.command("create")
def create_schedule(
    reading_type: Annotated[
        list[str],
        typer.Option("--type", metavar="TYPE", help=help_of_types("May be repeated.")),
    ],
    meter: Meters = None,
    mrid: Mrids = None,
    group: Group = None,
    every: Annotated[Every, typer.Option(help="Every day for the day before, or every hour.")] = Every.DAY,
    at: Annotated[str, typer.Option(metavar="HH:MM", help="In the zone; of an hour only the minutes count.")] = "00:30",
    zone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Of IANA, as Europe/Berlin. None: cis.time_zone.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The MessageID, by which it is known. None: a new one.")
    ] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Order a schedule of meters or of a group."""
    wanted = {
        "reading_types": reading_type,
        "meters": meter or [],
        "mrids": mrid or [],
        "group": group,
        "every": str(every),
        "at": at,
        "time_zone": zone,
        "message_id": name,
    }
    cis = RunningProcess("cis", url, token_file, "schedule create")
    order = order_of(cis, ScheduleOrder, wanted)
    if_lost = f"ask again with --name {order.message_id}, which orders nothing twice"
    raise typer.Exit(_shown(outcome_of(cis, SCHEDULES, order, ScheduleOrdered, if_lost=if_lost), as_json=as_json))


@schedule.command("list")
def list_schedules(
    meter: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Of this meter; may be repeated. None: all.")
    ] = None,
    group: Group = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """List the schedules of the HES: all, or those that collect from meters or from a group."""
    if meter and group:
        raise RunningProcess("cis", url, token_file, "schedule list").refused("--meter and --group exclude each other")
    query = [("meter", one) for one in meter or []] + ([("group", group)] if group else [])
    cis = RunningProcess("cis", url, token_file, "schedule list")
    with Console(stderr=True).status("waiting for the HES"):
        found = cis.get(f"{SCHEDULES}?{urlencode(query)}", ScheduleList)
    raise typer.Exit(_shown(found, as_json=as_json))


@schedule.command("show")
def show_schedule(name: Name, as_json: AsJson = False, url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """Show a schedule and, of one that names its meters, what has come of them and its types."""
    found = RunningProcess("cis", url, token_file, "schedule show").get(_path(name), ScheduleDetails)
    raise typer.Exit(_shown(found, as_json=as_json))


@schedule.command("cancel")
def cancel_schedule(name: Name, as_json: AsJson = False, url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """Cancel a schedule: it stays and is due no more."""
    cis = RunningProcess("cis", url, token_file, "schedule cancel")
    raise typer.Exit(_shown(_ended(cis, name, keep=True), as_json=as_json))


@schedule.command("delete")
def delete_schedule(name: Name, as_json: AsJson = False, url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """Delete a schedule; what was collected stays."""
    cis = RunningProcess("cis", url, token_file, "schedule delete")
    raise typer.Exit(_shown(_ended(cis, name, keep=False), as_json=as_json))


def _ended(cis: RunningProcess, name: str, *, keep: bool) -> ScheduleEnded:
    path = f"{_path(name)}?{urlencode({'keep': str(keep).lower()})}"
    return cis.get(path, ScheduleEnded, "DELETE", if_lost="look with `cis schedule show`")


def _shown(answer: Shown, *, as_json: bool) -> int:
    """The exit code, 0 only for OK."""
    if as_json:
        sys.stdout.write(answer.model_dump_json() + "\n")
    else:
        show(answer)
    return OK if answer.result == "OK" else NOT_OK


def _path(name: str) -> str:
    return f"{SCHEDULES}/{quote(name, safe='')}"
