"""`hes read`: a running head-end reads meters now, and what it answers is shown."""

import sys
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console

from ami_cim.reading_type_names import help_of_types, in_unit_of_name, name_of
from ami_hes.api import paths
from ami_hes.api.values.on_demand import Problem, ReadAnswer, ReadOrder, ReadValueEntry
from ami_hes.client.asking import (
    DEFAULT_URL,
    AsJson,
    TokenFile,
    Url,
    first_problem,
    format_moment,
    head_end,
    show,
    show_json,
    table,
)
from ami_mapping.reading_types import ReadingType
from ami_process.asking import NOT_OK, OK
from ami_process.terminal_tables import Rows
from ami_process.terminal_text import printable

COLUMNS = ("meter", "reading type", "at", "value", "unit", "quality", "source")
PREFIXES = {-6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}
MANDATORY_FIELD_MISSING = "5.8"
"""Reply code; of an order without a time it is the time that is missing."""

read = typer.Typer(add_completion=False, rich_markup_mode=None)
_OPTIONS = {
    "meters": "METER",
    "groups": "--group",
    "reading_types": "--type",
    "from": "--from",
    "to": "--to",
    "source": "--source",
    "qualities": "--quality",
}
MOST_SHOWN = 5


class SourceOption(StrEnum):
    """What `--source` takes."""

    METER = "meter"
    STORE = "store"
    STORE_FIRST = "store first"


@read.command("read")
def read_meters(
    meter: Annotated[list[str] | None, typer.Argument(metavar="[METER...]", help="Names or mRIDs of meters.")] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(metavar="GROUP", help="VALUE or TAG=VALUE of tags (`hes meters groups`); may be repeated."),
    ] = None,
    reading_type: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="TYPE", help=help_of_types("May be repeated. None: all that a meter has.")),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="2026-11-28T12:00, with an offset or in hes.time_zone.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Likewise; none: up to now.")] = None,
    source: Annotated[
        SourceOption,
        typer.Option(
            case_sensitive=False,
            help="Where values come from; 'store first': what is kept, and the meter for the rest.",
        ),
    ] = SourceOption.METER,
    quality: Annotated[
        list[str] | None,
        typer.Option(
            metavar="QUALITY", help="Only values with this ReadingQuality, as 1.0.0; may be repeated: any of them."
        ),
    ] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Have the running HES read meters, and show the values: as they are now, or those of a time.

    A value is in the unit of its name, import in kWh, with whichever multiplier it was read; --json is as it came.

    Exit code 0: all was read. 1: some or all was not, or it is not known. 2: refused as it was asked. 3: the HES cannot be reached.
    """
    hes = head_end(url, token_file)
    given = {
        "meters": meter or [],
        "groups": group or [],
        "reading_types": reading_type or [],
        "from": start,
        "to": end,
        "source": source,
        "qualities": quality or [],
    }
    if not (meter or group):
        raise hes.refused("name at least one METER or a --group")
    try:
        order = ReadOrder.model_validate(given)
    except ValidationError as problem:
        raise hes.refused(first_problem(problem, _OPTIONS)) from None
    with Console(stderr=True).status("waiting for " + ", ".join([*order.meters, *order.groups][:MOST_SHOWN])):
        answer = hes.get(
            paths.READINGS,
            ReadAnswer,
            "POST",
            order.model_dump_json(by_alias=True),
            if_lost="what was read is kept: look with --source store",
        )
    if as_json:
        show_json(answer)
    else:
        _show(answer, order)
    raise typer.Exit(OK if answer.result == "OK" else NOT_OK)


def _show(answer: ReadAnswer, order: ReadOrder) -> None:
    show(f"{answer.result}, MessageID {answer.message_id}")
    for error in answer.errors:
        sys.stderr.write(printable(" ".join(filter(None, (error.meter, error.code, _reason(error, order))))) + "\n")
    if answer.readings:
        show(_table(answer.readings))


def _reason(error: Problem, order: ReadOrder) -> str | None:
    """That of the reply, unless it wants what an option says."""
    if error.code != MANDATORY_FIELD_MISSING or order.start is not None:
        return error.reason
    asked = next((name_of(one) for one in order.reading_types if one in (error.reason or "")), "what is asked for")
    return f"{asked} is a value over a time: say from when by --from, and until when by --to"


def _table(readings: Sequence[ReadValueEntry]) -> Rows:
    """In the units of the names; a column without any text is left out."""
    rows = [_row(one, *in_unit_of_name(one.reading_type, one.value)) for one in readings]
    shown = [column for column in range(len(COLUMNS)) if any(row[column] for row in rows)]
    lines = table(*(COLUMNS[column] for column in shown), numbers={shown.index(COLUMNS.index("value"))})
    for row in rows:
        lines.add_row(*(row[column] for column in shown))
    return lines


def _row(one: ReadValueEntry, code: str, value: str | None) -> tuple[str, ...]:
    shown = "missing" if value is None else value
    return one.meter, name_of(code), _moment(one.at), shown, _unit(code), " ".join(one.qualities), one.source or ""


def _unit(code: str) -> str:
    """With the power of ten that its values have."""
    found = ReadingType.parse(code)
    unit = found.words()["unit"]
    prefix = PREFIXES.get(found.multiplier)
    return f"10^{found.multiplier} {unit}" if prefix is None else f"{prefix}{unit}"


def _moment(at: datetime | None) -> str:
    return "" if at is None else format_moment(at)
