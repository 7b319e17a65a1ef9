"""Classes 1, 3, 4, 5 and 6: every quantity, scalers and types, tariffs, demand, resets."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from devices import START, Inside, at, described, scripts
from devices import action as script_action

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult, DataAccessResult, DataTag
from ami_dlms.obis import Obis
from ami_meter_sim.load import HouseKind as HouseKind
from ami_meter_sim.load import house
from ami_meter_sim.objects.conditions import Condition, set_condition
from ami_meter_sim.objects.data_and_register import NAMED
from ami_meter_sim.objects.memory import Record, RecordKind
from ami_meter_sim.objects.quantities import QUANTITIES
from ami_packs.model import ObjectDescription

HOUSE = house(7, HouseKind.SOLAR)
IMPORT = (3, "1-0:1.8.0")
MAXIMUM = (4, "1-0:1.6.0")
DEMAND = (5, "1-0:1.4.0")
NAMES = {name: (3, f"1-1:{number}.0.0") for number, name in enumerate(QUANTITIES)}
QUARTER = timedelta(minutes=15)


def register(name: tuple[int, str], value: str, **more: Any) -> ObjectDescription:
    return described(name, value=value, **more)


def everything(**more: Any) -> Inside:
    """A meter with a register for each quantity; energies in hundredths so that sums can be seen."""
    return Inside(
        *(register(NAMES[name], name, scaler=-3, options={"type": "long64"}) for name in QUANTITIES),
        house=HOUSE,
        **more,
    )


def record(inside: Inside, kind: RecordKind, number: int = 0, **later: float) -> None:
    inside.later(**later)
    inside.device.history.happened(Record(inside.device.clock.at, kind, number=number))


def test_one_second_and_many_show_the_same_of_every_quantity() -> None:
    inside = everything()
    inside.takes(700)
    record(inside, RecordKind.POWER_DOWN, hours=1)
    record(inside, RecordKind.POWER_UP, minutes=20)
    record(inside, RecordKind.TARIFF, 2, hours=2)
    inside.later(days=1)
    now = int(inside.device.clock.at.timestamp())
    seconds = np.arange(now - 30 * 3_600, now, 1_117)
    for name, where in NAMES.items():
        found = inside.found(where)
        assert np.broadcast_to(found.measured(seconds), len(seconds)).tolist() == [
            found.measured(int(second)) for second in seconds
        ], name


def test_parts_add_up_to_the_whole() -> None:
    inside = everything()
    record(inside, RecordKind.TARIFF, 2, hours=5)
    record(inside, RecordKind.TARIFF, 1, hours=5)
    inside.later(days=2)
    value = {name: inside.read(where) for name, where in NAMES.items()}
    for flow in ("import", "export"):
        whole = value[f"{flow}_energy_wh"]
        for parts in ([f"{flow}_energy_t{n}_wh" for n in range(1, 5)], [f"{flow}_energy_l{n}_wh" for n in range(1, 4)]):
            assert abs(sum(value[one] for one in parts) - whole) <= len(parts), "each part is cut on its own"
        assert value[f"{flow}_energy_t2_wh"] < value[f"{flow}_energy_t1_wh"]
        assert value[f"{flow}_apparent_energy_vah"] >= whole
    assert value["net_energy_wh"] == pytest.approx(value["import_energy_wh"] - value["export_energy_wh"], abs=1)
    assert value["import_reactive_energy_varh"] == pytest.approx(
        value["reactive_energy_q1_varh"] + value["reactive_energy_q2_varh"], abs=1
    )


def test_power_voltage_and_current_fit_each_other() -> None:
    inside = Inside(
        register((3, "1-0:21.7.0"), "import_power_l1_w"),
        register((3, "1-0:32.7.0"), "voltage_l1_v", scaler=-3, options={"type": "double-long-unsigned"}),
        register((3, "1-0:31.7.0"), "current_l1_a", scaler=-3),
        register((3, "1-0:13.7.0"), "power_factor", scaler=-3),
        register((3, "1-0:72.7.0"), "voltage_l3_v"),
    )
    inside.takes(4_600)
    idle = inside.read((3, "1-0:32.7.0"))
    inside.later(minutes=5)
    power, voltage, current, factor = (inside.read((3, f"1-0:{c}.7.0")) for c in (21, 32, 31, 13))
    assert power == 4_600 * 500 // 1_000, "half of it on L1"
    assert current / 1e3 * voltage / 1e3 == pytest.approx(power * 1e3 / factor, rel=0.01)
    assert voltage < idle
    set_condition(inside.device, Condition.VOLTAGE_MISSING_L1, True)
    assert (inside.read((3, "1-0:32.7.0")), inside.read((3, "1-0:31.7.0"))) == (0, 0)
    set_condition(inside.device, Condition.VOLTAGE_MISSING_L1, False)
    set_condition(inside.device, Condition.OVERVOLTAGE_L1, True)
    assert inside.read((3, "1-0:32.7.0")) > 1.1 * voltage
    set_condition(inside.device, Condition.OVERVOLTAGE_L1, False)
    set_condition(inside.device, Condition.NEUTRAL_MISSING, True)
    assert inside.read((3, "1-0:32.7.0")) < 0.95 * voltage < 1.02 * voltage < inside.read((3, "1-0:72.7.0")) * 1_000


def test_nothing_flows_without_power_or_through_an_open_switch() -> None:
    inside = Inside(register(IMPORT, "import_energy_wh"), register((3, "1-0:1.7.0"), "import_power_w"))
    inside.takes(3_600)
    record(inside, RecordKind.POWER_DOWN, hours=1)
    assert inside.read(IMPORT) == 3_600
    record(inside, RecordKind.SWITCH, 0, hours=1)
    record(inside, RecordKind.POWER_UP, hours=1)
    inside.later(hours=1)
    assert (inside.read(IMPORT), inside.read((3, "1-0:1.7.0"))) == (3_600, 0), "power is back, the switch is open"
    record(inside, RecordKind.SWITCH, 1, hours=1)
    inside.later(minutes=30)
    assert (inside.read(IMPORT), inside.read((3, "1-0:1.7.0"))) == (5_400, 3_600)


@pytest.mark.parametrize(
    ("scaler", "options", "expected"),
    [
        (0, {}, 12_345_678),
        (3, {}, 12_345),
        (-1, {}, 123_456_780),
        (-3, {}, 12_345_678_000 % 2**32),
        (-3, {"type": "long64-unsigned"}, 12_345_678_000),
        (0, {"roll_over": 1_000_000}, 345_678),
        (0, {"type": "long-unsigned"}, 12_345_678 % 2**16),
    ],
)
def test_scaler_type_and_roll_over(scaler: int, options: dict[str, Any], expected: int) -> None:
    inside = Inside(register(IMPORT, "import_energy_wh", scaler=scaler, options=options))
    inside.takes(12_345_678)
    inside.later(hours=1)
    assert inside.read(IMPORT) == expected
    assert [part.value for part in inside.read(IMPORT, 3)] == [scaler, 30], "the unit is the quantity's"
    if "type" in options:
        assert inside.found(IMPORT).read(2).tag.name.lower().replace("_", "-") == options["type"]


def test_signed_quantities_are_negative_while_more_is_fed_in() -> None:
    inside = Inside(register((3, "1-0:16.7.0"), "net_power_w"), register((3, "1-0:16.8.0"), "net_energy_wh"))
    inside.takes(-2_000)
    inside.later(hours=1)
    assert (inside.read((3, "1-0:16.7.0")), inside.read((3, "1-0:16.8.0"))) == (-2_000, -2_000)


def test_a_reset_leaves_what_came_after_it_and_a_record_of_what_was_there() -> None:
    inside = Inside(register(IMPORT, "import_energy_wh"))
    inside.takes(1_000)
    inside.later(hours=3)
    assert inside.act(IMPORT, 1, data.integer(0)) is ActionResult.SUCCESS
    assert inside.read(IMPORT) == 0
    inside.later(hours=2)
    assert inside.read(IMPORT) == 2_000
    (reset,) = inside.device.history.records(RecordKind.RESET, source=Obis.parse(IMPORT[1]))
    assert reset.number == 3_000


def test_an_object_without_a_named_value_is_what_was_written() -> None:
    plain = described((1, "0-0:96.1.9"), {2: data.unsigned(3)})
    inside = Inside(plain, register(IMPORT, "import_energy_wh"))
    assert inside.write((1, "0-0:96.1.9"), 2, data.unsigned(9)) is DataAccessResult.SUCCESS
    assert inside.read((1, "0-0:96.1.9")) == 9
    assert inside.write((1, "0-0:96.1.9"), 2, data.integer(9)) is DataAccessResult.TYPE_UNMATCHED
    assert inside.write(IMPORT, 2, data.double_long_unsigned(0)) is DataAccessResult.READ_WRITE_DENIED


def test_values_of_the_meters_own() -> None:
    inside = Inside(*(described((1, f"0-0:96.{n}.0"), value=name) for n, name in enumerate(NAMED)))
    record(inside, RecordKind.POWER_DOWN)
    record(inside, RecordKind.POWER_UP, minutes=1)
    record(inside, RecordKind.BILLING)
    record(inside, RecordKind.CLOCK, 3)
    shown = {name: inside.read((1, f"0-0:96.{n}.0")) for n, name in enumerate(NAMED) if name != "event_code"}
    assert shown["logical_device_name"] == b"AMIM1" and shown["device_id"] == b"1" and shown["system_title"] == b""
    assert (shown["power_failures"], shown["billing_periods"], shown["active_tariff"]) == (1, 1, 1)
    assert shown["profile_status"] == 0xA0 and shown["invocation_counter"] == 0
    inside.later(minutes=15)
    assert inside.read((1, f"0-0:96.{[*NAMED].index('profile_status')}.0")) == 0, "another period runs"


# --- demand


def moment(octets: bytes) -> datetime:
    return CosemDateTime.decode(octets).to_datetime()


def test_block_demand() -> None:
    inside = Inside(register(DEMAND, "import_power_w"))
    inside.takes(1_200)
    inside.to(START.replace(minute=20))  # 10:20; the load has been there since 10:05
    assert inside.read(DEMAND, 3) == 1_200 * 10 // 15, "from 10:00 to 10:15"
    assert inside.read(DEMAND, 2) == 400, "five minutes of the running period so far"
    assert moment(inside.read(DEMAND, 6)) == moment(inside.read(DEMAND, 7)) == START.replace(minute=15)
    assert (inside.read(DEMAND, 8), inside.read(DEMAND, 9), inside.read(DEMAND, 5)) == (900, 1, 0)
    inside.to(START.replace(minute=30))
    assert (inside.read(DEMAND, 3), inside.read(DEMAND, 2)) == (1_200, 0)


def test_sliding_demand_moves_on_after_each_period() -> None:
    inside = Inside(register(DEMAND, "import_power_w", options={"period_s": 300, "periods": 3}))
    inside.takes(900)
    averages = []
    for _ in range(4):
        inside.later(minutes=5)
        averages.append(inside.read(DEMAND, 3))
    assert averages == [300, 600, 900, 900]


def test_reset_and_next_period_of_a_demand() -> None:
    inside = Inside(register(DEMAND, "import_power_w"))
    inside.takes(900)
    inside.to(START.replace(minute=40))
    assert inside.act(DEMAND, 2, data.integer(0)) is ActionResult.SUCCESS
    assert moment(inside.read(DEMAND, 6)) == START.replace(minute=40), "the period ended now"
    assert inside.read(DEMAND, 3) == 900
    inside.later(minutes=14)
    assert moment(inside.read(DEMAND, 7)) == START.replace(minute=40)
    inside.later(minutes=1)
    assert moment(inside.read(DEMAND, 7)) == START.replace(minute=55)
    assert inside.act(DEMAND, 1, data.integer(0)) is ActionResult.SUCCESS
    assert (inside.read(DEMAND, 2), inside.read(DEMAND, 3)) == (0, 0)


def test_the_maximum_and_its_time() -> None:
    inside = Inside(register(MAXIMUM, "import_power_w"))
    inside.to(START.replace(hour=11, minute=0))
    for watts in (500, 2_000, 800):
        inside.takes(watts)
        inside.later(minutes=15)
    assert inside.read(MAXIMUM) == 2_000
    assert moment(inside.read(MAXIMUM, 5)) == START.replace(hour=11, minute=30), "the end of its period"
    record(inside, RecordKind.BILLING)
    assert inside.read(MAXIMUM) == 0
    inside.later(hours=1)
    assert (inside.read(MAXIMUM), moment(inside.read(MAXIMUM, 5))) == (800, START.replace(hour=12, minute=0))
    assert inside.act(MAXIMUM, 1, data.integer(0)) is ActionResult.SUCCESS
    assert inside.read(MAXIMUM) == 0


def test_a_maximum_belongs_to_the_month_of_the_meters_clock() -> None:
    inside = Inside(register(MAXIMUM, "import_power_w"), at=datetime(2026, 3, 31, 20, tzinfo=UTC), zone=-60)
    inside.takes(1_000)
    inside.later(hours=1)
    inside.takes(100)
    inside.to(datetime(2026, 3, 31, 22, 59, tzinfo=UTC))
    assert inside.read(MAXIMUM) == 1_000
    inside.to(datetime(2026, 3, 31, 23, 30, tzinfo=UTC))
    assert inside.read(MAXIMUM) == 100, "April there"


def test_a_maximum_of_a_house_is_the_highest_of_its_quarter_hours() -> None:
    inside = Inside(register(MAXIMUM, "import_power_w"), register(IMPORT, "import_energy_wh"), house=HOUSE)
    now = inside.device.clock.at
    begin = now.replace(day=1, hour=0, minute=0)
    quarters = [int((begin + n * QUARTER).timestamp()) for n in range((now - begin) // QUARTER + 1)]
    steps = [HOUSE.import_ws(b) - HOUSE.import_ws(a) for a, b in itertools.pairwise(quarters)]
    assert inside.read(MAXIMUM) == max(steps) // 900
    assert int(moment(inside.read(MAXIMUM, 5)).timestamp()) == quarters[steps.index(max(steps)) + 1]


# --- tariffs


def mask(name: bytes, *numbers: int) -> Data:
    return data.structure(data.octet_string(name), data.array(*map(data.unsigned, numbers)))


ACTIVATION = (6, "0-0:14.0.0")
T1, T2 = ((3, f"1-0:1.8.{n}") for n in (1, 2))


def with_masks(*more: ObjectDescription) -> Inside:
    masks = data.array(mask(b"day", 1), mask(b"night", 2))
    active = described(ACTIVATION, {3: masks, 4: data.octet_string(b"day")})
    return Inside(active, register(T1, "import_energy_t1_wh"), register(T2, "import_energy_t2_wh"), *more)


def test_only_the_registers_of_the_active_mask_count() -> None:
    inside = with_masks()
    inside.takes(1_000)
    inside.later(hours=2)
    assert inside.write(ACTIVATION, 4, data.octet_string(b"night")) is DataAccessResult.SUCCESS
    inside.later(hours=3)
    assert (inside.read(T1), inside.read(T2), inside.read(ACTIVATION, 4)) == (2_000, 3_000, b"night")
    assert inside.write(ACTIVATION, 4, data.octet_string(b"noon")) is DataAccessResult.OTHER_REASON
    assert inside.write(ACTIVATION, 4, data.unsigned(1)) is DataAccessResult.TYPE_UNMATCHED


def test_masks_and_registers_are_added_and_deleted() -> None:
    inside = with_masks()
    one = data.structure(data.long_unsigned(3), data.octet_string(Obis.parse(T1[1])))
    assert inside.act(ACTIVATION, 1, one) is ActionResult.SUCCESS
    assert inside.read(ACTIVATION, 2) == (one,)
    assert inside.act(ACTIVATION, 2, mask(b"peak", 3)) is ActionResult.SUCCESS
    assert inside.act(ACTIVATION, 2, mask(b"day", 1, 3)) is ActionResult.SUCCESS
    assert [one.value[0].value for one in inside.read(ACTIVATION, 3)] == [b"day", b"night", b"peak"]
    assert inside.act(ACTIVATION, 3, data.octet_string(b"peak")) is ActionResult.SUCCESS
    assert inside.act(ACTIVATION, 3, data.octet_string(b"peak")) is ActionResult.OTHER_REASON
    assert inside.act(ACTIVATION, 2, data.null()) is ActionResult.TYPE_UNMATCHED
    assert len(inside.read(ACTIVATION, 3)) == 2


def test_a_calendar_switches_the_tariffs_though_nobody_moves_the_meter() -> None:
    """Day from 06:00, night from 22:00; three days later the registers have what belongs to them."""
    tariffs = "0-0:10.0.100"
    schedule = [
        data.structure(at(hour), data.octet_string(Obis.parse(tariffs)), data.long_unsigned(selector))
        for hour, selector in ((6, 1), (22, 2))
    ]
    days = data.array(data.structure(data.unsigned(1), data.array(*schedule)))
    week = data.structure(data.octet_string(b"W"), *(data.unsigned(1) for _ in range(7)))
    season = data.structure(
        data.octet_string(b"S"), data.octet_string(CosemDateTime().encode()), data.octet_string(b"W")
    )
    calendar = described((20, "0-0:13.0.0"), {3: data.array(season), 4: data.array(week), 5: days})
    write = [script_action(1, ACTIVATION, 4, data.octet_string(name)) for name in (b"day", b"night")]
    inside = with_masks(calendar, scripts(tariffs, s1=[write[0]], s2=[write[1]]))
    inside.to(START.replace(hour=22, minute=0))
    before = inside.read(T1), inside.read(T2)
    inside.takes(1_000)
    inside.later(days=3)
    assert (inside.read(T1) - before[0], inside.read(T2) - before[1]) == (3 * 16_000, 3 * 8_000)
    inside.later(hours=9)
    assert inside.read(ACTIVATION, 4) == b"day"


def test_types_of_quantities_are_those_of_registers() -> None:
    assert {one.tag for one in QUANTITIES.values()} <= {
        DataTag.DOUBLE_LONG_UNSIGNED, DataTag.DOUBLE_LONG, DataTag.LONG_UNSIGNED, DataTag.LONG
    }  # fmt: skip


DEMAND_NOW = (3, "1-0:1.7.0")


def test_a_reset_sets_energies_to_zero_and_leaves_what_is_of_now() -> None:
    inside = Inside(register(IMPORT, "import_energy_wh"), register(DEMAND_NOW, "import_power_w"))
    inside.takes(1_000)
    inside.later(hours=1)
    for name in (IMPORT, DEMAND_NOW):
        assert inside.act(name, 1, data.integer(0)) is ActionResult.SUCCESS
    assert (inside.read(IMPORT), inside.read(DEMAND_NOW)) == (0, 1_000)
    inside.later(minutes=30)
    assert (inside.read(IMPORT), inside.read(DEMAND_NOW)) == (500, 1_000)
