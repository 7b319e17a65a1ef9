"""Metrics of the lanes of commands and of groups of meters: what this process has and has done, and how deep the lanes of all processes are."""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.metrics_core import Metric

from ami_hes.api import metric_families as families
from ami_hes.api.metric_families import counter, gauge, histogram, single
from ami_hes.commands import Lane
from ami_hes.engine import Commands
from ami_hes.jobs import Lanes, Tally
from ami_hes.store import StoreUnavailable

_OUTCOMES = {True: "ok", False: "failed"}


@dataclass(frozen=True, slots=True)
class LaneMetrics:
    """Of a process; `takes_requests`: it refuses those for which a lane has no room; `works`: it carries commands out."""

    commands: Commands
    tally: Tally
    lanes: Lanes
    takes_requests: bool
    works: bool

    def counted(self) -> Iterator[Metric]:
        """What this process knows by itself."""
        here, tally = self.commands.here(), self.tally
        places = {(lane,): limits.sessions if self.works else 0 for lane, limits in self.lanes.items()}
        yield gauge(families.LANE_PLACES, places)
        yield gauge(families.LANE_WAITING, {(lane,): counts.waiting for lane, counts in here.items()})
        yield gauge(families.LANE_IN_HAND, {(lane,): counts.in_hand for lane, counts in here.items()})
        done = {(lane, said): tally.done[lane, ok] for lane in Lane for ok, said in _OUTCOMES.items()}
        yield counter(families.LANE_DONE, done)
        yield histogram(families.LANE_WAITED, {(lane,): waited for lane, waited in tally.waited.items()})
        if self.takes_requests:
            yield gauge(families.LANE_LIMIT, {(lane,): limits.pending for lane, limits in self.lanes.items()})
            yield counter(families.LANE_REFUSED, {(lane,): number for lane, number in tally.refused.items()})
        yield gauge(families.GROUP_IN_HAND, {(group,): number for group, number in tally.of_groups_in_hand.items()})
        of_groups = {(group, _OUTCOMES[ok]): number for (group, ok), number in tally.of_groups_done.items()}
        yield counter(families.GROUP_DONE, of_groups)

    async def asked(self) -> list[Metric]:
        """What the engine knows; the depths are left out where it can't be asked now."""
        try:
            depths = {(str(lane),): await self.commands.pending(lane) for lane in Lane}
        except StoreUnavailable:
            return [single(families.ENGINE_UP, 0)]
        return [single(families.ENGINE_UP, 1), gauge(families.LANE_DEPTH, depths)]
