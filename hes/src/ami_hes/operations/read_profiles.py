"""Reads values that are columns of profiles: intervals, days, billing periods, by selective access over a time (docs/mapping.md, M-104 to M-132).

What a profile captures is read again with the scalers of its columns, right before its buffer: a column is never taken for what it
was the last time. Then comes the buffer, with the columns that are wanted and no others.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.selection import SelectiveAccess
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_hes.meters import GetRefused, MeterFault, Session
from ami_hes.meters.known_objects import KnownObjects, attributes_of_profile, profile_of
from ami_hes.meters.known_scalers import KnownScalers
from ami_hes.operations.asked_types import Asked
from ami_hes.operations.identity import check_identity, read_each_identified
from ami_hes.operations.profile_rows import Buffer, columns_of, doubted, series_of
from ami_hes.operations.read_results import NotRead, ReadSeries, number_of
from ami_hes.operations.sub_meter_rows import capture_place, doubt_stale
from ami_mapping.attributes import UnreadableValue, scaler_unit_of
from ami_mapping.faults import Fault, explain, explain_refused_reading
from ami_mapping.intervals import Span
from ami_mapping.lookup import Match, ReadingTable
from ami_mapping.profiles import PROFILE_GENERIC, Profile

MOST_ROWS = 4_000
"""Of one request: longer times are read in parts, so that an answer stays small in memory."""
ROWS_PER_INTERVAL, MORE_ROWS = 4, 1_000
MOST_WHOLE, ENTRIES_IN_USE = 10_000, 7
"""Rows of a profile that is read whole since the meter gives no part of it, and the attribute that says how many it has."""
MOST_IRREGULAR = 40_000
"""Rows of a profile without a capture period: a quarter of an hour each over the longest time that may be asked for."""
NO_COLUMNS = ("SCOPE_OF_ACCESS_VIOLATED", "TYPE_UNMATCHED", "OTHER_REASON")
"""Data-access-results by which meters refuse to give single columns."""


@dataclass(frozen=True, slots=True)
class _Column:
    asked: Asked
    match: Match
    place: int
    scaler_unit: AttributeDescriptor | None
    captured: int | None = None
    """The column with when the sub-meter gave the value."""


@dataclass(slots=True)
class _Read:
    """A profile, what is wanted of it, and what it gave."""

    profile: Profile
    columns: list[_Column] = field(default_factory=list)
    scalers: dict[AttributeDescriptor, Data | GetRefused] = field(default_factory=dict)


class ProfileReader:
    """Reads profiles over one session; what was read stays when the meter falls silent half way."""

    def __init__(
        self,
        session: Session,
        known: KnownObjects,
        scalers: KnownScalers,
        table: ReadingTable,
        now: Callable[[], datetime],
        channel: int | None = None,
    ) -> None:
        """`channel` is that of a sub-meter, whose columns are asked for and no others."""
        self.series: list[ReadSeries] = []
        self.not_read: list[NotRead] = []
        self._session = session
        self._known = known
        self._scalers = scalers
        self._table = table
        self._now = now
        self._identified = False
        self._channel = channel

    async def read(self, asked: Sequence[Asked], span: Span) -> None:
        """The intervals of each that end in the span. Raises MeterFault for what is the same for all of them."""
        wanted = await self._described(asked)
        for number, one in enumerate(wanted):
            try:
                await self._read(one, span)
            except MeterFault as fault:
                left = wanted[number:] if not isinstance(fault, GetRefused) else [one]
                for column in (column for profile in left for column in profile.columns):
                    self._fail(column.asked, fault_of(fault))
                if not isinstance(fault, GetRefused):
                    return

    def fail(self, asked: Sequence[Asked], fault: Fault) -> None:
        """None of these is read, for one reason."""
        for one in asked:
            self._fail(one, fault)

    async def _described(self, asked: Sequence[Asked]) -> list[_Read]:
        """Where the columns are, by what the meter says now; which meter it is, it says before anything of it is believed."""
        if not self._known.has_profiles(self._session):
            await self._identify()
        for is_last in (False, True):
            wanted, absent = self._found(asked, await self._known.profiles(self._session))
            if not wanted:
                await self._identify()
            so = await self._is_so(wanted)
            if so and (is_last or not absent):
                break
            self._known.forget(self._session)
        if not so:
            where = "reading what its profiles capture"
            raise MeterFault("protocol", "other", where=where, detail="it changed while it was read")
        for one in absent:
            self._fail(one, explain("reading-type", "not-in-meter", attempted=None, detail=one.reading_type))
        return wanted

    async def _each(self, *attributes: AttributeDescriptor) -> list[Data | GetRefused]:
        """The first time with the device id, in the same request."""
        if self._identified:
            return await self._session.get_each(*attributes)
        values = await read_each_identified(self._session, *attributes)
        self._identified = True
        return values

    async def _identify(self) -> None:
        if not self._identified:
            await check_identity(self._session)
            self._identified = True

    def _found(self, asked: Sequence[Asked], profiles: Sequence[Profile]) -> tuple[list[_Read], list[Asked]]:
        wanted: dict[Profile, _Read] = {}
        absent: list[Asked] = []
        for one in asked:
            found = next((place for place in self._places(one, profiles)), None)
            if found is None:
                absent.append(one)
                continue
            match, profile, place = found
            captured = profile.columns[place]
            value = AttributeDescriptor(captured.class_id, captured.logical_name, captured.attribute_index)
            given_at = None if self._channel is None else capture_place(profile, value)
            column = _Column(one, match, place, scaler_unit_of(match.row, value), given_at)
            wanted.setdefault(profile, _Read(profile)).columns.append(column)
        return list(wanted.values()), absent

    def _places(self, one: Asked, profiles: Sequence[Profile]) -> Iterator[tuple[Match, Profile, int]]:
        for match in one.matches:
            if (found := self._table.find_column(match, profiles, channel=self._channel)) is not None:
                yield match, *found

    async def _is_so(self, wanted: Sequence[_Read]) -> bool:
        """Read what the profiles capture, and the scalers of the columns; whether it is still what is known of them."""
        for one in wanted:
            described = attributes_of_profile(one.profile.obis)
            scalers = list(dict.fromkeys(column.scaler_unit for column in one.columns if column.scaler_unit))
            objects, period, *values = await self._each(*described, *scalers)
            if profile_of(one.profile.obis, objects, period) != one.profile:
                return False
            one.scalers = dict(zip(scalers, values, strict=True))
        return True

    async def _read(self, one: _Read, span: Span) -> None:
        try:
            buffer = await self._buffer(one, span)
        except ValueError as problem:  # without a clock its rows can't be chosen by time
            for column in one.columns:
                self._fail(column.asked, _unexpected(one.profile, str(problem)))
            return
        received_at = number_of(self._now())
        doubtful = await self._doubtful(one)
        for column in one.columns:
            unit = None if column.scaler_unit is None else one.scalers[column.scaler_unit]
            if isinstance(unit, GetRefused):
                self._fail(column.asked, explain_refused_reading(unit.name, where=unit.where))
                continue
            if not buffer.times:
                self._fail(column.asked, _nothing(one.profile, buffer))
                continue
            try:
                found = series_of(
                    buffer,
                    column.match,
                    column.place,
                    unit,
                    multiplier=column.asked.multiplier,
                    received_at=received_at,
                )
            except UnreadableValue as problem:
                self._fail(column.asked, _unexpected(one.profile, str(problem)))
                continue
            series = doubted(found.series) if column.scaler_unit in doubtful else found.series
            if column.captured is not None:
                series = doubt_stale(series, buffer, column.captured, computed=column.match.row.computed)
            self.series.append(series)
            if buffer.odd:
                self._fail(column.asked, _unusable(one.profile, buffer))
            if found.odd:
                detail = f"{found.odd} of its values are none, {found.why}"
                self._fail(column.asked, _unexpected(one.profile, detail))

    async def _doubtful(self, one: _Read) -> set[AttributeDescriptor]:
        """Scalers that are others than they were first, and stay so when they are read once more (M-133)."""
        meter = self._session.meter
        differing = await self._scalers.differing(meter, _given(one.scalers))
        if not differing:
            return differing
        again = sorted(differing, key=str)
        one.scalers |= zip(again, await self._session.get_each(*again), strict=True)
        differing = await self._scalers.differing(meter, _given(one.scalers))
        self._scalers.report(meter, differing, _given(one.scalers))
        return differing

    async def _buffer(self, one: _Read, span: Span) -> Buffer:
        """The rows that end in the span, and the one before it."""
        profile = one.profile
        wanted = Span(min(span.start, span.end), min(span.end, int(self._now().timestamp())))
        captured = [column.captured for column in one.columns if column.captured is not None]
        places = columns_of(profile, [*(column.place for column in one.columns), *captured])
        buffer = Buffer(profile, places, wanted)
        for part in _parts(wanted, profile.capture_period_s):
            first, last = (CosemDateTime.from_datetime(datetime.fromtimestamp(at, UTC)) for at in part)
            try:
                value = await self._session.get(profile.buffer, profile.between(first, last, places), encoded=True)
            except GetRefused as refusal:
                if refusal.name not in NO_COLUMNS:
                    raise
                everything = tuple(range(len(profile.columns)))
                found = await self._all_columns(profile, profile.between(first, last))
                if found is None:
                    buffer = Buffer(profile, everything, wanted)
                    buffer.columns = everything
                    buffer.take(await self._whole(profile), MOST_WHOLE)
                    return buffer
                buffer.columns, value = everything, found
            buffer.take(value, _most_rows(part, profile.capture_period_s))
        return buffer

    async def _all_columns(self, profile: Profile, access: SelectiveAccess) -> Data | None:
        """None where the meter gives no part of the profile at all."""
        try:
            return await self._session.get(profile.buffer, access, encoded=True)
        except GetRefused as refusal:
            if refusal.name not in NO_COLUMNS:
                raise
            return None

    async def _whole(self, profile: Profile) -> Data:
        """All rows, of which those of the time are taken here; ValueError where there are too many (M-143)."""
        in_use = await self._session.get(AttributeDescriptor(PROFILE_GENERIC, profile.obis, ENTRIES_IN_USE))
        number = in_use.value if isinstance(in_use.value, int) else None
        if number is None or number > MOST_WHOLE:
            raise ValueError(
                f"the meter gives no part of it, it has {number} rows, and {MOST_WHOLE} are read whole at most"
            )
        return await self._session.get(profile.buffer, encoded=True)

    def _fail(self, asked: Asked, fault: Fault) -> None:
        self.not_read.append(NotRead(asked.reading_type, fault.code, fault.level, fault.reason))


def _given(scalers: Mapping[AttributeDescriptor, Data | GetRefused]) -> dict[AttributeDescriptor, Data]:
    return {name: unit for name, unit in scalers.items() if not isinstance(unit, GetRefused)}


def fault_of(fault: MeterFault) -> Fault:
    """As the reply of a reading says it."""
    if isinstance(fault, GetRefused):
        return explain_refused_reading(fault.name, where=fault.where)
    return fault.explained(attempted=None)


def _parts(span: Span, capture_period_s: int) -> Iterator[tuple[int, int]]:
    """From and to, both included; the first begins one interval before the span, and none before 1970."""
    step = MOST_ROWS * max(capture_period_s, 1) if capture_period_s else span.end - span.start + 1
    start = max(span.start - capture_period_s, 0)
    while start <= span.end:
        yield start, min(start + step - 1, span.end)
        start += step


def _most_rows(part: tuple[int, int], capture_period_s: int) -> int:
    """How many rows an answer may have: a meter may add some to its intervals, at a power-up or where its clock was set."""
    if not capture_period_s:
        return MOST_IRREGULAR
    first, last = part
    return ROWS_PER_INTERVAL * ((last - first) // capture_period_s + 1) + MORE_ROWS


def _nothing(profile: Profile, buffer: Buffer) -> Fault:
    """Rows that can't be used are rows."""
    if buffer.odd:
        return _unusable(profile, buffer)
    return explain("reading", "no-rows", attempted=None, detail=str(profile.obis))


def _unusable(profile: Profile, buffer: Buffer) -> Fault:
    return _unexpected(profile, f"{buffer.odd} rows can't be used, {buffer.why}")


def _unexpected(profile: Profile, detail: str) -> Fault:
    where = f"reading the buffer of {profile.obis}"
    return explain("data-access-result", "unexpected-value", attempted=None, where=where, detail=detail)
