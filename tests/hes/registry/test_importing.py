"""Rows of a shipment are imported into a registry at work: each has a report, and what is refused leaves nothing behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from entries import a_sealer, entry, key, mrid, opened
from hypothesis import given, settings
from hypothesis import strategies as st
from sizes import examples

from ami_dlms.security import wrap_key
from ami_hes.meters.registry import Registry
from ami_hes.registry import ImportRow, KeptRegistry, RowReport, open_registry
from ami_hes.store import Database, RegistryChange, SqlRegistry, StoredRegistry, StoreUnavailable
from ami_process.store.places import Place


def told(report: list[RowReport]) -> list[tuple[str, str | None, str]]:
    return [(one.place, one.meter, str(one.outcome)) for one in report]


def names(registry: Registry) -> set[str]:
    return {meter.name for meter in registry}


async def test_each_row_has_its_outcome_and_the_next_life_knows_them(place: Place) -> None:
    async with Database(place) as database:
        kept = await opened(database)
        first = await kept.import_rows(
            [ImportRow("line 2", entry(1)), ImportRow("line 3", entry(2)), ImportRow("line 4", entry(2))]
        )
        assert told(first) == [
            ("line 2", "M1", "accepted"),
            ("line 3", "M2", "accepted"),
            ("line 4", "M2", "unchanged"),
        ]
        rows = [
            ImportRow("line 2", entry(1)),
            ImportRow("line 3", entry(2, device_id="new")),
            ImportRow("line 4", entry(3) | {"suite": 9}),
        ]
        second = await kept.import_rows(rows)
        assert told(second) == [("line 2", "M1", "unchanged"), ("line 3", "M2", "changed"), ("line 4", "M3", "refused")]
        assert second[2].reason == "line 4 (M3), suite: a whole number from 0 to 2 was expected"
        assert names(kept.registry) == {"M1", "M2"}
    async with Database(place) as database:
        registry = (await opened(database)).registry
        assert {meter.name: meter.device_id for meter in registry} == {"M1": "1", "M2": "new"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"mrid": None}, "mrid: a text"),
        ({"encryption_key": "env:HOME"}, "encryption_key: env: is for the configuration of the head-end"),
        ({"encryption_key": "file:/etc/hostname"}, "encryption_key: file: is for the configuration of the head-end"),
        (
            {"address": "/dev/ttyUSB0", "transport": "serial"},
            "address: a device of this machine is for the configuration",
        ),
        ({"encryption_key": key(1).hex()[:-2]}, "encryption_key: has 15 octets"),
        ({"encryption_key": key(1).hex()[:-1]}, "encryption_key: the value is not an even number"),
        ({"encryption_key_wrapped": "00" * 24}, "encryption_key_wrapped: is wrapped, and no transport key"),
        ({"usage_points": ["UP-7", "UP-7"]}, "usage_points: has a name twice"),
        ({"usage_points": ["up-1"]}, "usage_points: up-1 already belongs to M1"),
        ({"name": "M1"}, "name: M1 already belongs to a meter with another mRID"),
        ({"address": "127.0.0.1:5001"}, "already belongs to M1"),
        ({"system_title": "414D490000000001"}, "system_title: 414D490000000001 already belongs to M1"),
        ({"colour": "red"}, "colour: this field does not exist"),
        ({"mrid": mrid(1).upper()}, "mrid: is that of a meter of [[meters]]: change it there"),
    ],
)
async def test_what_is_refused_says_why_and_shows_no_key(place: Place, changes: dict[str, Any], why: str) -> None:
    async with Database(place) as database:
        kept = await opened(database, [entry(1)])
        good, bad = await kept.import_rows([ImportRow("line 2", entry(3)), ImportRow("line 3", entry(2, **changes))])
        assert (str(good.outcome), str(bad.outcome)) == ("accepted", "refused")
        assert bad.reason.startswith("line 3") and why in bad.reason
        assert key(1).hex()[:-2] not in bad.reason and "hostname" not in bad.reason
        assert names(kept.registry) == {"M1", "M3"}
        assert {meter.name for meter in (await SqlRegistry(database).load()).meters} == {"M1", "M3"}


async def test_a_check_says_the_same_and_keeps_nothing(place: Place) -> None:
    async with Database(place) as database:
        kept = await opened(database, [entry(1)])
        rows = [ImportRow("1", entry(2)), ImportRow("2", entry(3, name="M2")), ImportRow("3", entry(1))]
        checked = await kept.import_rows(rows, check=True)
        assert names(kept.registry) == {"M1"}
        assert len((await SqlRegistry(database).load()).meters) == 1
        assert await kept.import_rows(rows) == checked
        assert [str(one.outcome) for one in checked] == ["accepted", "refused", "refused"]


async def test_names_pass_from_one_meter_to_another_in_one_part(place: Place) -> None:
    async with Database(place) as database:
        kept = await opened(database)
        await kept.import_rows([ImportRow("1", entry(1)), ImportRow("2", entry(2))])
        given_up = entry(1, name="M7", usage_points=["UP-7"])
        report = await kept.import_rows(
            [ImportRow("1", given_up), ImportRow("2", entry(2, name="M1", usage_points=["UP-1"]))]
        )
        assert [str(one.outcome) for one in report] == ["changed", "changed"]
        found = kept.registry.find_by_usage_point("UP-1")
        assert found is not None and (found.name, found.mrid) == ("M1", mrid(2))
        assert kept.registry.find_by_name("M2") is None


async def test_a_changed_key_and_group_count_from_then_on(place: Place) -> None:
    async with Database(place) as database:
        kept = await opened(database)
        await kept.import_rows([ImportRow("1", entry(1))])
        before = kept.registry.version
        assert kept.registry.find_by_name("M1") is not None
        changed = entry(1, encryption_key=key(9).hex(), tags={"feeder": "F5"}, address="dials-in", server_wport=17)
        await kept.import_rows([ImportRow("1", changed)])
        meter = kept.registry.find_by_name("M1")
        assert meter is not None and meter.encryption_key == key(9)
        assert kept.registry.groups() == {"feeder": {"F5": 1}}
        assert kept.registry.calling_wports() == {17}
        assert kept.registry.version != before


async def test_wrapped_keys_are_unwrapped_by_the_transport_key(place: Place) -> None:
    transport_key = bytes(16)
    row = entry(1) | {"encryption_key_wrapped": wrap_key(transport_key, key(5)).hex()}
    del row["encryption_key"]
    async with Database(place) as database:
        kept = await open_registry(SqlRegistry(database), a_sealer(), [], [].append, transport_key)
        assert [str(one.outcome) for one in await kept.import_rows([ImportRow("1", row)])] == ["accepted"]
        (meter,) = kept.registry
        assert meter.encryption_key == key(5)


class NotNow:
    """A store that takes no change."""

    async def load(self) -> StoredRegistry:
        return StoredRegistry()

    async def change(self, change: RegistryChange) -> None:
        raise StoreUnavailable("not now")


async def test_a_store_that_is_away_leaves_the_registry_as_it_was() -> None:
    kept: KeptRegistry = await open_registry(NotNow(), a_sealer(), [], [].append)
    with pytest.raises(StoreUnavailable):
        await kept.import_rows([ImportRow("1", entry(1))])
    assert not kept.registry.meters and kept.registry.find_by_name("M1") is None


async def test_parts_that_come_at_once_are_imported_one_after_the_other(place: Place) -> None:
    async with Database(place) as database:
        kept = await opened(database)
        reports = await asyncio.gather(*(kept.import_rows([ImportRow("1", entry(n, name="M"))]) for n in range(1, 6)))
        assert sorted(str(one.outcome) for (one,) in reports) == ["accepted"] + 4 * ["refused"]


some_entries = st.builds(
    lambda number, name, point, feeder: entry(
        number, name=f"M{name}", usage_points=[f"UP-{point}"], tags={"feeder": f"F{feeder}"}
    ),
    *(st.integers(1, 4) for _ in range(4)),
)


@settings(max_examples=examples(25), deadline=None)
@given(parts=st.lists(st.lists(some_entries, max_size=4), max_size=5))
def test_whatever_is_imported_the_registry_is_that_of_the_next_life(parts: list[list[dict[str, Any]]]) -> None:
    class Kept:
        """A store in memory."""

        meters: dict[str, Any]

        def __init__(self) -> None:
            self.meters = {}

        async def load(self) -> StoredRegistry:
            return StoredRegistry(list(self.meters.values()))

        async def change(self, change: RegistryChange) -> None:
            self.meters |= {meter.mrid: meter for meter in change.meters}

    async def live() -> None:
        store = Kept()
        kept = await open_registry(store, a_sealer(), [], [].append)
        for part in parts:
            await kept.import_rows([ImportRow(str(number), row) for number, row in enumerate(part)])
        again = await open_registry(store, a_sealer(), [], [].append)
        assert set(kept.registry.meters) == set(again.registry.meters)
        assert kept.registry.groups() == again.registry.groups()
        for meter in again.registry:
            assert kept.registry.find_by_name(meter.name) == meter
            assert kept.registry.find_by_usage_point(meter.usage_points[0]) == meter

    asyncio.run(live())
