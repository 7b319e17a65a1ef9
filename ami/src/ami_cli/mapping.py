"""`ami map`: an OBIS code, a ReadingType or a control code in the other world's words, with the decision behind it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ami_cim.reading_type_names import known_types, names, spelled_obis
from ami_cli import mapping_page
from ami_dlms.errors import LocalError
from ami_dlms.obis import Obis
from ami_mapping.controls import Control, UnknownControl, control_for
from ami_mapping.decisions import decisions
from ami_mapping.events import EventRow, event_rows, native_events
from ami_mapping.hints import near_codes, near_controls, near_obis
from ami_mapping.lookup import Match, ReadingTable, readings
from ami_mapping.partners import export, parse_profile
from ami_mapping.reading_types import ReadingType, RefusedReadingType
from ami_mapping.readings import Confidence, ReadingRow
from ami_mapping.tables import TableError

app = typer.Typer(name="map", add_completion=False)


class NotMapped(Exception):
    """Nothing is mapped to what was asked for; the message is for a person."""


@app.command("map")
def map_command(
    what: Annotated[
        str | None,
        typer.Argument(
            help="An OBIS code (1-0:1.8.0 or 1.8.0), a name (import, voltage-l1), a ReadingType (18 numbers), the type of a control or event (4 numbers), or words of a meaning."
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every row that is served.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="The rows as CSV.")] = False,
    unsure: Annotated[
        bool, typer.Option("--unsure", help="Also the rows that rest on a choice without evidence.")
    ] = False,
    partner: Annotated[Path | None, typer.Option(help="The profile of a partner (TOML): its codes, its rows.")] = None,
    partner_rows: Annotated[Path | None, typer.Option(help="Rows of the partner's own (CSV).")] = None,
    write: Annotated[Path | None, typer.Option(help="Write mapping.md and readings.md into this folder.")] = None,
) -> None:
    """Translate a code between DLMS/COSEM and CIM, and say why.

    Exit code 1: nothing is mapped to it, or a file cannot be used.
    """
    try:
        if write is not None:
            mapping_page.write(write)
            return
        table = _table(unsure, partner, partner_rows)
        if what is not None:
            _explain(table, _unnamed(what.strip()), csv)
        elif everything:
            _show_rows(table, table.rows, csv)
        else:
            raise NotMapped("say what to explain, or --all")
    except (NotMapped, TableError, OSError, UnicodeDecodeError) as trouble:
        typer.echo(f"ami map: {trouble}", err=True)
        raise typer.Exit(1) from None


def _table(unsure: bool, partner: Path | None, rows: Path | None) -> ReadingTable:
    if partner is None and rows is None:
        return readings(unsure=unsure)
    if unsure:
        raise NotMapped("a partner's profile names the unsure rows itself: unsure = [...]")
    profile = partner.read_text("utf-8") if partner else ""
    own = rows.read_text("utf-8-sig") if rows else ""
    return parse_profile(profile, str(partner or "no profile"), own, str(rows)).table()


def _unnamed(what: str) -> str:
    """What a name that every command takes (`ami_cim.reading_type_names`) stands for: its OBIS code, or else its ReadingType."""
    row = next((row for row in known_types() if row.alias == what.lower()), None)
    return what if row is None else row.obis or row.reading_type


def _explain(table: ReadingTable, what: str, csv: bool) -> None:
    if what.count(".") == 3 and what.replace(".", "").isdigit():
        events = native_events(what)
        if events:
            _show_events(events)
        else:
            _show_control(_control(what))
    elif what.count(".") >= 10:
        _show_code(table, *_answers(table, what), csv)
    elif rows := _with_words(table, what):
        _show_rows(table, rows, csv)
    else:
        _show_obis(table, _obis(what), csv)


def _with_words(table: ReadingTable, what: str) -> list[ReadingRow]:
    """The rows whose meaning has all of these words; what has no word of letters is no search."""
    words = what.lower().split()
    if not words or not all(word.isalnum() and not word.isdigit() for word in words):
        return []
    return [row for row in table.rows if set(words) <= set(re.findall(r"\w+", row.meaning.lower()))]


def _obis(what: str) -> Obis:
    try:
        return Obis.parse(spelled_obis(what) or what)
    except LocalError:
        raise NotMapped(
            f"{what[:80]!r} is no OBIS code (1-0:1.8.0*255), no ReadingType (18 numbers), no code of a control or event (4 numbers) "
            f"and no name ({names()}), and no meaning has these words"
        ) from None


def _control(what: str) -> Control:
    try:
        return control_for(what)
    except UnknownControl:
        lines = [f"{what[:64]} is no EndDeviceControlType and no EndDeviceEventType that is known here"]
        lines += [f"near: {one.code} {one.name}" for one in near_controls(what)]
        raise NotMapped("\n".join(lines)) from None


def _answers(table: ReadingTable, what: str) -> tuple[ReadingType, tuple[Match, ...]]:
    try:
        code = ReadingType.parse(what)
    except RefusedReadingType as fault:
        raise NotMapped(f"{fault.reason} ({fault.code})") from None
    try:
        return code, table.answers(code)
    except RefusedReadingType as fault:
        lines = [f"{fault.reason} ({fault.code})"]
        lines += [f"near: {row.code} {row.meaning} ({how})" for row, how in near_codes(table, code)]
        raise NotMapped("\n".join([*lines, *_unsure_hint(code)])) from None


def _unsure_hint(code: ReadingType) -> list[str]:
    try:
        found = readings(unsure=True).answers(code)
    except RefusedReadingType:
        return []
    return [f"{match.row.id} has it and is unsure: turn it on, or look at it with --unsure" for match in found[:1]]


def _show_control(control: Control) -> None:
    console = Console()
    table = _grid()
    for name, value in (
        ("EndDeviceControlType", control.code),
        ("name", control.name),
        ("COSEM", f"{control.place}, parameter integer 0" if control.is_switch else control.place),
        ("done when", f"the meter reads back {control.read_back}"),
        ("event when done", control.done or "none"),
        ("event when not", control.failed or "none"),
        ("source", control.source),
    ):
        table.add_row(name, Text(value))
    console.print(table)
    _show_decision(console, control.decision)


def _show_events(rows: tuple[EventRow, ...]) -> None:
    console = Console()
    grid = _grid("log", "number", "EndDeviceEventType", "what happened")
    for row in rows:
        grid.add_row(str(row.log), str(row.number), row.code, Text(f"{row.meaning} ({row.confidence})"))
    console.print(grid)
    _show_decision(console, rows[0].decision)


def _show_code(table: ReadingTable, code: ReadingType, found: tuple[Match, ...], csv: bool) -> None:
    if csv:
        _show_rows(table, [match.row for match in found], csv)
        return
    console = Console()
    fields = _grid("field", "number", "in words")
    for name, number, word in zip(code._fields, code, code.words().values(), strict=True):
        fields.add_row(name, str(number), Text(word))
    console.print(fields)
    if table.is_alias(code):
        console.print(Text(f"an alias of {found[0].reading_type(code.multiplier, code.currency)}"))
    rows = _grid("row", "attribute", "context and meaning")
    for match in found:
        obis = match.row.obis
        place = (
            f"class {match.row.class_id} {obis} attribute {match.row.attribute}" if obis else "computed from other rows"
        )
        if match.bindings.tariff:
            place = place.replace(".t*", f".{match.bindings.tariff}*")
        text = Text.assemble(match.row.context.name, (f"\n{_meaning(match.row)}", "dim"))
        rows.add_row(match.row.id, place, text)
    console.print(rows)
    _show_notes(console, [match.row for match in found])
    _show_decision(console, found[0].row.decision)


def _show_obis(table: ReadingTable, obis: Obis, csv: bool) -> None:
    found = table.rows_of(obis)
    events = tuple(row for row in event_rows().values() if row.log == obis)
    if events and not found:
        _show_events(events)
        return
    if not found:
        near = "".join(f"\nnear: {row.obis} {row.meaning} ({row.context.name})" for row in near_obis(table, obis))
        hidden = len(readings(unsure=True).rows_of(obis))
        hint = f"\nit has unsure rows ({hidden}): look at them with --unsure" if hidden else ""
        raise NotMapped(f"{obis} has no ReadingType{near}{hint}")
    if csv:
        _show_rows(table, [match.row for match in found], csv)
        return
    console = Console()
    rows = _grid("row", "ReadingType", "context and meaning")
    for match in found:
        code = str(match.row.code).replace(".t.", f".{match.bindings.tariff}.", 1)
        place = f"{match.row.context.name}, class {match.row.class_id} attribute {match.row.attribute}"
        rows.add_row(match.row.id, code, Text.assemble(place, (f"\n{_meaning(match.row)}", "dim")))
    console.print(rows)
    console.print(Text("m is the multiplier: the meter's scaler, or what was asked for", style="dim"))
    first = found[0].row
    fields = _grid("field", "number", f"in words, of {first.id}")
    for (name, word), field in zip(first.code.known.words().items(), first.code.fields, strict=True):
        fields.add_row(name, str(field), Text("open" if isinstance(field, str) else word))
    console.print(fields)
    _show_notes(console, [match.row for match in found])
    _show_decision(console, first.decision)


def _show_rows(table: ReadingTable, rows: tuple[ReadingRow, ...] | list[ReadingRow], csv: bool) -> None:
    if csv:
        typer.echo(export(table if len(rows) == len(table.rows) else ReadingTable(rows)), nl=False)
        return
    console = Console()
    grid = _grid("row", "ReadingType", "attribute, context and meaning")
    for row in rows:
        place = f"{row.obis or 'none'} class {row.class_id} attribute {row.attribute}, {row.context.name}"
        grid.add_row(row.id, str(row.code), Text.assemble(place, (f"\n{_meaning(row)}", "dim")))
    console.print(grid)


def _show_notes(console: Console, rows: list[ReadingRow]) -> None:
    for row in rows:
        if row.note:
            console.print(Text(f"{row.id}: {row.note}"))
    for source in dict.fromkeys(row.source for row in rows if row.confidence is Confidence.FIELD):
        console.print(Text(f"seen in: {source}"))


def _show_decision(console: Console, number: str) -> None:
    one = decisions()[number]
    for title, text in ((f"{one.number} {one.title}.", one.question), ("Decision.", one.decision), ("Why.", one.why)):
        console.print(Text.assemble((title, "bold"), " ", " ".join(text.split())))


def _meaning(row: ReadingRow) -> str:
    computed = ", computed by the head-end" if row.computed else ""
    return f"{row.meaning}{computed} ({row.confidence}, {row.decision})"


def _grid(*columns: str) -> Table:
    table = Table(box=None, show_header=bool(columns), pad_edge=False, header_style="bold")
    for name in columns or ("", ""):
        table.add_column(name, overflow="fold", no_wrap=name in ("ReadingType", "attribute"))
    return table
