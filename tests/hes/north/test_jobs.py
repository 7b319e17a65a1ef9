"""A request's way: one switching a MessageID, acknowledged only when kept, answered also after a death in the middle."""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from north_bench import (
    CONNECT,
    DISCONNECT,
    GENERIC,
    SCHEMAS,
    SWITCHES_MANY,
    TYPED,
    Cis,
    Clock,
    StandIn,
    control,
    entries,
    mrid,
    north,
    octets,
    request,
    texts,
)
from patience import PATIENCE_S
from reported import ignore, into

from ami_cim import wire
from ami_cim.message import RequestMessage
from ami_hes.commands import Outcome
from ami_hes.served import OPERATIONS
from ami_hes.store import Completed, SqlResults, StoredResult, StoreUnavailable
from ami_process.environment import Environment
from ami_process.events import Event

FAILED = Outcome(False, "5.3", "FATAL", "it did not", attempted=True)


def seen(events: list[Any], name: str) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] == name]


def asynchronous(cis: Cis, *names: str, code: str = DISCONNECT, **header: Any) -> RequestMessage:
    return request(control(code, *names), async_reply_flag=True, reply_address=cis.url, **header)


async def reply_to(cis: Cis) -> tuple[str, str | None, list[str]]:
    message = wire.read_delivery(await cis.taken.get(), SCHEMAS).message
    reply = message.reply  # type: ignore[union-attr]
    return reply.result, message.header.correlation_id, [error.code for error in reply.errors]


async def errors_to(cis: Cis) -> tuple[Any, ...]:
    message = wire.read_delivery(await cis.taken.get(), SCHEMAS).message
    return message.reply.errors  # type: ignore[union-attr]


# synchronous


async def test_the_events_of_a_request(tmp_path: Path, events: list[Any]) -> None:
    async with north(tmp_path, events=events) as hes:
        await hes.ask(request(control(DISCONNECT, "M1", "M2"), message_id="m1"))
    (accepted,) = seen(events, "request_accepted")
    assert (accepted["message_id"], accepted["summary"], accepted["meters"]) == ("m1", DISCONNECT, ["M1", "M2"])
    (sent,) = seen(events, "reply_sent")
    assert (sent["message_id"], sent["result"], sent["asynchronous"]) == ("m1", "OK", False)
    assert sent["ms"] >= 0


async def test_the_same_message_again_is_the_same_answer_and_nothing_done(tmp_path: Path) -> None:
    body = octets(request(control(DISCONNECT, "M1", "M9")))
    async with north(tmp_path) as hes:
        once, twice = await hes.post(body), await hes.post(body)
        assert once.content == twice.content
        assert len(hes.meters.commands) == 1
    async with north(tmp_path) as hes:
        assert (await hes.post(body)).content == once.content
        assert hes.meters.commands == []


async def test_the_same_message_by_the_other_door_is_the_same_answer_in_its_dress(tmp_path: Path) -> None:
    message = request(control(DISCONNECT, "M1"))
    async with north(tmp_path) as hes:
        once, twice = await hes.ask(message, TYPED), await hes.ask(message, GENERIC)
        assert once == twice
        assert len(hes.meters.commands) == 1


async def test_the_same_message_while_the_first_is_at_work_waits_for_it(tmp_path: Path) -> None:
    stand_in = StandIn()
    stand_in.open.clear()
    body = octets(request(control(DISCONNECT, "M1")))
    async with north(tmp_path, stand_in) as hes:
        asking = [asyncio.create_task(hes.post(body)) for _ in range(5)]
        await stand_in.began.wait()
        asking += [asyncio.create_task(hes.post(body)) for _ in range(5)]
        stand_in.open.set()
        answers = {response.content for response in await asyncio.gather(*asking)}
        assert len(answers) == 1
        assert len(stand_in.commands) == 1


async def test_the_same_message_with_another_content_is_refused(tmp_path: Path) -> None:
    first = request(control(DISCONNECT, "M1"), message_id="m1")
    async with north(tmp_path) as hes:
        await hes.ask(first)
        for other in (
            request(control(CONNECT, "M1"), message_id="m1"),
            request(control(DISCONNECT, "M2"), message_id="m1"),
            request(control(DISCONNECT, "M1"), message_id="m1", source="somebody else"),
        ):
            reply = (await hes.ask(other)).reply
            assert (reply.result, [e.code for e in reply.errors]) == ("FAILED", ["2.15"])
        later = replace(first, header=replace(first.header, timestamp=first.header.timestamp + timedelta(seconds=9)))  # type: ignore[operator]
        assert (await hes.ask(later)).reply.result == "OK"
        assert len(hes.meters.commands) == 1


async def test_a_refused_message_may_be_mended_under_its_id(tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        assert (await hes.ask(request(control(DISCONNECT, "M9"), message_id="m1"))).reply.result == "FAILED"
        assert (await hes.ask(request(control(DISCONNECT, "M1"), message_id="m1"))).reply.result == "OK"


async def test_no_more_at_once_than_allowed(tmp_path: Path) -> None:
    names = [f"M{n}" for n in range(1, 21)]
    async with north(tmp_path, meters=20, max_sessions=4) as hes:
        assert (await hes.ask(request(control(DISCONNECT, *names)))).reply.result == "OK"
        assert (len(hes.meters.commands), hes.meters.most_at_once) == (20, 4)


async def test_one_meter_gets_its_commands_one_after_the_other(tmp_path: Path) -> None:
    stand_in = StandIn()
    stand_in.open.clear()
    async with north(tmp_path, stand_in) as hes:
        asking = [asyncio.create_task(hes.ask(request(control(DISCONNECT, "M1"))))]
        await stand_in.began.wait()
        asking.append(asyncio.create_task(hes.ask(request(control(CONNECT, "M1")))))
        assert (await hes.ask(request(control("3.31.0.99", "M1")))).reply.result == "FAILED"
        assert stand_in.told() == [("M1", DISCONNECT, False)]
        stand_in.open.set()
        assert [answer.reply.result for answer in await asyncio.gather(*asking)] == ["OK", "OK"]
        assert (stand_in.told()[1], stand_in.most_at_once) == (("M1", CONNECT, False), 1)


async def test_too_much_waiting_is_refused(tmp_path: Path) -> None:
    stand_in = StandIn()
    stand_in.open.clear()
    async with north(tmp_path, stand_in, max_pending=2) as hes:
        first = asyncio.create_task(hes.ask(request(control(DISCONNECT, "M1", "M2"))))
        await stand_in.began.wait()
        reply = (await hes.ask(request(control(DISCONNECT, "M3")))).reply
        assert [e.code for e in reply.errors] == ["3.2"]
        stand_in.open.set()
        assert (await first).reply.result == "OK"
        assert (await hes.ask(request(control(DISCONNECT, "M3")))).reply.result == "OK"


async def test_whose_turn_does_not_come_by_the_deadline_fails_unsent(tmp_path: Path, events: list[Any]) -> None:
    clock, stand_in = Clock(), StandIn()
    stand_in.open.clear()
    async with north(
        tmp_path, stand_in, Environment(emit=into(events), now=clock), max_sessions=1, deadline_s=20.0
    ) as hes:
        asking = asyncio.create_task(hes.ask(request(control(DISCONNECT, "M1", "M2"))))
        await stand_in.began.wait()
        clock.at += timedelta(seconds=21)
        stand_in.open.set()
        reply = (await asking).reply
        assert reply.result == "PARTIAL"
        assert "The control was not sent" in (reply.errors[0].reason or "")
        assert stand_in.told() == [("M1", DISCONNECT, False)]
    (done,) = [event for event in seen(events, "meter_done") if event["meter"] == "M2"]
    assert (done["meter"], done["ok"], done["reply_code"]) == ("M2", False, reply.errors[0].code)


async def test_a_recipe_that_ignores_its_deadline_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ami_hes.jobs.worker.GRACE_S", 0.01)
    stand_in = StandIn()
    stand_in.open.clear()
    async with north(tmp_path, stand_in, deadline_s=1.0) as hes:
        reply = (await hes.ask(request(control(DISCONNECT, "M1")))).reply
        assert (reply.result, [e.code for e in reply.errors]) == ("FAILED", ["4.1"])
        assert "may or may not have switched" in (reply.errors[0].reason or "")
        assert stand_in.at_once == 0


async def test_a_broken_recipe_fails_its_meter_and_nothing_else(tmp_path: Path, events: list[Any]) -> None:
    broken = StandIn({"M1": ZeroDivisionError("key 00112233")})
    async with north(tmp_path, broken, events=events) as hes:
        reply = (await hes.ask(request(control(DISCONNECT, "M1", "M2")))).reply
        assert (reply.result, [e.code for e in reply.errors]) == ("PARTIAL", ["5.3"])
        assert "may or may not have switched" in (reply.errors[0].reason or "")
        assert "ZeroDivisionError" in (reply.errors[0].reason or "") and "key" not in (reply.errors[0].reason or "")
        broken.acts = False
        reply = (await hes.ask(request(control(DISCONNECT, "M1")))).reply
        assert [e.code for e in reply.errors] == ["5.2"] and "was not sent" in (reply.errors[0].reason or "")
    assert len(seen(events, "operation_failed")) == 2


async def test_a_thousand_meters_in_one_request(tmp_path: Path) -> None:
    names = [f"M{n}" for n in range(1, 1001)]
    async with north(tmp_path, StandIn({"M500": FAILED}), meters=1000, guard=SWITCHES_MANY) as hes:
        reply = (await hes.ask(request(control(DISCONNECT, *names)))).reply
        assert reply.result == "PARTIAL"
        (error,) = reply.errors
        assert (error.code, error.identifier and error.identifier.value) == ("5.3", "M500")
        assert error.related is not None and error.related.value == mrid(500)
        assert Counter(c.meter.name for c in hes.meters.commands) == Counter(names)


async def test_results_of_meters_that_end_together_share_a_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[int] = []
    save = SqlResults.save

    async def counted(self: SqlResults, results: Sequence[StoredResult]) -> list[Completed]:
        saved.append(len(results))
        return await save(self, results)

    monkeypatch.setattr(SqlResults, "save", counted)
    names = [f"M{n}" for n in range(1, 101)]
    async with north(tmp_path, meters=100, guard=SWITCHES_MANY) as hes:
        assert (await hes.ask(request(control(DISCONNECT, *names)))).reply.result == "OK"
    assert sum(saved) == 100
    assert len(saved) < 50, saved


async def test_what_came_of_it_is_kept_for_people_too(tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        await hes.ask(request(control(DISCONNECT, "M1")))
    store = sqlite3.connect(tmp_path / "hes.sqlite")
    ((payload,),) = store.execute("SELECT payload FROM commands").fetchall()
    store.close()
    assert json.loads(payload)["after"] == {"output_state": False, "control_state": 0, "control_mode": 4}


async def test_who_waits_when_we_stop_is_told_and_the_work_is_kept(tmp_path: Path) -> None:
    stand_in = StandIn()
    stand_in.open.clear()
    body = octets(request(control(DISCONNECT, "M1")))
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S))
        async with north(tmp_path, stand_in) as hes:
            asking = asyncio.create_task(
                client.post(hes.url + TYPED, content=body, headers={"Content-Type": "text/xml"})
            )
            await stand_in.began.wait()
        response = await asking
        assert (response.status_code, texts(response.content, "code")) == (500, ["5.1"])
        assert "same MessageID" in texts(response.content, "reason")[0]
        async with north(tmp_path) as hes:
            assert texts((await hes.post(body)).content, "Result") == ["OK"]


async def test_a_store_that_fails_ends_everything_instead_of_forgetting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("ami_hes.store.SqlResults.save", full)
    with pytest.raises(BaseExceptionGroup, match="unhandled errors"):
        async with north(tmp_path) as hes:
            await hes.ask(request(control(DISCONNECT, "M1")))
    monkeypatch.undo()
    async with Cis().serving(), north(tmp_path) as hes:
        await hes.meters.began.wait()
        assert hes.meters.told() == [("M1", DISCONNECT, True)]


@pytest.mark.parametrize("problem", [OSError("broken pipe"), StoreUnavailable("locked")])
async def test_a_fault_after_acceptance_is_never_told_as_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    """Kept is kept: whoever is told otherwise would ask under another MessageID, and the meter would switch twice."""

    async def failing(*_: object) -> None:
        raise problem

    message = request(control(DISCONNECT, "M1"))
    async with north(tmp_path) as hes:
        with monkeypatch.context() as patch:
            patch.setattr("ami_hes.engine.embedded.StoredAnswers.wait", failing)
            response = await hes.post(octets(message))
        assert (response.status_code, texts(response.content, "code")) == (500, ["5.1"])
        assert "is kept and will be finished" in texts(response.content, "reason")[0]
        assert (await hes.ask(message)).reply.result == "OK"
        assert hes.meters.told() == [("M1", DISCONNECT, False)]


async def test_what_is_kept_is_worked_although_nobody_can_be_told(tmp_path: Path) -> None:
    def reader_gone(event: Event) -> None:
        if event.event == "request_accepted":
            raise BrokenPipeError

    message = request(control(DISCONNECT, "M1"))
    async with north(tmp_path, environment=Environment(emit=reader_gone)) as hes:
        response = await hes.post(octets(message))
        assert (response.status_code, texts(response.content, "code")) == (500, ["5.1"])
        assert (await hes.ask(message)).reply.result == "OK"
        assert hes.meters.told() == [("M1", DISCONNECT, False)]


@pytest.mark.parametrize("days", [31, 3650])
async def test_a_clock_that_jumps_does_not_make_a_message_switch_again(
    tmp_path: Path, events: list[Any], days: int
) -> None:
    clock = Clock()
    message = request(control(DISCONNECT, "M1"), timestamp=clock.at)
    async with north(tmp_path, environment=Environment(emit=into(events), now=clock)) as hes:
        assert (await hes.ask(message)).reply.result == "OK"
    clock.at += timedelta(days=days)
    for back in (0, days):
        clock.at -= timedelta(days=back)
        async with north(tmp_path, environment=Environment(emit=into(events), now=clock)) as hes:
            while not seen(events, "forgotten"):
                await asyncio.sleep(0)
            for again in (message, request(control(CONNECT, "M1"), message_id=message.header.message_id)):
                reply = (await hes.ask(again)).reply
                assert (reply.result, [e.code for e in reply.errors]) == ("FAILED", ["2.15"])
                assert "used before, for a request of 2026-11-20T12:00:00+00:00" in (reply.errors[0].reason or "")
            assert (await hes.ask(request(control(CONNECT, "M1")))).reply.result == "OK"
            assert hes.meters.told() == [("M1", CONNECT, False)]


# asynchronous


async def test_acknowledged_now_and_answered_later(tmp_path: Path, events: list[Any]) -> None:
    stand_in = StandIn({"M2": FAILED})
    stand_in.open.clear()
    async with Cis().serving() as cis, north(tmp_path, stand_in, events=events) as hes:
        message = asynchronous(cis, "M1", "M2", "M9", message_id="m1", correlation_id="c1")
        acknowledgement = await hes.ask(message)
        assert (acknowledgement.reply.result, [e.code for e in acknowledgement.reply.errors]) == ("OK", ["0.3"])
        assert acknowledgement.header.correlation_id == "c1"
        assert cis.requests == []
        stand_in.open.set()
        assert await reply_to(cis) == ("PARTIAL", "c1", ["2.4", "5.3"])
        assert await hes.ask(message) == acknowledgement
        assert len(stand_in.commands) == 2
    (sent,) = seen(events, "reply_sent")
    assert (sent["message_id"], sent["result"], sent["asynchronous"]) == ("m1", "PARTIAL", True)


async def test_the_reply_is_posted_until_it_is_taken(tmp_path: Path, events: list[Any]) -> None:
    async with Cis((503, b""), (500, b""), (200, b"")).serving() as cis, north(tmp_path, events=events) as hes:
        await hes.ask(asynchronous(cis, "M1", message_id="m1"))
        assert await reply_to(cis) == ("OK", "m1", [])
        assert len({body for _, body in cis.requests}) == 1
    postponed = seen(events, "reply_postponed")
    assert [event["after_s"] for event in postponed] == [0.01, 0.02]


async def test_an_owed_reply_survives_a_restart(tmp_path: Path) -> None:
    async with Cis((503, b"")).serving() as cis:
        async with north(tmp_path, reply_retry_first_s=60.0) as hes:
            await hes.ask(asynchronous(cis, "M1", message_id="m1"))
            while not cis.requests:
                await asyncio.sleep(0)
        cis.answers = [(200, b"")]
        async with north(tmp_path) as hes:
            assert await reply_to(cis) == ("OK", "m1", [])
            assert hes.meters.commands == []
        async with north(tmp_path):
            pass
        assert cis.taken.empty()


async def test_an_unknown_meter_alone_is_refused_at_once(tmp_path: Path) -> None:
    async with Cis().serving() as cis, north(tmp_path) as hes:
        reply = (await hes.ask(asynchronous(cis, "M9"))).reply
        assert (reply.result, [e.code for e in reply.errors]) == ("FAILED", ["2.4"])
        assert cis.requests == []


# after a death in the middle


async def begin_and_die(
    directory: Path, cis: Cis, *names: str, environment: Environment | None = None, acts: bool = True
) -> None:
    """Accepted and at work, and then nothing of it comes to its end; `acts`: the controls have left for their meters."""
    stand_in = StandIn(acts=acts)
    stand_in.open.clear()
    async with north(directory, stand_in, environment) as hes:
        assert (await hes.ask(asynchronous(cis, *names, message_id="m1"))).reply.result == "OK"
        async with asyncio.timeout(PATIENCE_S):
            while stand_in.at_work < len([name for name in names if name != "M9"]):
                await asyncio.sleep(0)


@pytest.mark.parametrize("acts", [True, False])
async def test_what_was_accepted_is_worked_again_and_whether_it_was_attempted_is_known(
    tmp_path: Path, events: list[Any], acts: bool
) -> None:
    async with Cis().serving() as cis:
        await begin_and_die(tmp_path, cis, "M1", "M2", "M9", acts=acts)
        async with north(tmp_path, events=events) as hes:
            assert await reply_to(cis) == ("PARTIAL", "m1", ["2.4"])
            assert hes.meters.told() == [("M1", DISCONNECT, acts), ("M2", DISCONNECT, acts)]
    (recovered,) = seen(events, "recovered")
    assert (recovered["requests"], recovered["commands"], recovered["replies"]) == (1, 2, 0)


@pytest.mark.parametrize(
    ("acts", "words"),
    [
        (True, ("passed before what was begun at the meter was finished", "may or may not have switched")),
        (False, ("had passed before the meter's turn came", "was not sent")),
    ],
)
async def test_what_has_passed_its_deadline_fails_honestly_and_without_a_frame(
    tmp_path: Path, acts: bool, words: tuple[str, str]
) -> None:
    clock = Clock()
    async with Cis().serving() as cis:
        await begin_and_die(tmp_path, cis, "M1", environment=Environment(emit=ignore, now=clock), acts=acts)
        clock.at += timedelta(hours=1)
        async with north(tmp_path, environment=Environment(emit=ignore, now=clock)) as hes:
            (error,) = await errors_to(cis)
            assert (error.code, hes.meters.commands) == ("4.1", [])
            assert all(one in (error.reason or "") for one in words), error.reason


async def test_what_lacked_only_its_answer_is_answered(tmp_path: Path) -> None:
    async with Cis().serving() as cis:
        await begin_and_die(tmp_path, cis, "M1")
        store = sqlite3.connect(tmp_path / "hes.sqlite")
        with store:
            store.execute(
                "UPDATE commands SET ok=1, reason='', attempted=1, took_ms=1, payload='{}', finished_at='2026-11-20 12:00:00.000000'"
            )
        store.close()
        async with north(tmp_path) as hes:
            assert await reply_to(cis) == ("OK", "m1", [])
            assert hes.meters.commands == []


@pytest.mark.parametrize(
    ("acts", "code", "words"), [(True, "5.3", "may or may not have switched"), (False, "2.4", "was not sent")]
)
async def test_a_meter_that_left_the_registry_meanwhile_is_told(
    tmp_path: Path, acts: bool, code: str, words: str
) -> None:
    async with Cis().serving() as cis:
        await begin_and_die(tmp_path, cis, "M1", "M3", acts=acts)
        async with north(tmp_path, meters=2):
            (error,) = await errors_to(cis)
            assert (error.code, error.identifier and error.identifier.value) == (code, "M3")
            assert error.related is not None and error.related.value == mrid(3)
            assert words in (error.reason or "") and "M3" in (error.reason or "")


async def test_the_stored_mrid_and_not_the_name_says_which_meter_is_meant(tmp_path: Path) -> None:
    """Between two lives M1 and M2 have changed their names: each command goes on with its own device (M-028)."""
    stand_in = StandIn(acts=False)
    stand_in.open.clear()
    body = octets(request(control(DISCONNECT, "M1")))
    async with north(tmp_path, stand_in) as hes:
        asking = asyncio.create_task(hes.post(body))
        await stand_in.began.wait()
        asking.cancel()
    swapped = [entry | {"mrid": mrid(3 - number)} for number, entry in enumerate(entries(2), 1)]
    async with north(tmp_path, registry=swapped) as hes:
        assert wire.read_response((await hes.post(body)).content, SCHEMAS).reply.result == "OK"
        assert [command.meter.name for command in hes.meters.commands] == ["M2"]


async def test_a_synchronous_request_is_finished_too_and_its_answer_kept(tmp_path: Path) -> None:
    stand_in = StandIn()
    stand_in.open.clear()
    body = octets(request(control(DISCONNECT, "M1")))
    async with north(tmp_path, stand_in) as hes:
        asking = asyncio.create_task(hes.post(body))
        await stand_in.began.wait()
        asking.cancel()  # who asked has gone
    async with north(tmp_path) as hes:
        answer = wire.read_response((await hes.post(body)).content, SCHEMAS)
        assert answer.reply.result == "OK"
        assert hes.meters.told() == [("M1", DISCONNECT, True)]


async def test_an_end_is_reported_when_it_is_kept_and_what_cannot_be_said_of_it_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operation's details break down; when they are asked for the result is in the store already."""
    kept: list[int] = []

    def broken(*_: object) -> dict[str, Any]:
        kept.append(
            sqlite3.connect(tmp_path / "hes.sqlite").execute("SELECT count(*) FROM commands WHERE ok").fetchone()[0]
        )
        raise ZeroDivisionError

    row = replace(OPERATIONS["disconnect_control"], describe=broken)
    monkeypatch.setitem(OPERATIONS, "disconnect_control", row)
    events: list[Any] = []
    async with north(tmp_path, events=events) as hes:
        assert (await hes.ask(request(control(DISCONNECT, "M1")))).reply.result == "OK"
    assert kept == [1]
    (failed,), (done,) = seen(events, "details_failed"), seen(events, "meter_done")
    assert "ZeroDivisionError" in failed["exception"]
    assert (done["operation"], done["ok"], "details" in done) == ("disconnect_control", True, False)


async def test_what_a_request_asks_for_is_reported_in_bounds(tmp_path: Path, events: list[Any]) -> None:
    controls = [control(code, f"M{number}") for number, code in enumerate((DISCONNECT, CONNECT), 1)]
    async with north(tmp_path, events=events) as hes:
        await hes.ask(request(*controls))
    (accepted,) = seen(events, "request_accepted")
    assert (accepted["verb"], accepted["noun"]) == ("create", "EndDeviceControls")
    assert accepted["summary"] == f"{CONNECT} {DISCONNECT}"
