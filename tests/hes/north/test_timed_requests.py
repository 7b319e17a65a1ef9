"""Controls for later: kept and acknowledged, begun at their time also after a restart, and taken back as long as they are not begun."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from north_bench import CONNECT, DISCONNECT, GENERIC, Cis, StandIn, control, mrid, north, octets, request, texts

from ami_cim.identity import Identifier
from ami_cim.message import RequestMessage
from ami_cim.payloads.end_device_controls import EndDeviceControl, EndDeviceControls
from ami_hes.commands import Outcome
from ami_hes.jobs import late_orders
from ami_hes.jobs.asked_requests import begun_id
from ami_hes.jobs.late_orders import LateOrders
from ami_hes.jobs.timed_requests import TimedRequests
from ami_process.clocks import SteppedClock
from ami_process.environment import Environment

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATER = START + timedelta(hours=6)


def environment(clock: SteppedClock) -> Environment:
    return Environment(emit=lambda _: None).by(clock)


def later(cis: Cis, *controls: EndDeviceControl, message_id: str = "later") -> RequestMessage:
    head = {"async_reply_flag": True, "reply_address": cis.url}
    return request(*controls, message_id=message_id, **head)


def at(code: str, *names: str, start_at: datetime | None = LATER, **more: object) -> EndDeviceControl:
    return replace(control(code, *names), start_at=start_at, **more)  # type: ignore[arg-type]


def cancel(transaction: str, verb: str = "cancel") -> RequestMessage:
    return replace(request(verb=verb), request_identifiers=(Identifier(value=transaction, kind="transaction"),))


async def test_it_is_begun_at_its_time_and_not_before(tmp_path: Path) -> None:
    cis, clock = Cis(), SteppedClock(START)
    async with cis.serving(), north(tmp_path, environment=environment(clock)) as hes:
        message = octets(later(cis, at(DISCONNECT, "M1", "M2")), GENERIC)
        acknowledged = (await hes.post(message, GENERIC)).content
        assert texts(acknowledged, "code") == ["0.3"]
        await clock.advance_to(LATER - timedelta(seconds=1))
        assert (await hes.post(message, GENERIC)).content == acknowledged and not hes.meters.commands
        await clock.advance_to(LATER)
        reply = await cis.taken.get()
        assert (texts(reply, "Result"), texts(reply, "CorrelationID")) == (["OK"], ["later"])
        assert [one.meter.name for one in hes.meters.commands] == ["M1", "M2"]


async def test_nobody_takes_the_message_id_that_it_will_have_at_its_time(tmp_path: Path) -> None:
    """Who knows the id of a request can compute that of its run, and whoever used it first would keep it from being done."""
    cis, clock, run = Cis(), SteppedClock(START), begun_id("later")
    async with cis.serving(), north(tmp_path, environment=environment(clock)) as hes:
        early = await hes.ask(request(control(CONNECT, "M3"), message_id=begun_id("other")), GENERIC)
        assert early.reply.result == "OK"
        other = await hes.ask(later(cis, at(DISCONNECT, "M1"), message_id="other"), GENERIC)
        assert [one.code for one in other.reply.errors] == ["2.15"], "told at once, and not at its time"
        await hes.post(octets(later(cis, at(DISCONNECT, "M1")), GENERIC), GENERIC)
        for taken in (request(control(CONNECT, "M2"), message_id=run), request(verb="get", message_id=run)):
            refused = await hes.ask(taken, GENERIC)
            assert [one.code for one in refused.reply.errors] == ["2.15"]
            assert "of a request which waits" in (refused.reply.errors[0].reason or "")
        await clock.advance_to(LATER)
        assert texts(await cis.taken.get(), "Result") == ["OK"]
        assert hes.meters.told() == [("M3", CONNECT, False), ("M1", DISCONNECT, False)]


@pytest.mark.parametrize("slept", [timedelta(hours=1), timedelta(days=2)], ids=["before its time", "behind it"])
async def test_it_waits_in_the_store_over_a_restart(tmp_path: Path, slept: timedelta) -> None:
    cis, clock = Cis(), SteppedClock(START)
    async with cis.serving():
        async with north(tmp_path, environment=environment(clock)) as hes:
            await hes.post(octets(later(cis, at(DISCONNECT, "M1")), GENERIC), GENERIC)
            assert not hes.meters.commands
        clock = SteppedClock(START + slept)
        async with north(tmp_path, environment=environment(clock)) as hes:
            await clock.advance_to(max(LATER, START + slept))
            assert texts(await cis.taken.get(), "Result") == ["OK"]
            assert hes.meters.told() == [("M1", DISCONNECT, False)]


async def test_it_keeps_no_other_back(tmp_path: Path) -> None:
    cis, clock = Cis(), SteppedClock(START)
    async with cis.serving(), north(tmp_path, environment=environment(clock)) as hes:
        await hes.post(octets(later(cis, at(DISCONNECT, "M1")), GENERIC), GENERIC)
        assert (await hes.ask(request(control(CONNECT, "M1")))).reply.result == "OK"
        assert [one.body for one in hes.meters.commands] == [CONNECT]


async def test_what_has_expired_is_not_begun(tmp_path: Path) -> None:
    """The head-end was away from before its start until behind its end."""
    cis, clock = Cis(), SteppedClock(START)
    async with cis.serving():
        async with north(tmp_path, environment=environment(clock)) as hes:
            one = at(DISCONNECT, "M1", end_at=LATER + timedelta(hours=1))
            await hes.post(octets(later(cis, one), GENERIC), GENERIC)
        async with north(tmp_path, environment=environment(SteppedClock(LATER + timedelta(hours=2)))) as hes:
            reply = await cis.taken.get()
            assert (texts(reply, "Result"), texts(reply, "code")) == (["FAILED"], ["5.2"])
            assert "is past" in texts(reply, "reason")[0] and not hes.meters.commands


@pytest.mark.parametrize("verb", ["cancel", "close", "delete"])
async def test_one_that_waits_is_taken_back(tmp_path: Path, verb: str) -> None:
    cis, clock = Cis(), SteppedClock(START)
    async with cis.serving(), north(tmp_path, environment=environment(clock)) as hes:
        await hes.post(octets(later(cis, at(DISCONNECT, "M1")), GENERIC), GENERIC)
        answer = (await hes.ask(cancel("later", verb))).reply
        assert (answer.result, [one.value for one in answer.identifiers]) == ("OK", ["later"])
        reply = await cis.taken.get()
        assert (texts(reply, "Result"), texts(reply, "code")) == (["FAILED"], ["6.5"])
        await clock.advance_to(LATER)
        assert not hes.meters.commands
        assert (await hes.ask(cancel("later", verb))).reply.result == "OK", "once more is no other thing"


def change(cis: Cis, transaction: str, *controls: EndDeviceControl, message_id: str = "change") -> RequestMessage:
    head = {"async_reply_flag": True, "reply_address": cis.url, "verb": "change"}
    asked = request(*controls, message_id=message_id, **head)
    return replace(asked, request_identifiers=(Identifier(value=transaction, kind="transaction"),))


async def test_one_that_waits_is_changed(tmp_path: Path) -> None:
    """Other controls at another time; the former transaction ends, and the change is one of its own."""
    cis, clock, sooner = Cis(), SteppedClock(START), LATER - timedelta(hours=3)
    async with cis.serving():
        async with north(tmp_path, environment=environment(clock)) as hes:
            await hes.post(octets(later(cis, at(DISCONNECT, "M1")), GENERIC), GENERIC)
            changed = octets(change(cis, "later", at(CONNECT, "M2", start_at=sooner)), GENERIC)
            acknowledged = (await hes.post(changed, GENERIC)).content
            assert texts(acknowledged, "code") == ["0.3"]
            reply = await cis.taken.get()
            assert (texts(reply, "CorrelationID"), texts(reply, "code")) == (["later"], ["6.5"])
            assert "replaced by the change change" in texts(reply, "reason")[0]
            assert (await hes.post(changed, GENERIC)).content == acknowledged, "once more is no other thing"
            (refused,) = (await hes.ask(cancel("later"))).reply.errors
            assert "cancel that one" in (refused.reason or "")
        async with north(tmp_path, environment=environment(clock)) as hes:
            await clock.advance_to(LATER)
            reply = await cis.taken.get()
            assert (texts(reply, "Result"), texts(reply, "CorrelationID")) == (["OK"], ["change"])
            assert hes.meters.told() == [("M2", CONNECT, False)]


@pytest.mark.parametrize("again", [True, False], ids=["sent again", "not sent again"])
async def test_a_change_that_is_interrupted_is_done_once_and_without_the_former(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """The head-end ends when the change is kept, and before anything else."""
    cis, clock = Cis(), SteppedClock(START)

    async def ends(*_: object) -> None:
        raise RuntimeError("the process ends here")

    async with cis.serving():
        async with north(tmp_path, environment=environment(clock)) as hes:
            await hes.post(octets(later(cis, at(DISCONNECT, "M1")), GENERIC), GENERIC)
            changed = octets(change(cis, "later", at(CONNECT, "M2")), GENERIC)
            with monkeypatch.context() as patch:
                patch.setattr(TimedRequests, "replaced", ends)
                assert "5.1" in (await hes.post(changed, GENERIC)).text
        async with north(tmp_path, environment=environment(clock)) as hes:
            if again:
                assert texts((await hes.post(changed, GENERIC)).content, "code") == ["0.3"]
            await clock.advance_to(LATER)
            ended = {texts(reply, "CorrelationID")[0]: reply for reply in [await cis.taken.get() for _ in range(2)]}
            assert len(hes.meters.commands) == 1, "one of the two"
            if again:
                assert hes.meters.told() == [("M2", CONNECT, False)]
            done = {name for name, reply in ended.items() if texts(reply, "Result") == ["OK"]}
            assert done == ({"change"} if hes.meters.commands[0].body == CONNECT else {"later"})


async def test_a_change_that_was_changed_is_taken_back_by_its_own_transaction(tmp_path: Path) -> None:
    cis, clock = Cis(), SteppedClock(START)
    async with cis.serving(), north(tmp_path, environment=environment(clock)) as hes:
        await hes.post(octets(later(cis, at(DISCONNECT, "M1")), GENERIC), GENERIC)
        await hes.post(octets(change(cis, "later", at(CONNECT, "M1")), GENERIC), GENERIC)
        await hes.post(octets(change(cis, "change", at(CONNECT, "M2"), message_id="again"), GENERIC), GENERIC)
        assert (await hes.ask(cancel("again"))).reply.result == "OK"
        ended = [texts(await cis.taken.get(), "CorrelationID")[0] for _ in range(3)]
        assert sorted(ended) == ["again", "change", "later"]
        await clock.advance_to(LATER)
        assert not hes.meters.commands


async def test_what_is_begun_is_not_changed_and_nothing_of_the_change_is_done(tmp_path: Path) -> None:
    cis, clock, stand_in = Cis(), SteppedClock(START), StandIn()
    stand_in.open.clear()
    async with cis.serving(), north(tmp_path, stand_in, environment=environment(clock)) as hes:
        await hes.post(octets(later(cis, at(DISCONNECT, "M1")), GENERIC), GENERIC)
        await clock.advance_to(LATER)
        while not stand_in.at_work:
            await asyncio.sleep(0)
        begun = at(CONNECT, "M2", start_at=LATER + timedelta(hours=1))
        await hes.post(octets(change(cis, "later", begun), GENERIC), GENERIC)
        reply = await cis.taken.get()
        assert (texts(reply, "CorrelationID"), texts(reply, "code")) == (["change"], ["5.2"])
        assert "it is begun" in texts(reply, "reason")[0]
        stand_in.open.set()
        assert texts(await cis.taken.get(), "CorrelationID") == ["later"]
        await hes.post(octets(change(cis, "later", begun, message_id="late"), GENERIC), GENERIC)
        assert "has ended" in texts(await cis.taken.get(), "reason")[0]
        await clock.advance_to(LATER + timedelta(hours=2))
        assert [one.meter.name for one in stand_in.commands] == ["M1"]


@pytest.mark.parametrize(
    ("transaction", "start_at", "code"),
    [("never", LATER, "2.15"), ("later", START - timedelta(hours=1), "5.2"), ("later", None, "5.2")],
)
async def test_a_change_of_nothing_or_for_now_is_refused_and_what_waits_still_does(
    tmp_path: Path, transaction: str, start_at: datetime | None, code: str
) -> None:
    cis, clock = Cis(), SteppedClock(START)
    async with cis.serving(), north(tmp_path, environment=environment(clock)) as hes:
        await hes.post(octets(later(cis, at(DISCONNECT, "M1")), GENERIC), GENERIC)
        asked = change(cis, transaction, at(CONNECT, "M1", start_at=start_at))
        assert [one.code for one in (await hes.ask(asked)).reply.errors] == [code]
        await clock.advance_to(LATER)
        assert texts(await cis.taken.get(), "Result") == ["OK"]
        assert [one.body for one in hes.meters.commands] == [DISCONNECT]


async def test_what_is_under_way_is_not_taken_back_and_what_waits_for_it_is(tmp_path: Path) -> None:
    cis, stand_in = Cis(), StandIn()
    stand_in.open.clear()
    async with cis.serving(), north(tmp_path, stand_in, max_sessions=1) as hes:
        await hes.post(octets(later(cis, control(DISCONNECT, "M1", "M2")), GENERIC), GENERIC)
        while not stand_in.at_work:
            await asyncio.sleep(0)
        answer = (await hes.ask(cancel("later"))).reply
        assert answer.result == "PARTIAL"
        (error,) = answer.errors
        assert error.code == "5.2" and "has been sent to the meter" in (error.reason or "")
        assert error.identifier is not None and error.identifier.value == mrid(1)
        stand_in.open.set()
        reply = await cis.taken.get()
        assert (texts(reply, "Result"), texts(reply, "code")) == (["PARTIAL"], ["6.5"])
        (ended,) = (await hes.ask(cancel("later"))).reply.errors
        assert "had ended, OK" in (ended.reason or "")
    assert [one.meter.name for one in stand_in.commands] == ["M1"]


async def test_what_is_not_known_or_not_named_is_refused(tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        assert [one.code for one in (await hes.ask(cancel("never"))).reply.errors] == ["2.15"]
        assert [one.code for one in (await hes.ask(request(verb="cancel"))).reply.errors] == ["1.7"]


def about(verb: str, *controls: EndDeviceControl, ids: tuple[Identifier, ...] = (), **head: Any) -> RequestMessage:
    return replace(request(*controls, verb=verb, **head), request_identifiers=ids)


def transaction(value: str) -> Identifier:
    return Identifier(value=value, kind="transaction")


def device(value: str) -> Identifier:
    return Identifier(value=value, kind="name", object_type="EndDevice")


@pytest.mark.parametrize("verb", ["cancel", "close", "delete", "change"])
async def test_what_another_source_has_ordered_is_neither_taken_back_nor_changed(tmp_path: Path, verb: str) -> None:
    cis, clock = Cis(), SteppedClock(START)
    async with cis.serving(), north(tmp_path, environment=environment(clock)) as hes:
        await hes.post(octets(later(cis, at(DISCONNECT, "M1")), GENERIC), GENERIC)
        for source in ("MDM", None):
            new = [at(CONNECT, "M1")] if verb == "change" else []
            head = {"async_reply_flag": True, "reply_address": cis.url} if verb == "change" else {}
            asked = about(verb, *new, ids=(transaction("later"),), source=source, **head)
            (refused,) = (await hes.ask(asked, GENERIC)).reply.errors
            assert refused.code == "7.7" and "ordered by CIS" in (refused.reason or "")
        await clock.advance_to(LATER)
        assert texts(await cis.taken.get(), "Result") == ["OK"]
        assert [one.body for one in hes.meters.commands] == [DISCONNECT]


async def test_one_that_waits_is_shown_with_who_has_ordered_it_and_when_it_begins(tmp_path: Path) -> None:
    cis, clock = Cis(), SteppedClock(START)
    async with cis.serving(), north(tmp_path, environment=environment(clock)) as hes:
        await hes.post(octets(later(cis, at(DISCONNECT, "M1", "M2")), GENERIC), GENERIC)
        asked = (
            (transaction("later"),),
            (device("M2"),),
            (Identifier(value=mrid(1), kind="uuid", object_type="Meter"),),
        )
        for ids in asked:
            answer = await hes.ask(about("get", ids=ids, source="MDM"), GENERIC)
            assert (answer.reply.result, [one.code for one in answer.reply.errors]) == ("OK", ["0.0"])
            assert "ordered by CIS" in (answer.reply.errors[0].reason or "")
            assert f"waits for {LATER.isoformat()}" in (answer.reply.errors[0].reason or "")
            assert isinstance(answer.payload, EndDeviceControls)
            (shown,) = answer.payload.controls
            assert (shown.mrid, shown.issuer_id, shown.start_at) == ("later", "CIS", LATER)
            assert (shown.control_type, len(shown.end_devices)) == (DISCONNECT, 2)
        nothing = await hes.ask(about("get", ids=(device("M3"),)), GENERIC)
        assert nothing.payload is None and "No request is kept" in (nothing.reply.errors[0].reason or "")


async def test_one_that_is_begun_is_shown_meter_by_meter(tmp_path: Path) -> None:
    cis, stand_in = Cis(), StandIn({"M1": Outcome(False, "5.3", "FATAL", "M1: it stays closed", attempted=True)})
    async with cis.serving(), north(tmp_path, stand_in, max_sessions=1) as hes:
        await hes.ask(request(control(DISCONNECT, "M1"), message_id="ended"))
        stand_in.open.clear()
        stand_in.at_work = 0
        await hes.post(octets(later(cis, control(CONNECT, "M1", "M2")), GENERIC), GENERIC)
        while not stand_in.at_work:
            await asyncio.sleep(0)
        whole = await hes.ask(about("get", ids=(transaction("later"),)), GENERIC)
        said = [one.reason or "" for one in whole.reply.errors]
        assert "2 meters: 1 sent to their meters, 1 not sent yet" in said[0]
        assert "has been sent to the meter" in said[1] and "not been sent to the meter yet" in said[2]
        example = await hes.ask(about("get", control(DISCONNECT, "M1")), GENERIC)
        assert [one.value for one in example.reply.identifiers] == ["ended"]
        assert "M1: it stays closed" in (example.reply.errors[1].reason or "")
        both = await hes.ask(about("get", ids=(device("M1"),)), GENERIC)
        assert [one.value for one in both.reply.identifiers] == ["later", "ended"]
        assert isinstance(both.payload, EndDeviceControls)
        assert [(one.control_type, len(one.end_devices)) for one in both.payload.controls] == [
            (CONNECT, 1),
            (DISCONNECT, 1),
        ]
        stand_in.open.set()
        await cis.taken.get()


async def test_a_get_of_nothing_or_of_what_is_not_known_says_so(tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        for asked, code in (
            (about("get"), "1.6"),
            (about("get", ids=(transaction("never"),)), "2.15"),
            (about("get", ids=(device("M9"),)), "2.4"),
            (about("get", control(DISCONNECT, "M9")), "2.4"),
        ):
            reply = (await hes.ask(asked, GENERIC)).reply
            assert (reply.result, [one.code for one in reply.errors]) == ("FAILED", [code])


async def test_one_that_waits_is_taken_back_by_its_meters_and_its_type(tmp_path: Path) -> None:
    cis, clock = Cis(), SteppedClock(START)
    async with cis.serving(), north(tmp_path, environment=environment(clock)) as hes:
        await hes.post(octets(later(cis, at(DISCONNECT, "M1", "M2")), GENERIC), GENERIC)
        for asked, code in (
            (about("cancel", control(CONNECT, "M1", "M2")), "2.15"),
            (about("cancel", control(DISCONNECT, "M1")), "5.2"),
            (about("cancel", control(DISCONNECT, "M1", "M2"), source="MDM"), "2.15"),
            (about("cancel", control(DISCONNECT, "M1", "M9")), "2.4"),
        ):
            reply = (await hes.ask(asked)).reply
            assert (reply.result, [one.code for one in reply.errors]) == ("FAILED", [code])
        answer = (await hes.ask(about("cancel", control("0.31.0.23", "M1", "M2")))).reply
        assert (answer.result, [one.value for one in answer.identifiers]) == ("OK", ["later"])
        assert texts(await cis.taken.get(), "code") == ["6.5"]


async def test_one_that_several_meters_could_mean_is_not_taken_back(tmp_path: Path) -> None:
    cis, clock = Cis(), SteppedClock(START)
    async with cis.serving(), north(tmp_path, environment=environment(clock)) as hes:
        await hes.post(octets(later(cis, at(DISCONNECT, "M1")), GENERIC), GENERIC)
        await hes.post(octets(later(cis, at(CONNECT, "M1"), message_id="other"), GENERIC), GENERIC)
        (refused,) = (await hes.ask(about("cancel", ids=(device("M1"),)))).reply.errors
        assert refused.code == "5.2" and "later, other" in (refused.reason or "")
        assert (await hes.ask(about("cancel", control(CONNECT, "M1")))).reply.result == "OK"
        assert (await hes.ask(about("cancel", ids=(device("M1"),)))).reply.result == "OK"
        assert [texts(await cis.taken.get(), "code") for _ in range(2)] == [["6.5"], ["6.5"]]


async def test_one_for_later_needs_an_address_and_meters(tmp_path: Path) -> None:
    cis, clock = Cis(), SteppedClock(START)
    async with cis.serving(), north(tmp_path, environment=environment(clock)) as hes:
        assert [e.code for e in (await hes.ask(request(at(DISCONNECT, "M1")))).reply.errors] == ["1.5"]
        assert [e.code for e in (await hes.ask(later(cis, at(DISCONNECT, "M9")))).reply.errors] == ["2.4"]
        for far in (START + timedelta(days=36_526), datetime(9999, 12, 31, 23, tzinfo=UTC)):
            assert [e.code for e in (await hes.ask(later(cis, at(DISCONNECT, "M1", start_at=far)))).reply.errors] == [
                "5.2"
            ]
        two = later(cis, at(DISCONNECT, "M1"), at(CONNECT, "M2", start_at=None), message_id="two")
        assert [e.code for e in (await hes.ask(two)).reply.errors] == ["5.2"]
    assert not cis.requests


async def test_one_that_waits_is_acknowledged_again_also_when_its_meter_has_gone(tmp_path: Path) -> None:
    cis, clock = Cis(), SteppedClock(START)
    async with cis.serving():
        message = octets(later(cis, at(DISCONNECT, "M3")), GENERIC)
        async with north(tmp_path, environment=environment(clock)) as hes:
            acknowledged = (await hes.post(message, GENERIC)).content
        async with north(tmp_path, meters=2, environment=environment(clock)) as hes:
            assert (await hes.post(message, GENERIC)).content == acknowledged


async def test_one_whose_time_has_come_is_not_said_to_be_taken_back_and_then_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cis, clock = Cis(), SteppedClock(START)
    read, cancelled, go_on = asyncio.Event(), asyncio.Event(), threading.Event()
    loop, parse, take_back = asyncio.get_running_loop(), late_orders.parse_message, LateOrders.cancel

    def slowly(*asked: Any) -> RequestMessage:
        loop.call_soon_threadsafe(read.set)
        go_on.wait(10)
        return parse(*asked)

    async def noticed(orders: LateOrders, request_id: str, *why: str) -> bool:
        cancelled.set()
        return await take_back(orders, request_id, *why)

    monkeypatch.setattr(late_orders, "parse_message", slowly)
    monkeypatch.setattr(LateOrders, "cancel", noticed)
    async with cis.serving(), north(tmp_path, environment=environment(clock)) as hes:
        await hes.post(octets(later(cis, at(DISCONNECT, "M1")), GENERIC), GENERIC)
        await clock.advance_to(LATER)
        await read.wait()
        asked = asyncio.create_task(hes.ask(cancel("later")))
        await cancelled.wait()
        go_on.set()
        answer, reply = (await asked).reply, await cis.taken.get()
        assert (answer.result, texts(reply, "code"), hes.meters.commands) == ("OK", ["6.5"], [])


async def test_what_an_earlier_life_has_begun_is_not_said_to_be_not_begun(tmp_path: Path) -> None:
    """The clock was set back meanwhile, so it waits again."""
    cis, clock, stand_in = Cis(), SteppedClock(START), StandIn()
    stand_in.open.clear()
    async with cis.serving():
        async with north(tmp_path, stand_in, environment=environment(clock)) as hes:
            await hes.post(octets(later(cis, at(DISCONNECT, "M1")), GENERIC), GENERIC)
            await clock.advance_to(LATER)
            while not stand_in.at_work:
                await asyncio.sleep(0)
        clock = SteppedClock(START)
        async with north(tmp_path, stand_in, environment=environment(clock)) as hes:
            answer = (await hes.ask(cancel("later"))).reply
            assert answer.result == "FAILED" and "under way" in (answer.errors[0].reason or "")
            stand_in.open.set()
            await clock.advance_to(LATER)
            assert texts(await cis.taken.get(), "code") != ["6.5"]


async def test_one_that_failed_when_its_time_came_is_not_said_to_be_taken_back(tmp_path: Path) -> None:
    cis = Cis()
    async with cis.serving():
        async with north(tmp_path, environment=environment(SteppedClock(START))) as hes:
            one = at(DISCONNECT, "M1", end_at=LATER + timedelta(hours=1))
            await hes.post(octets(later(cis, one), GENERIC), GENERIC)
        async with north(tmp_path, environment=environment(SteppedClock(LATER + timedelta(hours=2)))) as hes:
            await cis.taken.get()
            answer = (await hes.ask(cancel("later"))).reply
            assert answer.result == "FAILED" and "is past" in (answer.errors[0].reason or "")


async def test_one_that_would_end_before_it_begins_is_refused(tmp_path: Path) -> None:
    cis, clock = Cis(), SteppedClock(START)
    async with cis.serving(), north(tmp_path, environment=environment(clock)) as hes:
        answer = await hes.ask(later(cis, at(DISCONNECT, "M1", end_at=LATER - timedelta(minutes=1))))
        assert [one.code for one in answer.reply.errors] == ["5.2"]


async def test_what_waits_is_taken_back_by_rest_as_a_whole_and_once(tmp_path: Path) -> None:
    cis, clock = Cis(), SteppedClock(START)
    async with cis.serving(), north(tmp_path, environment=environment(clock)) as hes:
        await hes.post(octets(later(cis, at(DISCONNECT, "M1", "M2")), GENERIC), GENERIC)
        taken = await hes.client.delete(f"{hes.url}/api/v1/jobs/later")
        assert (taken.status_code, taken.json()) == (200, {"commands": 0, "waiting": True})
        assert texts(await cis.taken.get(), "code") == ["6.5"]
        again = await hes.client.delete(f"{hes.url}/api/v1/jobs/later")
        assert again.json() == {"commands": 0, "waiting": False}
        await clock.advance_to(LATER)
        assert not hes.meters.commands


async def test_of_what_has_begun_at_its_time_rest_takes_back_the_rest(tmp_path: Path) -> None:
    cis, clock = Cis(), SteppedClock(START)
    async with cis.serving(), north(tmp_path, environment=environment(clock), max_sessions=1) as hes:
        hes.meters.open.clear()
        await hes.post(octets(later(cis, at(DISCONNECT, "M1", "M2")), GENERIC), GENERIC)
        await clock.advance_to(LATER)
        await hes.meters.began.wait()
        taken = await hes.client.delete(f"{hes.url}/api/v1/jobs/later")
        assert taken.json() == {"commands": 1, "waiting": False}
        hes.meters.open.set()
        assert texts(await cis.taken.get(), "Result") == ["PARTIAL"]
        assert len(hes.meters.commands) == 1
