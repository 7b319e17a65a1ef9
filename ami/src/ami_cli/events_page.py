"""`ami events`: every event that the processes report on standard output as a page, from their declarations (docs/events.md)."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from itertools import starmap
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer

import ami_cis.events
import ami_console.sign_in_events
import ami_hes.events
import ami_meter_sim.events
import ami_process.events
import ami_process.store.events
import ami_process.tls_events
from ami_cli.decoding import declared
from ami_hes.events import DETAILS
from ami_process.meanings import meanings

app = typer.Typer(name="events", add_completion=False)

SECTIONS: tuple[tuple[str, str, ModuleType], ...] = (
    (
        "Every process",
        "CIS, HES and simulated meters report these; those of the HES have a `level`.",
        ami_process.events,
    ),
    ("Every process with a store", "CIS and HES report these.", ami_process.store.events),
    (
        "Every process that speaks TLS",
        "CIS and HES report these ([secure-it](howto/secure-it.md)).",
        ami_process.tls_events,
    ),
    (
        "Every process with a console",
        "CIS and HES report these, and simulated meters where they have one ([use-the-console](howto/use-the-console.md#signing-in)).",
        ami_console.sign_in_events,
    ),
    ("CIS", "The customer information system.", ami_cis.events),
    ("HES", "The head-end system. Each line ends with its `level`: `info`, `warning` or `error`.", ami_hes.events),
    ("Simulated meters", "The process that plays them.", ami_meter_sim.events),
)
INTRODUCTION = """\
# Events

CIS, HES and simulated meters report what happens as lines on standard output, one JSON object each. It begins with `event`, the
name, and `at`, the moment (UTC, ISO 8601) by the clock that the process lives by ([settings](settings.md)); the fields follow. A field that
is marked as optional is left out where it has no meaning. Names ending in `_s` are seconds, `ms` are milliseconds. `ami demo --json` passes the lines on,
with the name of the process. This page is written by `ami events --write docs/events.md`, from the classes that make the lines.
"""
WORDS: Mapping[object, str] = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    Any: "any JSON",
    type(None): "null",
    dict[str, Any]: "JSON object",
}


@app.command("events")
def events(
    write: Annotated[Path | None, typer.Option(help="Write the page here, not to the screen.")] = None,
) -> None:
    """List every event that the processes report, with its fields and when it is reported."""
    if write is None:
        typer.echo(page(), nl=False)
    else:
        write.write_text(page(), "utf-8")


def page() -> str:
    """The page in Markdown."""
    return (
        INTRODUCTION + "".join(_section(*section) for section in SECTIONS) + "".join(starmap(_details, DETAILS.items()))
    )


def _section(title: str, about: str, module: ModuleType) -> str:
    return f"\n## {title}\n\n{about}\n" + "".join(map(_event, declared(module)))


def _event(kind: type[Any]) -> str:
    level = f" Level: {kind.severity}." if kind.severity else ""
    rows = "".join(_row(kind, one.name, optional=one.default is None) for one in fields(kind))
    return (
        f"\n### `{kind.event}`\n\n{inspect.getdoc(kind)}{level}\n\n| field | value | meaning |\n|---|---|---|\n{rows}"
    )


def _details(operation: str, kind: type[Any]) -> str:
    rows = "".join(_row(kind, one.name, optional=False) for one in fields(kind))
    title = f"`details` of the operation `{operation}`"
    return f"\n## {title}\n\nIn `meter_done` and `late_answer`.\n\n| field | value | meaning |\n|---|---|---|\n{rows}"


def _row(kind: type[Any], name: str, *, optional: bool) -> str:
    hint = get_type_hints(kind)[name]
    kinds = [word for word in dict.fromkeys(_kinds(hint)) if not (optional and word == "null")]
    value = " or ".join(kinds) + (", optional" if optional else "")
    return f"| `{name}` | {value} | {meaning(kind, name)} |\n"


def _kinds(hint: Any) -> Iterator[str]:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        for one in get_args(hint):
            yield from _kinds(one)
    elif origin is Literal:
        yield from (f"`{one}`" for one in get_args(hint))
    elif origin is list:
        yield "list of " + " or ".join(_kinds(get_args(hint)[0]))
    elif isinstance(hint, type) and is_dataclass(hint):
        yield "{" + ", ".join(f"`{one.name}`" for one in fields(hint)) + "}"
    else:
        yield WORDS[hint]


def meaning(kind: type[Any], name: str) -> str:
    """What is below the declaration of a field, in the class or the one that it continues; empty when nothing does."""
    return meanings(kind).get(name, "").rstrip(".").replace("|", "\\|")
