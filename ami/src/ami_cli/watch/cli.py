"""`ami watch`: the live view of the demo for any running head-end, on this machine, in containers, with TLS and a token."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from ami_cli.plain_text import DEFAULT_HES
from ami_cli.watch.following import Customers, HeadEnd, Told, follow
from ami_cli.watch.heard import WatchState
from ami_cli.watch.shown import Lines, Places, Screen, WatchOutput
from ami_process.asking import NOT_REACHED, OK, USAGE
from ami_process.commands import token_file_option
from ami_process.rest_client import NotReached, ProcessRefused
from ami_process.rest_stream import RestStream

app = typer.Typer(name="watch", add_completion=False, pretty_exceptions_enable=False)

Url = Annotated[str, typer.Argument(metavar="[HES_URL]", envvar="HES_URL", help="Where the head-end is reached.")]
Cis = Annotated[str | None, typer.Option("--cis", metavar="URL", help="Follow this CIS as well.")]
CisTokenFile = Annotated[
    Path | None, typer.Option("--cis-token-file", metavar="FILE", envvar="CIS_TOKEN_FILE", help="The same for the CIS.")
]
Authorities = Annotated[
    Path | None,
    typer.Option("--ca", metavar="FILE", envvar="AMI_TLS_AUTHORITIES", help="Certificates of who signs theirs (PEM)."),
]
Certificate = Annotated[
    Path | None,
    typer.Option("--certificate", metavar="FILE", envvar="AMI_TLS_CERTIFICATE", help="Ours, where TLS is mutual."),
]
Key = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", envvar="AMI_TLS_KEY", help="The private key of --certificate.")
]
Octets = Annotated[bool, typer.Option("--octets", help="Lines of text have every APDU too, in words and in hex.")]
Plain = Annotated[bool, typer.Option("--plain", help="Lines of text, on a terminal too.")]


@dataclass(frozen=True, slots=True)
class Access:
    """What it takes to be let in."""

    hes_token: Path | None
    cis_token: Path | None
    tls: dict[str, Any]


@app.command("watch")
def watch(
    hes: Url = DEFAULT_HES,
    cis: Cis = None,
    token_file: Annotated[Path | None, token_file_option("hes")] = None,
    cis_token_file: CisTokenFile = None,
    ca: Authorities = None,
    certificate: Certificate = None,
    key: Key = None,
    plain: Plain = False,
    octets: Octets = False,
) -> None:
    """Show what happens in a running system, until Ctrl-C: requests with their verdicts and reasons, meters, events, octets in words.

    Exit code 0: it was stopped. 2: wrong options, or the process refuses. 3: a token or certificate cannot be used.
    """
    for url in (hes, *([] if cis is None else [cis])):
        _check(url)
    places = Places(hes.rstrip("/"), None if cis is None else cis.rstrip("/"))
    output: WatchOutput = Lines(places, octets) if plain or not sys.stdout.isatty() else Screen(places)
    access = Access(token_file, cis_token_file, {"authorities": ca, "certificate": certificate, "key": key})
    raise typer.Exit(_watched(places, output, access))


def _check(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        typer.echo(f"ami: watch: {url} is no URL: write http://HOST:PORT", err=True)
        raise typer.Exit(USAGE)


def _watched(places: Places, output: WatchOutput, access: Access) -> int:
    code = OK
    try:
        asyncio.run(_watch(places, output, access))
    except* ProcessRefused as refusals:
        code = _ended(refusals, USAGE)
    except* NotReached as problems:
        code = _ended(problems, NOT_REACHED)
    except* BrokenPipeError:  # the reader has gone, as in `ami watch | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _ended(problems: BaseExceptionGroup[Exception], code: int) -> int:
    problem: BaseException = problems
    while isinstance(problem, BaseExceptionGroup):
        problem = problem.exceptions[0]
    typer.echo(f"ami: watch: {problem}", err=True)
    return code


async def _watch(places: Places, output: WatchOutput, access: Access) -> None:
    model = WatchState(started_at=datetime.now(UTC))
    told = Told(output.news, output.link)
    async with contextlib.AsyncExitStack() as stack:
        head_end = await stack.enter_async_context(RestStream(places.hes, access.hes_token, access.tls))
        followed: list[HeadEnd | Customers] = [HeadEnd(head_end, model, told)]
        if places.cis is not None:
            customers = await stack.enter_async_context(RestStream(places.cis, access.cis_token, access.tls))
            followed.append(Customers(customers, model, told))
        async with output.display(model):
            await _until_stopped(followed)
    output.closing(model)


async def _until_stopped(followed: list[HeadEnd | Customers]) -> None:
    stopped = asyncio.Event()
    with _signals(stopped.set):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(follow(one)) for one in followed]
            await stopped.wait()
            for task in tasks:
                task.cancel()


@contextlib.contextmanager
def _signals(stop: Any) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
