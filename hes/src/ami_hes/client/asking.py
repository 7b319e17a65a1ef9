"""What all sub-commands take on the line to ask a running head-end, and how they show its answer."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ValidationError
from rich.console import Console, RenderableType
from rich.style import StyleType
from rich.table import Table

from ami_process.asking import RunningProcess
from ami_process.commands import AsJson, token_file_option, url_option
from ami_process.terminal_text import printable

__all__ = ["DEFAULT_URL", "AsJson", "TokenFile", "Url", "first_problem", "head_end", "show", "show_json", "table"]

DEFAULT_URL = "http://127.0.0.1:8081"
WIDE = 200
"""Columns of a table that goes to no terminal."""

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


class _Lines(Table):
    """Cells are what a terminal can take: what a receiver or a client has said is among them."""

    def add_row(
        self, *renderables: RenderableType | None, style: StyleType | None = None, end_section: bool = False
    ) -> None:
        """As of any table."""
        cells = (printable(one) if isinstance(one, str) else one for one in renderables)
        super().add_row(*cells, style=style, end_section=end_section)


def table(*columns: str) -> Table:
    """A table with this headline."""
    made = _Lines(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def show(*parts: Table | str) -> None:
    """Tables and lines; nothing that came from elsewhere is read as markup, or does anything to the terminal."""
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console = Console(markup=False, highlight=False, emoji=False, width=WIDE)
    for part in parts:
        console.print(printable(part) if isinstance(part, str) else part)
