"""What a person or a program gets to see: a table by default, JSON or CSV when asked for, and errors in three lines."""

import csv
import io
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import groupby, zip_longest
from pathlib import Path
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ami_cli.meter.errors import ExitCode, MeterError
from ami_cli.meter.pack_names import NO_NAMES, PackNames
from ami_cli.meter.reading import AttributeReading
from ami_cli.meter.values import Json
from ami_dlms.cosem.classes import attribute_name, class_name
from ami_dlms.cosem.obis_names import describe
from ami_process.spreadsheet_cells import as_cell

CSV_COLUMNS = (
    "logical_device",
    "obis",
    "class_id",
    "version",
    "class",
    "name",
    "attribute_id",
    "attribute",
    "access",
    "type",
    "text",
    "quantity",
    "unit",
    "error",
    "note",
    "a_xdr",
)


LONGEST_CELL = 400


class Format(StrEnum):
    """How results are written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def write(text: str) -> None:
    """A line of a result."""
    typer.echo(text)


def report(text: str) -> None:
    """A line that is no result. Written to what serves as standard error now: while a bar is shown, that is above it."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def complain(error: MeterError) -> None:
    """What happened, where, what to do."""
    typer.echo(f"ami meter: {error}", err=True)


def as_json(document: Json | Mapping[str, Any] | Sequence[Any]) -> str:
    """One document, for a program; short lines for a person."""
    return json.dumps(document, indent=1, ensure_ascii=False)


def as_csv(rows: Iterable[Mapping[str, object]], columns: Sequence[str]) -> str:
    """RFC 4180 with a heading; no text is a formula, since it is a meter's."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", restval="")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def csv_of(rows: Iterable[Sequence[str]]) -> str:
    """RFC 4180 of rows that may have the same heading twice."""
    text = io.StringIO()
    csv.writer(text).writerows(map(as_cell, row) for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    return as_cell(value) if isinstance(value, str) else value


def readings_table(readings: Sequence[AttributeReading], title: str = "", names: PackNames = NO_NAMES) -> Table:
    """One line per attribute; an object's name is at its first one, what it is at its second, by the pack if it knows."""
    table = _table(title, ("object", "attribute", "access", "value"))
    for _, group in groupby(readings, lambda one: (one.descriptor.class_id, one.descriptor.instance_id)):
        rows = list(group)
        for left, one in zip_longest(_names(rows[0], names), rows):
            table.add_row(left, *(_cells(one, names) if one is not None else ()))
    return table


def _names(one: AttributeReading, known: PackNames) -> list[Text]:
    obis = one.descriptor.instance_id
    names = [Text(f"{obis}  {class_name(one.descriptor.class_id)} v{one.version}")]
    if words := known.object_name(one.descriptor.class_id, obis) or describe(obis):
        names.append(Text(words, style="dim"))
    return names


def _cells(one: AttributeReading, known: PackNames) -> tuple[str, str, Text]:
    text = one.text if len(one.text) <= LONGEST_CELL else f"{one.text[:LONGEST_CELL]}… (all of it with --json)"
    if one.value is not None and one.descriptor.attribute_id == VALUE:
        meaning = known.event_meaning(one.descriptor.class_id, one.descriptor.instance_id, one.value.value)
        text += f": {meaning}" if meaning else ""
    value = Text(text, style="red" if one.error else "dim" if one.value is None else "")
    return f"{one.descriptor.attribute_id} {attribute_name(one.descriptor)}", one.access, value


def rows_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> Table:
    """Any rows of text."""
    table = _table(title, columns)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def save(path: Path, text: str) -> None:
    """Into a file; MeterError when that is impossible."""
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise MeterError(ExitCode.USAGE, f"can't be written: {error.strerror}", where=str(path)) from None
    report(f"saved {path}")


def show(table: Table) -> None:
    """On standard output; in full when that is no terminal."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDE)
    console.print(table)


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=Text(title) if title else None, title_justify="left", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    return table


VALUE = 2
"""Of class 1."""
_WIDE = 240
