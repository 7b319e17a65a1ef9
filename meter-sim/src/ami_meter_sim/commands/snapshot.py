"""`meter-sim snapshot`: keep what all meters of a running process are, and bring them back to it."""

from typing import Annotated
from urllib.parse import quote

import typer

from ami_meter_sim.commands.api_client import DEFAULT_URL, TokenFile, Url, asked, show

snapshot = typer.Typer(
    name="snapshot",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Keep what all meters of a running process are, and bring them back to it.",
)
Name = Annotated[str, typer.Argument(help="Small letters, digits and hyphens.")]


@snapshot.command("take")
def take_snapshot(name: Name, url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """Keep what all meters are now, and the faults that are set."""
    show(asked(url, token_file, "POST", "/snapshots", {"name": name}))


@snapshot.command("list")
def list_snapshots(url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """List the snapshots that there are."""
    for one in asked(url, token_file, "GET", "/snapshots"):
        typer.echo(f"{one['name']}  {one['at']}  {one['meters']} meters, {one['rules']} faults")


@snapshot.command("restore")
def restore_snapshot(name: Name, url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """Bring all meters back to it, but for keys and their invocation counters; connections of before are gone."""
    show(asked(url, token_file, "POST", "/restore", {"name": name}))


@snapshot.command("remove")
def remove_snapshot(name: Name, url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """Forget one."""
    show(asked(url, token_file, "DELETE", f"/snapshots/{quote(name, safe='')}"))
