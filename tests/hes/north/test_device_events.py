"""What meters push becomes EndDeviceEvents, kept once and sent to the subscribers of that noun: over real sockets, into a store."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from north_bench import CONNECT, Cis, StandIn, control, mrid, north, request
from pushing_meter import INTERVAL, NOON, ON_CONNECTIVITY, PushingMeter, ciphered
from scheduled import reported
from told_events import CLOCK, FRAUD, POWER_DOWN, events_of, head_end, message_of

from ami_cim.payloads.end_device_events import EndDeviceEvent, EndDeviceEvents
from ami_dlms import data
from ami_hes.commands import Command, CommandJob, Lane, MeterId, Outcome
from ami_hes.meters import push
from ami_hes.operations import contactor
from ami_hes.served import end_of
from ami_hes.store import (
    Database,
    EventQuery,
    Happened,
    SqlDeviceEvents,
    SqlResults,
    StoredDeviceEvent,
    StoredRequest,
    StoredResult,
)
from ami_process.store.places import Place


def said(event: EndDeviceEvent) -> dict[str, str | None]:
    return {one.name: one.value for one in event.details}


async def kept(directory: Path) -> list[StoredDeviceEvent]:
    """In the store of a head-end that has stopped."""
    async with Database(directory / "hes.sqlite") as database:
        return await SqlDeviceEvents(database).find(EventQuery())


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_an_alarm_reaches_the_subscriber_with_its_code_and_what_the_meter_calls_it(
    tmp_path: Path, events: list[Any], transport: str
) -> None:
    async with Cis().serving() as oms, head_end(tmp_path, oms.url, events, event="typed") as (_, meter):
        meter.send(meter.alarms(FRAUD, 0), transport=transport)
        body = await oms.taken.get()
    assert b"CreatedEndDeviceEvents" in body and message_of(body).header.verb == "created"
    (event,) = events_of(body)
    assert (event.event_type, event.created_at, event.reason) == ("0.12.0.257", NOON, "fraud attempt")
    assert said(event) == {"register": "0-0:97.98.0*255", "bit": "13", "clock": "meter"}
    assert event.asset is not None and event.asset.names[0].name == "M1" and event.usage_point is not None
    assert [one.event_id for one in await kept(tmp_path)] == [event.mrid]


async def test_an_alarm_is_one_event_until_it_is_seen_cleared_and_then_it_is_closed(
    tmp_path: Path, events: list[Any]
) -> None:
    """However often the meter pushes it, at whatever time."""
    async with Cis().serving() as oms, head_end(tmp_path, oms.url, events) as (_, meter):
        meter.send(meter.alarms(FRAUD, 0), meter.alarms(FRAUD, 0, at=NOON + timedelta(minutes=1)))
        await reported(events, "notification", 2)
        (first,) = events_of(await oms.taken.get())
        meter.send(meter.alarms(CLOCK, 0, at=NOON + timedelta(minutes=2)))
        messages = [message_of(await oms.taken.get()) for _ in range(2)]
        meter.send(meter.alarms(FRAUD | CLOCK, 0, at=NOON + timedelta(minutes=3)))
        (again,) = events_of(await oms.taken.get())
    by_verb = {one.header.verb: one.payload for one in messages}
    closed, created = by_verb["closed"], by_verb["created"]
    assert isinstance(closed, EndDeviceEvents) and isinstance(created, EndDeviceEvents)
    assert [one.mrid for one in closed.events] == [first.mrid]
    assert said(closed.events[0])["closedDateTime"] == "2026-11-20T12:02:00Z"
    assert [one.event_type for one in created.events] == ["0.36.114.35"]
    assert again.event_type == first.event_type and again.mrid != first.mrid
    assert len(oms.requests) == 4 and len(await kept(tmp_path)) == 3


async def test_an_alarm_that_is_set_again_in_the_same_second_is_another_event(
    tmp_path: Path, events: list[Any]
) -> None:
    async with Cis().serving() as oms, head_end(tmp_path, oms.url, events) as (_, meter):
        for number, bits in enumerate((FRAUD, 0, FRAUD, 0, FRAUD), 1):
            meter.send(meter.alarms(bits, 0))
            await reported(events, "notification", number)
    found = await kept(tmp_path)
    assert len({one.event_id for one in found}) == 3 and {one.created_at for one in found} == {NOON}
    assert [one.closed_at for one in found].count(None) == 1, "the last one stands"


async def test_a_last_gasp_has_the_time_of_the_meter_and_is_one_event_over_both_transports(
    tmp_path: Path, events: list[Any]
) -> None:
    async with Cis().serving() as oms, head_end(tmp_path, oms.url, events) as (_, meter):
        meter.send(meter.last_gasp())
        meter.send(meter.last_gasp(), transport="tcp")
        await reported(events, "notification", 2)
        (event,) = events_of(await oms.taken.get())
    assert (event.event_type, event.created_at) == ("0.26.38.85", NOON)
    assert said(event) == {"pushSetup": "0-5:25.9.0*255", "clock": "meter"}
    assert len(await kept(tmp_path)) == 1


async def test_an_event_notification_of_a_log_and_of_an_alarm_register(tmp_path: Path, events: list[Any]) -> None:
    async with Cis().serving() as oms, head_end(tmp_path, oms.url, events) as (_, meter):
        entry = meter.notified(1, "0-0:96.11.1", data.unsigned(44))
        unknown = meter.notified(1, "0-0:96.11.1", data.unsigned(251))
        alarm = meter.notified(1, "0-0:97.98.21", data.double_long_unsigned(POWER_DOWN))
        meter.send(entry, unknown, alarm)
        found: list[EndDeviceEvent] = []
        while len(found) < 3:
            found += events_of(await oms.taken.get())
    by_code = {one.event_type: one for one in found}
    assert by_code.keys() == {"0.12.141.212", "0.0.0.0", "0.26.38.85"}
    assert said(by_code["0.12.141.212"]) == {"log": "0-0:99.98.1*255", "number": "44", "clock": "meter"}
    assert said(by_code["0.0.0.0"])["number"] == "251", "what has no code has its number"
    assert said(by_code["0.26.38.85"]) == {"register": "0-0:97.98.1*255", "bit": "0", "number": "1", "clock": "meter"}


async def test_what_has_no_time_of_the_meter_has_ours_and_says_so(tmp_path: Path, events: list[Any]) -> None:
    async with Cis().serving() as oms, head_end(tmp_path, oms.url, events) as (_, meter):
        meter.send(meter.alarms(FRAUD, at=None))
        (event,) = events_of(await oms.taken.get())
    assert said(event)["clock"] == "head-end"


async def test_a_clock_that_is_ahead_is_told_beside_when_the_event_came(tmp_path: Path, events: list[Any]) -> None:
    """The time stays what the meter says; one that could be true has no such detail."""
    ahead = datetime(2099, 1, 1, tzinfo=UTC)
    async with Cis().serving() as oms, head_end(tmp_path, oms.url, events) as (_, meter):
        meter.send(meter.last_gasp(ahead), meter.alarms(FRAUD))
        found: list[EndDeviceEvent] = []
        while len(found) < 2:
            found += events_of(await oms.taken.get())
    by_code = {one.event_type: one for one in found}
    gasp = by_code["0.26.38.85"]
    assert gasp.created_at == ahead and said(gasp)["clock"] == "meter"
    received = said(gasp)["receivedDateTime"]
    assert received is not None and datetime.fromisoformat(received) < ahead
    assert "receivedDateTime" not in said(by_code["0.12.0.257"])


async def test_what_is_no_event_and_what_nobody_vouches_for_becomes_none(tmp_path: Path, events: list[Any]) -> None:
    """Readings that are pushed, a filter that was written, and an unencrypted alarm: each is reported as a notification alone."""
    async with Cis().serving() as oms, head_end(tmp_path, oms.url, events) as (_, meter):
        forged = PushingMeter(ciphered(1), meter.port, plain=True)
        meter.send(meter.pushed(INTERVAL, data.double_long_unsigned(FRAUD)))
        meter.send(meter.notified(1, "0-0:97.98.10", data.double_long_unsigned(FRAUD)))
        forged.send(forged.alarms(FRAUD))
        await reported(events, "notification", 3)
        meter.send(meter.pushed(ON_CONNECTIVITY))
        (event,) = events_of(await oms.taken.get())
    assert event.event_type == "0.1.0.49" and len(await kept(tmp_path)) == 1


async def test_events_reach_only_who_wants_them(tmp_path: Path, events: list[Any]) -> None:
    async with Cis().serving() as oms, head_end(tmp_path, oms.url, events, groups=["feeder=F13"]) as (_, meter):
        meter.send(meter.alarms(FRAUD, 0))
        await reported(events, "notification")
    assert len(await kept(tmp_path)) == 1 and not oms.requests


async def test_what_was_kept_and_not_handed_on_is_by_the_next_life(tmp_path: Path, events: list[Any]) -> None:
    event = StoredDeviceEvent(
        event_id=str(uuid.UUID(int=9)),
        mrid=mrid(1),
        meter_name="M1",
        code="0.26.38.85",
        source="push",
        created_at=NOON,
        by_meter=True,
        received_at=NOON,
        secured=True,
    )
    async with Database(tmp_path / "hes.sqlite") as database:
        for _ in range(2):
            await SqlDeviceEvents(database).keep(Happened(mrid=mrid(1), at=NOON, events=[event]))
    async with Cis().serving() as oms, head_end(tmp_path, oms.url, events):
        (sent,) = events_of(await oms.taken.get())
        await reported(events, "reply_sent")
    assert (sent.mrid, sent.created_at) == (event.event_id, NOON)
    async with Database(tmp_path / "hes.sqlite") as database:
        assert await SqlDeviceEvents(database).changes(10) == []


async def test_no_gasp_is_dropped_because_many_wait_for_the_store(
    tmp_path: Path, events: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that came wait their turn; each is one event."""
    monkeypatch.setattr(push, "MAX_WAITING", 5)
    gasps = 100
    async with Cis().serving() as oms, head_end(tmp_path, oms.url, events) as (_, meter):
        meter.send(*(meter.last_gasp(NOON + timedelta(seconds=number)) for number in range(gasps)))
        await reported(events, "notification", gasps)
        came: list[EndDeviceEvent] = []
        while len(came) < gasps:
            came += events_of(await oms.taken.get())
    assert sorted(one.created_at for one in came) == [NOON + timedelta(seconds=number) for number in range(gasps)]
    assert not [one for one in events if one["event"] == "dropped"]


async def test_the_end_of_a_control_is_an_event_with_what_it_answers(tmp_path: Path, events: list[Any]) -> None:
    """Done, failed, and done in a way that has no type of its own; each once, also when the request comes again."""
    outcomes = {
        "M1": Outcome(True, reason="M1: disconnected", attempted=True),
        "M2": Outcome(False, "4.1", "FATAL", "M2: no answer; it may or may not have switched", attempted=True),
        "M3": Outcome(True, "0.0", "INFORM", "M3: ready for reconnection", attempted=True),
    }
    asked = request(
        *(control(CONNECT, name) for name in outcomes), message_id="r-1", correlation_id="c-1", source="CIS"
    )
    named = {"name": "oms", "nouns": ["EndDeviceEvents"]}
    found: list[EndDeviceEvent] = []
    async with Cis().serving() as oms:
        subscribers = [named | {"url": oms.url}]
        for _ in range(2):
            async with north(tmp_path, StandIn(outcomes), events=events, subscribers=subscribers) as hes:
                for _ in range(2):
                    await hes.ask(asked)
                while len(found) < 3:
                    found += events_of(await oms.taken.get())
    assert len({one.mrid for one in found}) == 3 == len(await kept(tmp_path))
    by_name = {one.asset.names[0].name: one for one in found if one.asset is not None}
    assert {name: one.event_type for name, one in by_name.items()} == {
        "M1": "3.31.0.42",
        "M2": "3.31.0.67",
        "M3": "0.0.0.0",  # a code, no address
    }
    assert {(one.issuer_id, one.issuer_tracking_id) for one in found} == {("CIS", "c-1")}
    assert by_name["M2"].reason == outcomes["M2"].reason
    assert said(by_name["M2"]) == {
        "endDeviceControlType": CONNECT,
        "result": "failed",
        "replyCode": "4.1",
        "attempted": "true",
        "lateAnswer": "false",
        "clock": "head-end",
    }


async def test_a_result_and_its_event_are_kept_together_or_not_at_all(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is worked again after a kill has the event that it had, and the first result stays."""
    command = Command("r-1", MeterId("M1", mrid(1)), contactor.NAME, CONNECT)
    asked = StoredRequest(
        request_id="r-1",
        digest="",
        verb="create",
        noun="EndDeviceControls",
        correlation_id="c-1",
        reply_address=None,
        accepted_at=NOON,
        deadline_at=NOON,
        errors="[]",
    )

    def result(at: datetime, *, ok: bool) -> StoredResult:
        outcome = Outcome(ok, None if ok else "5.3", attempted=True)
        event = end_of(command, outcome, at)
        return StoredResult(request_id="r-1", meter_name="M1", outcome=outcome, took_ms=1, finished_at=at, event=event)

    async with Database(place) as database:
        results, store = SqlResults(database), SqlDeviceEvents(database)
        await results.accept(asked, [CommandJob(command, Lane.CONTROL, NOON)])
        with monkeypatch.context() as patched:
            patched.setattr("ami_hes.store.results.keep_device_events", raising)
            with pytest.raises(LookupError):
                await results.save([result(NOON, ok=True)])
        assert len(await results.open_commands("r-1")) == 1
        await results.save([result(NOON, ok=True)])
        await results.save([result(NOON + timedelta(minutes=1), ok=False)])
        (event,) = await store.find(EventQuery())
        assert (event.code, event.created_at, event.issuer_tracking_id) == ("3.31.0.42", NOON, "c-1")
        assert len(await store.changes_after(0, 9)) == 1


def raising(*_: Any) -> None:
    raise LookupError("killed here")
