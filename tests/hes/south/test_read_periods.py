"""Values of closed billing periods, read from objects whose OBIS F says which: a period is what the meter says of its end, and not its number."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from measured_meter import Measured, measuring, of, qualities, times
from small_meter import South

from ami_dlms import data
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.obis import Obis
from ami_hes.meters import MeterFault
from ami_hes.operations.asked_types import answered_by
from ami_hes.operations.read_periods import PeriodReader
from ami_hes.operations.read_results import STORE, STORE_FIRST
from ami_mapping.intervals import Span
from ami_mapping.lookup import readings

ENERGY, ENERGY_T1, MAXIMUM, EXPORTED, MONTHLY = (
    "8.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0",
    "8.0.0.9.1.1.12.0.0.0.0.1.0.0.0.0.72.0",
    "8.8.0.6.1.1.8.0.0.0.0.0.0.0.0.0.38.0",
    "8.0.0.1.19.1.12.0.0.0.0.0.0.0.0.0.72.0",
    "13.0.0.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0",
)
NOW = datetime(2026, 11, 3, 12, 20, tzinfo=UTC)
ENDS = (
    datetime(2026, 10, 31, 23, tzinfo=UTC),
    datetime(2026, 9, 30, 22, tzinfo=UTC),
    datetime(2026, 9, 11, 9, 30, tzinfo=UTC),
)
"""Of 101, 102 and 103: the third period was ended by hand. 104 is not used yet."""
UNUSED = "FFFFFFFFFFFFFFFFFF800000"
SUSPECT = "2.5.258"


def octets(moment: datetime) -> bytes:
    return CosemDateTime.from_datetime(moment).encode()


def an_object(obis: str, class_id: int, attributes: str, more: str = "") -> str:
    return f'''
[[objects]]
obis = "{obis}"
class_id = {class_id}
version = 0
name = "{obis}"
rights = "shown"
source = "own"
static = true
{more}
[objects.attributes]
{attributes}
'''


def register(obis: str, value: int, class_id: int = 3, unit: str = "Wh", more: str = "") -> str:
    return an_object(
        obis, class_id, f"value = {{ double_long_unsigned = {value} }}\n{more}", f'scaler = 0\nunit = "{unit}"'
    )


def ended(period: int, octets_in_hex: str) -> str:
    return an_object(f"1-0:0.1.2*{period}", 1, f'value = {{ octet_string = "{octets_in_hex}" }}')


def model(directory: Path, *further: str) -> str:
    """Registers of four periods, the last of which there was not yet, and one with the number of the last."""
    objects = [ended(101 + place, octets(end).hex()) for place, end in enumerate(ENDS)]
    objects += [ended(104, UNUSED), ended(12, octets(ENDS[0]).hex())]
    for place, value in enumerate((700_123, 600_000, 550_000, 0)):
        objects.append(register(f"1-0:1.8.0*{101 + place}", value))
        objects.append(register(f"1-0:1.8.1*{101 + place}", value // 2))
        when = f'status = {{ unsigned = 0 }}\ncapture_time = {{ octet_string = "{octets(NOW - timedelta(days=40)).hex()}" }}'
        objects.append(register(f"1-0:1.6.0*{101 + place}", 4000 + place, 4, "W", when))
    objects.append(register("1-0:1.8.0*12", 700_123))
    objects.append(register("1-0:1.8.0*126", 1))
    path = directory / "periods.toml"
    path.write_text(
        '[model]\ntitle = "A meter with historical values"\nbase = "single-phase"\n' + "".join([*objects, *further])
    )
    return str(path)


@pytest.fixture
async def metering(ami: South, tmp_path: Path) -> AsyncIterator[Any]:
    async with measuring(ami, tmp_path) as made:

        async def one(*further: str) -> Measured:
            found: Measured = await made(NOW, model=model(tmp_path, *further))
            return found

        yield one


async def test_a_period_is_asked_for_by_its_end(metering: Any) -> None:
    one = await metering()
    outcome, found = await one.read(datetime(2026, 9, 1, tzinfo=UTC), NOW, ENERGY, ENERGY_T1, MAXIMUM)
    assert outcome.ok, outcome.reason
    expected = list(reversed(ENDS))
    for code, values in (
        (ENERGY, ["550", "600", "700.123"]),
        (ENERGY_T1, ["275000", "300000", "350061"]),
        (MAXIMUM, ["4002", "4001", "4000"]),
    ):
        series = of(found, code)
        assert times(series) == expected and not series.intervals
        assert [Decimal(value or "-1") for value in series.values] == list(map(Decimal, values))
        assert set(qualities(series)) == {()}
    outcome, found = await one.read(ENDS[1] - timedelta(hours=1), ENDS[1], ENERGY)
    assert outcome.ok and of(found, ENERGY).values == ("600.000",)
    outcome, found = await one.read(ENDS[1], ENDS[1] + timedelta(hours=1), ENERGY)
    assert (outcome.code, found.count) == ("5.7", 0)
    _, kept = await one.read(datetime(2026, 9, 1, tzinfo=UTC), NOW, ENERGY, source=STORE)
    assert of(kept, ENERGY).stored == (0, 1, 2) and times(of(kept, ENERGY)) == expected
    outcome, found = await one.read(datetime(2026, 9, 1, tzinfo=UTC), NOW, ENERGY, source=STORE_FIRST)
    assert outcome.ok and len(of(found, ENERGY).values) == 3


async def test_what_the_meter_does_not_have_is_said(metering: Any) -> None:
    one = await metering()
    start = datetime(2026, 9, 1, tzinfo=UTC)
    _, found = await one.read(start, NOW, EXPORTED, MONTHLY, ENERGY)
    assert [(left.reading_type, left.code) for left in found.not_read] == [(EXPORTED, "5.6")]
    assert times(of(found, ENERGY)) == list(reversed(ENDS))
    months = [datetime(2026, 9, 30, 22, tzinfo=UTC), datetime(2026, 10, 31, 23, tzinfo=UTC)]
    assert times(of(found, MONTHLY))[-2:] == months, "of the profile, whatever other periods there are"
    assert of(found, MONTHLY).values[-1] == str(one.imported(months[-1]))
    _, found = await one.read(None, None, ENERGY)
    assert [left.code for left in found.not_read] == ["5.8"]


async def test_a_period_whose_end_is_not_said_has_no_value(metering: Any) -> None:
    one = await metering(register("1-0:2.8.0*110", 5))
    outcome, found = await one.read(datetime(2026, 9, 1, tzinfo=UTC), NOW, EXPORTED)
    assert (outcome.code, found.count) == ("5.6", 0) and "when these ended" in outcome.reason


async def test_two_values_of_one_period_are_suspect(metering: Any) -> None:
    one = await metering(register("1-0:2.8.0*101", 5), register("1-0:2.8.0*12", 6))
    _, found = await one.read(datetime(2026, 9, 1, tzinfo=UTC), NOW, EXPORTED)
    assert qualities(of(found, EXPORTED)) == [(SUSPECT,)]


class Rolling:
    """A session with a meter whose billing period ends between two requests, as often as it is told."""

    def __init__(self, ends: int) -> None:
        self.meter = SimpleNamespace(
            name="M1", device_id="1", device_id_object=Obis.parse("0-0:96.1.0*255"), logical_device_name="L"
        )
        self.period, self._left = 1, ends

    async def get(self, _: AttributeDescriptor) -> Data:
        return data.octet_string(b"1")

    async def get_each(self, *names: AttributeDescriptor) -> list[Data]:
        answers = [self._answer(one) for one in names]
        if self._left and names[0].class_id == 1:
            self._left -= 1
            self.period += 1
        return answers

    def _answer(self, name: AttributeDescriptor) -> Data:
        if name.class_id == 1:
            return data.octet_string(octets(datetime(2026, self.period, 1, tzinfo=UTC)))
        if name.attribute_id == 3:
            return data.structure(data.integer(0), data.enum(30))
        return data.double_long_unsigned(1000 * self.period)


async def rolled(ends: int) -> PeriodReader:
    async def listed(_: object) -> object:
        return (1, Obis.parse("1-0:0.1.2*101")), (3, Obis.parse("1-0:1.8.0*101"))

    async def none(*_: object) -> set[AttributeDescriptor]:
        return set()

    known: Any = SimpleNamespace(of=listed)
    scalers: Any = SimpleNamespace(differing=none, report=lambda *_: None)
    session: Any = Rolling(ends)
    reader = PeriodReader(session, known, scalers, lambda: NOW)
    await reader.read([answered_by(ENERGY, readings()).by_profiles], Span(0, int(NOW.timestamp())))
    return reader


@pytest.mark.parametrize(("ends", "period"), [(0, 1), (1, 2)])
async def test_a_period_that_ends_meanwhile_gives_no_value_the_end_of_another(ends: int, period: int) -> None:
    (series,) = (await rolled(ends)).series
    assert times(series) == [datetime(2026, period, 1, tzinfo=UTC)] and series.values == (f"{period}.000",)


async def test_a_meter_whose_periods_end_all_the_time_is_not_read() -> None:
    with pytest.raises(MeterFault, match="changed while"):
        await rolled(9)
