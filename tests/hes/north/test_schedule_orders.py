"""MeterReadSchedule over real sockets: schedules that are ordered, changed, cancelled, deleted and asked for in CIM."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from north_bench import GENERIC, SCHEMAS, Cis, North, entries, mrid, north, octets, texts
from reported import into
from scheduled import listed, reported

from ami_cim import wire
from ami_cim.identity import EndDevice, Identified, Identifier, Name, UsagePoint
from ami_cim.message import Header, Property, RequestMessage, ResponseMessage
from ami_cim.payloads.meter_read_schedule import GetMeterReadSchedule, MeterReadSchedule, TimePoint, TimeSchedule
from ami_cim.periods import Period
from ami_hes.schedules import ScheduleBook
from ami_process.clocks import SteppedClock
from ami_process.environment import Environment

QUARTERS = "0.0.2.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"
START = datetime(2026, 3, 28, 12, tzinfo=UTC)
FIRST = datetime(2026, 3, 28, 23, tzinfo=UTC)
LAST, YEAR_1 = datetime(9999, 12, 31, 23, 59, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)
"""Lawful moments of XML, some of which no other zone has."""
DAILY = TimeSchedule(
    interval=Period(start=FIRST),
    offset=timedelta(minutes=30),
    recurrence_period=timedelta(days=1),
    recurrence_pattern="Europe/Berlin",
)
ASKED = MeterReadSchedule(
    end_devices=(EndDevice(mrid(1)), EndDevice(mrid(2))),
    usage_points=(UsagePoint(names=(Name(name="UP-3"),)),),
    reading_types=(Identified(mrid=QUARTERS),),
    schedules=(DAILY,),
)


def message(
    verb: str, message_id: str, payload: MeterReadSchedule | None = None, about: str = "", **more: Any
) -> RequestMessage:
    ids = (Identifier(value=about, kind="transaction"),) if about else ()
    header = {"message_id": message_id, "correlation_id": message_id, "timestamp": START, "source": "CIS"}
    query = more.pop("query", None)
    return RequestMessage(
        header=Header(verb=verb, noun="MeterReadSchedule", **header, **more),  # type: ignore[arg-type]
        request_identifiers=ids,
        query=query,
        payload=payload,
    )


async def ask(hes: North, asked: RequestMessage) -> ResponseMessage:
    return await hes.ask(asked, GENERIC)


def said(answer: ResponseMessage) -> tuple[str, list[str], list[str]]:
    reply = answer.reply
    return reply.result, [one.code for one in reply.errors], [one.value for one in reply.identifiers]


def options(limit: int, offset: int) -> tuple[Property, ...]:
    return Property(name="limit", value=str(limit)), Property(name="offset", value=str(offset))


def at(moment: datetime, events: list[Any]) -> Environment:
    return Environment(emit=into(events)).by(SteppedClock(moment))


async def test_a_schedule_from_its_create_to_its_delete(tmp_path: Path, events: list[Any]) -> None:
    async with north(tmp_path, environment=at(START, events)) as hes:
        assert said(await ask(hes, message("create", "s-1", ASKED))) == ("OK", [], ["s-1"])
        (one,) = await listed(hes)
        assert (one["name"], one["every"], one["at"], one["time_zone"], one["enabled"]) == (
            "s-1",
            "day",
            "00:30",
            "Europe/Berlin",
            True,
        )
        assert one["mrids"] == [mrid(1), mrid(2), mrid(3)]
        assert datetime.fromisoformat(one["next_due_at"]) == FIRST + timedelta(minutes=30)

        answer = await ask(hes, message("get", "g-1", about="s-1"))
        assert said(answer) == ("OK", [], ["s-1"])
        assert isinstance(answer.payload, MeterReadSchedule)
        assert [one.mrid for one in answer.payload.end_devices] == [mrid(1), mrid(2), mrid(3)]
        assert answer.payload.schedules == (
            TimeSchedule(
                interval=Period(start=FIRST + timedelta(minutes=30)),
                recurrence_pattern="Europe/Berlin",
                recurrence_period=timedelta(days=1),
                disabled=False,
            ),
        )
        hourly = replace(
            ASKED,
            end_devices=(EndDevice(mrid(1)),),
            usage_points=(),
            schedules=(replace(DAILY, recurrence_period=timedelta(hours=1), recurrence_pattern=None),),
        )
        assert said(await ask(hes, message("change", "s-2", hourly, "s-1"))) == ("OK", [], ["s-1"])
        (changed,) = await listed(hes)
        assert (changed["mrid"], changed["every"], changed["time_zone"]) == (one["mrid"], "hour", "UTC")
        assert said(await ask(hes, message("cancel", "s-3", about="s-1"))) == ("OK", [], ["s-1"])
        assert [one["enabled"] for one in await listed(hes)] == [False]
        assert said(await ask(hes, message("delete", "s-4", about="s-1"))) == ("OK", [], ["s-1"])
        assert await listed(hes) == []
        assert said(await ask(hes, message("get", "g-2", about="s-1"))) == ("FAILED", ["2.4"], [])


async def test_a_message_that_comes_again_gets_its_answer_again(tmp_path: Path, events: list[Any]) -> None:
    for _ in range(2):
        async with north(tmp_path, environment=at(START, events)) as hes:
            first = await ask(hes, message("create", "s-1", ASKED))
            assert said(await ask(hes, message("create", "s-1", ASKED))) == said(first) == ("OK", [], ["s-1"])
            other = replace(ASKED, reading_types=(Identified(mrid="0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"),))
            assert said(await ask(hes, message("create", "s-1", other))) == ("FAILED", ["2.15"], [])
            deleted = [said(await ask(hes, message("delete", "s-2", about="s-1"))) for _ in range(2)]
            assert deleted == [("OK", [], ["s-1"])] * 2
            assert await listed(hes) == []


async def test_a_create_replaces_no_schedule_that_has_its_message_id_as_name(tmp_path: Path, events: list[Any]) -> None:
    """An operator has ordered it over REST; what is the same is there already."""
    async with north(tmp_path, environment=at(START, events)) as hes:
        same = {"reading_types": [QUARTERS], "meters": [mrid(number) for number in (1, 2, 3)]}
        for name, target in (("daily", 90.0), ("nightly", 99.0)):
            ordered = same | {"time_zone": "Europe/Berlin", "at": "00:30", "target_percent": target}
            answer = await hes.client.put(f"{hes.url}/api/v1/schedules/{name}", json=ordered)
            assert answer.status_code == 200, answer.text
        kept = await listed(hes)
        assert said(await ask(hes, message("create", "daily", ASKED))) == ("FAILED", ["2.15"], [])
        assert said(await ask(hes, message("create", "nightly", ASKED))) == ("OK", [], ["nightly"])
        assert await listed(hes) == kept


async def test_schedules_of_a_meter_and_of_a_group(tmp_path: Path, events: list[Any]) -> None:
    registry = [one | {"tags": {"feeder": "F12"}} for one in entries(3)]
    group = replace(ASKED, end_devices=(), usage_points=(), end_device_groups=(Identified(names=(Name(name="F12"),)),))
    async with north(tmp_path, environment=at(START, events), registry=registry) as hes:
        await ask(hes, message("create", "s-1", ASKED))
        assert said(await ask(hes, message("create", "s-2", group)))[0] == "OK"
        by_meter = GetMeterReadSchedule(end_devices=(EndDevice(mrid(1)),))
        by_group = GetMeterReadSchedule(end_device_groups=group.end_device_groups)
        assert said(await ask(hes, message("get", "g-1", query=by_meter))) == ("OK", [], ["s-1", "s-2"])
        pages = [
            replace(message("get", f"g-{limit}-{offset}", query=by_meter), options=options(limit, offset))
            for limit, offset in ((1, 0), (1, 1), (1, 2), (0, 0))
        ]
        assert [said(await ask(hes, one)) for one in pages] == [
            ("OK", [], ["s-1"]),
            ("OK", [], ["s-2"]),
            ("OK", [], []),
            ("FAILED", ["1.6"], []),
        ]
        answer = await ask(hes, message("get", "g-all", query=GetMeterReadSchedule()))
        assert said(answer) == ("OK", [], ["s-1", "s-2"]), "who names nothing asks for all"
        answer = await ask(hes, message("get", "g-2", query=by_group))
        assert said(answer) == ("OK", [], ["s-2"])
        assert isinstance(answer.payload, MeterReadSchedule)
        assert answer.payload.end_device_groups == (Identified(names=(Name(name="F12", name_type="feeder"),)),)


async def test_schedules_of_a_group_of_usage_points(tmp_path: Path, events: list[Any]) -> None:
    registry = [one | {"tags": {"feeder": "F12"}} for one in entries(3)]
    del registry[2]["usage_points"]
    feeder = (Identified(names=(Name(name="F12", name_type="feeder"),)),)
    alone = {"end_devices": (), "usage_points": (), "end_device_groups": (), "usage_point_groups": feeder}
    async with north(tmp_path, environment=at(START, events), registry=registry) as hes:
        assert said(await ask(hes, message("create", "s-1", replace(ASKED, **alone))))[0] == "OK"
        (entry,) = await listed(hes)
        assert (entry["group"], entry["of_usage_points"], entry["meters"]) == ("feeder=F12", True, 2)
        answer = await ask(hes, message("get", "g-1", query=GetMeterReadSchedule(usage_point_groups=feeder)))
        assert said(answer) == ("OK", [], ["s-1"]) and isinstance(answer.payload, MeterReadSchedule)
        assert (answer.payload.usage_point_groups, answer.payload.end_device_groups) == (feeder, ())
        for number, found in ((1, ["s-1"]), (3, [])):
            by_meter = GetMeterReadSchedule(end_devices=(EndDevice(mrid(number)),))
            assert said(await ask(hes, message("get", f"m-{number}", query=by_meter))) == ("OK", [], found)
        by_devices = GetMeterReadSchedule(end_device_groups=feeder)
        assert said(await ask(hes, message("get", "g-2", query=by_devices))) == ("OK", [], [])
        unknown = alone | {"usage_point_groups": (Identified(names=(Name(name="F13"),)),)}
        assert said(await ask(hes, message("create", "s-2", replace(ASKED, **unknown)))) == ("FAILED", ["2.12"], [])
        both = alone | {"end_device_groups": feeder}
        assert said(await ask(hes, message("create", "s-3", replace(ASKED, **both)))) == ("FAILED", ["5.2"], [])


async def test_the_answer_may_go_to_a_reply_address(tmp_path: Path, events: list[Any]) -> None:
    async with Cis().serving() as cis, north(tmp_path, environment=at(START, events)) as hes:
        asked = message("create", "s-1", ASKED, async_reply_flag=True, reply_address=cis.url)
        assert said(await ask(hes, asked)) == ("OK", ["0.3"], [])
        late = wire.read_response(await cis.taken.get(), SCHEMAS)
        assert said(late) == ("OK", [], ["s-1"])
        await reported(events, "reply_sent")


def when(**changes: Any) -> MeterReadSchedule:
    return replace(ASKED, schedules=(replace(DAILY, **changes),))


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (message("create", "s-1"), "1.7"),
        (message("create", "s-1", replace(ASKED, schedules=())), "1.7"),
        (message("create", "s-1", when(interval=Period())), "1.7"),
        (message("create", "s-1", when(interval=Period(start=FIRST, end=FIRST + timedelta(days=9)))), "5.2"),
        (message("create", "s-1", when(recurrence_period=timedelta(days=7))), "5.2"),
        (message("create", "s-1", when(recurrence_period=None)), "5.2"),
        (message("create", "s-1", when(recurrence_pattern="at full moon")), "5.2"),
        (message("create", "s-1", when(time_points=(TimePoint(at=FIRST),))), "5.2"),
        (message("create", "s-1", when(offset=timedelta(seconds=7))), "5.2"),
        (message("create", "s-1", when(interval=Period(start=LAST), recurrence_pattern="Pacific/Kiritimati")), "5.2"),
        (message("create", "s-1", when(interval=Period(start=LAST), offset=timedelta(days=10))), "5.2"),
        (message("create", "s-1", when(interval=Period(start=YEAR_1))), "5.2"),
        (message("create", "s-1", when(interval=Period(start=YEAR_1), offset=-timedelta(days=10))), "5.2"),
        (message("create", "s\t1", ASKED), "5.2"),
        (message("create", "s-1", replace(ASKED, end_devices=(EndDevice(mrid(9)),))), "2.4"),
        (message("create", "s-1", replace(ASKED, reading_types=(Identified(mrid="1.2.3"),))), "5.2"),
        (message("create", "s-1", replace(ASKED, reading_types=())), "5.2"),
        (message("create", "s-1", replace(ASKED, end_devices=(), usage_points=())), "5.2"),
        (message("change", "s-1", ASKED), "1.7"),
        (message("change", "s-1", ASKED, about="s-0"), "2.4"),
        (message("delete", "s-1", about="s-0"), "2.4"),
        (message("get", "s-1"), "1.7"),
        (message("execute", "s-1", ASKED), "2.9"),
    ],
)
async def test_what_can_not_be_kept_is_refused_and_nothing_is_scheduled(
    tmp_path: Path, events: list[Any], asked: RequestMessage, code: str
) -> None:
    async with north(tmp_path, environment=at(START, events)) as hes:
        assert said(await ask(hes, asked)) == ("FAILED", [code], [])
        assert await listed(hes) == []
        assert len([one for one in events if one["event"] == "request_refused"]) == 1


async def test_a_fault_of_ours_does_not_say_that_an_order_will_be_carried_out(
    tmp_path: Path, events: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing goes on with an order but the same message when it comes again."""
    put = ScheduleBook.put

    async def broken(*_: Any, **__: Any) -> None:
        raise ArithmeticError("a fault of ours")

    async with north(tmp_path, environment=at(START, events)) as hes:
        monkeypatch.setattr(ScheduleBook, "put", broken)
        failed = await hes.post(octets(message("create", "s-1", ASKED), GENERIC), GENERIC)
        assert (failed.status_code, texts(failed.content, "code")) == (500, ["5.1"])
        (reason,) = texts(failed.content, "reason")
        assert "will be finished" not in reason and "whether it was carried out is not known" in reason
        await reported(events, "answer_failed")
        monkeypatch.setattr(ScheduleBook, "put", put)
        assert said(await ask(hes, message("create", "s-1", ASKED))) == ("OK", [], ["s-1"])
        assert [one["name"] for one in await listed(hes)] == ["s-1"]


def test_the_messages_of_this_test_are_valid() -> None:
    assert wire.read_request(octets(message("create", "s-1", ASKED), GENERIC), SCHEMAS).message.payload == ASKED
