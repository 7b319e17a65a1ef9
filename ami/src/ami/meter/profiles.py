"""A profile's rows (class 7): chosen by time, by entry or by column, with times, scaled values and what the meter left out.

What the meter left out (null-data for "as above") is put back and marked: `=` repeated, `~` one capture period later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ami.meter import given_values
from ami.meter.client import Association
from ami.meter.errors import ExitCode, MeterError
from ami.meter.objects import CosemObject
from ami.meter.reading import SCALED, quantity_of, scaler_of
from ami.meter.values import Json, column_title, json_of, text_of
from dlms import data
from dlms.cosem.descriptors import AttributeDescriptor
from dlms.cosem.profile import Origin, Row, decode_rows
from dlms.cosem.quantity import ScalerUnit
from dlms.cosem.selection import CaptureObject, EntryDescriptor, RangeDescriptor, SelectiveAccess
from dlms.data import Data
from dlms.errors import DecodeError

PROFILE_GENERIC = 7
BUFFER, CAPTURE_OBJECTS, CAPTURE_PERIOD, ENTRIES_IN_USE = 2, 3, 4, 7
CLOCK, TIME = 8, 2
MARKS = {Origin.SENT: "", Origin.REPEATED: " =", Origin.INTERPOLATED: " ~"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which part of the buffer: nothing set means all of it. `columns` are numbers from 1 or OBIS codes."""

    since: str = ""
    until: str = ""
    last: int | None = None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """Rows with their columns, ready to be shown."""

    columns: tuple[CaptureObject, ...]
    scalers: tuple[ScalerUnit | None, ...]
    rows: tuple[Row, ...]
    capture_period_s: int

    @property
    def headings(self) -> list[str]:
        """Name of each column, with the unit of its values."""
        return [
            column_title(column) + (f" [{quantity.unit.symbol}]" if quantity is not None else "")
            for column, scaler in zip(self.columns, self.scalers, strict=True)
            for quantity in (quantity_of(data.integer(0), scaler),)
        ]

    def texts(self, *, marks: bool = True) -> list[list[str]]:
        """One text a cell."""
        return [
            [
                self._text(number, value) + (MARKS[origin] if marks else "")
                for number, (value, origin) in enumerate(zip(row.values, row.origins, strict=True))
            ]
            for row in self.rows
        ]

    def document(self) -> dict[str, Json]:
        """For JSON."""
        return {
            "capture_period_s": self.capture_period_s,
            "columns": list[Json](self.headings),
            "rows": [list[Json](row) for row in self.texts(marks=False)],
            "origins": [[origin.value for origin in row.origins] for row in self.rows],
            "raw": [[json_of(value) for value in row.values] for row in self.rows],
        }

    def _text(self, number: int, value: Data) -> str:
        quantity = quantity_of(value, self.scalers[number])
        if quantity is not None:
            return f"{quantity.value:f}"
        column = self.columns[number]
        return text_of(AttributeDescriptor(column.class_id, column.logical_name, column.attribute_index), value)


def read_profile(association: Association, one: CosemObject, wanted: Wanted) -> Profile:
    """The wanted part of the buffer; Refusal with the meter's word, MeterError for a wish that can't be put."""
    columns = _columns(association.get(one.attribute(CAPTURE_OBJECTS)))
    period = _number(association.get(one.attribute(CAPTURE_PERIOD)))
    chosen = _chosen(columns, wanted.columns)
    selection = _selection(association, one, columns, chosen, wanted)
    buffer = association.get(one.attribute(BUFFER), selection)
    try:
        rows = decode_rows(buffer, chosen, period)
    except DecodeError as error:
        raise MeterError(ExitCode.NOT_UNDERSTOOD, str(error), where=f"the buffer of {one.obis}") from None
    return Profile(chosen, tuple(_scaler(association, column) for column in chosen), rows, period)


def _columns(value: Data) -> tuple[CaptureObject, ...]:
    try:
        return tuple(CaptureObject.decode(column) for column in value.value)
    except (DecodeError, TypeError) as error:
        raise MeterError(ExitCode.NOT_UNDERSTOOD, str(error), where="capture_objects") from None


def _chosen(columns: Sequence[CaptureObject], wanted: Sequence[str]) -> tuple[CaptureObject, ...]:
    if not wanted:
        return tuple(columns)
    titles = [column_title(column) for column in columns]
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


def _selection(
    association: Association,
    one: CosemObject,
    columns: Sequence[CaptureObject],
    chosen: tuple[CaptureObject, ...],
    wanted: Wanted,
) -> SelectiveAccess | None:
    by_time = wanted.since or wanted.until
    if by_time and wanted.last is not None:
        raise MeterError(ExitCode.USAGE, "choose rows by --from and --to, or by --last", where="profile")
    selected = chosen if chosen != tuple(columns) else ()
    if by_time or (selected and wanted.last is None and not _is_run(columns, chosen)):
        return _by_range(columns, selected, wanted)
    if wanted.last is None and not selected:
        return None
    first = 1
    if wanted.last is not None:
        first = max(_number(association.get(one.attribute(ENTRIES_IN_USE))) - wanted.last + 1, 1)
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


def _by_range(columns: Sequence[CaptureObject], selected: tuple[CaptureObject, ...], wanted: Wanted) -> SelectiveAccess:
    clock = next((one for one in columns if (one.class_id, one.attribute_index) == (CLOCK, TIME)), None)
    if clock is None:
        raise MeterError(
            ExitCode.USAGE, "this profile has no column of times", where="--from, --to", hint="choose rows with --last"
        )
    since, until = (wanted.since or EARLIEST, wanted.until or LATEST)
    lower, upper = _time("--from", since), _time("--to", until)
    return RangeDescriptor(clock, lower, upper, selected).encode()


def _time(option: str, text: str) -> Data:
    try:
        return data.octet_string(given_values.moment(text).encode())
    except ValueError:
        raise MeterError(
            ExitCode.USAGE,
            f"{text!r} is no date or time",
            where=option,
            hint=f"as in {datetime(2026, 1, 31, 12).isoformat()}+01:00; without an offset: the meter's local time",
        ) from None


def _scaler(association: Association, column: CaptureObject) -> ScalerUnit | None:
    """The unit of a column's values, from the register that they were captured from."""
    source = SCALED.get(column.class_id, {}).get(column.attribute_index)
    if source is None:
        return None
    try:
        return scaler_of(association.get(AttributeDescriptor(column.class_id, column.logical_name, source)))
    except MeterError:
        if not association.healthy:
            raise
        return None


def _number(value: Data) -> int:
    return value.value if isinstance(value.value, int) else 0


EARLIEST, LATEST = "2000-01-01T00:00:00Z", "2099-12-31T23:59:59Z"
