"""`cis events`: what has happened to meters, as the HES has sent it to a running CIS, or is asked for it by the CIS."""

import shutil
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal
from urllib.parse import urlencode

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from ami_cim.event_type_names import near
from ami_cis.api_values.device_events import DEVICE_EVENTS, DeviceEvent, DeviceEventList, EventsFetched, EventsOrder
from ami_cis.client import DEFAULT_URL, TokenFile, Url, first_problem
from ami_cis.outcome_words import how_it_ended
from ami_process.asking import NOT_OK, OK, RunningProcess
from ami_process.commands import AsJson
from ami_process.spreadsheet_cells import csv_lines
from ami_process.terminal_text import printable

events = typer.Typer(add_completion=False, rich_markup_mode=None)
WIDE = 120
"""Columns of what goes to no terminal."""
HEADING = ("event_id", "time", "meter", "type", "what", "details", "issuer_tracking_id", "closed")


@events.command("events")
def list_events(
    meter: Annotated[
        list[str] | None, typer.Option("--meter", metavar="NAME", help="Of this meter; may be repeated.")
    ] = None,
    code: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            metavar="TYPE",
            help="An EndDeviceEventType, as 0.26.38.85, or its name, as power-down; may be repeated.",
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="2026-11-28T12:00, with an offset or in cis.time_zone.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Likewise; none: up to now.")] = None,
    fetch: Annotated[bool, typer.Option("--fetch", help="First ask the HES for what it has, and keep it.")] = False,
    group: Annotated[
        list[str] | None,
        typer.Option(metavar="GROUP", help="With --fetch: VALUE or TAG=VALUE of the HES; may be repeated."),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV, a line for each, times in UTC.")] = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """List what has happened to meters, the latest first.

    Exit code 0: OK. 1: the HES did not give all that was asked for. 2: refused as it was asked. 3: the CIS cannot be reached.
    """
    cis = RunningProcess("cis", url, token_file, "events")
    if as_csv and as_json:
        raise cis.refused("--csv and --json: one of them")
    if group and not fetch:
        raise cis.refused("the HES knows groups and the CIS does not: --group goes with --fetch")
    times = [(name, text) for name, text in (("from", start), ("to", end)) if text]
    code_of_exit = OK
    if fetch:
        wanted = {"meters": meter or [], "groups": group or [], "types": code or []} | dict(times)
        code_of_exit = _fetched(cis, wanted)
    if not group:
        query = [("meter", one) for one in meter or []] + [("type", one) for one in code or []] + times
        found = _kept(cis, query)
        _show(found, "csv" if as_csv else "json" if as_json else "table", fetched=fetch)
    raise typer.Exit(code_of_exit)


def _fetched(cis: RunningProcess, wanted: Mapping[str, object]) -> int:
    """Have the CIS ask the HES, and say on standard error how it ended; the exit code, 0 only for OK."""
    try:
        order = EventsOrder.model_validate(wanted)
    except ValidationError as problem:
        raise cis.refused(first_problem(problem)) from None
    with Console(stderr=True).status("waiting for the HES"):
        found = cis.get(DEVICE_EVENTS, EventsFetched, "POST", order.model_dump_json(by_alias=True))
    result = how_it_ended(found.result, unknown=found.unknown, not_sent=found.not_sent)
    lines = [f"get EndDeviceEvents: {result}, {found.came:,} events came and are kept, {found.ms:.0f} ms"]
    lines += [found.reason] if found.reason else []
    lines += [" ".join(filter(None, (one.meter, one.code, one.level, one.reason))) for one in found.errors]
    if not found.complete:
        lines.append("the HES has more: ask for less at once, by --from and --to")
    sys.stderr.write("".join(f"{printable(line)}\n" for line in lines))
    return OK if found.result == "OK" and found.complete else NOT_OK


def _kept(cis: RunningProcess, query: Iterable[tuple[str, str]]) -> DeviceEventList:
    """What the CIS has."""
    found = cis.get(f"{DEVICE_EVENTS}?{urlencode(list(query))}", DeviceEventList)
    if not found.events and found.unlisted:
        one = found.unlisted[0]
        raise cis.refused(
            f"--type {one}: there are no such events, and no list here has this type; near it: {near(one)}"
        )
    return found


def _show(found: DeviceEventList, form: Literal["csv", "json", "table"], *, fetched: bool) -> None:
    """`fetched`: whether the HES was asked just before."""
    if form == "json":
        sys.stdout.write(found.model_dump_json() + "\n")
        return
    if form == "csv":
        sys.stdout.write(csv_lines([HEADING, *map(_row, found.events)]))
        if not found.complete:
            sys.stderr.write(
                f"the latest {len(found.events):,}; there are more: ask for less at once, by --from and --to\n"
            )
        return
    if not found.events:
        hint = "" if fetched else " The HES sends them to a subscriber of EndDeviceEvents; --fetch asks it."
        sys.stdout.write(f"The CIS has no such events.{hint}\n")
        return
    _draw(found)


def _row(one: DeviceEvent) -> tuple[str | None, ...]:
    details = "; ".join(f"{name}={value}" for name, value in one.details.items())
    closed = None if one.closed_at is None else _utc(one.closed_at)
    return one.event_id, _utc(one.at), one.meter, one.code, one.reason, details, one.issuer_tracking_id, closed


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _draw(found: DeviceEventList) -> None:
    lines = Table("at", "meter", "type", "what", "details", box=None, padding=(0, 2, 0, 0))
    lines.columns[0].no_wrap = True
    for one in found.events:
        lines.add_row(*map(printable, _cells(one)))
    width = shutil.get_terminal_size((WIDE, 0)).columns
    console = Console(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False)
    console.print(lines)
    if not found.complete:
        sys.stdout.write(f"the latest {len(found.events):,}; there are more\n")


def _cells(one: DeviceEvent) -> tuple[str, ...]:
    ended = [] if one.closed_at is None else [f"ended {one.closed_at.isoformat(timespec='seconds')}"]
    details = [f"{name} {value}" for name, value in one.details.items() if name != "closedDateTime"]
    return one.at.isoformat(timespec="seconds"), one.meter, one.code, one.reason or "", ", ".join([*details, *ended])
