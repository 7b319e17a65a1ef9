"""`ami audit`: check, show and export the audit log of a head-end, of a running one by its API or of a store that no process has open.

The entries are checked here, from what they say and not from what the head-end says of them (`ami_hes.audit.chain`).
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from socket import gethostname
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ami_hes.api import paths
from ami_hes.api.values.audit import MAX_LISTED, AuditList
from ami_hes.audit import (
    Anchor,
    ChainCheck,
    ChainReport,
    format_json_line,
    format_syslog,
    parse_anchor,
    parse_entry,
)
from ami_hes.client.asking import DEFAULT_URL, TokenFile, Url, head_end, show, table
from ami_process.commands import explaining
from ami_process.settings import SettingsError
from ami_process.store.errors import StoreUnavailable, StoreUnusable

BROKEN = 1
"""The exit code of a log that is not whole."""
PAGE = MAX_LISTED

app = typer.Typer(no_args_is_help=True, add_completion=False, help="The audit log of a head-end: check, show, export.")

Config = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Of the store of this configuration, which no process has open; else by the API."
    ),
]


class Format(StrEnum):
    """What `export` writes."""

    JSONL = "jsonl"
    SYSLOG = "syslog"


@dataclass(frozen=True, slots=True)
class Source:
    """Where entries come from."""

    config: Path | None
    url: str
    token_file: Path | None

    async def pages(self, after: int) -> AsyncIterator[AuditList]:
        """The entries behind a number, page by page, up to the last one that there was when the first page was read, or when some were found to be dropped by age."""
        async with self._reading() as read:
            until: int | None = None
            while until is None or after < until:
                page = await read(after)
                if until is None or page.chain.base_seq > after:
                    until = page.chain.seq
                yield page
                if not page.entries:
                    return
                after = page.entries[-1].seq

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Callable[[int], Awaitable[AuditList]]]:
        if self.config is None:
            hes = head_end(self.url, self.token_file)

            async def asked(after: int) -> AuditList:
                return hes.get(f"{paths.AUDIT}?after={after}&limit={PAGE}", AuditList)

            yield asked
            return
        from ami_hes.closed_store import closed_audit  # a running head-end is asked without it
        from ami_hes.settings import Settings

        async with closed_audit(Settings.load(self.config)) as log:

            async def read(after: int) -> AuditList:
                return AuditList.of(await log.page(after, PAGE))

            yield read


@app.command("verify")
def verify(
    anchor: Annotated[
        list[str] | None,
        typer.Option(metavar="NUMBER:HASH", help="An entry as it was noted elsewhere; may be given several times."),
    ] = None,
    config: Config = None,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Check every entry of the chain, and print the last one as an anchor. Exit code 1: the log is not whole."""
    try:
        anchors = [parse_anchor(one) for one in anchor or ()]
    except ValueError as problem:
        raise typer.BadParameter(str(problem)) from None
    with explaining("ami", SettingsError, StoreUnusable, StoreUnavailable):
        report = asyncio.run(_checked(Source(config, url, token_file), anchors))
    show(*report.problems)
    if report.more:
        show(f"and {report.more:,} more")
    for one in report.unproved:
        show(f"the entry of the anchor {one.format()} was dropped by age: nothing can be said of it")
    if not report.is_whole:
        sys.stderr.write(f"ami: the audit log is not whole ({report.entries:,} entries were checked)\n")
        raise typer.Exit(BROKEN)
    last = "" if report.last is None else report.last.format()
    against = f", and {len(anchors)} anchors are in it" if anchors else ""
    show(f"{report.entries:,} entries, each follows from the one before it{against}", f"anchor: {last}")


async def _checked(source: Source, anchors: list[Anchor]) -> ChainReport:
    """With a bar on a terminal."""
    check: ChainCheck | None = None
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("entries")
        async for page in source.pages(0):
            chain = page.chain.chain()
            check = check or ChainCheck(chain, anchors)
            check.add_page(chain, (record.link() for record in page.entries))
            progress.update(task, total=check.total, completed=check.entries)
    return ChainReport() if check is None else check.end()


@app.command("show")
def show_entries(
    request: Annotated[
        str | None, typer.Option(metavar="ID", help="Entries about a request or campaign alone.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_LISTED, metavar="NUMBER", help="The last ones.")] = 50,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Show the last entries of a running head-end, or those about one request."""
    asked = f"limit={limit}" if request is None else f"request={quote(request, safe='')}"
    found = head_end(url, token_file).get(f"{paths.AUDIT}?{asked}", AuditList)
    if not found.entries:
        show("There are no entries." if request is None else f"There is no entry about {request}.")
        return
    lines = table("no.", "at", "what", "who", "asked", "meters", "outcome", numbers=(0, 5))
    for record in found.entries:
        one = parse_entry(record.entry)
        lines.add_row(str(record.seq), str(one["at"])[:19], str(one["what"]), *_cells(one))
    show(lines)


def _cells(one: dict[str, Any]) -> tuple[str, str, str, str]:
    who = f"{one.get('principal', '')} ({one['by']})" if one.get("by") else str(one.get("principal", ""))
    if one.get("approved_by"):
        who += f", approved by {one['approved_by']}"
    asked = " ".join(str(one[name]) for name in ("verb", "noun", "asked") if one.get(name))
    meters = "" if "meters" not in one else f"{one['meters']:,}"
    outcome = ": ".join(str(one[name]) for name in ("outcome", "reason") if one.get(name))
    if "number" in one:
        outcome = f"{one['number']:,} {outcome}".rstrip()
    return who, asked, meters, outcome


@app.command("export")
def export(
    form: Annotated[Format, typer.Option("--format", help="JSON lines, or syslog messages (RFC 5424), one per line.")],
    after: Annotated[int, typer.Option(min=0, metavar="NUMBER", help="Only the entries behind this number.")] = 0,
    config: Config = None,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Write entries to standard output, for a SIEM. What it has is known by the number of the last one."""
    host = gethostname()
    with explaining("ami", SettingsError, StoreUnusable, StoreUnavailable):
        asyncio.run(_exported(Source(config, url, token_file), after, form, host))


async def _exported(source: Source, after: int, form: Format, host: str) -> None:
    async for page in source.pages(after):
        links = [record.link() for record in page.entries]
        lines = (
            map(format_json_line, links) if form is Format.JSONL else (format_syslog(one, host=host) for one in links)
        )
        sys.stdout.write("".join(f"{line}\n" for line in lines))
