"""The contract of the port to the kept registry, on each kind of store."""

from __future__ import annotations

from typing import Any

import pytest

from ami_hes.store import Database, RegistryChange, Sealed, SqlRegistry, StoredMeter, StoredRegistry, StoredSource
from ami_process.store.places import Place


def a_meter(number: int, **changes: Any) -> StoredMeter:
    keys = (Sealed("authentication_key", "k1", b"\x01" * 44), Sealed("encryption_key", "k1", bytes([number]) * 44))
    meter = StoredMeter(f"mrid-{number}", f"M{number}", "a.json", f'{{"name":"M{number}"}}', keys)
    return meter._replace(**changes)


def by_mrid(registry: StoredRegistry) -> dict[str, StoredMeter]:
    return {meter.mrid: meter for meter in registry.meters}


async def test_a_new_store_has_no_meters(place: Place) -> None:
    async with Database(place) as database:
        assert await SqlRegistry(database).load() == StoredRegistry([], [])


async def test_what_is_kept_is_there_in_the_next_life(place: Place) -> None:
    meters = [a_meter(1), a_meter(2, keys=())]
    sources = [StoredSource("a.json", Sealed("digest", "k1", b"\x09" * 60))]
    async with Database(place) as database:
        await SqlRegistry(database).change(RegistryChange(meters=meters, sources=sources))
    async with Database(place) as database:
        assert await SqlRegistry(database).load() == StoredRegistry(meters, sources)


async def test_a_change_takes_the_place_of_what_was_kept_and_leaves_the_rest(place: Place) -> None:
    async with Database(place) as database:
        registry = SqlRegistry(database)
        sources = [StoredSource("a.json", Sealed("digest", "k1", b"\x09" * 60))]
        await registry.change(RegistryChange(meters=[a_meter(1), a_meter(2), a_meter(3)], sources=sources))
        changed = a_meter(2, entry="{}", keys=(Sealed("secret", "k2", b"\x07" * 40),))
        await registry.change(RegistryChange(meters=[changed, a_meter(4)], removed=["mrid-3", "never there"]))
        found = await registry.load()
        assert by_mrid(found) == {"mrid-1": a_meter(1), "mrid-2": changed, "mrid-4": a_meter(4)}
        assert found.sources == sources
        await registry.change(RegistryChange(sources=[]))
        assert (await registry.load()).sources == []


async def test_names_may_pass_from_one_meter_to_another(place: Place) -> None:
    async with Database(place) as database:
        registry = SqlRegistry(database)
        await registry.change(RegistryChange(meters=[a_meter(1), a_meter(2)]))
        exchanged = [a_meter(1, name="M2"), a_meter(2, name="M1")]
        await registry.change(RegistryChange(meters=exchanged))
        assert by_mrid(await registry.load()) == {meter.mrid: meter for meter in exchanged}


async def test_a_change_is_whole_or_has_not_happened(place: Place) -> None:
    async with Database(place) as database:
        registry = SqlRegistry(database)
        await registry.change(RegistryChange(meters=[a_meter(1)]))
        with pytest.raises(Exception, match=r"(?i)unique"):
            await registry.change(RegistryChange(meters=[a_meter(2), a_meter(3, name="M1")], removed=["mrid-9"]))
        assert by_mrid(await registry.load()) == {"mrid-1": a_meter(1)}


async def test_more_meters_than_a_statement_takes(place: Place) -> None:
    async with Database(place) as database:
        registry = SqlRegistry(database)
        meters = [a_meter(1, mrid=f"mrid-{number}", name=f"M{number}") for number in range(10_001)]
        await registry.change(RegistryChange(meters=meters))
        assert len((await registry.load()).meters) == len(meters)


async def test_changed_keys_stay_when_the_meter_changes_or_goes(place: Place) -> None:
    one, other = Sealed("in force encryption_key", "k1", b"\x01" * 44), Sealed("sent secret", "k2", b"\x02" * 44)
    async with Database(place) as database:
        registry = SqlRegistry(database)
        await registry.change(RegistryChange(meters=[a_meter(1)], changed_keys={"mrid-1": [one, other], "x": [other]}))
        await registry.change(RegistryChange(meters=[a_meter(1, entry="{}")]))
        await registry.change(RegistryChange(removed=["mrid-1"]))
        await registry.change(RegistryChange(changed_keys={"x": []}))
    async with Database(place) as database:
        found = await SqlRegistry(database).load()
        assert found == StoredRegistry([], [], {"mrid-1": (one, other)})
        assert found.key_ids() == {"k1", "k2"}
