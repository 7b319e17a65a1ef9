"""What all sub-commands take on the line to ask a running head-end, and how they show its answer."""

import sys
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ValidationError
from rich.console import Console

from ami_process.asking import RunningProcess
from ami_process.commands import AsJson, token_file_option, url_option
from ami_process.terminal_tables import Rows
from ami_process.terminal_text import printable

__all__ = [
    "DEFAULT_URL",
    "AsJson",
    "TokenFile",
    "Url",
    "first_problem",
    "format_moment",
    "head_end",
    "show",
    "show_json",
    "table",
]

DEFAULT_URL = "http://127.0.0.1:8081"
WIDE = 200
"""Columns of a table that goes to no terminal."""
HEIGHT = 25

Url = Annotated[str, url_option("hes")]
TokenFile = Annotated[Path | None, token_file_option("hes")]


def head_end(url: str, token_file: Path | None) -> RunningProcess:
    """A running head-end."""
    return RunningProcess("hes", url, token_file)


def first_problem(problem: ValidationError, options: Mapping[str, str]) -> str:
    """What is wrong first, without the value; `options` are the options of the line by the fields that they fill."""
    wrong = problem.errors(include_url=False, include_input=False, include_context=False)[0]
    option = options.get(str(wrong["loc"][0]), "") if wrong["loc"] else ""
    reason = wrong["msg"].removeprefix("Value error, ")
    return f"{option}: {reason}" if option else reason


def show_json(answer: BaseModel) -> None:
    """The answer as it came."""
    sys.stdout.write(answer.model_dump_json() + "\n")


def format_moment(moment: datetime) -> str:
    """As the head-end gives it, with the offset of its `hes.time_zone`, to the second."""
    return moment.isoformat(timespec="seconds")


def table(*columns: str, numbers: Collection[int] = ()) -> Rows:
    """A table with this headline; `numbers` are aligned to the right."""
    return Rows(*columns, numbers=numbers)


def show(*parts: Rows | str) -> None:
    """Tables and lines, as wide as the terminal; nothing that came from elsewhere does anything to it."""
    console = _console(None)
    width = console.width if console.is_terminal else WIDE
    for part in parts:
        if isinstance(part, str):
            _console(width).print(printable(part))
        else:
            sys.stdout.write("".join(f"{line}\n" for line in part.lines(width)))


def _console(width: int | None) -> Console:
    height = None if width is None else HEIGHT  # rich goes by a width of a dumb terminal only where it has both
    return Console(markup=False, highlight=False, emoji=False, width=width, height=height)
