"""How the sub-commands of a program ask its running process, and what they say on standard error when that fails.

Each failure ends the command with a sentence and an exit code that says what became of the question.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import typer
from pydantic import BaseModel, ValidationError

from ami_process import rest_client
from ami_process.rest_client import AnswerLost, NotReached, ProcessRefused, TokenUnusable

OK = 0
NOT_OK = 1
"""Asked, and anything but what was wanted came of it, or nothing is known."""
USAGE = 2
"""Refused as it was asked."""
NOT_REACHED = 3
"""Nothing was asked."""

Answer = TypeVar("Answer", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class RunningProcess:
    """The process at `url` that `<program> serve` is, or `<serves> serve` where another program asks.

    `command` is the sub-command that asks, where its sentences name it.
    """

    program: str
    url: str
    token_file: Path | None = None
    command: str = ""
    serves: str = ""

    def get(
        self, path: str, model: type[Answer], method: str = "GET", content: str | None = None, *, if_lost: str = ""
    ) -> Answer:
        """The answer; a failure ends the command. `if_lost` is added where it is not known what became of the question."""
        with self.ending(if_lost):
            return self.ask(path, model, method, content)

    @contextmanager
    def ending(self, if_lost: str = "") -> Iterator[None]:
        """Any failure of `ami_process.rest_client` inside ends the command."""
        try:
            yield
        except TokenUnusable as problem:
            raise self.ended(f"{problem}; nothing was sent. --token-file names it", NOT_REACHED) from None
        except NotReached as problem:
            hint = f"`{self.serves or self.program} serve` is the process, --url says where it is"
            raise self.ended(f"{problem}; nothing was sent. {hint}", NOT_REACHED) from None
        except ProcessRefused as problem:
            raise self.refused(str(problem)) from None
        except AnswerLost as problem:
            raise self.ended(f"{problem}; {if_lost}" if if_lost else str(problem), NOT_OK) from None

    def ask(self, path: str, model: type[Answer], method: str = "GET", content: str | None = None) -> Answer:
        """The same; raises NotReached, AnswerLost and ProcessRefused."""
        answer = rest_client.ask(self.url, method, path, content, self.token_file)
        try:
            return model.model_validate_json(answer)
        except ValidationError:
            raise AnswerLost("the answer is not understood: is this a process of the same version?") from None

    def refused(self, reason: str) -> typer.Exit:
        """Say why the command is not carried out as it was asked."""
        return self.ended(f"{self.command}: {reason}" if self.command else reason, USAGE)

    def ended(self, text: str, exit_code: int) -> typer.Exit:
        """Say why the command ends."""
        sys.stderr.write(f"{self.program}: {text}\n")
        return typer.Exit(exit_code)
