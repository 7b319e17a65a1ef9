"""The command line `ami-testkit`: the kit for other languages than Python, and the page of its faults."""

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


def main() -> None:
    """Run it."""
    app()


if __name__ == "__main__":
    main()
