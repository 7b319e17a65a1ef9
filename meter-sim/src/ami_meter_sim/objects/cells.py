"""Columns of a profile as octets: encoded A-XDR cells of many rows, filled by numpy (IEC 62056-5-3, clause 8).

Strategy: a column is a matrix with one row of octets per row of the profile, all of one width, tag included; rows are columns side by side.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.datetimes import DAYLIGHT_SAVING_ACTIVE
from ami_dlms.enums import DataTag
from ami_meter_sim.load.noise import Integers
from ami_meter_sim.load.table import DAY_S
from ami_meter_sim.objects.periods import COLUMNS_KEPT, local_at
from ami_meter_sim.objects.timeline import clock_settings, shown

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

Octets = NDArray[np.uint8]

WIDTHS: dict[DataTag, np.dtype[Any]] = {
    DataTag.UNSIGNED: np.dtype(">u1"),
    DataTag.LONG_UNSIGNED: np.dtype(">u2"),
    DataTag.DOUBLE_LONG_UNSIGNED: np.dtype(">u4"),
    DataTag.LONG64_UNSIGNED: np.dtype(">u8"),
    DataTag.INTEGER: np.dtype(">i1"),
    DataTag.LONG: np.dtype(">i2"),
    DataTag.DOUBLE_LONG: np.dtype(">i4"),
    DataTag.LONG64: np.dtype(">i8"),
    DataTag.ENUM: np.dtype(">u1"),
}
DATE_TIME_OCTETS = 12


class Cells(NamedTuple):
    """A column: its octets, and what it is sorted and selected by, where it is a number or a time (seconds, UTC)."""

    octets: Octets
    comparable: Integers | None


def of_numbers(tag: DataTag, numbers: Integers) -> Cells:
    """Numbers of one type."""
    return Cells(_with_prefix(bytes((tag,)), _big(numbers, WIDTHS[tag])), numbers)


def of_strings(strings: list[bytes]) -> Cells:
    """Octet-strings of one length, below 128."""
    octets = np.frombuffer(b"".join(strings), np.uint8).reshape(len(strings), -1)
    return Cells(_with_prefix(bytes((DataTag.OCTET_STRING, octets.shape[1])), octets), None)


def of_times(device: "Device", seconds: Integers) -> Cells:
    """The clock's time at these seconds, as an octet-string."""
    octets, utc = _time_cells(device, seconds)
    return Cells(octets, utc)


def repeated(value: Data, count: int) -> Cells:
    """The same value in every row."""
    octets = np.frombuffer(data.encode(value), np.uint8)
    number = value.value if isinstance(value.value, int) and not isinstance(value.value, bool) else None
    comparable = None if number is None else np.full(count, number, np.int64)
    return Cells(np.broadcast_to(octets, (count, len(octets))), comparable)


def rows_of(columns: list[Cells], count: int) -> Octets:
    """Structures of these columns, one per row."""
    prefix = bytes((DataTag.STRUCTURE, len(columns)))
    found = np.empty((count, len(prefix) + sum(one.octets.shape[1] for one in columns)), np.uint8)
    found[:, : len(prefix)] = np.frombuffer(prefix, np.uint8)
    start = len(prefix)
    for one in columns:
        end = start + one.octets.shape[1]
        found[:, start:end] = one.octets
        start = end
    return found


def date_times(device: "Device", seconds: Integers) -> tuple[Octets, Integers]:
    """COSEM date-times that the clock shows at these seconds, 12 octets each, and the same in UTC."""
    octets, utc = _time_cells(device, seconds)
    return octets[:, -DATE_TIME_OCTETS:], utc


def _time_cells(device: "Device", seconds: Integers) -> tuple[Octets, Integers]:
    settings = clock_settings(device)
    utc = np.atleast_1d(shown(settings, seconds))
    ahead, saving = local_at(settings, seconds, utc)
    return _encoded_times((utc + ahead).tobytes(), ahead.tobytes(), saving.tobytes()), utc


@lru_cache(COLUMNS_KEPT)
def _encoded_times(local: bytes, ahead_of_utc: bytes, in_force: bytes) -> Octets:
    """Cells of local times, what each is ahead of UTC, and where daylight saving is in force, all of them columns of 64-bit numbers.

    Meters whose rows of the same time are read have them in common.
    """
    moments, ahead, saving = (np.frombuffer(one, np.int64) for one in (local, ahead_of_utc, in_force))
    days = moments // DAY_S
    second = moments - days * DAY_S
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    years = dates.astype("datetime64[Y]")
    octets = np.zeros((len(moments), DATE_TIME_OCTETS), np.uint8)
    octets[:, 0:2] = _big(years.astype(np.int64) + 1970, ">u2")
    octets[:, 2] = months.astype(np.int64) % 12 + 1
    octets[:, 3] = (dates - months.astype("datetime64[D]")).astype(np.int64) + 1
    octets[:, 4] = (days + 3) % 7 + 1
    octets[:, 5] = second // 3600
    octets[:, 6] = second // 60 % 60
    octets[:, 7] = second % 60
    octets[:, 9:11] = _big(-ahead // 60, ">i2")
    octets[:, 11] = saving * DAYLIGHT_SAVING_ACTIVE
    cells = _with_prefix(bytes((DataTag.OCTET_STRING, DATE_TIME_OCTETS)), octets)
    cells.setflags(write=False)
    return cells


def _big(numbers: Integers, layout: "np.dtype[Any] | str") -> Octets:
    big = numbers.astype(layout, "C")
    return big.view(np.uint8).reshape(len(numbers), big.itemsize)


def _with_prefix(prefix: bytes, octets: Octets) -> Octets:
    count, width = octets.shape
    found = np.empty((count, len(prefix) + width), np.uint8)
    found[:, : len(prefix)] = np.frombuffer(prefix, np.uint8)
    found[:, len(prefix) :] = octets
    return found
