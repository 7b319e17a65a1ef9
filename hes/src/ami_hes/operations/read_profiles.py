"""Reads values that are columns of profiles: intervals, days, billing periods, by selective access over a time (docs/mapping.md, M-104 to M-132).

What a profile captures is read again with the scalers of its columns, right before its buffer: a column is never taken for what it
was the last time. Then comes the buffer, with the columns that are wanted and no others; in the same request where the meter takes
lists, and what it gave is of no use where the profile is no longer what was known of it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ami_dlms.association import Get
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.selection import SelectiveAccess
from ami_dlms.data import Data
from ami_hes.meters import GetRefused, MeterFault, Session
from ami_hes.meters.known_objects import KnownObjects
from ami_hes.meters.known_scalers import KnownScalers
from ami_hes.operations.asked_types import Asked
from ami_hes.operations.identity import check_identity, read_each_identified
from ami_hes.operations.profile_columns import Column, WantedProfile, find_columns, rows_between
from ami_hes.operations.profile_rows import Buffer, doubted, series_of
from ami_hes.operations.read_results import NotRead, ReadSeries, number_of
from ami_hes.operations.sub_meter_rows import doubt_stale
from ami_mapping.attributes import UnreadableValue
from ami_mapping.faults import Fault, explain, explain_refused_reading
from ami_mapping.intervals import Span
from ami_mapping.lookup import ReadingTable
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


ITEMS_OF_A_COLUMN, ITEMS_BESIDE_COLUMNS = 2, 8
"""As how many attributes a selection counts in a list: each of its columns, and its times with the clock."""


@dataclass(slots=True)
class _Read:
    """A profile with what is wanted of it, and what it gave."""

    wanted: WantedProfile
    scalers: dict[AttributeDescriptor, Data | GetRefused] = field(default_factory=dict)
    rows: Data | None = None
    """Those of the whole time, where they came along with what the profile captures."""

    @property
    def profile(self) -> Profile:
        return self.wanted.profile

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.wanted.columns


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
        now = int(self._now().timestamp())
        until_now = Span(min(span.start, span.end), min(span.end, now))
        wanted = await self._described(tuple(asked), until_now)
        for number, one in enumerate(wanted):
            try:
                await self._read(one, until_now)
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

    async def _described(self, asked: tuple[Asked, ...], span: Span) -> list[_Read]:
        """Where the columns are, by what the meter says now; which meter it is, it says before anything of it is believed."""
        if not self._known.has_profiles(self._session):
            await self._identify()
        for is_last in (False, True):
            profiles = await self._known.profiles(self._session)
            found, absent = find_columns(asked, profiles, self._table, self._channel)
            if not found:
                await self._identify()
            wanted = list(map(_Read, found))
            so = await self._is_so(wanted, span if is_last or not absent else None)
            if so and (is_last or not absent):
                break
            self._known.forget(self._session)
        if not so:
            where = "reading what its profiles capture"
            raise MeterFault("protocol", "other", where=where, detail="it changed while it was read")
        for one in absent:
            self._fail(one, explain("reading-type", "not-in-meter", attempted=None, detail=one.reading_type))
        return wanted

    async def _each(
        self, attributes: Sequence[AttributeDescriptor], last: Get | None = None
    ) -> list[Data | GetRefused]:
        """The first time with the device id, in the same request."""
        if self._identified:
            return await self._session.get_each(*attributes, last=last)
        values = await read_each_identified(self._session, *attributes, last=last)
        self._identified = True
        return values

    async def _identify(self) -> None:
        if not self._identified:
            await check_identity(self._session)
            self._identified = True

    async def _is_so(self, wanted: Sequence[_Read], span: Span | None) -> bool:
        """Read what the profiles capture, and the scalers of the columns; whether it is still what is known of them.

        With a span the rows of the first one come along, where they can.
        """
        for number, one in enumerate(wanted):
            described, scalers = one.wanted.described, one.wanted.scalers
            rows = None if number or span is None else self._rows_in_a_list(one, span)
            objects, period, *values = await self._each_with(one, (*described, *scalers), rows)
            if self._known.answers.profile_of(one.profile.obis, objects, period) != one.profile:
                return False
            one.scalers = dict(zip(scalers, values, strict=True))
        return True

    def _rows_in_a_list(self, one: _Read, span: Span) -> Get | None:
        """The request for all rows, where it fits into a list of this meter, and the meter has not refused that before."""
        profile, places = one.profile, one.wanted.places
        attributes = 1 + len(one.wanted.described) + len(one.wanted.scalers)
        size = attributes + ITEMS_BESIDE_COLUMNS + ITEMS_OF_A_COLUMN * len(places)
        if size > self._session.most_in_a_list or self._known.gives_rows_apart(self._session):
            return None
        parts = list(_parts(span, profile.capture_period_s))
        if len(parts) != 1 or profile.clock is None:
            return None
        return Get(profile.buffer, rows_between(profile, *parts[0], places), encoded=True)

    async def _each_with(
        self, one: _Read, attributes: Sequence[AttributeDescriptor], rows: Get | None
    ) -> list[Data | GetRefused]:
        """These attributes; the rows come along, or from now on they are asked for apart: so is a meter that falls silent over it."""
        if rows is None:
            return await self._each(attributes)
        try:
            *values, given = await self._each(attributes, rows)
        except GetRefused:  # as the device id is where a meter refuses the list
            given = None
        except MeterFault:
            self._known.note_rows_apart(self._session)
            raise
        if not isinstance(given, Data) or not self._session.most_in_a_list:
            self._known.note_rows_apart(self._session)
        if not isinstance(given, Data):
            return await self._each(attributes)
        one.rows = given
        return values

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
        profile, places = one.profile, one.wanted.places
        buffer = Buffer(profile, places, span)
        for part in _parts(span, profile.capture_period_s):
            try:
                value = one.rows or await self._rows(profile, part, places)
            except GetRefused as refusal:
                if refusal.name not in NO_COLUMNS:
                    raise
                everything = tuple(range(len(profile.columns)))
                found = await self._all_columns(profile, rows_between(profile, *part))
                if found is None:
                    buffer = Buffer(profile, everything, span)
                    buffer.columns = everything
                    buffer.take(await self._whole(profile), MOST_WHOLE)
                    return buffer
                buffer.columns, value = everything, found
            buffer.take(value, _most_rows(part, profile.capture_period_s))
        return buffer

    async def _rows(self, profile: Profile, part: tuple[int, int], places: tuple[int, ...]) -> Data:
        return await self._session.get(profile.buffer, rows_between(profile, *part, places), encoded=True)

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
