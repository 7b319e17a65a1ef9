"""A lost answer is no failure: the same request is sent again under its MessageID, and at the end the truth is "unknown"."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cis_stand_in import (
    METERS,
    Behaviour,
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
)
from cis_stand_in import (
    soap as soap_answer,
)
from free_ports import free_port
from patience import PATIENCE_S
from starlette.responses import Response

from ami_cim import soap
from ami_cim.envelope import Received
from ami_cim.identity import Identifier
from ami_cim.message import Reply, ReplyError
from ami_cis.app import System, running, serve
from ami_cis.store import State
from ami_cis.workflows import CONNECT, DISCONNECT, Order, Target, exchanges
from ami_process.clocks import Clock as AnyClock
from ami_process.clocks import ScaledClock, SteppedClock
from ami_process.environment import Environment, real_time

BOTH = tuple(Target.meter(meter.name, meter.mrid) for meter in METERS)
AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@asynccontextmanager
async def a_cis(directory: Path, hes_url: str, given: Environment, **cis: Any) -> AsyncIterator[System]:
    async with running(settings(directory, hes_url, **cis), given, 0) as system:
        yield system


@pytest.fixture
def events() -> Events:
    return Events()


QUICKER = 50


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses between attempts, which are real ones, a fiftieth of what they are."""
    for name in ("FIRST_PAUSE_S", "LONGEST_PAUSE_S"):
        monkeypatch.setattr(exchanges, name, getattr(exchanges, name) / QUICKER)


def first(*behaviours: Behaviour, then: Behaviour) -> Behaviour:
    """These in turn, and from then on the last."""
    left = list(behaviours)

    async def behave(hes: StandInHes, received: Received) -> Response:
        return await (left.pop(0) if left else then)(hes, received)

    return behave


LOST = {
    "nothing": (saying(b""), "no valid message"),
    "rubbish": (saying(b"It works!"), "no valid message"),
    "a proxy's error": (saying(b"<html>Bad Gateway</html>", 502), "no valid message"),
    "too busy": (saying(b"Service Unavailable", 503), "no valid message"),
    "a fault of the HES": (saying(soap.fault("Server", "out of order"), 500), "out of order"),
    "another request's answer": (answering(Reply(result="OK"), correlation_id="other"), "another request"),
    "an acknowledgement": (answering(Reply(result="OK", errors=(ReplyError(code="0.3"),))), "only acknowledged"),
}


@pytest.mark.parametrize("name", LOST)
async def test_the_same_request_is_sent_again_and_its_answer_counts(
    hes: StandInHes, tmp_path: Path, events: Events, name: str
) -> None:
    lost, told = LOST[name]
    failed = Reply(result="FAILED", errors=(failed_meter("5.3", "did not", METERS[0].mrid or ""),))
    hes.behaviour = first(lost, lost, then=answering(failed))
    async with a_cis(tmp_path, hes.url, environment(events)) as cis:
        outcome = await cis.controls.run(Order(code=DISCONNECT, targets=BOTH))
    assert (outcome.result, outcome.unknown, outcome.errors[0].meter) == ("FAILED", False, "M1001")
    assert events.names == ["request_sent", "asking_again", "asking_again", "reply_received"]
    assert [told in event["reason"] for event in events.named("asking_again")] == [True, True]
    assert [event["after_s"] for event in events.named("asking_again")] == [0.5, 1.0]
    assert len(hes.requests) == 3 and len({repr(request) for request in hes.requests}) == 1


async def test_patience_has_an_end_and_the_truth_is_unknown(
    hes: StandInHes, tmp_path: Path, events: Events, quickly: None
) -> None:
    hes.behaviour = saying(b"")
    async with a_cis(tmp_path, hes.url, environment(events), ask_again_s=30 / QUICKER) as cis:
        began = real_time()
        outcome = await cis.controls.run(Order(code=DISCONNECT, targets=BOTH))
        took_s = real_time() - began
        stored = await cis.store.find_request([outcome.message_id])
        late = await post_response(f"http://{cis.listen}/cim", reply_to(hes.requests[0], Reply(result="OK")))
        closed = await cis.store.find_request([outcome.message_id])
    assert (outcome.result, outcome.confirmed, outcome.unknown) == (None, False, True)
    assert "it is not known what became of the request" in (outcome.reason or "")
    assert took_s * QUICKER >= 20
    assert sum(event["after_s"] for event in events.named("asking_again")) * QUICKER <= 30
    assert events.named("request_failed") == [] and len(events.named("request_unknown")) == 1
    assert stored is not None and stored.state is State.UNKNOWN
    assert late.reply.result == "OK"
    assert closed is not None and closed.state is State.ANSWERED


@pytest.mark.parametrize("clock", [SteppedClock(AT), ScaledClock(AT, 10_000.0)], ids=["stepped", "scaled"])
async def test_asking_again_goes_by_the_time_of_sockets(
    hes: StandInHes, tmp_path: Path, events: Events, quickly: None, clock: AnyClock
) -> None:
    """A stopped clock never ends a pause, and a fast one would have used up the patience before the second attempt."""
    hes.behaviour = first(saying(b""), saying(b""), then=answering(Reply(result="OK")))
    async with (
        asyncio.timeout(PATIENCE_S),
        a_cis(tmp_path, hes.url, environment(events).by(clock), ask_again_s=5) as cis,
    ):
        outcome = await cis.controls.run(Order(code=DISCONNECT, targets=BOTH))
    assert (outcome.result, len(hes.requests)) == ("OK", 3)
    assert outcome.ms < 20_000


async def test_what_was_surely_not_sent_has_failed_at_once(tmp_path: Path, events: Events) -> None:
    async with a_cis(tmp_path, "http://127.0.0.1:1", environment(events)) as cis:
        outcome = await cis.controls.run(Order(code=DISCONNECT, targets=BOTH))
        stored = await cis.store.find_request([outcome.message_id])
    assert (outcome.result, outcome.unknown) == (None, False)
    assert events.names == ["request_sent", "request_failed"]
    assert stored is not None and stored.state is State.FAILED


async def test_what_may_have_been_sent_before_is_not_called_unsent_when_it_is_asked_for_again(
    hes: StandInHes, tmp_path: Path, events: Events, quickly: None
) -> None:
    """Under the same MessageID, as whoever does not know what became of a control is told to do it."""
    hes.behaviour = saying(b"")
    order = Order(code=DISCONNECT, targets=BOTH, message_id="m-again")
    async with a_cis(tmp_path, hes.url, environment(events), ask_again_s=30 / QUICKER) as cis:
        assert (await cis.controls.run(order)).unknown
    async with a_cis(tmp_path, "http://127.0.0.1:1", environment(events), ask_again_s=30 / QUICKER) as cis:
        outcome = await cis.controls.run(order)
        stored = await cis.store.find_request(["m-again"])
    assert outcome.unknown and stored is not None and stored.state is State.UNKNOWN


async def test_a_start_that_takes_up_what_is_open_leaves_alone_what_is_being_sent(
    hes: StandInHes, tmp_path: Path, events: Events
) -> None:
    """Two that send the same request know nothing of each other: one may call unsent what the other has sent."""
    came, goes_on = asyncio.Event(), asyncio.Event()

    async def waits(stand_in: StandInHes, received: Received) -> Response:
        came.set()
        await goes_on.wait()
        return await answering(Reply(result="OK"))(stand_in, received)

    hes.behaviour = waits
    async with a_cis(tmp_path, hes.url, environment(events)) as cis:
        running_one = asyncio.create_task(cis.controls.run(Order(code=DISCONNECT, targets=BOTH)))
        async with asyncio.timeout(PATIENCE_S):
            await came.wait()
            await cis.controls.resume()
        goes_on.set()
        assert (await running_one).result == "OK"
    assert len(hes.requests) == 1 and "asking_again" not in events.names


async def test_a_hes_that_goes_away_after_the_request_is_no_failure(
    tmp_path: Path, events: Events, quickly: None
) -> None:
    """Once it may have been sent, a refused connection says nothing about it."""
    from cis_stand_in import standing_in

    async with standing_in() as hes:
        hes.behaviour = saying(b"")
        async with a_cis(tmp_path, hes.url, environment(events), ask_again_s=2) as cis:
            await cis.outbox.knock()
            running_order = asyncio.create_task(cis.controls.run(Order(code=DISCONNECT, targets=BOTH)))
            await events.wait_for("asking_again")
            hes.behaviour = saying(b"", 404)
            outcome = await running_order
    assert outcome.unknown


async def test_a_hes_that_has_forgotten_the_request_says_nothing_about_it(
    hes: StandInHes, tmp_path: Path, events: Events, quickly: None
) -> None:
    spent = Reply(result="FAILED", errors=(ReplyError(code="2.15", reason="used before"),))
    hes.behaviour = first(saying(b""), then=answering(spent))
    async with a_cis(tmp_path, hes.url, environment(events), ask_again_s=2) as cis:
        outcome = await cis.controls.run(Order(code=DISCONNECT, targets=BOTH))
    assert outcome.unknown and "used before" in (outcome.reason or "")
    hes.behaviour = answering(spent)
    async with a_cis(tmp_path, hes.url, environment(events)) as cis:
        outcome = await cis.controls.run(Order(code=CONNECT, targets=BOTH, message_id="mine"))
    assert (outcome.result, outcome.unknown) == ("FAILED", False)


async def test_another_control_under_a_used_message_id_is_not_sent(
    hes: StandInHes, tmp_path: Path, events: Events
) -> None:
    hes.behaviour = answering(Reply(result="OK", errors=(ReplyError(code="0.0"),)))
    async with a_cis(tmp_path, hes.url, environment(events)) as cis:
        assert (await cis.controls.run(Order(code=DISCONNECT, targets=BOTH, message_id="mine"))).confirmed
        outcome = await cis.controls.run(Order(code=CONNECT, targets=BOTH, message_id="mine"))
        kept = await cis.store.find_request(["mine"])
    assert (outcome.result, outcome.unknown, outcome.not_sent, len(hes.requests)) == (None, False, True, 1)
    assert (outcome.reason or "").startswith("nothing was sent: the MessageID mine belongs to another request")
    assert kept is not None and (kept.code, kept.state) == (DISCONNECT, State.ANSWERED)


async def test_a_reply_that_comes_while_the_acknowledgement_is_lost_is_taken(
    hes: StandInHes, tmp_path: Path, events: Events
) -> None:
    async def delivering(one: StandInHes, received: Received) -> Response:
        await post_response(received.message.header.reply_address or "", reply_to(received.message, Reply(result="OK")))
        return await saying(b"")(one, received)

    hes.behaviour = first(delivering, then=saying(b"", 500))
    async with a_cis(tmp_path, hes.url, environment(events)) as cis:
        outcome = await cis.controls.run(Order(code=DISCONNECT, targets=BOTH, asynchronous=True))
        assert len(await cis.store.replies(outcome.message_id)) == 1
    assert outcome.confirmed and events.names == ["request_sent", "reply_received"]


async def test_no_reply_after_the_acknowledgement_is_asked_for_again(
    hes: StandInHes, tmp_path: Path, events: Events
) -> None:
    """A HES that has given up posting a reply hands it to whoever asks again."""
    hes.behaviour = first(acknowledging(), then=answering(Reply(result="OK", errors=(ReplyError(code="0.0"),))))
    async with a_cis(tmp_path, hes.url, environment(events), request_timeout_s=1.0) as cis:
        outcome = await cis.controls.run(Order(code=DISCONNECT, targets=BOTH, asynchronous=True))
    assert outcome.confirmed
    assert events.names == ["request_sent", "acknowledged", "asking_again", "reply_received"]


async def die_after_sending(directory: Path, hes: StandInHes, events: Events, port: int = 0, **order: Any) -> None:
    """A life of the process that ends between the request and its answer."""
    silent, arrived = asyncio.Event(), asyncio.Event()

    async def never(_: StandInHes, __: Received) -> Response:
        arrived.set()
        await silent.wait()
        return Response(b"")

    hes.behaviour = never
    async with running(settings(directory, hes.url), environment(events), port) as cis:
        sending = asyncio.create_task(cis.controls.run(Order(code=DISCONNECT, targets=BOTH, **order)))
        await arrived.wait()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    silent.set()


@asynccontextmanager
async def serving(
    directory: Path, hes: StandInHes, events: Events, later: timedelta, port: int = 0, **cis: Any
) -> AsyncIterator[None]:
    stop = asyncio.Event()
    given = replace(environment(events), now=lambda: AT + later)
    task = asyncio.create_task(serve(settings(directory, hes.url, port=port, **cis), given, stop, loop=False))
    try:
        await events.wait_for("ready")
        yield
    finally:
        stop.set()
        assert await task == 0


async def test_a_fault_beside_the_inbox_is_reported_and_ends_nothing_else(hes: StandInHes, tmp_path: Path) -> None:
    """Here a row that nobody can read; before, the requests of the former life were given up without a word."""
    await die_after_sending(tmp_path, hes, Events(), free_port())
    with closing(sqlite3.connect(settings(tmp_path, hes.url).cis.store)) as store, store:
        store.execute("UPDATE requests SET sent_at='yesterday'")
    events = Events()
    async with serving(tmp_path, hes, events, timedelta(seconds=60)):
        await events.wait_for("work_failed", 2)
        told = events.named("work_failed")
        ready = events.named("ready")[0]
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as client:
            health = await client.get(f"http://{ready['listen'][0]}/healthz")
    assert [(one["work"], "yesterday" in one["reason"]) for one in told] == [("standings", True), ("resume", True)]
    assert health.status_code == 200


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_new_life_asks_again_for_what_the_old_one_has_sent(
    hes: StandInHes, tmp_path: Path, asynchronous: bool
) -> None:
    port = free_port()
    await die_after_sending(tmp_path, hes, Events(), port, asynchronous=asynchronous)
    failed = Reply(result="PARTIAL", errors=(failed_meter("4.1", "late", METERS[1].mrid or ""),))
    hes.behaviour = acknowledging(failed) if asynchronous else answering(failed)
    events = Events()
    async with serving(tmp_path, hes, events, timedelta(seconds=60), port):
        told = await events.wait_for("reply_received")
    assert (told["result"], told["errors"][0]["meter"]) == ("PARTIAL", "M1002")
    assert hes.requests[0] == hes.requests[1] and len(hes.requests) == 2
    async with serving(tmp_path, hes, events, timedelta(seconds=60)):
        pass
    assert len(hes.requests) == 2


def asked_about(*known: str, of_control: Reply) -> Behaviour:
    """Says of a get that these transactions are known, and answers a control so."""

    async def behave(_: StandInHes, received: Received) -> Response:
        if received.message.header.verb != "get":
            return soap_answer(reply_to(received.message, of_control), received.wrapper)
        asked = [one.value for one in received.message.request_identifiers]
        found = tuple(Identifier(value=one, kind="transaction") for one in asked if one in known)
        unknown = ReplyError(code="2.15", reason="no request is known by this transaction")
        reply = Reply(result="OK", identifiers=found) if found else Reply(result="FAILED", errors=(unknown,))
        return soap_answer(reply_to(received.message, reply), received.wrapper)

    return behave


async def test_a_new_life_does_not_send_what_is_too_old_and_the_hes_has_not(hes: StandInHes, tmp_path: Path) -> None:
    """A control that nobody has carried out yet must not be carried out hours after it was wanted."""
    await die_after_sending(tmp_path, hes, Events())
    hes.behaviour = asked_about(of_control=Reply(result="OK"))
    events = Events()
    async with serving(tmp_path, hes, events, timedelta(hours=1)):
        told = await events.wait_for("request_unknown")
    assert "the HES does not say that it has the request" in told["reason"]
    assert [one.header.verb for one in hes.requests] == ["create", "get"]
    assert [one.value for one in hes.requests[1].request_identifiers] == [hes.requests[0].header.message_id]


async def test_a_new_life_asks_again_for_what_the_hes_has_however_old_it_is(hes: StandInHes, tmp_path: Path) -> None:
    await die_after_sending(tmp_path, hes, Events())
    failed = Reply(result="PARTIAL", errors=(failed_meter("4.1", "late", METERS[1].mrid or ""),))
    hes.behaviour = asked_about(hes.requests[0].header.message_id or "", of_control=failed)
    events = Events()
    async with serving(tmp_path, hes, events, timedelta(hours=1)):
        told = await events.wait_for("reply_received")
    assert told["result"] == "PARTIAL" and events.named("request_unknown") == []
    assert [one.header.verb for one in hes.requests] == ["create", "get", "create"]
    assert hes.requests[0] == hes.requests[2]


async def test_a_new_life_gives_up_what_is_too_old_when_the_hes_is_away(hes: StandInHes, tmp_path: Path) -> None:
    await die_after_sending(tmp_path, hes, Events())
    hes.behaviour = saying(b"", 503)
    events = Events()
    async with serving(tmp_path, hes, events, timedelta(hours=1), ask_again_s=1.0):
        await events.wait_for("request_unknown")
    assert {one.header.verb for one in hes.requests[1:]} == {"get"}


async def test_an_order_that_cannot_be_written_is_not_sent(hes: StandInHes, tmp_path: Path, events: Events) -> None:
    async with a_cis(tmp_path, hes.url, environment(events)) as cis:
        outcome = await cis.controls.run(Order(code=DISCONNECT, verb="bogus", targets=BOTH))
    assert (outcome.result, outcome.unknown) == (None, False)
    assert hes.requests == [] and events.names == ["request_failed"]


# an acknowledgement, or the end


@pytest.mark.parametrize(
    ("codes", "final"), [((), False), (("0.3",), False), (("0.0", "0.3"), False), (("0.0",), True), (("0.2",), True)]
)
async def test_an_ok_to_an_asynchronous_request_is_final_or_an_acknowledgement_by_its_code(
    hes: StandInHes, tmp_path: Path, events: Events, codes: tuple[str, ...], final: bool
) -> None:
    """A foreign HES answers at once whatever it was asked: OK with code 0.0 is its result (M-035)."""
    hes.behaviour = answering(Reply(result="OK", errors=tuple(ReplyError(code=code) for code in codes)))
    # what is final must not be lost to a busy machine; what is not is waited for in vain
    chosen = settings(tmp_path, hes.url, request_timeout_s=30.0 if final else 1.0, ask_again_s=0)
    async with running(chosen, environment(events), 0) as cis:
        outcome = await cis.controls.run(Order(code=CONNECT, targets=BOTH, asynchronous=True))
    assert outcome.confirmed is final
    assert outcome.unknown is not final
    assert bool(events.named("acknowledged")) is not final
