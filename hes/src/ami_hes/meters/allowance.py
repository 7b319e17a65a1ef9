"""How much of something may be had in a while, by each host and in all: for what costs its sender nothing.

Times are of the event loop's clock. A host is an address as connections are counted by; there are as many as an attacker likes, so that
those beyond a bound share what is left in all.
"""

from collections import Counter
from dataclasses import dataclass, field

from ami_process.environment import real_time

MOST_HOSTS = 1_000
"""That are counted apart in one window."""


@dataclass(slots=True)
class Allowance:
    """So much per host and in all, within a window of `window_s` seconds; the next one begins anew."""

    per_host: int
    in_all: int
    window_s: float
    _began: float = 0.0
    _of_host: Counter[str] = field(default_factory=Counter)

    def takes(self, host: str, amount: int = 1) -> bool:
        """Whether there was so much left for this host; it is taken then."""
        now = real_time()
        if now - self._began >= self.window_s:
            self._began = now
            self._of_host.clear()
        known = host if host in self._of_host or len(self._of_host) < MOST_HOSTS else ""
        if self._of_host[known] + amount > self.per_host or self._of_host.total() + amount > self.in_all:
            return False
        self._of_host[known] += amount
        return True
