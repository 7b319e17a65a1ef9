"""`cis read`: values of meters, read by way of a running CIS or kept by it, as a table, CSV, JSON or bars."""

import shutil
import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlencode

import typer

from ami_cim.reading_type_names import help_of_types, in_unit_of_name, name_of
from ami_cis.api_values.readings import (
    READINGS,
    KeptReadings,
    ReadingError,
    ReadingsOrder,
    ReadingsOutcome,
    ReadingValue,
)
from ami_cis.client import (
    DEFAULT_URL,
    Asynchronous,
    MessageId,
    Meters,
    Mrids,
    TokenFile,
    Url,
    UsagePoints,
    order_of,
    outcome_of,
)
from ami_cis.outcome_words import how_it_ended
from ami_cis.reading_plot import plot
from ami_cis.reading_tables import as_csv, table
from ami_cis.reading_types import unit_of
from ami_process.asking import NOT_OK, OK, RunningProcess
from ami_process.commands import AsJson
from ami_process.terminal_text import printable

read = typer.Typer(add_completion=False, rich_markup_mode=None)

WIDE = 120
"""Columns of what goes to no terminal: a day of quarters on one line."""
MANDATORY_FIELD_MISSING = "5.8"
"""Reply code; of an order without a time it is the time that is missing."""


class Form(StrEnum):
    """How readings are shown."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PLOT = "plot"


class SourceOption(StrEnum):
    """What `--source` takes."""

    METER = "meter"
    STORE = "store"
    STORE_FIRST = "store first"


@read.command("read")
def read_meters(
    name: Annotated[
        list[str] | None, typer.Argument(metavar="[METER...]", help="Names of meters, as with --meter.")
    ] = None,
    meter: Meters = None,
    mrid: Mrids = None,
    usage_point: UsagePoints = None,
    group: Annotated[
        list[str] | None,
        typer.Option(metavar="GROUP", help="Meters with this tag: VALUE or TAG=VALUE of the HES; may be repeated."),
    ] = None,
    usage_point_group: Annotated[
        list[str] | None,
        typer.Option(metavar="GROUP", help="Likewise, of meters that are at a usage point."),
    ] = None,
    reading_type: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="TYPE", help=help_of_types("May be repeated. None: all that a meter has.")),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="2026-11-28T12:00, with an offset or in cis.time_zone.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Likewise; none: up to now.")] = None,
    source: Annotated[
        SourceOption | None,
        typer.Option(
            case_sensitive=False,
            help="Where the HES takes values from; 'store first': what is kept, and the meter for the rest. None: meter.",
        ),
    ] = None,
    quality: Annotated[
        list[str] | None,
        typer.Option(
            metavar="QUALITY", help="Only values with this ReadingQuality, as 1.0.0; may be repeated: any of them."
        ),
    ] = None,
    kept: Annotated[bool, typer.Option("--kept", help="Ask no meter: show what the CIS has.")] = False,
    message_id: MessageId = None,
    asynchronous: Asynchronous = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV instead of a table.")] = False,
    as_json: AsJson = False,
    as_plot: Annotated[bool, typer.Option("--plot", help="Bars of every series instead of a table.")] = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Have the running CIS read meters by way of the HES, and show the values: now, or those of a period.

    A value is in the unit of its name, import in kWh, with whichever multiplier the HES gives it; --json is as it came.

    Exit code 0: OK. 1: anything else. 2: refused as it was asked. 3: the CIS cannot be reached.
    """
    cis = RunningProcess("cis", url, token_file, "read")
    meter = [*(name or []), *(meter or [])]
    form = _form_of(cis, as_csv=as_csv, as_json=as_json, as_plot=as_plot)
    if kept:
        if mrid or usage_point or group or usage_point_group or source or quality:
            raise cis.refused("what is kept is found by METER, --type, --from and --to alone")
        query = [("meter", name) for name in meter] + [("type", one) for one in reading_type or []]
        _show_kept(cis, query + [(name, text) for name, text in (("from", start), ("to", end)) if text], form)
        return
    if not (meter or mrid or usage_point or group or usage_point_group):
        raise cis.refused("name at least one METER, --mrid, --usage-point, --group or --usage-point-group")
    wanted = {
        "meters": meter,
        "mrids": mrid or [],
        "usage_points": usage_point or [],
        "groups": group or [],
        "usage_point_groups": usage_point_group or [],
        "reading_types": reading_type or [],
        "from": start,
        "to": end,
        "source": source,
        "qualities": quality or [],
        "asynchronous": asynchronous,
        "message_id": message_id,
    }
    raise typer.Exit(_read(cis, order_of(cis, ReadingsOrder, wanted), form))


def _form_of(cis: RunningProcess, *, as_csv: bool, as_json: bool, as_plot: bool) -> Form:
    """The form that options ask for."""
    wanted = [one for one, asked in ((Form.CSV, as_csv), (Form.JSON, as_json), (Form.PLOT, as_plot)) if asked]
    if len(wanted) > 1:
        raise cis.refused("--csv, --json and --plot exclude each other")
    return (*wanted, Form.TABLE)[0]


def _read(cis: RunningProcess, order: ReadingsOrder, form: Form) -> int:
    """Have the CIS ask for readings, and show what comes; the exit code, 0 only for OK."""
    again = f"ask again with --message-id {order.message_id}, or look with --kept"
    unknown = f"what has come is kept all the same: {again}"
    outcome = outcome_of(cis, READINGS, order, ReadingsOutcome, if_lost=unknown)
    if form is Form.JSON:
        sys.stdout.write(outcome.model_dump_json() + "\n")
    else:
        _show(outcome.readings, form, _head(outcome))
    return OK if outcome.result == "OK" else NOT_OK


def _show_kept(cis: RunningProcess, query: Sequence[tuple[str, str]], form: Form) -> None:
    """Show the readings that the CIS keeps."""
    kept = cis.get(f"{READINGS}?{urlencode(query)}", KeptReadings)
    if form is Form.JSON:
        sys.stdout.write(kept.model_dump_json() + "\n")
    else:
        _show(kept.readings, form, _head_of_kept(kept))


def _show(readings: Sequence[ReadingValue], form: Form, head: Sequence[str]) -> None:
    """In the units of the names. Of CSV the head goes to standard error: what reads it wants rows alone."""
    readings = sorted(map(_in_unit_of_name, readings), key=lambda one: (one.meter, one.reading_type, one.at))
    lines = "".join(f"{line}\n" for line in head)
    if form is Form.CSV:
        sys.stderr.write(lines)
        sys.stdout.write(as_csv(readings))
    else:
        sys.stdout.write(lines + ("\n" if lines and readings else ""))
        sys.stdout.write(_drawn(readings, form) if readings else "")


def _in_unit_of_name(one: ReadingValue) -> ReadingValue:
    code, value = in_unit_of_name(one.reading_type, one.value)
    return (
        one
        if code == one.reading_type
        else one.model_copy(update={"reading_type": code, "value": value, "unit": unit_of(code)})
    )


def _drawn(readings: Sequence[ReadingValue], form: Form) -> str:
    width = shutil.get_terminal_size((WIDE, 0)).columns
    return plot(readings, width) if form is Form.PLOT else table(readings, width)


def _head_of_kept(kept: KeptReadings) -> list[str]:
    if not kept.readings:
        return ["The CIS has no such values. Without --kept the meters are asked."]
    return [] if kept.complete else [f"the first {len(kept.readings):,}; there are more"]


def _head(outcome: ReadingsOutcome) -> list[str]:
    """What was asked, how it ended, and what did not come."""
    result = how_it_ended(outcome.result, unknown=outcome.unknown, not_sent=outcome.not_sent)
    lines = [f"get MeterReadings of {', '.join(outcome.meters[:10])}: {result}, {outcome.ms:.0f} ms"]
    lines.append(f"MessageID {outcome.message_id}")
    if outcome.start is not None:
        until = "now" if outcome.end is None else outcome.end.isoformat()
        lines.append(f"from {outcome.start.isoformat()} to {until}")
    if not outcome.complete:
        lines.append(f"the first {len(outcome.readings):,} values; there are more")
    if outcome.reason is not None:
        lines.append(outcome.reason)
    for error in outcome.errors:
        lines.append(" ".join(filter(None, (error.meter, error.code, error.level, _reason(error, outcome)))))
    return list(map(printable, lines))


def _reason(error: ReadingError, outcome: ReadingsOutcome) -> str | None:
    """That of the HES, unless it wants what an option says."""
    if error.code != MANDATORY_FIELD_MISSING or outcome.start is not None:
        return error.reason
    asked = next((name_of(one) for one in outcome.reading_types if one in (error.reason or "")), "what is asked for")
    return f"{asked} is a value over a time: say from when by --from, and until when by --to"
