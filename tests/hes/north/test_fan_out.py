"""A run of a schedule of many meters is put through a lane that is small: it is never fuller than it may be, and what is not put yet costs no memory.

2,000 meters in CI; AMI_FAN_OUT=200000 by hand, with FAN_OUT_FIGURES=1 for what it took.
"""

from __future__ import annotations

import asyncio
import os
import resource
from pathlib import Path
from typing import Any

import pytest
from north_bench import entries
from scheduled import DUE, Readers, clock_at, collecting, order, reported
from scheduled import START as AT

from ami_hes.engine import EmbeddedEngine
from ami_hes.schedules.runs import METERS_PER_PART
from ami_process.environment import real_time

METERS = int(os.environ.get("AMI_FAN_OUT", "2000"))
ROOM = 500


class Silent(Readers):
    """Meters that are asked once and give nothing."""

    async def __call__(self, assignment: Any) -> Any:
        self.silent.add(assignment.meter.name)
        return await super().__call__(assignment)


@pytest.mark.ci
async def test_a_run_of_any_size_goes_through_a_small_lane(tmp_path: Path, events: list[Any]) -> None:
    clock, readers = clock_at(AT), Silent()
    most_tasks = most_pending = 0

    class Watched(EmbeddedEngine):
        """Looks at each take: how much waits, and how many tasks there are for it."""

        def __init__(self, *stores: Any, **options: Any) -> None:
            super().__init__(*stores, **options)
            take = self.commands.take

            async def watched(*arguments: Any) -> Any:
                nonlocal most_tasks, most_pending
                taken = await take(*arguments)
                most_tasks = max(most_tasks, len(asyncio.all_tasks()))
                most_pending = max(most_pending, sum(map(sum, self.commands.here().values())))
                return taken

            self.commands.take = watched  # type: ignore[method-assign]

    lanes = {"campaign": {"max_pending": ROOM, "share": 1.0}}
    registry = [one | {"tags": {"feeder": "F12"}} for one in entries(METERS)]
    began = real_time()
    async with collecting(tmp_path, clock, events, readers, lanes=lanes, registry=registry, make_engine=Watched) as hes:
        await order(hes)
        loaded, began_run = real_time() - began, real_time()
        await clock.advance_to(DUE)
        (done,) = await reported(events, "schedule_behind", within_s=METERS / 50)
        assert (done["meters"], done["delivered"], len(readers.silent)) == (METERS, 0, METERS)
        assert len(readers.asked) == METERS, "each once"
    assert most_pending < ROOM
    parts_at_once = ROOM / METERS_PER_PART
    assert most_tasks < 300 + 4 * parts_at_once, "parts that are not put yet have no task"
    if os.environ.get("FAN_OUT_FIGURES"):
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"{METERS} meters, loaded in {loaded:.0f} s, run in {real_time() - began_run:.0f} s, {most_tasks} tasks, {memory} MB")  # fmt: skip
