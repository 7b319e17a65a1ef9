"""A worker's registry: it is read as the front end keeps it, and what that changes of a meter counts when the meter is looked up."""

from __future__ import annotations

from entries import a_sealer, entry, key, mrid, opened

from ami_hes.enums import MeterState
from ami_hes.registry import CommissioningBook, ImportRow, KeptRegistry, load_registry
from ami_hes.store import Database, SqlCommissioning, SqlRegistry
from ami_process.environment import REAL
from ami_process.store.places import Place


async def loaded(database: Database) -> KeptRegistry:
    return await load_registry(SqlRegistry(database), a_sealer(), [].append)


async def test_it_is_read_as_it_is_kept_and_changes_nothing(place: Place) -> None:
    async with Database(place) as database:
        front = await opened(database, [entry(1), entry(2)])
        before = await SqlRegistry(database).load()
        worker = await loaded(database)
        assert set(worker.registry.meters) == set(front.registry.meters)
        assert await SqlRegistry(database).load() == before


async def test_a_meter_that_is_new_changed_or_gone_is_so_once_it_is_looked_up(place: Place) -> None:
    async with Database(place) as database:
        front = await opened(database)
        worker = await loaded(database)
        await front.import_rows([ImportRow("1", entry(1))])
        assert worker.registry.find_by_mrid(mrid(1)) is None
        await worker.look(mrid(1))
        assert worker.registry.find_by_mrid(mrid(1)) == front.registry.find_by_mrid(mrid(1))
        changed = entry(1, name="M9", address="127.0.0.1:5999", encryption_key=key(9).hex(), tags={"feeder": "F9"})
        await front.import_rows([ImportRow("1", changed)])
        await worker.look(mrid(1).upper())
        (meter,) = worker.registry
        assert meter == front.registry.find_by_name("M9")
        assert (worker.registry.find_by_name("M1"), worker.registry.groups()) == (None, {"feeder": {"F9": 1}})
        await front.remove("M9")
        await worker.look(mrid(1))
        await worker.look(mrid(2))
        assert not worker.registry.meters and worker.registry.find_by_name("M9") is None


async def test_keys_that_another_process_has_sent_or_proved_are_tried_here(place: Place) -> None:
    new = bytes(16)
    async with Database(place) as database:
        front = await opened(database, [entry(1)])
        worker = await loaded(database)
        meter = worker.registry.find_by_mrid(mrid(1))
        assert meter is not None
        await worker.keys.keep(meter, "encryption_key", new, "r1")
        assert len(front.keys.candidates(meter)) == 1
        await front.look(mrid(1))
        assert [one.encryption_key for one in front.keys.candidates(meter)] == [new, meter.encryption_key]
        await worker.keys.proved(worker.keys.candidates(meter)[0])
        await front.look(mrid(1))
        (now,) = front.registry
        assert (now.encryption_key, front.keys.changed_by(now, "encryption_key")) == (new, "r1")


async def test_the_state_of_a_meter_that_another_process_has_noted(place: Place) -> None:
    async with Database(place) as database:
        kept = await opened(database, [entry(1)])
        (meter,) = kept.registry
        front, worker = (CommissioningBook(SqlCommissioning(database), REAL.now) for _ in range(2))
        await worker.note(meter, MeterState.FAILED, "r1", [])
        assert front.state_of(meter.mrid) is MeterState.NEW
        await front.look(meter.mrid)
        await front.look(mrid(2))
        assert front.state_of(meter.mrid) is MeterState.FAILED
