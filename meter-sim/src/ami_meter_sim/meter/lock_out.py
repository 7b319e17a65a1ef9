"""A meter that locks out its management client after wrong keys, each time for twice as long (Blue Book class 124).

Off unless a meter's faults switch it on, because with it a stranger can keep the head-end out: that is what real meters do
which protect their port so, and what a head-end has to get along with.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

MOST_S = 3600.0


@dataclass(slots=True)
class LockOut:
    """`allowed` failed attempts in a row, None for any number; then nothing is answered for `first_s`, twice that, and so on."""

    allowed: int | None
    first_s: float
    _failed: int = 0
    _until: datetime | None = None

    def locks(self, at: datetime) -> bool:
        """Whether the port is closed."""
        return self._until is not None and at < self._until

    def failed(self, at: datetime) -> None:
        """The keys were wrong."""
        self._failed += 1
        if self.allowed is not None and self._failed >= self.allowed:
            times = min(self._failed - self.allowed, 32)
            self._until = at + timedelta(seconds=min(self.first_s * 2**times, MOST_S))

    def succeeded(self) -> None:
        """The keys were right: counting begins anew."""
        self._failed = 0
