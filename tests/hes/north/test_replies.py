"""Replies to receivers that don't take them: an end in attempts and in age, and no receiver in another's way."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hostile_receivers import Receiver, deaf, saying
from north_bench import DISCONNECT, SCHEMAS, SWITCHES_MANY, Cis, Clock, North, control, north, request
from patience import PATIENCE_S
from reported import into

from ami_cim import wire
from ami_hes.store import SqlDeliveries, StoreUnavailable
from ami_process.environment import Environment

FOUND_ELSEWHERE = b"HTTP/1.1 302 Found\r\nLocation: http://xn--/\r\nContent-Length: 0\r\n\r\n"
NOT_IMPLEMENTED = (
    b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><e:Fault><faultcode>e:Client</faultcode>'
    b"<faultstring>Method 'msg:ResponseMessage' not implemented: method name or namespace not recognized</faultstring>"
    b"</e:Fault></e:Body></e:Envelope>"
)


def seen(events: list[Any], name: str) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] == name]


async def told(events: list[Any], name: str, count: int = 1) -> list[dict[str, Any]]:
    async with asyncio.timeout(PATIENCE_S):
        while len(seen(events, name)) < count:
            await asyncio.sleep(0.005)
    return seen(events, name)


async def ask(hes: North, address: str, message_id: str, meter: str = "M1") -> Any:
    message = request(
        control(DISCONNECT, meter), async_reply_flag=True, reply_address=address, message_id=message_id, source="CIS"
    )
    return (await hes.ask(message)).reply


@pytest.mark.parametrize("address", ["http://127.0.0.1:-1/", "http://127.0.0.1:0/", "http://xn--/", "http://a b/"])
async def test_an_address_that_cannot_be_one_is_refused_with_the_request(tmp_path: Path, address: str) -> None:
    async with north(tmp_path) as hes:
        reply = await ask(hes, address, "m1")
        assert (reply.result, [e.code for e in reply.errors]) == ("FAILED", ["1.5"])
        assert "Header.ReplyAddress" in (reply.errors[0].reason or "")
        assert hes.meters.commands == []


async def test_an_address_that_was_kept_and_cannot_be_one_is_given_up_at_the_start(
    tmp_path: Path, events: list[Any]
) -> None:
    """A store of an earlier version may hold one."""
    async with Cis((503, b"")).serving() as cis, north(tmp_path, reply_retry_first_s=60.0, events=events) as hes:
        await ask(hes, cis.url, "m1")
        await told(events, "reply_postponed")
    with sqlite3.connect(tmp_path / "hes.sqlite") as store:
        store.execute("UPDATE requests SET reply_address='http://127.0.0.1:-1/'")
    store.close()
    async with Cis().serving() as cis, north(tmp_path, events=events) as hes:
        (letter,) = await told(events, "reply_dead_letter")
        assert letter["reason"] == "the reply address has a port that is none of 1 to 65535"
        await ask(hes, cis.url, "m2")
        await cis.taken.get()


async def test_a_redirect_to_nowhere_ends_one_delivery(tmp_path: Path, events: list[Any]) -> None:
    elsewhere = Receiver(saying(FOUND_ELSEWHERE))
    async with elsewhere.serving() as receiver, Cis().serving() as cis, north(tmp_path, events=events) as hes:
        await ask(hes, receiver.url, "m1")
        (postponed, *_) = await told(events, "reply_postponed")
        assert postponed["reason"] == "HTTP status 302"
        await ask(hes, cis.url, "m2")
        await cis.taken.get()


async def test_attempts_are_counted_over_all_lives(tmp_path: Path, events: list[Any]) -> None:
    async with Cis((503, b"")).serving() as cis:
        for life in (1, 2):
            async with north(tmp_path, reply_retry_first_s=60.0, reply_attempts_max=3, events=events) as hes:
                if life == 1:
                    await ask(hes, cis.url, "m1")
                await told(events, "reply_postponed", life)
        async with north(tmp_path, reply_attempts_max=3, events=events) as hes:
            (letter,) = await told(events, "reply_dead_letter")
            assert (letter["message_id"], letter["attempts"], letter["reason"]) == ("m1", 3, "HTTP status 503")
        assert len(cis.requests) == 3
        cis.answers = [(200, b"")]
        async with north(tmp_path, events=events) as hes:
            assert (await told(events, "dead_letters"))[0]["replies"] == 1
            await ask(hes, cis.url, "m2")
            await cis.taken.get()
        assert len(cis.requests) == 4


async def test_a_reply_that_is_too_old_is_given_up(tmp_path: Path, events: list[Any]) -> None:
    clock = Clock()
    async with Receiver(deaf).serving() as receiver:
        options = {"reply_timeout_s": 0.05, "reply_max_age_s": 3600.0}
        async with north(tmp_path, environment=Environment(emit=into(events), now=clock), **options) as hes:
            await ask(hes, receiver.url, "m1")
            await told(events, "reply_postponed", 2)
            clock.at += timedelta(hours=1)
            (letter,) = await told(events, "reply_dead_letter")
            assert letter["reason"] == "no answer within 0.05 s"


async def test_what_waits_behind_a_dead_receiver_is_given_up_with_it(tmp_path: Path, events: list[Any]) -> None:
    """One post at a time tries a dead receiver, so the others would never have failed often enough."""
    clock = Clock()
    async with Receiver(deaf).serving() as receiver:
        options = {"reply_timeout_s": 0.05, "reply_max_age_s": 3600.0, "reply_retry_most_s": 0.05}
        async with north(tmp_path, environment=Environment(emit=into(events), now=clock), **options) as hes:
            for number in range(20):
                await ask(hes, receiver.url, f"m{number}")
            await told(events, "reply_postponed", 20)
            clock.at += timedelta(hours=1)
            letters = await told(events, "reply_dead_letter", 20)
            assert {letter["message_id"] for letter in letters} == {f"m{number}" for number in range(20)}


async def test_a_receiver_without_this_operation_is_asked_once(tmp_path: Path, events: list[Any]) -> None:
    async with Cis((500, NOT_IMPLEMENTED)).serving() as cis:
        async with north(tmp_path, events=events) as hes:
            await ask(hes, cis.url, "m1")
            (letter,) = await told(events, "reply_dead_letter")
        assert "not implemented: method name or namespace not recognized" in letter["reason"]
        async with north(tmp_path, events=events):
            pass
        assert len(cis.requests) == 1
        assert seen(events, "reply_postponed") == []


async def test_a_store_that_goes_away_behind_a_dead_letter_takes_it_not_from_the_log(
    tmp_path: Path, events: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    give_up = SqlDeliveries.give_up

    async def given_up(self: SqlDeliveries, request_id: str, reason: str, at: datetime) -> None:
        await give_up(self, request_id, reason, at)
        monkeypatch.setattr(SqlDeliveries, "find", away)

    async def away(*_: object) -> None:
        raise StoreUnavailable("the store can't be read now")

    monkeypatch.setattr(SqlDeliveries, "give_up", given_up)
    async with Cis((500, NOT_IMPLEMENTED)).serving() as cis, north(tmp_path, events=events) as hes:
        await ask(hes, cis.url, "m1")
        (letter,) = await told(events, "reply_dead_letter")
        assert (letter["message_id"], letter["attempts"]) == ("m1", 1)


async def test_a_dead_letter_is_handed_to_who_asks_again(tmp_path: Path, events: list[Any]) -> None:
    async with Cis((501, b"")).serving() as cis:
        for life in (1, 2):
            async with north(tmp_path, events=events) as hes:
                reply = await ask(hes, cis.url, "m1")
                if life == 1:
                    assert [error.code for error in reply.errors] == ["0.3"]
                    await told(events, "reply_dead_letter")
                reply = await ask(hes, cis.url, "m1")
                assert (reply.result, reply.errors) == ("OK", ())
        assert len(seen(events, "request_accepted")) == 1


async def test_a_dead_letter_is_forgotten_with_other_answers(tmp_path: Path, events: list[Any]) -> None:
    clock = Clock()
    async with Cis((501, b"")).serving() as cis:
        async with north(tmp_path, environment=Environment(emit=into(events), now=clock)) as hes:
            await ask(hes, cis.url, "m1")
            await told(events, "reply_dead_letter")
        clock.at += timedelta(days=31)
        async with north(tmp_path, environment=Environment(emit=into(events), now=clock)):
            await told(events, "forgotten")
        async with north(tmp_path, environment=Environment(emit=into(events), now=clock)):
            assert len(seen(events, "dead_letters")) == 1


@pytest.mark.parametrize("deaf_addresses", [60, pytest.param(150, marks=pytest.mark.ci)])
async def test_deaf_receivers_do_not_delay_a_living_one(tmp_path: Path, events: list[Any], deaf_addresses: int) -> None:
    """It is served while all the others are still within their time, which is longer than a test may take."""
    async with AsyncExitStack() as stack:
        receivers = [await stack.enter_async_context(Receiver(deaf).serving()) for _ in range(deaf_addresses)]
        cis = await stack.enter_async_context(Cis().serving())
        hes = await stack.enter_async_context(
            north(tmp_path, reply_timeout_s=3600.0, events=events, guard=SWITCHES_MANY)
        )
        for number, receiver in enumerate(receivers):
            await ask(hes, receiver.url, f"deaf{number}")
        await ask(hes, cis.url, "living")
        message = wire.read_delivery(await cis.taken.get(), SCHEMAS).message
        assert message.header.correlation_id == "living"
        assert not [event for event in events if "no answer within 3600" in str(event.get("reason"))]


async def test_names_that_are_looked_up_for_long_do_not_delay_a_living_one(tmp_path: Path) -> None:
    """A look-up blocks a thread; those of the event loop are few and belong to everybody."""
    released = asyncio.Event()
    loop = asyncio.get_running_loop()

    def busy() -> None:
        asyncio.run_coroutine_threadsafe(released.wait(), loop).result()

    async with Cis().serving() as cis, north(tmp_path) as hes:
        threads = [loop.run_in_executor(None, busy) for _ in range(64)]
        await ask(hes, cis.url.replace("127.0.0.1", "localhost"), "m1")
        async with asyncio.timeout(PATIENCE_S):
            await cis.taken.get()
        released.set()
        await asyncio.gather(*threads)


async def test_a_fault_of_ours_ends_one_attempt_and_is_told(
    tmp_path: Path, events: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ami_hes.outbox import Outbox

    post = Outbox.post

    async def failing_once(self: Outbox, *what: Any, **how: Any) -> None:
        if not seen(events, "reply_failed"):
            raise ZeroDivisionError
        await post(self, *what, **how)

    monkeypatch.setattr(Outbox, "post", failing_once)
    async with Cis().serving() as cis, north(tmp_path, reply_retry_most_s=0.05, events=events) as hes:
        await ask(hes, cis.url, "m1")
        await cis.taken.get()
    (failed,) = seen(events, "reply_failed")
    assert "ZeroDivisionError" in failed["exception"]
