"""What commands that measure have in common: how they run and end, and figures beside those of the first in turn."""

import asyncio
import statistics
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import typer
from rich.console import Console

from ami_cli.bench import BenchError
from ami_cli.configuration import ConfigurationError

Report = Callable[[str], None]
Measured = TypeVar("Measured")


def measured(measure: Callable[[Report], Coroutine[Any, Any, Measured]]) -> Measured:
    """What was measured; meanwhile a terminal shows what `measure` reports. Where it can't be measured the command ends with 1 and the reason."""
    try:
        with Console(stderr=True).status("starting") as status:
            return asyncio.run(measure(status.update))
    except (BenchError, ConfigurationError) as trouble:
        typer.echo(str(trouble), err=True)
        raise typer.Exit(1) from None


def beside_the_first(label: str, used_ms: Sequence[tuple[str, Sequence[float]]]) -> list[dict[str, Any]]:
    """A row for each of those that took turns: its name under `label`, `median_ms`, and `ratio`, the median of its single turns over the first one's."""
    first = used_ms[0][1]
    return [
        {
            label: name,
            "median_ms": round(statistics.median(used), 3),
            "ratio": round(statistics.median(a / b for a, b in zip(used, first, strict=True)), 3),
        }
        for name, used in used_ms
    ]
