"""How often something is tried again, and after which pauses: a reply that is not taken, a command that failed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """The pauses between attempts, doubled from the first to the longest, and how many attempts there are at most."""

    first_s: float
    most_s: float
    attempts: int

    def pause_s(self, failures: int) -> float:
        """The pause after this number of failures."""
        return float(min(self.first_s * 2 ** min(failures - 1, 40), self.most_s))
