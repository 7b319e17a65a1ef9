"""What `cis send` and `cis read` have in common: the options that say what is asked of which meters, and an order that a running CIS is
given and whose end is waited for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeVar
from uuid import uuid4

import typer
from pydantic import BaseModel, ValidationError
from rich.console import Console

from ami_process.asking import RunningProcess
from ami_process.commands import token_file_option, url_option

DEFAULT_URL = "http://127.0.0.1:8080"
_OPTIONS = {
    "meters": "--meter",
    "mrids": "--mrid",
    "usage_points": "--usage-point",
    "groups": "--group",
    "group": "--group",
    "at": "--at",
    "time_zone": "--zone",
    "code": "--code",
    "usage_point_groups": "--usage-point-group",
    "reading_types": "--type",
    "types": "--type",
    "from": "--from",
    "to": "--to",
    "source": "--source",
    "qualities": "--quality",
}
"""Fields of an order, as a command line has them."""

Meters = Annotated[list[str] | None, typer.Option("--meter", metavar="NAME", help="A meter by name; may be repeated.")]
Mrids = Annotated[list[str] | None, typer.Option("--mrid", metavar="MRID", help="A meter by mRID; may be repeated.")]
UsagePoints = Annotated[
    list[str] | None, typer.Option("--usage-point", metavar="NAME", help="A usage point; may be repeated.")
]
MessageId = Annotated[
    str | None,
    typer.Option("--message-id", metavar="ID", help="Instead of a new one, e.g. to send the same request again."),
]
Asynchronous = Annotated[bool, typer.Option("--asynchronous", help="Take an acknowledgement now and the reply later.")]
Url = Annotated[str, url_option("cis")]
TokenFile = Annotated[Path | None, token_file_option("cis")]

Order = TypeVar("Order", bound=BaseModel)
Outcome = TypeVar("Outcome", bound=BaseModel)


def order_of(cis: RunningProcess, model: type[Order], wanted: Mapping[str, object]) -> Order:
    """The order that the options make; one that is none ends the command.

    It has a MessageID of its own unless one is given, so that it can be asked for again when its answer is lost.
    """
    try:
        return model.model_validate({**wanted, "message_id": wanted["message_id"] or str(uuid4())})
    except ValidationError as problem:
        raise cis.refused(first_problem(problem)) from None


def outcome_of(cis: RunningProcess, path: str, order: BaseModel, model: type[Outcome], *, if_lost: str) -> Outcome:
    """Give the CIS an order, wait for its end, however long that takes, and return what came of it."""
    with Console(stderr=True).status("waiting for the end of the request"):
        return cis.get(path, model, "POST", order.model_dump_json(by_alias=True), if_lost=if_lost)


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong, without the value."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = _OPTIONS.get(str(first["loc"][0]), ".".join(map(str, first["loc"]))) if first["loc"] else ""
    return f"{place}{': ' if place else ''}{first['msg'].removeprefix('Value error, ')}"
