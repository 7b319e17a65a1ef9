"""How often the store of readings commits: many meters together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection

from ami_hes.store import Database, SqlReadings, StoredSeries
from ami_hes.store.readings import GATHER_S
from ami_hes.store.readings_port import Extract
from ami_process.environment import real_time

CODE = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0"
METERS = 200
T = TypeVar("T")

FOR_EVER = 1e6


class Counted(Database):
    """Counts its transactions."""

    begun = 0

    async def transaction(self, work: Callable[[Connection], T]) -> T:
        self.begun += 1
        return await super().transaction(work)


def one_value() -> StoredSeries:
    return StoredSeries(reading_type=CODE, times=(1,), values=("5",), qualities=("",), received=(1,), by_meter=(False,))


async def test_meters_that_come_one_after_the_other_share_transactions(tmp_path: Path) -> None:
    async with Counted(tmp_path / "hes.sqlite") as database:
        readings = SqlReadings(database)
        began = real_time()
        async with asyncio.TaskGroup() as group:
            for number in range(METERS):
                group.create_task(readings.keep(f"m-{number}", [one_value()]))
                await asyncio.sleep(0)
        waits = (real_time() - began) / GATHER_S
        assert database.begun <= waits + 2 < METERS, (database.begun, waits)
        assert [len(part) async for part in readings.everything(Extract(after=0, until=2))] == [1] * METERS


async def test_the_last_of_several_is_not_waited_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ami_hes.store.readings.GATHER_S", FOR_EVER)
    async with Counted(tmp_path / "hes.sqlite") as database:
        readings = SqlReadings(database)
        async with asyncio.TaskGroup() as group:
            for number in range(METERS):
                group.create_task(readings.keep(f"m-{number}", [one_value()], last=number == METERS - 1))
        assert database.begun == 2, "the first one went alone, the others wait for the last"
