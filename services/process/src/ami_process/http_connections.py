"""Who is connected to an HTTP server, and who has to leave when too many are.

There is a limit of connections at once, and one per address (of IPv6: from one /64). When there are more, the oldest
ones that have no complete request are closed, first those of the same address, then of the address that has the most: a moment
later, so that what has been sent already counts. So a silent client keeps no other out.
"""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

BURST = 1_000
"""The number of connections beyond the allowed ones that are taken for a moment."""
SETTLE_S = 0.25
"""That moment: a request that was sent with the connection has been read by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """Connections at once, and seconds until one of them has to have done something."""

    connections: int = 1_000
    connections_per_address: int = 500
    head_s: float = 10.0
    body_s: float = 60.0
    idle_s: int = 60
    unread_s: float = 30.0
    """So long a response may wait for a client that does not read it."""
    linger_s: float = 3.0
    linger_octets: int = 32_000_000
    """So long, and so far, the rest of a refused request is let pass: closing at once would take the refusal away from the client."""

    @property
    def at_most(self) -> int:
        """Connections in a moment when many come at once."""
        return self.connections + BURST


class Connection(Protocol):
    """One that is counted."""

    loop: asyncio.AbstractEventLoop
    address: str

    @property
    def at_work(self) -> bool: ...

    def give_way(self) -> None: ...


class Connections:
    """All connections of a server, by address, oldest first."""

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._by_address: dict[str, dict[Connection, None]] = {}
        self._count = 0
        self._trimming: asyncio.TimerHandle | None = None

    def add(self, new: Connection) -> bool:
        """Count a connection; False when there is no room and none could be made."""
        neighbours = self._by_address.setdefault(new.address, {})
        neighbours[new] = None
        self._count += 1
        if self._count <= self._limits.connections and len(neighbours) <= self._limits.connections_per_address:
            return True
        crowd = neighbours if self._count <= self._limits.connections else self._crowded_first()
        if self._count > self._limits.at_most or next(_can_give_way(crowd, new), None) is None:
            return False
        if self._trimming is None:
            self._trimming = new.loop.call_later(SETTLE_S, self._trim)
        return True

    def remove(self, one: Connection) -> None:
        """Count it no more; it may be removed already."""
        neighbours = self._by_address.get(one.address, {})
        if one in neighbours:
            del neighbours[one]
            self._count -= 1
            if not neighbours:
                del self._by_address[one.address]

    def _trim(self) -> None:
        self._trimming = None
        for neighbours in list(self._by_address.values()):
            _close(neighbours, len(neighbours) - self._limits.connections_per_address)
        while self._count > self._limits.connections and _close(self._crowded_first(), 1):
            continue

    def _crowded_first(self) -> Iterator[Connection]:
        for neighbours in sorted(self._by_address.values(), key=len, reverse=True):
            yield from neighbours


def _can_give_way(candidates: Iterable[Connection], new: Connection | None = None) -> Iterator[Connection]:
    return (one for one in candidates if one is not new and not one.at_work)


def _close(candidates: Iterable[Connection], count: int) -> int:
    """Close up to this number of those that have no complete request; returns how many there were."""
    leaving = list(islice(_can_give_way(candidates), max(count, 0)))
    for one in leaving:
        one.give_way()
    return len(leaving)
