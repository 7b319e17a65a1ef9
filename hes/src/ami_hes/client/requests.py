"""`hes requests` and `hes jobs`: what a running head-end was asked, and what is unfinished."""

from datetime import datetime
from typing import Annotated
from urllib.parse import quote, urlencode

import typer

from ami_hes.api import paths
from ami_hes.api.values.requests import Cancelled, CommandEntry, JobCounts, RequestDetails, RequestEntry, RequestList
from ami_hes.client.asking import DEFAULT_URL, AsJson, TokenFile, Url, format_moment, head_end, show, show_json, table

CAMPAIGN = ("created", "EndDeviceControls")
"""How a campaign is kept (docs/adr/0026): created is no verb of a request."""

requests = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="What a running HES was asked, and what came of it.",
)


@requests.command("list")
def list_requests(
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="NUMBER", help="At most this number.")] = 50,
    before: Annotated[str | None, typer.Option(metavar="ID", help="Older than the one with this MessageID.")] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """List requests, the latest first."""
    query = urlencode({"limit": limit} | ({} if before is None else {"before": before}))
    found = head_end(url, token_file).get(f"{paths.REQUESTS}?{query}", RequestList)
    if as_json:
        show_json(found)
        return
    lines = table("accepted", "MessageID", "request", "from", "meters", "done", "ok", "result", numbers=(4, 5, 6))
    for one in found.requests:
        counts = (str(number) for number in (one.meters, one.done, one.ok))
        asked, source = what_was_asked(one.verb, one.noun), one.source or ""
        lines.add_row(_moment(one.accepted_at), one.message_id, asked, source, *counts, _result(one))
    show(lines, *([f"older ones with --before {found.next}"] if found.next else []))


def what_was_asked(verb: str, noun: str) -> str:
    """Verb and noun; what the head-end has made of itself is no request of anybody."""
    return "campaign" if (verb, noun) == CAMPAIGN else f"{verb} {noun}"


@requests.command("show")
def show_request(
    message_id: Annotated[str, typer.Argument(metavar="ID", help="MessageID of the request.")],
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Show a request and what became of it at each meter."""
    found = head_end(url, token_file).get(f"{paths.REQUESTS}/{quote(message_id, safe='')}", RequestDetails)
    if as_json:
        show_json(found)
        return
    one = found.request
    head = [
        f"{what_was_asked(one.verb, one.noun)} from {one.source or 'an unnamed sender'}, MessageID {one.message_id}",
        f"accepted {_moment(one.accepted_at)}, answered {_moment(one.answered_at)}: {_result(one)}",
    ]
    if found.reply_address is not None:
        head.append(f"reply to {found.reply_address}")
    if found.delivery is not None:
        given_up = found.delivery.given_up_at
        state = "not taken so far" if given_up is None else f"given up {_moment(given_up)}"
        head.append(f"{state}, {found.delivery.attempts} attempts: {found.delivery.last_reason}")
    lines = table("meter", "operation", "lane", "result", "code", "ms", "reason", numbers=(5,))
    for command in found.commands:
        lines.add_row(command.meter, command.operation, command.lane, _state(command), *_end(command))
    show(*head, lines)


jobs = typer.Typer(add_completion=False, rich_markup_mode=None)


@jobs.command("jobs")
def show_jobs(
    cancel: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="End what is not begun of this request (MessageID): its commands, or all of it while it waits for its time or for approval.",
        ),
    ] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Show what is unfinished: commands, requests, replies."""
    if cancel is not None:
        ended = head_end(url, token_file).get(f"{paths.JOBS}/{quote(cancel, safe='')}", Cancelled, "DELETE")
        waited = "it waited for its time or for approval, and is cancelled: nothing was sent to any meter"
        typer.echo(waited if ended.waiting else f"{ended.commands} commands were not begun, and are cancelled")
        return
    found = head_end(url, token_file).get(paths.JOBS, JobCounts)
    if as_json:
        show_json(found)
        return
    lines = table("what", "number", numbers=(1,))
    for lane, number in sorted(found.commands.items()):
        lines.add_row(f"commands without a result, lane {lane}", str(number))
    lines.add_row("requests without an answer", str(found.requests))
    lines.add_row("replies owed", str(found.replies_owed))
    lines.add_row("dead letters", str(found.dead_letters))
    failing = table("MessageID", "attempts", "since", "given up", "last reason")
    for one in found.undelivered:
        since, given_up = _moment(one.first_failed_at), _moment(one.given_up_at)
        failing.add_row(one.message_id, str(one.attempts), since, given_up, one.last_reason)
    show(lines, *([failing] if found.undelivered else []))


def _moment(moment: datetime | None) -> str:
    return "-" if moment is None else format_moment(moment)


def _result(one: RequestEntry) -> str:
    if one.answered_at is None:
        return "under way"
    return one.result or "answered"


def _state(command: CommandEntry) -> str:
    if command.finished_at is None:
        return "under way"
    return "ok" if command.ok else "failed"


def _end(command: CommandEntry) -> tuple[str, str, str]:
    took = "" if command.took_ms is None else f"{command.took_ms:.0f}"
    return command.reply_code or "", took, command.reason or ""
