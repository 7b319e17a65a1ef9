"""Profiles: what they say of themselves, their rows, selective access to them, and the sum of their intervals (C7, SA, EV-01)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from ami_conformance.bench import Bench
from ami_conformance.client import Client, Outcome
from ami_conformance.clock_right import date_time
from ami_conformance.findings import Judge, Unsettled
from ami_conformance.groups.class_tests import as_decimal, columns_of, parts, whole
from ami_conformance.object_list import OBJECT_LIST, ListedObject
from ami_dlms import data
from ami_dlms.cosem.profile import ProfileRow, decode_each_row
from ami_dlms.cosem.quantity import ScalerUnit
from ami_dlms.cosem.selection import CaptureObject, EntryDescriptor, RangeDescriptor, SelectiveAccess
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataTag
from ami_dlms.errors import DlmsError

PROFILE_GENERIC = 7
BUFFER, CAPTURE_OBJECTS, PERIOD, SORT_METHOD, IN_USE, ENTRIES = 2, 3, 4, 5, 7, 8
BY_CLOCK = 1
SOME_ROWS = 12
MOST_ROWS = 200
MOST_PERIOD_S, FEW_GROWTHS, AT_MOST_FASTER, FULL_LOAD_W = 3600, 8, 20, 100_000
"""Behind the last row of its profile a register goes on by no more than so many times the largest of the last steps, and what a large
connection takes: the sun may have risen since, or a machine been switched on."""
SLACK_S, OTHER_DEVIATION = 2, 120
HIGHEST_ENTRY = 0xFFFF_FFFF
EVENT_LOGS = bytes((99, 98))
EVENT_CODES = bytes((96, 11))


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile that can be read, with what it says of itself."""

    one: ListedObject
    columns: tuple[CaptureObject, ...]
    period: int
    in_use: int

    @property
    def clock(self) -> int | None:
        """Which column is the clock."""
        return next((number for number, column in enumerate(self.columns) if column.is_clock), None)

    @property
    def is_log(self) -> bool:
        return self.one.obis[2:4] == EVENT_LOGS


def profiles(bench: Bench) -> list[Profile]:
    """All that may be read."""
    found = []
    for one in bench.objects.of_class(PROFILE_GENERIC):
        if not one.readable(BUFFER) or not one.readable(CAPTURE_OBJECTS):
            continue
        try:
            columns = columns_of(bench, one)
        except Unsettled:
            continue
        period, in_use = whole(bench.value(one.attribute(PERIOD))), whole(bench.value(one.attribute(IN_USE)))
        found.append(Profile(one, columns, period or 0, in_use or 0))
    return found


def filled(bench: Bench, rows: int = 2) -> list[Profile]:
    """Those that have a clock and at least so many rows: periodic ones, and other than logs, first."""
    usable = [one for one in profiles(bench) if one.clock is not None and one.in_use >= rows]
    return sorted(usable, key=lambda one: (one.is_log, one.period == 0, one.period, one.in_use))


def some(bench: Bench, rows: int = 2) -> Profile:
    """The first of them; Unsettled where there is none."""
    found = filled(bench, rows)
    if not found:
        raise Unsettled(f"no profile with a clock has {rows} rows")
    return found[0]


def entries(client: Client, profile: Profile, start: int, end: int, left: int = 1, right: int = 0) -> Outcome:
    """Rows by their numbers."""
    return client.get(profile.one.attribute(BUFFER), EntryDescriptor(start, end, left, right).encode())


def rows_of(outcome: Outcome, columns: Sequence[CaptureObject], period: int) -> list[ProfileRow] | None:
    """The rows in a buffer; None where there are none, or one that is odd."""
    if outcome.value is None:
        return None
    try:
        found = list(decode_each_row(outcome.value, columns, period))
    except DlmsError:
        return None
    rows = [row for row in found if isinstance(row, ProfileRow)]
    return rows if len(rows) == len(found) else None


def time_of(value: Data) -> datetime | None:
    """The moment in a cell."""
    if value.tag in (DataTag.DOUBLE_LONG_UNSIGNED, DataTag.LONG64_UNSIGNED):
        return datetime.fromtimestamp(int(value.value), UTC)
    found = date_time(value)
    try:
        return None if found is None else found.to_datetime(default_deviation=0)
    except DlmsError:
        return None


def same_form(moment: datetime, like: Data) -> Data:
    """A moment as a cell has it, in the same deviation."""
    if like.tag in (DataTag.DOUBLE_LONG_UNSIGNED, DataTag.LONG64_UNSIGNED):
        return Data(like.tag, int(moment.timestamp()))
    found = date_time(like)
    deviation = 0 if found is None else found.deviation_minutes or 0
    local = moment - timedelta(minutes=deviation)
    shown = CosemDateTime(
        local.year, local.month, local.day, 0xFF if found is None else None, local.hour, local.minute, local.second, 0,
        None if found is None else found.deviation_minutes, None if found is None else found.clock_status,
    )  # fmt: skip
    return data.octet_string(shown.encode())


def clock_column(profile: Profile) -> CaptureObject:
    """The capture object of the clock."""
    assert profile.clock is not None
    return profile.columns[profile.clock]


def by_range(
    client: Client, profile: Profile, start: Data, end: Data, columns: tuple[CaptureObject, ...] = ()
) -> Outcome:
    """Rows by their times."""
    selection = RangeDescriptor(clock_column(profile), start, end, columns).encode()
    return client.get(profile.one.attribute(BUFFER), selection)


# --- class 7


def consistency(bench: Bench, judge: Judge) -> None:
    """C7-01: rows have the columns of the list, and there are no more of them than there is room for."""
    for profile in profiles(bench):
        one = profile.one
        outcome = bench.scan()[one.attribute(BUFFER)]
        most = whole(bench.value(one.attribute(ENTRIES)))
        sort = whole(bench.value(one.attribute(SORT_METHOD)))
        judge.expect(sort is None or sort in range(1, 7), f"{one} has the sort method {sort}")
        if most is not None:
            judge.expect(profile.in_use <= most, f"{one} has {profile.in_use} rows in use, and room for {most}")
        if outcome.value is None:
            continue
        bench.show(one.attribute(BUFFER))
        items = parts(outcome.value)
        wrong = [row for row in items if len(parts(row)) != len(profile.columns)]
        judge.expect(
            not wrong,
            f"{one}: {len(wrong)} of {len(items)} rows have other than the {len(profile.columns)} columns of its list",
        )
        judge.expect(
            bool(items) == bool(profile.in_use) or outcome.value.tag is DataTag.COMPACT_ARRAY,
            f"{one} says {profile.in_use} rows are in use, and gives {len(items)}",
        )


def spacing(bench: Bench, judge: Judge) -> None:
    """C7-02: rows of a periodic profile step by its period; in every profile that sorts by age time does not go back."""
    for profile in filled(bench, 3):
        if profile.is_log:
            continue
        with bench.session() as client:
            rows = rows_of(entries(client, profile, 1, SOME_ROWS), profile.columns, profile.period)
            newest = rows_of(last_rows(client, profile, 2), profile.columns, profile.period) or []
            shown = _clock_now(bench, client)
            newest += _newest_by_range(client, profile, newest)
        for row in newest:
            ended = time_of(row.values[profile.clock or 0])
            judge.expect_physics(
                shown is None or ended is None or ended <= shown + timedelta(seconds=SLACK_S),
                f"{profile.one} has a row of {ended}, and its clock shows {shown}",
            )
        if rows is None or profile.clock is None:
            judge.expect(False, f"{profile.one}: its first {SOME_ROWS} rows can't be read")
            continue
        times = [time_of(row.values[profile.clock]) for row in rows]
        known = [one for one in times if one is not None]
        ascending = whole(bench.value(profile.one.attribute(SORT_METHOD))) not in (2, 4, 6)
        ordered = known if ascending else known[::-1]
        if profile.is_log:
            continue
        judge.expect_physics(
            all(earlier <= later for earlier, later in pairwise(ordered)),
            f"{profile.one}: its rows are not in the order of time",
        )
        if profile.period and profile.period < 86400:
            odd = [
                f"{earlier:%H:%M:%S} to {later:%H:%M:%S}"
                for earlier, later in pairwise(ordered)
                if (later - earlier).total_seconds() % profile.period and not _marked(profile, rows)
            ]
            judge.expect(not odd, f"{profile.one}: rows do not step by {profile.period} s: {'; '.join(odd[:3])}")


def _newest_by_range(client: Client, profile: Profile, newest: Sequence[ProfileRow]) -> list[ProfileRow]:
    """The last rows once more, by a range that ends a day later."""
    like = newest[-1].values[profile.clock or 0] if newest else None
    last = None if like is None else time_of(like)
    if like is None or last is None:
        return []
    found = by_range(client, profile, like, same_form(last + timedelta(days=1), like))
    return rows_of(found, profile.columns, profile.period) or []


def _marked(profile: Profile, rows: Sequence[ProfileRow]) -> bool:
    """Whether a status of these rows says that something was out of the way; without a column of status nobody can."""
    numbers = [number for number, column in enumerate(profile.columns) if column.logical_name[2:4] == bytes((96, 10))]
    return any(whole(row.values[number]) for row in rows for number in numbers)


def sums(bench: Bench, judge: Judge) -> None:
    """C7-03: snapshots of a counter do not fall and end below it; the sum of intervals is the difference of snapshots."""
    looked = False
    for profile in filled(bench):
        if profile.is_log or profile.clock is None:
            continue
        counters = [number for number, column in enumerate(profile.columns) if _is_counter(column)]
        if not counters:
            continue
        with bench.session() as client:
            rows = rows_of(last_rows(client, profile, SOME_ROWS), profile.columns, profile.period)
            if not rows:
                continue
            ordered = sorted(
                rows, key=lambda row: time_of(row.values[profile.clock or 0]) or datetime.min.replace(tzinfo=UTC)
            )
            for number in counters:
                looked = True
                _snapshots(bench, client, judge, profile, number, ordered)
    for coarse in filled(bench):
        for fine in filled(bench):
            looked = _intervals(bench, judge, coarse, fine) or looked
    bench.needs(looked, "no profile has a counter, or intervals of one")


def last_rows(client: Client, profile: Profile, count: int) -> Outcome:
    """The newest, by their numbers."""
    start = max(1, profile.in_use - count + 1)
    return entries(client, profile, start, profile.in_use)


def _is_counter(column: CaptureObject) -> bool:
    a, _, c, d, _, f = column.logical_name
    return (
        column.class_id in (3, 4)
        and column.attribute_index == 2
        and a == 1
        and d == 8
        and f == 255
        and c in range(1, 11)
    )


def _is_interval(column: CaptureObject) -> bool:
    a, _, c, d, _, _ = column.logical_name
    return column.class_id in (3, 4) and column.attribute_index == 2 and a == 1 and d in (29, 9) and c in range(1, 11)


def _snapshots(
    bench: Bench, client: Client, judge: Judge, profile: Profile, number: int, rows: Sequence[ProfileRow]
) -> None:
    column = profile.columns[number]
    values = [whole(row.values[number]) for row in rows]
    known = [one for one in values if one is not None]
    falls = [(a, b) for a, b in pairwise(known) if b < a]
    judge.expect_physics(
        not falls,
        f"{profile.one}: {column.logical_name} falls from {falls[0][0] if falls else 0} to {falls[0][1] if falls else 0}",
    )
    listed = bench.objects.find(column.class_id, column.logical_name)
    now = None if listed is None else whole(client.get(listed.attribute(2)).value)
    scanned = None if listed is None else whole(bench.value(listed.attribute(2)))
    if known and scanned is not None:
        judge.expect_physics(
            known[0] <= scanned,
            f"{profile.one}: {column.logical_name} was {known[0]}, and the register has shown {scanned} since",
        )
    if now is None or not known:
        return
    judge.expect_physics(
        known[-1] <= now, f"{profile.one}: {column.logical_name} was {known[-1]}, and the register shows {now}"
    )
    shown = _clock_now(bench, client)
    last = time_of(rows[-1].values[profile.clock or 0])
    if shown is None or last is None or not 0 < profile.period <= MOST_PERIOD_S or len(known) < FEW_GROWTHS:
        return
    periods = (shown - last).total_seconds() / profile.period + 1
    growth = max(b - a for a, b in pairwise(known))
    allowed = periods * AT_MOST_FASTER * growth + _at_full_load(_scale(bench, column), periods * profile.period)
    judge.expect_physics(
        now - known[-1] <= allowed,
        f"{profile.one}: the last {column.logical_name} is {known[-1]}, and the register shows {now}: "
        f"more than {periods:.1f} periods can bring, of which the last {len(known)} brought {growth} at most",
    )


def _at_full_load(scale: ScalerUnit | None, seconds: float) -> float:
    """What a register of energy counts in this time, in its own steps."""
    return FULL_LOAD_W * seconds / 3600 * 10.0 ** -(0 if scale is None else scale.scaler)


def _clock_now(bench: Bench, client: Client) -> datetime | None:
    """What the meter's clock shows."""
    clocks = bench.objects.of_class(8)
    found = client.get(clocks[0].attribute(2)).value if clocks else None
    return None if found is None else time_of(found)


def _intervals(bench: Bench, judge: Judge, coarse: Profile, fine: Profile) -> bool:
    """Two snapshots of a counter and all intervals between them, wherever they stand; whether there were such."""
    looked = False
    for number, column in enumerate(coarse.columns):
        if not _is_counter(column):
            continue
        partner = next(
            (
                place
                for place, other in enumerate(fine.columns)
                if _is_interval(other)
                and other.logical_name[2] == column.logical_name[2]
                and other.logical_name[4] == column.logical_name[4]
            ),
            None,
        )
        if partner is not None and fine.period:
            looked = _sum_is_difference(bench, judge, (coarse, number), (fine, partner)) or looked
    return looked


def _sum_is_difference(bench: Bench, judge: Judge, total: tuple[Profile, int], part: tuple[Profile, int]) -> bool:
    (coarse, counter), (fine, interval) = total, part
    with bench.session() as client:
        snapshots = rows_of(last_rows(client, coarse, 3), coarse.columns, coarse.period)
        if not snapshots or len(snapshots) < 2 or coarse.clock is None or fine.clock is None:
            return False
        earlier, later = snapshots[-2:]
        start, end = time_of(earlier.values[coarse.clock]), time_of(later.values[coarse.clock])
        if start is None or end is None or (end - start).total_seconds() / fine.period > MOST_ROWS * 20:
            return False
        like = earlier.values[coarse.clock]
        found = by_range(client, fine, same_form(start, like), same_form(end, like))
        rows = rows_of(found, fine.columns, fine.period)
    if not rows:
        return False
    inside = [row for row in rows if (moment := time_of(row.values[fine.clock])) is not None and start < moment <= end]
    if len(inside) != round((end - start).total_seconds() / fine.period):
        return False
    scales = [_scale(bench, one.columns[number]) for one, number in (total, part)]
    sums = [as_decimal(row.values[interval], scales[1]) for row in inside]
    first, last = as_decimal(earlier.values[counter], scales[0]), as_decimal(later.values[counter], scales[0])
    if first is None or last is None or None in sums:
        return False
    added = sum((one for one in sums if one is not None), Decimal(0))
    tolerance = max((one for one in sums if one is not None), default=Decimal(0)) + Decimal(len(inside))
    judge.expect_physics(
        abs(added - (last - first)) <= tolerance,
        f"{fine.one}: the intervals of {fine.columns[interval].logical_name} add up to {added:f}, "
        f"{coarse.columns[counter].logical_name} grew by {last - first:f}",
    )
    return True


def _scale(bench: Bench, column: CaptureObject) -> ScalerUnit | None:
    listed = bench.objects.find(column.class_id, column.logical_name)
    value = None if listed is None else bench.value(listed.attribute(3))
    try:
        return None if value is None else ScalerUnit.decode(value)
    except DlmsError:
        return None


# --- selective access


def range_by_clock(bench: Bench, judge: Judge) -> None:
    """SA-01: a range gives the rows whose time is in it, both ends included, in the order of the buffer."""
    profile = some(bench, 3)
    client = bench.opened()
    rows = rows_of(entries(client, profile, 1, 5), profile.columns, profile.period)
    if (
        not judge.expect(rows is not None and len(rows) >= 3, f"{profile.one}: its first rows can't be read")
        or rows is None
    ):
        return
    clock = profile.clock or 0
    asked = rows[1].values[clock], rows[-1].values[clock]
    times = [time_of(one) for one in asked]
    low, high = asked if times[0] is None or times[1] is None or times[0] <= times[1] else asked[::-1]
    found = by_range(client, profile, low, high)
    inside = rows_of(found, profile.columns, profile.period)
    if not judge.expect(
        inside is not None, f"{profile.one}: a range by clock is answered by {found.words or found.answer}"
    ):
        return
    bounds = [one for one in times if one is not None]
    wrong = [
        f"{moment:%Y-%m-%d %H:%M:%S}"
        for row in inside or []
        if (moment := time_of(row.values[clock])) is not None and not min(bounds) <= moment <= max(bounds)
    ]
    judge.expect(not wrong, f"{profile.one}: rows outside the range: {', '.join(wrong[:3])}")
    wanted = [row.values for row in rows[1:]]
    got = [row.values for row in inside or []]
    _in_another_deviation(judge, client, profile, (low, high), [row.values for row in inside or []])
    judge.expect(
        all(one in got for one in wanted),
        f"{profile.one}: {sum(one not in got for one in wanted)} of {len(wanted)} rows of the range are missing",
    )


def _in_another_deviation(
    judge: Judge, client: Client, profile: Profile, ends: tuple[Data, Data], wanted: list[tuple[Data, ...]]
) -> None:
    """The same moments told in another deviation are the same range."""
    moved = []
    for one in ends:
        shown, at = date_time(one), time_of(one)
        if shown is None or at is None or shown.deviation_minutes is None or one.tag is not DataTag.OCTET_STRING:
            return
        deviation = shown.deviation_minutes - OTHER_DEVIATION
        local = at - timedelta(minutes=deviation)
        told = CosemDateTime(
            local.year, local.month, local.day, None, local.hour, local.minute, local.second, 0, deviation, 0
        )
        moved.append(data.octet_string(told.encode()))
    found = rows_of(by_range(client, profile, moved[0], moved[1]), profile.columns, profile.period)
    if found is None:
        judge.note("a range in another deviation is not served")
        return
    judge.expect(
        [row.values for row in found] == wanted,
        f"{profile.one}: a range whose ends are told in another deviation gives {len(found)} rows, not the same {len(wanted)}",
    )


def empty_ranges(bench: Bench, judge: Judge) -> None:
    """SA-02: a reversed range and one in the future give no rows, and no fault."""
    profile = some(bench)
    client = bench.opened()
    rows = rows_of(entries(client, profile, 1, 2), profile.columns, profile.period)
    bench.needs(bool(rows), f"{profile.one}: its first rows can't be read")
    like = (rows or [])[0].values[profile.clock or 0]
    moment = time_of(like) or datetime(2024, 1, 1, tzinfo=UTC)
    for what, start, end in (
        ("reversed", moment + timedelta(days=1), moment - timedelta(days=1)),
        ("in the future", moment.replace(year=2090, day=1), moment.replace(year=2091, day=1)),
    ):
        found = by_range(client, profile, same_form(start, like), same_form(end, like))
        judge.expect(
            found.refused or (found.value is not None and not parts(found.value)),
            f"{profile.one}: a range {what} is answered by {found.words or f'{len(parts(found.value))} rows'}",
        )


def open_range(bench: Bench, judge: Judge) -> None:
    """SA-03: a range without its lower end is served or refused."""
    profile = some(bench)
    client = bench.opened()
    last = rows_of(entries(client, profile, 1, 1), profile.columns, profile.period)
    bench.needs(bool(last), f"{profile.one}: its first row can't be read")
    like = (last or [])[0].values[profile.clock or 0]
    if like.tag is not DataTag.OCTET_STRING:
        raise Unsettled("the clock of the profile has no parts that could be left open")
    found = by_range(client, profile, data.octet_string(CosemDateTime().encode()), like)
    judge.expect(found.refused or found.value is not None, f"{profile.one}: an open range is answered by {found.words}")
    said = found.words or f"{len(parts(found.value))} rows"
    judge.document(f"a range without a lower end is answered by {said}")


def chosen_columns(bench: Bench, judge: Judge) -> None:
    """SA-04: rows of a range have the columns that were asked for, and no others."""
    profile = some(bench)
    client = bench.opened()
    rows = rows_of(entries(client, profile, 1, 2), profile.columns, profile.period)
    bench.needs(bool(rows), f"{profile.one}: its first rows can't be read")
    clock = profile.clock or 0
    times = sorted(
        (row.values[clock] for row in rows or []), key=lambda one: time_of(one) or datetime.min.replace(tzinfo=UTC)
    )
    for count in (1, 2):
        wanted = tuple(dict.fromkeys((clock_column(profile), *profile.columns)))[:count]
        if len(wanted) < count:
            continue
        found = by_range(client, profile, times[0], times[-1], wanted)
        _only(judge, profile, found, count, f"a range with {count} chosen columns")


def _only(judge: Judge, profile: Profile, found: Outcome, count: int, what: str) -> None:
    widths = {len(parts(row)) for row in parts(found.value)}
    judge.expect(
        found.value is not None and widths == {count},
        f"{profile.one}: {what} is answered by {found.words or f'rows of {sorted(widths)} columns'}",
    )


def by_entries(bench: Bench, judge: Judge) -> None:
    """SA-05: entries are numbered from 1; as many come as were asked for, and beyond the last none."""
    profile = some(bench)
    client = bench.opened()
    whole_rows = rows_of(entries(client, profile, 1, 3), profile.columns, profile.period) or []
    for start, end, wanted in ((1, 2, 2), (2, 2, 1), (profile.in_use, profile.in_use, 1)):
        found = entries(client, profile, start, end)
        got = len(parts(found.value))
        judge.expect(
            found.value is not None and got == wanted,
            f"{profile.one}: entries {start} to {end} are answered by {found.words or f'{got} rows'}",
        )
        if (start, end) == (2, 2) and len(whole_rows) > 1:
            rows = rows_of(found, profile.columns, profile.period)
            judge.expect(
                bool(rows) and _sent(rows or [])[0] == _sent(whole_rows)[1],
                f"{profile.one}: entry 2 alone is another than entry 2 of 1 to 3",
            )
    last = entries(client, profile, profile.in_use, 0)
    judge.expect(
        last.refused or len(parts(last.value)) in (1, 2),
        f"{profile.one}: from entry {profile.in_use} on there are {len(parts(last.value))} rows",
    )
    beyond = entries(client, profile, profile.in_use + 1000, profile.in_use + 1001)
    judge.expect(
        beyond.refused or (beyond.value is not None and not parts(beyond.value)),
        f"{profile.one}: entries beyond the last are answered by {beyond.words or f'{len(parts(beyond.value))} rows'}",
    )


def _sent(rows: Sequence[ProfileRow]) -> list[tuple[Data, ...]]:
    return [row.values for row in rows]


def entry_columns(bench: Bench, judge: Judge) -> None:
    """SA-06: entries have the columns from the first to the last that was asked for."""
    profile = some(bench)
    client = bench.opened()
    _only(judge, profile, entries(client, profile, 1, 2, 1, 1), 1, "entries with column 1 alone")
    if len(profile.columns) > 1:
        left = entries(client, profile, 1, 2, 2, 0)
        _only(judge, profile, left, len(profile.columns) - 1, "entries from column 2 on")


def highest_entry(bench: Bench, judge: Judge) -> None:
    """SA-07: 0 and the highest number mean the last entry."""
    profile = some(bench)
    start = max(1, profile.in_use - 1)
    with bench.session() as client:
        for end in (0, HIGHEST_ENTRY):
            found = entries(client, profile, start, end)
            got = len(parts(found.value))
            judge.expect(
                found.value is not None and 1 <= got <= 4,
                f"{profile.one}: entries {start} to {end} are answered by {found.words or f'{got} rows'}",
            )


def unknown_selector(bench: Bench, judge: Judge) -> None:
    """SA-08: a selector that does not exist is refused, and no whole buffer comes instead."""
    profile = some(bench)
    client = bench.opened()
    found = client.get(profile.one.attribute(BUFFER), SelectiveAccess(9, data.null()))
    judge.expect(found.value is None, f"{profile.one}: selector 9 is answered by data")
    client = bench.opened()
    name = client.get(profile.one.attribute(1), EntryDescriptor(1, 1).encode())
    judge.expect(name.value is None, f"{profile.one}: a selector on its logical name is answered by data")


def list_by_class(bench: Bench, judge: Judge) -> None:
    """SA-09: the object list by classes, where the list offers selectors for itself."""
    own = next((one for one in bench.objects.objects if one.attribute(2) == OBJECT_LIST), None)
    right = None if own is None else own.attributes.get(2)
    bench.needs(right is not None and bool(right.selectors), "the object list names no selectors for itself")
    client = bench.opened()
    found = client.get(OBJECT_LIST, SelectiveAccess(2, data.array(data.long_unsigned(8))))
    classes = {whole(parts(row)[0]) for row in parts(found.value) if parts(row)}
    judge.expect(
        found.value is not None and classes <= {8},
        f"the object list of class 8 is answered by {found.words or sorted(map(str, classes))}",
    )


def compressed_rows(bench: Bench, judge: Judge) -> None:
    """SA-10: rows with times left out are, each read alone, the same rows."""
    looked = False
    for profile in filled(bench, 3)[:4]:
        client = bench.opened()
        found = entries(client, profile, 1, 3)
        if found.value is None or not any(data.NULL in parts(row) for row in parts(found.value)):
            client.close()
            continue
        looked = True
        together = rows_of(found, profile.columns, profile.period) or []
        for number, row in enumerate(together, 1):
            alone = rows_of(entries(client, profile, number, number), profile.columns, profile.period) or []
            same = bool(alone) and all(
                one == other or one == data.NULL for one, other in zip(alone[0].values, row.values, strict=True)
            )
            judge.expect(same, f"{profile.one}: entry {number} alone is another than among others")
        client.release()
    bench.needs(looked, "no profile leaves times out")


def event_logs(bench: Bench, judge: Judge) -> None:
    """EV-01: a log has a clock and a code, and its codes are known to the pack."""
    logs = [one for one in profiles(bench) if one.is_log]
    bench.needs(bool(logs), "the association shows no event log (0-b:99.98.e)")
    for profile in logs:
        codes = [number for number, column in enumerate(profile.columns) if column.logical_name[2:4] == EVENT_CODES]
        judge.expect(profile.clock is not None, f"{profile.one} has no column of a clock")
        judge.expect(bool(codes), f"{profile.one} has no column of an event code (0-b:96.11.e)")
        rows = rows_of(bench.scan()[profile.one.attribute(BUFFER)], profile.columns, profile.period)
        bench.show(profile.one.attribute(BUFFER))
        if not rows or not codes:
            continue
        numbers = {whole(row.values[codes[0]]) for row in rows} - {None}
        known = {number for log, number in bench.expected.events if log == profile.one.obis}
        unknown = sorted(number for number in numbers if number is not None and number not in known)
        if known and unknown:
            judge.note(f"{profile.one}: the pack does not know the events {unknown}")


TESTS = {
    "C7-01": consistency,
    "C7-02": spacing,
    "C7-03": sums,
    "SA-01": range_by_clock,
    "SA-02": empty_ranges,
    "SA-03": open_range,
    "SA-04": chosen_columns,
    "SA-05": by_entries,
    "SA-06": entry_columns,
    "SA-07": highest_entry,
    "SA-08": unknown_selector,
    "SA-09": list_by_class,
    "SA-10": compressed_rows,
    "EV-01": event_logs,
}
