"""What `cis schedule` shows of the answers of a CIS."""

import shutil
import sys
from collections.abc import Sequence
from datetime import datetime

from ami_cim.reading_type_names import name_of
from ami_cis.api_values.readings import ReadingError
from ami_cis.api_values.schedules import ScheduleDetails, ScheduleEnded, ScheduleLine, ScheduleList, ScheduleOrdered
from ami_cis.outcome_words import how_it_ended
from ami_process.terminal_tables import Rows
from ami_process.terminal_text import printable, wrapped

WIDE = 200
"""Columns of a table that goes to no terminal."""
MOST_NAMED = 5
"""Meters and ReadingTypes of a schedule in a list."""
_LABEL = len("reading types  ")
_MINUTE = len("2026-11-28 00:30")
"""A moment without its offset, beside its zone."""
Shown = ScheduleOrdered | ScheduleEnded | ScheduleList | ScheduleDetails


def show(answer: Shown) -> None:
    """An answer for a person."""
    match answer:
        case ScheduleOrdered():
            _write(_how(answer, f"create MeterReadSchedule {answer.name}"))
            if answer.result == "OK":
                _write([f"due for the first time at {_moment(answer.first_due_at)}"])
        case ScheduleEnded():
            _write(_how(answer, f"{answer.verb} MeterReadSchedule {answer.name}"))
        case ScheduleList():
            _write(_how(answer, "get MeterReadSchedule") if answer.result != "OK" else [])
            _write([] if answer.schedules or answer.result != "OK" else ["The HES has no such schedule."])
            _draw(_list_of(answer.schedules) if answer.schedules else None)
            _write([f"and {answer.further:,} more: name meters or a group"] if answer.further else [])
        case ScheduleDetails():
            _write(_how(answer, "get MeterReadSchedule") if answer.schedule is None else [])
            sys.stdout.write("".join(f"{line}\n" for line in _card(answer.schedule)) if answer.schedule else "")
            _draw(_kept(answer) if answer.kept else None)
            if answer.schedule is not None and not answer.kept:
                _write([_why_none(answer.schedule)])


def _how(answer: Shown, what: str) -> list[str]:
    result = how_it_ended(answer.result, unknown=answer.unknown, not_sent=answer.not_sent)
    reason = [] if answer.reason is None else [answer.reason]
    return [f"{what}: {result}, {answer.ms:.0f} ms", *reason, *map(_error, answer.errors)]


def _error(error: ReadingError) -> str:
    return " ".join(filter(None, (error.meter, error.code, error.level, error.reason)))


def _list_of(schedules: Sequence[ScheduleLine]) -> Rows:
    lines = Rows("schedule", "every", "zone", "next due", "meters", "reading types", whole={1, 3})
    for one in schedules:
        row = (
            one.name,
            f"{one.every} {one.at or ''}".strip(),
            one.time_zone,
            _due(one)[:_MINUTE],
            _whose(one),
            _types(one),
        )
        lines.add_row(*row)
    return lines


def _card(one: ScheduleLine) -> list[str]:
    what = (
        ("schedule", one.name),
        ("every", f"{one.every} at {one.at or '?'}, {one.time_zone}"),
        ("next due", _due(one)),
        ("meters", f"group {one.group}" if one.group else ", ".join(one.meters)),
        ("reading types", ", ".join(map(name_of, one.reading_types))),
    )
    return [wrapped(printable(value), name.ljust(_LABEL)) for name, value in what]


def _kept(answer: ScheduleDetails) -> Rows:
    lines = Rows("meter", "reading type", "values", "first", "last", numbers={2}, whole={3, 4})
    for one in answer.kept:
        texts = (one.meter, name_of(one.reading_type), f"{one.values:,}", _moment(one.first_at), _moment(one.last_at))
        lines.add_row(*texts)
    return lines


def _why_none(one: ScheduleLine) -> str:
    if not one.group:
        return "Of these meters and types the CIS has no values yet."
    return "Which meters are in the group is known to the HES alone: `cis read --kept --type TYPE` shows what has come of all."


def _due(one: ScheduleLine) -> str:
    if not one.enabled:
        return "cancelled"
    return "" if one.next_due_at is None else _moment(one.next_due_at)


def _whose(one: ScheduleLine) -> str:
    return f"group {one.group}" if one.group else _some(one.meters)


def _types(one: ScheduleLine) -> str:
    return _some(list(map(name_of, one.reading_types)))


def _some(texts: Sequence[str]) -> str:
    rest = len(texts) - MOST_NAMED
    return ", ".join(texts[:MOST_NAMED]) + (f" and {rest:,} more" if rest > 0 else "")


def _moment(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="minutes")


def _write(lines: Sequence[str]) -> None:
    sys.stdout.write("".join(f"{printable(line)}\n" for line in lines))


def _draw(table: Rows | None) -> None:
    if table is not None:
        width = shutil.get_terminal_size((WIDE, 0)).columns
        sys.stdout.write("".join(f"{line}\n" for line in table.lines(width)))
