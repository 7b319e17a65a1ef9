"""The command line `ami-testkit`: the kit for other languages than Python, and the page of its faults."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def _kit() -> None:
    """A head-end and meters to test against, with faults at the border between CIS and head-end."""


@app.command()
def faults(
    write: Annotated[Path | None, typer.Option(help="Into this file.", show_default=False)] = None,
) -> None:
    """What can go wrong at the border, as the page docs/border-faults.md."""
    from ami_testkit.fault_page import page

    if write is None:
        sys.stdout.write(page())
    else:
        write.write_text(page(), "utf-8")


@app.command()
def serve(
    port: Annotated[int, typer.Option(help="At loopback; 0: any free one, which `ready` tells.")] = 8090,
) -> None:
    """Start, reset and look at systems by REST: the kit for other languages than Python."""
    from ami_process.commands import explaining, serve_until_stopped
    from ami_process.sockets import ListenFailed
    from ami_testkit.errors import KitError
    from ami_testkit.processes import starter
    from ami_testkit.service import service

    async def run(stop: asyncio.Event) -> int:
        async with service(port) as address:
            sys.stdout.write(json.dumps({"event": "ready", "listen": [address]}) + "\n")
            sys.stdout.flush()
            await stop.wait()
        return 0

    with explaining("ami-testkit", ListenFailed, KitError):
        starter()
        raise typer.Exit(serve_until_stopped(run))


def main() -> None:
    """Run it."""
    app()


if __name__ == "__main__":
    main()
