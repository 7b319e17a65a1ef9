"""The port to what is kept for traces: rows that nothing else depends on, so they may be lost and are dropped when they are old."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

REFUSAL, PUSH, EVENT = "\x01refusal:", "\x01push:", "\x01event:"
"""How keys begin under which there is no request: one that was refused, a push, and which push an event came of. No MessageID can
begin so, since no XML holds this character."""
MOST_REFUSALS = 1_000


class KeptAttempt(NamedTuple):
    """What was noted at one meter, packed by `ami_hes.traces.packing`."""

    request_id: str
    meter_name: str
    began_at: datetime
    ok: bool
    octets: bytes


class KeptArrival(NamedTuple):
    """How a request came, likewise."""

    request_id: str
    began_at: datetime
    octets: bytes


class RequestFilter(NamedTuple):
    """Which requests have traces that are looked for; None: whichever."""

    limit: int
    failed: bool = False
    noun: str | None = None
    meter: str | None = None
    before: str | None = None
    """Only those accepted before this one."""


class TraceStore(Protocol):
    """Every method raises StoreUnavailable."""

    async def keep(
        self, attempts: Sequence[KeptAttempt], arrivals: Sequence[KeptArrival], refusals: Sequence[KeptArrival] = ()
    ) -> None:
        """Commit them together. Of a request that has an arrival the first one counts, of refusals the last one, and the latest MOST_REFUSALS."""

    async def attempts(self, request_id: str, limit: int) -> list[KeptAttempt]:
        """Of a request, in the order in which they ended."""

    async def arrival(self, request_id: str) -> KeptArrival | None:
        """Of a request."""

    async def requests(self, wanted: RequestFilter) -> list[str]:
        """MessageIDs of requests, the latest first."""

    async def refusals(self, limit: int, before: str | None, offset: int = 0) -> list[KeptArrival]:
        """The latest ones, or those before the time of what has this MessageID."""

    async def pushes(self, limit: int, meter: str | None, before: str | None, *, failed: bool) -> list[KeptAttempt]:
        """The latest ones: of a meter, those that were dropped, those before this one."""

    async def forget(self, before: datetime, most_octets: int) -> int:
        """Drop what began before then, and the oldest ones until all attempts have no more octets than this; how many attempts."""
