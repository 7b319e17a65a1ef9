"""The rows of a profile as they are now, to be sorted, selected and encoded: computed ones by arrays, recorded ones one by one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ami_dlms import data
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.data import Data, EncodedItems
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataAccessResult, DataTag
from ami_dlms.errors import DlmsError
from ami_meter_sim.clock import MeterClock
from ami_meter_sim.load.noise import Integers
from ami_meter_sim.objects.cells import rows_of
from ami_meter_sim.objects.clock import moment_of
from ami_meter_sim.objects.computed_rows import CLOCK_TIME, Instants, column
from ami_meter_sim.objects.cosem_object import AccessRefused
from ami_meter_sim.objects.timeline import clock_settings, shown

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

FIFO, LIFO, LARGEST, SMALLEST, NEAREST_TO_ZERO, FARTHEST_FROM_ZERO = SORT_METHODS = range(1, 7)
STAYS_ENCODED_FROM = 8
"""Rows from which an answer is not taken apart any more."""


class Buffer(Protocol):
    """Rows in order of time."""

    def __len__(self) -> int:
        """How many there are."""

    def comparable(self, number: int) -> Integers:
        """The values of a column, times as seconds; AccessRefused when they are neither numbers nor times."""

    def encoded(self, rows: Integers, columns: Sequence[int]) -> Data:
        """An array of these rows, in this order, with these columns."""


class Computed:
    """Rows at these seconds."""

    def __init__(self, device: "Device", columns: tuple[CaptureObject, ...], every: Instants) -> None:
        self._device = device
        self._columns = columns
        self._every = every
        self.seconds = every.seconds

    def __len__(self) -> int:
        return len(self.seconds)

    def comparable(self, number: int) -> Integers:
        """As `Buffer`."""
        captured = self._columns[number]
        if (captured.class_id, captured.attribute_index) == CLOCK_TIME:
            return np.atleast_1d(shown(clock_settings(self._device), self.seconds))
        rows = np.arange(len(self.seconds))
        found = column(self._device, captured, self._every, rows).comparable
        if found is None:
            raise AccessRefused(DataAccessResult.TYPE_UNMATCHED)
        return found

    def encoded(self, rows: Integers, columns: Sequence[int]) -> Data:
        """As `Buffer`."""
        octets = self.octets(rows, columns)
        items = EncodedItems(len(rows), octets)
        return Data(DataTag.ARRAY, items if len(rows) >= STAYS_ENCODED_FROM else items.items)

    def octets(self, rows: Integers, columns: Sequence[int]) -> bytes:
        """The rows, one encoded structure after the other."""
        cells = [column(self._device, self._columns[one], self._every, rows) for one in columns]
        return rows_of(cells, len(rows)).tobytes()

    def row_octets(self) -> list[bytes]:
        """Each whole row."""
        octets = self.octets(np.arange(len(self)), range(len(self._columns)))
        width = len(octets) // max(len(self), 1)
        return [octets[start : start + width] for start in range(0, len(octets), max(width, 1))]


class Recorded:
    """Rows that were encoded when they were captured."""

    def __init__(self, rows: list[bytes], clock: MeterClock) -> None:
        self._rows = rows
        self._clock = clock

    def __len__(self) -> int:
        return len(self._rows)

    def comparable(self, number: int) -> Integers:
        """As `Buffer`."""
        return np.array([comparable(self._values(row)[number], self._clock) for row in range(len(self))], np.int64)

    def encoded(self, rows: Integers, columns: Sequence[int]) -> Data:
        """As `Buffer`."""
        chosen = [self._values(int(row)) for row in rows]
        return data.array(*(data.structure(*(row[one] for one in columns if one < len(row))) for row in chosen))

    def _values(self, row: int) -> tuple[Data, ...]:
        values: tuple[Data, ...] = data.decode(self._rows[row]).value
        return values


def order(buffer: Buffer, method: int, sort_column: int | None) -> Integers:
    """The rows in the order of a sort method; without a column those that need one are as captured."""
    rows = np.arange(len(buffer))
    if method == LIFO:
        return rows[::-1]
    if method == FIFO or sort_column is None:
        return rows
    values = buffer.comparable(sort_column)
    keys = {LARGEST: -values, SMALLEST: values, NEAREST_TO_ZERO: abs(values), FARTHEST_FROM_ZERO: -abs(values)}
    return np.argsort(keys[method], kind="stable")


def comparable(value: Data, clock: MeterClock, time_expected: bool = False) -> int:
    """A number as it is, a time as seconds since the epoch; AccessRefused for anything else, a time without deviation being the meter's own."""
    content: object = value.value
    try:
        if value.tag == DataTag.OCTET_STRING and isinstance(content, bytes):
            content = CosemDateTime.decode(content)
        if isinstance(content, CosemDateTime):
            return int(moment_of(content, clock).timestamp() // 1)
    except DlmsError:
        raise AccessRefused(DataAccessResult.TYPE_UNMATCHED) from None
    if time_expected or isinstance(content, bool) or not isinstance(content, int):
        raise AccessRefused(DataAccessResult.TYPE_UNMATCHED)
    return content
