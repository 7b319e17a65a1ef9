"""`cis control`: a control by its name, with its parameters, sent by a running CIS, and what came of it."""

import sys
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn
from urllib.parse import quote

import typer

from ami_cim.control_names import known_controls, name_of
from ami_cis.api_values.controls import CONTROL, CONTROLS, ControlOrder, ControlOutcome
from ami_cis.client import (
    DEFAULT_URL,
    Asynchronous,
    MessageId,
    Meters,
    Mrids,
    TokenFile,
    Url,
    UsagePoints,
    order_of,
    outcome_of,
)
from ami_cis.send_client import format_outcome
from ami_process.asking import NOT_OK, OK, RunningProcess
from ami_process.commands import AsJson
from ami_process.terminal_text import in_columns

control = typer.Typer(add_completion=False, rich_markup_mode=None)

MOST_OCTETS = 100_000
"""Of a calendar's file."""
_LIMITS = {"limit-set": "limiter", "emergency-limit-set": "limiter_emergency"}
"""Controls with a threshold, and where an order has it."""


@control.command("control")
def send_control(
    name: Annotated[
        str | None, typer.Argument(metavar="CONTROL", help="A name or an EndDeviceControlType; none: list the names.")
    ] = None,
    meter: Meters = None,
    mrid: Mrids = None,
    usage_point: UsagePoints = None,
    group: Annotated[
        list[str] | None, typer.Option("--group", metavar="GROUP", help="A group of meters: VALUE or TAG=VALUE.")
    ] = None,
    usage_point_group: Annotated[
        list[str] | None, typer.Option(metavar="GROUP", help="A group of usage points, likewise.")
    ] = None,
    threshold: Annotated[str | None, typer.Option(metavar="W", help="Of limit-set and emergency-limit-set.")] = None,
    over: Annotated[int | None, typer.Option(metavar="S", help="Seconds above it before the meter acts.")] = None,
    under: Annotated[int | None, typer.Option(metavar="S", help="Seconds below it before it counts again.")] = None,
    duration: Annotated[int | None, typer.Option(metavar="S", help="Seconds that an emergency limit lasts.")] = None,
    start: Annotated[
        datetime | None, typer.Option(metavar="TIME", help="When it begins, local time; without: at once.")
    ] = None,
    calendar: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Of tariff-change: a calendar of rates in TOML.")
    ] = None,
    text: Annotated[str | None, typer.Option(metavar="TEXT", help="Of display-text.")] = None,
    key: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Of key-change: encryption, authentication, secret or master."),
    ] = None,
    image: Annotated[
        str | None, typer.Option(metavar="IMAGE", help="Of firmware-activate: an image that the HES has.")
    ] = None,
    at: Annotated[
        datetime | None, typer.Option(metavar="TIME", help="When to begin with it, local time; without: at once.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(metavar="TIME", help="Until when it may be done, local time.")
    ] = None,
    change: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Take the place of the control for later of this MessageID; with --at."),
    ] = None,
    cancel: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Take back the control of this MessageID, as far as it is not begun."),
    ] = None,
    show: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Show who has ordered the control of this MessageID, and how far it is."),
    ] = None,
    message_id: MessageId = None,
    asynchronous: Asynchronous = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Have the running CIS send one control, and show the result.

    Exit code 0: OK, or accepted for later. 1: anything else. 2: refused as it was asked. 3: the CIS cannot be reached, so nothing was sent.
    """
    cis = RunningProcess("cis", url, token_file, "control")
    if show is not None:
        _show(cis.get(_path_of(show), ControlOutcome), as_json=as_json)
    if cancel is not None:
        _cancel(cis, cancel, as_json=as_json)
    if name is None:
        sys.stdout.write(_names())
        raise typer.Exit(OK)
    limit = {"threshold": threshold, "over_s": over, "under_s": under, "duration_s": duration}
    limit["start_at"] = _moment(cis, "--start", start)
    wanted = {
        "code": name,
        "meters": meter or [],
        "mrids": mrid or [],
        "usage_points": usage_point or [],
        "groups": group or [],
        "usage_point_groups": usage_point_group or [],
        "text": text,
        "key_change": None if key is None else {"key": key},
        "firmware_image": None if image is None else {"identifier": image},
        "start_at": _moment(cis, "--at", at),
        "end_at": _moment(cis, "--until", until),
        "changes": change,
        "asynchronous": asynchronous or at is not None,
        "message_id": message_id,
        **_limit(cis, name_of(name) or name, limit),
    }
    if calendar is not None:
        wanted["time_of_use"] = _calendar(cis, calendar)
    order = order_of(cis, ControlOrder, wanted)
    again = f"ask again with --message-id {order.message_id}, which does nothing twice"
    unknown = f"it is not known what became of the control: {again}"
    outcome = outcome_of(cis, CONTROLS, order, ControlOutcome, if_lost=unknown)
    _show(outcome, as_json=as_json)


def _cancel(cis: RunningProcess, message_id: str, *, as_json: bool) -> NoReturn:
    unknown = "it is not known what became of it: ask again, which cancels nothing twice"
    _show(cis.get(_path_of(message_id), ControlOutcome, "DELETE", if_lost=unknown), as_json=as_json)


def _path_of(message_id: str) -> str:
    return CONTROL.replace("{name:path}", quote(message_id, safe=""))


def _show(outcome: ControlOutcome, *, as_json: bool) -> NoReturn:
    sys.stdout.write(outcome.model_dump_json() + "\n" if as_json else format_outcome(outcome))
    raise typer.Exit(OK if outcome.confirmed or outcome.accepted else NOT_OK)


def _moment(cis: RunningProcess, option: str, given: datetime | None) -> str | None:
    """With its offset; one that has none is a time of this machine."""
    try:
        return None if given is None else given.astimezone().isoformat()
    except (OverflowError, ValueError):  # ValueError: of the year 0, which some offsets of zones lead to
        raise cis.refused(f"{option}: {given} is before the year 1 or after 9999") from None


def _names() -> str:
    rows = [("control", "type", "what it does")]
    return in_columns(rows + [(one.name, one.code, one.meaning) for one in known_controls()])


def _limit(cis: RunningProcess, name: str, given: dict[str, Any]) -> dict[str, Any]:
    """The options of a limit, for the control that has one."""
    said = {key: value for key, value in given.items() if value is not None}
    if not said:
        return {}
    if name not in _LIMITS:
        raise cis.refused(f"--threshold, --over, --under, --duration and --start are of {' and '.join(_LIMITS)}")
    return {_LIMITS[name]: said}


def _calendar(cis: RunningProcess, path: Path) -> dict[str, Any]:
    try:
        octets = path.read_bytes()[: MOST_OCTETS + 1]
        if len(octets) > MOST_OCTETS:
            raise cis.refused(f"{path} has more than {MOST_OCTETS} octets")
        return tomllib.loads(octets.decode("utf-8"))
    except OSError as problem:
        raise cis.refused(f"{path}: {problem.strerror}") from None
    except ValueError as problem:
        raise cis.refused(f"{path} is no TOML: {problem}") from None
