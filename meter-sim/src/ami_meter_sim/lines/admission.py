"""Who may have a connection: a meter serves a handful, and a silent one makes room for the next.

Connections are bounded per place, which is an address and the meters behind it. One more takes the place of an idle one: of
one that never said anything, else of one without an association, else of one that has not been heard for a while; when none of
them is idle it is closed at once. One sweep a second for all connections ends those that have been silent for too long.
"""

import asyncio
from collections.abc import Hashable

from ami_meter_sim.lines.connection import Connection
from ami_process.environment import real_time, real_timer

IDLE_S = 10.0  # without a request, for a connection with an open association
SWEEP_S = 1.0


class Admission:
    """All connections of the process by place. None is idle for longer than `idle_timeout_s`, or as long as it likes."""

    def __init__(self, idle_timeout_s: float | None) -> None:
        self._idle_timeout_s = idle_timeout_s
        self._places: dict[Hashable, set[Connection]] = {}
        self._sweep: asyncio.TimerHandle | None = None

    def admits(self, one: Connection, place: Hashable, most: int) -> bool:
        """Keep it in mind, if there is room at the place for it or another one can give way; False: close it."""
        there = self._places.get(place)
        if there is None:
            there = self._places[place] = set()
        elif len(there) >= most and not _one_gives_way(there):
            return False
        there.add(one)
        if self._sweep is None:
            self._sweep = real_timer(real_time() + SWEEP_S, self._look)
        return True

    def forget(self, one: Connection, place: Hashable) -> None:
        """It is no more."""
        there = self._places.get(place)
        if there is not None:
            there.discard(one)
            if not there:
                del self._places[place]

    def __len__(self) -> int:
        return sum(map(len, self._places.values()))

    def _look(self) -> None:
        """End what is idle; there is no sweep while there is no connection."""
        self._sweep = None
        at = real_time()
        for one in [one for there in self._places.values() for one in there]:
            if self._idle_timeout_s is not None and not one.pausing and one.since + self._idle_timeout_s <= at:
                one.hang_up()
            else:
                one.inactive(at)
        if self._places:
            self._sweep = real_timer(real_time() + SWEEP_S, self._look)

    def end(self, place: Hashable) -> None:
        """Close every connection of a place."""
        for one in list(self._places.get(place, ())):
            one.hang_up()

    def close(self) -> None:
        """There will be no sweep any more."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None


def _one_gives_way(there: set[Connection]) -> bool:
    """Close the connection that is idle most; False when none is."""
    before = real_time() - IDLE_S
    idle = [one for one in there if not one.busy and (not one.associated or one.since <= before)]
    if not idle:
        return False
    first = min(idle, key=lambda one: (one.spoken, one.associated, one.since))
    there.remove(first)
    first.hang_up()
    return True
