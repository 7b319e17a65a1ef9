"""`hes meters`: the registry of a running head-end."""

from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urlencode

import typer
from pydantic import ValidationError

from ami_hes.api import paths
from ami_hes.api.values.campaigns import Campaign
from ami_hes.api.values.commissioning import CommissionOrder
from ami_hes.api.values.meters import GroupCounts, MeterEntry, MeterList
from ami_hes.api.values.scalers import ForgottenScalers
from ami_hes.client import importing
from ami_hes.client.asking import (
    DEFAULT_URL,
    AsJson,
    TokenFile,
    Url,
    first_problem,
    head_end,
    show,
    show_json,
    table,
)
from ami_hes.client.campaigns import Wait, show_campaign_of
from ami_hes.client.quarantine import quarantine
from ami_hes.enums import MeterState

OF_DEFAULTS = "default: counts for an entry that says nothing of it; one that says the same is kept alike"
_OPTIONS = {"meters": "METER", "group": "--group", "within_hours": "--within-hours", "at_once": "--at-once"}
meters = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="The registry of a running HES."
)


meters.add_typer(quarantine, name="quarantine")


@meters.command("import")
def import_meters(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Shipment (JSON, CSV) or TOML with [[meters]].")],
    check: Annotated[bool, typer.Option("--check", help="Only say what would become of each row.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="A line for every row, not only for refused ones.")
    ] = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Import meters, each independently of the others, with a report of every row.

    Exit code 0: all are kept. 1: some were refused, or it is not known. 2: the file cannot be used. 3: the HES cannot be reached.
    """
    raise typer.Exit(importing.run(head_end(url, token_file), file, check=check, verbose=verbose, as_json=as_json))


@meters.command("list")
def list_meters(
    group: Annotated[str | None, typer.Option(metavar="TAG=VALUE", help="Of this group, as feeder=F12.")] = None,
    state: Annotated[MeterState | None, typer.Option(help="In this state alone.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="NUMBER", help="At most this number.")] = 100,
    after: Annotated[str | None, typer.Option(metavar="NAME", help="Whose names come after this one.")] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """List meters by name."""
    wanted = {"limit": limit, "group": group, "after": after, "state": state}
    query = urlencode({key: value for key, value in wanted.items() if value is not None})
    found = head_end(url, token_file).get(f"{paths.METERS}?{query}", MeterList)
    if as_json:
        show_json(found)
        return
    lines = table("name", "mRID", "address", "state", "from", "groups")
    for one in found.meters:
        groups = " ".join(f"{tag}={value}" for tag, value in one.tags.items())
        lines.add_row(one.name, one.mrid, one.address, one.state, one.source, groups)
    more = f"; more with --after {found.next}" if found.next else ""
    show(lines, f"{len(found.meters)} of {found.total}{more}")


@meters.command("show")
def show_meter(
    name: Annotated[str, typer.Argument(metavar="METER", help="Name or mRID of the meter.")],
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Show what counts for a meter: its entry, without its secrets, and where that is from; and what is as by default."""
    found = head_end(url, token_file).get(f"{paths.METERS}/{quote(name, safe='')}", MeterEntry)
    if as_json:
        show_json(found)
        return
    lines = table("field", "value", "from")
    for field, value in found.entry.items():
        lines.add_row(field, _words(value), found.source)
    for secret in found.secrets:
        lines.add_row(secret, "(sealed)", found.source)
    for field, value in found.defaults.items():
        lines.add_row(field, _words(value), "default")
    show(lines, *([OF_DEFAULTS] if found.defaults else []))
    if found.commissioning is None:
        show(f"state: {found.state}")
        return
    show(f"state: {found.state}, by the campaign {found.commissioning.campaign}")
    steps = table("step", "result", "what was seen")
    for step in found.commissioning.steps:
        steps.add_row(step.step, step.result, step.reason)
    show(steps)


@meters.command("commission")
def commission(
    meter: Annotated[list[str] | None, typer.Argument(metavar="METER", help="A name or mRID; several.")] = None,
    group: Annotated[str | None, typer.Option(metavar="TAG=VALUE", help="All meters that have it now.")] = None,
    all_new: Annotated[bool, typer.Option("--all-new", help="All at which nothing was ever begun.")] = False,
    within_hours: Annotated[float, typer.Option(metavar="HOURS", help="By when each meter has to have an end.")] = 168,
    at_once: Annotated[int | None, typer.Option(metavar="N", help="Meters that are under way at once.")] = None,
    wait: Wait = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Commission meters: identity, objects, clock, push targets, default keys; each step is seen done, or said why not."""
    hes = head_end(url, token_file)
    order = {
        "meters": meter or [],
        "group": group,
        "all_new": all_new,
        "within_hours": within_hours,
        "at_once": at_once,
    }
    try:
        content = CommissionOrder.model_validate(order).model_dump_json()
    except ValidationError as problem:
        raise hes.refused(first_problem(problem, _OPTIONS)) from None
    begun = hes.get(paths.COMMISSIONINGS, Campaign, "POST", content)
    show_campaign_of(hes, begun, wait=wait, as_json=as_json)


@meters.command("remove")
def remove_meter(
    name: Annotated[str, typer.Argument(metavar="METER", help="Name or mRID of the meter.")],
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Take an imported meter out of the registry, with its keys; its counters and readings stay."""
    removed = head_end(url, token_file).get(f"{paths.METERS}/{quote(name, safe='')}", MeterEntry, "DELETE")
    if as_json:
        show_json(removed)
    else:
        show(f"{removed.name} ({removed.mrid}) is not in the registry any more")


@meters.command("forget-scalers")
def forget_scalers(
    name: Annotated[str, typer.Argument(metavar="METER", help="Name or mRID of the meter.")],
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Forget the scalers that a meter gave first: those that it gives next are the right ones from then on."""
    forgotten = head_end(url, token_file).get(f"{paths.SCALERS}/{quote(name, safe='')}", ForgottenScalers, "DELETE")
    if as_json:
        show_json(forgotten)
    else:
        show(f"{forgotten.name}: {forgotten.scaler_units} scalers are forgotten")


@meters.command("groups")
def list_groups(as_json: AsJson = False, url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """Count the meters of each group."""
    found = head_end(url, token_file).get(paths.GROUPS, GroupCounts)
    if as_json:
        show_json(found)
        return
    if not any(found.groups.values()):
        show("No meter has a tag: `tags` of its entry, or a column tags.NAME of an import, make its groups.")
        return
    lines = table("group", "meters", numbers=(1,))
    for tag, of in sorted(found.groups.items()):
        for value, number in sorted(of.items()):
            lines.add_row(f"{tag}={value}", str(number))
    show(lines)


def _words(value: object) -> str:
    match value:
        case list():
            return ", ".join(map(str, value))
        case bool():
            return str(value).lower()
        case dict():
            return " ".join(f"{key}={one}" for key, one in value.items())
        case _:
            return str(value)
