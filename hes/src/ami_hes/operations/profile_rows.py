"""From the buffer of a profile to the values of its columns: times, gaps, doubt and qualities (docs/mapping.md, M-106, M-119, M-126, M-129)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cached_property

from ami_dlms.cosem.profile import DIFFERENCES, OddRow, decode_each_row
from ami_dlms.cosem.quantity import ScalerUnit
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataTag
from ami_dlms.errors import DecodeError, DlmsError
from ami_hes.meters import MeterFault
from ami_hes.operations.read_results import ReadSeries
from ami_mapping.attributes import UnreadableValue, has_unit, value_of
from ami_mapping.intervals import LONGEST_REGULAR_S, Span, Timeline, timeline
from ami_mapping.lookup import Match
from ami_mapping.profiles import Profile
from ami_mapping.qualities import DERIVED, MISSING, SUSPECT, VALID, qualities
from ami_mapping.reading_types import ReadingType
from ami_mapping.values import difference, reading_texts

STATUS_CLASS, STATUS_GROUP = 1, bytes((96, 10))
"""Class, and groups C and D, of a column with the status of each row."""
MINUTE_S, SECOND_MS = 60, 1_000
Texts = list[str | None]


def columns_of(profile: Profile, wanted: Sequence[int]) -> tuple[int, ...]:
    """The places of the columns to ask for beside the clock: those that are wanted, and the status where there is one."""
    status = next((place for place, one in enumerate(profile.columns) if _is_status(one)), None)
    return tuple(sorted({*wanted, *(() if status is None else (status,))}))


def _is_status(column: CaptureObject) -> bool:
    name = column.logical_name
    return column.class_id == STATUS_CLASS and name[0] == 0 and name[2:4] == STATUS_GROUP


class Buffer:
    """The rows of a profile that were asked for, and how many of what came could not be used."""

    def __init__(self, profile: Profile, places: Sequence[int], span: Span) -> None:
        """`places` are the columns that come after the clock; ValueError for a profile without one."""
        if profile.clock is None:
            raise ValueError(f"the profile {profile.obis} has no column with a clock")
        self.profile = profile
        self.clock = profile.columns.index(profile.clock)
        self.columns: tuple[int, ...] = (self.clock, *places)
        self.times: list[int] = []
        self.cells: list[tuple[Data, ...]] = []
        self.odd = 0
        self.why = ""
        self.span = span
        self._offset_s = 0

    def take(self, value: Data) -> None:
        """The rows of one answer. Raises MeterFault for what is no buffer."""
        captured = [self.profile.columns[place] for place in self.columns]
        clock = self.columns.index(self.clock)
        try:
            for row in decode_each_row(value, captured, self.profile.capture_period_s):
                if isinstance(row, OddRow):
                    self._skip(str(row.error))
                else:
                    self._add(row.values, row.values[clock])
        except DecodeError as problem:
            where = f"reading the buffer of {self.profile.obis}"
            raise MeterFault("data-access-result", "unexpected-value", where=where, detail=str(problem)) from None

    @cached_property
    def timeline(self) -> Timeline:
        """Its intervals, the one before the span included."""
        period_s = self.profile.capture_period_s
        span = Span(self.span.start - max(period_s, 1), self.span.end)
        return timeline(self.times, self.cells, span, period_s, offset_s=self._offset_s)

    def column(self, place: int) -> list[Data | None]:
        """The cells of a column of the profile, in the order of the timeline."""
        number = self.columns.index(place)
        return [None if row is None else self.cells[row][number] for row in self.timeline.rows]

    def qualities(self) -> list[tuple[str, ...]]:
        """What the status of each row says; nothing of those of a profile without a status."""
        status = next((one for one in self.columns if _is_status(self.profile.columns[one])), None)
        if status is None:
            return [(MISSING,) if row is None else () for row in self.timeline.rows]
        return [_said_by(cell) for cell in self.column(status)]

    def _add(self, cells: tuple[Data, ...], time: Data) -> None:
        try:
            moment = time.value if time.tag is DataTag.DATE_TIME else CosemDateTime.decode(time.value)
            self.times.append(int(moment.to_datetime().timestamp()))
        except (DlmsError, TypeError, AttributeError):
            self._skip("its time is no moment")
            return
        self.cells.append(cells)
        self._offset_s = -MINUTE_S * (moment.deviation_minutes or 0)

    def _skip(self, why: str) -> None:
        self.odd += 1
        self.why = self.why or why


def series_of(
    buffer: Buffer, match: Match, place: int, unit: Data | None, *, multiplier: int | None, received_at: int
) -> ReadSeries:
    """The values of a column. UnreadableValue when its unit is not what its row says."""
    line, period_s = buffer.timeline, buffer.profile.capture_period_s
    code, texts = _texts(match, buffer.column(place), unit, multiplier)
    said = buffer.qualities()
    if match.row.computed:
        texts = _differences(texts, lambda place: line.follows(place, period_s))
    sets: dict[tuple[str, ...], int] = {}
    times, values, of = [], [], []
    for number, (moment, text) in enumerate(zip(line.times, texts, strict=True)):
        if moment <= buffer.span.start:
            continue
        found = _judged(said[number], text, doubtful=number in line.doubtful, computed=match.row.computed)
        times.append(moment * SECOND_MS)
        values.append(text)
        of.append(sets.setdefault(found, len(sets)))
    is_interval = 0 < period_s <= LONGEST_REGULAR_S
    return ReadSeries(str(code), is_interval, tuple(times), tuple(values), tuple(sets), tuple(of), received_at)


def doubted(series: ReadSeries) -> ReadSeries:
    """The same, each value suspect: its scaler has changed (M-133)."""
    sets = tuple(
        _judged(one, "", doubtful=True, computed=False) if MISSING not in one else one for one in series.quality_sets
    )
    return replace(series, quality_sets=sets)


def _texts(
    match: Match, cells: Sequence[Data | None], unit: Data | None, multiplier: int | None
) -> tuple[ReadingType, Texts]:
    if has_unit(match.row) and unit is not None and not any(cell and cell.tag in _FLOATS for cell in cells):
        try:
            raws = [None if cell is None or cell.tag in DIFFERENCES else cell.value for cell in cells]
            return reading_texts(match, raws, ScalerUnit.decode(unit), multiplier=multiplier)
        except (DlmsError, ValueError) as problem:
            raise UnreadableValue(str(problem)) from None
    code, texts = match.reading_type(multiplier or 0), list[str | None]()
    for cell in cells:
        if cell is None or cell.tag is DataTag.NULL_DATA or cell.tag in DIFFERENCES:
            texts.append(None)
        else:
            code, text = value_of(match, cell, unit, multiplier=multiplier)
            texts.append(text)
    return code, texts


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


def _said_by(status: Data | None) -> tuple[str, ...]:
    if status is None:
        return qualities(None)
    is_number = isinstance(status.value, int) and not isinstance(status.value, bool) and status.tag not in DIFFERENCES
    return qualities(status.value) if is_number else (SUSPECT,)


def _judged(said: tuple[str, ...], text: str | None, *, doubtful: bool, computed: bool) -> tuple[str, ...]:
    """The qualities of a value: what is doubtful, computed or not there is not valid, whatever its row says."""
    more = (
        *((SUSPECT,) if doubtful and SUSPECT not in said else ()),
        *((DERIVED,) if computed and text is not None else ()),
        *((MISSING,) if text is None and MISSING not in said else ()),
    )
    return (*(one for one in said if one != VALID), *more) if more else said


_FLOATS = (DataTag.FLOAT32, DataTag.FLOAT64)
