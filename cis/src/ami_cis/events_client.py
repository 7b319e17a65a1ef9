"""`cis events`: what has happened to meters, as the HES has sent it to a running CIS."""

import shutil
import sys
from typing import Annotated
from urllib.parse import urlencode

import typer
from rich.console import Console
from rich.table import Table

from ami_cis.client import DEFAULT_URL, TokenFile, Url
from ami_cis.device_events_api import DEVICE_EVENTS, DeviceEvent, DeviceEventList
from ami_process.asking import RunningProcess
from ami_process.commands import AsJson
from ami_process.terminal_text import printable

events = typer.Typer(add_completion=False, rich_markup_mode=None)
WIDE = 120
"""Columns of what goes to no terminal."""


@events.command("events")
def list_events(
    meter: Annotated[
        list[str] | None, typer.Option("--meter", metavar="NAME", help="Of this meter; may be repeated.")
    ] = None,
    code: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="CODE", help="An EndDeviceEventType, as 0.26.38.85; may be repeated."),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="2026-11-28T12:00, with an offset or in cis.time_zone.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Likewise; none: up to now.")] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """List what has happened to meters, the latest first.

    Exit code 0: OK. 2: refused as it was asked. 3: the CIS cannot be reached.
    """
    cis = RunningProcess("cis", url, token_file, "events")
    query = [("meter", one) for one in meter or []] + [("type", one) for one in code or []]
    query += [(name, text) for name, text in (("from", start), ("to", end)) if text]
    found = cis.get(f"{DEVICE_EVENTS}?{urlencode(query)}", DeviceEventList)
    if as_json:
        sys.stdout.write(found.model_dump_json() + "\n")
        return
    if not found.events:
        sys.stdout.write("The CIS has no such events. The HES sends them to a subscriber of EndDeviceEvents.\n")
        return
    _draw(found)


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
