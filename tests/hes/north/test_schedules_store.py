"""The contract of the store of schedules, on each kind of store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from stored_values import a_request, a_result, some_commands

from ami_hes.store import Database, NameTaken, SqlResults, SqlSchedules, StoredRun, StoredSchedule
from ami_process.store.places import Place

DUE = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)
DAY = timedelta(days=1)
MRIDS = ["m-1", "m-2", "m-3"]
DAILY = StoredSchedule(schedule_id="s-1", name="daily", definition="{}", enabled=True, next_due_at=DUE)
RUN = StoredRun(
    run_id="r-1",
    schedule_id="s-1",
    due_at=DUE,
    period_start=DUE - DAY,
    period_end=DUE,
    deadline_at=DUE + timedelta(hours=1),
    parts=1,
    meters=2,
)


@pytest.fixture
async def database(place: Place) -> AsyncIterator[Database]:
    async with Database(place) as opened:
        yield opened


@pytest.fixture
def schedules(database: Database) -> SqlSchedules:
    return SqlSchedules(database)


async def test_schedules_are_kept_changed_and_removed(schedules: SqlSchedules) -> None:
    hourly = replace(DAILY, schedule_id="s-2", name="hourly", enabled=False)
    for one in (hourly, DAILY):
        await schedules.put(one)
    assert await schedules.everything() == [DAILY, hourly]
    changed = replace(DAILY, name="every day", definition='{"at": "01:00"}')
    await schedules.put(changed)
    with pytest.raises(NameTaken):
        await schedules.put(replace(DAILY, schedule_id="s-3", name="hourly"))
    assert await schedules.everything() == [changed, hourly]
    assert (await schedules.remove("s-1"), await schedules.remove("s-1")) == (True, False)
    assert await schedules.everything() == [hourly]


async def test_a_run_is_begun_once_and_ended(schedules: SqlSchedules) -> None:
    await schedules.put(DAILY)
    for _ in range(2):
        await schedules.begin(RUN, DUE + DAY)
    assert await schedules.open_runs() == await schedules.runs("s-1", 5) == [RUN]
    assert [one.next_due_at for one in await schedules.everything()] == [DUE + DAY]
    await schedules.end(RUN, 2, DUE, forget_before=DUE)
    assert await schedules.open_runs() == []
    later = replace(RUN, run_id="r-2", due_at=DUE + DAY)
    await schedules.begin(later, DUE + 2 * DAY)
    assert await schedules.runs("s-1", 5) == [later, replace(RUN, delivered=2, ended_at=DUE)]
    assert await schedules.runs("s-1", 1) == [later]
    await schedules.end(later, 1, DUE + DAY, forget_before=DUE + timedelta(seconds=1))
    assert await schedules.runs("s-1", 5) == [replace(later, delivered=1, ended_at=DUE + DAY)], "old ones are dropped"


async def test_a_removed_schedule_leaves_nothing(schedules: SqlSchedules) -> None:
    await schedules.put(DAILY)
    await schedules.begin(RUN, DUE + DAY)
    await schedules.completed("s-1", {"m-1": DUE})
    await schedules.remove("s-1")
    await schedules.begin(replace(RUN, run_id="r-2"), DUE + DAY)
    await schedules.completed("s-1", {"m-1": DUE})
    assert await schedules.open_runs() == []
    await schedules.put(DAILY)
    assert await schedules.complete_until("s-1", MRIDS) == {}


async def test_what_a_meter_has_given_is_never_taken_back(schedules: SqlSchedules) -> None:
    await schedules.put(DAILY)
    await schedules.completed("s-1", {"m-1": DUE, "m-2": DUE})
    await schedules.completed("s-1", {"m-1": DUE + DAY, "m-2": DUE - DAY, "m-3": DUE})
    assert await schedules.complete_until("s-1", MRIDS) == {"m-1": DUE + DAY, "m-2": DUE, "m-3": DUE}
    assert await schedules.complete_until("s-1", ["m-2", "m-9"]) == {"m-2": DUE}
    assert await schedules.complete_until("s-2", MRIDS) == {}


async def test_what_came_of_the_commands_of_a_part(schedules: SqlSchedules, database: Database) -> None:
    results = SqlResults(database)
    await results.accept(a_request("p-1"), some_commands("p-1", "M1", "M2", "M3"))
    await results.save([a_result("p-1", "M2", ok=False, payload="[1]"), a_result("p-1", "M1", payload="[2]")])
    collected = await schedules.collected("p-1")
    assert [(one.meter_name, one.mrid, one.ok, one.payload) for one in collected] == [
        ("M1", "m1", True, "[2]"),
        ("M2", "m2", False, "[1]"),
    ]
    assert collected[0].finished_at.tzinfo is not None
    assert await schedules.collected("p-2") == []
    await results.accept(a_request("p-2"), some_commands("p-2", "M1"))
    await results.save([a_result("p-2", "M1", payload="[3]")])
    for _ in range(2):
        await schedules.drop_collected("p-1")
    assert [one.payload for part in ("p-1", "p-2") for one in await schedules.collected(part)] == ["", "", "[3]"]
    left = await results.command("p-1", "M2")
    assert left is not None and left.result is not None and not left.result.outcome.ok
