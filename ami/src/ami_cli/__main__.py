"""The command line `ami`: starts, watches, decodes and measures the reference system."""

from typing import Annotated

import typer

from ami_process.loading import loading

with loading():
    from ami_cli.lazy_commands import LAZY_COMMANDS
    from ami_process.commands import lazy_group, version_option

app = typer.Typer(
    name="ami",
    cls=lazy_group(LAZY_COMMANDS),
    help=__doc__,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def front_door(version: Annotated[bool, version_option("ami-reference")] = False) -> None:
    """AMI reference system: CIS, HES and meters, each a process, meeting only on real sockets."""


def main() -> None:
    """What `ami` on the command line runs."""
    app()


if __name__ == "__main__":
    main()
