"""One order and the demo loop, against a stand-in HES on real sockets; the CIS under test is the wired whole."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cis_stand_in import (
    METERS,
    Clock,
    Events,
    StandInHes,
    acknowledging,
    answering,
    environment,
    failed_meter,
    post_response,
    reply_to,
    saying,
    settings,
    standing_in,
)
from given_readings import IMPORT, giving, register

from ami_cim.identity import EndDevice
from ami_cim.message import Reply, ReplyError
from ami_cis.app import System, running, serve
from ami_cis.settings import Demo
from ami_cis.store import State
from ami_cis.workflows import CONNECT, DISCONNECT, DemoLoop, LoopPlan, Order, Target
from ami_cis.workflows import loop as loop_workflow

MRID_1, MRID_2 = METERS[0].mrid or "", METERS[1].mrid or ""
BOTH = (Target.meter("M1001", MRID_1), Target.meter("M1002", MRID_2))


@asynccontextmanager
async def a_cis(directory: Path, hes_url: str, events: Events, **cis: Any) -> AsyncIterator[System]:
    async with running(settings(directory, hes_url, **cis), environment(events), 0) as system:
        yield system


@pytest.fixture
def events() -> Events:
    return Events()


async def test_one_order_is_one_request_with_one_end_device_a_meter(
    hes: StandInHes, tmp_path: Path, events: Events
) -> None:
    async with a_cis(tmp_path, hes.url, events) as cis:
        outcome = await cis.controls.run(Order(code=DISCONNECT, targets=BOTH))
    assert outcome.confirmed
    (request,) = hes.requests
    assert (request.header.verb, request.header.noun, request.header.source) == ("create", "EndDeviceControls", "CIS")
    assert request.header.message_id == request.header.correlation_id == "00000000-0000-0000-0000-000000000001"
    assert request.header.timestamp is not None
    assert request.header.async_reply_flag is False and request.header.reply_address is None
    assert hes.control.control_type == DISCONNECT
    assert [(device.mrid, device.names[0].name) for device in hes.control.end_devices] == [
        (MRID_1, "M1001"),
        (MRID_2, "M1002"),
    ]
    assert events.names == ["request_sent", "reply_received"]
    assert events.told[0] == {
        "event": "request_sent",
        "message_id": request.header.message_id,
        "correlation_id": request.header.message_id,
        "verb": "create",
        "noun": "EndDeviceControls",
        "code": "3.31.0.23",
        "control": "disconnect",
        "meters": ["M1001", "M1002"],
        "asynchronous": False,
    }
    assert events.told[1] == {
        "event": "reply_received",
        "message_id": request.header.message_id,
        "result": "OK",
        "errors": [],
        "ms": 0.0,
    }


async def test_every_failed_meter_is_told_by_the_name_we_know(hes: StandInHes, tmp_path: Path, events: Events) -> None:
    errors = (
        ReplyError(code="0.2", reason="no more follow"),
        failed_meter("4.1", "no answer in 5 s", f"urn:uuid:{MRID_1.replace('-', '').upper()}"),
        failed_meter("2.4", "unknown", "M1002", "name"),
        failed_meter("5.3", "somebody else", "M9999", "name"),
    )
    hes.behaviour = answering(Reply(result="PARTIAL", errors=errors))
    async with a_cis(tmp_path, hes.url, events) as cis:
        outcome = await cis.controls.run(Order(code=CONNECT, targets=BOTH))
    assert not outcome.confirmed
    assert outcome.result == "PARTIAL"
    assert events.told[-1]["errors"] == [
        {"code": "4.1", "reason": "no answer in 5 s", "meter": "M1001"},
        {"code": "2.4", "reason": "unknown", "meter": "M1002"},
        {"code": "5.3", "reason": "somebody else", "meter": "M9999"},
    ]


async def test_targets_by_mrid_and_usage_point(hes: StandInHes, tmp_path: Path, events: Events) -> None:
    hes.behaviour = answering(Reply(result="FAILED", errors=(failed_meter("2.12", "unknown", "UP-1", "name"),)))
    async with a_cis(tmp_path, hes.url, events) as cis:
        order = Order(
            code=CONNECT,
            targets=(Target.mrid(MRID_1), Target.point("UP-1")),
            verb="change",
            message_id="m",
            correlation_id="c",
        )
        outcome = await cis.controls.run(order)
    assert (hes.requests[0].header.message_id, hes.requests[0].header.correlation_id) == ("m", "c")
    assert hes.requests[0].header.verb == "change"
    assert [device.mrid for device in hes.control.end_devices] == [MRID_1]
    assert [point.names[0].name for point in hes.control.usage_points] == ["UP-1"]
    assert outcome.errors[0].meter == "UP-1"


async def test_an_acknowledgement_is_no_result(hes: StandInHes, tmp_path: Path, events: Events) -> None:
    hes.behaviour = answering(Reply(result="OK", errors=(ReplyError(code="0.3"),)))
    async with a_cis(tmp_path, hes.url, events, ask_again_s=2) as cis:
        outcome = await cis.controls.run(Order(code=DISCONNECT, targets=BOTH))
        stored = await cis.store.find_request([outcome.message_id])
    assert not outcome.confirmed and outcome.unknown
    assert {*events.names} == {"request_sent", "asking_again", "request_unknown"}
    assert "only acknowledged" in events.told[-1]["reason"]
    assert stored is not None and stored.state is State.UNKNOWN


async def test_an_answer_to_another_request_is_no_result(hes: StandInHes, tmp_path: Path, events: Events) -> None:
    hes.behaviour = answering(Reply(result="OK"), correlation_id="somebody-else")
    async with a_cis(tmp_path, hes.url, events, ask_again_s=2) as cis:
        outcome = await cis.controls.run(Order(code=DISCONNECT, targets=BOTH))
    assert not outcome.confirmed
    assert "another request" in (outcome.reason or "")


async def test_an_answer_without_correlation_in_our_own_http_response_is_ours(
    hes: StandInHes, tmp_path: Path, events: Events
) -> None:
    async def without_correlation(_: StandInHes, received: Any) -> Any:
        response = await answering(Reply(result="OK"))(hes, received)
        return await saying(re.sub(rb"<msg:CorrelationID>.*?</msg:CorrelationID>", b"", response.body))(hes, received)

    hes.behaviour = without_correlation
    async with a_cis(tmp_path, hes.url, events) as cis:
        outcome = await cis.controls.run(Order(code=DISCONNECT, targets=BOTH))
        assert len(await cis.store.replies(outcome.message_id)) == 1
    assert outcome.confirmed


async def test_rubbish_is_no_answer_and_not_a_crash(hes: StandInHes, tmp_path: Path, events: Events) -> None:
    hes.behaviour = saying(b"It works!")
    async with a_cis(tmp_path, hes.url, events, ask_again_s=2) as cis:
        outcome = await cis.controls.run(Order(code=DISCONNECT, targets=BOTH))
    assert not outcome.confirmed and outcome.unknown
    assert "no valid message" in events.named("request_unknown")[0]["reason"]


@pytest.mark.parametrize("deliver_first", [False, True])
async def test_asynchronous_acknowledged_now_and_answered_later(
    hes: StandInHes, tmp_path: Path, events: Events, deliver_first: bool
) -> None:
    final = Reply(result="PARTIAL", errors=(failed_meter("4.1", "late", MRID_2),))
    hes.behaviour = acknowledging(final, deliver_first=deliver_first)
    async with a_cis(tmp_path, hes.url, events) as cis:
        outcome = await cis.controls.run(Order(code=DISCONNECT, targets=BOTH, asynchronous=True))
        await asyncio.gather(*hes.tasks)
        header = hes.requests[0].header
        assert header.async_reply_flag is True
        assert header.reply_address == f"http://{cis.listen}/cim"
    assert events.names == ["request_sent", "acknowledged", "reply_received"]
    assert outcome.result == "PARTIAL"
    assert outcome.errors[0].meter == "M1002"
    assert [answer.reply.result for answer in hes.delivered] == ["OK"]
    assert hes.delivered[0].header.correlation_id == header.message_id


async def test_asynchronous_and_refused_at_once(hes: StandInHes, tmp_path: Path, events: Events) -> None:
    hes.behaviour = answering(Reply(result="FAILED", errors=(ReplyError(code="3.2"),)))
    async with a_cis(tmp_path, hes.url, events) as cis:
        outcome = await cis.controls.run(Order(code=DISCONNECT, targets=BOTH, asynchronous=True))
    assert outcome.result == "FAILED"
    assert events.names == ["request_sent", "reply_received"]


async def test_asynchronous_twice_delivered_is_taken_once_and_answered_ok_twice(
    hes: StandInHes, tmp_path: Path, events: Events
) -> None:
    hes.behaviour = acknowledging(Reply(result="OK"), Reply(result="OK"))
    async with a_cis(tmp_path, hes.url, events) as cis:
        outcome = await cis.controls.run(Order(code=DISCONNECT, targets=BOTH, asynchronous=True))
        await asyncio.gather(*hes.tasks)
        assert len(await cis.store.replies(outcome.message_id)) == 1
    assert [answer.reply.result for answer in hes.delivered] == ["OK", "OK"]
    assert events.names.count("reply_received") == 1
    assert events.names.count("reply_repeated") == 1


async def test_no_reply_in_time_is_unknown_and_the_late_one_is_still_taken(
    hes: StandInHes, tmp_path: Path, events: Events
) -> None:
    hes.behaviour = acknowledging()
    async with a_cis(tmp_path, hes.url, events, request_timeout_s=1.0, ask_again_s=0) as cis:
        outcome = await cis.controls.run(Order(code=DISCONNECT, targets=BOTH, asynchronous=True))
        assert not outcome.confirmed and outcome.unknown
        assert "no reply came within 1 s" in (outcome.reason or "")
        answer = await post_response(f"http://{cis.listen}/cim", reply_to(hes.requests[0], Reply(result="OK")))
        stored = await cis.store.find_request([outcome.message_id])
    assert answer.reply.result == "OK"
    assert stored is not None and stored.state is State.ANSWERED
    assert events.told[-1]["event"] == "reply_received"
    assert events.told[-1]["late"] is True


async def test_a_reply_after_a_restart_finds_its_request(hes: StandInHes, tmp_path: Path, events: Events) -> None:
    hes.behaviour = acknowledging()
    async with a_cis(tmp_path, hes.url, events) as cis:
        sending = asyncio.create_task(cis.controls.run(Order(code=DISCONNECT, targets=BOTH, asynchronous=True)))
        await events.wait_for("acknowledged")
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    events = Events()
    stop = asyncio.Event()
    again = asyncio.create_task(serve(settings(tmp_path, hes.url), environment(events), stop, loop=False))
    ready = await events.wait_for("ready")
    assert (await events.wait_for("still_waiting_for_replies"))["requests"] == 1
    answer = await post_response(f"http://{ready['listen'][0]}/cim", reply_to(hes.requests[0], Reply(result="OK")))
    assert answer.reply.result == "OK"
    told = await events.wait_for("reply_received")
    assert (told["message_id"], told["result"]) == (hes.requests[0].header.message_id, "OK")
    stop.set()
    assert await again == 0


async def test_one_order_alone_listens_for_its_own_reply(hes: StandInHes, tmp_path: Path, events: Events) -> None:
    hes.behaviour = acknowledging(Reply(result="OK"))
    async with running(settings(tmp_path, hes.url), environment(events), 0) as cis:
        outcome = await cis.controls.run(Order(code=CONNECT, targets=BOTH, asynchronous=True))
    assert outcome.confirmed


async def test_the_loop_keeps_its_times(hes: StandInHes, tmp_path: Path, events: Events) -> None:
    clock = Clock()
    given = environment(events, clock)
    async with running(settings(tmp_path, hes.url), given, 0) as cis:
        loop = DemoLoop(cis.controls, cis.readings, LoopPlan(10.0, 2.0, 2, BOTH, asynchronous=False), given)
        await loop.run()
    assert [request["code"] for request in events.named("request_sent")] == [DISCONNECT, CONNECT] * 2
    assert clock.slept == [2.0, 8.0, 2.0]
    summary = loop.summary()
    assert (summary.cycles, summary.commands, summary.confirmed, summary.failed, summary.median_ms) == (2, 4, 4, 0, 0.0)


async def test_the_loop_reads_before_and_after_each_control(hes: StandInHes, tmp_path: Path, events: Events) -> None:
    async def behave(_: StandInHes, received: Any) -> Any:
        both = (register("41.5"), register("7", device=EndDevice(mrid=MRID_2)))
        if received.message.header.noun == "MeterReadings":
            return await giving(*both)(hes, received)
        return await answering(Reply(result="OK"))(hes, received)

    hes.behaviour = behave
    given = environment(events, Clock())
    async with running(settings(tmp_path, hes.url), given, 0) as cis:
        plan = LoopPlan(10.0, 2.0, 1, BOTH, asynchronous=False, reading_types=(IMPORT,))
        loop = DemoLoop(cis.controls, cis.readings, plan, given)
        await loop.run()
    assert [request["code"] for request in events.named("request_sent")] == [
        IMPORT,
        DISCONNECT,
        IMPORT,
        CONNECT,
        IMPORT,
    ]
    shown = [
        (one["meter"], one["name"], one["value"], one["unit"]) for one in events.named("registers_read")[0]["registers"]
    ]
    assert shown == [("M1001", "import", "41.5", "kWh"), ("M1002", "import", "7", "kWh")]
    assert loop.summary().commands == 2, "a reading is no command"


async def test_a_name_of_no_reading_type_is_refused_in_the_settings() -> None:
    with pytest.raises(ValueError, match="'imprt' is no ReadingType"):
        Demo(read=("imprt",))


async def test_an_overrun_delays_and_does_not_stack_up(hes: StandInHes, tmp_path: Path, events: Events) -> None:
    clock = Clock()

    async def slow(_: StandInHes, received: Any) -> Any:
        clock.passed += 30.0
        return await answering(Reply(result="OK"))(hes, received)

    hes.behaviour = slow
    given = environment(events, clock)
    async with running(settings(tmp_path, hes.url), given, 0) as cis:
        loop = DemoLoop(cis.controls, cis.readings, LoopPlan(10.0, 2.0, 2, BOTH, asynchronous=False), given)
        await loop.run()
    assert clock.slept == [0.0, 0.0, 0.0]
    assert clock.passed == 120.0
    assert loop.summary().median_ms == 30_000.0


async def test_the_loop_reads_many_meters_by_several_requests(
    hes: StandInHes, tmp_path: Path, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All at once would be more than a head-end puts into one answer."""
    monkeypatch.setattr(loop_workflow, "MOST_ASKED", 2)

    async def behave(_: StandInHes, received: Any) -> Any:
        if received.message.header.noun == "MeterReadings":
            return await giving(register("41.5"))(hes, received)
        return await answering(Reply(result="OK"))(hes, received)

    hes.behaviour = behave
    given = environment(events, Clock())
    targets = tuple(Target.meter(f"M{number}") for number in range(5))
    async with running(settings(tmp_path, hes.url), given, 0) as cis:
        plan = LoopPlan(10.0, 2.0, 1, targets, asynchronous=False, reading_types=(IMPORT,))
        await DemoLoop(cis.controls, cis.readings, plan, given).run()
    asked = [request["meters"] for request in events.named("request_sent") if request["code"] == IMPORT]
    assert asked == [["M0", "M1"], ["M2", "M3"], ["M4"]] * 3
    assert len(events.named("registers_read")) == 9


async def test_serving_runs_the_cycles_says_done_and_ends(hes: StandInHes, tmp_path: Path, events: Events) -> None:
    chosen = settings(tmp_path, hes.url, demo=Demo(cycles=2))
    assert await serve(chosen, environment(events), asyncio.Event(), loop=True) == 0
    assert events.told[0]["event"] == "ready" and events.told[0]["role"] == "cis"
    assert events.told[-1] == {
        "event": "done",
        "cycles": 2,
        "commands": 4,
        "confirmed": 4,
        "failed": 0,
        "median_ms": 0.0,
    }


async def test_what_was_not_confirmed_shows_in_the_exit_code(hes: StandInHes, tmp_path: Path, events: Events) -> None:
    hes.behaviour = answering(Reply(result="PARTIAL", errors=(failed_meter("5.3", "did not switch", MRID_1),)))
    assert (
        await serve(settings(tmp_path, hes.url, demo=Demo(cycles=1)), environment(events), asyncio.Event(), loop=True)
        == 1
    )
    assert (events.told[-1]["confirmed"], events.told[-1]["failed"]) == (0, 2)


async def test_it_waits_for_a_hes_that_starts_later_and_survives_its_absence(tmp_path: Path, events: Events) -> None:
    async with standing_in() as gone:
        url = gone.url
    stop = asyncio.Event()
    chosen = settings(tmp_path, url, demo=Demo(), request_timeout_s=1.0, ask_again_s=0.0)
    serving = asyncio.create_task(serve(chosen, environment(events), stop, loop=True))
    waiting = await events.wait_for("waiting_for")
    assert waiting["url"] == url and "cannot be reached" in waiting["reason"]
    async with standing_in(int(url.rpartition(":")[2])):
        await events.wait_for("reply_received")
    # the first that the HES leaves behind may have reached it, so that its end is not known
    failed = await events.wait_for("request_failed")
    assert f"{url} cannot be reached" in failed["reason"]
    await events.wait_for("request_failed", 3)
    async with standing_in(int(url.rpartition(":")[2])):
        confirmed = len(events.named("reply_received"))
        await events.wait_for("reply_received", confirmed + 1)
    stop.set()
    assert await serving == 0
    assert len(events.named("waiting_for")) == 1
    done = events.told[-1]
    assert done["event"] == "done" and done["failed"] >= 3 and done["confirmed"] >= 2


async def test_a_taken_port_is_named(hes: StandInHes, tmp_path: Path, events: Events) -> None:
    port = int(hes.url.rpartition(":")[2])
    assert await serve(settings(tmp_path, hes.url, port=port), environment(events), asyncio.Event(), loop=True) == 98
    (told,) = events.told
    assert (told["event"], told["address"], told["setting"]) == ("port_taken", f"127.0.0.1:{port}", "cis.port")
