"""Readings at the CIS, over real sockets: asked for, in one answer, late or in parts, sent unasked, and kept once whatever comes how often."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cis_stand_in import (
    METERS,
    SCHEMAS,
    Behaviour,
    Events,
    StandInHes,
    acknowledging,
    environment,
    failed_meter,
    post,
    post_response,
    reply_to,
    settings,
    soap,
)
from given_readings import IMPORT, M1, MORE, NOON, OK, QUARTERS, giving, quarters, register
from patience import PATIENCE_S

from ami_cim import envelope, wire
from ami_cim.envelope import Received
from ami_cim.identity import EndDevice, Identifier, Name, UsagePoint
from ami_cim.message import EventMessage, Header, Reply, ReplyError
from ami_cim.payloads.get_meter_readings import GetMeterReadings
from ami_cim.payloads.interval_blocks import IntervalBlock
from ami_cim.payloads.interval_columns import IntervalColumns
from ami_cim.payloads.meter_readings import MeterReading, MeterReadings
from ami_cim.periods import Period
from ami_cim.quality import Quality
from ami_cis.api_values.device_events import DEVICE_EVENTS
from ami_cis.api_values.readings import READINGS
from ami_cis.api_values.schedules import SCHEDULES
from ami_cis.app import System, running
from ami_cis.store import KeptReading, ReadingQuery, Retention, Store, TakenEvent
from ami_process.store.places import Place


def delivering(*parts: tuple[Reply, MeterReading]) -> Behaviour:
    """Acknowledge, and deliver these parts one after the other."""

    async def behave(hes: StandInHes, received: Received) -> Any:
        for reply, meter in parts:
            message = reply_to(received.message, reply, MeterReadings((meter,)))
            hes.delivered.append(await post_response(received.message.header.reply_address or "", message))
        return soap(reply_to(received.message, Reply(result="OK", errors=(ReplyError(code="0.3"),))), received.wrapper)

    return behave


@asynccontextmanager
async def asking(
    directory: Path, hes: StandInHes, events: Events | None = None, **cis: Any
) -> AsyncIterator[tuple[System, httpx.AsyncClient]]:
    async with running(settings(directory, hes.url, **cis), environment(events or Events()), 0) as system:
        port = system.listen.rpartition(":")[2]
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=PATIENCE_S
        ) as client:
            yield system, client


async def asked(client: httpx.AsyncClient, **order: Any) -> dict[str, Any]:
    answer = await client.post(READINGS, json={"meters": ["M1001"]} | order)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def kept(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    answer = await client.get(READINGS, params=query)
    assert answer.status_code == 200, answer.text
    assert answer.json()["complete"]
    found: list[dict[str, Any]] = answer.json()["readings"]
    return found


def values(document: Sequence[dict[str, Any]]) -> list[tuple[str, str, str | None]]:
    return [(one["meter"], one["at"], one["value"]) for one in document]


def query_of(hes: StandInHes) -> GetMeterReadings:
    query = hes.requests[-1].query
    assert isinstance(query, GetMeterReadings)
    return query


async def test_registers_are_asked_for_and_come_back_exactly(tmp_path: Path, hes: StandInHes) -> None:
    hes.behaviour = giving(register("1234.5670", qualities=(Quality(code="1.0.0"),), source="meter"))
    events = Events()
    async with asking(tmp_path, hes, events) as (_, client):
        said = await asked(client, reading_types=["import", "1-0:2.8.0"], message_id="mine")
    header, query = hes.requests[0].header, query_of(hes)
    assert (header.verb, header.noun, header.message_id, header.async_reply_flag) == (
        "get",
        "MeterReadings",
        "mine",
        None,
    )
    assert [(one.mrid, one.names) for one in query.end_devices] == [(METERS[0].mrid, (Name(name="M1001"),))]
    assert [one.names[0].name for one in query.reading_types] == [IMPORT, IMPORT.replace(".1.1.1.12.", ".1.19.1.12.")]
    assert query.periods == ()
    assert (said["result"], said["message_id"]) == ("OK", "mine")
    assert said["readings"] == [
        {
            "meter": "M1001",
            "reading_type": IMPORT,
            "words": "active energy import",
            "at": "2026-03-01T12:00:00Z",
            "start": None,
            "value": "1234.5670",
            "unit": "kWh",
            "qualities": ["1.0.0"],
            "source": "meter",
        }
    ]
    assert events.named("readings_kept") == [
        {"event": "readings_kept", "message_id": "mine", "values": 1, "unusable": 0}
    ]


async def test_partial_has_what_came_and_who_failed(tmp_path: Path, hes: StandInHes) -> None:
    failed = failed_meter("5.6", "the meter has no such value", METERS[1].mrid or "")
    of_no_meter = Identifier(value=QUARTERS, kind="other", object_type="ReadingType")
    not_served = ReplyError(code="2.10", reason="not served", identifier=of_no_meter)
    hes.behaviour = giving(register("1"), reply=Reply(result="PARTIAL", errors=(failed, not_served)))
    async with asking(tmp_path, hes) as (_, client):
        said = await asked(client, meters=["M1001", "M1002"])
    assert said["result"] == "PARTIAL" and values(said["readings"]) == [("M1001", "2026-03-01T12:00:00Z", "1")]
    assert [(one["meter"], one["code"]) for one in said["errors"]] == [("M1002", "5.6"), (None, "2.10")]


async def test_a_late_answer_in_parts_is_one_answer(tmp_path: Path, hes: StandInHes) -> None:
    second = EndDevice(names=(Name(name="M1002"),))
    hes.behaviour = delivering((MORE, register("1")), (MORE, quarters(["2", None])), (OK, register("3", device=second)))
    async with asking(tmp_path, hes) as (_, client):
        said = await asked(client, meters=["M1001", "M1002"], asynchronous=True)
    assert said["result"] == "OK"
    assert [(one["meter"], one["value"]) for one in said["readings"]] == [
        ("M1001", "1"),
        ("M1001", "2"),
        ("M1001", None),
        ("M1002", "3"),
    ]
    assert said["readings"][2]["qualities"] == ["2.5.259"]
    assert [one.reply.result for one in hes.delivered] == ["OK"] * 3


async def test_a_part_that_failed_makes_the_whole_partial(tmp_path: Path, hes: StandInHes) -> None:
    part = Reply(result="PARTIAL", errors=(ReplyError(code="0.1"), failed_meter("4.1", "no answer", "M1002", "name")))
    hes.behaviour = delivering((part, register("1")), (OK, register("2", NOON + timedelta(hours=1))))
    async with asking(tmp_path, hes) as (_, client):
        said = await asked(client, meters=["M1001", "M1002"], asynchronous=True)
    assert said["result"] == "PARTIAL" and len(said["readings"]) == 2


async def test_an_answer_that_nothing_waits_for_any_more_is_kept_with_its_values(
    tmp_path: Path, hes: StandInHes
) -> None:
    hes.behaviour = acknowledging()
    late = {"request_timeout_s": 0.1, "ask_again_s": 0.0}
    async with asking(tmp_path, hes, **late) as (_, client):
        said = await asked(client, asynchronous=True)
        assert (said["result"], said["unknown"], said["readings"]) == (None, True, [])
    async with asking(tmp_path, hes, Events()) as (system, client):  # another life of the process
        message = reply_to(hes.requests[0], OK, MeterReadings((register("42"),)))
        answer = await post_response(f"http://{system.listen.removeprefix('http://')}/cim", message)
        assert answer.reply.result == "OK"
        assert values(await kept(client, meter="M1001", type="import")) == [("M1001", "2026-03-01T12:00:00Z", "42")]


def event(meter: MeterReading, verb: str = "created", message_id: str = "e-1", at: datetime = NOON) -> bytes:
    header = Header(verb=verb, noun="MeterReadings", timestamp=at, message_id=message_id, correlation_id=message_id)
    message = EventMessage(header=header, payload=MeterReadings((meter,)))
    return wire.write_event(message, envelope.EVENT_MESSAGE, SCHEMAS)


async def test_unsolicited_readings_are_kept_once_and_what_is_newer_wins(tmp_path: Path, hes: StandInHes) -> None:
    events = Events()
    hour = timedelta(hours=1)
    async with asking(tmp_path, hes, events) as (system, client):
        url = f"http://{system.listen.removeprefix('http://')}/cim"
        for octets in (
            event(register("1")),
            event(register("1")),
            event(register("2"), "changed", "correction", NOON + hour),
            event(register("0.5"), "created", "late", NOON - hour),
            event(register("9"), "deleted", "no value", NOON + 2 * hour),
        ):
            assert (await post(url, octets)).status_code == 200
        assert values(await kept(client)) == [("M1001", "2026-03-01T12:00:00Z", "2")]
    assert [one["message_id"] for one in events.named("readings_kept")] == ["e-1", "correction", "late"]
    assert len(events.named("event_repeated")) == 1


async def test_a_part_with_most_of_a_year_is_taken_like_an_answer(tmp_path: Path, hes: StandInHes) -> None:
    """What one meter has is one part, so a part may be as large as an answer."""
    start, rows = NOON - timedelta(days=251), 24_000
    columns = IntervalColumns(
        values=("1",) * rows,
        times=tuple(start + timedelta(minutes=15) * row for row in range(rows)),
        quality_sets=((Quality(code="1.0.0"),),),
        quality_of=(0,) * rows,
    )
    octets = event(MeterReading(meter=M1, blocks=(IntervalBlock(reading_type=QUARTERS, columns=columns),)))
    events = Events()
    async with asking(tmp_path, hes, events) as (system, _):
        answer = await post(f"http://{system.listen.removeprefix('http://')}/cim", octets)
        assert answer.status_code == 200, answer.text
    assert [one["values"] for one in events.named("readings_kept")] == [rows]


async def test_values_that_can_not_be_kept_are_counted_and_nothing_is_made_up(tmp_path: Path, hes: StandInHes) -> None:
    point = MeterReading(usage_point=UsagePoint(names=(Name(name="UP-1001"),)), readings=register("7").readings)
    hes.behaviour = giving(
        register("1,5"),
        register("NaN", NOON + timedelta(hours=1)),
        register("5", None),
        register("6", device=None),
        point,
    )
    events = Events()
    async with asking(tmp_path, hes, events) as (_, client):
        said = await asked(client, usage_points=["UP-1001"], meters=[])
    assert values(said["readings"]) == [("M1001", "2026-03-01T12:00:00Z", "7")]
    assert (events.named("readings_kept")[0]["values"], events.named("readings_kept")[0]["unusable"]) == (1, 4)


async def test_a_partner_that_puts_the_moment_of_reading_into_the_time_stamp(tmp_path: Path, hes: StandInHes) -> None:
    columns = IntervalColumns(
        values=("1",), times=(NOON + timedelta(minutes=7),), ends=(NOON,), starts=(NOON - timedelta(minutes=15),)
    )
    block = MeterReading(meter=M1, blocks=(IntervalBlock(reading_type=QUARTERS, columns=columns),))
    hes.behaviour = giving(block)
    async with asking(tmp_path, hes) as (_, client):
        (one,) = (await asked(client))["readings"]
    assert (one["start"], one["at"]) == ("2026-03-01T11:45:00Z", "2026-03-01T12:00:00Z")


@pytest.mark.parametrize(
    ("start", "end", "asked_for"),
    [
        ("2026-03-28", "2026-03-29", ("2026-03-28T00:00:00+01:00", "2026-03-29T00:00:00+01:00")),
        ("2026-03-29", "2026-03-30", ("2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00")),
        ("2026-03-29T10:00", None, ("2026-03-29T10:00:00+02:00", None)),
        ("2026-03-28T23:00:00Z", None, ("2026-03-29T00:00:00+01:00", None)),
        ("2026-10-25T02:30+01:00", None, ("2026-10-25T02:30:00+01:00", None)),
    ],
)
async def test_times_without_an_offset_are_the_deployments_and_are_echoed_with_theirs(
    tmp_path: Path, hes: StandInHes, start: str, end: str | None, asked_for: tuple[str, str | None]
) -> None:
    hes.behaviour = giving(register("1"))
    order = {"from": start} | ({} if end is None else {"to": end})
    async with asking(tmp_path, hes, time_zone="Europe/Berlin") as (_, client):
        said = await asked(client, **order)
    assert (said["start"], said["end"]) == asked_for
    moments = [None if one is None else datetime.fromisoformat(one) for one in asked_for]
    assert query_of(hes).periods == (Period(start=moments[0], end=moments[1]),)
    assert said["readings"][0]["at"] == "2026-03-01T13:00:00+01:00"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"from": "2026-03-29T02:30"}, "never show 2026-03-29 02:30"),
        ({"from": "2026-10-25T02:30"}, "twice: say which by its offset, +0200 and +0100"),
        ({"from": "0001-01-01T00:00"}, "before the year 1"),
        ({"from": "2026-03-29", "to": "9999-12-31T23:59-14:00"}, "after 9999"),
        ({"from": "2026-03-29", "to": "2026-03-28"}, "is not after"),
        ({"to": "2026-03-28"}, "a period that ends has to begin"),
        ({"from": "yesterday"}, "from: 'yesterday' is no time: write 2026-11-28"),
        ({"from": "2026"}, "from: '2026' is no time"),
        ({"from": 1_780_000_000}, "is no time"),
        ({"from": "2026-13-01"}, "'2026-13-01' is no time"),
        ({"from": f"2026-12-01{'0' * 1_000}"}, "is no time"),
        ({"reading_types": ["imports"]}, "'imports' is no ReadingType"),
        ({"reading_types": ["1-0:99.99.0"]}, "there are import, export"),
        ({"meters": []}, "name at least one of"),
        ({"colour": "blue"}, "colour: "),
    ],
)
async def test_what_can_not_be_asked_is_refused_before_anything_is_sent(
    tmp_path: Path, hes: StandInHes, change: dict[str, Any], words: str
) -> None:
    async with asking(tmp_path, hes, time_zone="Europe/Berlin") as (_, client):
        answer = await client.post(READINGS, json={"meters": ["M1001"]} | change)
    assert answer.status_code == 422 and words in answer.json()["error"]
    assert hes.requests == []


@pytest.mark.parametrize("query", [{"type": "imports"}, {"from": "x"}, {"from": "2026"}, {"from": "2026-03-29T02:30"}])
async def test_a_look_that_is_none_is_refused(tmp_path: Path, hes: StandInHes, query: dict[str, str]) -> None:
    async with asking(tmp_path, hes, time_zone="Europe/Berlin") as (_, client):
        answer = await client.get(READINGS, params=query)
    assert answer.status_code == 422 and answer.json()["error"]


@pytest.mark.parametrize(
    ("path", "query", "words"),
    [
        (READINGS, {"meters": "M1001"}, "meters: there is no such parameter; there are meter, type, from, to, request"),
        (READINGS, {"meter": "x" * 301}, "meter: has more than 300 characters"),
        (READINGS, {"meter": ["M1001"] * 1_001}, "meter: at most 1000 are taken"),
        (READINGS, {"from": ["2026-01-01", "2026-01-02"]}, "from: is given more than once"),
        (DEVICE_EVENTS, {"to": ["2026-01-01", "2026-01-02"]}, "to: is given more than once"),
        (SCHEDULES, {"group": ["F11", "F12"]}, "group: is given more than once"),
        (
            DEVICE_EVENTS,
            {"from": "0001-01-01T00:00+14:00"},
            "0001-01-01 00:00+14:00 is before the year 1 or after 9999 in UTC",
        ),
        (SCHEDULES, {"groups": "F12"}, "groups: there is no such parameter; there are meter, group"),
        (f"{SCHEDULES}/daily", {"keep": "true"}, "keep: there is no such parameter; there are none here"),
    ],
)
async def test_a_parameter_is_not_left_out_silently(
    tmp_path: Path, hes: StandInHes, path: str, query: dict[str, Any], words: str
) -> None:
    """The answer would be one to another question."""
    async with asking(tmp_path, hes) as (_, client):
        answer = await client.get(path, params=query)
    assert (answer.status_code, answer.json()["error"]) == (422, words)
    assert hes.requests == []


def a_value(value: str | None, said_at: datetime = NOON, at: datetime = NOON, **more: Any) -> KeptReading:
    fields = {"meter": "M1001", "reading_type": IMPORT, "start": None, "qualities": ("1.0.0", "1.4.16"), "source": None}
    return KeptReading(**{**fields, "at": at, "value": value, "said_at": said_at, "message_id": "m", **more})


async def test_only_so_many_readings_are_kept_and_the_oldest_go(place: Place) -> None:
    async with Store.opened(place, Retention(readings=50)) as store:
        for number in range(100):
            event = TakenEvent(f"e-{number}", "created", "MeterReadings", b"", NOON)
            assert await store.add_event(event, [a_value("1", at=NOON + timedelta(minutes=number))])
        found = await store.readings(ReadingQuery())
    assert 50 <= len(found) <= 55 and found[-1].at == NOON + timedelta(minutes=99)


async def test_a_sender_ahead_of_its_time_neither_lasts_longer_nor_keeps_others_out(
    tmp_path: Path, hes: StandInHes
) -> None:
    day = timedelta(days=1)
    events = Events()
    async with asking(tmp_path, hes, events) as (system, client):
        url = f"http://{system.listen.removeprefix('http://')}/cim"
        for octets in (
            event(register("1"), at=NOON + 400 * day),
            event(register("2"), message_id="e-2"),
            event(register("3", NOON + 2 * day), message_id="e-3"),
            event(register("4", NOON + day), message_id="e-4"),
        ):
            assert (await post(url, octets)).status_code == 200
        assert [one["value"] for one in await kept(client)] == ["2", "4"]
    assert [one["unusable"] for one in events.named("readings_kept")] == [0, 0, 1, 0]


async def test_a_moment_that_no_value_has_takes_no_answer_away(tmp_path: Path, hes: StandInHes) -> None:
    """The year 1 in UTC is no year in New York, so every answer with that value was a fault of the process."""
    events, first = Events(), datetime.min.replace(tzinfo=UTC)
    hes.behaviour = giving(
        register("1", first), register("2", NOON), register("3", NOON, period=Period(start=first, end=NOON))
    )
    async with asking(tmp_path, hes, events, time_zone="America/New_York") as (_, client):
        assert [one["value"] for one in (await asked(client))["readings"]] == ["2"]
        assert [one["value"] for one in await kept(client)] == ["2"]
    assert events.named("readings_kept")[0]["unusable"] == 2


async def test_the_store_keeps_a_moment_once_exactly_and_drops_what_is_too_old(place: Place) -> None:
    def taken(number: int) -> TakenEvent:
        return TakenEvent(f"e-{number}", "created", "MeterReadings", b"", NOON)

    hour = timedelta(hours=1)
    exact = "123456789012345678901234567890.000000000000000000001"
    many = [a_value(str(number), at=NOON + hour * number) for number in range(1, 2_500)]
    async with Store.opened(place, Retention(readings_age=timedelta(days=1))) as store:
        assert await store.add_event(taken(1), [a_value("1")])
        assert await store.add_event(taken(2), [a_value(exact, NOON + hour, source="meter")])
        assert await store.add_event(taken(3), [a_value("0", NOON - hour)])
        assert not await store.add_event(taken(3), [a_value("5", NOON + 9 * hour)])
        assert await store.readings(ReadingQuery()) == [a_value(exact, NOON + hour, source="meter")]
        assert await store.add_event(taken(4), many)
        assert await store.add_event(taken(5), many)
        assert await store.readings(ReadingQuery(after=NOON)) == many
        assert await store.readings(ReadingQuery(meters=("M1002",))) == []
        assert await store.readings(ReadingQuery(until=NOON + hour, after=NOON, reading_types=(IMPORT,))) == many[:1]
        assert len(await store.readings(ReadingQuery(most=10))) == 10
        await store.forget(NOON + timedelta(days=1) + 2 * hour)
        assert (await store.readings(ReadingQuery()))[0] == many[1]
    async with Store.opened(place) as store:
        assert len(await store.readings(ReadingQuery())) == len(many) - 1
