"""Schedules and subscribers over real sockets and a real store, with a stand-in for the meters and a clock that is stepped."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hostile_receivers import Receiver, deaf
from lxml import etree
from north_bench import Cis, North, entries, mrid, registry, texts
from patience import PATIENCE_S
from reported import into
from scheduled import (
    DAY,
    DUE,
    MIDNIGHTS,
    ORDER,
    QUARTERS,
    START,
    Readers,
    clock_at,
    collecting,
    event_of,
    listed,
    meters_of,
    order,
    reported,
)

from ami_cim import soap
from ami_cim.xml import parse_datetime
from ami_hes.engine.memory_events import MemoryEvents
from ami_hes.schedules import Collector, Definition, NotASchedule, ScheduleBook
from ami_hes.settings import HesSettings
from ami_hes.settings.partners import SubscriberSettings
from ami_hes.store import Database, SqlSchedules
from ami_process.environment import Environment
from ami_process.worker import Worker


async def test_each_subscriber_gets_what_it_wants_and_a_deaf_one_keeps_no_other_back(
    tmp_path: Path, events: list[Any]
) -> None:
    clock = clock_at(START)
    async with Cis().serving() as mdm, Cis().serving() as feeder, Receiver(deaf).serving() as nobody:
        subscribers = (
            {"name": "nobody", "url": nobody.url},
            {"name": "mdm", "url": mdm.url, "values_per_message": 96, "event": "typed"},
            {"name": "feeder", "url": feeder.url, "groups": ["feeder=F13"], "ack_required": False},
        )
        async with collecting(tmp_path, clock, events, Readers(), *subscribers, reply_timeout_s=30.0) as hes:
            await order(hes, group=None, meters=["M1", "M2", "M3"])
            await clock.advance_to(DUE)
            bodies = [await mdm.taken.get() for _ in range(3)]
            alone = await feeder.taken.get()
            assert await reported(events, "schedule_collected")
            with closing(sqlite3.connect(tmp_path / "hes.sqlite")) as store:
                (left,) = store.execute("SELECT sum(length(payload)) FROM commands WHERE ok").fetchone()
            assert left == 0, "what was read is in the events, and with the readings"
        assert sorted(map(sorted, map(meters_of, bodies))) == [["M1"], ["M2"], ["M3"]]
        assert {soap.unwrap(one).tag for one in bodies} == {
            "{http://iec.ch/TC57/2011/MeterReadingsMessage}CreatedMeterReadings"
        }
        assert meters_of(alone) == {"M3"}
        header, other = event_of(alone).header, event_of(bodies[0]).header
        assert (header.verb, header.noun, header.source, header.ack_required, other.ack_required) == (
            "created",
            "MeterReadings",
            "HES",
            False,
            True,
        )


async def test_a_subscriber_that_is_a_partner_gets_its_dialect_and_its_codes(tmp_path: Path, events: list[Any]) -> None:
    """In the operation PublishEvent, with Meter first, the period of each interval, and the commodity as the partner has it."""
    profile, clock = tmp_path / "mdm.toml", clock_at(START)
    profile.write_text('[switches]\ncommodity = "2"\n')
    partner = {"name": "mdm", "source": "MDM", "dialect": "oracle-adk-cim", "mapping": profile}
    async with Cis().serving() as mdm:
        subscriber = {"name": "usage", "url": mdm.url, "partner": "mdm"}
        async with collecting(tmp_path, clock, events, Readers(), subscriber, partners=[partner]) as hes:
            await order(hes)
            await clock.advance_to(DUE)
            body = soap.unwrap(await mdm.taken.get())
    abstract = "{http://iec.ch/TC57/2011/abstract}"
    assert (body.tag, body[0].tag) == (f"{abstract}PublishEvent", f"{abstract}message")
    readings = list(body.iter("{*}MeterReading"))
    children = {tuple(child.tag.partition("}")[2] for child in one) for one in readings}
    assert (len(readings), children) == (2, {("Meter", "IntervalBlocks")})
    codes = {one.get("ref") for one in body.iterfind(".//{*}IntervalBlocks/{*}ReadingType")}
    assert codes == {QUARTERS.replace(".1.1.12.", ".1.2.12.", 1)}
    spans = [
        parse_datetime(one.findtext("{*}end") or "") - parse_datetime(one.findtext("{*}start") or "")
        for one in body.iter("{*}timePeriod")
    ]
    assert spans and set(spans) == {timedelta(minutes=15)}


async def test_its_files_are_in_its_dialect_too(tmp_path: Path, events: list[Any]) -> None:
    """The message alone, without SOAP and without an operation."""
    clock, directory = clock_at(START), tmp_path / "drop"
    directory.mkdir()
    partner = {"name": "mdm", "source": "MDM", "dialect": "oracle-adk-cim"}
    subscriber = {"name": "usage", "directory": directory, "partner": "mdm"}
    async with collecting(tmp_path, clock, events, Readers(), subscriber, partners=[partner]) as hes:
        await order(hes)
        await clock.advance_to(DUE)
        await reported(events, "reply_sent")
    (file,) = directory.glob("*.xml")
    message = etree.parse(file).getroot()
    assert message.tag == "{http://iec.ch/TC57/2011/schema/message}EventMessage"
    assert {one[0].tag.partition("}")[2] for one in message.iter("{*}MeterReading")} == {"Meter"}
    assert message.find(".//{*}IntervalReadings/{*}timePeriod") is not None


def test_a_subscriber_names_a_partner_that_is_there() -> None:
    subscriber = {"name": "usage", "url": "http://127.0.0.1:1", "partner": "mdm"}
    with pytest.raises(ValueError, match="the partner of the subscriber usage is no name of a partner"):
        HesSettings.model_validate({"subscribers": [subscriber]})
    with pytest.raises(ValueError, match="files of lines have no dialect"):
        SubscriberSettings.model_validate({"name": "x", "directory": "d", "file_format": "csv", "partner": "mdm"})
    twice = [{"name": "mdm", "source": "a"}, {"name": "mdm", "source": "b"}]
    with pytest.raises(ValueError, match="two partners have the same name"):
        HesSettings.model_validate({"partners": twice})


async def test_an_event_has_its_message_id_whenever_it_is_sent(tmp_path: Path, events: list[Any]) -> None:
    """Two refusals, the end of the process, and a third attempt by its next life."""
    clock = clock_at(START)
    async with Cis((503, b"")).serving() as mdm:
        subscriber = {"name": "mdm", "url": mdm.url}
        async with collecting(tmp_path, clock, events, Readers(), subscriber) as hes:
            await order(hes)
            await clock.advance_to(DUE)
            await reported(events, "reply_postponed", 2)
        mdm.answers = [(200, b"")]
        async with collecting(tmp_path, clock, events, Readers(), subscriber):
            await reported(events, "reply_sent")
        sent = [body for _, body in mdm.requests]
        assert len(sent) >= 3 and len(set(sent)) == 1
        assert len(texts(sent[0], "MessageID")) == 1


async def test_a_silent_meter_is_asked_again_for_what_it_owes(tmp_path: Path, events: list[Any]) -> None:
    clock, readers = clock_at(START), Readers(silent={"M2"})
    campaign = {"campaign": {"attempts": 1}}
    async with (
        Cis().serving() as mdm,
        collecting(tmp_path, clock, events, readers, {"name": "mdm", "url": mdm.url}, lanes=campaign) as hes,
    ):
        await order(hes, target_percent=60)
        await clock.advance_to(DUE)
        (behind,) = await reported(events, "schedule_behind")
        assert (behind["meters"], behind["delivered"], behind["target_percent"]) == (2, 1, 60.0)
        readers.silent.clear()
        await clock.advance_to(DUE + DAY)
        (met,) = await reported(events, "schedule_collected")
        assert (met["meters"], met["delivered"]) == (2, 2)
        assert sorted(readers.asked) == [
            ("M1", MIDNIGHTS[0], MIDNIGHTS[1]),
            ("M1", MIDNIGHTS[1], MIDNIGHTS[2]),
            ("M2", MIDNIGHTS[0], MIDNIGHTS[1]),
            ("M2", MIDNIGHTS[0], MIDNIGHTS[2]),
        ]
        (one,) = await listed(hes)
        assert [(run["delivered"], run["percent"]) for run in one["runs"]] == [(2, 100.0), (1, 50.0)]


async def test_what_a_meter_does_not_have_is_not_asked_for_ever(tmp_path: Path, events: list[Any]) -> None:
    """It has given nothing, so it counts as behind, and what is asked for again is bounded."""
    clock, readers = clock_at(START), Readers(lacking={"M1", "M2"})
    async with collecting(tmp_path, clock, events, readers) as hes:
        await order(hes, back_fill_days=2)
        for day in range(4):
            await clock.advance_to(DUE + day * DAY)
            await reported(events, "schedule_behind", day + 1)
        longest = max(end - start for _, start, end in readers.asked)
        assert longest == 2 * DAY


async def test_what_was_missed_while_the_process_was_down_is_caught_up_once(tmp_path: Path, events: list[Any]) -> None:
    readers = Readers()
    async with collecting(tmp_path, clock_at(START), events, readers) as hes:
        await order(hes)
    async with collecting(tmp_path, clock_at(DUE + 2 * DAY + timedelta(hours=5)), events, readers) as hes:
        (begun,) = await reported(events, "schedule_begun")
        await reported(events, "schedule_collected")
        assert sorted(readers.asked) == [(name, MIDNIGHTS[0], MIDNIGHTS[3]) for name in ("M1", "M2")]
        assert datetime.fromisoformat(begun["due_at"]) == MIDNIGHTS[3] + timedelta(minutes=30)
        (one,) = await listed(hes)
        assert len(one["runs"]) == 1
        assert datetime.fromisoformat(one["next_due_at"]) == MIDNIGHTS[3] + DAY + timedelta(minutes=30)


async def test_a_run_that_was_interrupted_goes_on_and_is_published_once(tmp_path: Path, events: list[Any]) -> None:
    clock, readers = clock_at(START), Readers()
    readers.open.clear()
    async with Cis().serving() as mdm:
        subscriber = {"name": "mdm", "url": mdm.url}
        async with collecting(tmp_path, clock, events, readers, subscriber) as hes:
            await order(hes)
            await clock.advance_to(DUE)
            await reported(events, "schedule_begun")
        assert mdm.requests == []
        readers.open.set()
        for _ in range(2):
            async with collecting(tmp_path, clock, events, readers, subscriber) as hes:
                await reported(events, "schedule_collected")
                (one,) = await listed(hes)
                assert [run["delivered"] for run in one["runs"]] == [2]
        assert len(mdm.requests) == 1 and meters_of(mdm.requests[0][1]) == {"M1", "M2"}
        assert len([one for one in events if one["event"] == "schedule_begun"]) == 1


async def test_a_schedule_is_changed_paused_and_removed(tmp_path: Path, events: list[Any]) -> None:
    clock, readers = clock_at(START), Readers()
    async with collecting(tmp_path, clock, events, readers) as hes:
        first = await order(hes, enabled=False)
        await order(hes, "other", every="hour", at="00:05", reading_types=[QUARTERS])
        await clock.advance_to(START + timedelta(minutes=5))
        await reported(events, "schedule_collected")
        assert set(readers.asked) == {(name, START - timedelta(hours=1), START) for name in ("M1", "M2")}
        assert (await hes.client.delete(f"{hes.url}/api/v1/schedules/other")).json() == {"name": "other"}
        assert (await hes.client.delete(f"{hes.url}/api/v1/schedules/other")).status_code == 404
        await clock.advance_to(DUE)
        changed = await order(hes, at="01:30")
        assert changed["mrid"] == first["mrid"]
        assert datetime.fromisoformat(changed["next_due_at"]) == DUE + timedelta(hours=1)
        await clock.advance_to(DUE + timedelta(hours=1))
        await reported(events, "schedule_collected", 2)
        assert len(readers.asked) == 4


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"time_zone": "Europe/Atlantis"}, "Europe/Atlantis is no IANA time zone"),
        ({"time_zone": "../../etc/passwd"}, "../../etc/passwd is no IANA time zone"),
        ({"reading_types": ["1.2.3.4.5"]}, "reading_types.0: '1.2.3.4.5' is no ReadingType"),
        ({"reading_types": [".".join("0" * 18)]}, ".".join("0" * 18) + ": "),
        ({"reading_types": []}, "reading_types: "),
        ({"meters": ["M9"], "group": None}, "there is no meter with the name or mRID M9"),
        ({"meters": ["M1"]}, "a schedule names its meters or a group of them"),
        ({"group": None}, "a schedule names its meters or a group of them"),
        ({"at": "25:00"}, "at: "),
        ({"at": "T0030"}, "at: "),
        ({"group": "feeder=F\x00"}, "a tag and its value are printable text"),
        ({"group": f"feeder={'F' * 1_001}"}, "a tag and its value are printable text"),
        ({"every": "week"}, "every: "),
        ({"target_percent": 101}, "target_percent: "),
    ],
)
async def test_what_can_not_be_worked_is_refused(
    tmp_path: Path, events: list[Any], changes: dict[str, Any], reason: str
) -> None:
    async with collecting(tmp_path, clock_at(START), events, Readers()) as hes:
        answer = await hes.client.put(f"{hes.url}/api/v1/schedules/daily", json=ORDER | changes)
        assert answer.status_code == 422
        assert answer.json()["error"].startswith(reason)
        assert await listed(hes) == []


@pytest.mark.parametrize("name", ["%00", "a%09b", "%EF%BF%BE", "%1B[2J", "x" * 101])
async def test_a_name_that_no_message_can_have_is_refused(tmp_path: Path, events: list[Any], name: str) -> None:
    """CIM names schedules in its answers: with a NUL in the name of one, none could be written about its meters."""
    async with collecting(tmp_path, clock_at(START), events, Readers()) as hes:
        answer = await hes.client.put(f"{hes.url}/api/v1/schedules/{name}", json=ORDER)
        assert (answer.status_code, answer.json()["error"]) == (
            422,
            "a name has 1 to 100 printable characters, no slash or blank at its ends",
        )
        assert await listed(hes) == []


async def test_schedules_have_room_for_a_number_of_meters_together(tmp_path: Path, events: list[Any]) -> None:
    """All of them are looked at together, so that thousands with thousands of meters each would fill the memory."""
    async with Database(tmp_path / "hes.sqlite") as database:
        definition = Definition(reading_types=(QUARTERS,), mrids=(mrid(1),), every="day", at="00:30", time_zone="UTC")
        environment = Environment(emit=into(events)).by(clock_at(START))
        two = 2 * len(definition.format())
        book = ScheduleBook(SqlSchedules(database), registry(2), environment, lambda: None, most_characters=two)
        await book.put("first", definition)
        await book.put("second", definition)
        with pytest.raises(NotASchedule, match="name a group"):
            await book.put("third", definition)
        larger = replace(definition, mrids=(mrid(1), mrid(2)))
        with pytest.raises(NotASchedule, match="name a group"):
            await book.put("second", larger)
        await book.remove("first")
        await book.put("second", larger)
        assert [(one.name, len(one.definition.mrids)) for one in await book.schedules()] == [("second", 2)]


async def test_a_run_whose_commands_were_kept_before_it_is_begun_once(tmp_path: Path, events: list[Any]) -> None:
    """The store as the process leaves it that ends between the commands and the run."""
    clock, readers = clock_at(START), Readers()
    async with Cis().serving() as mdm:
        subscriber = {"name": "mdm", "url": mdm.url}
        async with collecting(tmp_path, clock, events, readers, subscriber) as hes:
            await order(hes)
            await clock.advance_to(DUE)
            await reported(events, "reply_sent")
            await reported(events, "schedule_collected")
        with closing(sqlite3.connect(tmp_path / "hes.sqlite")) as store, store:
            store.execute("DELETE FROM schedule_runs")
            store.execute("UPDATE schedules SET next_due_at = ?", (DUE.strftime("%Y-%m-%d %H:%M:%S.000000"),))
        async with collecting(tmp_path, clock, events, readers, subscriber) as hes:
            await reported(events, "schedule_collected", 2)
            (one,) = await listed(hes)
            assert [(run["meters"], run["delivered"]) for run in one["runs"]] == [(2, 2)]
        assert sorted(readers.asked) == [(name, MIDNIGHTS[0], MIDNIGHTS[1]) for name in ("M1", "M2")]
        assert len(mdm.requests) == 1


async def test_a_schedule_that_can_not_be_read_keeps_no_other_back(tmp_path: Path, events: list[Any]) -> None:
    """A store of another version may hold one."""
    clock, readers = clock_at(START), Readers()
    async with collecting(tmp_path, clock, events, readers) as hes:
        await order(hes, "broken")
        await order(hes)
    with closing(sqlite3.connect(tmp_path / "hes.sqlite")) as store, store:
        store.execute("UPDATE schedules SET definition = '{}' WHERE name = 'broken'")
    async with collecting(tmp_path, clock, events, readers):
        await clock.advance_to(DUE)
        (failed,) = await reported(events, "schedule_failed")
        assert failed["schedule"] == "broken" and "KeyError" in failed["exception"]
        (done,) = await reported(events, "schedule_collected")
        assert done["schedule"] == "daily"


async def test_a_run_whose_end_can_not_be_kept_is_ended_as_soon_as_it_can(tmp_path: Path, events: list[Any]) -> None:
    """Else its schedule would rest until the process starts again."""
    clock = clock_at(START)
    refuse = "CREATE TRIGGER no_end BEFORE UPDATE OF ended_at ON schedule_runs BEGIN SELECT RAISE(ABORT, 'no end'); END"
    async with collecting(tmp_path, clock, events, Readers()) as hes:
        await order(hes)
        with closing(sqlite3.connect(tmp_path / "hes.sqlite")) as store, store:
            store.execute(refuse)
        await clock.advance_to(DUE)
        (failed, *_) = await reported(events, "schedule_failed")
        assert "no end" in failed["exception"]
        with closing(sqlite3.connect(tmp_path / "hes.sqlite")) as store, store:
            store.execute("DROP TRIGGER no_end")
        await reported(events, "schedule_collected")
        await clock.advance_to(DUE + DAY)
        await reported(events, "schedule_collected", 2)


async def test_a_run_puts_no_more_commands_into_the_lane_than_may_wait_there(tmp_path: Path, events: list[Any]) -> None:
    """And the head-end stays ready for other requests, also in the life that goes on with the run."""
    clock, readers = clock_at(START), Readers()
    readers.open.clear()
    lanes = {"campaign": {"max_pending": 3, "share": 1.0}}
    registry = [one | {"tags": {"feeder": "F12"}} for one in entries(7)]
    async with collecting(tmp_path, clock, events, readers, lanes=lanes, registry=registry) as hes:
        await order(hes)
        await clock.advance_to(DUE)
        await reported(events, "schedule_begun")
        await _only_two_asked(readers, hes)
    readers.asked.clear()
    async with collecting(tmp_path, clock, events, readers, lanes=lanes, registry=registry) as hes:
        await _only_two_asked(readers, hes)
        readers.open.set()
        (done,) = await reported(events, "schedule_collected")
        assert (done["meters"], done["delivered"]) == (7, 7)


async def test_a_clock_that_is_set_just_as_the_rest_begins_is_noticed() -> None:
    nothing: Any = None
    clock = clock_at(START)
    engine: Any = SimpleNamespace(events=MemoryEvents())
    collector = Collector(nothing, nothing, engine, nothing, nothing, Environment(emit=into([])).by(clock), 1)
    resting = asyncio.create_task(collector._rest(DUE))
    await asyncio.sleep(0)
    await clock.advance_to(DUE)
    async with asyncio.timeout(PATIENCE_S):
        await resting


async def _only_two_asked(readers: Readers, hes: North) -> None:
    async with asyncio.timeout(60):
        while len(readers.asked) < 2:
            await asyncio.sleep(0.005)
    assert (await hes.client.get(f"{hes.url}/readyz")).status_code == 200
    assert len(readers.asked) == 2


@pytest.mark.ci
async def test_large_events_are_written_while_other_requests_are_answered(
    tmp_path: Path, events: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a process of its own, which is held here."""
    clock, held, began, whole = clock_at(START), asyncio.Event(), asyncio.Event(), Worker.call

    async def call(self: Worker, *arguments: Any, **options: Any) -> bytes:
        began.set()
        await held.wait()
        return await whole(self, *arguments, **options)

    registry = [one | {"tags": {"feeder": "F12"}} for one in entries(12)]
    async with Cis().serving() as mdm:
        subscriber = {"name": "mdm", "url": mdm.url, "values_per_message": 500}
        async with collecting(tmp_path, clock, events, Readers(), subscriber, registry=registry) as hes:
            await order(hes)
            with monkeypatch.context() as patch:
                patch.setattr(Worker, "call", call)
                await clock.advance_to(DUE)
                async with asyncio.timeout(60):
                    await began.wait()
                assert len(await listed(hes)) == 1
                assert mdm.requests == []
                held.set()
                bodies = [await mdm.taken.get() for _ in range(3)]
            await reported(events, "schedule_collected")
        assert sorted(len(meters_of(one)) for one in bodies) == [2, 5, 5]
        assert set().union(*map(meters_of, bodies)) == {f"M{number}" for number in range(1, 13)}
        assert len({event_of(one).header.message_id for one in bodies}) == 3


async def test_a_sub_meter_is_collected_by_its_own_codes(tmp_path: Path, events: list[Any]) -> None:
    gas = {"name": "G1", "mrid": mrid(9), "behind": "M1", "channel": 1, "identification": "12345678"}
    hours, clock, readers = "0.0.7.1.1.7.58.0.0.0.0.0.0.0.0.0.42.0", clock_at(START), Readers(lacking={"G1"})
    registry = [*entries(1), gas | {"manufacturer": "AMI"}]
    async with collecting(tmp_path, clock, events, readers, registry=registry) as hes:
        await order(hes, reading_types=[hours], meters=["G1"], group=None)
        await clock.advance_to(DUE)
        await reported(events, "meter_done")
    assert readers.asked == [("G1", *MIDNIGHTS[:2])], "the day, and no value as it is now"
