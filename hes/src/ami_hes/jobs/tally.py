"""What a process has done in its lanes, counted for metrics: by lane, and by group of meters, of which a bounded number is told apart."""

from collections import Counter
from collections.abc import Iterable

from ami_hes.commands import CommandJob, Lane
from ami_hes.store import Latency

WAITED_S = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 3_600.0)
MOST_GROUPS = 100
"""Groups that are counted by themselves, the first that have work; a tag may have any number of values."""
OTHER = "other"


class Tally:
    """Counts; what a process begins, ends and refuses of commands."""

    def __init__(self) -> None:
        self.waited = {lane: Latency(WAITED_S) for lane in Lane}
        """From when a command came into this process until it was taken for the first time."""
        self.done: Counter[tuple[Lane, bool]] = Counter()
        """By lane, and whether the outcome is OK."""
        self.refused: Counter[Lane] = Counter(dict.fromkeys(Lane, 0))
        """Commands of requests that were refused since their lane was full."""
        self.of_groups_in_hand: Counter[str] = Counter()
        self.of_groups_done: Counter[tuple[str, bool]] = Counter()
        self._groups: set[str] = set()

    def began(self, job: CommandJob, group: str, waited_s: float | None) -> None:
        """A command is in hand; `waited_s` where it is for the first time."""
        if waited_s is not None:
            self.waited[job.lane].note(waited_s)
        if name := self._named(group):
            self.of_groups_in_hand[name] += 1

    def left(self, group: str) -> None:
        """It is in no hand any more."""
        if name := self._named(group):
            self.of_groups_in_hand[name] -= 1

    def ended(self, job: CommandJob, group: str, *, ok: bool) -> None:
        """It has its result."""
        self.done[job.lane, ok] += 1
        if name := self._named(group):
            self.of_groups_done[name, ok] += 1

    def had_no_room(self, jobs: Iterable[CommandJob]) -> None:
        """Nothing was accepted of these."""
        self.refused.update(job.lane for job in jobs)

    def _named(self, group: str) -> str:
        """As it is counted; empty for meters of no group."""
        if group and group not in self._groups and len(self._groups) < MOST_GROUPS:
            self._groups.add(group)
        return group if group in self._groups else OTHER if group else ""
