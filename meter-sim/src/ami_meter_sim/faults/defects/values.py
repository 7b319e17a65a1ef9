"""Defects of what clocks, registers and profiles say: values of right types that contradict the class, the clock, or each other."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any, ClassVar

from pydantic import Field, PrivateAttr

from ami_dlms import data
from ami_dlms.association import Get, ItemResult, Set
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.selection import BY_ENTRY, EntryDescriptor
from ami_dlms.data import Data
from ami_dlms.datetimes import DAYLIGHT_SAVING_ACTIVE, CosemDateTime
from ami_dlms.enums import DataAccessResult, DataTag
from ami_dlms.errors import DecodeError, LocalError
from ami_meter_sim.faults.defects.defect import Defect
from ami_meter_sim.faults.defects.selection import BUFFER
from ami_meter_sim.faults.fault import Item
from ami_meter_sim.faults.times import shifted

ENERGY = (DataTag.DOUBLE_LONG_UNSIGNED, DataTag.LONG64_UNSIGNED, DataTag.DOUBLE_LONG, DataTag.LONG64)
WATT = 27
WATT_HOUR = 30
REGISTER = 3
ENTRIES_IN_USE = 7


class RowsDefect(Defect):
    """Changes the rows of a buffer."""

    about: ClassVar[dict[str, Any]] = BUFFER

    def on_result(self, item: Item, result: ItemResult) -> ItemResult:
        """Other rows."""
        if not isinstance(item, Get) or not isinstance(result, Data) or result.tag is not DataTag.ARRAY:
            return result
        there = result if isinstance(result.value, tuple) else data.decode(data.encode(result))
        return data.array(*self.rows(item, there.value))

    def rows(self, item: Get, rows: tuple[Data, ...]) -> tuple[Data, ...]:
        """What there is in place of these."""
        return rows


class ProfileUnlikeRegister(RowsDefect):
    """Capture less energy in profiles than the registers count: their differences do not agree."""

    share: float = Field(default=0.9, ge=0, le=1)
    """Of the energy."""

    def rows(self, item: Get, rows: tuple[Data, ...]) -> tuple[Data, ...]:
        """Smaller values in their place."""
        return tuple(
            data.structure(*map(self._less, row.value)) if row.tag is DataTag.STRUCTURE else row for row in rows
        )

    def _less(self, cell: Data) -> Data:
        return Data(cell.tag, int(cell.value * self.share)) if cell.tag in ENERGY else cell


class RowOfTheFuture(RowsDefect):
    """Give a last row whose interval has not ended yet, and count it among the entries in use."""

    about: ClassVar[dict[str, Any]] = {**BUFFER, "attribute": [2, ENTRIES_IN_USE]}

    seconds: int = Field(default=900, ge=1, le=86_400)
    """How long after the row before it ends, where there is one row alone; else as long as the last two are apart."""
    _before: int = PrivateAttr(default=0)
    """How many rows are read in front of those that were asked for: the new one is made of the last."""

    def on_request(self, item: Item) -> Item | ItemResult | None:
        """By number, with the row before."""
        self._before, entries = 0, _entries(item)
        if not isinstance(item, Get) or entries is None or entries.from_entry < 2:
            return None
        self._before = 1
        return replace(item, selection=replace(entries, from_entry=entries.from_entry - 1).encode())

    def on_result(self, item: Item, result: ItemResult) -> ItemResult:
        """One entry in use more, and its row."""
        if not isinstance(item, Get) or item.descriptor.attribute_id != ENTRIES_IN_USE:
            return super().on_result(item, result)
        return Data(result.tag, result.value + 1) if isinstance(result, Data) and result.value else result

    def rows(self, item: Get, rows: tuple[Data, ...]) -> tuple[Data, ...]:
        """One more; where rows are asked for by number, if there are fewer than these."""
        entries = _entries(item)
        if not rows or (entries and entries.to_entry and len(rows) > entries.to_entry - entries.from_entry):
            return rows[self._before :]
        times = [_time_of(row) for row in rows[-2:]]
        apart = [(second - first).total_seconds() for first, second in pairwise(times) if first and second]
        more = _later(rows[-1], int(apart[0]) if apart and apart[0] > 0 else self.seconds)
        return (*rows, more)[self._before :]


def _entries(item: Item) -> EntryDescriptor | None:
    """The rows that are asked for by number."""
    if not isinstance(item, Get) or item.selection is None or item.selection.selector != BY_ENTRY:
        return None
    try:
        return EntryDescriptor.decode(item.selection)
    except DecodeError:
        return None


def _time_of(row: Data) -> datetime | None:
    """The first date-time among its cells."""
    for cell in row.value if row.tag is DataTag.STRUCTURE else ():
        with suppress(DecodeError, LocalError):
            if cell.tag is DataTag.OCTET_STRING:
                return CosemDateTime.decode(cell.value).to_datetime(0)
    return None


def _later(row: Data, seconds: int) -> Data:
    cells: tuple[Data, ...] = row.value if row.tag is DataTag.STRUCTURE else ()
    return data.structure(*[shifted(cell, seconds) or cell for cell in cells]) if cells else row


class RowsOffTheGrid(RowsDefect):
    """Give rows times that are some seconds behind the end of the capture period."""

    seconds: int = Field(default=7, ge=1, le=3600)
    """How many."""

    def rows(self, item: Get, rows: tuple[Data, ...]) -> tuple[Data, ...]:
        """Every second one later, so that no shift of the clock explains it."""
        return tuple(_later(row, self.seconds) if place % 2 else row for place, row in enumerate(rows))


class ListsColumnsInOtherOrder(Defect):
    """List the capture objects of a profile in another order than its rows have."""

    about: ClassVar[dict[str, Any]] = {"service": "get", "class": 7, "attribute": 3}

    def on_result(self, item: Item, result: ItemResult) -> ItemResult:
        """The last two swapped."""
        if not isinstance(result, Data) or not isinstance(result.value, tuple) or len(result.value) < 2:
            return result
        *others, before, last = result.value
        return data.array(*others, last, before)


class TimeDefect(Defect):
    """Changes what the clock shows."""

    about: ClassVar[dict[str, Any]] = {"service": "get", "class": 8, "attribute": 2}

    def on_result(self, item: Item, result: ItemResult) -> ItemResult:
        """Another date-time of the same form."""
        if not isinstance(item, Get) or not isinstance(result, Data) or not isinstance(result.value, bytes):
            return result
        try:
            return data.octet_string(self.shown(CosemDateTime.decode(result.value)).encode())
        except DecodeError:
            return result

    def shown(self, time: CosemDateTime) -> CosemDateTime:
        """In place of this."""
        return time


class WrongWeekday(TimeDefect):
    """Show the day of the week before."""

    def shown(self, time: CosemDateTime) -> CosemDateTime:
        """Sunday on Monday."""
        return replace(time, day_of_week=(time.day_of_week or 1) - 1 or 7)


class DaylightBitStuck(TimeDefect):
    """Say that daylight saving is in force, whatever the deviation is."""

    def shown(self, time: CosemDateTime) -> CosemDateTime:
        """With the bit, and against it where it should be there."""
        return replace(time, clock_status=(time.clock_status or 0) ^ DAYLIGHT_SAVING_ACTIVE)


class ShowsWholeMinutes(TimeDefect):
    """Show whole minutes: the seconds stand still."""

    def shown(self, time: CosemDateTime) -> CosemDateTime:
        """With the second 0."""
        return replace(time, second=0, hundredths=0)


class TakesNoSuchDate(Defect):
    """Say success to a time that no calendar has."""

    about: ClassVar[dict[str, Any]] = {"service": "set", "class": 8, "attribute": 2}

    def on_result(self, item: Item, result: ItemResult) -> ItemResult:
        """Success, and nothing has changed."""
        return DataAccessResult.SUCCESS if isinstance(item, Set) else result


class RegisterFalls(Defect):
    """Show less energy with every reading."""

    about: ClassVar[dict[str, Any]] = {"service": "get", "class": REGISTER, "attribute": 2}

    by: int = Field(default=10, ge=1, le=1_000_000)
    """How much less each time."""
    _readings: int = PrivateAttr(default=0)

    def on_result(self, item: Item, result: ItemResult) -> ItemResult:
        """The value less what it has fallen; of energy (1-b:c.8.e) alone."""
        medium, _, _, kind, *_ = item.descriptor.instance_id
        if (medium, kind) != (1, 8) or not isinstance(result, Data) or result.tag not in ENERGY:
            return result
        self._readings += 1
        return Data(result.tag, max(result.value - self.by * self._readings, 0))


class ZeroAtFirst(Defect):
    """Say that a register is 0 the first time that it is read on a connection: what measures was not asked yet."""

    about: ClassVar[dict[str, Any]] = {"service": "get", "class": REGISTER, "attribute": 2}

    _read: set[AttributeDescriptor] = PrivateAttr(default_factory=set)

    def on_connection(self) -> None:
        """Nothing was read."""
        self._read = set()

    def on_result(self, item: Item, result: ItemResult) -> ItemResult:
        """0 of the same type, once."""
        if not isinstance(item, Get) or not isinstance(result, Data) or not isinstance(result.value, int):
            return result
        first = item.descriptor not in self._read
        self._read.add(item.descriptor)
        return Data(result.tag, 0) if first else result


class ScalerWithoutSign(Defect):
    """Give the scaler of a register as unsigned instead of integer."""

    about: ClassVar[dict[str, Any]] = {"service": "get", "class": REGISTER, "attribute": 3}

    def on_result(self, item: Item, result: ItemResult) -> ItemResult:
        """The same octets under the other type."""
        if not isinstance(result, Data) or not isinstance(result.value, tuple) or not result.value:
            return result
        scaler, *unit = result.value
        return data.structure(data.unsigned(scaler.value & 0xFF), *unit) if isinstance(scaler.value, int) else result


class EnergyInWatts(Defect):
    """Give energy the unit of power."""

    about: ClassVar[dict[str, Any]] = {"service": "get", "class": REGISTER, "attribute": 3}

    def on_result(self, item: Item, result: ItemResult) -> ItemResult:
        """W in place of Wh."""
        if not isinstance(result, Data) or not isinstance(result.value, tuple) or not result.value:
            return result
        *scaler, unit = result.value
        return data.structure(*scaler, data.enum(WATT)) if unit.value == WATT_HOUR else result
