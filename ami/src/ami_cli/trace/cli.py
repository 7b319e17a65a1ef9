"""`ami trace`: what happened for one request, from its CIM message to each octet on the lines of its meters."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urlencode

import typer
from rich.console import Console
from rich.text import Text

from ami_cim.codes import Verb
from ami_cli.companions import CompanionOption, CompanionReader
from ami_cli.trace.files import write_html, write_pcapng
from ami_cli.trace.tree import Shown
from ami_cli.view import THEME
from ami_hes.api import paths
from ami_hes.api.values.traces import TraceLine, TraceList
from ami_process.asking import RunningProcess
from ami_process.commands import AsJson, token_file_option, url_option
from ami_process.terminal_tables import Rows
from ami_process.terminal_text import printable
from ami_trace.form import Trace
from ami_trace.pcapng import CaptureError

DEFAULT_URL = "http://127.0.0.1:8081"
UNSEEN = 200
"""Columns where there is no terminal."""
LOOKED_AT = 50
"""Lines among which --last looks for a request that the head-end was asked."""
app = typer.Typer(name="trace", add_completion=False, pretty_exceptions_enable=False)

MessageId = Annotated[
    str | None,
    typer.Argument(
        metavar="[MESSAGE_ID]", help="Of the request; or the id of a push, or of an event that came of one."
    ),
]
Last = Annotated[
    bool,
    typer.Option(
        "--last", help="The latest request that the head-end was asked, among those that the other options name."
    ),
]
Failed = Annotated[bool, typer.Option("--failed", help="Requests that failed, or of which a meter did.")]
Noun = Annotated[str | None, typer.Option(metavar="NOUN", help="Requests of this noun, as MeterReadings.")]
OfMeter = Annotated[
    str | None, typer.Option("--meter", metavar="NAME", help="Requests with this meter (name or mRID).")
]
Pushes = Annotated[bool, typer.Option("--pushes", help="What meters have pushed, in place of requests.")]
Octets = Annotated[bool, typer.Option("--octets", help="Every APDU octet by octet, deciphered.")]
All = Annotated[bool, typer.Option("--all", help="Fold no meter.")]
Full = Annotated[bool, typer.Option("--full", help="Long octet strings in full.")]
Redacted = Annotated[bool, typer.Option("--redacted", help="Strike out every value, to show it to strangers.")]
Html = Annotated[Path | None, typer.Option(metavar="FILE", help="Write it as one HTML file, to attach to a ticket.")]
Pcapng = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write it as a capture for Wireshark; call it *.clear.pcapng.")
]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colours on a terminal either.")]


@app.command("trace")
def trace(
    message_id: MessageId = None,
    last: Last = False,
    failed: Failed = False,
    noun: Noun = None,
    meter: OfMeter = None,
    pushes: Pushes = False,
    octets: Octets = False,
    everything: All = False,
    full: Full = False,
    redacted: Redacted = False,
    as_json: AsJson = False,
    html: Html = None,
    pcapng: Pcapng = None,
    companion: CompanionOption = CompanionReader.STOCK,
    no_color: NoColor = False,
    url: Annotated[str, url_option("hes")] = DEFAULT_URL,
    token_file: Annotated[Path | None, token_file_option("hes")] = None,
) -> None:
    """Show what happened for a request: the tree of messages, sessions and APDUs. Without MESSAGE_ID and --last: which there are.

    Exit code 0: shown, however the request ended. 1: no answer came. 2: wrong options, or no such request. 3: no head-end was reached.
    """
    head_end = RunningProcess("ami", url, token_file, "trace", serves="hes")
    wanted = {name: "true" for name, value in (("failed", failed), ("pushes", pushes)) if value}
    wanted |= {name: value for name, value in (("noun", noun), ("meter", meter)) if value is not None}
    if message_id is None and not last:
        listed = head_end.get(f"{paths.TRACES}?{urlencode(wanted)}", TraceList)
        _show_list(listed, as_json=as_json)
        if not listed.traces:
            typer.echo(_none("push" if pushes else "request", wanted), err=True)
        return
    if message_id is None:
        message_id = _latest(head_end, wanted)
    elif last or wanted:
        raise head_end.refused(
            "a MESSAGE_ID names one request; leave out --last, --failed, --noun, --meter and --pushes"
        )
    query = "?redacted=true" if redacted else ""
    found = head_end.get(f"{paths.TRACES}/{quote(message_id, safe='')}{query}", Trace)
    for path, write in ((html, write_html), (pcapng, partial(write_pcapng, dissector=companion.dissector))):
        if path is not None:
            _write(head_end, found, path, write)
    if as_json:
        sys.stdout.write(found.model_dump_json() + "\n")
    elif html is None and pcapng is None:
        _show(found, octets=octets, everything=everything, full=full, no_color=no_color)


def _write(head_end: RunningProcess, found: Trace, path: Path, write: Callable[[Trace, Path], str]) -> None:
    """Say what was written on standard error, since the answer goes to standard output."""
    try:
        typer.echo(write(found, path), err=True)
    except (OSError, CaptureError) as problem:
        raise head_end.refused(f"{path}: {problem}") from None


def _latest(head_end: RunningProcess, wanted: dict[str, str]) -> str:
    """Messages of events, which the head-end sends unasked and for which no meter was asked, only if nothing else is there or options name them."""
    listed = head_end.get(f"{paths.TRACES}?{urlencode(wanted | {'limit': LOOKED_AT})}", TraceList).traces
    if not listed:
        raise head_end.refused(_none("push" if "pushes" in wanted else "request", wanted))
    asked = (one for one in listed if wanted or one.meters or one.verb != Verb.CREATED)
    return next(asked, listed[0]).message_id


def _none(what: str, wanted: dict[str, str]) -> str:
    options = " ".join(f"--{name}" if value == "true" else f"--{name} {value}" for name, value in wanted.items())
    return f"no {what} of which there is a trace" + (f" fits {options}" if options else " is kept")


def _show_list(listed: TraceList, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(listed.model_dump_json() + "\n")
        return
    if not listed.traces:
        return
    rows = Rows("accepted", "MessageID", "request", "from", "meters", "ok", "result", numbers=(4, 5))
    for one in listed.traces:
        at = one.accepted_at.isoformat(timespec="seconds")
        rows.add_row(
            at,
            one.message_id,
            f"{one.verb} {one.noun}",
            one.source or "",
            f"{one.meters:,}",
            f"{one.ok:,}",
            _result(one),
        )
    console = Console()
    width = console.width if console.is_terminal else UNSEEN
    sys.stdout.write("".join(f"{line}\n" for line in rows.lines(width)))


def _result(one: TraceLine) -> str:
    return "under way" if one.answered_at is None else one.result or "answered"


def _show(found: Trace, *, octets: bool, everything: bool, full: bool, no_color: bool) -> None:
    console = Console(theme=THEME, highlight=False, no_color=no_color or None)
    width = console.width if console.is_terminal else UNSEEN
    for line in Shown(width, octets=octets, everything=everything, full=full).lines(found):
        pieces = [(printable(text), style) for text, style in line]
        if not console.is_terminal:
            typer.echo("".join(text for text, _ in pieces).rstrip())
            continue
        text = Text.assemble(*pieces)
        text.rstrip()
        console.print(text, no_wrap=True, overflow="ellipsis", crop=True)
