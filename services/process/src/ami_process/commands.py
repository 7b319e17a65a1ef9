"""What the command lines of all processes share: the exit code as a value, and `--version`."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import typer


def exit_code_of(app: typer.Typer, arguments: Sequence[str] | None = None) -> int:
    """Run a command line (None: the arguments of the process) and return its exit code."""
    try:
        app(None if arguments is None else list(arguments))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


def version_option(distribution: str) -> Any:
    """The option `--version` of a command line, which says the version of an installed distribution."""

    def show(asked: bool) -> None:
        if asked:
            typer.echo(f"{distribution} {version(distribution)}")
            raise typer.Exit

    return typer.Option("--version", callback=show, is_eager=True, help="Show the version and exit.")
