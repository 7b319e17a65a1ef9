"""From the buffer of a profile to the values of its columns: times, gaps, doubt and qualities (docs/mapping.md, M-106, M-119, M-126, M-129)."""

from bisect import bisect_right
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, cast

from ami_dlms import data
from ami_dlms.cosem.profile import DIFFERENCES, OddRow, decode_each_row
from ami_dlms.cosem.quantity import ScalerUnit
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.data import Data, EncodedItems
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataTag
from ami_dlms.errors import DecodeError, DlmsError
from ami_hes.meters import MeterFault
from ami_hes.operations.read_results import COLUMNS_KEPT, ReadSeries
from ami_mapping.attributes import UnreadableValue, has_unit, value_of
from ami_mapping.intervals import LONGEST_REGULAR_S, Span, Timeline, timeline, timeline_of
from ami_mapping.lookup import Match
from ami_mapping.profiles import Profile
from ami_mapping.qualities import DERIVED, MISSING, SUSPECT, VALID, qualities
from ami_mapping.reading_types import ReadingType
from ami_mapping.values import check_unit, difference, reading_texts

STATUS_CLASS, STATUS_GROUP = 1, bytes((96, 10))
"""Class, and groups C and D, of a column with the status of each row."""
MINUTE_S, SECOND_MS = 60, 1_000
_NUMBERS = frozenset(
    {
        *(DataTag.INTEGER, DataTag.LONG, DataTag.DOUBLE_LONG, DataTag.LONG64),
        *(DataTag.UNSIGNED, DataTag.LONG_UNSIGNED, DataTag.DOUBLE_LONG_UNSIGNED, DataTag.LONG64_UNSIGNED),
        *(DataTag.ENUM, DataTag.BCD),
    }
)
_LEFT_OUT = DIFFERENCES | {DataTag.NULL_DATA}
Cell = int | Data | None
Texts = list[str | None]


def columns_of(profile: Profile, wanted: Sequence[int]) -> tuple[int, ...]:
    """The places of the columns to ask for beside the clock: those that are wanted, and the status where there is one."""
    status = next((place for place, one in enumerate(profile.columns) if _is_status(one)), None)
    return tuple(sorted({*wanted, *(() if status is None else (status,))}))


def _is_status(column: CaptureObject) -> bool:
    name = column.logical_name
    return column.class_id == STATUS_CLASS and name[0] == 0 and name[2:4] == STATUS_GROUP


class Buffer:
    """The rows of a profile that were asked for, column by column, and how many of what came could not be used.

    A cell is a whole number, None where the meter has no value (null, or a difference to another value), or Data of another type.
    """

    def __init__(self, profile: Profile, places: Sequence[int], span: Span) -> None:
        """`places` are the columns that come after the clock; ValueError for a profile without one."""
        if profile.clock is None:
            raise ValueError(f"the profile {profile.obis} has no column with a clock")
        self.profile = profile
        self.clock = profile.columns.index(profile.clock)
        self.columns: tuple[int, ...] = (self.clock, *places)
        self.times: list[int] = []
        self.odd = 0
        self.why = ""
        self.span = span
        self._cells: dict[int, list[Cell]] = {}
        self._offset_s = 0

    def take(self, value: Data, most: int) -> None:
        """The rows of one answer. Raises MeterFault for what is no buffer, and for more rows than `most`, unread."""
        rows = len(value.value) if isinstance(value.value, Sequence) else 0
        if rows > most:
            raise self._unexpected(f"{rows} rows came, and {most} are the most in this time")
        try:
            columns = columns_in(
                value, [self.profile.columns[place] for place in self.columns], self._period_s, self._skip
            )
        except DecodeError as problem:
            raise self._unexpected(str(problem)) from None
        by_place = dict(zip(self.columns, columns, strict=True))
        moments = self._moments(by_place.pop(self.clock))
        self.times += [moment for moment in moments if moment is not None]
        for place, cells in by_place.items():
            known = self._cells.setdefault(place, [])
            if None in moments:
                known += [cell for cell, moment in zip(cells, moments, strict=True) if moment is not None]
            else:
                known += cells

    @cached_property
    def timeline(self) -> Timeline:
        """Its intervals, the one before the span included."""
        span = Span(self.span.start - max(self._period_s, 1), self.span.end)
        if len(set(self.times)) == len(self.times):
            return timeline_of(tuple(self.times), span, self._period_s, offset_s=self._offset_s)
        return timeline(self.times, _Rows(list(self._cells.values())), span, self._period_s, offset_s=self._offset_s)

    def column(self, place: int) -> list[Cell]:
        """The cells of a column of the profile, in the order of the timeline."""
        cells, rows = self._cells[place], self.timeline.rows
        if None not in rows:
            return list(map(cells.__getitem__, rows))  # type: ignore[arg-type]
        return [None if row is None else cells[row] for row in rows]

    @cached_property
    def qualities(self) -> list[tuple[str, ...]]:
        """What the status of each row says; nothing of those of a profile without a status."""
        status = next((one for one in self.columns if _is_status(self.profile.columns[one])), None)
        rows = self.timeline.rows
        if status is None:
            return [(MISSING,) if row is None else () for row in rows]
        cells, said = self._cells[status], dict[Cell, tuple[str, ...]]()
        for cell in set(cells):
            said[cell] = qualities(cell) if type(cell) is int else (SUSPECT,)
        if len(said) == 1 and None not in rows:
            return list(said.values()) * len(rows)
        return [(MISSING,) if row is None else said[cells[row]] for row in rows]

    @property
    def _period_s(self) -> int:
        return self.profile.capture_period_s

    def _unexpected(self, detail: str) -> MeterFault:
        where = f"reading the buffer of {self.profile.obis}"
        return MeterFault("data-access-result", "unexpected-value", where=where, detail=detail)

    def _moments(self, column: Sequence[Cell]) -> Sequence[int | None]:
        """Of the clock, row by row; the same octets are the same times, whichever meter has sent them."""
        if set(map(type, column)) == {Data}:
            tags, octets = zip(*cast("Sequence[Data]", column), strict=True)
            if set(tags) == {DataTag.OCTET_STRING} and (known := _moments_of(octets)) is not None:
                moments, self._offset_s = known
                return moments
        return [self._moment(cell) for cell in column]

    def _moment(self, time: Cell) -> int | None:
        """In seconds since 1970; None, and counted, for what is none."""
        try:
            if isinstance(time, Data) and time.tag is DataTag.OCTET_STRING:
                moment, self._offset_s = seconds_of(time.value)
                return moment
            if isinstance(time, Data) and time.tag is DataTag.DATE_TIME:
                moment, self._offset_s = seconds_of(time.value.encode())
                return moment
        except DlmsError:
            pass
        self._skip("its time is no moment")
        return None

    def _skip(self, why: str) -> None:
        self.odd += 1
        self.why = self.why or why


class _Rows(Sequence[Hashable]):
    """The rows of columns, each made when it is asked for."""

    def __init__(self, columns: Sequence[Sequence[Cell]]) -> None:
        self._columns = columns

    def __len__(self) -> int:
        return len(self._columns[0]) if self._columns else 0

    def __getitem__(self, place: Any) -> Any:
        return tuple(column[place] for column in self._columns)


def columns_in(
    value: Data, captured: Sequence[CaptureObject], period_s: int, skip: Callable[[str], None]
) -> list[list[Cell]]:
    """The columns of a buffer; rows of another shape are left out and handed to `skip`. DecodeError for what is no buffer.

    Rows that all look like the first one, which is how meters send them, become columns without an object for each value.
    """
    if isinstance(value.value, EncodedItems):
        uniform = data.uniform_rows(len(value.value), value.value.octets)
        if uniform is not None and len(uniform.tags) == len(captured) and not _LEFT_OUT & set(uniform.tags):
            return [_cells(tag, column) for tag, column in zip(uniform.tags, uniform.columns, strict=True)]
    rows = []
    for row in decode_each_row(value, captured, period_s):
        if isinstance(row, OddRow):
            skip(str(row.error))
        else:
            rows.append(row.values)
    return [[_cell(one) for one in column] for column in zip(*rows, strict=True)] if rows else [[] for _ in captured]


def _cells(tag: DataTag, column: Sequence[Any]) -> list[Cell]:
    return list(column) if tag in _NUMBERS else list(data.typed(tag, column))


def _cell(value: Data) -> Cell:
    if value.tag in _NUMBERS:
        number: int = value.value
        return number
    return None if value.tag in _LEFT_OUT else value


@lru_cache(maxsize=COLUMNS_KEPT)
def _moments_of(octets: tuple[bytes, ...]) -> tuple[tuple[int, ...], int] | None:
    """Of all of them, and the offset of the last one; None where one is no moment."""
    try:
        found = [seconds_of(one) for one in octets]
    except DlmsError:
        return None
    return tuple([moment for moment, _ in found]), found[-1][1]


@lru_cache(maxsize=65_536)
def seconds_of(octets: bytes) -> tuple[int, int]:
    """A date-time as seconds since 1970, and what its local time is ahead of UTC in seconds. DlmsError for what is no moment."""
    time = CosemDateTime.decode(octets)
    return int(time.to_datetime().timestamp()), -MINUTE_S * (time.deviation_minutes or 0)


class ReadColumn(NamedTuple):
    """The values of a column, and how many of its cells are none; those are missing."""

    series: ReadSeries
    odd: int = 0
    why: str = ""


def series_of(
    buffer: Buffer, match: Match, place: int, unit: Data | None, *, multiplier: int | None, received_at: int
) -> ReadColumn:
    """The values of a column. UnreadableValue when its unit is not what its row says, or when none of its cells is a value."""
    line, period_s, computed = buffer.timeline, buffer.profile.capture_period_s, match.row.computed
    code, texts, reasons = _texts(match, buffer.column(place), unit, multiplier)
    if computed:
        texts = _differences(texts, lambda place: line.follows(place, period_s))
    first = bisect_right(line.times, buffer.span.start)
    found = buffer.qualities[first:]
    if computed or line.doubtful or None in texts:
        found = [
            said
            if text is not None and not computed and number not in line.doubtful
            else _judged(said, text, doubtful=number in line.doubtful, computed=computed)
            for number, (said, text) in enumerate(zip(buffer.qualities, texts, strict=True))
        ][first:]
    sets = {said: number for number, said in enumerate(dict.fromkeys(found))}
    is_interval = 0 < period_s <= LONGEST_REGULAR_S
    series = ReadSeries(
        str(code),
        is_interval,
        _milliseconds(line.times[first:]),
        tuple(texts[first:]),
        tuple(sets),
        tuple([sets[said] for said in found]) if len(sets) > 1 else (0,) * len(found),
        received_at,
    )
    return ReadColumn(series, len(reasons), next(iter(reasons), ""))


@lru_cache(maxsize=COLUMNS_KEPT)
def _milliseconds(times: tuple[int, ...]) -> tuple[int, ...]:
    return tuple([moment * SECOND_MS for moment in times])


def doubted(series: ReadSeries) -> ReadSeries:
    """The same, each value suspect: its scaler has changed (M-133)."""
    sets = tuple(
        _judged(one, "", doubtful=True, computed=False) if MISSING not in one else one for one in series.quality_sets
    )
    return replace(series, quality_sets=sets)


def _texts(
    match: Match, cells: Sequence[Cell], unit: Data | None, multiplier: int | None
) -> tuple[ReadingType, Texts, list[str]]:
    """The code, the texts, and why those cells have none that are no value: a float that is no number, a type that the row hasn't."""
    if has_unit(match.row) and unit is not None:
        try:
            scaler_unit = ScalerUnit.decode(unit)
            if Data not in set(map(type, cells)):
                return *reading_texts(match, cells, scaler_unit, multiplier=multiplier), []
            check_unit(match.row, scaler_unit.unit)
        except (DlmsError, ValueError) as problem:
            raise UnreadableValue(str(problem)) from None
    code, texts, reasons = match.reading_type(multiplier or 0), list[str | None](), list[str]()
    for cell in cells:
        text = None
        if cell is not None:
            raw = cell if isinstance(cell, Data) else data.long64(cell)
            try:
                code, text = value_of(match, raw, unit, multiplier=multiplier)
            except UnreadableValue as problem:
                reasons.append(str(problem))
        texts.append(text)
    if reasons and not any(texts):
        raise UnreadableValue(reasons[0])
    return code, texts, reasons


def _differences(texts: Texts, follows: Callable[[int], bool]) -> Texts:
    """The quantity of each interval of its register at both ends, exactly, or none (M-106)."""
    found: Texts = []
    for place, text in enumerate(texts):
        before = texts[place - 1] if place else None
        if text is None or before is None:
            found.append(None)
            continue
        quantity = difference(Decimal(before), Decimal(text), next_row=follows(place))
        found.append(None if quantity is None else f"{quantity:f}")
    return found


def _judged(said: tuple[str, ...], text: str | None, *, doubtful: bool, computed: bool) -> tuple[str, ...]:
    """The qualities of a value: what is doubtful, computed or not there is not valid, whatever its row says."""
    more = (
        *((SUSPECT,) if doubtful and SUSPECT not in said else ()),
        *((DERIVED,) if computed and text is not None else ()),
        *((MISSING,) if text is None and MISSING not in said else ()),
    )
    return (*(one for one in said if one != VALID), *more) if more else said
