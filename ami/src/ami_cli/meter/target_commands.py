"""Commands that talk to a meter: each gets the options of `TargetOptions` behind its own, and ends with the exit codes of `errors.ExitCode`."""

import inspect
from collections.abc import Callable
from typing import Any

import typer

from ami_cli.meter import output
from ami_cli.meter.errors import MeterError
from ami_cli.meter.target_options import TargetOptions


def command_of(
    app: typer.Typer, epilog: str, name: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a command of `app`: its parameter `options` becomes the options of the target."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        own = [one for one in inspect.signature(function, eval_str=True).parameters.values() if one.name != "options"]
        common = list(inspect.signature(TargetOptions, eval_str=True).parameters.values())
        names = [one.name for one in common]

        def run(**given: Any) -> None:
            options = TargetOptions(**{each: given.pop(each) for each in names})
            try:
                function(options=options, **given)
            except MeterError as error:
                output.complain(error)
                raise typer.Exit(error.code) from None

        parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own + common]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        run.__doc__ = function.__doc__
        app.command(name or function.__name__, epilog=epilog)(run)
        return function

    return register
