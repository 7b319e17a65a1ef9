"""`cis usage-points`: the usage points that the HES has, by way of a running CIS."""

import shutil
import sys
from typing import Annotated
from urllib.parse import quote, urlencode

import typer

from ami_cis.api_values.meters import HES_USAGE_POINTS, HesUsagePointDetails, HesUsagePointLine, HesUsagePointList
from ami_cis.client import DEFAULT_URL, TokenFile, Url
from ami_cis.outcome_words import how_it_ended
from ami_cis.send_client import WIDE
from ami_process.asking import NOT_OK, OK, RunningProcess
from ami_process.commands import AsJson
from ami_process.terminal_tables import Rows

usage_points = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Usage points as the HES has them. Exit codes as of `cis read`.",
)


@usage_points.command("list")
def list_points(
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="NUMBER", help="At most this number.")] = 100,
    offset: Annotated[int, typer.Option(min=0, metavar="NUMBER", help="Those behind this number.")] = 0,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """List the usage points of the HES: those that it keeps by name, then those that only a meter names."""
    query = urlencode({"limit": limit, "offset": offset})
    found = RunningProcess("cis", url, token_file, "usage-points list").get(
        f"{HES_USAGE_POINTS}?{query}", HesUsagePointList
    )
    if as_json:
        sys.stdout.write(found.model_dump_json() + "\n")
    else:
        _write(_how(found) if found.result is None or not found.usage_points else [])
        _draw(found.usage_points)
        _write([f"more with --offset {found.next}"] if found.next is not None else [])
    raise typer.Exit(OK if found.result == "OK" or found.next is not None else NOT_OK)


@usage_points.command("show")
def show_point(
    name: Annotated[str, typer.Argument(metavar="HES_USAGE_POINT", help="Name or mRID.")],
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Show a usage point, and which meter is there."""
    cis = RunningProcess("cis", url, token_file, "usage-points show")
    found = cis.get(f"{HES_USAGE_POINTS}/{quote(name, safe='')}", HesUsagePointDetails)
    if as_json:
        sys.stdout.write(found.model_dump_json() + "\n")
    elif found.usage_point is None:
        _write(_how(found))
    else:
        _draw((found.usage_point,))
        _write([f"meter: {found.meter or 'none'}"])
    raise typer.Exit(OK if found.usage_point is not None else NOT_OK)


def _draw(found: tuple[HesUsagePointLine, ...]) -> None:
    if not found:
        return
    lines = Rows("name", "mRID", "other names", "service", "phases", "route", "cycle", "remark", whole={1})
    for one in found:
        said = (one.service, one.phases, one.read_route, one.read_cycle, one.remark)
        lines.add_row(one.name, one.mrid or "", " ".join(one.names[1:]), *(text or "" for text in said))
    width = shutil.get_terminal_size((WIDE, 0)).columns if sys.stdout.isatty() else WIDE
    _write(lines.lines(width))


def _how(answer: HesUsagePointList | HesUsagePointDetails) -> list[str]:
    result = how_it_ended(answer.result, unknown=answer.unknown, not_sent=answer.not_sent)
    said = [" ".join(filter(None, (one.code, one.reason))) for one in answer.errors]
    return [f"get UsagePointConfig: {result}", *filter(None, (answer.reason,)), *said]


def _write(lines: list[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines if line))
