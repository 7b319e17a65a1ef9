"""`hes outages`: where power is gone by what a running head-end knows, and pings that find out whether it is back."""

import sys
from typing import Annotated

import typer
from pydantic import ValidationError

from ami_hes.api import paths
from ami_hes.api.values.outages import OutageList, PingAnswer, PingOrder
from ami_hes.client.asking import DEFAULT_URL, AsJson, TokenFile, Url, format_moment, head_end, show, show_json, table

MOST_NAMED = 20
"""Meters that are named in a line."""
outages = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Where power is gone, by what a running HES knows of its meters.",
)


@outages.command("list")
def list_outages(as_json: AsJson = False, url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """List places without power, the largest first, and what waits to be told."""
    found = head_end(url, token_file).get(paths.OUTAGES, OutageList)
    if as_json:
        show_json(found)
        return
    lines = table("level", "place", "since", "dark", "meters", numbers=(3, 4))
    for one in found.outages:
        lines.add_row(one.level, one.place, format_moment(one.since), f"{one.dark:,}", f"{one.meters:,}")
    show(*([lines] if found.outages else ["Every meter that has lost its power has said that it is back."]))
    show(
        f"{found.dark:,} meters are dark; interruptions that have ended: {found.momentary:,} momentary and {found.sustained:,} sustained; "
        f"{found.unverified:,} meters were not asked since they said that they are back",
        f"events that wait to be told: {' '.join(f'{number:,}' for number in found.waiting)} (power, security, others)",
        *([] if found.complete else ["There are more events or places than are looked at."]),
    )


@outages.command("ping")
def ping(
    meters: Annotated[list[str] | None, typer.Argument(metavar="METER", help="Names or mRIDs; none: as said.")] = None,
    group: Annotated[list[str] | None, typer.Option(metavar="TAG=VALUE", help="All meters with this tag.")] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Ask meters whether they have power: these, or all that are dark or back by their own word alone. One that answers is restored."""
    order = _order(meters or [], group or [], url)
    found = head_end(url, token_file).get(paths.OUTAGE_PING, PingAnswer, "POST", order.model_dump_json())
    if as_json:
        show_json(found)
        return
    sys.stdout.write(f"{len(found.answered):,} have answered, {len(found.restored):,} of them were open\n")
    for one in found.silent[:MOST_NAMED]:
        sys.stdout.write(f"{one.meter}: {one.code}\n")
    if len(found.silent) > MOST_NAMED:
        sys.stdout.write(f"and {len(found.silent) - MOST_NAMED:,} more did not answer\n")


def _order(meters: list[str], groups: list[str], url: str) -> PingOrder:
    try:
        return PingOrder(meters=tuple(meters), groups=tuple(groups))
    except ValidationError:
        raise head_end(url, None).refused("outages ping: a group is TAG=VALUE, as feeder=F12") from None
