"""A profile's rows (class 7): chosen by time, by entry or by column, with times, scaled values and what the meter left out.

What the meter left out (null-data for "as above") is put back and marked: `=` repeated, `~` one capture period later. So is
what is no reading: `Δ` a difference to the row above, `!` a row outside the time that was asked for. A row, a column or a
unit that can't be read costs itself and is reported.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ami_cli.meter import value_arguments
from ami_cli.meter.attribute_reads import SingleReads
from ami_cli.meter.errors import ExitCode, MeterError
from ami_cli.meter.objects import ListedObject
from ami_cli.meter.pack_names import NO_NAMES, PackNames
from ami_cli.meter.reading import SCALED, quantity_of, scaler_of
from ami_cli.meter.session import Session
from ami_cli.meter.values import Json, column_title, date_time_of, json_of, plain_text, text_of
from ami_dlms import data
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.profile import DIFFERENCES, OddRow, Origin, ProfileRow, decode_each_row
from ami_dlms.cosem.quantity import ScalerUnit
from ami_dlms.cosem.selection import CLOCK_TIME, CaptureObject, EntryDescriptor, RangeDescriptor, SelectiveAccess
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataTag
from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.obis import Obis

PROFILE_GENERIC = 7
BUFFER, CAPTURE_OBJECTS, CAPTURE_PERIOD, ENTRIES_IN_USE = 2, 3, 4, 7
MARKS = {Origin.SENT: "", Origin.REPEATED: " =", Origin.INTERPOLATED: " ~", Origin.DIFFERENCE: " Δ"}
OUTSIDE = " !"
UNKNOWN = CaptureObject(0, Obis(bytes(6)), 0)
"""In place of a column whose definition can't be read."""
LONGEST_ODD = 120
TIME_OCTETS = 12
EARLIEST, LATEST = "2000-01-01T00:00:00Z", "2099-12-31T23:59:59Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedRows:
    """Which part of the buffer: nothing set means all of it. `columns` are numbers from 1 or OBIS codes."""

    since: str = ""
    until: str = ""
    last: int | None = None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """Rows with their columns, ready to be shown. `outside` says of each row whether it was not asked for; `notes` what is odd."""

    columns: tuple[CaptureObject, ...]
    scalers: tuple[ScalerUnit | None, ...]
    rows: tuple[ProfileRow, ...]
    capture_period_s: int
    outside: tuple[bool, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def headings(self) -> list[str]:
        """Name of each column, with the unit of its values."""
        return [
            _title(column) + (f" [{quantity.unit.symbol}]" if quantity is not None else "")
            for column, scaler in zip(self.columns, self.scalers, strict=True)
            for quantity in (quantity_of(data.integer(0), scaler),)
        ]

    def texts(self, *, marks: bool = True, names: PackNames = NO_NAMES) -> list[list[str]]:
        """One text a cell; differences have their sign, marks or not. `names` say what numbers of events mean."""
        cells = [
            [
                self._text(number, value, names) + (MARKS[origin] if marks else "")
                for number, (value, origin) in enumerate(zip(row.values, row.origins, strict=True))
            ]
            for row in self.rows
        ]
        if marks:
            for row, outside in zip(cells, self.outside, strict=False):
                row[0] += OUTSIDE if outside else ""
        return cells

    def document(self) -> dict[str, Json]:
        """For JSON."""
        return {
            "capture_period_s": self.capture_period_s,
            "columns": list[Json](self.headings),
            "rows": [list[Json](row) for row in self.texts(marks=False)],
            "origins": [[origin.value for origin in row.origins] for row in self.rows],
            "outside": list[Json](self.outside),
            "raw": [[json_of(value) for value in row.values] for row in self.rows],
            "notes": list[Json](self.notes),
        }

    def csv_rows(self) -> tuple[list[str], list[list[str]]]:
        """Headings and cells; where rows came that were not asked for, a last column says which."""
        headings, rows = self.headings, self.texts(marks=False)
        if not any(self.outside):
            return headings, rows
        words = ("", "outside what was asked for")
        return [*headings, "note"], [[*row, words[out]] for row, out in zip(rows, self.outside, strict=True)]

    def _text(self, number: int, value: Data, names: PackNames) -> str:
        quantity, is_difference = quantity_of(value, self.scalers[number]), value.tag in DIFFERENCES
        if quantity is not None:
            return f"{quantity.value:+f}" if is_difference else f"{quantity.value:f}"
        if is_difference:
            return f"{value.value:+d}"
        column = self.columns[number]
        text = text_of(AttributeDescriptor(column.class_id, column.logical_name, column.attribute_index), value)
        meaning = names.event_meaning(column.class_id, column.logical_name, value.value)
        return f"{text}: {meaning}" if meaning else text


def read_profile(session: Session, one: ListedObject, wanted: WantedRows) -> Profile:
    """The wanted part of the buffer; ServiceRefused with the meter's word, MeterError for a wish that can't be put."""
    notes: list[str] = []
    ask = SingleReads(session)
    columns = _columns(session.association.get(one.attribute(CAPTURE_OBJECTS)), notes)
    value, trouble = ask(one.attribute(CAPTURE_PERIOD))
    period = 0 if value is None else _number(value)
    if trouble:
        notes.append(f"the capture period is not known: {trouble}")
    chosen = _chosen(columns, wanted.columns)
    selection = _selection(_first_entry(ask, one, wanted, notes), columns, chosen, wanted)
    buffer = session.association.get(one.attribute(BUFFER), selection)
    if chosen != columns and _came_whole(buffer, columns, chosen):
        notes.append(f"the meter does not choose columns: all {len(columns)} came")
        chosen = columns
    rows = _rows(buffer, chosen, period, one, notes)
    outside = _outside(rows, chosen, wanted, notes)
    scalers = _scalers(ask, chosen, notes)
    return Profile(chosen, scalers, rows, period, outside, (*notes, *_legend(rows)))


# --- what came


def _columns(value: Data, notes: list[str]) -> tuple[CaptureObject, ...]:
    if value.tag is not DataTag.ARRAY:
        raise MeterError(
            ExitCode.NOT_UNDERSTOOD,
            f"an array was expected, and {value.tag.name.lower()} came",
            where="capture_objects",
        )
    return tuple(_column(number, one, notes) for number, one in enumerate(value.value, 1))


def _column(number: int, value: Data, notes: list[str]) -> CaptureObject:
    """As the standard writes it, or with other whole numbers and more elements, as some meters do."""
    try:
        return CaptureObject.decode(value)
    except DecodeError as error:
        elements = [one.value for one in value.value[:4]] if value.tag is DataTag.STRUCTURE else []
        match elements:
            case [int(class_id), bytes(name), int(attribute), int(index)] if len(name) == len(UNKNOWN.logical_name):
                return CaptureObject(int(class_id), Obis(name), int(attribute), int(index))
        notes.append(f"column {number} is not known: {error}")
        return UNKNOWN


def _title(column: CaptureObject) -> str:
    return "not known" if column == UNKNOWN else column_title(column)


def _came_whole(buffer: Data, columns: Sequence[CaptureObject], chosen: Sequence[CaptureObject]) -> bool:
    """Whether the rows have the columns of the profile instead of the chosen: by their number, or by the place of the time."""
    items = data.expand(buffer.value) if buffer.tag is DataTag.COMPACT_ARRAY else buffer.value
    if buffer.tag not in (DataTag.ARRAY, DataTag.COMPACT_ARRAY) or not items:
        return False
    if not all(item.tag is DataTag.STRUCTURE and len(item.value) == len(columns) for item in items):
        return False
    if len(columns) != len(chosen):
        return True
    wanted, whole = (
        [number for number, column in enumerate(some) if (column.class_id, column.attribute_index) == CLOCK_TIME]
        for some in (chosen, columns)
    )
    first = items[0].value
    return all(_is_time(first[number]) for number in whole) and not all(_is_time(first[number]) for number in wanted)


def _is_time(value: Data) -> bool:
    return value.tag is DataTag.DATE_TIME or (value.tag is DataTag.OCTET_STRING and len(value.value) == TIME_OCTETS)


def _rows(
    buffer: Data, columns: tuple[CaptureObject, ...], period: int, one: ListedObject, notes: list[str]
) -> tuple[ProfileRow, ...]:
    if buffer.tag is DataTag.NULL_DATA:
        notes.append("the meter sends null-data for the buffer")
        return ()
    try:
        found = list(decode_each_row(buffer, columns, period))
    except DecodeError as error:
        raise MeterError(ExitCode.NOT_UNDERSTOOD, str(error), where=f"the buffer of {one.obis}") from None
    for number, row in enumerate(found, 1):
        if isinstance(row, OddRow):
            shown = plain_text(row.value)[:LONGEST_ODD]
            notes.append(
                f"row {number} of {len(found)} is left out, {row.error.args[0]} was expected: {row.error.got}, {shown}"
            )
    rows = tuple(row for row in found if isinstance(row, ProfileRow))
    if found and not rows:
        raise MeterError(ExitCode.NOT_UNDERSTOOD, notes[-1], where=f"the buffer of {one.obis}")
    return rows


def _outside(
    rows: Sequence[ProfileRow], columns: Sequence[CaptureObject], wanted: WantedRows, notes: list[str]
) -> tuple[bool, ...]:
    """Which rows were not asked for: their time lies outside, or there are more than the number of last rows."""
    if wanted.last is not None and len(rows) > wanted.last:
        notes.append(f"{OUTSIDE.strip()} {len(rows)} rows came, and {wanted.last} were asked for")
        return (True,) * (len(rows) - wanted.last) + (False,) * wanted.last
    clock = next((number for number, column in enumerate(columns) if column.is_clock), None)
    if clock is None or not (wanted.since or wanted.until):
        return (False,) * len(rows)
    ends = [value_arguments.moment(text) if text else None for text in (wanted.since, wanted.until)]
    outside = tuple(_lies_outside(columns[clock], row.values[clock], *ends) for row in rows)
    if any(outside):
        of_all = "all" if all(outside) else f"{sum(outside)} of"
        what = f"{of_all} {len(rows)} rows lie outside the time that was asked for"
        notes.append(f"{OUTSIDE.strip()} {what}: the meter does not choose by it, or not as its clock shows")
    return outside


def _lies_outside(column: CaptureObject, value: Data, since: CosemDateTime | None, until: CosemDateTime | None) -> bool:
    time = _unix(value) if column.is_unix_clock else date_time_of(value)
    if time is None:
        return False
    before = since is not None and _is_before(time, since)
    return before or (until is not None and _is_before(until, time))


def _is_before(one: CosemDateTime, other: CosemDateTime) -> bool:
    """As moments where both say their offset, else as local times; False for what is no single time."""
    local = None in (one.deviation_minutes, other.deviation_minutes)
    try:
        first, second = (CosemDateTime.to_datetime(_as_utc(time) if local else time) for time in (one, other))
    except LocalError:
        return False
    return first < second


def _as_utc(time: CosemDateTime) -> CosemDateTime:
    """The same local time, as if it were UTC."""
    return CosemDateTime(
        time.year, time.month, time.day, None, time.hour, time.minute, time.second, time.hundredths, 0, None
    )


def _unix(value: Data) -> CosemDateTime | None:
    try:
        return CosemDateTime.from_datetime(datetime.fromtimestamp(value.value, UTC))
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _legend(rows: Sequence[ProfileRow]) -> list[str]:
    if not any(Origin.DIFFERENCE in row.origins for row in rows):
        return []
    return [f"{MARKS[Origin.DIFFERENCE].strip()} a difference to the row above, as the meter sends it, and no reading"]


def _scalers(ask: SingleReads, columns: Sequence[CaptureObject], notes: list[str]) -> tuple[ScalerUnit | None, ...]:
    """The units of the columns; what a meter that has gone meanwhile does not give is not worth its rows."""
    found: list[ScalerUnit | None] = []
    try:
        for column in columns:
            found.append(_scaler(ask, column, notes))
    except MeterError as error:
        notes.append(f"from column {len(found) + 1} on the units are not known: {error.where}: {error.what}")
    return tuple(found) + (None,) * (len(columns) - len(found))


def _scaler(ask: SingleReads, column: CaptureObject, notes: list[str]) -> ScalerUnit | None:
    """The unit of a column's values, from the register that they were captured from."""
    source = SCALED.get(column.class_id, {}).get(column.attribute_index)
    if source is None:
        return None
    value, trouble = ask(AttributeDescriptor(column.class_id, column.logical_name, source))
    found = scaler_of(value)
    if found is None:
        why = trouble or "its scaler_unit is none"
        notes.append(f"the values of {_title(column)} are as they were sent, their unit is not known: {why}")
    return found


# --- what is asked for


def _chosen(columns: tuple[CaptureObject, ...], wanted: Sequence[str]) -> tuple[CaptureObject, ...]:
    if not wanted:
        return columns
    titles = [_title(column) for column in columns]
    found = []
    for word in wanted:
        if word.isdecimal() and 0 < int(word) <= len(columns):
            found.append(columns[int(word) - 1])
            continue
        named = [
            column for column, title in zip(columns, titles, strict=True) if not word.isdecimal() and word in title
        ]
        if len(named) != 1:
            there = "; ".join(f"{number} {title}" for number, title in enumerate(titles, 1))
            raise MeterError(ExitCode.USAGE, f"{word} is not one of: {there}", where="--columns")
        found += named
    return tuple(found)


def _first_entry(ask: SingleReads, one: ListedObject, wanted: WantedRows, notes: list[str]) -> int:
    """Where the requested last rows begin; at the first one when the meter does not say how many there are."""
    if wanted.last is None:
        return 1
    in_use, trouble = ask(one.attribute(ENTRIES_IN_USE))
    if in_use is None:
        notes.append(f"how many rows there are is not known, all are read: {trouble}")
        return 1
    return max(_number(in_use) - wanted.last + 1, 1)


def _selection(
    first: int,
    columns: Sequence[CaptureObject],
    chosen: tuple[CaptureObject, ...],
    wanted: WantedRows,
) -> SelectiveAccess | None:
    by_time = wanted.since or wanted.until
    if by_time and wanted.last is not None:
        raise MeterError(ExitCode.USAGE, "choose rows by --from and --to, or by --last", where="profile")
    selected = chosen if chosen != tuple(columns) else ()
    if by_time or (selected and wanted.last is None and not _is_run(columns, chosen)):
        return _by_range(columns, selected, wanted)
    if wanted.last is None and not selected:
        return None
    if selected and not _is_run(columns, chosen):
        raise MeterError(
            ExitCode.USAGE,
            "with --last only neighbouring columns in their order can be chosen",
            where="--columns",
            hint="choose rows by --from and --to",
        )
    left = columns.index(chosen[0]) + 1
    return EntryDescriptor(first, 0, left, left + len(chosen) - 1 if selected else 0).encode()


def _is_run(columns: Sequence[CaptureObject], chosen: Sequence[CaptureObject]) -> bool:
    """Whether the chosen ones stand side by side, in the order of the profile."""
    start = columns.index(chosen[0])
    return tuple(columns[start : start + len(chosen)]) == tuple(chosen)


def _by_range(
    columns: Sequence[CaptureObject], selected: tuple[CaptureObject, ...], wanted: WantedRows
) -> SelectiveAccess:
    clocks = [one for one in columns if one.is_clock]
    if not clocks:
        raise MeterError(
            ExitCode.USAGE, "this profile has no column of times", where="--from, --to", hint="choose rows with --last"
        )
    clock = next((one for one in clocks if (one.class_id, one.attribute_index) == CLOCK_TIME), clocks[0])
    lower = _time("--from", wanted.since or EARLIEST, clock)
    upper = _time("--to", wanted.until or LATEST, clock)
    return RangeDescriptor(clock, lower, upper, selected).encode()


def _time(option: str, text: str, clock: CaptureObject) -> Data:
    try:
        time = value_arguments.moment(text)
    except ValueError:
        raise MeterError(
            ExitCode.USAGE,
            f"{text!r} is no date or time",
            where=option,
            hint=f"as in {datetime(2026, 1, 31, 12).isoformat()}+01:00; without an offset: the meter's local time",
        ) from None
    if not clock.is_unix_clock:
        return data.octet_string(time.encode())
    if time.deviation_minutes is None:
        hint = f"as in {text}Z: this profile has UNIX time, which knows no local time"
        raise MeterError(ExitCode.USAGE, f"{text} has no offset", where=option, hint=hint)
    return data.double_long_unsigned(int(time.to_datetime().timestamp()))


def _number(value: Data) -> int:
    return value.value if isinstance(value.value, int) else 0
