"""`hes dead-letters` and `hes subscribers`: what a running head-end could not deliver, and what it sends again."""

import sys
from typing import Annotated
from urllib.parse import quote

import typer
from pydantic import ValidationError

from ami_hes.api import paths
from ami_hes.api.values.outgoing import Again, Chosen, DeadLetterList, Dropped, Replay, SubscriberList
from ami_hes.client.asking import DEFAULT_URL, AsJson, TokenFile, Url, format_moment, head_end, show, show_json, table
from ami_process.asking import RunningProcess

dead_letters = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Messages that a running HES has given up to deliver: late replies and events.",
)
subscribers = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Who gets the events of a running HES, and what is sent again.",
)
Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="MessageIDs of dead letters.")]
Everything = Annotated[bool, typer.Option("--all", help="All of them.")]


@dead_letters.command("list")
def list_dead_letters(
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="NUMBER", help="At most this number.")] = 100,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """List dead letters, the latest first."""
    found = head_end(url, token_file).get(f"{paths.DEAD_LETTERS}?limit={limit}", DeadLetterList)
    if as_json:
        show_json(found)
        return
    if not found.dead_letters:
        show("There are no dead letters.")
        return
    lines = table("MessageID", "given up", "what and why")
    for one in found.dead_letters:
        tried = f"{one.noun} for {one.subscriber or one.address}, tried {one.attempts:,} times: {one.reason}"
        lines.add_row(one.message_id, format_moment(one.given_up_at), tried)
    more = found.total - len(found.dead_letters)
    show(lines, *([f"and {more:,} more"] if more > 0 else []))


@dead_letters.command("retry")
def retry_dead_letters(
    message_id: Ids = None, everything: Everything = False, url: Url = DEFAULT_URL, token_file: TokenFile = None
) -> None:
    """Deliver dead letters again, under the same MessageIDs, with as many attempts as a new one has."""
    hes = head_end(url, token_file)
    again = hes.get(paths.DEAD_LETTERS, Again, "POST", _chosen(message_id, everything, url))
    _found(hes, again.messages, message_id)
    sys.stdout.write(f"{again.messages:,} dead letters are delivered again\n")


@dead_letters.command("drop")
def drop_dead_letters(
    message_id: Ids = None, everything: Everything = False, url: Url = DEFAULT_URL, token_file: TokenFile = None
) -> None:
    """Keep dead letters no more: who asks again for a reply is refused."""
    hes = head_end(url, token_file)
    dropped = hes.get(paths.DEAD_LETTERS, Dropped, "DELETE", _chosen(message_id, everything, url))
    _found(hes, dropped.messages, message_id)
    sys.stdout.write(f"{dropped.messages:,} dead letters are dropped\n")


@subscribers.command("list")
def list_subscribers(as_json: AsJson = False, url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """List subscribers, and what became of their events."""
    found = head_end(url, token_file).get(paths.SUBSCRIBERS, SubscriberList)
    if as_json:
        show_json(found)
        return
    if not found.subscribers:
        show("There are no subscribers; hes.subscribers of the configuration names them.")
        return
    lines = table("subscriber", "target", "events", "taken", "owed", "dead", "last taken", numbers=range(2, 6))
    for one in found.subscribers:
        owed = one.events - one.taken - one.dead_letters
        counts = (f"{number:,}" for number in (one.events, one.taken, owed, one.dead_letters))
        target = "not configured any more" if one.target is None else one.target
        lines.add_row(one.name, target, *counts, "" if one.last_taken_at is None else format_moment(one.last_taken_at))
    show(lines)


@subscribers.command("replay")
def replay_events(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the subscriber.")],
    since: Annotated[str, typer.Option("--from", metavar="TIME", help="With its offset, as 2026-11-28T00:00+01:00.")],
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Likewise; none: up to now.")] = None,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Send again what was made for a subscriber since a moment, under the same MessageIDs."""
    hes = head_end(url, token_file)
    try:
        wanted = Replay.model_validate({"since": since} | ({} if until is None else {"until": until}))
    except ValidationError:
        raise hes.refused("subscribers replay: a time is written with its offset, as 2026-11-28T00:00+01:00") from None
    path = f"{paths.SUBSCRIBERS}/{quote(name, safe='')}/replay"
    again = hes.get(path, Again, "POST", wanted.model_dump_json())
    sys.stdout.write(f"{again.messages:,} events are sent again\n")


def _chosen(message_ids: list[str] | None, everything: bool, url: str) -> str:
    try:
        return Chosen.model_validate({"message_ids": message_ids or [], "all": everything}).model_dump_json(
            by_alias=True
        )
    except ValidationError:
        raise head_end(url, None).refused("dead-letters: name MessageIDs (1,000 at most), or --all") from None


def _found(hes: RunningProcess, messages: int, message_ids: list[str] | None) -> None:
    """Who names what is no dead letter gets told so and another exit code."""
    if message_ids and not messages:
        raise hes.refused("there is no dead letter with any of these MessageIDs")
