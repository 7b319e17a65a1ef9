"""Ends of billing periods: by the schedule of a model, by its script, by a hand; rows, maxima and counts follow from them."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench import Bench, setup
from devices import CLOCK, Inside, action, at, described, event_log, every, script, scripts

from ami_dlms import data
from ami_dlms.cosem.descriptors import MethodDescriptor
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.data import to_python
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_dlms.obis import Obis
from ami_meter_sim.load import HouseKind as HouseKind
from ami_meter_sim.load import house
from ami_meter_sim.objects import timed
from ami_meter_sim.objects.conditions import power_down, power_up, press_billing_button
from ami_meter_sim.objects.model_files import load_model

IMPORT, MAXIMUM, COUNT = (3, "1-0:1.8.0"), (4, "1-0:1.6.0"), (1, "1-0:0.1.0")
ROWS, SCHEDULE, SCRIPTS = (7, "0-0:98.1.0"), (22, "0-0:15.0.0"), (9, "0-0:10.0.1")
START = datetime(2026, 3, 10, 9, tzinfo=UTC)
FIRST_OF_MONTH = data.structure(at(0), every(day=1))


def billed(start: datetime = START) -> Inside:
    columns = [
        CaptureObject(c, Obis.parse(o), n) for c, o, n in ((*CLOCK, 2), (*IMPORT, 2), (*MAXIMUM, 2), (*MAXIMUM, 5))
    ]
    return Inside(
        *event_log("standard"),
        described(IMPORT, value="import_energy_wh"),
        described(MAXIMUM, value="import_power_w"),
        described(COUNT, value="billing_periods"),
        described(ROWS, version=1, columns=tuple(columns), profile_entries=24, options={"months": True}),
        described(SCHEDULE, {2: script(SCRIPTS[1], 1), 3: data.enum(1), 4: data.array(FIRST_OF_MONTH)}),
        scripts(SCRIPTS[1], s1=[action(2, ROWS, 2, data.integer(0)), action(2, MAXIMUM, 1, data.integer(0))]),
        at=start,
        zone=-60,
        house=house(31, HouseKind.HOUSEHOLD),
    )


def moment(octets: bytes) -> datetime:
    return CosemDateTime.decode(octets).to_datetime().astimezone(UTC)


def rows(inside: Inside) -> list[Any]:
    return [[moment(row[0]), *row[1:3], moment(row[3])] for row in to_python(inside.found(ROWS).read(2))]


def ends(inside: Inside) -> list[str]:
    return [f"{row[0] + timedelta(hours=1):%m-%d %H:%M}" for row in rows(inside)]


def test_the_schedule_ends_a_period_each_month_and_wakes_nobody() -> None:
    inside = billed()
    assert timed.next_due(inside.device, START) is None
    assert ends(inside)[-2:] == ["02-01 00:00", "03-01 00:00"] and len(rows(inside)) == 24, "a new meter has a past"
    count = inside.read(COUNT)
    inside.later(days=60)
    assert ends(inside)[-3:] == ["03-01 00:00", "04-01 00:00", "05-01 00:00"]
    assert inside.read(COUNT) == count + 2


def test_a_script_ends_the_period_now() -> None:
    inside = billed()
    count, before = inside.read(COUNT), rows(inside)
    highest = inside.read(MAXIMUM), moment(inside.read(MAXIMUM, 5))
    assert inside.act(SCRIPTS, 1, data.long_unsigned(1)) is ActionResult.SUCCESS
    found = rows(inside)
    assert found[:-1] == before[1:]
    assert found[-1] == [START, inside.read(IMPORT), *highest], "one row, with the maximum of the period that ended"
    assert (inside.read(MAXIMUM), inside.read(COUNT)) == (0, count + 1)
    assert inside.logged("standard") == [253]
    inside.later(hours=1)
    assert moment(inside.read(MAXIMUM, 5)) > START
    inside.later(days=30)
    assert ends(inside)[-2:] == ["03-10 10:00", "04-01 00:00"], "the schedule goes on"


def test_a_schedule_that_is_written_counts_from_now_on() -> None:
    inside = billed()
    before = rows(inside)
    fifteenth = data.array(data.structure(at(6), every(day=15)))
    assert inside.write(SCHEDULE, 4, fifteenth) is DataAccessResult.SUCCESS
    assert rows(inside) == before
    inside.later(days=40)
    assert ends(inside)[-3:] == ["03-01 00:00", "03-15 06:00", "04-15 06:00"]
    assert rows(inside)[:-2] == before[2:]


def test_a_schedule_with_another_script_or_at_every_hour_runs_as_any_other() -> None:
    inside = billed()
    hourly = data.structure(data.octet_string(bytes((0xFF, 0, 0, 0))), every())
    assert inside.write(SCHEDULE, 4, data.array(hourly)) is DataAccessResult.SUCCESS
    assert timed.next_due(inside.device, START) == START + timedelta(hours=1)
    count = inside.read(COUNT)
    inside.later(hours=3)
    assert inside.read(COUNT) == count + 3


def test_without_power_the_end_is_missed() -> None:
    inside = billed(datetime(2026, 3, 31, 12, tzinfo=UTC))
    power_down(inside.device)
    inside.later(days=1)
    power_up(inside.device)
    assert ends(inside)[-1] == "03-01 00:00"


def test_each_row_has_the_maximum_of_its_period_and_its_time() -> None:
    inside = billed()
    inside.later(days=9)
    inside.device.end_billing_period()
    inside.later(days=40)
    found = rows(inside)
    for (begin, *_), (end, _, maximum, when) in itertools.pairwise(found):
        second = int(when.timestamp())
        assert begin < when <= end
        assert maximum == (inside.device.house.import_ws(second) - inside.device.house.import_ws(second - 900)) // 900


def test_models_with_a_billing_profile(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    meter = bench.start(setup(model=load_model("single-phase")))
    before = len(bench.read(ROWS).value)  # type: ignore[arg-type]
    assert before == 24, "full at the first read"
    execute = MethodDescriptor(9, Obis.parse(SCRIPTS[1]), 1)
    bench.later(hours=1)
    assert meter.act(execute, data.long_unsigned(1), bench.at).result is ActionResult.SUCCESS
    newest = bench.read(ROWS).value[-1]  # type: ignore[index]
    assert moment(newest.value[0].value) == bench.at.replace(microsecond=0)
    assert bench.value((4, "1-0:1.6.0")) == 0


def test_a_hand_at_the_button_ends_the_period_of_a_meter_that_has_power_and_one() -> None:
    inside, without = billed(), Inside(described(IMPORT, value="import_energy_wh"))
    count = inside.read(COUNT)
    assert press_billing_button(inside.device)
    assert inside.read(COUNT) == count + 1 and ends(inside)[-1] == "03-10 10:00"
    power_down(inside.device)
    assert not press_billing_button(inside.device) and not press_billing_button(without.device)
