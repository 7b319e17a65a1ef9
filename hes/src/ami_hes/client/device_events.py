"""`hes events`: what has happened to meters, from the store of a running head-end, and followed as it is kept."""

import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode

import typer
from pydantic import ValidationError

from ami_hes.api import paths
from ami_hes.api.values.campaigns import Campaign, EventLogOrder
from ami_hes.api.values.device_events import DeviceEvent, DeviceEventList
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
from ami_hes.client.campaigns import show_campaign_of
from ami_process.asking import RunningProcess
from ami_process.rest_client import streamed
from ami_process.spreadsheet_cells import csv_lines
from ami_process.terminal_text import printable

events = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="What has happened to the meters of a running HES: alarms, last gasps, entries of logs.",
)
LONGEST_LINE = 1_000_000
LISTED, PAGE = 100, 1_000
HEADING = (
    *("event_id", "time", "time_of", "meter", "mrid", "type", "what", "source", "details", "issuer_tracking_id"),
    *("received", "closed"),
)
Meters = Annotated[list[str] | None, typer.Option("--meter", metavar="METER", help="A name or mRID; several times.")]
Group = Annotated[str | None, typer.Option("--group", metavar="TAG=VALUE", help="All meters that have it now.")]
Types = Annotated[
    list[str] | None,
    typer.Option(
        "--type",
        metavar="TYPE",
        help="An EndDeviceEventType, as 0.26.38.85, or its name, as power-down; several times.",
    ),
]


@events.command("list")
def list_events(
    meter: Meters = None,
    group: Group = None,
    code: Types = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="2026-11-28T12:00, with an offset or in hes.time_zone.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Likewise; none: up to now.")] = None,
    only_open: Annotated[bool, typer.Option("--open", help="Alarms that have not ended.")] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, max=1000, metavar="NUMBER", help="At most this number; none: 100, as CSV all.")
    ] = None,
    offset: Annotated[int, typer.Option(min=0, metavar="NUMBER", help="Behind so many.")] = 0,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV, a line for each, times in UTC.")] = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """List events, the latest first."""
    hes = head_end(url, token_file)
    if as_csv and as_json:
        raise hes.refused("--csv and --json: one of them")
    query = _choice(meter, group, code) + [(name, text) for name, text in (("from", start), ("to", end)) if text]
    query += [("open", "true")] if only_open else []
    if as_csv:
        _write_csv(hes, query, limit, offset)
        return
    query += [("limit", str(limit or LISTED)), ("offset", str(offset))]
    found = hes.get(f"{paths.DEVICE_EVENTS}?{urlencode(query)}", DeviceEventList)
    if as_json:
        show_json(found)
        return
    if not found.events:
        show("There are no such events.")
        return
    lines = table("at", "meter", "type", "what", "details")
    for one in found.events:
        lines.add_row(format_moment(one.at), one.meter, one.type, one.reason, _details(one))
    show(lines, *([f"and more: --offset {offset + len(found.events)}"] if found.more else []))


@events.command("follow")
def follow_events(
    meter: Meters = None,
    group: Group = None,
    code: Types = None,
    after: Annotated[
        int | None, typer.Option(min=0, metavar="ID", help="Behind this one, as --json gives them; none: from now on.")
    ] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Show events as they are kept, a line for each, until Ctrl-C or the end of the head-end."""
    hes = head_end(url, token_file)
    path = f"{paths.DEVICE_EVENT_STREAM}?{urlencode(_choice(meter, group, code))}"
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    with hes.ending("ask again with --after"), streamed(url, path, token_file, headers) as parts:
        for number, verb, data in _messages(parts):
            sys.stdout.write(_line(hes, number, verb, data, as_json=as_json) + "\n")
            sys.stdout.flush()


@events.command("poll")
def poll_logs(
    name: Annotated[list[str] | None, typer.Argument(metavar="[METER...]", help="Names or mRIDs.")] = None,
    group: Group = None,
    whole: Annotated[bool, typer.Option("--whole", help="All of each log, also what was read before.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Show the progress until every meter has an end.")] = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Read the event logs of meters: what they have that was not read before becomes events."""
    hes = head_end(url, token_file)
    try:
        order = EventLogOrder.model_validate({"meters": name or [], "group": group, "whole": whole})
    except ValidationError as problem:
        raise hes.refused(first_problem(problem, {"meters": "METER", "group": "--group"})) from None
    begun = hes.get(paths.EVENT_LOG_READINGS, Campaign, "POST", order.model_dump_json())
    show_campaign_of(hes, begun, wait=wait, as_json=as_json)


def _write_csv(hes: RunningProcess, query: list[tuple[str, str]], limit: int | None, offset: int) -> None:
    """All of them in pages, or `limit`; one that comes meanwhile moves those behind it, and none is written twice for that."""
    written: set[str] = set()
    heading: list[tuple[str | None, ...]] = [HEADING]
    while True:
        page = [("limit", str(limit or PAGE)), ("offset", str(offset))]
        found = hes.get(f"{paths.DEVICE_EVENTS}?{urlencode(query + page)}", DeviceEventList)
        new = (_row(one) for one in found.events if one.event_id not in written)
        sys.stdout.write(csv_lines([*heading, *new]))
        heading = []
        written.update(one.event_id for one in found.events)
        offset += len(found.events)
        if limit is not None or not found.more or not found.events:
            return


def _row(one: DeviceEvent) -> tuple[str | None, ...]:
    times = (one.at, one.received_at, one.closed_at)
    at, received_at, closed_at = (None if time is None else _utc(time) for time in times)
    named = (one.event_id, at, one.clock, one.meter, one.mrid, one.type, one.reason, one.source)
    details = "; ".join(f"{name}={value}" for name, value in one.details.items())
    return (*named, details, one.issuer_tracking_id, received_at, closed_at)


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _choice(meter: list[str] | None, group: str | None, code: list[str] | None) -> list[tuple[str, str]]:
    query = [("meter", one) for one in meter or []] + [("type", one) for one in code or []]
    return query + ([("group", group)] if group else [])


def _messages(parts: Iterable[bytes]) -> Iterator[tuple[str, str, str]]:
    """Id, event and data of server-sent events; comments are left out."""
    fields: dict[str, str] = {}
    for line in _lines(parts):
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
            continue
        if "data" in fields:
            yield fields.get("id", ""), fields.get("event", ""), fields["data"]
        fields = {}


def _lines(parts: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for part in parts:
        *whole, rest = (rest + part).split(b"\n")
        yield from (one.decode(errors="replace") for one in whole)
        if len(rest) > LONGEST_LINE:
            return


def _line(hes: RunningProcess, number: str, verb: str, data: str, *, as_json: bool) -> str:
    try:
        one = DeviceEvent.model_validate_json(data)
    except ValidationError:
        raise hes.ended("the answer is not understood: is this a process of the same version?", 1) from None
    if as_json:
        return f'{{"id":{number},"verb":"{verb}","event":{one.model_dump_json()}}}'
    what = one.reason if verb == "created" else f"{one.reason}: ended"
    return printable(f"{format_moment(one.at)}  {one.meter}  {one.type}  {what}  {_details(one)}".rstrip())


def _details(one: DeviceEvent) -> str:
    ended = [] if one.closed_at is None else [f"ended {format_moment(one.closed_at)}"]
    said = [f"{name} {value}" for name, value in one.details.items()]
    return ", ".join([*said, *ended, *([] if one.clock == "meter" else ["time of the head-end"])])
