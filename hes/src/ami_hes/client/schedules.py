"""`hes schedules`: what a running head-end collects when, and how much of it came by its deadline."""

from typing import Annotated
from urllib.parse import quote

import typer
from pydantic import ValidationError

from ami_cim.reading_type_names import help_of_types, name_of
from ami_hes.api import paths
from ami_hes.api.values.schedules import Removed, Run, ScheduleEntry, ScheduleList, ScheduleOrder
from ami_hes.client.asking import (
    DEFAULT_URL,
    AsJson,
    TokenFile,
    Url,
    first_problem,
    format_moment,
    head_end,
    show,
    show_json,
    table,
)
from ami_hes.enums import Every

schedules = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="What a running HES collects when, and how much came by the deadline.",
)
Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Of the schedule; of one that was ordered in CIM, its MessageID.")
]


_OPTIONS = {"reading_types": "--type", "meters": "--meter", "group": "--group", "at": "--at", "time_zone": "--zone"}


@schedules.command("list")
def list_schedules(as_json: AsJson = False, url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """List schedules, each with its last run."""
    found = head_end(url, token_file).get(paths.SCHEDULES, ScheduleList)
    if as_json:
        show_json(found)
        return
    if not found.schedules:
        show("There are no schedules.")
        return
    lines = table("name", "every", "at", "zone", "meters of", "next due", "last run", "delivered", "target")
    for one in found.schedules:
        whose = f"{one.group} ({one.meters})" if one.group else f"{len(one.mrids)} named"
        due = format_moment(one.next_due_at) if one.enabled else "paused"
        last = one.runs[0] if one.runs else None
        row = (one.name, one.every, one.at, one.time_zone, whose, due, format_moment(last.due_at) if last else "")
        lines.add_row(*row, _delivered(last), f"{one.target_percent:g} %")
    show(lines)


@schedules.command("show")
def show_schedule(name: Name, as_json: AsJson = False, url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """Show a schedule and its latest runs."""
    hes = head_end(url, token_file)
    found = hes.get(paths.SCHEDULES, ScheduleList)
    one = next((one for one in found.schedules if one.name == name), None)
    if one is None:
        raise hes.refused(f"there is no schedule {name}")
    if as_json:
        show_json(one)
        return
    due = f"next due at {format_moment(one.next_due_at)}" if one.enabled else "paused"
    heading = (
        f"{one.name}: {' '.join(map(name_of, one.reading_types))}",
        f"every {one.every} at {one.at}, {one.time_zone}; {due}",
    )
    if not one.runs:
        show(*heading, "There are no runs yet.")
        return
    lines = table("due", "values after", "up to", "deadline", "ended", "meters", "delivered")
    for run in one.runs:
        moments = (run.due_at, run.since, run.until, run.deadline_at)
        ended_at = "" if run.ended_at is None else format_moment(run.ended_at)
        lines.add_row(*map(format_moment, moments), ended_at, str(run.meters), _delivered(run))
    show(*heading, lines)


@schedules.command("put")
def put_schedule(
    name: Name,
    reading_type: Annotated[list[str], typer.Option("--type", metavar="TYPE", help=help_of_types("Several times."))],
    zone: Annotated[str, typer.Option(metavar="ZONE", help="A time zone of IANA, as Europe/Berlin.")],
    meter: Annotated[list[str] | None, typer.Option(metavar="METER", help="A name or mRID; several times.")] = None,
    group: Annotated[str | None, typer.Option(metavar="TAG=VALUE", help="Meters that have it when it is due.")] = None,
    every: Annotated[Every, typer.Option(help="Every day for the day before, or every hour.")] = Every.DAY,
    at: Annotated[str, typer.Option(metavar="HH:MM", help="In the zone; of an hour only the minutes count.")] = "00:30",
    paused: Annotated[bool, typer.Option("--paused", help="Keep it and do not work it.")] = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Order a schedule, or another version of it."""
    order = {
        "reading_types": reading_type,
        "meters": meter or [],
        "group": group,
        "every": every,
        "at": at,
        "time_zone": zone,
        "enabled": not paused,
    }
    hes = head_end(url, token_file)
    try:
        content = ScheduleOrder.model_validate(order).model_dump_json()
    except ValidationError as problem:
        raise hes.refused(first_problem(problem, _OPTIONS)) from None
    kept = hes.get(_path(name), ScheduleEntry, "PUT", content)
    show(f"{kept.name} is due at {format_moment(kept.next_due_at)}" if kept.enabled else f"{kept.name} is paused")
    if not kept.meters:
        show(f"No meter has {kept.group} at the moment. Those that have it when the schedule is due are read then.")


@schedules.command("remove")
def remove_schedule(name: Name, url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """Remove a schedule and its runs; what was read stays."""
    removed = head_end(url, token_file).get(_path(name), Removed, "DELETE")
    show(f"{removed.name} is removed")


def _path(name: str) -> str:
    return f"{paths.SCHEDULES}/{quote(name, safe='')}"


def _delivered(run: Run | None) -> str:
    if run is None:
        return ""
    return "under way" if run.percent is None else f"{run.percent:g} %"
