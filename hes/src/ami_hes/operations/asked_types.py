"""What a ReadingType that was asked for can be answered by: attributes as they are now, or columns of profiles over a time."""

from dataclasses import dataclass, replace
from functools import lru_cache

from ami_hes.operations.read_results import STORE, NotRead, WantedReadings
from ami_mapping.faults import explain
from ami_mapping.intervals import Span
from ami_mapping.lookup import Match, ReadingTable
from ami_mapping.patterns import PERIOD
from ami_mapping.reading_types import ReadingType, RefusedReadingType, refused
from ami_mapping.readings import ReadingRow, Reads
from ami_mapping.values import MULTIPLIERS

MOST_REMEMBERED = 4_096
MOST_SORTED_OUT = 64


@dataclass(frozen=True, slots=True)
class Asked:
    """A ReadingType as it was asked for, and the rows that answer it."""

    reading_type: str
    multiplier: int | None
    matches: tuple[Match, ...]

    def __hash__(self) -> int:
        """Of the text alone: it is looked up for each meter, and the rows are long."""
        return hash(self.reading_type)


@dataclass(frozen=True, slots=True)
class Answered:
    """The same, by the ways in which the rows are read; one of them may have none. `by_profiles` are values over a time, billing periods too."""

    by_attributes: Asked
    by_profiles: Asked


@dataclass(frozen=True, slots=True)
class SortedOut:
    """What a command asks for, by the way in which it is read; `everything` is all attributes that the meter has."""

    everything: bool = False
    has_now: bool = True
    """Whether values as they are now are of the time that is asked for; in the store those of any time are kept."""
    attributes: tuple[Asked, ...] = ()
    columns: tuple[Asked, ...] = ()
    span: Span | None = None
    not_read: tuple[NotRead, ...] = ()
    of_sub_meter: bool = False
    """Whether it is asked of a meter on a channel of an M-Bus, whose values are others' (M-117)."""


def sort_out(wanted: WantedReadings, table: ReadingTable, now: int, *, of_sub_meter: bool = False) -> SortedOut:
    """Values over a time come from profiles where the code has a column, and attributes are what they are now (M-131).

    What no row answers any more is not read: a command may be older than the table. `now` is in seconds since 1970.
    """
    if wanted.start is None:  # the same for thousands of meters, whatever the time
        return _of_no_time(wanted, table, of_sub_meter)
    return _sorted_out(wanted, table, now, of_sub_meter)


@lru_cache(maxsize=MOST_SORTED_OUT)
def _of_no_time(wanted: WantedReadings, table: ReadingTable, of_sub_meter: bool) -> SortedOut:
    return _sorted_out(wanted, table, 0, of_sub_meter)


def _sorted_out(wanted: WantedReadings, table: ReadingTable, now: int, of_sub_meter: bool) -> SortedOut:
    attributes, columns, not_read = list[Asked](), list[Asked](), list[NotRead]()
    span = None if wanted.start is None else Span(wanted.start // 1000, (wanted.end or 1000 * now) // 1000)
    has_now = span is None or wanted.source == STORE or span.start <= now <= span.end
    for text in wanted.reading_types:
        try:
            one = answered_by(text, table, of_sub_meter=of_sub_meter)
        except RefusedReadingType as unknown:
            not_read.append(_of_others(text, table) or NotRead(text, unknown.code, "FATAL", unknown.reason))
            continue
        if span is not None and one.by_profiles.matches:
            columns.append(one.by_profiles)
        elif one.by_attributes.matches and has_now:
            attributes.append(one.by_attributes)
        else:
            name = "no-period" if span is None else "not-then"
            fault = explain("reading", name, attempted=None, detail=text)
            not_read.append(NotRead(text, fault.code, fault.level, fault.reason))
    everything = not wanted.reading_types
    return SortedOut(everything, has_now, tuple(attributes), tuple(columns), span, tuple(not_read), of_sub_meter)


def of_medium(asked: SortedOut, medium: str) -> SortedOut:
    """What of it a sub-meter of this medium has; the rest is not read."""
    not_read = list(asked.not_read)

    def chosen(one: Asked) -> Asked | None:
        matches = tuple(match for match in one.matches if match.row.context.medium == medium)
        if not matches:
            not_read.append(_not_there(one.reading_type))
        return replace(one, matches=matches) if matches else None

    attributes = tuple(one for each in asked.attributes if (one := chosen(each)) is not None)
    columns = tuple(one for each in asked.columns if (one := chosen(each)) is not None)
    return replace(asked, attributes=attributes, columns=columns, not_read=tuple(not_read))


def _of_others(text: str, table: ReadingTable) -> NotRead | None:
    """What is served, and of meters of the other kind alone: of sub-meters, or of those that have them."""
    return _not_there(text) if is_served(text, table) else None


def _not_there(text: str) -> NotRead:
    fault = explain("reading-type", "not-in-meter", attempted=None, detail=text)
    return NotRead(text, fault.code, fault.level, fault.reason)


def demand_served(text: str, table: ReadingTable) -> None:
    """RefusedReadingType for what neither a meter nor a sub-meter is asked for."""
    try:
        answered_by(text, table)
    except RefusedReadingType:
        answered_by(text, table, of_sub_meter=True)


def is_served(text: str, table: ReadingTable) -> bool:
    """Whether a meter or a sub-meter is asked for it."""
    try:
        demand_served(text, table)
    except RefusedReadingType:
        return False
    return True


def is_over_time(text: str, table: ReadingTable) -> bool:
    """Whether what is served is a value over a time, whichever kind of meter has it."""
    kinds = (False, True) if is_served(text, table) else ()
    return any(_has_rows_over_time(text, table, of_sub_meter=sub_meter) for sub_meter in kinds)


def _has_rows_over_time(text: str, table: ReadingTable, *, of_sub_meter: bool) -> bool:
    try:
        return bool(answered_by(text, table, of_sub_meter=of_sub_meter).by_profiles.matches)
    except RefusedReadingType:
        return False


@lru_cache(maxsize=MOST_REMEMBERED)
def answered_by(text: str, table: ReadingTable, *, of_sub_meter: bool = False) -> Answered:
    """What answers a ReadingType; the same few are asked of thousands of meters. RefusedReadingType where nothing does, or for a multiplier that is in no list."""
    code = ReadingType.parse(text)
    matches = table.answers(code)
    attributes = tuple(one for one in matches if is_attribute(one.row, of_sub_meter=of_sub_meter))
    columns = tuple(one for one in matches if is_column(one.row, of_sub_meter=of_sub_meter))
    profiles = columns or tuple(one for one in matches if is_period(one.row) and not of_sub_meter)
    if not attributes and not profiles:
        raise refused(code, "no attribute and no profile of a meter has it")
    if code.multiplier not in MULTIPLIERS:
        raise refused(code, f"{code.multiplier} is no multiplier")
    return Answered(Asked(text, code.multiplier, attributes), Asked(text, code.multiplier, profiles))


def is_now(text: str, table: ReadingTable, *, of_sub_meter: bool = False) -> bool:
    """Whether a ReadingType is a value that is read as it is now."""
    try:
        return bool(answered_by(text, table, of_sub_meter=of_sub_meter).by_attributes.matches)
    except RefusedReadingType:
        return False


def is_attribute(row: ReadingRow, *, of_sub_meter: bool = False) -> bool:
    """Whether a row is an attribute that is read as it is now: of which billing period is not said (M-105)."""
    is_now = row.obis is not None and PERIOD not in row.obis.groups
    return is_now and row.context.reads is Reads.ATTRIBUTE and bool(row.context.medium) == of_sub_meter


def is_period(row: ReadingRow) -> bool:
    """Whether a row is the value of a closed billing period, which OBIS F chooses and a time means (M-142)."""
    return row.obis is not None and PERIOD in row.obis.groups and row.context.reads is Reads.ATTRIBUTE


def is_column(row: ReadingRow, *, of_sub_meter: bool = False) -> bool:
    """Whether a row is a column of a profile of the meter's own: those of M-Bus channels are other meters (M-117)."""
    return row.obis is not None and row.context.reads is Reads.PROFILE and bool(row.context.medium) == of_sub_meter
