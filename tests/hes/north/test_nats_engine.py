"""What the engine of many processes promises beyond the contract of all engines: shares, take-over, and a server that is gone or has lost everything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from engines import Opened
from nats_engine import by_nats
from nats_server import Broker, broker
from patience import PATIENCE_S
from postgresql_server import Cluster
from reported import Reported
from sqlalchemy import text
from stored_values import NOW, a_request, a_result, an_answer, some_commands

from ami_hes.commands import Lane
from ami_hes.engine import ANSWERED, LOST, ReplyJob, nats_commands, nats_engine
from ami_hes.engine.nats_engine import Front, Worker
from ami_hes.engine.nats_link import EngineUnavailable, NatsAddress, NatsLink
from ami_hes.engine.nats_take_back import owner_of
from ami_hes.engine.partitions import DIALLED_IN, FRONT, LINES, PARTITIONS, fair_share, partition_of, too_many
from ami_process.store.postgresql import Server

pytestmark = [pytest.mark.needs("nats"), pytest.mark.needs("postgresql")]
METERS = [f"M{number}" for number in range(40)]


@pytest.fixture
def own() -> Iterator[Broker]:
    """A server that a test may stop."""
    with broker() as one:
        yield one


@pytest.fixture
def server(postgresql: Cluster) -> Server:
    return postgresql.new_place()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


def owned(one: Opened) -> frozenset[int]:
    return one.engine.commands.owned  # type: ignore[attr-defined,no-any-return]


async def accepted(one: Opened, request_id: str, *meters: str) -> None:
    """And put, as by a front end."""
    jobs = some_commands(request_id, *meters)
    await one.results.accept(a_request(request_id), jobs)
    await one.engine.commands.put(jobs)


class Terms:
    """How often a front end began to do what one does for all, and ended it."""

    def __init__(self) -> None:
        self.began = self.ended = 0

    @asynccontextmanager
    async def _term(self) -> AsyncIterator[None]:
        self.began += 1
        try:
            yield
        finally:
            self.ended += 1

    @asynccontextmanager
    async def of(self, one: Opened) -> AsyncIterator[None]:
        working = asyncio.create_task(one.engine.charge.work(self._term))
        try:
            yield
        finally:
            working.cancel()
            await asyncio.wait([working])


def echo(name: bytes) -> Callable[[bytes], Awaitable[bytes]]:
    async def answer(asked: bytes) -> bytes:
        return name + b" " + asked

    return answer


async def lose_the_connection(server: Server) -> None:
    """By which a front end is in charge."""

    def terminate() -> None:
        engine = Server(server.url).engine()
        with engine.begin() as connection:
            these = f"locktype = 'advisory' AND granted AND objsubid = 2 AND objid = {FRONT}"
            connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_locks WHERE {these}"))
        engine.dispose()

    await asyncio.to_thread(terminate)


async def taken(one: Opened, number: int) -> list[tuple[str, str, bool]]:
    found: list[tuple[str, str, bool]] = []
    async with asyncio.timeout(PATIENCE_S):
        while len(found) < number:
            found += [
                (d.job.request_id, d.job.subject, d.redelivered) for d in await one.engine.commands.take(Lane, 99)
            ]
    return found


def test_every_partition_has_an_owner_when_each_worker_has_its_share() -> None:
    for workers in (1, 2, 3, 5, 64, 100):
        assert fair_share(workers) * workers >= PARTITIONS
    assert too_many(range(64), 2) == list(range(32, 64))
    assert too_many(range(22), 3) == []
    assert partition_of("AB-CD") == partition_of("ab-cd") < PARTITIONS
    assert partition_of("a", "feeder F12") == partition_of("b", "feeder F12")


async def test_workers_share_what_the_front_end_puts_and_a_dead_ones_part_goes_to_the_others(
    server: Server, nats: Broker
) -> None:
    address = NatsAddress((nats.server,), nats.new_system())
    async with by_nats(server, address, role=Front) as front, by_nats(server, address, role=Worker) as left:
        assert owned(front) == {DIALLED_IN, LINES}
        async with by_nats(server, address, role=Worker) as leaving:
            await until(lambda: len(owned(left)) == len(owned(leaving)) == PARTITIONS // 2)
            assert not owned(left) & owned(leaving)
            await accepted(front, "r1", *METERS)
            theirs = [name for name in METERS if partition_of(name.lower()) in owned(leaving)]
            first = await taken(leaving, len(theirs))
            assert sorted(first) == sorted(("r1", name, False) for name in theirs)
            await taken(left, len(METERS) - len(theirs))
            assert await front.engine.commands.pending(Lane.CONTROL) == len(METERS)
        again = await taken(left, len(theirs))
        assert sorted(again) == sorted(("r1", name, True) for name in theirs), "somebody had them in hand"
        assert len(owned(left)) == PARTITIONS


async def test_a_meters_commands_come_in_their_order_to_whoever_takes_over(server: Server, nats: Broker) -> None:
    address = NatsAddress((nats.server,), nats.new_system())
    async with by_nats(server, address, role=Front) as front:
        async with by_nats(server, address, role=Worker) as dead:
            for name in ("r1", "r2", "r3"):
                await accepted(front, name, "M1")
            assert await taken(dead, 1) == [("r1", "M1", False)]
        async with by_nats(server, address, role=Worker) as heir:
            for name in ("r1", "r2", "r3"):
                (delivery,) = await heir.engine.commands.take(Lane, 9)
                assert (delivery.job.request_id, delivery.redelivered) == (name, True)
                await delivery.done()
        assert await front.engine.commands.pending(Lane.CONTROL) == 0


async def test_one_front_end_is_in_charge_and_the_next_one_when_that_ends(server: Server, nats: Broker) -> None:
    address, terms = NatsAddress((nats.server,), nats.new_system()), Terms()
    async with by_nats(server, address, role=Worker) as worker, AsyncExitStack() as left:
        first = await left.enter_async_context(by_nats(server, address, role=Front))
        await left.enter_async_context(Terms().of(first))
        async with by_nats(server, address, role=Front) as second, terms.of(second):
            first.engine.charge.answer("who", echo(b"first"))
            second.engine.charge.answer("who", echo(b"second"))
            for one in (first, second):
                assert await one.engine.charge.ask("who", b"?") == b"first ?"
            assert (first.engine.charge.is_mine, second.engine.charge.is_mine, terms.began) == (True, False, 0)
            await left.aclose()
            await until(lambda: second.engine.charge.is_mine and terms.began == 1)
            async with by_nats(server, address, role=Front) as third:
                assert await third.engine.charge.ask("who", b"?") == b"second ?"
                await third.results.accept(
                    a_request("r1", reply_address="http://127.0.0.1/cim"), some_commands("r1", "M1")
                )
                await worker.results.answer({"r1": an_answer(b"<answer/>")}, NOW)
                request = await third.results.find("r1")
                assert request is not None
                for one in (third, worker):
                    await one.engine.replies.put([ReplyJob.of(request, timedelta(days=7))])
                assert [one.job.request_id for one in await second.engine.replies.take(9)] == ["r1"]


async def test_who_loses_its_connection_to_the_store_is_not_in_charge_before_all_of_that_has_ended(
    server: Server, nats: Broker
) -> None:
    address, terms, reported = NatsAddress((nats.server,), nats.new_system()), Terms(), Reported()
    async with by_nats(server, address, role=Front, emit=reported) as front, terms.of(front):
        await until(lambda: terms.began == 1)
        await lose_the_connection(server)
        await until(lambda: terms.began == 2)
        assert terms.ended == 1
        said = [one["event"] for one in reported.events if one["event"].startswith("charge")]
        assert said == ["charge_taken", "charge_lost", "charge_taken"]


# taking back


async def cancelled(one: Opened, request_id: str) -> list[str]:
    """And ended, as by who cancels it; the meters."""
    deliveries = await one.engine.commands.cancel(request_id)
    await one.results.take_back([a_result(request_id, delivery.job.subject) for delivery in deliveries])
    for delivery in deliveries:
        await delivery.done()
    return sorted(delivery.job.subject for delivery in deliveries)


def has(one: Opened) -> tuple[int, int]:
    """Commands in the lane of controls that wait in a process, and that are in hand there."""
    return one.engine.commands.here()[Lane.CONTROL]


async def test_what_waits_at_workers_is_taken_back_and_what_is_in_hand_goes_on(server: Server, nats: Broker) -> None:
    address = NatsAddress((nats.server,), nats.new_system())
    async with (
        by_nats(server, address, role=Front) as front,
        by_nats(server, address, role=Worker) as one,
        by_nats(server, address, role=Worker) as other,
    ):
        await until(lambda: len(owned(one)) == len(owned(other)) == PARTITIONS // 2)
        await accepted(front, "r1", *METERS)
        async with asyncio.timeout(PATIENCE_S):
            (in_hand,) = await one.engine.commands.take(Lane, 1)
        await accepted(front, "r2", in_hand.job.subject)
        await until(lambda: sum(map(sum, map(has, (one, other)))) == len(METERS) + 1)
        assert await cancelled(front, "r1") == sorted(set(METERS) - {in_hand.job.subject})
        assert await cancelled(front, "r1") == [], "what is in hand goes on"
        assert (has(one), has(other), await front.engine.commands.pending(Lane.CONTROL)) == ((1, 1), (0, 0), 2)
        await in_hand.done()
        assert await taken(one, 1) == [("r2", in_hand.job.subject, False)]


async def test_what_nobody_has_is_taken_back_but_for_what_was_attempted(server: Server, nats: Broker) -> None:
    address = NatsAddress((nats.server,), nats.new_system())
    async with by_nats(server, address, role=Front) as front:
        async with by_nats(server, address, role=Worker) as dead:
            await accepted(front, "r1", "M1", "M2", "M3")
            assert len(await taken(dead, 3)) == 3
            await dead.results.attempt("r1", "M2", NOW)
        assert await cancelled(front, "r1") == ["M1", "M3"]
        async with by_nats(server, address, role=Worker) as heir:
            assert await taken(heir, 1) == [("r1", "M2", True)]
            assert has(heir) == (0, 1)


async def test_an_owner_that_ends_while_it_is_asked_is_not_waited_for(server: Server, nats: Broker) -> None:
    address = NatsAddress((nats.server,), nats.new_system())
    async with by_nats(server, address, role=Front) as front, NatsLink.opened(address, Reported()) as dying:
        await accepted(front, "r1", "M1")
        was_asked = asyncio.Event()

        async def silent(_: bytes) -> None:
            was_asked.set()

        end = await dying.answer(owner_of(partition_of("m1")), silent)
        asking = asyncio.create_task(cancelled(front, "r1"))
        await was_asked.wait()
        await end()
        assert await asking == ["M1"]


async def test_what_was_given_up_and_not_ended_comes_again(
    server: Server, nats: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_commands, "ENDED_WITHIN_S", 0.2)
    address = NatsAddress((nats.server,), nats.new_system())
    async with by_nats(server, address, role=Front) as front, by_nats(server, address, role=Worker) as worker:
        await until(lambda: len(owned(worker)) == PARTITIONS)
        await accepted(front, "r1", "M1", "M2")
        await until(lambda: has(worker) == (2, 0))
        lost, put_back = await front.engine.commands.cancel("r1")
        await put_back.again(0.0)
        assert sorted(await taken(worker, 2)) == [("r1", "M1", True), ("r1", "M2", True)]
        assert {lost.job.subject, put_back.job.subject} == {"M1", "M2"}


async def test_what_nobody_has_accepted_is_not_worked(server: Server, nats: Broker) -> None:
    address = NatsAddress((nats.server,), nats.new_system())
    async with by_nats(server, address, role=Worker) as worker, NatsLink.opened(address, Reported()) as stranger:
        await until(lambda: len(owned(worker)) == PARTITIONS)
        await stranger.publish([(partition_of("m1"), job) for job in some_commands("r9", "M1")], again=False)
        await stranger._js.publish(f"{address.system}.control.1.a.b", b"no JSON")
        async with asyncio.timeout(PATIENCE_S):
            while await stranger.waiting(Lane.CONTROL):
                await asyncio.sleep(0.01)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await worker.engine.commands.take(Lane, 1)


async def test_while_the_server_is_away_nothing_has_room_and_what_was_accepted_is_put_later(
    server: Server, own: Broker
) -> None:
    address, reported = NatsAddress((own.server,), "t"), Reported()
    async with (
        by_nats(server, address, role=Front, emit=reported) as front,
        by_nats(server, address, role=Worker) as worker,
    ):
        own.stop()
        await until(lambda: bool(reported.seen("engine_outage")))
        with pytest.raises(EngineUnavailable):
            await front.engine.commands.pending(Lane.CONTROL)
        await accepted(front, "r1", "M1")
        own.start()
        assert [one[:2] for one in await taken(worker, 1)] == [("r1", "M1")]
        await until(lambda: bool(reported.seen("engine_outage_ended")))


async def test_a_server_that_has_lost_everything_costs_no_command(
    server: Server, own: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_engine, "PUT_AGAIN_EVERY_S", 0.2)
    address = NatsAddress((own.server,), "t")
    async with by_nats(server, address, role=Front) as front:
        async with by_nats(server, address, role=Worker) as dead:
            await accepted(front, "r1", *METERS)
            await taken(dead, len(METERS))
        lost = asyncio.Event()
        front.listen(LOST, lambda *_: lost.set())
        own.forget()
        own.start()
        async with by_nats(server, address, role=Worker) as worker:
            again = await taken(worker, len(METERS))
            assert sorted(again) == sorted(("r1", name, True) for name in METERS)
            async with asyncio.timeout(PATIENCE_S):
                await lost.wait()  # who paces campaigns and schedules puts theirs again


async def test_a_stream_that_is_full_takes_the_rest_when_it_has_room(server: Server, nats: Broker) -> None:
    system = nats.new_system()
    full = NatsAddress((nats.server,), system, room={Lane.CONTROL: 30})
    async with by_nats(server, full, role=Front) as front, by_nats(server, full, role=Worker) as worker:
        await accepted(front, "r1", *METERS)
        await accepted(front, "r1", *METERS)  # what is there already is no reason to be refused
        assert await front.engine.commands.pending(Lane.CONTROL) == len(METERS), "what was not taken counts as well"
        await front.engine.commands.put([replace(one, lane=Lane.READ) for one in some_commands("r2", "M1")])
        async with NatsLink.opened(full, Reported()) as link:
            assert await link.waiting(Lane.READ) == 1, "a full lane keeps no other back"
        in_hand = []
        async with asyncio.timeout(PATIENCE_S):
            while len(in_hand) < 30:
                in_hand += await worker.engine.commands.take(Lane, 99)
        for delivery in in_hand:
            await delivery.done()
        left = await taken(worker, 11)
        names = {name for request, name, _ in left if request == "r1"}
        assert names == set(METERS) - {one.job.subject for one in in_hand}
        wider = NatsAddress((nats.server,), system, room={Lane.CONTROL: 31})
        async with NatsLink.opened(wider, Reported()) as link:
            info = await link._js.stream_info(f"{system}-control")
            assert (info.config.max_msgs, info.state.messages) == (31, 10), "the settings of now hold"


async def test_a_reply_that_is_owed_by_a_worker_is_the_front_ends(server: Server, nats: Broker) -> None:
    address = NatsAddress((nats.server,), nats.new_system())
    async with by_nats(server, address, role=Front) as front, by_nats(server, address, role=Worker) as worker:
        await front.results.accept(a_request("r1", reply_address="http://127.0.0.1/cim"), some_commands("r1", "M1"))
        await worker.results.answer({"r1": an_answer(b"<answer/>")}, NOW)
        request = await worker.results.find("r1")
        assert request is not None
        await worker.engine.replies.put([ReplyJob.of(request, timedelta(days=7))])
        (delivery,) = await front.engine.replies.take(1)
        assert (delivery.job.request_id, delivery.job.address) == ("r1", "http://127.0.0.1/cim")


async def test_an_answer_of_a_worker_is_announced_to_who_waits_at_the_front_end(server: Server, nats: Broker) -> None:
    address = NatsAddress((nats.server,), nats.new_system())
    async with by_nats(server, address, role=Front) as front, by_nats(server, address, role=Worker) as worker:
        await front.results.accept(a_request("r1"), some_commands("r1", "M1"))
        waiting = asyncio.create_task(front.engine.answers.wait("r1", PATIENCE_S))
        await worker.results.answer({"r1": an_answer(b"<answer/>")}, NOW)
        await worker.engine.events.publish(ANSWERED, "r1", b"")
        assert await waiting == b"<answer/>"
