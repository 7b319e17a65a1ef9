"""Scripts, schedules and calendars: what runs, when it runs, and that a jump of a day comes to the same as 1,440 steps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from devices import (
    CLOCK,
    START,
    SWITCH,
    SWITCH_SCRIPTS,
    Inside,
    action,
    at,
    date_time,
    described,
    event_log,
    every,
    script,
    scripts,
    switch_scripts,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from sizes import examples

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_dlms.obis import Obis
from ami_meter_sim.clock.daylight_saving import DaylightSaving
from ami_meter_sim.objects.activity_calendar import TariffChange, tariff_changes
from ami_meter_sim.objects.memory import RecordKind
from ami_meter_sim.objects.timed import next_due

MARK = (1, "0-0:96.13.0")
MARKS = (9, "0-0:10.0.125")
TARIFFS = "0-0:10.0.100"
SCHEDULE = (10, "0-0:12.0.0")
SPECIAL = (11, "0-0:11.0.0")
CALENDAR = (20, "0-0:13.0.0")
SINGLE = (22, "0-0:15.0.1")
STEP = timedelta(minutes=1)
WARSAW = DaylightSaving(
    CosemDateTime(None, 3, 0xFE, 7, 2, 0, 0, 0), CosemDateTime(None, 10, 0xFE, 7, 3, 0, 0, 0), 60, enabled=True
)


def marks() -> tuple[Any, ...]:
    """A value, and scripts 1 to 3 that write their own number into it and are seen in `trace`."""
    written = {f"s{n}": [action(1, MARK, 2, data.unsigned(n))] for n in (1, 2, 3)}
    monitor = described(
        (65, "0-0:16.2.0"),
        {4: data.array(data.structure(data.long_unsigned(1), data.octet_string(Obis.parse(MARK[1])), data.integer(2)))},
    )
    return described(MARK, {2: data.unsigned(0)}, static=True), scripts(MARKS[1], **written), monitor


def trace(inside: Inside, until: datetime, step: timedelta | None = None) -> list[tuple[datetime, int]]:
    """When which number was written."""
    found: list[tuple[datetime, int]] = []
    put = inside.device.kept.put

    class Watched:
        def get(self, *key: Any) -> Data | None:
            return inside_kept.get(*key)

        def put(self, class_id: int, obis: Obis, attribute_id: int, value: Data | None) -> None:
            put(class_id, obis, attribute_id, value)
            if (class_id, obis, attribute_id) == (1, Obis.parse(MARK[1]), 2) and value is not None:
                found.append((inside.device.clock.at, value.value))

    inside_kept = inside.device.kept
    inside.device.kept = Watched()
    inside.device.built.clear()
    inside.to(until, step)
    inside.device.kept = inside_kept
    inside.device.built.clear()
    return found


# --- class 9


def test_a_script_carries_its_actions_out_in_order_and_leaves_refused_ones() -> None:
    table = scripts(
        "0-0:10.0.0",
        s1=[
            action(1, MARK, 2, data.long(1)),
            action(2, (99, "0-0:9.9.9"), 1, data.null()),
            action(2, SWITCH, 9, data.null()),
            action(1, MARK, 2, data.unsigned(7)),
            action(2, SWITCH, 1, data.integer(0)),
        ],
    )
    inside = Inside(table, described(MARK, {2: data.unsigned(0)}, static=True), described(SWITCH))
    assert inside.act((9, "0-0:10.0.0"), 1, data.long_unsigned(1)) is ActionResult.SUCCESS
    assert (inside.read(MARK), inside.read(SWITCH)) == (7, False)


@pytest.mark.parametrize(
    ("parameter", "result"),
    [
        (data.long_unsigned(0), ActionResult.SUCCESS),
        (data.long_unsigned(9), ActionResult.OTHER_REASON),
        (data.unsigned(1), ActionResult.TYPE_UNMATCHED),
        (None, ActionResult.TYPE_UNMATCHED),
    ],
)
def test_what_a_script_table_answers(parameter: Data | None, result: ActionResult) -> None:
    inside = Inside(switch_scripts(), described(SWITCH))
    assert inside.act(SWITCH_SCRIPTS, 1, parameter) is result
    assert inside.read(SWITCH) is True


def test_scripts_that_call_each_other_end() -> None:
    one, two = (9, "0-0:10.0.1"), (9, "0-0:10.0.2")
    calls = data.long_unsigned(1)
    inside = Inside(
        scripts(one[1], s1=[action(2, two, 1, calls), action(1, MARK, 2, data.unsigned(1))]),
        scripts(two[1], s1=[action(2, one, 1, calls)]),
        described(MARK, {2: data.unsigned(0)}, static=True),
    )
    assert inside.act(one, 1, calls) is ActionResult.SUCCESS
    assert inside.read(MARK) == 1


@pytest.mark.parametrize(
    "value",
    [
        data.null(),
        data.array(data.unsigned(1)),
        data.array(data.structure(data.long_unsigned(1), data.array(action(3, MARK, 2, data.null())))),
        data.array(*[data.structure(data.long_unsigned(1), data.array())] * 65),
    ],
)
def test_scripts_of_another_shape_are_refused(value: Data) -> None:
    inside = Inside(switch_scripts())
    before = inside.found(SWITCH_SCRIPTS).read(2)
    assert inside.write(SWITCH_SCRIPTS, 2, value) is DataAccessResult.TYPE_UNMATCHED
    assert inside.found(SWITCH_SCRIPTS).read(2) == before


def test_what_was_written_survives_a_restart() -> None:
    inside = Inside(switch_scripts())
    assert inside.write(SWITCH_SCRIPTS, 2, data.array()) is DataAccessResult.SUCCESS
    inside.restart()
    assert inside.read(SWITCH_SCRIPTS) == ()


# --- class 22


def single(*times: tuple[Data, Data]) -> Any:
    entries = data.array(*(data.structure(*one) for one in times))
    return described(SINGLE, {2: script(MARKS[1], 1), 3: data.enum(5), 4: entries})


def test_a_single_action_runs_once_at_its_time() -> None:
    inside = Inside(*marks(), single((at(10, 30), every(year=2026, month=3, day=2))))
    assert next_due(inside.device, START) == START.replace(minute=30)
    assert trace(inside, START + timedelta(days=3)) == [(START.replace(minute=30), 1)]
    assert next_due(inside.device, inside.device.clock.at) is None


def test_single_actions_with_wildcards_run_again() -> None:
    inside = Inside(*marks(), single((at(0), every(day=1)), (at(12), every(day_of_week=7))))
    moments = [f"{when:%m-%d %H}" for when, _ in trace(inside, datetime(2026, 4, 6, tzinfo=UTC))]
    assert moments == ["03-08 12", "03-15 12", "03-22 12", "03-29 12", "04-01 00", "04-05 12"]
    found = inside.found(SINGLE)
    assert [f"{one:%m-%d}" for one in found.executions(START, datetime(2026, 3, 16, tzinfo=UTC))] == ["03-08", "03-15"]


def test_a_single_action_follows_the_meters_clock() -> None:
    inside = Inside(*marks(), single((at(10, 30), every())), zone=-60)
    inside.write(CLOCK, 2, date_time("2026-03-02 10:00:00", -60))
    assert next_due(inside.device, START) == START + timedelta(minutes=30)


def test_a_clock_set_over_a_single_action_skips_it_and_set_back_repeats_it() -> None:
    inside = Inside(*marks(), single((at(10, 30), every())))
    inside.write(CLOCK, 2, date_time("2026-03-02 11:00:00", 0))
    assert trace(inside, inside.device.clock.at + timedelta(hours=2)) == []
    inside.write(CLOCK, 2, date_time("2026-03-02 10:00:00", 0))
    assert len(trace(inside, inside.device.clock.at + timedelta(hours=1))) == 1


def test_a_time_that_comes_twice_runs_once_and_one_that_is_left_out_at_the_change() -> None:
    inside = Inside(*marks(), single((at(2, 30), every())), zone=-60, at=datetime(2026, 3, 28, tzinfo=UTC))
    inside.device.clock.daylight_saving = WARSAW
    spring = [f"{when:%d %H:%M}" for when, _ in trace(inside, datetime(2026, 3, 30, 12, tzinfo=UTC))]
    assert spring == ["28 01:30", "29 01:00", "30 00:30"]
    inside = Inside(*marks(), single((at(2, 30), every())), zone=-60, at=datetime(2026, 10, 24, 12, tzinfo=UTC))
    inside.device.clock.daylight_saving = WARSAW
    autumn = [f"{when:%d %H:%M}" for when, _ in trace(inside, datetime(2026, 10, 26, 12, tzinfo=UTC))]
    assert autumn == ["25 00:30", "26 01:30"]


# --- class 10

EVERY_DAY = data.bit_string((True,) * 7)
WORKDAYS = data.bit_string((True,) * 5 + (False,) * 2)
NO_DAY = data.bit_string(())


def entry(
    index: int,
    selector: int,
    time: Data,
    window: int = 0xFFFF,
    days: Data = EVERY_DAY,
    special: Data = NO_DAY,
    **more: Data,
) -> Data:
    name = data.octet_string(Obis.parse(MARKS[1]))
    begin, end = more.get("begin", every()), more.get("end", every())
    return data.structure(
        data.long_unsigned(index),
        data.boolean(True),
        name,
        data.long_unsigned(selector),
        time,
        data.long_unsigned(window),
        days,
        special,
        begin,
        end,
    )


def scheduled(*entries: Data, **more: Any) -> Inside:
    special = data.array(data.structure(data.long_unsigned(1), every(month=3, day=5), data.unsigned(2)))
    schedule = described(SCHEDULE, {2: data.array(*entries)})
    return Inside(*marks(), schedule, described(SPECIAL, {2: special}), **more)


def days(found: list[tuple[datetime, int]]) -> list[str]:
    return [f"{when:%d} {number}" for when, number in found]


def test_entries_run_on_their_days_and_special_days_beat_the_week() -> None:
    third_bit = data.bit_string((False, False, True))
    inside = scheduled(entry(1, 1, at(6), days=WORKDAYS), entry(2, 2, at(7), days=NO_DAY, special=third_bit))
    assert days(trace(inside, datetime(2026, 3, 10, tzinfo=UTC))) == ["03 1", "04 1", "05 2", "06 1", "09 1"]


def test_of_two_scripts_at_one_moment_the_smaller_selector_is_first() -> None:
    inside = scheduled(entry(1, 3, at(6)), entry(2, 1, at(6)), entry(3, 2, at(6)))
    assert days(trace(inside, START + timedelta(days=1))) == ["03 1", "03 2", "03 3"]


def test_begin_and_end_of_an_entry() -> None:
    inside = scheduled(entry(1, 1, at(6), begin=every(year=2026, month=3, day=4), end=every(year=2026, month=3, day=7)))
    assert days(trace(inside, datetime(2026, 3, 20, tzinfo=UTC))) == ["04 1", "06 1", "07 1"]
    winter = scheduled(entry(1, 1, at(6), begin=every(month=3, day=8)))
    assert days(trace(winter, datetime(2026, 3, 10, tzinfo=UTC))) == ["08 1", "09 1"]


@pytest.mark.parametrize(("window", "runs"), [(0, 0), (29, 0), (30, 1), (0xFFFF, 1)])
def test_what_a_clock_was_set_over_runs_inside_its_window(window: int, runs: int) -> None:
    inside = scheduled(entry(1, 1, at(10, 30), window=window))
    inside.write(CLOCK, 2, date_time("2026-03-02 11:00:00", 0))
    assert inside.read(MARK) == runs


def test_what_was_missed_without_power_runs_once() -> None:
    inside = scheduled(entry(1, 1, at(10, 30)), entry(2, 2, at(10, 20), window=10))
    inside.device.clock.at = START + timedelta(days=3)
    inside.found(SCHEDULE).powered_up(START)
    assert inside.read(MARK) == 1


def test_enable_insert_and_delete() -> None:
    inside = scheduled(entry(1, 1, at(6)), entry(2, 2, at(7)))

    def numbers(*ones: int) -> Data:
        return data.structure(*map(data.long_unsigned, ones))

    def enabled() -> list[tuple[int, bool]]:
        return [(one.value[0].value, one.value[1].value) for one in inside.read(SCHEDULE)]

    assert inside.act(SCHEDULE, 1, numbers(1, 2, 0, 0)) is ActionResult.SUCCESS
    assert enabled() == [(1, False), (2, False)] and next_due(inside.device, START) is None
    assert inside.act(SCHEDULE, 1, numbers(0, 0, 2, 9)) is ActionResult.SUCCESS
    assert inside.act(SCHEDULE, 2, entry(5, 3, at(8))) is ActionResult.SUCCESS
    assert inside.act(SCHEDULE, 2, entry(2, 3, at(9))) is ActionResult.SUCCESS
    assert enabled() == [(1, False), (2, True), (5, True)]
    assert inside.act(SCHEDULE, 3, numbers(1, 2)) is ActionResult.SUCCESS
    assert enabled() == [(5, True)]
    assert inside.act(SCHEDULE, 2, entry(10_000, 3, at(8))) is ActionResult.TYPE_UNMATCHED
    assert inside.act(SCHEDULE, 2, data.null()) is ActionResult.TYPE_UNMATCHED


def test_a_schedule_is_full_at_its_limit() -> None:
    inside = scheduled(*(entry(number, 1, at(6)) for number in range(1, 65)))
    assert inside.act(SCHEDULE, 2, entry(64, 2, at(7))) is ActionResult.SUCCESS
    assert inside.act(SCHEDULE, 2, entry(65, 2, at(7))) is ActionResult.OTHER_REASON
    assert len(inside.read(SCHEDULE)) == 64


# --- class 11


def test_special_days_are_inserted_replaced_and_deleted() -> None:
    inside = scheduled()

    def special(index: int, day_id: int) -> Data:
        return data.structure(data.long_unsigned(index), every(month=12, day=25), data.unsigned(day_id))

    assert inside.act(SPECIAL, 1, special(1, 7)) is ActionResult.SUCCESS
    assert inside.act(SPECIAL, 1, special(2, 8)) is ActionResult.SUCCESS
    assert [one.value[2].value for one in inside.read(SPECIAL)] == [7, 8]
    assert inside.act(SPECIAL, 2, data.long_unsigned(1)) is ActionResult.SUCCESS
    assert inside.act(SPECIAL, 2, data.long_unsigned(1)) is ActionResult.OTHER_REASON
    assert [one.value[0].value for one in inside.read(SPECIAL)] == [2]
    assert inside.act(SPECIAL, 1, data.structure(data.long_unsigned(1))) is ActionResult.TYPE_UNMATCHED


# --- class 20


def day(day_id: int, *changes: tuple[int, int], table: str = TARIFFS) -> Data:
    """A day profile: from these hours on these scripts."""
    entries = [data.structure(at(hour), *script(table, selector).value) for hour, selector in changes]
    return data.structure(data.unsigned(day_id), data.array(*entries))


def week(name: bytes, *ids: int) -> Data:
    return data.structure(data.octet_string(name), *map(data.unsigned, ids))


def season(name: bytes, month: int, of_day: int, of_week: bytes) -> Data:
    start = CosemDateTime(None, month, of_day, None, 0, 0, 0, 0)
    return data.structure(data.octet_string(name), data.octet_string(start.encode()), data.octet_string(of_week))


SUMMER = [season(b"S", 4, 1, b"s"), season(b"W", 10, 1, b"w")]
WEEKS = [week(b"w", 1, 1, 1, 1, 1, 2, 2), week(b"s", 3, 3, 3, 3, 3, 3, 3)]
DAYS = [day(1, (6, 1), (22, 2)), day(2, (0, 2)), day(3, (5, 3)), day(9, (0, 4))]


def tariffs(*more: Any, table: str = TARIFFS, **settings_: Any) -> Inside:
    parts = {3: SUMMER, 4: WEEKS, 5: [day(1, (6, 1), (22, 2), table=table), *DAYS[1:]]}
    calendar = described(CALENDAR, {number: data.array(*part) for number, part in parts.items()})
    special = data.array(data.structure(data.long_unsigned(1), every(month=3, day=4), data.unsigned(9)))
    return Inside(*marks(), calendar, described(SPECIAL, {2: special}), *more, **settings_)


def shown(changes: list[TariffChange]) -> list[str]:
    return [f"{one.at:%m-%d %H} {one.tariff}" for one in changes]


def test_tariffs_follow_season_week_day_and_special_days() -> None:
    inside = tariffs()
    found = tariff_changes(inside.device, START, datetime(2026, 3, 9, 12, tzinfo=UTC))
    assert shown(found) == [
        *("03-02 10 1", "03-02 22 2", "03-03 06 1", "03-03 22 2"),
        *("03-04 00 4", "03-05 06 1", "03-05 22 2", "03-06 06 1", "03-06 22 2", "03-09 06 1"),
    ]
    april = tariff_changes(inside.device, datetime(2026, 3, 31, 23, tzinfo=UTC), datetime(2026, 4, 3, tzinfo=UTC))
    assert shown(april) == ["03-31 23 2", "04-01 05 3"]


def test_tariffs_wake_no_meter() -> None:
    assert next_due(tariffs().device, START) is None


def test_tariffs_are_in_local_time() -> None:
    inside = tariffs(zone=-60)
    inside.device.clock.daylight_saving = WARSAW
    found = tariff_changes(inside.device, datetime(2026, 3, 27, 12, tzinfo=UTC), datetime(2026, 4, 2, tzinfo=UTC))
    assert shown(found) == [
        "03-27 12 1",
        "03-27 21 2",
        "03-30 04 1",
        "03-30 20 2",
        "03-31 04 1",
        "03-31 20 2",
        "04-01 03 3",
    ]


def test_a_meter_without_calendar_has_no_tariff_changes() -> None:
    assert tariff_changes(Inside().device, START, START + timedelta(days=9)) == []


def test_a_clock_that_is_set_moves_only_the_tariffs_after_it() -> None:
    inside = tariffs()
    inside.later(days=1)
    inside.write(CLOCK, 2, date_time("2026-03-03 13:05:00", 0))  # three hours ahead
    found = tariff_changes(inside.device, START, datetime(2026, 3, 3, 23, tzinfo=UTC))
    assert shown(found) == ["03-02 10 1", "03-02 22 2", "03-03 06 1", "03-03 19 2", "03-03 21 4"]


def test_a_script_that_a_client_executes_counts_until_the_next_change() -> None:
    inside = tariffs(scripts(TARIFFS, s1=[], s2=[], s5=[]))
    inside.later(hours=2)
    assert inside.act((9, TARIFFS), 1, data.long_unsigned(5)) is ActionResult.SUCCESS
    found = tariff_changes(inside.device, START, START + timedelta(hours=13))
    assert shown(found) == ["03-02 10 1", "03-02 12 5", "03-02 22 2"]


def write_passive(inside: Inside) -> None:
    for number, part in ((7, []), (8, [week(b"w", *[9] * 7)]), (9, DAYS)):
        assert inside.write(CALENDAR, number, data.array(*part)) is DataAccessResult.SUCCESS
    assert inside.write(CALENDAR, 6, data.octet_string(b"new")) is DataAccessResult.SUCCESS


def test_a_passive_calendar_becomes_active_at_its_time_and_the_past_stays() -> None:
    inside = tariffs(*event_log("standard"))
    before = tariff_changes(inside.device, START, START + timedelta(days=1))
    write_passive(inside)
    inside.write(CALENDAR, 10, date_time("2026-03-03 10:05:00"))
    assert next_due(inside.device, START) == START + timedelta(days=1)
    inside.restart()
    inside.later(days=2)
    assert inside.read(CALENDAR, 2) == b"new"
    assert inside.read(CALENDAR, 10) == CosemDateTime().encode()
    found = tariff_changes(inside.device, START, START + timedelta(days=2))
    assert found == [*before, TariffChange(START + timedelta(days=1), 4)]
    assert inside.logged("standard") == [19, 19, 19, 19, 9]
    (activated,) = [one.at for one in inside.device.history.records(RecordKind.EVENT) if one.number == 9]
    assert activated == START + timedelta(days=1)


def test_a_moment_in_the_past_or_the_method_activates_at_once() -> None:
    inside = tariffs()
    write_passive(inside)
    assert inside.write(CALENDAR, 10, date_time("2026-03-02 10:00:00")) is DataAccessResult.SUCCESS
    assert inside.read(CALENDAR, 2) == b"new"
    other = tariffs()
    write_passive(other)
    assert other.act(CALENDAR, 1, data.integer(0)) is ActionResult.SUCCESS
    assert other.read(CALENDAR, 2) == b"new"


def test_a_calendar_that_does_more_than_tariffs_runs_its_scripts() -> None:
    inside = tariffs(table=MARKS[1])
    assert days(trace(inside, datetime(2026, 3, 4, tzinfo=UTC), STEP)) == ["02 2", "03 1", "03 2"]


def test_what_should_be_in_force_runs_after_a_clock_is_set_and_when_power_is_back() -> None:
    inside = tariffs(table=MARKS[1])
    inside.write(CLOCK, 2, date_time("2026-03-02 23:00:00", 0))
    assert inside.read(MARK) == 2
    inside.write(CLOCK, 2, date_time("2026-03-02 12:00:00", 0))
    assert inside.read(MARK) == 1
    inside.write(MARK, 2, data.unsigned(0))
    inside.found(CALENDAR).powered_up(START)
    assert inside.read(MARK) == 1


@pytest.mark.parametrize("number", [2, 3, 4, 5, 6, 7, 8, 9, 10])
def test_a_calendar_of_another_shape_is_refused(number: int) -> None:
    inside = tariffs()
    for value in (data.null(), data.array(data.null()), data.octet_string(b"x" * 40), data.array(*[week(b"", 1)] * 65)):
        assert inside.write(CALENDAR, number, value) is DataAccessResult.TYPE_UNMATCHED


# --- one jump of a day is 1,440 steps

TIMES = st.builds(at, st.integers(0, 23), st.integers(0, 59))
DATES = st.builds(
    lambda parts: every(**parts), st.dictionaries(st.sampled_from(["month", "day", "day_of_week"]), st.integers(1, 7))
)


@settings(max_examples=examples(8), deadline=None)
@given(
    times=st.lists(st.tuples(TIMES, DATES), max_size=3),
    hours=st.lists(st.integers(0, 23), min_size=2, max_size=3, unique=True),
    start=st.sampled_from([datetime(2026, 3, 28, 23, 17, 3, tzinfo=UTC), datetime(2026, 10, 24, 22, 0, tzinfo=UTC)]),
    offset=st.integers(-7200, 7200),
    ppm=st.sampled_from([0, 150, -90]),
)
def test_one_jump_of_a_day_is_1440_steps(
    times: list[tuple[Data, Data]], hours: list[int], start: datetime, offset: int, ppm: int
) -> None:
    def meter() -> Inside:
        entries = [entry(number + 1, number % 3 + 1, at(hour, 30)) for number, hour in enumerate(hours)]
        single_ = single(*times)
        days_ = [day(1, *((hour, number % 3 + 1) for number, hour in enumerate(sorted(hours))), table=MARKS[1])]
        calendar = described(CALENDAR, {4: data.array(week(b"w", *[1] * 7)), 5: data.array(*days_)})
        inside = Inside(
            *marks(),
            single_,
            calendar,
            described(SCHEDULE, {2: data.array(*entries)}),
            *event_log("standard"),
            at=start,
            zone=-60,
        )
        clock = inside.device.clock
        clock.daylight_saving, clock.drift_ppm, clock.state.clock_offset_s = WARSAW, ppm, offset
        return inside

    until = start + timedelta(days=1)
    at_once, in_steps = meter(), meter()
    ran = trace(at_once, until)
    assert ran and ran == trace(in_steps, until, STEP)
    assert at_once.device.history.records(RecordKind.EVENT) == in_steps.device.history.records(RecordKind.EVENT)
