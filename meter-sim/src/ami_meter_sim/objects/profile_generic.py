"""Profile generic (class 7): load profiles that are computed, event logs that were recorded, in every order, with selective access.

Strategy: a profile with a capture period is a function of time (`computed_rows`). Without one its rows are the records of its own in the
history, each captured whole. Both come as encoded rows, are sorted and selected by arrays, and an answer of many rows stays encoded.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from ami_dlms import data
from ami_dlms.cosem.selection import (
    BY_ENTRY,
    BY_RANGE,
    CaptureObject,
    EntryDescriptor,
    RangeDescriptor,
    SelectiveAccess,
)
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataAccessResult, DataTag
from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.obis import Obis
from ami_meter_sim.load.noise import Integers
from ami_meter_sim.objects.base import base_of
from ami_meter_sim.objects.billing import billing_ends, billing_schedule
from ami_meter_sim.objects.buffer import FIFO, SORT_METHODS, Buffer, Computed, Recorded, comparable, order
from ami_meter_sim.objects.computed_rows import MOST_ENTRIES, Instants, element, instants
from ami_meter_sim.objects.cosem_object import AccessRefused, ActionRefused, CosemObject, Options, integer_in
from ami_meter_sim.objects.memory import Record, RecordKind
from ami_meter_sim.objects.periods import every, monthly
from ami_meter_sim.objects.recording import record_cleared
from ami_meter_sim.objects.timeline import instant_of, resets, second_of
from ami_packs.model import ObjectDescription

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

NO_SORT_OBJECT = CaptureObject(0, Obis(bytes(6)), 0, 0)
CLOCK_CLASS = 8
LONGEST_MONTH_S = 31 * 86_400 + 3_600
MOST_COLUMNS = 32
LONGEST_BILLING_S = 366 * 86_400
LEAST_PERIOD_S = 60
DETAIL_OCTETS = 1024
SELECTIONS_KEPT = 64
EVER = -(1 << 40)
CAPTURE_OBJECTS, CAPTURE_PERIOD, SORT_METHOD, SORT_OBJECT, PROFILE_ENTRIES = 3, 4, 5, 6, 8


class CapturedRow(NamedTuple):
    """An encoded structure, and the second at which it was captured."""

    second: int
    octets: bytes


class ProfileGeneric(CosemObject):
    """`sort` is the sort method of a new meter, `sort_column` the number of the column from 1 that it sorts by (0: none).

    `months`: a row at the end of each billing period, although there is no capture period: as the model's schedule and scripts for that say,
    and without a schedule at the begin of each month of the meter's clock. The parameter of both methods,
    integer (0), means nothing.
    """

    __slots__ = ("_device",)

    class_id, version = 7, 1
    reads: ClassVar = {
        "buffer": lambda self, context: self._buffer(context.selection),
        "capture_objects": lambda self, _: data.array(*(one.encode() for one in self.columns)),
        "capture_period": lambda self, _: self.period_s,
        "sort_method": lambda self, _: self._kept(SORT_METHOD, self.option("sort")),
        "sort_object": lambda self, _: self._sort_object.encode(),
        "entries_in_use": lambda self, _: self._in_use(),
        "profile_entries": lambda self, _: self.entries,
    }
    writes: ClassVar = {
        "capture_objects": lambda self, value: self._set(CAPTURE_OBJECTS, _columns_in(value)),
        "capture_period": lambda self, value: self._set(CAPTURE_PERIOD, _period_in(value)),
        "sort_method": lambda self, value: self._set(SORT_METHOD, _sort_method_in(value)),
        "sort_object": lambda self, value: self._set(SORT_OBJECT, self._sort_object_in(value)),
        "profile_entries": lambda self, value: self._set(
            PROFILE_ENTRIES, _number_in(value, range(1, MOST_ENTRIES + 1))
        ),
    }
    methods: ClassVar = {"reset": lambda self, _: self._clear(), "capture": lambda self, _: self.capture()}
    selective = frozenset({"buffer"})
    options: ClassVar[Options] = {"sort": FIFO, "sort_column": 0, "months": False}

    def __init__(self, described: ObjectDescription, device: "Device") -> None:
        super().__init__(described)
        self._device = device

    # --- what it is

    @property
    def columns(self) -> tuple[CaptureObject, ...]:
        """capture_objects."""
        changed = self._device.kept.get(self.class_id, self.described.obis, CAPTURE_OBJECTS)
        return self.described.columns if changed is None else tuple(map(CaptureObject.decode, changed.value))

    @property
    def period_s(self) -> int:
        """capture_period: 0 of a profile whose rows are recorded."""
        period: int = self._kept(CAPTURE_PERIOD, self.described.capture_period)
        return period

    @property
    def entries(self) -> int:
        """profile_entries."""
        entries: int = self._kept(PROFILE_ENTRIES, self.described.profile_entries)
        return entries

    @property
    def _sort_object(self) -> CaptureObject:
        changed = self._device.kept.get(self.class_id, self.described.obis, SORT_OBJECT)
        if changed is not None:
            return CaptureObject.decode(changed)
        number: int = self.option("sort_column")
        return self.columns[number - 1] if 0 < number <= len(self.columns) else NO_SORT_OBJECT

    def _kept(self, attribute_id: int, otherwise: Any) -> Any:
        changed = self._device.kept.get(self.class_id, self.described.obis, attribute_id)
        return otherwise if changed is None else changed.value

    # --- what changes it

    def capture(self) -> None:
        """Add a row with the values of this instant."""
        device, obis = self._device, self.described.obis
        cells = (self._cell(one) for one in self.columns)
        row = data.encode(data.structure(*cells))
        if len(row) > DETAIL_OCTETS:
            raise ActionRefused(ActionResult.OTHER_REASON)
        device.history.happened(Record(device.clock.at, RecordKind.EVENT, obis, 0, row))
        device.history.forget(RecordKind.EVENT, obis, self.entries)

    def reset(self) -> None:
        """Empty the buffer."""
        device, obis = self._device, self.described.obis
        device.history.happened(Record(device.clock.at, RecordKind.RESET, obis, self._in_use()))
        device.history.forget(RecordKind.RESET, obis, 1)
        device.history.forget(RecordKind.EVENT, obis, 0)

    def settle(self, until: int) -> None:
        """Capture the rows that are computed up to a second, so that they are what they are now whatever is forgotten."""
        device, obis = self._device, self.described.obis
        before, seconds = self._computed()
        seconds = seconds[seconds <= until]
        rows = Computed(device, self.columns, Instants(before, seconds)).row_octets()
        for second, row in zip(seconds.tolist(), rows, strict=True):
            device.history.happened(Record(instant_of(second), RecordKind.EVENT, obis, 0, row))
        if rows:
            device.history.forget(RecordKind.EVENT, obis, self.entries)

    def _clear(self) -> None:
        """The same by order of a client, which is an event."""
        self.reset()
        record_cleared(self._device, self.described.obis)

    def _set(self, attribute_id: int, value: Data) -> None:
        """What is written to a profile empties its buffer."""
        self.reset()
        self._device.kept.put(self.class_id, self.described.obis, attribute_id, value)

    def _cell(self, captured: CaptureObject) -> Data:
        source = self._device.find(captured.class_id, captured.logical_name)
        try:
            return (
                data.null() if source is None else element(source.read(captured.attribute_index), captured.data_index)
            )
        except AccessRefused:
            return data.null()

    def _sort_object_in(self, value: Data) -> Data:
        try:
            wanted = CaptureObject.decode(value)
        except DecodeError:
            raise AccessRefused(DataAccessResult.TYPE_UNMATCHED) from None
        if wanted != NO_SORT_OBJECT and wanted not in self.columns:
            raise AccessRefused(DataAccessResult.SCOPE_OF_ACCESS_VIOLATED)
        return value

    # --- the rows

    def _since(self) -> int:
        """Rows at or before this second are gone, or were captured."""
        found, base = resets(self._device, self.described.obis), base_of(self._device)
        return max(second_of(found[-1].at) if found else EVER, EVER if base is None else base.second)

    def _recorded(self) -> list[CapturedRow]:
        """Rows of the history, the oldest first, with those that the model gives a new meter before them."""
        records = self._device.history.records(RecordKind.EVENT, source=self.described.obis)
        rows = [CapturedRow(second_of(one.at), one.detail) for one in records]
        if resets(self._device, self.described.obis):
            return rows
        return [*(CapturedRow(EVER, row) for row in self.described.rows), *rows]

    def _computed(self) -> Instants:
        """The rows that are computed."""
        months = self.option("months")
        period_s = LONGEST_MONTH_S if months else self.period_s
        if self.described.rows or not period_s:
            return Instants(0, np.zeros(0, np.int64))
        most, since = min(self.entries, MOST_ENTRIES) + 1, self._since()
        lattice = every(period_s)
        found = self._billed(since, most) if months else instants(self._device, lattice, period_s, since, most)
        if len(found) > self.entries:
            return Instants(int(found[0]), found[1:])
        return Instants(self._before_first(found, period_s), found)

    def _billed(self, since: int, most: int) -> Integers:
        """The newest ends of billing periods: of months where the model has no schedule for them, and those by hand."""
        device = self._device
        now = second_of(device.clock.at)
        ends = billing_ends(device, max(since, now - most * LONGEST_BILLING_S), now)
        if billing_schedule(device) is None:
            ends = np.unique(np.concatenate((ends, instants(device, monthly, LONGEST_MONTH_S, since, most))))
        return ends[-most:]

    def _before_first(self, found: Integers, period_s: int) -> int:
        """The second of the row that was captured before these, or of a period before."""
        base = base_of(self._device)
        captured = [] if base is None else [one.second for one in self._recorded() if one.second <= base.second]
        return max(captured) if captured else int(found[0]) - period_s if len(found) else 0

    def _in_use(self) -> int:
        return min(self.entries, len(self._computed().seconds) + len(self._recorded()))

    def _rows(self) -> Buffer:
        """Computed ones, recorded ones, or both in order of time; the newest."""
        recorded, columns = self._recorded(), self.columns
        computed = Computed(self._device, columns, self._computed())
        if not recorded:
            return computed
        both = [
            CapturedRow(int(second), row) for second, row in zip(computed.seconds, computed.row_octets(), strict=True)
        ]
        both = sorted((*both, *recorded), key=lambda row: row.second)
        return Recorded([row.octets for row in both[-self.entries :]], self._device.clock)

    # --- reading them

    def _buffer(self, selection: SelectiveAccess | None) -> Data:
        rows = self._rows()
        columns = self.columns
        sort_object = self._sort_object
        sort_column = columns.index(sort_object) if sort_object in columns else None
        ordered = order(rows, self._kept(SORT_METHOD, self.option("sort")), sort_column)
        if selection is None:
            return rows.encoded(ordered, range(len(columns)))
        try:
            if selection.selector == BY_RANGE:
                return self._by_range(rows, ordered, _range_in(selection))
            if selection.selector == BY_ENTRY:
                return self._by_entry(rows, ordered, EntryDescriptor.decode(selection))
        except (DecodeError, LocalError):
            raise AccessRefused(DataAccessResult.TYPE_UNMATCHED) from None
        raise AccessRefused(DataAccessResult.SCOPE_OF_ACCESS_VIOLATED)

    def _by_entry(self, rows: Buffer, ordered: Integers, wanted: EntryDescriptor) -> Data:
        """Numbers from 1, both ends included, 0 as an end for the last."""
        if wanted.from_entry < 1 or wanted.from_selected_value < 1:
            raise AccessRefused(DataAccessResult.SCOPE_OF_ACCESS_VIOLATED)
        chosen = ordered[wanted.from_entry - 1 : wanted.to_entry or None]
        columns = range(len(self.columns))[wanted.from_selected_value - 1 : wanted.to_selected_value or None]
        return rows.encoded(chosen, columns)

    def _by_range(self, rows: Buffer, ordered: Integers, wanted: RangeDescriptor) -> Data:
        """Rows whose restricting column lies between both values, these included."""
        columns = self.columns
        restricting = _number_of(wanted.restricting_object, columns)
        chosen = [_number_of(column, columns) for column in wanted.selected_values] or range(len(columns))
        is_time = columns[restricting].class_id == CLOCK_CLASS
        clock = self._device.clock
        lowest, highest = (comparable(value, clock, is_time) for value in (wanted.from_value, wanted.to_value))
        values = rows.comparable(restricting)[ordered]
        return rows.encoded(ordered[(lowest <= values) & (values <= highest)], chosen)


def _number_of(column: CaptureObject, columns: tuple[CaptureObject, ...]) -> int:
    try:
        return columns.index(column)
    except ValueError:
        raise AccessRefused(DataAccessResult.SCOPE_OF_ACCESS_VIOLATED) from None


@lru_cache(maxsize=SELECTIONS_KEPT)
def _range_in(selection: SelectiveAccess) -> RangeDescriptor:
    """Clients ask meters of one kind for the same rows."""
    return RangeDescriptor.decode(selection)


def _columns_in(value: Data) -> Data:
    """Checked capture_objects."""
    columns = value.value
    if value.tag != DataTag.ARRAY or not 0 < len(columns) <= MOST_COLUMNS:
        raise AccessRefused(DataAccessResult.TYPE_UNMATCHED)
    try:
        for one in columns:
            CaptureObject.decode(one)
    except DecodeError:
        raise AccessRefused(DataAccessResult.TYPE_UNMATCHED) from None
    return value


def _number_in(value: Data, numbers: range) -> Data:
    integer_in(value, DataTag.DOUBLE_LONG_UNSIGNED, numbers)
    return value


def _period_in(value: Data) -> Data:
    """A period that is neither 0 nor at least a minute would make more rows than anybody reads."""
    if value.value != 0:
        integer_in(value, DataTag.DOUBLE_LONG_UNSIGNED, range(LEAST_PERIOD_S, 1 << 32))
    return _number_in(value, range(1 << 32))


def _sort_method_in(value: Data) -> Data:
    integer_in(value, DataTag.ENUM, SORT_METHODS)
    return value
