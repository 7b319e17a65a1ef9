"""One meter's state: named fields over one position of the columns, which are the only copy.

Strategy: reading a field reads the array; changing a lasting one changes the array and adds a record to the journal, so that
nothing that outlives the process can be changed past it. Making a row costs two words, and it may be made as often as wanted.
"""

from typing import Self, overload

from ami_meter_sim.population.columns import COLUMNS, WITHOUT_POWER, Columns
from ami_meter_sim.population.journal import Cell, Sink, StateUnusable


class Field:
    """A column as an attribute of a row: a whole number."""

    __slots__ = ("_name", "_number")

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name
        self._number = COLUMNS[name].number

    @overload
    def __get__(self, row: None, owner: type) -> Self: ...
    @overload
    def __get__(self, row: "Row", owner: type) -> int: ...
    def __get__(self, row: "Row | None", owner: type) -> "int | Self":
        if row is None:
            return self
        value: int = row.arrays[self._name].item(row.index)
        return value

    def __set__(self, row: "Row", value: int) -> None:
        array, index = row.arrays[self._name], row.index
        before = array.item(index)
        if before == value:
            return
        array[index] = value
        if self._number is None:
            return
        try:
            row.sink.add(Cell(row.number, self._number, value))
        except StateUnusable:
            array[index] = before
            raise


class Row:
    """The meter at `index` of the columns, which has `number` on disk. A value that does not fit raises OverflowError."""

    __slots__ = ("arrays", "columns", "index", "number", "sink")

    def __init__(self, columns: Columns, index: int, number: int, sink: Sink) -> None:
        self.columns = columns
        self.arrays = columns.arrays
        self.index = index
        self.number = number
        self.sink = sink

    @property
    def powered(self) -> bool:
        """Whether the meter has power."""
        return not self.flags & WITHOUT_POWER

    def give_back_counters(self) -> None:
        """What was reserved and not used may be used in another life of the process. Nothing may be sent after this."""
        self.send_reserved, self.receive_reserved = self.send_next, self.receive_lowest
        self.send_reserved_2, self.receive_reserved_2 = self.send_next_2, self.receive_lowest_2

    send_reserved = Field()
    receive_reserved = Field()
    send_reserved_2 = Field()
    receive_reserved_2 = Field()
    send_next = Field()
    receive_lowest = Field()
    send_next_2 = Field()
    receive_lowest_2 = Field()
    clock_offset_s = Field()
    clock_set_at = Field()
    time_zone_min = Field()
    lost_import_ws = Field()
    lost_export_ws = Field()
    captured_until = Field()
    control_mode = Field()
    control_state = Field()
    event_code = Field()
    failed_logins = Field()
    locked_until = Field()
    flags = Field()
    last_record = Field()
    configured_control_mode = Field()
    configured_time_zone_min = Field()
    alive_since = Field()
    next_due_at = Field()


class Unwritten:
    """A sink for rows whose changes need not outlive the process: for meters that are made for a moment."""

    __slots__ = ()

    def add(self, change: object) -> None:
        """Let it go."""


def row_in_memory() -> Row:
    """A row of its own, on no disk."""
    return Row(Columns(1), 0, 0, Unwritten())
