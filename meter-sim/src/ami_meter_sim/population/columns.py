"""The state of all meters of a process: one numpy array per field, one position per meter.

Strategy: a scan over one field of a million meters reads one array, and a meter without connections costs what its fields are
wide. A lasting column is on disk as well: who changes it writes a record into the journal (`row`). The numbers are on disk and
never change, and those of columns that are gone are not used again; a new column is a line here, and a revision of the store.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy
from numpy.typing import NDArray


class Column(NamedTuple):
    """`number` on disk, None for what only the running process needs; `initial` is what a meter begins with."""

    number: int | None
    dtype: str
    initial: int = 0


SECURITY_SETUPS = 2
"""Meters have up to two (class 64), each with invocation counters of its own."""

COLUMNS: Mapping[str, Column] = {
    # invocation counters: what is on disk is ahead of what was used; 2**32 is their end
    "send_reserved": Column(1, "i8", 1),
    "receive_reserved": Column(2, "i8", 1),
    "send_reserved_2": Column(3, "i8", 1),
    "receive_reserved_2": Column(4, "i8", 1),
    "send_next": Column(None, "i8", 1),
    "receive_lowest": Column(None, "i8", 1),
    "send_next_2": Column(None, "i8", 1),
    "receive_lowest_2": Column(None, "i8", 1),
    # clock
    "clock_offset_s": Column(5, "i4"),
    "clock_set_at": Column(6, "u4"),
    "time_zone_min": Column(7, "i2"),
    # what flowed
    "lost_import_ws": Column(9, "i8"),
    "lost_export_ws": Column(10, "i8"),
    "captured_until": Column(14, "u4"),
    # switch
    "control_mode": Column(15, "u1", 4),
    "control_state": Column(16, "u1", 1),
    # events, what a client did
    "event_code": Column(20, "u1"),
    "failed_logins": Column(22, "u1"),
    "locked_until": Column(23, "u4"),
    "flags": Column(27, "u2"),
    "last_record": Column(28, "u8"),
    # what the settings said in the last run
    "configured_control_mode": Column(29, "u1", 4),
    "configured_time_zone_min": Column(30, "i2"),
    # the process's own
    "alive_since": Column(None, "u4"),
    "next_due_at": Column(None, "u4"),
}
NAMES: Mapping[int, str] = {one.number: name for name, one in COLUMNS.items() if one.number is not None}
"""Number on disk -> name, for the lasting columns."""
NO_DUE_TIME = 0
MOST = 2**32 - 1
KNOWN = 1
"""Flag: the meter has been here before; what its settings say of a new meter is in its row."""
WITHOUT_POWER = 2
"""Flag: it has had no power since `captured_until`."""

Array = NDArray[Any]


class Columns:
    """`arrays[name][index]`; times are seconds since the epoch, 0 for never."""

    __slots__ = ("arrays", "count")

    def __init__(self, count: int) -> None:
        self.count = count
        self.arrays: dict[str, Array] = {
            # zeros take no memory until they are touched
            name: numpy.full(count, one.initial, one.dtype) if one.initial else numpy.zeros(count, one.dtype)
            for name, one in COLUMNS.items()
        }

    def first_due(self) -> int:
        """When the first work is due; 0 for never."""
        at = self.arrays["next_due_at"]
        return int((at - 1).min()) + 1 & MOST if at.size else NO_DUE_TIME  # 0 less 1 is the largest number there is

    def used_ahead(self) -> Array:
        """The indexes of meters whose counters on disk are ahead of what was used."""
        arrays = self.arrays
        pairs = (("send_reserved", "send_next"), ("receive_reserved", "receive_lowest"))
        ahead = [arrays[on_disk + two] != arrays[exact + two] for on_disk, exact in pairs for two in ("", "_2")]
        return numpy.flatnonzero(numpy.logical_or.reduce(ahead))

    def due(self, until: int) -> Array:
        """The indexes of the meters with work that is due at this second or was before."""
        at = self.arrays["next_due_at"]
        return numpy.flatnonzero((at <= until) & (at != NO_DUE_TIME))

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]
