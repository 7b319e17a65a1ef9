"""Load profiles that are computed when they are read: instants, columns, status words, orders, selections, and what empties them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from devices import CLOCK, START, Inside, described

from ami_dlms import data
from ami_dlms.cosem.selection import CaptureObject, EntryDescriptor, RangeDescriptor, SelectiveAccess
from ami_dlms.data import Data, EncodedItems, to_python
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_dlms.obis import Obis
from ami_meter_sim.clock.daylight_saving import DaylightSaving
from ami_meter_sim.load import HouseKind as HouseKind
from ami_meter_sim.load import house
from ami_meter_sim.objects.computed_rows import MOST_ENTRIES
from ami_meter_sim.objects.conditions import power_down, power_up
from ami_meter_sim.objects.cosem_object import AccessRefused, ReadContext
from ami_meter_sim.objects.memory import Record, RecordKind

HOUSE = house(7, HouseKind.SOLAR)
IMPORT, EXPORT, STATUS, MAXIMUM = (3, "1-0:1.8.0"), (3, "1-0:2.8.0"), (1, "0-0:96.10.1"), (4, "1-0:1.6.0")
PROFILE = (7, "1-0:99.1.0")
EUROPE = DaylightSaving(CosemDateTime(None, 3, 0xFE, 7, 2, 0, 0), CosemDateTime(None, 10, 0xFE, 7, 3, 0, 0), 60, True)


def captured(name: tuple[int, str], attribute: int = 2) -> CaptureObject:
    return CaptureObject(name[0], Obis.parse(name[1]), attribute)


COLUMNS = (captured(CLOCK), captured(STATUS), captured(IMPORT), captured(EXPORT))


def metered(columns: Sequence[CaptureObject] = COLUMNS, at: datetime = START, zone: int = 0, **more: Any) -> Inside:
    """A meter with a load profile of 96 quarter hours, if nothing else is asked for."""
    profile = {"capture_period": 900, "profile_entries": 96} | more
    return Inside(
        described(IMPORT, value="import_energy_wh"),
        described(EXPORT, value="export_energy_wh"),
        described(STATUS, value="profile_status"),
        described(MAXIMUM, value="import_power_w"),
        described(PROFILE, version=1, columns=tuple(columns), **profile),
        at=at,
        zone=zone,
        house=HOUSE,
    )


def rows(value: Data) -> list[list[Any]]:
    return [[_cell(cell) for cell in row] for row in to_python(Data(value.tag, tuple(value.value)))]


def _cell(cell: Any) -> Any:
    return CosemDateTime.decode(cell).to_datetime() if isinstance(cell, bytes) and len(cell) == 12 else cell


def buffer(inside: Inside, selection: SelectiveAccess | None = None) -> list[list[Any]]:
    return rows(inside.found(PROFILE).read(2, ReadContext(selection=selection)))


def times(inside: Inside, selection: SelectiveAccess | None = None) -> list[str]:
    return [f"{row[0]:%d %H:%M}" for row in buffer(inside, selection)]


def happened(inside: Inside, kind: RecordKind, number: int = 0) -> None:
    inside.device.history.happened(Record(inside.device.clock.at, kind, number=number))


def octets(moment: datetime) -> Data:
    return data.octet_string(CosemDateTime.from_datetime(moment).encode())


def between(first: datetime, last: datetime, *columns: CaptureObject) -> SelectiveAccess:
    return RangeDescriptor(COLUMNS[0], octets(first), octets(last), columns).encode()


def set_clock(inside: Inside, moment: datetime) -> None:
    assert inside.write(CLOCK, 2, octets(moment)) is DataAccessResult.SUCCESS


def test_a_new_meter_has_a_past() -> None:
    inside = metered()
    found = buffer(inside)
    assert len(found) == inside.read(PROFILE, 7) == 96
    assert [row[0] for row in found] == [START.replace(minute=0) - timedelta(minutes=15 * n) for n in range(95, -1, -1)]
    for moment, status, imported, exported in found:
        second = int(moment.timestamp())
        assert (imported, exported) == (HOUSE.import_ws(second) // 3600, HOUSE.export_ws(second) // 3600)
        assert status == 0


@pytest.mark.parametrize("period_s", [900, 1800, 3600])
def test_periods_of_quarters_halves_and_hours(period_s: int) -> None:
    found = buffer(metered(capture_period=period_s))
    assert {b[0] - a[0] for a, b in itertools.pairwise(found)} == {timedelta(seconds=period_s)}
    assert {row[0].timestamp() % period_s for row in found} == {0}


def test_days_begin_at_local_midnight_over_both_changes_of_the_year() -> None:
    inside = metered(at=datetime(2026, 11, 2, 12, tzinfo=UTC), zone=-60, capture_period=86_400, profile_entries=366)
    inside.device.clock.daylight_saving = EUROPE
    found = inside.found(PROFILE).read(2).value
    shown = [CosemDateTime.decode(row.value[0].value) for row in found]
    assert {(one.hour, one.minute, one.second) for one in shown} == {(0, 0, 0)}
    assert {(one.deviation_minutes, one.clock_status) for one in shown} == {(-60, 0), (-120, 0x80)}
    moments = [one.to_datetime() for one in shown]
    hours = [(b - a) // timedelta(hours=1) for a, b in itertools.pairwise(moments)]
    assert (hours.count(23), hours.count(25), hours.count(24)) == (1, 1, 363)


def test_months_of_a_billing_profile_with_the_maximum_and_its_time() -> None:
    columns = (captured(CLOCK), captured(IMPORT), captured(MAXIMUM), captured(MAXIMUM, 5))
    inside = metered(columns, zone=-60, capture_period=0, profile_entries=13, options={"months": True})
    found = buffer(inside)
    assert len(found) == 13
    assert [(row[0] + timedelta(hours=1)).strftime("%Y-%m-%d %H:%M") for row in found[-3:]] == [
        "2026-01-01 00:00",
        "2026-02-01 00:00",
        "2026-03-01 00:00",
    ]
    for (begin, *_), (end, _, maximum, at) in itertools.pairwise(found):
        assert begin < at <= end, "in the month that the row ends"
        second = int(at.timestamp())
        assert maximum == (HOUSE.import_ws(second) - HOUSE.import_ws(second - 900)) // 900


def test_all_cells_of_many_rows_are_those_of_single_reads() -> None:
    """Filled by numpy and read one by one at each instant: the same octets."""
    inside = metered(profile_entries=500)
    value = inside.found(PROFILE).read(2)
    assert isinstance(value.value, EncodedItems)
    for row in value.value[::50]:
        at = CosemDateTime.decode(row.value[0].value).to_datetime()
        then = metered(at=at)
        assert row == data.structure(*(then.found((c.class_id, str(c.logical_name))).read(2) for c in COLUMNS))
    assert data.encode(value) == data.encode(data.array(*value.value))


def test_without_power_there_are_no_rows_and_the_next_one_says_so() -> None:
    inside = metered()
    inside.to(START.replace(minute=20))
    happened(inside, RecordKind.POWER_DOWN)
    inside.to(START.replace(hour=11, minute=5))
    happened(inside, RecordKind.POWER_UP)
    inside.to(START.replace(hour=11, minute=35))
    found = buffer(inside)
    assert [(f"{row[0]:%H:%M}", row[1]) for row in found[-4:]] == [
        ("10:00", 0),
        ("10:15", 0),
        ("11:15", 0x80),
        ("11:30", 0),
    ]
    assert len(found) == 96, "older rows fill the buffer"
    down, up = (int(START.replace(hour=h, minute=m).timestamp()) for h, m in ((10, 20), (11, 5)))
    through = [HOUSE.import_ws(int(row[0].timestamp())) for row in found[-3:-1]]
    lost = HOUSE.import_ws(up) - HOUSE.import_ws(down)
    assert found[-2][2] - found[-3][2] == pytest.approx((through[1] - through[0] - lost) / 3600, abs=1)


def test_an_open_switch_leaves_rows_without_energy() -> None:
    inside = metered()
    happened(inside, RecordKind.SWITCH, 0)
    inside.later(hours=2)
    values = [(row[1], row[2]) for row in buffer(inside)[-8:]]
    assert len(set(values)) == 1 and values[0][0] == 0


def test_a_clock_set_forward_leaves_ends_out_and_one_set_back_passes_them_twice() -> None:
    inside = metered()
    inside.to(START.replace(minute=17))
    set_clock(inside, START.replace(hour=11, minute=17))
    inside.later(minutes=31)
    assert [row[:2] for row in buffer(inside)[-3:]] == [
        [START.replace(minute=15), 0],
        [START.replace(hour=11, minute=30), 0x20],
        [START.replace(hour=11, minute=45), 0],
    ]
    set_clock(inside, START.replace(hour=11, minute=20))
    inside.later(minutes=11)
    assert times(inside)[-3:] == ["02 11:30", "02 11:45", "02 11:30"]
    energies = [row[2] for row in buffer(inside)]
    assert energies == sorted(energies), "the register knows no clock"


def test_a_clock_that_drifts_passes_quarters_at_other_seconds() -> None:
    inside = metered()
    set_clock(inside, START)
    inside.device.clock.drift_ppm = 1000
    inside.later(days=1)
    found = buffer(inside)
    assert {row[0].timestamp() % 900 for row in found} <= {0, 1}, "shown at the end of the quarter"
    real = START + timedelta(seconds=86_400 * 1000 // 1001)
    assert abs(found[-1][0] - START.replace(minute=0) - timedelta(days=1)) < timedelta(minutes=2)
    assert abs((real - START).total_seconds() - 86_400 + 86.3) < 1


def test_daylight_saving_changes_what_is_shown_and_nothing_else() -> None:
    inside = metered(at=datetime(2026, 10, 25, 3, tzinfo=UTC), zone=-60, profile_entries=24)
    inside.device.clock.daylight_saving = EUROPE
    shown = [CosemDateTime.decode(row.value[0].value) for row in inside.found(PROFILE).read(2).value]
    local = [(one.hour, one.minute) for one in shown]
    assert local.count((2, 15)) == 2, "an hour that comes twice"
    moments = [one.to_datetime() for one in shown]
    assert {b - a for a, b in itertools.pairwise(moments)} == {timedelta(minutes=15)}


# --- orders and selections


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"sort": 1}, [0, 1, 2, 3]),
        ({"sort": 2}, [3, 2, 1, 0]),
        ({"sort": 3, "sort_column": 2}, [2, 1, 3, 0]),
        ({"sort": 4, "sort_column": 2}, [0, 3, 1, 2]),
        ({"sort": 5, "sort_column": 2}, [0, 3, 1, 2]),
        ({"sort": 6, "sort_column": 2}, [2, 1, 3, 0]),
        ({"sort": 3}, [0, 1, 2, 3]),
    ],
)
def test_every_sort_method(options: dict[str, Any], expected: list[int]) -> None:
    """Net power of four quarters: -4000, 1000, 3000, -1000 W; without a sort object rows come as they were captured."""
    power = (3, "1-0:16.7.0")
    signed = options.get("sort") in (5, 6)
    watts = (0, 1000, 3000, 500) if not signed else (100, -1000, 3000, 500)
    inside = Inside(
        described(power, value="net_power_w"),
        described(
            PROFILE,
            version=1,
            capture_period=900,
            profile_entries=4,
            columns=(captured(CLOCK), captured(power)),
            options=options,
        ),
    )
    for one in watts:
        inside.takes(one)
        inside.later(minutes=15)
    found = [watts.index(row[1]) for row in buffer(inside)]
    assert found == expected
    assert inside.read(PROFILE, 5) == options["sort"]
    assert CaptureObject.decode(inside.found(PROFILE).read(6)) == (
        captured(power) if "sort_column" in options else CaptureObject(0, Obis(bytes(6)), 0)
    )


def test_by_range_both_ends_belong_to_it_and_columns_can_be_chosen() -> None:
    inside = metered()
    wanted = between(START.replace(hour=9, minute=30), START.replace(minute=0), COLUMNS[2], COLUMNS[0])
    whole = [row for row in buffer(inside) if row[0] >= START.replace(hour=9, minute=30)]
    assert buffer(inside, wanted) == [[row[2], row[0]] for row in whole] and len(whole) == 3


def test_by_range_of_a_year_and_by_entry_of_it() -> None:
    inside = metered(profile_entries=35_040)
    year = timedelta(days=365)
    value = inside.found(PROFILE).read(2, ReadContext(selection=between(START - year, START)))
    assert len(value.value) == 35_040
    selection = EntryDescriptor(35_040, 0, 1, 1).encode()
    assert buffer(inside, selection) == [[START.replace(minute=0)]]
    assert buffer(inside, EntryDescriptor(1, 1, 3, 3).encode()) == [[to_python(value.value[0])[2]]]


def test_a_range_in_local_time_without_deviation_is_the_meters_own() -> None:
    inside = metered(at=datetime(2026, 7, 1, 10, tzinfo=UTC), zone=-60)
    inside.device.clock.daylight_saving = EUROPE
    ends = [
        data.octet_string(CosemDateTime(2026, 7, 1, None, hour, 0, 0, None, None, None).encode()) for hour in (10, 11)
    ]
    selection = RangeDescriptor(COLUMNS[0], *ends).encode()
    assert times(inside, selection) == ["01 08:00", "01 08:15", "01 08:30", "01 08:45", "01 09:00"]


def test_what_is_captured_by_hand_lies_between() -> None:
    inside = metered()
    inside.to(START.replace(minute=22))
    assert inside.act(PROFILE, 2, data.integer(0)) is ActionResult.SUCCESS
    inside.to(START.replace(minute=31))
    found = buffer(inside)
    assert [f"{row[0]:%H:%M}" for row in found[-3:]] == ["10:15", "10:22", "10:30"]
    assert found[-3][2] <= found[-2][2] <= found[-1][2]
    assert len(found) == inside.read(PROFILE, 7) == 96
    assert times(inside, EntryDescriptor(95, 95).encode()) == ["02 10:22"]


# --- what changes a profile


def test_reset_empties_it_and_rows_come_again() -> None:
    inside = metered()
    assert inside.act(PROFILE, 1, data.integer(0)) is ActionResult.SUCCESS
    assert (inside.read(PROFILE, 7), buffer(inside)) == (0, [])
    inside.later(minutes=40)
    assert times(inside) == ["02 10:15", "02 10:30", "02 10:45"]


@pytest.mark.parametrize(
    ("number", "value", "shown"),
    [
        (3, data.array(COLUMNS[0].encode(), COLUMNS[2].encode()), None),
        (4, data.double_long_unsigned(1800), 1800),
        (5, data.enum(2), 2),
        (6, COLUMNS[2].encode(), None),
        (8, data.double_long_unsigned(3), 3),
    ],
)
def test_writing_to_it_empties_it(number: int, value: Data, shown: int | None) -> None:
    inside = metered()
    assert inside.write(PROFILE, number, value) is DataAccessResult.SUCCESS
    assert buffer(inside) == [] and inside.found(PROFILE).read(number) == value
    inside.restart()
    inside.later(hours=2)
    assert inside.found(PROFILE).read(number) == value, "it is kept"
    assert buffer(inside)
    if number == 3:
        assert {len(row) for row in buffer(inside)} == {2}
    if number == 8:
        assert times(inside) == ["02 11:30", "02 11:45", "02 12:00"]


@pytest.mark.parametrize(
    ("number", "value"),
    [
        (3, data.array()),
        (3, data.array(data.null())),
        (3, data.array(*(COLUMNS[0].encode() for _ in range(33)))),
        (4, data.long_unsigned(900)),
        (4, data.double_long_unsigned(1)),
        (5, data.enum(7)),
        (5, data.enum(0)),
        (6, data.null()),
        (8, data.double_long_unsigned(0)),
        (8, data.double_long_unsigned(MOST_ENTRIES + 1)),
    ],
)
def test_what_it_can_not_be_is_refused_and_nothing_is_lost(number: int, value: Data) -> None:
    inside = metered()
    before = buffer(inside)
    assert inside.write(PROFILE, number, value) is DataAccessResult.TYPE_UNMATCHED
    assert buffer(inside) == before


def test_a_sort_object_that_is_no_column_is_refused() -> None:
    inside = metered()
    other = captured((3, "1-0:9.9.9")).encode()
    assert inside.write(PROFILE, 6, other) is DataAccessResult.SCOPE_OF_ACCESS_VIOLATED


def test_columns_that_are_not_measured_are_what_they_are_now() -> None:
    columns = (captured(CLOCK), captured((1, "0-0:96.1.9")), captured((3, "9-9:9.9.9")), captured(IMPORT, 3))
    inside = Inside(
        described((1, "0-0:96.1.9"), {2: data.unsigned(3)}),
        described(IMPORT, value="import_energy_wh", unit=30),
        described(PROFILE, version=1, columns=columns, capture_period=900, profile_entries=2),
    )
    found = inside.found(PROFILE).read(2).value
    assert [to_python(row)[1:] for row in found] == [[3, None, [0, 30]]] * 2


def test_selections_that_make_no_sense_are_refused() -> None:
    inside = metered()
    wrong = [
        (RangeDescriptor(COLUMNS[0], data.boolean(True), data.boolean(True)).encode(), DataAccessResult.TYPE_UNMATCHED),
        (RangeDescriptor(COLUMNS[2], data.null(), data.null()).encode(), DataAccessResult.TYPE_UNMATCHED),
        (EntryDescriptor(0, 1).encode(), DataAccessResult.SCOPE_OF_ACCESS_VIOLATED),
        (SelectiveAccess(3, data.null()), DataAccessResult.SCOPE_OF_ACCESS_VIOLATED),
    ]
    for selection, expected in wrong:
        with pytest.raises(AccessRefused) as refused:
            inside.found(PROFILE).read(2, ReadContext(selection=selection))
        assert refused.value.result is expected


def test_status_words_say_how_the_clock_was() -> None:
    inside = metered(zone=-60, at=datetime(2026, 3, 28, 22, 50, tzinfo=UTC), profile_entries=3_000)
    inside.device.clock.daylight_saving = EUROPE
    inside.to(datetime(2026, 3, 29, 1, 35, tzinfo=UTC))
    assert [row[1] for row in buffer(inside)[-4:]] == [0, 0x08, 0x08, 0x08]
    power_down(inside.device)
    inside.later(days=8)
    power_up(inside.device)
    inside.later(minutes=30)
    assert [row[1] for row in buffer(inside)[-2:]] == [0x8A, 0x0A], "the clock has lost its time"
    running = inside.found((1, "0-0:96.10.1"))
    assert running.read(2).value == 0x0A
    set_clock(inside, inside.device.clock.at)
    inside.later(minutes=30)
    assert [row[1] for row in buffer(inside)[-2:]] == [0x28, 0x08]
