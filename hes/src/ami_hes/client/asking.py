"""What all sub-commands take on the line to ask a running head-end, and how they show its answer."""

import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ValidationError
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.style import StyleType
from rich.table import Table

from ami_process.asking import RunningProcess
from ami_process.commands import AsJson, token_file_option, url_option
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
BETWEEN = 2
"""Columns between two of a table."""
LONGEST_WORD = 60
"""No column is wider for a word alone: MessageIDs and ReadingTypes are not broken, which people copy."""

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


class _Lines(Table):
    """Cells are what a terminal can take: what a receiver or a client has said is among them."""

    def __init__(self, *columns: str) -> None:
        super().__init__(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            self.add_column(column, overflow="fold")
        self._words = [_longest_word(column) for column in columns]
        self._texts = [cell_len(column) for column in columns]

    def add_row(
        self, *renderables: RenderableType | None, style: StyleType | None = None, end_section: bool = False
    ) -> None:
        """As of any table."""
        cells = [printable(one) if isinstance(one, str) else "" for one in renderables]
        self._words = [max(known, _longest_word(cell)) for known, cell in zip(self._words, cells, strict=True)]
        self._texts = [max(known, cell_len(cell)) for known, cell in zip(self._texts, cells, strict=True)]
        super().add_row(*cells, style=style, end_section=end_section)

    def fit(self, width: int) -> int:
        """Give each column its longest word, and what is left of the width to those that want more; the width that it takes."""
        between = BETWEEN * (len(self.columns) - 1)
        left, open_columns = width - between - sum(self._words), len(self.columns)
        for wanted, place in sorted((text - self._words[at], at) for at, text in enumerate(self._texts)):
            more = max(min(wanted, left // open_columns), 0)
            left, open_columns = left - more, open_columns - 1
            self.columns[place].width = self._words[place] + more
        return between + sum(column.width or 0 for column in self.columns)


def table(*columns: str) -> Table:
    """A table with this headline."""
    return _Lines(*columns)


def show(*parts: Table | str) -> None:
    """Tables and lines; nothing that came from elsewhere is read as markup, or does anything to the terminal.

    No word is broken: where a terminal is narrower than the words of a table, its lines go on in the next one.
    """
    console = _console(None)
    width = console.width if console.is_terminal else WIDE
    for part in parts:
        if isinstance(part, str):
            _console(width).print(printable(part))
        else:
            _console(max(width, part.fit(width) if isinstance(part, _Lines) else 0)).print(part)


def _console(width: int | None) -> Console:
    height = None if width is None else HEIGHT  # rich goes by a width of a dumb terminal only where it has both
    return Console(markup=False, highlight=False, emoji=False, width=width, height=height)


def _longest_word(cell: str) -> int:
    return min(max(map(cell_len, cell.split()), default=0), LONGEST_WORD)
