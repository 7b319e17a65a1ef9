"""The rows of a load profile, computed when it is read: an instant for each end of a capture period, and columns at all of them at once.

Strategy: the buffer is a function of now and of what happened. It holds the newest `entries` ends of periods, whether or not anybody was there:
a meter that was never asked has a past. A meter without power captures nothing, and the row after it says so in the status; what was
captured by hand lies in the history and is put between. All columns of a row are of one second.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ami_dlms import data
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.data import Data
from ami_dlms.enums import DataTag
from ami_meter_sim.load.noise import Integers
from ami_meter_sim.objects.cells import Cells, of_numbers, of_strings, of_times, repeated
from ami_meter_sim.objects.cosem_object import AccessRefused
from ami_meter_sim.objects.data_and_register import DataObject, ExtendedRegister
from ami_meter_sim.objects.periods import Lattice, ends_between
from ami_meter_sim.objects.profile_status import statuses
from ami_meter_sim.objects.timeline import second_of, without_power

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

MOST_ENTRIES = 40_000
"""Rows that a profile holds at most: more than a year of quarter hours."""
PROFILE_STATUS = "profile_status"
CLOCK_TIME = (8, 2)
VALUE = 2
CAPTURE_TIME = 5
WIDENINGS = 6


class Instants(NamedTuple):
    """The seconds of rows, in order, and that of the row before the first, which they may no longer hold."""

    before: int
    seconds: Integers

    def before_each(self, rows: Integers) -> Integers:
        """The second of the row before each of these."""
        if not len(rows):
            return rows
        before: Integers = np.where(rows > 0, self.seconds[rows - 1], self.before)
        return before


def instants(device: "Device", lattice: Lattice, span_s: int, since: int, entries: int) -> Integers:
    """The newest `entries` ends of periods up to now and after `since` at which the meter had power; a period takes `span_s` at most."""
    now = second_of(device.clock.at)
    off = without_power(device)
    found = np.zeros(0, np.int64)
    reach = span_s * (entries + 1)
    for _ in range(WIDENINGS):
        after = max(since, now - reach)
        ends = ends_between(device, lattice, after, now)
        found = ends[~(off.cover(ends) & off.cover_before(ends))] if len(off.begins) else ends
        if len(found) >= entries or after == since:
            break
        reach *= 2
    return found[len(found) - min(entries, len(found)) :]


def column(device: "Device", captured: CaptureObject, every: Instants, rows: Integers) -> Cells:
    """The cells of one column in these rows, every row being of its second; what is not measured is what it is now."""
    seconds = every.seconds[rows]
    if (captured.class_id, captured.attribute_index) == CLOCK_TIME and not captured.data_index:
        return of_times(device, seconds)
    found = device.find(captured.class_id, captured.logical_name)
    if found is None:
        return repeated(data.null(), len(seconds))
    if isinstance(found, DataObject):
        if captured.attribute_index == VALUE and found.quantity is not None:
            return of_numbers(found.tag, np.atleast_1d(np.asarray(found.measured(seconds), np.int64)))
        if captured.attribute_index == VALUE and found.described.value == PROFILE_STATUS:
            return of_numbers(DataTag.UNSIGNED, statuses(device, seconds, every.before_each(rows)))
        if captured.attribute_index == CAPTURE_TIME and isinstance(found, ExtendedRegister) and len(seconds):
            return of_strings(found.capture_times(seconds))
    try:
        return repeated(element(found.read(captured.attribute_index), captured.data_index), len(seconds))
    except AccessRefused:
        return repeated(data.null(), len(seconds))


def element(value: Data, data_index: int) -> Data:
    """One element of an array or structure, from 1; the whole for 0, and for what has no elements."""
    if data_index and isinstance(value.value, tuple):
        part: Data = value.value[data_index - 1] if data_index <= len(value.value) else data.null()
        return part
    return value
