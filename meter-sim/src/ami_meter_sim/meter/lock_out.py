"""A meter that locks out its clients after wrong keys, each time for twice as long (Blue Book class 124).

Off unless a meter's faults switch it on, because with it a stranger can keep the head-end out: that is what real meters do
which protect their port so, and what a head-end has to get along with.
"""

from dataclasses import dataclass, field
from datetime import datetime
from math import ceil

from ami_meter_sim.population.row import Row, row_in_memory

MOST_S = 3600.0
MOST_COUNTED = 255


@dataclass(slots=True)
class LockOut:
    """`allowed` failed attempts in a row, None for any number; then nothing is answered for `first_s`, twice that, and so on.

    How often it failed and until when nothing is answered is in the meter's row: a meter that is reached anew is as locked as before.
    """

    allowed: int | None
    first_s: float
    row: Row = field(default_factory=row_in_memory)

    def locks(self, at: datetime) -> bool:
        """Whether the port is closed."""
        return at.timestamp() < self.row.locked_until

    def failed(self, at: datetime) -> None:
        """The keys were wrong."""
        if self.allowed is None:
            return
        failed = self.row.failed_logins = min(self.row.failed_logins + 1, MOST_COUNTED)
        if failed >= self.allowed:
            times = min(failed - self.allowed, 32)
            self.row.locked_until = ceil(at.timestamp() + min(self.first_s * 2**times, MOST_S))

    def succeeded(self) -> None:
        """The keys were right: counting begins anew."""
        self.row.failed_logins = 0
