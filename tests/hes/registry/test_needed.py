"""A worker's registry holds the meters that its commands need, and not those that nobody has needed for long."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from entries import OTHER_MASTER, a_sealer, entry, key, mrid, opened

from ami_hes.commands import Command, CommandJob, Lane, MeterId
from ami_hes.registry import ImportRow, KeptRegistry, NeededMeters
from ami_hes.registry.opening import needed_registry
from ami_hes.store import Database, SqlRegistry, StoredRegistry
from ami_process.settings import SettingsError
from ami_process.store.places import Place

DUE = datetime(2026, 12, 1, tzinfo=UTC)


def job(number: int, request_id: str = "r") -> CommandJob:
    command = Command(request_id, MeterId(f"M{number}", mrid(number)), "disconnect", "")
    return CommandJob(command, Lane.CONTROL, DUE)


def sub_meter(number: int, host: int) -> dict[str, object]:
    return {
        "name": f"M{number}",
        "mrid": mrid(number),
        "behind": f"M{host}",
        "channel": 1,
        "identification": f"{number:08}",
        "manufacturer": "AMI",
    }


async def a_worker(database: Database) -> KeptRegistry:
    return await needed_registry(SqlRegistry(database), a_sealer())


def here(*numbers: int) -> list[CommandJob]:
    return [job(number) for number in numbers]


def names(kept: KeptRegistry) -> set[str]:
    return {meter.name for meter in kept.registry}


async def test_a_meter_is_there_once_a_command_needs_it_as_the_front_end_has_it(place: Place) -> None:
    async with Database(place) as database:
        front = await opened(database, [entry(1), entry(2), sub_meter(3, 2)])
        worker = await a_worker(database)
        needed = NeededMeters(worker)
        assert not names(worker)
        await needed.need(here(1, 4), list)
        assert names(worker) == {"M1"}, "there is no fourth one"
        await needed.need(
            [replace(one, command=replace(one.command, meter=MeterId("M3", mrid(3).upper()))) for one in here(3)], list
        )
        assert names(worker) == {"M1", "M2", "M3"}, "that which it is behind comes with it"
        for number in (1, 2, 3):
            assert worker.registry.find_by_mrid(mrid(number)) == front.registry.find_by_mrid(mrid(number))
        spoken_with = worker.registry.spoken_with(mrid(3))
        assert spoken_with is not None and spoken_with.name == "M2"


async def test_it_is_bounded_and_keeps_what_is_in_a_command_here(place: Place) -> None:
    async with Database(place) as database:
        await opened(database, [*map(entry, range(1, 31)), sub_meter(31, 1)])
        worker = await a_worker(database)
        needed = NeededMeters(worker, most=10)
        await needed.need(here(31, 2), list)
        for number in range(3, 31):
            await needed.need(here(number), lambda: here(31, 2))
            assert len(worker.registry) <= 11
        assert {"M1", "M2", "M30", "M31"} <= names(worker)
        assert "M3" not in names(worker) and worker.registry.find_by_name("M3") is None
        await needed.need(here(3), list)
        assert worker.registry.find_by_name("M3") == worker.registry.find_by_mrid(mrid(3)) is not None
        await needed.need(here(*range(1, 31)), list)
        assert len(worker.registry) >= 30, "all of them are wanted at once"


class SlowRegistry(SqlRegistry):
    """Who asks it for the second meter waits until it may have it."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.asked, self.may = asyncio.Event(), asyncio.Event()

    async def some(self, mrids: Collection[str]) -> StoredRegistry:
        if mrid(2) in mrids:
            self.asked.set()
            await self.may.wait()
        return await super().some(mrids)


async def test_what_a_call_waits_with_is_not_let_go_by_another(place: Place) -> None:
    """A meter that was there when its command came is there when the command is worked, also if others came while the store was asked."""
    async with Database(place) as database:
        await opened(database, [*map(entry, range(1, 6)), sub_meter(6, 1)])
        store = SlowRegistry(database)
        worker = await needed_registry(store, a_sealer())
        needed = NeededMeters(worker, most=1)
        await needed.need(here(6), list)
        assert names(worker) == {"M1", "M6"}
        waits = asyncio.create_task(needed.need(here(6, 2), list))
        await store.asked.wait()
        await needed.need(here(3, 4, 5), list)
        store.may.set()
        await waits
        assert {"M1", "M6", "M2"} <= names(worker)
        await needed.need(here(3), list)
        assert names(worker) == {"M3"}, "nothing waits any more"


async def test_keys_that_were_changed_come_with_a_meter_each_time_that_it_comes(place: Place) -> None:
    async with Database(place) as database:
        front = await opened(database, [entry(1), *map(entry, range(2, 6))])
        worker = await a_worker(database)
        needed = NeededMeters(worker, most=1)
        await needed.need(here(1), list)
        meter = front.registry.find_by_mrid(mrid(1))
        assert meter is not None
        await front.keys.keep(meter, "encryption_key", key(9), "r1")
        await needed.need(here(2), list)
        await needed.need(here(3), list)
        assert "M1" not in names(worker)
        await needed.need(here(1), list)
        found = worker.registry.find_by_mrid(mrid(1))
        assert found is not None
        assert [one.encryption_key for one in worker.keys.candidates(found)] == [key(9), key(1)]


async def test_what_a_meter_is_behind_is_looked_up_with_it(place: Place) -> None:
    async with Database(place) as database:
        front = await opened(database)
        rows = [ImportRow(str(number), one) for number, one in enumerate([entry(1), sub_meter(2, 1)])]
        assert all(one.reason == "" for one in await front.import_rows(rows))
        worker = await a_worker(database)
        await NeededMeters(worker).need(here(2), list)
        await front.import_rows([ImportRow("1", entry(1, encryption_key=key(9).hex()))])
        await worker.look(mrid(2))
        host = worker.registry.spoken_with(mrid(2))
        assert host is not None and host.encryption_key == key(9)


async def test_a_name_that_has_passed_to_another_meter_stays_with_that_one(place: Place) -> None:
    """Whichever of both is looked up first."""
    async with Database(place) as database:
        front = await opened(database)
        await front.import_rows([ImportRow("1", entry(1)), ImportRow("2", entry(2))])
        worker = await a_worker(database)
        await NeededMeters(worker).need(here(1, 2), list)
        await front.import_rows([ImportRow("1", entry(1, name="M9")), ImportRow("2", entry(2, name="M1"))])
        await worker.look(mrid(2))
        await worker.look(mrid(1))
        found = worker.registry.find_by_name("M1")
        assert found is not None and found.mrid == mrid(2)


async def test_a_master_key_that_is_not_there_is_said_at_the_start(place: Place) -> None:
    async with Database(place) as database:
        await opened(database, [entry(1)])
        with pytest.raises(SettingsError):
            await needed_registry(SqlRegistry(database), a_sealer(OTHER_MASTER))
