"""The registry at the start: the configured files win, over what was kept and what was imported; each on each kind of store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from entries import MASTER, OTHER_MASTER, MasterKeysOf, Randomly, a_sealer, entry, key, mrid, octets_of, opened

from ami_hes import events
from ami_hes.meters.registry import Registry, RegistryError
from ami_hes.registry import IMPORTED, ImportRow, rotate
from ami_hes.registry.packed_meters import PackedMeters
from ami_hes.store import Database, RegistryChange, SqlRegistry, StoreUnusable
from ami_process.settings import SettingsError
from ami_process.store.places import Place
from ami_registry import FormattedMeter


def a_shipment(path: Path, *numbers: int, **changes: Any) -> Path:
    rows = [{**entry(number), "tags": {}, "feeder": "F9"} | changes for number in numbers]
    path.write_text(json.dumps({"format": 1, "meters": rows}))
    return path


async def test_a_kept_meter_is_the_one_of_its_entry(place: Place) -> None:
    entries = [entry(1), entry(2, address="dials-in"), entry(3, authentication="none", usage_points=[])]
    plain = Registry(entries)
    for _ in ("the first life", "the next one"):
        async with Database(place) as database:
            registry = (await opened(database, entries)).registry
            assert len(registry) == 3
            assert set(registry.meters) == set(plain.meters)
            for number in (1, 2, 3):
                meter = plain.find_by_name(f"M{number}")
                assert meter is not None
                assert registry.find_by_mrid(meter.mrid.upper()) == meter
                assert registry.find_by_name(meter.name) == meter
                assert registry.find_by_logical_device_name(meter.logical_device_name) == meter
                assert registry.find_by_system_title(meter.system_title or b"") == meter
                assert [registry.find_by_usage_point(point) for point in meter.usage_points] == [
                    meter for _ in meter.usage_points
                ]
            assert registry.find_by_usage_point_mrid("up-1") == plain.find_by_name("M1")
            assert registry.find_by_usage_point("up-1") is None
            assert registry.calling_wports() == {1}


async def test_groups_are_the_tags(place: Place) -> None:
    async with Database(place) as database:
        registry = (await opened(database, [entry(1), entry(2), entry(3)])).registry
        assert registry.groups() == {"feeder": {"F0": 1, "F1": 2}}
        assert {meter.name for meter in registry.members("feeder", "F1")} == {"M1", "M3"}
        assert registry.member_ids("feeder", "F0") == (mrid(2),)
        assert registry.member_ids("feeder", "F7") == registry.member_ids("street", "F1") == ()


async def test_the_configuration_wins_at_each_start(place: Place) -> None:
    seen: list[Any] = []
    async with Database(place) as database:
        await opened(database, [entry(1), entry(2)])
        kept = (await opened(database, [entry(2, device_id="other"), entry(3)], events=seen)).registry
        assert {meter.name: meter.device_id for meter in kept} == {"M2": "other", "M3": "3"}
        assert seen == [events.RegistryOpened(meters=2, changed=2, removed=1)]
        seen.clear()
        await opened(database, [entry(2, device_id="other"), entry(3)], events=seen)
        assert seen == []


async def test_names_may_change_places_between_two_starts(place: Place) -> None:
    async with Database(place) as database:
        await opened(database, [entry(1), entry(2)])
        exchanged = [entry(1, name="M2", usage_points=["UP-2"]), entry(2, name="M1", usage_points=["UP-1"])]
        registry = (await opened(database, exchanged)).registry
        assert [meter and meter.name for meter in map(registry.find_by_mrid, (mrid(1), mrid(2)))] == ["M2", "M1"]


async def test_an_entry_that_can_not_be_right_changes_nothing(place: Place) -> None:
    async with Database(place) as database:
        await opened(database, [entry(1)])
        with pytest.raises(RegistryError, match=r"entry 2 \(M2\), usage_points: UP-1 already belongs to M1"):
            await opened(database, [entry(1, device_id="new"), entry(2, usage_points=["UP-1"])])
        (meter,) = (await SqlRegistry(database).load()).meters
        assert json.loads(meter.entry)["device_id"] == "1"


async def test_no_key_is_in_the_store_as_it_is(tmp_path: Path) -> None:
    store = tmp_path / "state" / "hes.sqlite"
    store.parent.mkdir()
    async with Database(store) as database:
        kept = await opened(database, [entry(1), entry(2)], [a_shipment(tmp_path / "a.json", 3, 4)])
        await kept.import_rows([ImportRow("line 1", entry(5))])
        written = octets_of(store)
        assert b"LDN5" in written, "the octets are those of the store"
        for number in range(1, 6):
            for purpose in (0, 1):
                secret = key(number, purpose)
                for shown in (secret, secret.hex().encode(), secret.hex().upper().encode()):
                    assert shown not in written
        assert b"SWORDFISH" not in written and b"SWORDFISH".hex().encode() not in written


async def test_another_master_key_is_refused_in_a_sentence(place: Place) -> None:
    async with Database(place) as database:
        await opened(database, [entry(1)])
        with pytest.raises(
            SettingsError, match=rf"sealed by the master key {MASTER.id}, and the test does not hold it"
        ):
            await opened(database, [entry(1)], sealer=a_sealer(OTHER_MASTER))
        assert len((await opened(database, [entry(1)], sealer=a_sealer(OTHER_MASTER, MASTER))).registry) == 1


async def test_a_key_that_was_tampered_with_is_found_at_the_start(place: Place) -> None:
    async with Database(place) as database:
        store = SqlRegistry(database)
        kept = await opened(database)
        await kept.import_rows([ImportRow("1", entry(1)), ImportRow("2", entry(2))])
        one, two = sorted((await store.load()).meters)
        await store.change(RegistryChange(meters=[one._replace(keys=two.keys), two]))
        why = rf"damaged: authentication_key of {mrid(1)}: it is not what was sealed; bring a copy back"
        with pytest.raises(StoreUnusable, match=why):
            await opened(database)
        healed = (await opened(database, [entry(1)])).registry
        assert healed.find_by_name("M1") == Registry([entry(1)]).find_by_name("M1")


class TestShipments:
    async def test_a_file_that_is_as_it_was_is_not_read_again(self, place: Place, tmp_path: Path) -> None:
        path = a_shipment(tmp_path / "a.json", 1, 2)
        async with Database(place) as database:
            first = (await opened(database, shipments=[path])).registry
            assert first.groups() == {"feeder": {"F9": 2}}

            def unread(place: object, meter: object, source: object, kept: object) -> Any:
                raise AssertionError("it is read again")

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(PackedMeters, "pack", unread)
                again = (await opened(database, shipments=[path])).registry
            assert set(again.meters) == set(first.meters)
            assert again.groups() == first.groups()

    async def test_a_file_that_has_changed_is(self, place: Place, tmp_path: Path) -> None:
        path = a_shipment(tmp_path / "a.json", 1, 2)
        async with Database(place) as database:
            await opened(database, shipments=[path])
            a_shipment(path, 2, 3, device_id="new")
            registry = (await opened(database, shipments=[path])).registry
            assert {meter.name: meter.device_id for meter in registry} == {"M2": "new", "M3": "new"}

    async def test_what_a_file_names_elsewhere_is_looked_up_at_each_start(
        self, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = a_shipment(tmp_path / "a.json", 1, encryption_key="env:THE_KEY")
        async with Database(place) as database:
            for secret in (key(7), key(8)):
                monkeypatch.setenv("THE_KEY", secret.hex())
                (meter,) = (await opened(database, shipments=[path])).registry
                assert meter.encryption_key == secret

    async def test_a_file_that_is_gone_is_refused(self, place: Place, tmp_path: Path) -> None:
        async with Database(place) as database:
            with pytest.raises(SettingsError, match=r"hes\.shipments: .*a\.json: can't be read"):
                await opened(database, shipments=[tmp_path / "a.json"])

    async def test_two_files_with_one_meter_are_refused_also_when_one_is_as_it_was(
        self, place: Place, tmp_path: Path
    ) -> None:
        one, two = a_shipment(tmp_path / "one.json", 1), tmp_path / "two.json"
        async with Database(place) as database:
            await opened(database, shipments=[one])
            shutil.copyfile(one, two)
            with pytest.raises(RegistryError, match=r"two\.json, meter 1 .*already belongs to M1"):
                await opened(database, shipments=[one, two])


class TestImported:
    async def test_imported_meters_stay(self, place: Place) -> None:
        async with Database(place) as database:
            kept = await opened(database, [entry(1)])
            await kept.import_rows([ImportRow("line 2", entry(2))])
        async with Database(place) as database:
            registry = (await opened(database, [entry(1)])).registry
            assert {meter.name for meter in registry} == {"M1", "M2"}

    async def test_a_file_takes_over_what_was_imported(self, place: Place) -> None:
        async with Database(place) as database:
            await (await opened(database)).import_rows([ImportRow("line 2", entry(2))])
            kept = await opened(database, [entry(2, device_id="of the file")])
            (meter,) = kept.registry
            assert (meter.device_id, kept.source_of(meter)) == ("of the file", "[[meters]]")
            assert not (await opened(database)).registry.meters

    async def test_an_imported_meter_with_the_name_of_a_configured_one_goes_and_that_is_said(
        self, place: Place
    ) -> None:
        seen: list[Any] = []
        async with Database(place) as database:
            await (await opened(database)).import_rows([ImportRow("line 2", entry(2)), ImportRow("line 3", entry(3))])
            registry = (await opened(database, [entry(1, usage_points=["UP-2"])], events=seen)).registry
            assert {meter.name for meter in registry} == {"M1", "M3"}
            reason = "UP-2 already belongs to M1"
            assert seen[0] == events.MeterDisplaced(meter="M2", mrid=mrid(2), reason=reason)
            assert {meter.name for meter in (await SqlRegistry(database).load()).meters} == {"M1", "M3"}


class TestRotation:
    async def test_all_is_sealed_by_the_new_key(self, place: Place, tmp_path: Path) -> None:
        masters = MasterKeysOf(MASTER)
        shipments = [a_shipment(tmp_path / "a.json", 2)]
        async with Database(place) as database:
            await (await opened(database, [entry(1)], shipments)).import_rows([ImportRow("1", entry(3))])
            store = SqlRegistry(database)
            assert await rotate(store, masters, Randomly()) == 9
            assert (await store.load()).key_ids() == {OTHER_MASTER.id}
            kept = await opened(database, [entry(1)], shipments, sealer=a_sealer(OTHER_MASTER))
            assert {meter.name: meter.encryption_key for meter in kept.registry} == {
                f"M{number}": key(number) for number in (1, 2, 3)
            }
            assert {kept.source_of(meter) for meter in kept.registry} == {"[[meters]]", str(shipments[0]), IMPORTED}

    async def test_without_the_old_key_no_new_one_is_made(self, place: Place) -> None:
        masters = MasterKeysOf(OTHER_MASTER)
        async with Database(place) as database:
            await opened(database, [entry(1)])
            with pytest.raises(SettingsError, match=MASTER.id):
                await rotate(SqlRegistry(database), masters, Randomly())
            assert masters.keys == [OTHER_MASTER]
            assert (await SqlRegistry(database).load()).key_ids() == {MASTER.id}


async def test_few_meters_are_unpacked_at_a_time(place: Place) -> None:
    async with Database(place) as database:
        await opened(database, [entry(number) for number in range(1, 8)])
        stored = await SqlRegistry(database).load()
    packed = PackedMeters(a_sealer(), unpacked=2)
    for meter in stored.meters:
        packed.add(meter)
    first = packed[mrid(1)]
    assert packed[mrid(1)] is first
    assert {meter.name for meter in packed.values()} == {f"M{number}" for number in range(1, 8)}
    assert packed[mrid(1)] is not first and packed[mrid(1)] == first


def test_a_field_that_is_no_more_is_left_out_of_what_an_earlier_version_has_kept() -> None:
    packed = PackedMeters(a_sealer())
    table = {"name": "M1", "mrid": mrid(1), "address": "dials-in", "logical_device_name": "AMI1", "device_id": "1"}
    packed.add(packed.pack(mrid(1), FormattedMeter(table | {"disconnect_version": 1}, {}), "a.toml", None))
    assert packed[mrid(1)].name == "M1"
