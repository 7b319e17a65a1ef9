"""Where the commands ask: the API of a running process, and what all of them take on the line."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ami_process.commands import token_file_option, url_option

API = "/api/v1"
DEFAULT_URL = "http://127.0.0.1:8082"

Url = Annotated[str, url_option("meter-sim")]
TokenFile = Annotated[Path | None, token_file_option("meter-sim")]
Group = Annotated[
    list[str] | None,
    typer.Option(help="Population, substation, feeder, transformer or model; may be repeated: in all of them."),
]


def show(found: Any) -> None:
    """As JSON that can be read."""
    typer.echo(json.dumps(found, indent=2))


def asked(url: str, token_file: Path | None, method: str, path: str, body: Any = None) -> Any:
    """The process's answer; a request that fails ends the command with the reason."""
    from pydantic import RootModel

    from ami_process.asking import RunningProcess  # with the HTTP client, of which `serve` has no use

    content = None if body is None else json.dumps(body)
    return RunningProcess("meter-sim", url, token_file).get(API + path, RootModel[Any], method, content).root
