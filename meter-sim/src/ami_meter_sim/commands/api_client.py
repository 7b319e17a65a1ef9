"""Where the commands ask: the API of a running process, and what all of them take on the line."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

API = "/api/v1"
FAILED = 1
DEFAULT_URL = "http://127.0.0.1:8082"

Url = Annotated[str, typer.Option(envvar="METER_SIM_URL", help="Where the process serves its API.")]
TokenFile = Annotated[
    Path | None, typer.Option(envvar="METER_SIM_TOKEN_FILE", metavar="FILE", help="The file with its token.")
]
Group = Annotated[
    list[str] | None,
    typer.Option(help="Population, substation, feeder, transformer or model; may be repeated: in all of them."),
]


def show(found: Any) -> None:
    """As JSON that can be read."""
    typer.echo(json.dumps(found, indent=2))


def asked(url: str, token_file: Path | None, method: str, path: str, body: Any = None) -> Any:
    """The process's answer; a request that fails ends the command with the reason."""
    from ami_process.rest_client import (
        AnswerLost,
        NotReached,
        ProcessRefused,
        ask,
    )  # `serve` has no use for an HTTP client

    content = None if body is None else json.dumps(body)
    try:
        return json.loads(ask(url, method, API + path, content, token_file))
    except (NotReached, AnswerLost, ProcessRefused) as problem:
        sys.stderr.write(f"{problem}\n")
        raise typer.Exit(FAILED) from None
