"""`meter-sim clock`: what time it is in a running process, and the hand that moves a virtual clock on."""

from datetime import datetime
from typing import Annotated, Any

import typer

from ami_meter_sim.commands.api_client import DEFAULT_URL, TokenFile, Url, asked, show

clock = typer.Typer(
    name="clock",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="The clock of a running process; a virtual one is moved by hand.",
)


@clock.command("show")
def show_clock(url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """Show what time it is, and when the next thing is due by itself."""
    show(asked(url, token_file, "GET", "/clock"))


@clock.command("move")
def move_clock(
    to: Annotated[
        str | None, typer.Option(metavar="MOMENT", help="To this moment, such as 2026-03-29T00:00+01:00.")
    ] = None,
    by: Annotated[float | None, typer.Option(metavar="SECONDS", help="Seconds to move forward.")] = None,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Move a virtual clock on, at most 31 days at once.

    What is due on the way happens at its time; what goes over TCP, and what clients do, takes the time of the machine.
    """
    if (to is None) == (by is None):
        raise typer.BadParameter("say either --to or --by")
    step: dict[str, Any] = {"advance_s": by} if to is None else {"to": moment(to).isoformat()}
    show(asked(url, token_file, "POST", "/clock", step))


def moment(text: str) -> datetime:
    """A moment with its time zone; anything else is refused with an example."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = datetime.min
    if found.tzinfo is None:
        raise typer.BadParameter(f"{text[:40]!r} is no moment with a time zone, such as 2026-03-28T00:00+01:00")
    return found
