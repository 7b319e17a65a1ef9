"""`meter-sim fault`: set faults at the meters of a running process, and reset them."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from ami_meter_sim.commands.api_client import DEFAULT_URL, TokenFile, Url, asked, show

fault = typer.Typer(
    name="fault",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Set faults at the meters of a running process, and reset them.",
)


METERS = "meters"
"""The key whose value is a list of names."""


@fault.command("set")
def set_fault(
    name: Annotated[str, typer.Argument(metavar="FAULT", help="One of `meter-sim faults`.")],
    keys: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE ...",
            help="Further keys as in [[faults]]: seconds=3 when.class=7 share=0.2 meters=ONE,TWO.",
        ),
    ] = None,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Set a fault; it counts at once."""
    rule: dict[str, Any] = {"fault": name}
    for key in keys or []:
        _put(rule, key)
    show(asked(url, token_file, "POST", "/faults", rule))


@fault.command("list")
def list_rules(url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """List the faults that are set, each by its number and as `fault set` takes it."""
    for one in asked(url, token_file, "GET", "/faults"):
        rule = dict(one["rule"])
        typer.echo(" ".join([str(one["number"]), rule.pop("fault"), *_keys(rule)]))


@fault.command("reset")
def reset_faults(
    number: Annotated[int | None, typer.Argument(help="Only the rule of this number. Default: all.")] = None,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Back to health."""
    path = "/faults" if number is None else f"/faults/{number}"
    show(asked(url, token_file, "DELETE", path))


def _put(rule: dict[str, Any], text: str) -> None:
    """key=value, the value as JSON or else as text, names of meters with commas between; `when.class=7` goes into the table `when`."""
    key, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} is not key=value")
    table, _, inner = key.rpartition(".")
    place = rule.setdefault(table, {}) if table else rule
    try:
        place[inner] = json.loads(value)
    except ValueError:
        place[inner] = value.split(",") if key == METERS else value


def _keys(rule: dict[str, Any], table: str = "") -> Iterator[str]:
    """The other way round; what is empty is left out."""
    for key, value in rule.items():
        if isinstance(value, dict):
            yield from _keys(value, f"{key}.")
        elif value not in (None, []):
            yield f"{table}{key}={value if isinstance(value, str) else json.dumps(value, separators=(',', ':'))}"
