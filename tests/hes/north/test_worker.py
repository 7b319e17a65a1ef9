"""The worker and what comes again: how far a command got is in the store, and what can't be read of one keeps no other back."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from engines import embedded
from north_bench import DISCONNECT, SCHEMAS, Cis, StandIn, control, north, registry, request
from patience import PATIENCE_S
from reported import ignore
from stored_values import NOW, a_request, a_result, an_answer, some_commands

from ami_cim import wire
from ami_cim.message import Header, Reply
from ami_hes.commands import Lane, Outcome
from ami_hes.jobs import AnswerMaker, Backoff, CommandWorker, Context, Groups, LaneLimits, WorkerLimits, Writing, worker
from ami_hes.jobs.answer_writing import FUNCTION
from ami_hes.operations import Assignment
from ami_hes.outbox import format_answer
from ami_hes.store import SqlDeliveries, SqlKeptMessages, SqlOutgoing, StoreUnavailable
from ami_process.environment import Environment
from ami_process.worker import Worker


def limits() -> WorkerLimits:
    one = LaneLimits(timedelta(seconds=30), pending=1, sessions=1, retries=Backoff(0.01, 0.01, 1))
    return WorkerLimits(dict.fromkeys(Lane, one), Groups(registry()))


async def test_an_answer_that_was_not_handed_on_is_when_its_command_comes_again(tmp_path: Path) -> None:
    """As with an engine whose queue survives the process: it died between the answer and the reply job."""
    stand_in = StandIn()
    async with embedded(tmp_path / "hes.sqlite") as opened:
        results, engine = opened.results, opened.engine
        context = Context(
            results,
            SqlDeliveries(results._database),
            engine,
            SCHEMAS,
            "HES",
            Environment(emit=ignore, now=lambda: NOW),
            timedelta(days=7),
            SqlOutgoing(results._database),
            SqlKeptMessages(results._database),
        )
        (job,) = some_commands("r1", "M1")
        await results.accept(a_request("r1", reply_address="http://127.0.0.1/cim"), [job])
        await results.save([a_result("r1", "M1")])
        message = context.message(Header(verb="create", noun="EndDeviceControls", message_id="r1"), Reply(result="OK"))
        await results.answer({"r1": an_answer(format_answer(message, SCHEMAS))}, NOW)
        engine.commands.restore([job])  # type: ignore[attr-defined]
        working = asyncio.create_task(
            CommandWorker(
                context, AnswerMaker(context, Writing(Worker(FUNCTION), 1_000_000)), registry(), stand_in, limits()
            ).work()
        )
        (reply,) = await engine.replies.take(1)
        assert reply.job.request_id == "r1"
        async with asyncio.timeout(PATIENCE_S):
            while await engine.commands.pending(Lane.CONTROL):
                await asyncio.sleep(0)
        assert stand_in.commands == [], "what has its result is not worked again"
        working.cancel()
        await asyncio.wait([working])


@pytest.mark.parametrize("acts", [False, True])
async def test_a_store_that_is_away_while_a_command_is_worked_is_no_end_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, acts: bool
) -> None:
    """It comes again, and whoever works it then knows whether anything was attempted."""

    class Away(StandIn):
        async def __call__(self, assignment: Assignment) -> Outcome:
            outcome = await super().__call__(assignment)
            if len(self.commands) == 1:
                raise StoreUnavailable("the server is restarted")
            return outcome

    monkeypatch.setattr(worker, "AGAIN_S", 0.01)
    stand_in, told = Away(acts=acts), []
    async with north(tmp_path, stand_in, events=told) as hes:
        assert (await hes.ask(request(control(DISCONNECT, "M1")))).reply.result == "OK"
    assert [attempted for _, _, attempted in stand_in.told()] == [False, acts]
    assert not [one for one in told if one["event"] == "operation_failed"]


async def test_a_request_whose_rows_cannot_be_read_is_answered_as_what_it_is_and_the_next_as_usual(
    tmp_path: Path,
) -> None:
    stand_in = StandIn()
    stand_in.open.clear()
    async with Cis().serving() as cis:
        asked = {"async_reply_flag": True, "reply_address": cis.url, "timestamp": datetime.now(UTC)}
        async with north(tmp_path, stand_in) as hes:
            for number in (1, 2):
                await hes.ask(request(control(DISCONNECT, f"M{number}"), message_id=f"r{number}", **asked))
            async with asyncio.timeout(PATIENCE_S):
                while stand_in.at_work < 2:
                    await asyncio.sleep(0)
        store = sqlite3.connect(tmp_path / "hes.sqlite")
        with store:
            store.execute("UPDATE requests SET errors = 'no JSON' WHERE request_id = 'r1'")
        store.close()
        async with north(tmp_path):
            replies = {}
            for _ in range(2):
                late = wire.read_delivery(await cis.taken.get(), SCHEMAS).message
                replies[late.header.correlation_id] = late.reply  # type: ignore[union-attr]
    assert (replies["r2"].result, replies["r1"].result) == ("OK", "FAILED")
    (error,) = replies["r1"].errors
    assert error.code == "5.3" and "its answer could not be written" in (error.reason or "")
