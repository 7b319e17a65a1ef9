"""Recipes before a meter that is a table of values: what they send, and which of its ends is OK."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ami_cim.control_parameters import Day, DayPeriod, Limiter, Season, SpecialDay, TimeOfUse, Week
from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_mapping.controls import CODES, Verdict, control_for
from ami_mapping.recipes import Invoke, Read, Recipe, Refusal, Step, Stopped, Taken, Write, recipe_row

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
COUNTER, PROFILE = "1 1-0:0.1.0*255 2", "7 0-0:98.1.0*255 7"
LOG, ROWS = "7 0-0:99.98.0*255 7", "7 0-0:99.98.0*255 2"
REGISTER, DESCRIPTOR = "1 0-0:97.98.0*255 2", "1 0-0:97.98.20*255 2"
TIME = "8 0-0:1.0.0*255 2"


def u32(value: int) -> Data:
    return data.double_long_unsigned(value)


@dataclass
class TableMeter:
    """What it shows by attribute; `does` is what a method, or a write, changes."""

    shows: dict[str, Data]
    does: Callable[[dict[str, Data]], None] = lambda _: None
    answer: ActionResult = ActionResult.SUCCESS
    written: DataAccessResult = DataAccessResult.SUCCESS
    keeps: bool = True
    sent: list[Step] = field(default_factory=list)

    def do(self, step: Step) -> Any:
        if isinstance(step, Read):
            return tuple(
                self.shows.get(_key(one), Refusal(DataAccessResult.OBJECT_UNDEFINED)) for one in step.attributes
            )
        if isinstance(step, Write | Invoke):
            self.sent.append(step)
        if isinstance(step, Invoke):
            if self.answer is ActionResult.SUCCESS:
                self.does(self.shows)
            return self.answer
        if isinstance(step, Write):
            if self.written is DataAccessResult.SUCCESS and self.keeps:
                self.shows[_key(step.attribute)] = step.value
            return self.written
        return None

    def work(self, recipe: Recipe) -> Verdict:
        try:
            step = next(recipe)
            while True:
                step = recipe.send(self.do(step))
        except StopIteration as end:
            verdict: Verdict = end.value
            return verdict


def _key(one: Any) -> str:
    return f"{one.class_id} {one.instance_id} {one.attribute_id}"


def recipe(name: str, taken: Taken = None, now: datetime = NOW) -> Recipe:
    return recipe_row(control_for(CODES[name])).make(taken, lambda: now)


def one_more(key: str) -> Callable[[dict[str, Data]], None]:
    def does(shows: dict[str, Data]) -> None:
        shows[key] = Data(shows[key].tag, shows[key].value + 1)

    return does


CASES: Mapping[str, tuple[str, TableMeter, str | None]] = {
    "the counter moved": ("demand-reset", TableMeter({COUNTER: u32(4), PROFILE: u32(24)}, one_more(COUNTER)), None),
    "the profile grew": ("demand-reset", TableMeter({PROFILE: u32(4)}, one_more(PROFILE)), None),
    "the counter stood": ("demand-reset", TableMeter({COUNTER: u32(4), PROFILE: u32(4)}, one_more(PROFILE)), "5.3"),
    "a full profile": ("demand-reset", TableMeter({PROFILE: u32(24)}), "5.3"),
    "nothing to see": ("demand-reset", TableMeter({}), "5.3"),
    "an empty log": ("event-log-reset", TableMeter({LOG: u32(9)}, lambda shows: shows.update({LOG: u32(0)})), None),
    "a log with its reset": (
        "event-log-reset",
        TableMeter({LOG: u32(9)}, lambda shows: shows.update({LOG: u32(1)})),
        None,
    ),
    "another single entry": (
        "event-log-reset",
        TableMeter({LOG: u32(1), ROWS: data.array(u32(7))}, lambda shows: shows.update({ROWS: data.array(u32(8))})),
        None,
    ),
    "the same single entry": ("event-log-reset", TableMeter({LOG: u32(1), ROWS: data.array(u32(7))}), "5.3"),
    "a log that stays": ("event-log-reset", TableMeter({LOG: u32(9)}), "5.3"),
    "registers at 0": ("alarm-reset", TableMeter({REGISTER: u32(5), DESCRIPTOR: u32(5)}), None),
    "an alarm that is still there": ("alarm-reset", TableMeter({REGISTER: u32(5)}, keeps=False), "5.3"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_accepted_and_not_proved_is_not_ok(case: str) -> None:
    name, meter, code = CASES[case]
    verdict = meter.work(recipe(name))
    assert (verdict.ok, verdict.code) == (code is None, code), verdict.reason
    assert meter.sent


@pytest.mark.parametrize("name", ["demand-reset", "event-log-reset"])
def test_a_refusal_ends_a_recipe(name: str) -> None:
    meter = TableMeter({COUNTER: u32(1), LOG: u32(5)}, answer=ActionResult.READ_WRITE_DENIED)
    with pytest.raises(Stopped) as stopped:
        meter.work(recipe(name))
    assert (stopped.value.kind, stopped.value.name) == ("method-result", "READ_WRITE_DENIED")
    assert stopped.value.answered


@pytest.mark.parametrize("name", ["event-log-reset", "alarm-reset", "clock-set"])
def test_nothing_is_sent_to_a_meter_that_lacks_what_is_needed(name: str) -> None:
    meter = TableMeter({})
    with pytest.raises(Stopped) as stopped:
        meter.work(recipe(name))
    assert not stopped.value.answered and not meter.sent


def clock(moment: datetime, deviation: int | None) -> Data:
    local = moment - timedelta(minutes=deviation or 0)
    made = CosemDateTime.from_datetime(local.replace(tzinfo=UTC))
    parts = (made.year, made.month, made.day, made.day_of_week, made.hour, made.minute, made.second, 0)
    return data.octet_string(CosemDateTime(*parts, deviation, 0).encode())


def test_a_clock_is_set_in_its_own_local_time() -> None:
    meter = TableMeter({TIME: clock(NOW - timedelta(hours=3), -60)})
    assert meter.work(recipe("clock-set")).ok
    (sent,) = meter.sent
    assert isinstance(sent, Write)
    written = CosemDateTime.decode(sent.value.value)
    assert (written.to_datetime(), written.hour, written.deviation_minutes) == (NOW, 13, -60)


@pytest.mark.parametrize("off_s", [-3600, -3, 3, 3600])
def test_a_clock_that_shows_another_time_is_not_ok(off_s: int) -> None:
    meter = TableMeter({TIME: clock(NOW + timedelta(seconds=off_s), 0)}, keeps=False)
    verdict = meter.work(recipe("clock-set"))
    assert (verdict.ok, verdict.code) == (False, "5.3")


@pytest.mark.parametrize("shown", [clock(NOW, None), u32(1), data.octet_string(b"12"), data.octet_string(b"\xff" * 12)])
def test_a_clock_without_a_deviation_is_not_set(shown: Data) -> None:
    meter = TableMeter({TIME: shown})
    with pytest.raises(Stopped) as stopped:
        meter.work(recipe("clock-set"))
    assert stopped.value.name == "unsuitable" and not meter.sent


MONITORED, NORMAL, OVER, SCALER = (
    "71 0-0:17.0.0*255 2",
    "71 0-0:17.0.0*255 4",
    "71 0-0:17.0.0*255 6",
    "3 1-0:1.7.0*255 3",
)
POWER = data.structure(data.long_unsigned(3), data.octet_string(bytes((1, 0, 1, 7, 0, 255))), data.integer(2))


def limiter(scaler: int = 0, **more: Any) -> TableMeter:
    unit = data.structure(data.integer(scaler), data.enum(27))
    return TableMeter({MONITORED: POWER, NORMAL: u32(0), OVER: u32(60), SCALER: unit}, **more)


def test_a_threshold_is_written_in_the_steps_of_what_is_monitored() -> None:
    meter = limiter(scaler=1)
    assert meter.work(recipe("limit-set", Limiter(threshold=Decimal("4600"), over_s=30))).ok
    assert (meter.shows[NORMAL], meter.shows[OVER]) == (u32(460), u32(30))
    assert [isinstance(one, Write) and one.attribute.attribute_id for one in meter.sent] == [6, 4]


@pytest.mark.parametrize("threshold", ["4605", "0.5", "1e12"])
def test_a_threshold_that_cannot_be_said_in_them_is_not_written(threshold: str) -> None:
    meter = limiter(scaler=1)
    with pytest.raises(Stopped) as stopped:
        meter.work(recipe("limit-set", Limiter(threshold=Decimal(threshold))))
    assert stopped.value.name == "unsuitable" and not meter.sent


def test_a_limit_is_cleared_by_a_threshold_that_nothing_exceeds() -> None:
    meter = limiter()
    assert meter.work(recipe("limit-clear")).ok
    assert meter.shows[NORMAL] == u32(2**32 - 1)


def test_what_reads_back_otherwise_is_not_ok() -> None:
    verdict = limiter(keeps=False).work(recipe("limit-set", Limiter(threshold=Decimal(1))))
    assert (verdict.ok, verdict.code) == (False, "5.3") and "0-0:17.0.0*255 attribute 4" in verdict.reason


def calendar(**changes: Any) -> TimeOfUse:
    days = dict.fromkeys(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"), 1)
    whole = TimeOfUse(
        name="NEW",
        seasons=(Season(name="S", start="--01-01", week="W"),),
        weeks=(Week(name="W", **days),),
        days=(Day(day_id=1, periods=(DayPeriod(start="06:00", rate=2), DayPeriod(start="00:00", rate=1))),),
    )
    return replace(whole, **changes)


PASSIVE_NAME = "20 0-0:13.0.0*255 6"


def activate(shows: dict[str, Data]) -> None:
    shows.update({f"20 0-0:13.0.0*255 {n}": shows[f"20 0-0:13.0.0*255 {n + 4}"] for n in (2, 3, 4, 5)})


def test_a_calendar_is_proved_passive_and_then_active() -> None:
    meter = TableMeter({PASSIVE_NAME: data.octet_string(b"")}, does=activate)
    assert meter.work(recipe("tariff-change", calendar())).ok
    assert meter.shows["20 0-0:13.0.0*255 2"] == data.octet_string(b"NEW")
    lazy = TableMeter({PASSIVE_NAME: data.octet_string(b"")})
    assert not lazy.work(recipe("tariff-change", calendar())).ok


def test_a_calendar_for_later_is_not_activated_now() -> None:
    meter = TableMeter({PASSIVE_NAME: data.octet_string(b""), TIME: clock(NOW, -60)}, does=activate)
    assert meter.work(recipe("tariff-change", calendar(activate_at=NOW + timedelta(days=1)))).ok
    assert not any(isinstance(one, Invoke) for one in meter.sent)
    assert CosemDateTime.decode(meter.shows["20 0-0:13.0.0*255 10"].value).to_datetime() == NOW + timedelta(days=1)


@pytest.mark.parametrize(
    "changes",
    [
        {"seasons": (Season(name="S", start="--01-01", week="X"),)},
        {"days": (Day(day_id=9, periods=(DayPeriod(start="00:00", rate=1),)),)},
        {"special_days": (SpecialDay(date="--12-25", day_id=7),)},
    ],
)
def test_a_calendar_with_a_gap_is_not_written(changes: dict[str, Any]) -> None:
    meter = TableMeter({PASSIVE_NAME: data.octet_string(b"")})
    with pytest.raises(Stopped):
        meter.work(recipe("tariff-change", calendar(**changes)))
    assert not meter.sent


def monitored(*parts: Data) -> Data:
    return data.structure(*parts)


NAME_OF_POWER = data.octet_string(bytes((1, 0, 1, 7, 0, 255)))


@pytest.mark.parametrize(
    "shown",
    [
        {MONITORED: monitored(data.long_unsigned(3), data.octet_string(b"12"), data.integer(2))},
        {MONITORED: monitored(data.long_unsigned(3), u32(1), data.integer(2))},
        {MONITORED: monitored(data.octet_string(b"3"), NAME_OF_POWER, data.integer(2))},
        {SCALER: data.structure()},
        {SCALER: u32(3)},
        {SCALER: data.structure(data.octet_string(b"x"), data.enum(27))},
        {SCALER: data.structure(u32(2**31), data.enum(27))},
    ],
)
def test_a_limiter_that_shows_nonsense_is_told_and_not_written(shown: dict[str, Data]) -> None:
    meter = limiter()
    meter.shows |= shown
    with pytest.raises(Stopped) as stopped:
        meter.work(recipe("limit-set", Limiter(threshold=Decimal(1))))
    assert stopped.value.name == "unsuitable" and not meter.sent


@pytest.mark.parametrize("deviation", [-60, 32767, -32767])
def test_moments_that_a_clock_cannot_say_are_told_and_not_written(deviation: int) -> None:
    last = datetime.max.replace(tzinfo=UTC)
    shows = {PASSIVE_NAME: data.octet_string(b""), TIME: clock(NOW, deviation)}
    meter = TableMeter(shows)
    with pytest.raises(Stopped) as stopped:
        meter.work(recipe("tariff-change", calendar(activate_at=last)))
    assert stopped.value.name == "unsuitable" and not meter.sent
