"""What a demo came to, counted: its own requests, and beside them those of others."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from ami_cli.observations import Request

MOST_TIMES = 1_000
"""How many of the latest requests the median is taken from; a demo may run for months."""


@dataclass(frozen=True, slots=True)
class DemoSummary:
    """What the demo came to."""

    cycles: int
    requests: int
    confirmed_commands: int
    commands: int
    unfulfilled: int
    running: int
    median_ms: float | None
    max_ms: float | None
    counts: Mapping[str, int]
    """Fulfilled requests by control name."""
    others: Mapping[str, int]
    """Requests of others by how they ended; they count nowhere else."""
    reads: int = 0
    """Requests for values; they count nowhere else."""
    reads_ok: int = 0
    """Those of them that brought every value of every meter."""

    @property
    def all_confirmed(self) -> bool:
        """Every request that was answered is fulfilled."""
        return self.unfulfilled == 0 and self.reads_ok == self.reads


@dataclass(slots=True)
class Tally:
    """Finished requests, counted, and those of others with how they ended."""

    requests: int = 0
    fulfilled: Counter[str] = field(default_factory=Counter)
    confirmed_commands: int = 0
    commands: int = 0
    took: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_TIMES))
    """In milliseconds, of the latest ones."""
    longest: float | None = None
    others: Counter[str] = field(default_factory=Counter)
    reads: int = 0
    reads_ok: int = 0

    def add(self, request: Request) -> None:
        """Count one more; what an earlier life of the CIS has sent, and this one only saw answered, is not the demo's."""
        if not request.is_counted:
            self.others[request.status] += 1
            return
        if request.is_read:
            self.reads += 1
            self.reads_ok += request.result == "OK"
            return
        self.requests += 1
        self.fulfilled[request.what] += request.fulfilled
        self.confirmed_commands += len(request.confirmed)
        self.commands += len(request.meters)
        if request.ms is not None:
            self.took.append(request.ms)
            self.longest = max(self.longest or 0.0, request.ms)
