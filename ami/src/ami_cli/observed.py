"""What any view shows: requests, meter states, steps, octets and incidents, no more than a view has use for.

Who hears of a system fills it: the demo from what its processes print (`demo_state`), `ami watch` from what a head-end's API says.
"""

from abc import abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ami_cli.observations import Happening, Octets, Request, Step
from ami_cli.totals import Tally

KEPT = 200
"""Of each kind."""
NO_ANSWER = "no answer"
Pieces = Sequence[tuple[str, str]]
"""Texts with their styles."""


@dataclass(slots=True, kw_only=True)
class Observed:
    """All that was heard of lately."""

    started_at: datetime
    states: dict[str, str] = field(default_factory=dict)
    """Of the disconnect control of each meter that was asked."""
    requests: dict[str, Request] = field(default_factory=dict)
    steps: deque[Step] = field(default_factory=lambda: deque(maxlen=KEPT))
    wire: deque[Octets] = field(default_factory=lambda: deque(maxlen=KEPT))
    happenings: deque[Happening] = field(default_factory=lambda: deque(maxlen=KEPT))
    _past: Tally = field(default_factory=Tally)
    """Those that are no longer in `requests`."""

    @property
    @abstractmethod
    def unasked(self) -> int:
        """How many meters nothing is known of."""

    @property
    @abstractmethod
    def told(self) -> Pieces:
        """The totals in a line, in styled pieces."""

    @property
    def newest_first(self) -> list[Request]:
        """The requests, newest first."""
        return list(reversed(self.requests.values()))

    def count(self, word: str) -> int:
        """How many meters are in this state."""
        return sum(state == word for state in self.states.values())

    def request(self, message_id: str, at: datetime) -> Request:
        """The request of this MessageID, which may be new."""
        if message_id not in self.requests and len(self.requests) >= KEPT:
            self._forget_oldest()
        return self.requests.setdefault(message_id, Request(message_id=message_id, sent_at=at))

    def _forget_oldest(self) -> None:
        """The oldest that has ended; if none has, the oldest of others, for their number is not ours to choose."""
        ended = (one for one in self.requests.values() if one.result is not None)
        theirs = (one for one in self.requests.values() if not one.own)
        oldest = next(ended, None) or next(theirs, None)
        if oldest is not None:
            self._past.add(self.requests.pop(oldest.message_id))
