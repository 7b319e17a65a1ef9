"""What the command lines of all processes share: `serve` itself, refusals in a sentence, the exit code as a value, `--version`, and
sub-commands that are loaded late."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from ami_process.core_dumps import forbid_core_dumps
from ami_process.loading import loading
from ami_process.ownership import keep_private

USAGE = 2
"""The exit code of what a person has to change: arguments, configuration, or what is on the disk."""

Serve = Callable[[asyncio.Event], Coroutine[Any, Any, int]]
"""A process: it ends, with an exit code, once the event is set, or by itself."""


def serve_until_stopped(
    serve: Serve, run: Callable[[Coroutine[Any, Any, int]], int] | None = None, *, core_dumps: bool = False
) -> int:
    """Be a process until SIGTERM or SIGINT, or until it ends by itself; the exit code. `run`: on which event loop."""
    from ami_process import event_loop  # uvloop takes its time to load, and other commands have no use for it

    if not core_dumps:
        forbid_core_dumps()
    return (run or event_loop.run)(_until_stopped(serve))


async def _until_stopped(serve: Serve) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return await serve(stop)


@contextmanager
def explaining(program: str, *problems: type[Exception]) -> Iterator[None]:
    """What a person has to change ends the command with a sentence and exit code 2. What it writes is its user's alone."""
    keep_private()
    try:
        yield
    except problems as problem:
        sys.stderr.write(f"{program}: {problem}\n")
        raise typer.Exit(USAGE) from None


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


def url_option(program: str) -> Any:
    """The option `--url` of the sub-commands that ask a running process; its variable is `HES_URL` for `hes`."""
    name = program.replace("-", "_").upper()
    return typer.Option(metavar="URL", envvar=f"{name}_URL", help=f"Where `{program} serve` is reached.")


def token_file_option(program: str) -> Any:
    """The option `--token-file` of the same."""
    name = program.replace("-", "_").upper()
    return typer.Option(
        metavar="FILE", envvar=f"{name}_TOKEN_FILE", help="A file with its bearer token, if it wants one."
    )


AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")]


@dataclass(frozen=True, slots=True)
class Late:
    """A sub-command that is imported when it is called: where its `typer.Typer` is, as `module:name`, and what the list of commands says about it.

    That is the first paragraph of its own help, which a list can't look up without importing every sub-command.
    """

    where: str
    help: str

    def load(self) -> Any:
        """The command itself, as typer makes it."""
        module, _, name = self.where.partition(":")
        with loading():
            return typer.main.get_command(getattr(import_module(module), name))


class _LateCommand(TyperCommand):  # typer does not export its types of what this takes and gives
    """Stands in the list of commands; when it is called, the command itself does all of it."""

    def __init__(self, name: str, late: Late) -> None:
        super().__init__(name, help=late.help)
        self._late = late

    def make_context(self, *arguments: Any, **more: Any) -> Any:
        """Of the command itself."""
        return self._late.load().make_context(*arguments, **more)


def lazy_group(commands: Mapping[str, Late]) -> type[TyperGroup]:
    """A group that has these sub-commands besides its own, by name; one is imported only when it is called.

    So what a sub-command alone needs is loaded neither by the others nor by the list of them (docs/adr/0045).
    """

    class LazyGroup(TyperGroup):
        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            """Typer seeks names like a misspelt one among its own commands alone."""
            names = self.list_commands(ctx)
            similar = get_close_matches(args[0], names) if args[0] not in names else []
            if similar:
                ctx.fail(f"No such command '{args[0]}'. Did you mean {', '.join(map(repr, similar))}?")
            return super().resolve_command(ctx, args)

        def list_commands(self, ctx: Any) -> list[str]:
            return [*super().list_commands(ctx), *commands]

        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            if cmd_name not in commands:
                return super().get_command(ctx, cmd_name)
            return _LateCommand(cmd_name, commands[cmd_name])

    return LazyGroup
