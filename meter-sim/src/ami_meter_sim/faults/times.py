"""Faults of clocks and of profiles: what is read is changed, and what the meter measures by stays right."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta, timezone
from typing import Any

from pydantic import Field, PrivateAttr

from ami_dlms import data
from ami_dlms.association import Action, Get, ItemResult, Set
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataTag
from ami_dlms.errors import DecodeError, LocalError
from ami_meter_sim.faults.fault import Fault, Item, Occasion

CLOCK = 8
TIME = 2
SETTING_METHODS = (1, 2, 3, 4)
"""adjust_to_quarter, adjust_to_measuring_period, adjust_to_minute, adjust_to_preset_time."""
PROFILE_GENERIC = 7
BUFFER = 2
YEARS_S = 10 * 366 * 86_400


class ClockOff(Fault):
    """Show a time that is off, until a client sets the clock."""

    seconds: int = Field(default=3600, ge=-YEARS_S, le=YEARS_S)
    """How much ahead; below 0, behind."""
    stuck: bool = False
    """Setting it helps only inside: what is shown stays off."""
    _offset_s: int | None = PrivateAttr(default=None)

    def concerns(self, occasion: Occasion) -> bool:
        """Reading the time, and setting it."""
        return any(_asks_for_the_time(item) or _sets_the_time(item) for item in occasion.items)

    def on_request(self, item: Item) -> None:
        """Nothing is done otherwise; a clock that was set is right from now on."""
        if _sets_the_time(item) and not self.stuck:
            self._offset_s = 0

    def on_result(self, item: Item, result: ItemResult) -> ItemResult:
        """The other time."""
        if not _asks_for_the_time(item) or not isinstance(result, Data):
            return result
        if (offset_s := self.offset_s()) == 0:
            return result
        return shifted(result, offset_s) or result

    def offset_s(self) -> int:
        """How much it is off at this reading."""
        return self.seconds if self._offset_s is None else self._offset_s


class ClockJumps(ClockOff):
    """Show a time that jumps by so much at every reading, until a client sets the clock."""

    seconds: int = Field(default=900, ge=-86_400, le=86_400)
    """How far, each time."""

    def offset_s(self) -> int:
        """One jump more."""
        self._offset_s = max(-YEARS_S, min((self._offset_s or 0) + self.seconds, YEARS_S))
        return self._offset_s


class BufferFault(Fault):
    """A fault of some rows of a profile's buffer (class 7); the same rows each time."""

    of_rows: float = Field(default=0.1, gt=0, le=1)
    """Which share of the rows."""

    def concerns(self, occasion: Occasion) -> bool:
        """A reading of a buffer."""
        return any(map(_asks_for_a_buffer, occasion.items))

    def on_result(self, item: Item, result: ItemResult) -> ItemResult:
        """The rows as this fault has them."""
        if not _asks_for_a_buffer(item) or not isinstance(result, Data) or result.tag != DataTag.ARRAY:
            return result
        rows: list[Data] = []
        there = result if isinstance(result.value, tuple) else data.decode(data.encode(result))
        for row in there.value:
            rows += self.disturbed(row) if self._dice.fraction_of(data.encode(row)) < self.of_rows else (row,)
        return data.array(*rows)

    def disturbed(self, row: Data) -> Iterator[Data]:
        """What there is in place of this row."""
        yield row


class ProfileGap(BufferFault):
    """Leave out rows, without a word in the status."""

    def disturbed(self, row: Data) -> Iterator[Data]:
        """Nothing."""
        yield from ()


class ProfileDuplicate(BufferFault):
    """Give rows twice."""

    def disturbed(self, row: Data) -> Iterator[Data]:
        """The same again."""
        yield from (row, row)


class ProfileOverlap(BufferFault):
    """Add rows whose interval overlaps that of the row before, as after a clock that was set back."""

    seconds: int = Field(default=450, ge=1, le=86_400)
    """How long after the row before they end."""

    def disturbed(self, row: Data) -> Iterator[Data]:
        """The row, and the same with a later time; a row without time stays alone."""
        yield row
        columns: tuple[Any, ...] = row.value if row.tag == DataTag.STRUCTURE else ()
        for number, column in enumerate(columns):
            later = shifted(column, self.seconds)
            if later is not None:
                yield data.structure(*columns[:number], later, *columns[number + 1 :])
                return


def shifted(value: Data, seconds: int) -> Data | None:
    """A date-time, or an octet-string with one, that much later, in its own form; None for everything else."""
    text = value.tag == DataTag.OCTET_STRING
    try:
        moment = CosemDateTime.decode(value.value) if text and isinstance(value.value, bytes) else value.value
        if not isinstance(moment, CosemDateTime):
            return None
        zone = timezone(timedelta(minutes=-(moment.deviation_minutes or 0)))
        later = (moment.to_datetime(0) + timedelta(seconds=seconds)).astimezone(zone)
        shown = CosemDateTime.from_datetime(later, moment.clock_status)
    except (DecodeError, LocalError, OverflowError, ValueError):
        return None
    if moment.deviation_minutes is None:
        shown = replace(shown, deviation_minutes=None)
    return data.octet_string(shown.encode()) if text else data.date_time(shown)


def _asks_for_the_time(item: Item) -> bool:
    return isinstance(item, Get) and (item.descriptor.class_id, item.descriptor.attribute_id) == (CLOCK, TIME)


def _sets_the_time(item: Item) -> bool:
    if isinstance(item, Set):
        return (item.descriptor.class_id, item.descriptor.attribute_id) == (CLOCK, TIME)
    return (
        isinstance(item, Action) and item.descriptor.class_id == CLOCK and item.descriptor.method_id in SETTING_METHODS
    )


def _asks_for_a_buffer(item: Item) -> bool:
    return isinstance(item, Get) and (item.descriptor.class_id, item.descriptor.attribute_id) == (
        PROFILE_GENERIC,
        BUFFER,
    )
