"""`cis meters`: the meters that the HES has, and one exchanged for another one, by way of a running CIS."""

import shutil
import sys
from typing import Annotated
from urllib.parse import quote, urlencode

import typer
from pydantic import ValidationError
from rich.console import Console

from ami_cim.reading_type_names import help_of_types, name_of
from ami_cis.api_values.meters import (
    METER_EXCHANGES,
    METERS,
    Exchanged,
    ExchangeWanted,
    MeterDetails,
    MeterLine,
    MeterList,
)
from ami_cis.api_values.readings import ReadingValue
from ami_cis.client import DEFAULT_URL, TokenFile, Url, first_problem
from ami_cis.outcome_words import how_it_ended
from ami_process.asking import NOT_OK, OK, RunningProcess
from ami_process.commands import AsJson
from ami_process.terminal_tables import Rows

WIDE = 200
"""Columns of a table that goes to no terminal."""
meters = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Meters as the HES has them. Exit codes as of `cis read`.",
)


@meters.command("list")
def list_meters(
    group: Annotated[str | None, typer.Option(metavar="GROUP", help="VALUE or TAG=VALUE of the HES.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="NUMBER", help="At most this number.")] = 100,
    offset: Annotated[int, typer.Option(min=0, metavar="NUMBER", help="Those behind this number.")] = 0,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """List the meters of the HES by name."""
    asked = {"limit": limit, "offset": offset, "group": group}
    query = urlencode({key: value for key, value in asked.items() if value is not None})
    found = RunningProcess("cis", url, token_file, "meters list").get(f"{METERS}?{query}", MeterList)
    if as_json:
        sys.stdout.write(found.model_dump_json() + "\n")
    else:
        _write(_how(found) if found.result is None or not found.meters else [])
        _draw(_lines_of(found.meters) if found.meters else None)
        _write([f"more with --offset {found.next}"] if found.next is not None else [])
    raise typer.Exit(OK if found.result == "OK" or found.next is not None else NOT_OK)


@meters.command("show")
def show_meter(
    name: Annotated[str, typer.Argument(metavar="METER", help="Name or mRID.")],
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Show a meter, and at which usage point it is."""
    cis = RunningProcess("cis", url, token_file, "meters show")
    found = cis.get(f"{METERS}/{quote(name, safe='')}", MeterDetails)
    if as_json:
        sys.stdout.write(found.model_dump_json() + "\n")
    elif found.meter is None:
        _write(_how(found))
    else:
        _draw(_lines_of([found.meter]))
        _write([f"usage point: {' '.join(found.usage_points) or 'none'}"])
    raise typer.Exit(OK if found.meter is not None else NOT_OK)


@meters.command("exchange")
def exchange(
    usage_point: Annotated[str, typer.Option(metavar="NAME", help="Where: a name or mRID.")],
    new: Annotated[str, typer.Option(metavar="METER", help="The meter that comes: name or mRID.")],
    old: Annotated[
        str | None, typer.Option(metavar="METER", help="The one that goes. None: whichever is there.")
    ] = None,
    reading_type: Annotated[
        list[str] | None, typer.Option("--type", metavar="TYPE", help=help_of_types("May be repeated. None: all."))
    ] = None,
    without_final: Annotated[
        bool, typer.Option("--without-final", help="Go on where the old meter can't be read any more.")
    ] = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Exchange a meter: final readings of the old one, the links, first readings of the new one.

    One that did not come to its end is ordered again as it was, and goes on. Exit code 0 only if it came to its end.
    """
    cis = RunningProcess("cis", url, token_file, "meters exchange")
    wanted = {"usage_point": usage_point, "new": new, "old": old, "reading_types": reading_type or []}
    try:
        order = ExchangeWanted.model_validate({**wanted, "without_final": without_final})
    except ValidationError as problem:
        raise cis.refused(first_problem(problem)) from None
    with Console(stderr=True).status("waiting for the end of the exchange"):
        done = cis.get(METER_EXCHANGES, Exchanged, "POST", order.model_dump_json(), if_lost="order it again as it was")
    if as_json:
        sys.stdout.write(done.model_dump_json() + "\n")
    else:
        _show(done)
    raise typer.Exit(OK if done.exchanged and not done.reason else NOT_OK)


def _show(done: Exchanged) -> None:
    words = {True: "is there", False: "is not there", None: "may or may not be there"}
    _write([f"at {done.usage_point}: {done.new} {words[done.exchanged]}, for {done.old or 'no meter'}", done.reason])
    lines = Rows("step", "result", "why")
    for one in done.steps:
        why = one.reason or "; ".join(filter(None, (error.reason for error in one.errors)))
        lines.add_row(one.step, how_it_ended(one.result, unknown=one.unknown, not_sent=one.not_sent), why)
    _draw(lines)
    values = [("final", one) for one in done.final] + [("first", one) for one in done.first]
    _draw(_values(values) if values else None)


def _values(values: list[tuple[str, ReadingValue]]) -> Rows:
    lines = Rows("readings", "meter", "what", "at", "value", "unit", numbers=(4,), whole={3})
    for which, one in values:
        what = name_of(one.reading_type) or one.reading_type
        lines.add_row(which, one.meter, what, one.at.isoformat(sep=" "), one.value or "", one.unit)
    return lines


def _lines_of(found: tuple[MeterLine, ...] | list[MeterLine]) -> Rows:
    lines = Rows("name", "mRID", "serial number", "address", "groups", whole={1})
    for one in found:
        groups = " ".join(f"{tag}={value}" for tag, value in one.groups.items())
        lines.add_row(one.name, one.mrid or "", one.serial_number or "", one.address or "", groups)
    return lines


def _how(answer: MeterList | MeterDetails) -> list[str]:
    result = how_it_ended(answer.result, unknown=answer.unknown, not_sent=answer.not_sent)
    said = [" ".join(filter(None, (one.code, one.reason))) for one in answer.errors]
    return [f"get MeterConfig: {result}", *filter(None, (answer.reason,)), *said]


def _draw(lines: Rows | None) -> None:
    if lines is not None:
        width = shutil.get_terminal_size((WIDE, 0)).columns if sys.stdout.isatty() else WIDE
        _write(lines.lines(width))


def _write(lines: list[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines if line))
