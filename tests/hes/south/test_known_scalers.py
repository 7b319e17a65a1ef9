"""The scaler_units that meters gave first: kept over lives of the process, of the device, until somebody has them forgotten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reported import as_read

from ami_dlms import data
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.quantity import ScalerUnit
from ami_dlms.obis import Obis
from ami_hes.meters.known_scalers import KnownScalers
from ami_hes.meters.registry import Meter, Registry
from ami_hes.store import Database, SqlScalerUnits, StoreUnavailable
from ami_process.environment import Environment

IMPORTED, EXPORTED = (AttributeDescriptor(3, Obis.parse(f"1-0:{c}.8.0*255"), 3) for c in (1, 2))
THOUSANDS, ONES = (ScalerUnit(scaler, 30).encode() for scaler in (3, 0))


def meter(logical_device_name: str) -> Meter:
    entry = {
        "name": "M1",
        "mrid": "a",
        "address": "127.0.0.1:4061",
        "authentication": "none",
        "logical_device_name": logical_device_name,
        "device_id": "1",
    }
    (one,) = Registry([entry]).meters
    return one


async def test_a_scaler_of_another_device_is_no_changed_one() -> None:
    known = KnownScalers(None, Environment(emit=lambda _: None))
    assert await known.differing(meter("XYZ1"), {IMPORTED: THOUSANDS}) == set()
    assert await known.differing(meter("XYZ1"), {IMPORTED: ONES}) == {IMPORTED}
    assert await known.differing(meter("XYZ2"), {IMPORTED: ONES}) == set()
    assert await known.differing(meter("XYZ1"), {IMPORTED: THOUSANDS}) == set()


async def test_what_meters_of_one_kind_give_alike_is_compared_once_and_what_is_not_kept_never() -> None:
    known = KnownScalers(None, Environment(emit=lambda _: None))
    names, units = (IMPORTED,), [THOUSANDS]
    assert not known.are_as_before(meter("XYZ1"), names, units)
    for name in ("XYZ1", "XYZ2"):
        assert await known.differing(meter(name), {IMPORTED: THOUSANDS}) == set()
    known.are_alike(meter("XYZ1"), names, units)
    assert known.are_as_before(meter("XYZ2"), names, [THOUSANDS])
    assert not known.are_as_before(meter("XYZ2"), names, [ONES])
    assert not known.are_as_before(meter("XYZ3"), names, [THOUSANDS])
    known.are_alike(
        meter("XYZ1"), (IMPORTED, EXPORTED), [THOUSANDS, ONES]
    )  # a store that was away has not kept the second
    assert not known.are_as_before(meter("XYZ1"), (IMPORTED, EXPORTED), [THOUSANDS, ONES])
    await known.forget(meter("XYZ2"))
    assert not known.are_as_before(meter("XYZ2"), names, [THOUSANDS])


async def test_what_was_given_first_is_known_in_the_next_life_and_until_it_is_forgotten(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    environment = Environment(emit=lambda event: told.append(as_read(event)))
    async with Database(tmp_path / "hes.sqlite") as database:
        first = KnownScalers(SqlScalerUnits(database), environment)
        await first.load()
        await first.differing(meter("XYZ1"), {IMPORTED: THOUSANDS})
        await first.differing(meter("XYZ1"), {EXPORTED: ONES})
        await first.differing(meter("XYZ2"), {EXPORTED: ONES})
        second = KnownScalers(SqlScalerUnits(database), environment)
        await second.load()
        given = {IMPORTED: ONES, EXPORTED: ONES}
        assert await second.differing(meter("XYZ1"), given) == {IMPORTED}
        second.report(meter("XYZ1"), {IMPORTED}, given)
        assert [(one["event"], one["meter"], one["kept"], one["given"]) for one in told] == [
            ("scaler_differs", "M1", "scaler 3, unit 30", "scaler 0, unit 30")
        ]
        assert await second.forget(meter("XYZ1")) == 2
        third = KnownScalers(SqlScalerUnits(database), environment)
        await third.load()
        for life in (second, third):
            assert await life.differing(meter("XYZ1"), given) == set()
            assert await life.differing(meter("XYZ2"), {EXPORTED: THOUSANDS}) == {EXPORTED}


async def test_what_is_no_scaler_unit_is_not_kept_and_a_store_that_is_away_is_asked_again() -> None:
    kept: list[str] = []

    class Away:
        async def load(self) -> dict[str, str]:
            return {}

        async def keep(self, device: str, scaler_units: str) -> None:
            kept.append(scaler_units)
            if len(kept) == 1:
                raise StoreUnavailable("the store can't be written now")

        async def forget(self, device: str) -> None:
            raise AssertionError

    known = KnownScalers(Away(), Environment(emit=lambda _: None))
    for _ in range(3):
        assert await known.differing(meter("XYZ1"), {IMPORTED: THOUSANDS, EXPORTED: data.null()}) == set()
    assert kept == ["3 1-0:1.8.0*255 3 3 30"] * 2
