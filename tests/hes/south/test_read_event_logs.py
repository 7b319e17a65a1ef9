"""Event logs of a simulated meter, read over a socket: what is left out is said."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from measured_meter import measuring
from small_meter import South

from ami_hes.commands import Command, MeterId
from ami_hes.end_device_events import EventTaker, log_reading
from ami_hes.operations import Assignment, Attempt
from ami_process.environment import real_time


async def test_logs_beyond_the_limit_are_named(ami: South, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with measuring(ami, tmp_path) as made:
        await made(datetime(2026, 3, 27, 12, tzinfo=UTC), with_past=False)
        meters = ami.meters
        assert meters is not None
        meters.taker = EventTaker(ami.happened, meters.environment)
        meter = next(iter(meters.registry.meters))
        command = Command("request-1", MeterId(meter.name, meter.mrid), log_reading.NAME, "")

        async def read() -> str:
            attempt = Attempt(ami._keep, begun=False)
            outcome = await log_reading.run(meters, Assignment(meter, command, attempt, real_time() + 20))
            assert outcome.ok, outcome
            return outcome.reason

        whole = await read()
        there = int(whole.rpartition(" of ")[2].split()[0])
        assert there > 2 and "not read" not in whole
        monkeypatch.setattr(log_reading, "MOST_LOGS", 2)
        assert (await read()).endswith(f" of 2 logs; {there - 2} of its {there} logs were not read: 2 are read at most")
