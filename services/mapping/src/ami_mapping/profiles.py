"""A meter's profile as the mapping sees it: its capture period, its columns, and the selective access to some of its rows."""

from __future__ import annotations

from dataclasses import dataclass

from ami_dlms import data
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.selection import CaptureObject, RangeDescriptor, SelectiveAccess
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.obis import Obis

PROFILE_GENERIC, BUFFER = 7, 2


@dataclass(frozen=True, slots=True)
class Profile:
    """What a meter says of one of its profiles: capture_period in seconds (0: captured by a schedule) and capture_objects."""

    obis: Obis
    capture_period_s: int
    columns: tuple[CaptureObject, ...]

    def __hash__(self) -> int:
        """Without the columns: it is looked up for each meter, and a meter has few profiles."""
        return hash((self.obis, self.capture_period_s))

    @property
    def buffer(self) -> AttributeDescriptor:
        """The attribute that has the rows."""
        return AttributeDescriptor(PROFILE_GENERIC, self.obis, BUFFER)

    @property
    def clock(self) -> CaptureObject | None:
        """The column with the times of the rows; None when there is none, and then rows are chosen by number only."""
        return next((column for column in self.columns if column.is_clock and not column.is_unix_clock), None)

    def between(self, start: CosemDateTime, end: CosemDateTime, places: tuple[int, ...] = ()) -> SelectiveAccess:
        """The rows from `start` to `end`, both included, in the clock and these columns (by place from 0; none is all).

        ValueError for a profile without a clock.
        """
        clock = self.clock
        if clock is None:
            raise ValueError(f"the profile {self.obis} has no column with a clock")
        columns = (clock, *(self.columns[place] for place in places)) if places else ()
        first, last = data.octet_string(start.encode()), data.octet_string(end.encode())
        return RangeDescriptor(clock, first, last, columns).encode()
