"""One question to the process and its answer; what all sub-commands take on the line, and their exit codes."""

import sys
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.table import Table

from ami_process import rest_client
from ami_process.rest_client import AnswerLost, NotReached, ProcessRefused

NOT_OK, USAGE, NOT_REACHED = 1, 2, 3
DEFAULT_URL = "http://127.0.0.1:8081"
WIDE = 200
"""Columns of a table that goes to no terminal."""

Url = Annotated[str, typer.Option(metavar="URL", envvar="HES_URL", help="Where the HES is.")]
TokenFile = Annotated[
    Path | None, typer.Option(envvar="HES_TOKEN_FILE", metavar="FILE", help="A file with the bearer token of the HES.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")]
Answer = TypeVar("Answer", bound=BaseModel)


class Hes:
    """A running head-end."""

    def __init__(self, url: str, token_file: Path | None) -> None:
        self._url = url
        self._token_file = token_file

    def get(self, path: str, model: type[Answer], method: str = "GET", content: str | None = None) -> Answer:
        """What is there; a question that fails ends the command with a sentence and its exit code."""
        try:
            return self.ask(method, path, content, model)
        except NotReached as problem:
            raise ended(f"{problem}; `hes serve` is the process, --url says where it is", NOT_REACHED) from None
        except ProcessRefused as problem:
            raise ended(str(problem), USAGE) from None
        except AnswerLost as problem:
            raise ended(str(problem), NOT_OK) from None

    def ask(self, method: str, path: str, content: str | None, model: type[Answer]) -> Answer:
        """The same; raises NotReached, AnswerLost and ProcessRefused."""
        answer = rest_client.ask(self._url, method, path, content, self._token_file)
        try:
            return model.model_validate_json(answer)
        except ValidationError:
            raise AnswerLost("the answer is not understood: is this a head-end of the same version?") from None


def ended(text: str, exit_code: int) -> typer.Exit:
    """Why the command ends."""
    sys.stderr.write(f"hes: {text}\n")
    return typer.Exit(exit_code)


def show_json(answer: BaseModel) -> None:
    """The answer as it came."""
    sys.stdout.write(answer.model_dump_json() + "\n")


def table(*columns: str) -> Table:
    """A table with this headline."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def show(*parts: Table | str) -> None:
    """Tables and lines; nothing that came from elsewhere is read as markup."""
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console = Console(markup=False, highlight=False, emoji=False, width=WIDE)
    for part in parts:
        console.print(part)
