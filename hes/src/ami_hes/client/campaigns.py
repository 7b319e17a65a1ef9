"""`hes keys` and `hes campaigns`: keys of meters changed, and what has come of each campaign so far."""

import asyncio
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import quote

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ami_hes.api import paths
from ami_hes.api.values.campaigns import Campaign, CampaignList, Chosen, FirmwareStart, KeyRoll, WhichKey
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
from ami_hes.client.guard import forecast
from ami_process.asking import RunningProcess
from ami_process.environment import real_sleep

keys = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="Keys of meters, changed by a running HES."
)
firmware = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Firmware of meters, changed by a running HES.",
)
campaigns = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="What a running HES does with many meters: how far it is, and where it fails.",
)
Id = Annotated[str, typer.Argument(metavar="ID", help="Of the campaign.")]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Only say how many meters, which limit, and whether a second person has to approve it."
    ),
]
Wait = Annotated[bool, typer.Option("--wait", help="Show the progress until every meter has an end.")]
LOOK_EVERY_S = 0.5
BAR_WIDE = 20
FAILED = 1
"""The exit code of a campaign that was waited for and in which a meter failed."""
Meters = Annotated[list[str] | None, typer.Option("--meter", metavar="METER", help="A name or mRID; several times.")]
Group = Annotated[str | None, typer.Option(metavar="TAG=VALUE", help="All meters that have it now.")]
WithinHours = Annotated[float, typer.Option(metavar="HOURS", help="By when each meter has to have an end.")]
AtOnce = Annotated[int | None, typer.Option(metavar="N", help="Meters that are under way at once.")]
_OPTIONS = {
    "meters": "--meter",
    "group": "--group",
    "within_hours": "--within-hours",
    "at_once": "--at-once",
    "key": "--key",
    "image": "--image",
    "activate_at": "--activate-at",
}


@keys.callback()
def of_meters() -> None:
    """A group, although it has one command."""


@keys.command("roll")
def roll(
    key: Annotated[
        WhichKey,
        typer.Option(
            help="The unicast encryption key (GUEK), the authentication key (GAK), the secret, or the master key (KEK)."
        ),
    ] = WhichKey.ENCRYPTION,
    meter: Meters = None,
    group: Group = None,
    within_hours: WithinHours = 168,
    at_once: AtOnce = None,
    wait: Wait = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Change a key of meters: each is seen in force by a new association before the former one is forgotten."""
    of_meters = {"meters": meter or [], "group": group, "within_hours": within_hours, "at_once": at_once}
    hes = head_end(url, token_file)
    if dry_run:
        forecast(hes, {"kind": "keys", "meters": meter or [], "group": group}, as_json=as_json)
        return
    begun = _ordered(hes, paths.KEY_ROLLS, KeyRoll, of_meters | {"key": key})
    show_campaign_of(hes, begun, wait=wait, as_json=as_json)


@firmware.callback()
def firmware_of_meters() -> None:
    """A group, although it has one command."""


@firmware.command("start")
def start_firmware(
    image: Annotated[str, typer.Option(metavar="IDENTIFIER", help="Of an imported image.")],
    meter: Meters = None,
    group: Group = None,
    activate_at: Annotated[
        str | None,
        typer.Option(metavar="MOMENT", help="When meters activate it, with its offset: 2026-12-01T02:00:00+01:00."),
    ] = None,
    within_hours: WithinHours = 168,
    at_once: AtOnce = None,
    wait: Wait = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Bring meters to an imported image: each is done when it shows the new version."""
    of_meters = {"meters": meter or [], "group": group, "within_hours": within_hours, "at_once": at_once}
    hes = head_end(url, token_file)
    if dry_run:
        forecast(hes, {"kind": "firmware", "meters": meter or [], "group": group}, as_json=as_json)
        return
    order = of_meters | {"image": image, "activate_at": activate_at}
    show_campaign_of(hes, _ordered(hes, paths.FIRMWARE_STARTS, FirmwareStart, order), wait=wait, as_json=as_json)


@campaigns.command("list")
def list_campaigns(as_json: AsJson = False, url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """List campaigns, the latest first."""
    found = head_end(url, token_file).get(paths.CAMPAIGNS, CampaignList)
    if as_json:
        show_json(found)
        return
    if not found.campaigns:
        show("There are no campaigns.")
        return
    lines = table("id", "what", "state", "meters", "done", "failed", "created")
    for one in found.campaigns:
        counts = (str(one.meters), f"{one.percent:g} %", str(one.failed))
        lines.add_row(one.id, one.summary, one.state, *counts, format_moment(one.created_at))
    show(lines)


@campaigns.command("show")
def show_campaign(
    campaign_id: Id, wait: Wait = False, as_json: AsJson = False, url: Url = DEFAULT_URL, token_file: TokenFile = None
) -> None:
    """Show how far a campaign is, and each meter at which it failed, with the reason."""
    hes = head_end(url, token_file)
    show_campaign_of(hes, hes.get(_path(campaign_id), Campaign), wait=wait, as_json=as_json)


@campaigns.command("pause")
def pause(campaign_id: Id, url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """Begin no more of its meters; what is under way at a meter goes on to its end."""
    _move(campaign_id, "pause", url, token_file)


@campaigns.command("resume")
def resume(campaign_id: Id, url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """Go on with a campaign that is paused."""
    _move(campaign_id, "resume", url, token_file)


@campaigns.command("cancel")
def cancel(campaign_id: Id, url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """End a campaign; what may have left for a meter is brought to its end first."""
    _move(campaign_id, "cancel", url, token_file)


def _move(campaign_id: str, how: str, url: str, token_file: TokenFile) -> None:
    _show(head_end(url, token_file).get(f"{_path(campaign_id)}/{how}", Campaign, "POST", "{}"))


def _ordered(hes: RunningProcess, path: str, model: type[Chosen], order: Mapping[str, object]) -> Campaign:
    try:
        content = model.model_validate(order).model_dump_json()
    except ValidationError as problem:
        raise hes.refused(first_problem(problem, _OPTIONS)) from None
    return hes.get(path, Campaign, "POST", content)


def show_campaign_of(hes: RunningProcess, one: Campaign, *, wait: bool, as_json: bool) -> None:
    """Show it, at its end if `wait`; the exit code is FAILED if a meter failed that was waited for."""
    if wait:
        one = _waited_for(hes, one)
    if as_json:
        show_json(one)
    else:
        _show(one)
    if wait and one.failed:
        raise typer.Exit(FAILED)


def _waited_for(hes: RunningProcess, one: Campaign) -> Campaign:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[done]}/{task.fields[meters]} meters, {task.fields[failed]} failed"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(one.summary, total=100.0, done=0, meters=one.meters, failed=0)
        while True:
            progress.update(task, completed=_share(one), done=one.done, failed=one.failed)
            if one.done == one.meters or one.state == "paused":
                return one
            asyncio.run(real_sleep(LOOK_EVERY_S))
            one = hes.get(_path(one.id), Campaign)


def _show(one: Campaign) -> None:
    counts = f"{one.done} of {one.meters} meters have an end ({one.percent:g} %): {one.ok} done, {one.failed} failed"
    show(f"campaign {one.id}: {one.summary}, {one.state}", counts)
    if one.blocks_percent is not None:
        show(f"{_bar(one.blocks_percent)} of the blocks of all meters")
    if one.transfers:
        lines = table("meter", "stage", "blocks", "")
        for transfer in one.transfers:
            blocks = f"{transfer.there} of {transfer.blocks}"
            lines.add_row(transfer.meter, transfer.stage, blocks, _bar(transfer.percent))
        show(lines)
    if one.failures:
        lines = table("meter", "code", "reason")
        for failure in one.failures:
            lines.add_row(failure.meter, failure.reply_code or "", failure.reason or "")
        show(lines)


def _share(one: Campaign) -> float:
    """In percent: of blocks where there are any and meters are under way, else of meters."""
    blocks = one.blocks_percent
    return one.percent if blocks is None or one.done == one.meters else max(blocks, one.percent)


def _bar(percent: float) -> str:
    filled = int(percent / 100 * BAR_WIDE)
    return f"[{'#' * filled}{'.' * (BAR_WIDE - filled)}] {percent:g} %"


def _path(campaign_id: str) -> str:
    return f"{paths.CAMPAIGNS}/{quote(campaign_id, safe='')}"
