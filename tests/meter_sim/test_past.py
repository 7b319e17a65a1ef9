"""What was captured stays what it was, whatever is changed or forgotten later: rules of the clock, calendars, special days, old records."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from bench import IMPORT as BENCH_IMPORT
from bench import PROFILE as BENCH_PROFILE
from bench import Bench
from devices import CLOCK, SWITCH, Inside, date_time, described, scripts
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sizes import examples
from test_scripts_and_schedules import day, week

from ami_dlms import data
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.datetimes import CosemDate, CosemDateTime
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_dlms.obis import Obis
from ami_meter_sim.load import HouseKind as HouseKind
from ami_meter_sim.load import house
from ami_meter_sim.objects.base import base_of
from ami_meter_sim.objects.conditions import Condition, power_down, power_up, set_condition
from ami_meter_sim.objects.disconnect_control import DisconnectControl
from ami_meter_sim.objects.folding import FOLDED, LOOK_EVERY, MOST_RECORDS, fold
from ami_meter_sim.objects.memory import Record, RecordKind
from ami_meter_sim.objects.metering import Flow
from ami_meter_sim.objects.script_table import TARIFFS as TARIFF_SCRIPTS
from ami_meter_sim.objects.switch import Trigger
from ami_packs.event_list import Occurrence

IMPORT, EXPORT, OTHER_IMPORT = (3, "1-0:1.8.0"), (3, "1-0:2.8.0"), (3, "1-0:15.8.0")
PHASES = tuple((3, f"1-0:{c}.8.0") for c in (21, 41, 61))
TARIFFS = tuple((3, f"1-0:1.8.{n}") for n in range(1, 5))
MAXIMUM = (4, "1-0:1.6.0")
CALENDAR, SPECIAL = (20, "0-0:13.0.0"), (11, "0-0:11.0.0")
QUARTERS, DAYS, MONTHS = (7, "1-0:99.1.0"), (7, "1-0:99.2.0"), (7, "0-0:98.1.0")
COUNTS = ((1, "0-0:96.7.0"), (1, "1-0:0.1.0"))
STARTS = [datetime(2026, 3, 26, 7, 3, 11, tzinfo=UTC), datetime(2026, 10, 22, 21, 59, 59, tzinfo=UTC)]
LOST = [
    Condition.VOLTAGE_MISSING_L1,
    Condition.VOLTAGE_MISSING_L2,
    Condition.NEUTRAL_MISSING,
    Condition.UNDERVOLTAGE_L1,
]
STEP = st.one_of(
    st.tuples(st.just("power"), st.booleans()),
    st.tuples(st.just("switch"), st.sampled_from([Trigger.REMOTE_DISCONNECT, Trigger.REMOTE_RECONNECT])),
    st.tuples(st.just("clock"), st.integers(-5_000, 5_000)),
    st.tuples(st.just("zone"), st.sampled_from([-120, -60, 0, 330])),
    st.tuples(st.just("saving"), st.booleans()),
    st.tuples(st.just("script"), st.integers(1, 4)),
    st.tuples(st.just("calendar"), st.integers(1, 4)),
    st.tuples(st.just("special"), st.integers(0, 6)),
    st.tuples(st.just("condition"), st.tuples(st.sampled_from(LOST), st.booleans())),
    st.tuples(st.just("load"), st.integers(-4_000, 4_000)),
    st.tuples(st.just("reset"), st.none()),
    st.tuples(st.just("billing"), st.none()),
)
STEPS = st.lists(st.tuples(st.integers(1, 60_000), STEP), max_size=8)


def profile(name: tuple[int, str], period_s: int, columns: tuple[tuple[int, str], ...], **options: bool) -> object:
    captured = [CaptureObject(c, Obis.parse(o), 2) for c, o in (CLOCK, *columns)]
    return described(
        name, version=1, columns=tuple(captured), capture_period=period_s, profile_entries=4_000, options=options
    )


def meter(start: datetime, kind: HouseKind) -> Inside:
    fine = {"type": "long64-unsigned"}
    values = {
        IMPORT: "import_energy_wh",
        EXPORT: "export_energy_wh",
        **{name: f"import_energy_l{n}_wh" for n, name in enumerate(PHASES, 1)},
        **{name: f"import_energy_t{n}_wh" for n, name in enumerate(TARIFFS, 1)},
    }
    inside = Inside(
        described(CLOCK, {5: date_time("2026-03-29 02:00"), 6: date_time("2026-10-25 03:00"), 7: data.integer(60)}),
        *(described(name, value=value, scaler=-3, options=fine) for name, value in values.items()),
        described(OTHER_IMPORT, value="import_energy_wh", scaler=-3, options=fine),
        described(MAXIMUM, value="import_power_w"),
        described((3, "1-0:32.7.0"), value="voltage_l1_v", scaler=-1),
        described((1, "0-0:96.10.1"), value="profile_status"),
        *(
            described(name, value=value)
            for name, value in zip(COUNTS, ("power_failures", "billing_periods"), strict=True)
        ),
        profile(QUARTERS, 1_800, ((1, "0-0:96.10.1"), IMPORT, EXPORT, OTHER_IMPORT, *PHASES, (3, "1-0:32.7.0"))),
        profile(DAYS, 86_400, (IMPORT, *TARIFFS)),
        profile(MONTHS, 0, (IMPORT, MAXIMUM, *TARIFFS), months=True),
        described(SWITCH),
        described(CALENDAR, {4: data.array(week(b"w", *[1] * 7)), 5: data.array(day(1, (0, 2), (6, 1), (22, 2)))}),
        described(SPECIAL),
        scripts(str(TARIFF_SCRIPTS).split("*")[0], s1=[], s2=[], s3=[], s4=[]),
        at=start,
        zone=-60,
        house=house(99, kind),
    )
    for name in (QUARTERS, DAYS, MONTHS):
        assert inside.act(name, 1, data.integer(0)) is ActionResult.SUCCESS
    return inside


def do(inside: Inside, what: str, parameter: object) -> None:
    """One step, as a client or the world does it."""
    device = inside.device
    match what, parameter:
        case "power", bool(there):
            (power_up if there else power_down)(device)
        case "switch", Trigger() as trigger:
            found = inside.found(SWITCH)
            assert isinstance(found, DisconnectControl)
            found.pull(trigger)
        case "clock", int(seconds):
            wanted = device.clock.time + timedelta(seconds=seconds)
            value = data.octet_string(CosemDateTime.from_datetime(wanted).encode())
            assert inside.write(CLOCK, 2, value) is DataAccessResult.SUCCESS
        case "zone", int(minutes):
            assert inside.write(CLOCK, 3, data.long(minutes)) is DataAccessResult.SUCCESS
        case "saving", bool(enabled):
            assert inside.write(CLOCK, 8, data.boolean(enabled)) is DataAccessResult.SUCCESS
        case "script", int(selector):
            inside.act((9, str(TARIFF_SCRIPTS).split("*")[0]), 1, data.long_unsigned(selector))
        case "calendar", int(selector):
            passive = data.array(day(1, (3, selector), (17, 1)))
            assert inside.write(CALENDAR, 8, data.array(week(b"w", *[1] * 7))) is DataAccessResult.SUCCESS
            assert inside.write(CALENDAR, 9, passive) is DataAccessResult.SUCCESS
            assert inside.act(CALENDAR, 1, data.integer(0)) is ActionResult.SUCCESS
        case "special", int(ahead):
            on = (device.clock.time + timedelta(days=ahead - 3)).date()
            entry = data.structure(data.long_unsigned(ahead), on_day(on), data.unsigned(9))
            assert inside.act(SPECIAL, 1, entry) is ActionResult.SUCCESS
        case "condition", (Condition() as condition, bool(there)):
            set_condition(device, condition, there)
        case "load", int(watts):
            inside.takes(watts)
        case "reset", _:
            assert inside.act(OTHER_IMPORT, 1, data.integer(0)) is ActionResult.SUCCESS
        case "billing", _:
            device.history.happened(Record(device.clock.at, RecordKind.BILLING))


def on_day(one: date) -> data.Data:
    return data.octet_string(CosemDate(one.year, one.month, one.day).encode())


@dataclass
class Seen:
    """What a client has read so far."""

    rows: dict[tuple[int, str], tuple[data.Data, ...]] = field(default_factory=dict)
    registers: dict[tuple[int, str], int] = field(default_factory=dict)

    def read(self, inside: Inside) -> None:
        """Everything that was read before is still the same, and registers have not gone back."""
        if inside.device.kept.get(0, Obis(bytes(6)), -2) is not None:
            return  # without power nobody reads
        for name in (QUARTERS, DAYS, MONTHS):
            rows = tuple(inside.found(name).read(2).value)
            before = self.rows.get(name, ())
            assert rows[: len(before)] == before, (name, "the past has changed")
            self.rows[name] = rows
        for name in (IMPORT, EXPORT, *PHASES, *TARIFFS):
            value = inside.read(name)
            assert value >= self.registers.get(name, 0), name
            self.registers[name] = value
        total = self.registers[IMPORT]
        for parts in (PHASES, TARIFFS):
            assert 0 <= total - sum(self.registers[name] for name in parts) < len(parts), "parts add up"


def shown(inside: Inside) -> list[object]:
    names = (IMPORT, EXPORT, OTHER_IMPORT, *PHASES, *TARIFFS, MAXIMUM, *COUNTS)
    buffers = [data.encode(inside.found(name).read(2)) for name in (QUARTERS, DAYS, MONTHS)]
    return [*(inside.read(name) for name in names), inside.read(MAXIMUM, 5), *buffers]


@pytest.mark.ci
@settings(max_examples=examples(40) // 2, deadline=None)
@given(STEPS, st.sampled_from([HouseKind.HOUSEHOLD, HouseKind.SOLAR]), st.sampled_from(STARTS))
@example(  # a row between the base and a reset counts from the reset before the base
    [(1, ("reset", None)), (1_608, ("reset", None))],
    HouseKind.HOUSEHOLD,
    datetime(2026, 3, 26, 7, 3, 11, tzinfo=UTC),
)
@example(
    [(3_600, ("zone", 0)), (50_000, ("saving", True)), (50_000, ("saving", False))], HouseKind.HOUSEHOLD, STARTS[0]
)
@example([(1, ("clock", -1_292))], HouseKind.HOUSEHOLD, STARTS[1])  # set at the very second of a row
@example(  # phases are rounded with what was added to the house before the base
    [
        (9_940, ("script", 4)),
        (27_070, ("load", 333)),
        (44_312, ("reset", None)),
        (6_215, ("load", -559)),
        (44_683, ("script", 2)),
        (1_958, ("calendar", 3)),
        (434, ("clock", 621)),
    ],
    HouseKind.SOLAR,
    STARTS[1],
)
@example(  # a row after the base has the status of all that was since the row before it
    [
        (59_999, ("script", 3)),
        (1, ("power", False)),
        (4_503, ("switch", Trigger.REMOTE_DISCONNECT)),
        (34_201, ("special", 6)),
        (11_621, ("clock", -1_518)),
        (7_239, ("script", 1)),
    ],
    HouseKind.SOLAR,
    STARTS[0],
)
@example(  # a highest average of zero has a time too
    [
        (59_999, ("script", 2)),
        (4_503, ("switch", Trigger.REMOTE_DISCONNECT)),
        (151, ("billing", None)),
        (34_201, ("special", 6)),
        (11_621, ("clock", -1_518)),
        (7_239, ("script", 1)),
        (7_239, ("script", 1)),
    ],
    HouseKind.SOLAR,
    STARTS[0],
)
def test_the_past_stays_and_a_meter_that_forgets_shows_what_one_shows_that_does_not(
    steps: list[tuple[int, tuple[str, object]]], kind: HouseKind, start: datetime
) -> None:
    """A twin keeps its whole history; the other folds all that is older than a few records after each step."""
    whole, folding = meter(start, kind), meter(start, kind)
    seen = Seen()
    for gap, (what, parameter) in steps:
        for inside in (whole, folding):
            inside.later(seconds=gap)
        seen.read(folding)
        for inside in (whole, folding):
            do(inside, what, parameter)
        fold(folding.device, 3)
    for inside in (whole, folding):
        do(inside, "power", True)
        inside.later(hours=30)
    seen.read(folding)
    assert shown(whole) == shown(folding)


def test_much_that_happened_is_folded_and_a_register_goes_on() -> None:
    inside = meter(STARTS[0], HouseKind.HOUSEHOLD)
    for number in range(30):
        inside.later(minutes=47)
        do(inside, "switch", [Trigger.REMOTE_DISCONNECT, Trigger.REMOTE_RECONNECT][number % 2])
    before = shown(inside)
    assert fold(inside.device, 10)
    assert not fold(inside.device, 20), "what is left is little"
    base = base_of(inside.device)
    assert base is not None and base.second % 900 == 0
    left = [one for kind in FOLDED for one in inside.device.history.records(kind) if kind is not RecordKind.RESET]
    assert 10 <= len(left) <= 20
    assert shown(inside) == before
    inside.restart()
    assert shown(inside) == before


def test_a_meter_folds_by_itself_and_its_store_forgets(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    meter = bench.start()
    begin = bench.at
    for number in range(MOST_RECORDS + 1):
        second = begin + timedelta(seconds=number)
        meter.device.history.happened(Record(second, RecordKind.SWITCH, number=number % 2))
    bench.later(hours=3)
    before, rows = bench.value(BENCH_IMPORT), bench.read(BENCH_PROFILE)
    for _ in range(LOOK_EVERY):
        meter.occur(Occurrence.MAGNET_ON, bench.at)
    assert base_of(meter.device) is not None
    assert len(meter.device.history.records(RecordKind.SWITCH)) < MOST_RECORDS
    assert (bench.value(BENCH_IMPORT), bench.read(BENCH_PROFILE)) == (before, rows)
    again = bench.start()
    assert again.device.metering.energy_ws(Flow.IMPORT, int(bench.at.timestamp())) // 3_600 == before


def test_a_billing_profile_that_was_cleared_is_empty_until_its_next_month() -> None:
    inside = meter(STARTS[0], HouseKind.HOUSEHOLD)
    assert inside.read(MONTHS) == ()
    inside.later(days=8)
    assert len(inside.read(MONTHS)) == 1
