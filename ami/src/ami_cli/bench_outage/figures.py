"""What is measured of a burst."""

import statistics
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Burst:
    """One outage, and what became of its last gasps; seconds from the meter's own time of each to its arrival at the subscriber."""

    buffer: str
    granted_octets: int
    """Receive buffer of the head-end's socket."""
    meters: int
    over_s: float
    sent: int
    """Datagrams that have left the simulator."""
    taken: int
    """Datagrams that the kernel has handed to the head-end."""
    lost_in_kernel: int
    worked: int
    delays_s: tuple[float, ...]
    """Of each event that has come, sorted; one that came twice counts once."""
    doubled: int
    """Events that came once more."""
    took_s: float
    """From the beginning of the outage to the last event."""
    hes_cpu_s: float

    @property
    def delivered(self) -> int:
        return len(self.delays_s)

    @property
    def lost(self) -> int:
        """Last gasps that left and of which no event came."""
        return self.sent - self.delivered

    @property
    def first_s(self) -> float:
        return self.delays_s[0] if self.delays_s else 0.0

    @property
    def median_s(self) -> float:
        return statistics.median(self.delays_s) if self.delays_s else 0.0

    @property
    def last_s(self) -> float:
        return self.delays_s[-1] if self.delays_s else 0.0
