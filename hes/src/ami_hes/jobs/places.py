"""Where a command may be worked now: places per lane, so that the lower ones leave some to the higher, and limits per group.

The places of a lane are nested: what is worked in a lane counts in every higher one too. So however much there is to be read, places
that reads may not have are free for controls, and controls may have all.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from ami_hes.commands import Lane
from ami_hes.jobs.lanes import Groups
from ami_process.environment import real_time, real_timer

HIGHER = {lane: tuple(Lane)[: index + 1] for index, lane in enumerate(Lane)}
"""Each lane and those before it, in which its commands count."""


NONE_FULL: frozenset[str] = frozenset()
AFTERWARDS = 500
"""Commands that have left their places early, and keep what their meters gave. With more of them, places are left at the end."""


@dataclass(frozen=True, slots=True)
class FreePlaces:
    """What may be taken: commands of these lanes, at most `limit` in all, and none of a group that is full."""

    lanes: frozenset[Lane]
    limit: int
    full: frozenset[str]


class Place:
    """A place that is taken; given back at the end, or when its session is over."""

    def __init__(self, leave: Callable[[], None], early: set["Place"]) -> None:
        self._leave = leave
        self._early = early
        self._left = False

    def session_over(self) -> None:
        """What remains to be done wants no place, unless much of it waits already."""
        if not self._left and len(self._early) < AFTERWARDS:
            self._early.add(self)
            self._left = True
            self._leave()

    def end(self) -> None:
        """The command has ended."""
        self._early.discard(self)
        if not self._left:
            self._left = True
            self._leave()


class LanePlaces:
    """The places."""

    def __init__(self, most: Mapping[Lane, int], groups: Groups) -> None:
        self._most = most
        self._groups = groups
        self._worked: Counter[Lane] = Counter()
        self._of_group: Counter[str] = Counter()
        self._early: set[Place] = set()
        self._not_before: dict[str, float] = {}
        """When the next session of a group may be begun, of `real_time`."""
        self._changed = asyncio.Event()
        self._widening: tuple[FreePlaces, asyncio.Future[None]] | None = None

    async def opening(self) -> FreePlaces:
        """As soon as a lane has a place."""
        while not (now := self._now()).lanes:
            self._changed.clear()
            await self._changed.wait()
        return now

    def wider(self, than: FreePlaces) -> asyncio.Future[None]:
        """Done when there is a lane or a group that this opening has not. One at a time: the last one that was asked for."""
        widened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._widening = than, widened
        self._look_for_wider()
        return widened

    def enter(self, lane: Lane, group: str, *, begins: bool = True) -> Place:
        """Take a place; `begins`: a session, and is not only reported as too late."""
        place = Place(partial(self._left, lane, group), self._early)
        for one in HIGHER[lane]:
            self._worked[one] += 1
        if not self._groups.limited:
            return place
        self._of_group[group] += 1
        per_s = self._groups.limits(group).per_s
        if per_s is not None and begins:
            self._not_before[group] = max(real_time(), self._not_before.get(group, 0.0)) + 1 / per_s
            real_timer(self._not_before[group], self._paced(group))
        return place

    def _left(self, lane: Lane, group: str) -> None:
        for one in HIGHER[lane]:
            self._worked[one] -= 1
        if self._groups.limited:
            self._of_group[group] -= 1
            if not self._of_group[group]:
                del self._of_group[group]
        self._change()

    def _now(self) -> FreePlaces:
        free = {lane: self._free(lane) for lane in Lane}
        lanes = frozenset(lane for lane in Lane if free[lane] > 0)
        limit = 1 if self._groups.limited else min((free[lane] for lane in lanes), default=0)
        return FreePlaces(lanes, limit, self._full())

    def _free(self, lane: Lane) -> int:
        return min([self._most[one] - self._worked[one] for one in HIGHER[lane]])

    def _full(self) -> frozenset[str]:
        if not self._groups.limited:
            return NONE_FULL
        at_most = {group: self._groups.limits(group).sessions for group in self._of_group}
        crowded = {name for name, most in at_most.items() if most is not None and self._of_group[name] >= most}
        return frozenset(crowded | self._not_before.keys())

    def _paced(self, group: str) -> Callable[[], None]:
        def ring() -> None:
            if self._not_before.get(group, 0.0) <= real_time():
                self._not_before.pop(group, None)
                self._change()

        return ring

    def _change(self) -> None:
        self._changed.set()
        self._look_for_wider()

    def _look_for_wider(self) -> None:
        if self._widening is None:
            return
        than, widened = self._widening
        if widened.done():
            self._widening = None
            return
        free_again = any(self._free(lane) > 0 for lane in Lane if lane not in than.lanes)
        if free_again or (than.full and than.full - self._full()):
            self._widening = None
            widened.set_result(None)
