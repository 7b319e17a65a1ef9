"""The table of readings: each rule over every row, and the way from an attribute to a code and back."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sizes import examples

from ami_dlms import data
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.selection import CaptureObject, RangeDescriptor
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.obis import Obis
from ami_mapping.lookup import Match, NoReadingType, first_in_meter, readings
from ami_mapping.mbus import device_types, medium_of
from ami_mapping.patterns import Bindings, CodePattern, ObisPattern
from ami_mapping.profiles import Profile
from ami_mapping.reading_types import ReadingType, RefusedReadingType
from ami_mapping.readings import (
    COLUMNS,
    Confidence,
    Direction,
    ReadingRow,
    Reads,
    all_rows,
    check_references,
    contexts,
    parse_rows,
)
from ami_mapping.tables import MAX_PROBLEMS, MAX_ROWS, TableError, packaged, read_table

ROWS = all_rows()
BY_ID = {row.id: row for row in ROWS}
BINDINGS = Bindings(tariff=3, channel=2, period=5)
ALL = readings(unsure=True)
AMBIENT = "0-0:96.9.0*255"
"""The one object that meters capture as average, minimum or maximum without saying which: its three rows need a context."""
POWER_OF = {72: 38, 73: 63, 71: 61}
FLOWS = {
    1: 1,
    2: 19,
    3: 5,
    4: 13,
    5: 15,
    6: 16,
    7: 17,
    8: 18,
    9: 1,
    10: 19,
    15: 20,
    16: 4,
    17: 15,
    18: 16,
    19: 17,
    20: 18,
}


def electric(row: ReadingRow) -> tuple[int, int] | None:
    """Groups C and D of a row of an electricity meter."""
    if row.obis is None or row.obis.groups[0] != 1:
        return None
    return int(row.obis.groups[2]), int(row.obis.groups[3])


def register(obis: str, class_id: int = 3, attribute: int = 2) -> AttributeDescriptor:
    return AttributeDescriptor(class_id, Obis.parse(obis), attribute)


def test_the_table_is_whole() -> None:
    assert len(ROWS) == len(BY_ID) == 1040
    assert Counter(row.direction for row in ROWS) == {"both": 1007, "to_cim": 27, "from_cim": 6}
    keys = Counter((row.obis, row.class_id, row.attribute, row.context.name) for row in ROWS if row.obis)
    assert max(keys.values()) == 1
    assert {row.context.name for row in ROWS} == set(contexts())


def test_code_to_row_to_code() -> None:
    """Every row that is used both ways: its code leads to rows with that code alone."""
    both = [row for row in ROWS if row.direction is Direction.BOTH]
    for row in both:
        code = Match(row, BINDINGS).reading_type(multiplier=3, currency=978)
        found = ALL.answers(code)
        assert found and {match.reading_type(code.multiplier, code.currency) for match in found} == {code}, row.id


def test_row_to_code_to_row() -> None:
    """The same row; the same row once the context is known; or the row that this one names as the first to try."""
    decided: Counter[str] = Counter()
    for row in (one for one in ROWS if one.direction is Direction.BOTH):
        code = Match(row, BINDINGS).reading_type(multiplier=3, currency=978)
        alone, in_context = ALL.answers(code)[0].row, ALL.answers(code, row.context.name)[0].row
        if alone is row:
            decided["by the code alone"] += 1
        elif in_context is row:
            decided["by the context"] += 1
        else:
            assert in_context.id == row.first, row.id
            decided["by the row that is tried first"] += 1
    print(dict(decided))
    assert decided == {"by the code alone": 887, "by the context": 6, "by the row that is tried first": 114}


@pytest.mark.parametrize("unsure", [False, True])
def test_an_attribute_leads_to_its_code_and_the_code_to_the_attribute(unsure: bool) -> None:
    table = readings(unsure=unsure)
    for row in table.rows:
        descriptor = Match(row, BINDINGS).descriptor()
        if descriptor is None or row.direction is Direction.FROM_CIM:
            continue
        match = table.code_of(descriptor, row.context.name)
        assert match.row is row, row.id
        assert match.descriptor() == descriptor


def test_rows_without_evidence_are_served_only_when_they_are_turned_on() -> None:
    unsure = [row for row in ROWS if row.confidence is Confidence.UNSURE]
    assert len(unsure) == 125
    for row in unsure:
        assert row not in readings().rows and row in ALL.rows
    with pytest.raises(NoReadingType):
        readings().code_of(register("1-0:1.9.0"), "register")
    assert ALL.code_of(register("1-0:1.9.0"), "register").row.id == "RT0029"


@pytest.mark.parametrize(
    ("obis", "class_id", "attribute", "context", "code"),
    [
        ("1-0:1.8.0", 3, 2, "register", "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"),
        ("1-1:1.8.0", 3, 2, "register", "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"),
        ("1-0:2.8.4", 3, 2, "register", "0.0.0.9.19.1.12.0.0.0.0.4.0.0.0.3.72.0"),
        ("1-0:1.29.0", 3, 2, "profile_15min_delta", "0.0.2.4.1.1.12.0.0.0.0.0.0.0.0.3.72.0"),
        ("1-0:1.8.0", 3, 2, "daily", "11.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"),
        ("1-0:1.8.0*3", 3, 2, "billing", "8.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"),
        ("1-0:1.8.0", 3, 2, "monthly_billing", "13.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"),
        ("1-0:1.6.0", 4, 2, "demand_max", "0.8.0.6.1.1.8.0.0.0.0.0.0.0.0.3.38.0"),
        ("1-0:32.7.0", 3, 2, "instantaneous", "0.0.0.12.0.1.54.0.0.0.0.0.0.0.129.3.29.0"),
        ("0-0:96.3.10", 70, 2, "state", "0.0.0.12.0.1.43.0.0.0.0.0.0.0.0.0.109.0"),
    ],
)
def test_well_known_codes(obis: str, class_id: int, attribute: int, context: str, code: str) -> None:
    match = readings().code_of(register(obis, class_id, attribute), context)
    assert str(match.reading_type(multiplier=3)) == code


@pytest.mark.parametrize("obis", ["1-64:1.8.0", "1-0:1.8.64", "7-0:1.8.0", "1-0:1.8.0*1", "1-0:96.1.0"])
def test_other_attributes_have_no_code(obis: str) -> None:
    with pytest.raises(NoReadingType, match=r"has no ReadingType in the context 'register'"):
        readings().code_of(register(obis), "register")


@pytest.mark.parametrize(
    ("code", "reply"),
    [
        ("0.0.0.1.1.1.12.0.0.0.0.64.0.0.0.3.72.0", "2.10"),
        ("0.0.31.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0", "2.10"),
        ("8.0.0.4.1.1.12.0.0.0.0.0.0.0.0.0.72.0", "2.10"),
        ("0.0.0.1.1.1.999.0.0.0.0.0.0.0.0.3.72.0", "2.6"),
        ("0.0.0.1.1.1.12", "2.6"),
    ],
)
def test_an_unknown_reading_type_is_2_6_or_2_10_and_not_guessed(code: str, reply: str) -> None:
    with pytest.raises(RefusedReadingType) as fault:
        readings().answers(code)
    assert fault.value.code == reply


@pytest.mark.parametrize("multiplier", [-3, 0, 3, 6])
def test_a_code_is_found_with_any_multiplier_and_answered_with_the_one_asked_for(multiplier: int) -> None:
    code = ReadingType.parse("0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0")._replace(multiplier=multiplier)
    assert readings().answers(code)[0].reading_type(multiplier) == code


def test_aliases_lead_to_the_canonical_code() -> None:
    for row in readings().rows:
        if row.direction is Direction.TO_CIM:
            continue
        for alias in row.aliases:
            code = alias.fill(BINDINGS, 3, 978)
            assert readings().is_alias(code)
            assert row in [match.row for match in readings().answers(code)], alias


def test_an_alias_in_another_unit_is_not_accepted() -> None:
    """A power's unit on an energy, or cubic feet on cubic metres, needs a partner who means it."""
    doubtful = [(row, alias) for row in ROWS for alias in row.partner_aliases]
    assert len(doubtful) == 21
    for row, alias in doubtful:
        assert alias.field("unit") != row.code.field("unit")
        with pytest.raises(RefusedReadingType):
            ALL.answers(alias.fill(BINDINGS, 3, 978))
    assert all(alias.field("unit") == row.code.field("unit") for row in ROWS for alias in row.aliases)


def test_the_context_chooses_among_rows_with_one_code() -> None:
    code = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"
    assert [match.row.context.name for match in readings().answers(code)] == ["register", "electricity_submeter"]
    assert [match.row.id for match in readings().answers(code, "electricity_submeter")] == ["RT0934"]
    assert readings().answers(code, "daily") == readings().answers(code)


def test_of_an_interval_object_and_a_difference_the_object_is_tried_first() -> None:
    found = readings().answers("0.0.2.4.1.1.12.0.0.0.0.0.0.0.0.0.72.0")
    assert [(str(match.descriptor()), match.row.computed) for match in found] == [
        ("class 3 1-0:1.29.0*255 attribute 2", False),
        ("class 3 1-0:1.8.0*255 attribute 2", True),
    ]


def test_a_sub_meter_is_read_on_its_channel() -> None:
    (match, *_) = readings().answers("0.0.0.1.1.7.58.0.0.0.0.0.0.0.0.0.42.0", "gas_submeter")
    assert str(match.descriptor(channel=3)) == "class 4 0-3:24.2.1*255 attribute 2"
    assert (
        match.row.obis is not None
        and readings().code_of(register("0-3:24.2.1", 4), "gas_submeter").bindings.channel == 3
    )


def test_of_several_rows_the_first_that_the_meter_has_answers() -> None:
    """M-127: none is code 5.6, and it is not the fault of the others that were asked for."""
    found = readings().answers("0.0.2.4.1.1.12.0.0.0.0.0.0.0.0.0.72.0")
    register_only, both = [(3, Obis.parse("1-0:1.8.0"))], [(3, Obis.parse("1-0:1.8.0")), (3, Obis.parse("1-0:1.29.0"))]
    assert first_in_meter(found, both) == (found[0], register("1-0:1.29.0"))
    assert first_in_meter(found, register_only) == (found[1], register("1-0:1.8.0"))
    assert first_in_meter(found, [(4, Obis.parse("1-0:1.8.0"))]) is None
    (gas, *_) = readings().answers("0.0.0.1.1.7.58.0.0.0.0.0.0.0.0.0.42.0", "gas_submeter")
    channels = [(4, Obis.parse("0-1:24.2.1")), (4, Obis.parse("0-2:24.2.1"))]
    assert first_in_meter([gas], channels, channel=2) == (gas, register("0-2:24.2.1", 4))
    assert first_in_meter([gas], channels, channel=3) is None


def test_a_meter_that_gives_its_channel_another_number_is_read_there() -> None:
    (energy, *_) = readings().answers("0.0.0.9.1.1.12.0.0.0.0.2.0.0.0.0.72.0")
    objects = [(3, Obis.parse("1-1:1.8.1")), (3, Obis.parse("1-1:1.8.2"))]
    assert first_in_meter([energy], objects) == (energy, register("1-1:1.8.2"))
    assert first_in_meter([energy], [(3, Obis.parse("1-65:1.8.2"))]) is None


def test_a_value_of_a_billing_period_is_never_the_running_register() -> None:
    (billing, *_) = readings().answers("8.0.0.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0")
    with pytest.raises(ValueError, match="is a value of a billing period, and which one is not said"):
        billing.descriptor()
    assert billing.descriptor(period=3) == register("1-0:1.8.0*3")
    running, closed = (3, Obis.parse("1-0:1.8.0")), (3, Obis.parse("1-0:1.8.0*3"))
    assert first_in_meter([billing], [running], period=3) is first_in_meter([billing], [running]) is None
    assert first_in_meter([billing], [running, closed], period=3) == (billing, register("1-0:1.8.0*3"))


def test_of_two_channels_in_a_profile_the_one_that_is_meant_is_found() -> None:
    (gas, *_) = readings().answers("0.0.7.1.1.7.58.0.0.0.0.0.0.0.0.0.42.0")
    meter = profile("0-0:24.3.0", 3600, column("0-1:24.2.1", 4), column("0-2:24.2.1", 4))
    assert readings().find_column(gas, [meter], channel=2) == (meter, 2)
    assert readings().find_column(gas, [meter], channel=3) is None


@pytest.mark.parametrize(
    ("device_type", "context"),
    [
        (3, "gas_submeter_60min_value"),
        (7, "water_submeter_60min_value"),
        (22, "water_submeter_60min_value"),
        (4, "heat_submeter_60min_value"),
        (12, "heat_submeter_60min_value"),
        (13, None),
        (10, None),
        (0, None),
        (255, None),
    ],
)
def test_a_channel_has_a_code_only_when_its_medium_is_known(device_type: int, context: str | None) -> None:
    channel, captured = profile("0-1:24.3.0", 3600, column("0-1:24.2.1", 4)), column("0-1:24.2.1", 4)
    with pytest.raises(NoReadingType, match="medium that is not given"):
        readings().column(channel, captured)
    medium = medium_of(device_type)
    if context is None:
        with pytest.raises(NoReadingType, match=f"medium {medium or 'that is not given'}"):
            readings().column(channel, captured, medium)
    else:
        found = readings().column(channel, captured, medium)
        assert (found.row.context.name, found.bindings.channel) == (context, 1)


def test_media_are_those_of_the_contexts() -> None:
    assert {row.medium for row in device_types().values()} == {one.medium for one in contexts().values()} - {""}


def column(obis: str, class_id: int = 3, attribute: int = 2) -> CaptureObject:
    return CaptureObject(class_id, Obis.parse(obis), attribute)


def profile(obis: str, period: int, *columns: CaptureObject) -> Profile:
    return Profile(Obis.parse(obis), period, (column("0-0:1.0.0", 8), *columns))


@pytest.mark.parametrize(
    ("name", "period", "captured", "code"),
    [
        ("1-0:99.1.0", 900, "1-0:1.8.0", "0.0.2.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0"),
        ("1-0:99.1.0", 3600, "1-0:1.8.0", "0.0.7.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0"),
        ("1-0:99.1.0", 1800, "1-0:1.29.0", "0.0.5.4.1.1.12.0.0.0.0.0.0.0.0.0.72.0"),
        ("1-0:99.2.0", 86400, "1-0:2.8.0", "11.0.0.1.19.1.12.0.0.0.0.0.0.0.0.0.72.0"),
        ("0-0:98.1.0", 0, "1-0:1.8.2", "13.0.0.9.1.1.12.0.0.0.0.2.0.0.0.0.72.0"),
    ],
)
def test_the_capture_period_of_a_profile_decides_the_code(name: str, period: int, captured: str, code: str) -> None:
    found = readings().column(profile(name, period), column(captured))
    assert str(found.reading_type()) == code
    columns = profile(name, period, column("1-0:13.7.0"), column(captured))
    (answer, *_) = readings().answers(code)
    assert readings().find_column(answer, [profile("1-0:99.9.0", 60, column(captured)), columns]) == (columns, 2)


@pytest.mark.parametrize("period", [1, 7, 899, 7200, 86401])
def test_a_capture_period_without_a_measuring_period_is_refused(period: int) -> None:
    with pytest.raises(NoReadingType, match=f"measuring period of {period} s"):
        readings().column(profile("1-0:99.1.0", period), column("1-0:1.8.0"))


def test_a_schedule_is_a_billing_period_only_in_the_billing_profile() -> None:
    with pytest.raises(NoReadingType):
        readings().column(profile("1-0:99.1.0", 0), column("1-0:1.8.0"))


def test_a_column_without_a_row_is_said_by_its_name() -> None:
    with pytest.raises(NoReadingType, match=r"1-0:98\.7\.0\*255.*1-0:99\.1\.0"):
        readings().column(profile("1-0:99.1.0", 900), column("1-0:98.7.0"))


def test_a_column_has_one_meaning() -> None:
    """By capture period, object and medium alone: a value and a difference, an average and a snapshot are different objects."""
    seen: dict[tuple[object, ...], str] = {}
    for row in ROWS:
        if row.context.reads is Reads.PROFILE and not row.computed:
            key = (row.context.capture_period_s, row.context.medium, row.obis, row.class_id, row.attribute)
            if row.obis is None or str(row.obis) != AMBIENT:
                assert seen.setdefault(key, row.id) == row.id
    assert len(seen) > 500


def test_a_column_that_may_be_several_things_is_not_guessed() -> None:
    with pytest.raises(
        NoReadingType, match="may be profile_15min_average or profile_15min_minimum or profile_15min_max"
    ):
        readings().column(profile("1-0:99.1.0", 900), column(AMBIENT))


def test_tariffs_of_a_column_are_told_apart() -> None:
    meter = profile("1-0:99.1.0", 900, column("1-0:1.8.1"), column("1-0:1.8.2"))
    (answer, *_) = readings().answers("0.0.2.9.1.1.12.0.0.0.0.2.0.0.0.0.72.0")
    assert readings().find_column(answer, [meter]) == (meter, 2)


def test_rows_of_a_profile_are_asked_for_by_their_time() -> None:
    meter = profile("1-0:99.1.0", 900, column("1-0:1.8.0"), column("1-0:2.8.0"))
    start, end = (CosemDateTime.from_datetime(datetime(2026, 10, day, tzinfo=UTC)) for day in (25, 26))
    assert str(meter.buffer) == "class 7 1-0:99.1.0*255 attribute 2"
    asked = RangeDescriptor.decode(meter.between(start, end, (2,)))
    assert asked.restricting_object == column("0-0:1.0.0", 8)
    assert (asked.from_value, asked.to_value) == tuple(data.octet_string(one.encode()) for one in (start, end))
    assert asked.selected_values == (column("0-0:1.0.0", 8), column("1-0:2.8.0"))
    assert RangeDescriptor.decode(meter.between(start, end)).selected_values == ()
    with pytest.raises(ValueError, match=r"1-0:99\.1\.0\*255 has no column with a clock"):
        Profile(meter.obis, 900, meter.columns[1:]).between(start, end)


# The rules, each over every row.


def test_commodity_is_electricity_at_the_terminals_unless_the_medium_is_another() -> None:
    for row in ROWS:
        if electric(row) and row.context.name not in ("counter", "last_event"):
            assert row.code.field("commodity") == 1, row.id
        if row.obis is not None and row.obis.groups[0] == 7:
            assert row.code.field("commodity") == 7, row.id
    assert 2 not in {row.code.field("commodity") for row in ROWS}


def test_accumulation_follows_what_is_counted() -> None:
    for row in ROWS:
        c_d, accumulation = electric(row), row.code.field("accumulation")
        if c_d is None or row.code.field("measurement_kind") != 12:
            continue
        if c_d[1] in (29, 30) or row.computed or row.context.name.endswith("_delta"):
            assert accumulation == 4, row.id
        elif c_d[1] == 8:
            assert accumulation == (9 if row.code.field("tou") == "t" else 1), row.id
    assert all(
        row.code.field("accumulation") == 12 for row in ROWS if row.context.name == "instantaneous" and electric(row)
    )


def test_the_measuring_period_is_the_capture_period() -> None:
    periods = {60: 3, 300: 6, 600: 1, 900: 2, 1800: 5, 3600: 7}
    for row in ROWS:
        if row.context.name.startswith("profile_"):
            assert row.code.field("measuring_period") == periods[row.context.capture_period_s or 0], row.id
            assert row.code.field("macro_period") == 0


def test_the_macro_period_is_the_closing() -> None:
    macro = {"daily": 11, "daily_delta": 11, "monthly_billing": 13, "monthly_delta": 13, "billing": 8, "weekly": 24}
    for row in ROWS:
        if row.context.name in macro:
            assert row.code.field("macro_period") == macro[row.context.name], row.id
        if row.obis is not None and row.obis.groups[5] == "f":
            assert row.code.field("macro_period") == 8, row.id


def test_a_difference_never_shares_its_code_with_a_register_reading() -> None:
    deltas = {row.code for row in ROWS if row.context.name.endswith("_delta")}
    values = {row.code for row in ROWS if row.context.name.endswith("_value") or row.context.name == "register"}
    assert deltas and values and not deltas & values


def test_flow_direction_follows_group_c() -> None:
    checked = 0
    for row in ROWS:
        c_d = electric(row)
        if c_d is None or row.code.field("measurement_kind") not in (8, 12, 37) or c_d[0] > 80:
            continue
        base = c_d[0] % 20 or 20
        if base in FLOWS:
            assert row.code.field("flow_direction") == FLOWS[base], row.id
            checked += 1
    assert checked > 500


def test_phases_follow_group_c() -> None:
    checked: Counter[int] = Counter()
    for row in ROWS:
        c_d, kind = electric(row), int(row.code.field("measurement_kind"))
        if c_d is None or not 20 < c_d[0] < 81 or row.obis is None or row.obis.groups[4] == 128:
            continue
        place = (c_d[0] - 21) // 20
        plain, to_neutral = (128, 64, 32)[place], (129, 65, 33)[place]
        if kind in (41, 42, 54):
            assert row.code.field("phases") == to_neutral, row.id
        elif kind in (4, 8, 12, 37):
            assert row.code.field("phases") == plain, row.id
        checked[kind] += 1
    assert all(checked[kind] for kind in (4, 12, 37, 41, 42, 54)), checked


def test_demand_and_power_are_told_apart_by_group_d() -> None:
    for row in ROWS:
        c_d, kind = electric(row), row.code.field("measurement_kind")
        if c_d is not None and row.code.field("unit") in POWER_OF.values():
            assert kind == (8 if c_d[1] in (2, 3, 4, 5, 6) else 37) or c_d[1] not in (2, 3, 4, 5, 6, 7), row.id
    for row in ROWS:
        if row.context.name in ("demand_current", "demand_last"):
            assert row.code.field("measuring_period") == (15 if row.context.name == "demand_current" else 16)


def test_a_maximum_and_its_time_are_two_codes() -> None:
    for row in ROWS:
        if row.context.name in ("demand_max", "demand_max_time"):
            assert (row.code.field("aggregate"), row.code.field("measurement_kind")) == (8, 8), row.id
        if row.context.name.endswith("_time") and row.context.name != "threshold_time":
            assert (row.code.field("accumulation"), row.code.field("unit"), row.attribute) == (0, 108, 5), row.id


def test_units_agree_on_both_sides() -> None:
    pairs = {(row.dlms_unit, row.code.field("unit")) for row in ROWS if row.dlms_unit is not None}
    energy = {(30, 72), (32, 73), (31, 71), (27, 38), (29, 63), (28, 61), (35, 29), (33, 5), (44, 33)}
    assert energy <= pairs
    ambiguous = {dlms for dlms, _ in pairs if len({cim for one, cim in pairs if one == dlms}) > 1}
    assert ambiguous == {13, 15, 56, 255}
    assert {row.code.field("unit") for row in ROWS if row.dlms_unit is None} == {108, 109, 114}


def test_power_factors_have_no_direction_of_their_own() -> None:
    for row in ROWS:
        if row.code.field("measurement_kind") == 38:
            assert row.code.field("unit") == 65, row.id


def test_counters_are_numbers_without_a_multiplier() -> None:
    for row in ROWS:
        if row.context.name == "counter" and row.code.field("unit") == 111:
            assert row.code.field("multiplier") == 0, row.id


def test_limits_say_which_limit() -> None:
    for row in ROWS:
        if row.context.name in ("threshold", "nameplate"):
            assert row.code.field("aggregate") in (5, 7, 11, 12, 17), row.id


def test_the_switch_has_one_code_for_what_it_does_now() -> None:
    rows = {row.attribute: row for row in ROWS if row.class_id == 70 and row.context.name == "state"}
    assert (rows[2].code.field("measurement_kind"), rows[3].code.field("measurement_kind")) == (43, 146)
    assert [row.attribute for row in readings().rows if row.class_id == 70] == [2]


def test_sub_meters_have_the_commodity_of_their_medium() -> None:
    media = {"gas": 7, "water": 9, "heat": 12, "cool": 13, "hotwater": 12, "electricity": 1}
    for row in ROWS:
        if "_submeter" in row.context.name:
            assert row.code.field("commodity") == media[row.context.name.partition("_")[0]], row.id


def test_money_has_a_currency() -> None:
    for row in ROWS:
        assert (row.code.field("unit") == 80) == (row.code.field("currency") == "cur"), row.id


def test_what_is_an_event_or_a_configuration_has_no_reading_type() -> None:
    for row in ROWS:
        assert row.class_id not in (7, 9, 20, 22, 64, 72), row.id
        assert row.obis is None or row.obis.groups[2:4] not in ((96, 10), (96, 11), (96, 1)), row.id


# Loading.

CELLS = (
    "",
    "X1",
    "1-0:1.8.t*255",
    "3",
    "register",
    "0.0.0.9.1.1.12.0.0.0.0.t.0.0.0.m.72.0",
    "both",
    "derived",
    "yes",
    "X1 X2",
)


def line(**cells: str) -> str:
    row = {"id": "X1", "obis": "1-0:1.8.0*255", "class_id": "3", "attribute": "2", "context": "register"}
    row |= {"reading_type": "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.m.72.0", "direction": "both", "confidence": "derived"}
    row |= {"meaning": "energy", "source": "a test", "decision": "M-103", **cells}
    return ",".join(COLUMNS) + "\n" + ",".join(row.get(name, "") for name in COLUMNS) + "\n"


def test_a_row_of_ones_own_is_read() -> None:
    (row,) = parse_rows(line(), "own.csv")
    assert (str(row.obis), str(row.code)) == ("1-0:1.8.0*255", "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.m.72.0")


@pytest.mark.parametrize(
    ("cells", "fault"),
    [
        ({"id": ""}, "id"),
        ({"obis": "1.0.1.8.0.255"}, "obis is"),
        ({"obis": "1-0:1.8.256*255"}, "above 255"),
        ({"obis": "1-0:1.8.t*255"}, "the tariff is open"),
        ({"obis": ""}, "is computed"),
        ({"class_id": "three"}, "class_id is"),
        ({"class_id": "-3"}, "class_id is"),
        ({"class_id": "99999"}, "class_id is"),
        ({"attribute": "128"}, "attribute is"),
        ({"context": "hourly"}, "no context 'hourly'"),
        ({"reading_type": "1.2.3"}, "18 numbers"),
        ({"reading_type": "0.0.0.1.1.1.999.0.0.0.0.0.0.0.0.m.72.0"}, "measurement_kind 999"),
        ({"context": "daily"}, "macro_period is 0"),
        ({"direction": "in"}, "not a valid Direction"),
        ({"confidence": "sure"}, "not a valid Confidence"),
        ({"computed": "no"}, "computed is"),
        ({"meaning": ""}, "meaning, source and decision"),
        ({"first": "RT0001"}, "names RT0001"),
        ({"aliases": "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"}, "means X1 already"),
    ],
)
def test_a_fault_of_a_row_is_reported_with_file_and_line(cells: dict[str, str], fault: str) -> None:
    with pytest.raises(TableError) as refusal:
        parse_rows(line(**cells), "own.csv")
    (problem,) = refusal.value.problems
    assert problem.startswith("own.csv:2: ") and fault in problem


def test_all_faults_are_reported_at_once() -> None:
    text = line(class_id="x") + line(context="y").splitlines()[1] + "\nRT\n"
    with pytest.raises(TableError) as refusal:
        parse_rows(text, "own.csv")
    assert [problem.split(":")[1] for problem in refusal.value.problems] == ["2", "3", "4"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "column 'id' is missing"),
        (line().replace("meaning", "means", 1), "column 'means' is not known"),
        (line().replace("meaning", "source", 1), "column 'meaning' is missing"),
        (line() + '"', "own.csv:3"),
        ("x" * 2_000_001, "more than 2000000 characters"),
    ],
)
def test_a_file_that_is_no_table_is_refused(text: str, fault: str) -> None:
    with pytest.raises(TableError, match=fault):
        parse_rows(text, "own.csv")


def test_a_line_ends_where_csv_says() -> None:
    """Not at what else Python takes for the end of a line, and not inside of quotes."""
    (row,) = parse_rows(line(meaning='"energy\u2028of a\nmeter\x0b"'), "own.csv")
    assert row.meaning == "energy\u2028of a\nmeter\x0b"


def test_the_rows_of_a_table_are_bounded() -> None:
    with pytest.raises(TableError, match=f"own.csv:{MAX_ROWS + 2}: more than {MAX_ROWS} rows"):
        read_table("a\n" + "x\n" * (MAX_ROWS + 9), "own.csv", lambda cells, _: cells, ["a"])


@pytest.mark.parametrize("cells", [{"class_id": "x"}, {}, {"first": "RT1"}, {"context": "daily"}])
def test_of_a_table_full_of_faults_the_first_hundred_are_reported(cells: dict[str, str]) -> None:
    rows = [line(**{"id": f"X{number}", **cells}).splitlines()[1] for number in range(5_000)]
    with pytest.raises(TableError) as refusal:
        parse_rows("\n".join([",".join(COLUMNS), *rows]), "own.csv")
    assert len(refusal.value.problems) == MAX_PROBLEMS


@settings(max_examples=examples(25), deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from(CELLS) | st.text(max_size=8), min_size=len(COLUMNS), max_size=len(COLUMNS)), max_size=4
    )
)
def test_whatever_a_table_has_is_rows_or_faults(rows: list[list[str]]) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([COLUMNS, *rows])
    try:
        assert len(parse_rows(out.getvalue(), "own.csv")) <= len(rows)
    except TableError as refusal:
        assert all(problem.startswith("own.csv:") for problem in refusal.problems)


def test_two_rows_with_one_code_have_to_say_so() -> None:
    text = line() + line(id="X2", obis="1-0:2.8.0*255").splitlines()[1] + "\n"
    with pytest.raises(TableError, match="X2 has the code of X1"):
        parse_rows(text, "own.csv")
    text = line() + line(id="X2", obis="1-0:2.8.0*255", same_as="X1").splitlines()[1] + "\n"
    assert len(parse_rows(text, "own.csv")) == 2


def test_patterns_are_written_as_they_are_read() -> None:
    for row in ROWS:
        assert CodePattern.parse(str(row.code)) == row.code
        assert row.obis is None or ObisPattern.parse(str(row.obis)) == row.obis
    check_references(ROWS, lambda row: row.id)


def test_the_table_is_loaded_when_it_is_needed() -> None:
    code = (
        "import ami_mapping.controls, ami_mapping.lookup, sys;"
        "from ami_mapping.readings import all_rows, contexts;"
        "assert not all_rows.cache_info().currsize and not contexts.cache_info().currsize;"
        "heavy = {'lxml', 'cryptography', 'asyncio', 'ami_cim.envelope', 'ami_dlms.association', 'ami_hes'};"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_nothing_of_a_row_is_lost_between_file_and_table() -> None:
    assert len(packaged("readings.csv").splitlines()) == len(ROWS) + 1
