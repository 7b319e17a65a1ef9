"""The contract of the other ports of an engine: waiting for an answer, events, and what its next start makes of what was open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from engines import Opened, OpenEngine
from reported import Reported
from stored_values import NOW, a_request, a_result, an_answer, some_commands

from ami_hes.commands import Lane
from ami_hes.engine import ANSWERED, Stopping
from ami_hes.store import Database, SqlResults
from ami_process.store.places import Place

ADDRESS = "http://127.0.0.1/cim"


SOON_S = 20.0


@pytest.fixture
async def opened(open_engine: OpenEngine) -> AsyncIterator[Opened]:
    async with open_engine() as one:
        yield one


async def accept(results: SqlResults, request_id: str, *meters: str, **changes: Any) -> None:
    assert await results.accept(a_request(request_id, **changes), some_commands(request_id, *meters)) is None


# waiting for an answer


async def test_an_answer_that_is_there_is_given_at_once(opened: Opened) -> None:
    await accept(opened.results, "r1", "M1")
    await opened.results.answer({"r1": an_answer(b"<answer/>")}, NOW)
    assert await opened.engine.answers.wait("r1", 0.0) == b"<answer/>", "however late it is"


async def test_an_answer_that_is_announced_is_given_to_all_who_wait(opened: Opened) -> None:
    await accept(opened.results, "r1", "M1")
    waiting = [asyncio.create_task(opened.engine.answers.wait("r1", SOON_S)) for _ in range(3)]
    await asyncio.sleep(0)
    await opened.results.answer({"r1": an_answer(b"<answer/>")}, NOW)
    await opened.engine.events.publish(ANSWERED, "r1", b"")
    assert await asyncio.gather(*waiting) == [b"<answer/>"] * 3


async def test_an_answer_that_another_process_has_made_is_found(open_engine: OpenEngine, place: Place) -> None:
    async with open_engine(look_every_s=0.01) as opened:
        await accept(opened.results, "r1", "M1")
        waiting = asyncio.create_task(opened.engine.answers.wait("r1", SOON_S))
        await asyncio.sleep(0)
        async with Database(place) as of_another:
            await SqlResults(of_another).answer({"r1": an_answer(b"<answer/>")}, NOW)
        assert await waiting == b"<answer/>"


async def test_who_waits_in_vain_is_let_go(opened: Opened) -> None:
    await accept(opened.results, "r1", "M1")
    with pytest.raises(TimeoutError):
        await opened.engine.answers.wait("r1", 0.05)
    with pytest.raises(LookupError):
        await opened.engine.answers.wait("r2", SOON_S)


async def test_who_waits_when_the_engine_stops_is_let_go(opened: Opened) -> None:
    await accept(opened.results, "r1", "M1")
    waiting = asyncio.create_task(opened.engine.answers.wait("r1", SOON_S))
    await asyncio.sleep(0)
    opened.engine.answers.stop()
    with pytest.raises(Stopping):
        await waiting


# events


async def test_the_same_event_twice_counts_once(opened: Opened) -> None:
    heard: list[tuple[str, bytes]] = []
    opened.listen("meters", lambda event_id, body: heard.append((event_id, body)))
    for event_id, subject in (("e1", "meters"), ("e1", "meters"), ("e2", "meters"), ("e1", "others")):
        await opened.engine.events.publish(subject, event_id, event_id.encode())
    assert heard == [("e1", b"e1"), ("e2", b"e2")]


# the next start


async def test_what_was_open_is_delivered_again_in_its_order(open_engine: OpenEngine) -> None:
    async with open_engine() as one:
        await accept(one.results, "r2", "M1", "M2", accepted_at=NOW)
        await accept(one.results, "r1", "M1", "M3", accepted_at=NOW + timedelta(seconds=1))
        await one.results.save([a_result("r2", "M2")])
    async with open_engine() as one:
        taken = await one.engine.commands.take(Lane, 9)
        assert [(d.job.request_id, d.job.subject, d.redelivered) for d in taken] == [
            ("r2", "M1", True),
            ("r1", "M3", True),
        ]
        await taken[0].done()
        assert [d.job.request_id for d in await one.engine.commands.take(Lane, 9)] == ["r1"]


async def test_what_lacks_only_its_answer_is_delivered_once(open_engine: OpenEngine) -> None:
    async with open_engine() as one:
        await accept(one.results, "r1", "M1", "M2")
        await one.results.save([a_result("r1", "M1"), a_result("r1", "M2")])
    async with open_engine() as one:
        (delivery,) = await one.engine.commands.take(Lane, 9)
        assert (delivery.job.request_id, delivery.redelivered) == ("r1", True)
        assert await one.engine.commands.pending(Lane.CONTROL) == 1


async def test_what_is_owed_is_delivered_again_until_it_was_taken(open_engine: OpenEngine) -> None:
    async with open_engine() as one:
        await accept(one.results, "r1", "M1", reply_address=ADDRESS)
        await one.results.answer({"r1": an_answer(b"<answer/>")}, NOW)
    async with open_engine() as one:
        (delivery,) = await one.engine.replies.take(9)
        assert (delivery.job.address, delivery.job.give_up_at) == (ADDRESS, NOW + timedelta(days=7))
        assert await one.engine.commands.pending(Lane.CONTROL) == 0
        await one.results.replied("r1", NOW)
    async with open_engine() as one:
        assert await one.engine.replies.pending() == 0


async def test_a_request_that_cannot_be_read_keeps_no_other_back(open_engine: OpenEngine, place: Place) -> None:
    async with open_engine() as one:
        for request_id in ("r1", "r2", "r3"):
            await accept(one.results, request_id, request_id.upper(), accepted_at=NOW)
    no_time = "tomorrow" if isinstance(place, Path) else "infinity"
    async with Database(place) as database:
        spoil = f"UPDATE requests SET deadline_at = '{no_time}' WHERE request_id = 'r2'"
        await database.transaction(lambda c: c.exec_driver_sql(spoil).close())
    reported = Reported()
    async with open_engine(emit=reported) as one:
        assert [d.job.request_id for d in await one.engine.commands.take(Lane, 9)] == ["r1", "r3"]
    (failed,) = reported.seen("recovery_failed")
    assert failed["message_id"] == "r2"
