"""`hes approvals`, `hes limits`, `hes stop-controls` and `hes resume-controls`: the guard against mass switching of a running head-end."""

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import quote, urlencode

import typer
from pydantic import ValidationError

from ami_hes.api import paths
from ami_hes.api.values.guard import (
    Approval,
    ApprovalList,
    CheckOrder,
    Decision,
    Forecast,
    GuardState,
    LimitUse,
    StopOrder,
    StopState,
    Verdict,
)
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
from ami_hes.enums import ApprovalState, Guarded
from ami_process.asking import RunningProcess
from ami_process.terminal_tables import Rows

NOT_SO = 1
"""The exit code of `limits check` for what would not simply be done."""

approvals = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="What a second person has to approve before a running HES does it.",
)
limits = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="How much may be switched in an hour without a second person.",
)
stop = typer.Typer(add_completion=False, rich_markup_mode=None)
resume = typer.Typer(add_completion=False, rich_markup_mode=None)

Id = Annotated[str, typer.Argument(metavar="ID", help="MessageID of the request, or id of the campaign.")]
Note = Annotated[str, typer.Option("--note", metavar="TEXT", help="Why; it goes into the audit log.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for everybody who is refused meanwhile.")]
_OPTIONS = {"meters": "--meter", "group": "--group", "kind": "--kind"}


@approvals.command("list")
def list_approvals(
    everything: Annotated[bool, typer.Option("--all", help="Also those that are decided.")] = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """List what waits, the latest first."""
    state = "" if everything else f"?state={ApprovalState.WAITING}"
    found = head_end(url, token_file).get(f"{paths.APPROVALS}{state}", ApprovalList)
    if as_json:
        show_json(found)
        return
    if not found.approvals:
        show("Nothing waits for approval.")
        return
    lines = table("id", "what", "meters", "asked by", "why", "until", "state", numbers=(2,))
    for one in found.approvals:
        what = f"{' '.join(one.kinds)}: {one.summary}"
        until = format_moment(one.expires_at)
        lines.add_row(one.id, what, f"{one.meters:,}", one.asked_by, one.why, until, _state(one))
    show(lines)


@approvals.command("show")
def show_approval(
    request_id: Id, as_json: AsJson = False, url: Url = DEFAULT_URL, token_file: TokenFile = None
) -> None:
    """Show one, with the first of its meters."""
    _shown(head_end(url, token_file).get(_path(request_id), Approval), as_json=as_json)


@approvals.command("approve")
def approve(
    request_id: Id, note: Note = "", as_json: AsJson = False, url: Url = DEFAULT_URL, token_file: TokenFile = None
) -> None:
    """Approve it, for the meters that it had when it was asked. Who has asked can't."""
    _decide(request_id, "approve", note, head_end(url, token_file), as_json=as_json)


@approvals.command("reject")
def reject(
    request_id: Id, note: Note = "", as_json: AsJson = False, url: Url = DEFAULT_URL, token_file: TokenFile = None
) -> None:
    """Reject it: it ends with 5.2, and nothing of it is done."""
    _decide(request_id, "reject", note, head_end(url, token_file), as_json=as_json)


@limits.command("show")
def show_limits(
    principal: Annotated[str | None, typer.Option(metavar="NAME", help="Whose; none: your own.")] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Show the limits, what was used of them in the last hour, and whether controls are stopped."""
    asked = "" if principal is None else f"?{urlencode({'principal': principal})}"
    found = head_end(url, token_file).get(f"{paths.GUARD}{asked}", GuardState)
    if as_json:
        show_json(found)
        return
    if found.limits:
        show(_limits(found.limits, would_be=False))
    show(
        f"Always with approval: meters with {', '.join(found.protected)}"
        if found.protected
        else "No meter is protected."
    )
    show(_stop(found.stop))


@limits.command("check")
def check(
    kind: Annotated[Guarded, typer.Option(help="What would be done.")] = Guarded.DISCONNECTS,
    meter: Annotated[list[str] | None, typer.Option(metavar="METER", help="Its name or mRID; several times.")] = None,
    group: Annotated[str | None, typer.Option(metavar="TAG=VALUE", help="All meters of a group.")] = None,
    principal: Annotated[str | None, typer.Option(metavar="NAME", help="Who would ask; none: you.")] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """A dry run: how many meters, which limit, which protected ones. Nothing is done. Exit code 1: it would not simply be done."""
    hes = head_end(url, token_file)
    order = {"kind": kind.value, "meters": meter or [], "group": group, "principal": principal}
    forecast(hes, order, as_json=as_json)


def forecast(hes: RunningProcess, order: Mapping[str, object], *, as_json: bool) -> None:
    """Ask what would become of an order and show it; ends the command with exit code 1 where it would not simply be done."""
    try:
        content = CheckOrder.model_validate(order).model_dump_json()
    except ValidationError as problem:
        raise hes.refused(first_problem(problem, _OPTIONS)) from None
    found = hes.get(paths.GUARD_CHECK, Forecast, "POST", content)
    if as_json:
        show_json(found)
    else:
        _show_forecast(found)
    if found.verdict is not Verdict.PASSES:
        raise typer.Exit(NOT_SO)


def _show_forecast(found: Forecast) -> None:
    said = {
        Verdict.PASSES: "would be begun at once",
        Verdict.NEEDS_APPROVAL: "would wait for a second person's approval",
        Verdict.STOPPED: "would be refused: controls are stopped",
    }[found.verdict]
    show(f"{found.meters:,} meters ({Guarded(found.kind).words}): {said}. Nothing was done.")
    if found.limits:
        show(_limits(found.limits, would_be=True))
    if found.protected:
        show(f"protected: {', '.join(found.protected)}")
    if found.stop.stopped:
        show(_stop(found.stop))


@stop.command("stop-controls")
def stop_controls(reason: Reason = "", url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """Stop all controls at once: nothing that changes a meter leaves any more, connects included, until they are resumed."""
    content = StopOrder(reason=reason).model_dump_json()
    found = head_end(url, token_file).get(paths.CONTROLS_STOP, StopState, "POST", content)
    show(_stop(found) if found.changed else f"It was so already. {_stop(found)}")


@resume.command("resume-controls")
def resume_controls(reason: Reason = "", url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """Let controls leave again. What was refused meanwhile is not done by that: ask for it again."""
    content = StopOrder(reason=reason).model_dump_json()
    found = head_end(url, token_file).get(paths.CONTROLS_RESUME, StopState, "POST", content)
    show(_stop(found) if found.changed else f"It was so already. {_stop(found)}")


def _decide(request_id: str, how: str, note: str, hes: RunningProcess, *, as_json: bool) -> None:
    try:
        content = Decision(note=note).model_dump_json()
    except ValidationError as problem:
        raise hes.refused(first_problem(problem, {"note": "--note"})) from None
    _shown(hes.get(f"{_path(request_id)}/{how}", Approval, "POST", content), as_json=as_json)


def _shown(one: Approval, *, as_json: bool) -> None:
    if as_json:
        show_json(one)
        return
    more = one.meters - len(one.meters_listed)
    meters = ", ".join(one.meters_listed) + (f" and {more:,} more" if more > 0 else "")
    show(
        f"{one.id}: {one.summary} ({' '.join(one.kinds)}), {_state(one)}",
        f"asked by {one.asked_by} at {format_moment(one.asked_at)}, waits until {format_moment(one.expires_at)}",
        f"why: {one.why}",
        f"{one.meters:,} meters: {meters}",
    )
    if one.note:
        show(f"note: {one.note}")


def _state(one: Approval) -> str:
    return one.state if one.decided_by is None else f"{one.state} by {one.decided_by}"


def _limits(uses: tuple[LimitUse, ...], *, would_be: bool) -> Rows:
    lines = table("what", "of whom", "in an hour", "used", *(["would be"] if would_be else []), numbers=range(2, 5))
    for one in uses:
        last = [f"{one.would_be:,}{' (beyond)' if one.beyond else ''}"] if would_be else []
        lines.add_row(Guarded(one.kind).words, one.scope, f"{one.limit:,}", f"{one.used:,}", *last)
    return lines


def _stop(state: StopState) -> str:
    if state.by is None or state.at is None:
        return "Controls are not stopped."
    why = f": {state.reason}" if state.reason else ""
    word = "stopped" if state.stopped else "not stopped; they were resumed"
    return f"Controls are {word} by {state.by} at {format_moment(state.at)}{why}"


def _path(request_id: str) -> str:
    return f"{paths.APPROVALS}/{quote(request_id, safe='')}"
