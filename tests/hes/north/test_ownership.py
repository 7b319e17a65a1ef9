"""Processes that share a store: whose partitions are whose, what a lost connection costs, and transactions that are as if one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Barrier

import pytest
from postgresql_server import Cluster
from stored_values import NOW, a_request, a_result, some_commands

from ami_hes.store import SCHEMA, Database, NotOwned, SqlCounters, SqlOwnership, SqlResults, StoreUnusable
from ami_process.store.holding import hold_store
from ami_process.store.places import Place
from ami_process.store.postgresql import Server
from ami_process.store.schema import found_revision

pytestmark = pytest.mark.needs("postgresql")


@asynccontextmanager
async def shared(place: Place) -> AsyncIterator[Database]:
    with hold_store(place, SCHEMA, shared=True) as held:
        async with Database(held) as database:
            yield database


@pytest.fixture
def server(postgresql: Cluster) -> Server:
    return postgresql.new_place()


async def cut(postgresql: Cluster, database: Database) -> None:
    """End its connection, as a network that fails."""
    pid = await database.transaction(lambda c: c.exec_driver_sql("SELECT pg_backend_pid()").scalar())
    assert postgresql.run(f"SELECT pg_terminate_backend({pid})") == [(True,)]


async def test_a_partition_is_one_processs_until_that_leaves_it_or_ends(server: Server) -> None:
    async with shared(server) as first, shared(server) as second:
        one, other = SqlOwnership(first), SqlOwnership(second)
        assert await one.take(range(6), 4) == frozenset(range(4))
        assert await other.take(range(6), 6) == {4, 5}
        assert (await one.sharing(), await other.sharing(), await one.sharing()) == (1, 2, 2)
        await one.leave([0, 1])
        assert await other.take(range(6), 6) == {0, 1, 4, 5}
        assert (await one.owned(), await other.owned()) == (frozenset({2, 3}), frozenset({0, 1, 4, 5}))
    async with shared(server) as third:
        assert await SqlOwnership(third).take(range(6), 6) == frozenset(range(6))


async def test_who_loses_the_connection_loses_the_partitions_and_begins_no_attempt(
    server: Server, postgresql: Cluster
) -> None:
    async with shared(server) as database, shared(server) as of_another:
        results, ownership = SqlResults(database, shared=True), SqlOwnership(database)
        await results.accept(a_request("r1"), some_commands("r1", "M1", "M2"))
        await ownership.take([7], 1)
        await results.attempt("r1", "M1", NOW)
        await results.attempt("r1", "M1", NOW)
        await cut(postgresql, database)
        with pytest.raises(NotOwned):
            await results.attempt("r1", "M2", NOW)
        with pytest.raises(NotOwned):
            await results.attempt("r1", "M1", NOW)
        assert await ownership.owned() == frozenset()
        assert await SqlOwnership(of_another).take([7], 1) == {7}
        assert await ownership.take([7], 1) == frozenset()
        assert {one.job.subject: one.attempted for one in await results.open_commands("r1")} == {
            "M1": True,
            "M2": False,
        }


async def test_what_was_taken_back_is_attempted_by_nobody_and_what_was_attempted_is_not_taken_back(
    server: Server,
) -> None:
    async with shared(server) as worker, shared(server) as front:
        one, other = SqlResults(worker, shared=True), SqlResults(front, shared=True)
        await other.accept(a_request("r1"), some_commands("r1", "M1", "M2", "M3"))
        await SqlOwnership(worker).take([7], 1)
        await one.attempt("r1", "M1", NOW)
        taken_back = await other.take_back([a_result("r1", name) for name in ("M1", "M2")])
        assert taken_back == {("r1", "M2")}
        assert await other.take_back([a_result("r1", "M2")]) == frozenset(), "it has its end"
        attempts = [one.attempt("r1", name, NOW) for name in ("M1", "M2", "M3")]
        assert [type(said) for said in await asyncio.gather(*attempts, return_exceptions=True)] == [
            type(None), NotOwned, type(None),
        ]  # fmt: skip
        assert {each.job.subject: each.attempted for each in await one.open_commands("r1")} == {"M1": True, "M3": True}


async def test_of_an_attempt_and_a_taking_back_at_once_one_is_done(server: Server) -> None:
    names = [f"M{number}" for number in range(40)]
    async with shared(server) as worker, shared(server) as front:
        one, other = SqlResults(worker, shared=True), SqlResults(front, shared=True)
        await other.accept(a_request("r1"), some_commands("r1", *names))
        await SqlOwnership(worker).take([7], 1)
        ends = await asyncio.gather(
            *(one.attempt("r1", name, NOW) for name in names),
            *(other.take_back([a_result("r1", name)]) for name in names),
            return_exceptions=True,
        )
        attempted = {name for name, end in zip(names, ends[:40], strict=True) if end is None}
        taken_back = {name for name, end in zip(names, ends[40:], strict=True) if end}
        assert attempted | taken_back == set(names) and not attempted & taken_back
        assert {each.job.subject for each in await one.open_commands("r1")} == attempted


async def test_a_new_connection_does_not_take_what_the_old_one_had_unnoticed(
    server: Server, postgresql: Cluster
) -> None:
    async with shared(server) as database, shared(server) as of_another:
        ownership = SqlOwnership(database)
        held = await ownership.take([7, 8], 2)
        assert await ownership.take([7, 8, 9], 3, held) == {7, 8, 9}
        await cut(postgresql, database)
        assert await database.transaction(lambda c: c.exec_driver_sql("SELECT 1").scalar()) == 1
        with pytest.raises(NotOwned):
            await ownership.take([7, 8, 9], 3, held)
        assert await SqlOwnership(of_another).take([7, 8], 2) == {7, 8}
        assert await ownership.take([7, 8, 9], 3) == {9}


async def test_of_two_that_save_the_last_results_one_sees_that_all_are_there(server: Server) -> None:
    async with shared(server) as first, shared(server) as second:
        one, other = SqlResults(first, shared=True), SqlResults(second, shared=True)
        requests = [f"r{number}" for number in range(30)]
        for name in requests:
            await one.accept(a_request(name), some_commands(name, "M1", "M2"))
        saved = await asyncio.gather(
            *(one.save([a_result(name, "M1")]) for name in requests),
            *(other.save([a_result(name, "M2")]) for name in requests),
        )
        complete = [done.request.request_id for batch in saved for done in batch]
        assert sorted(complete) == sorted(requests)


async def test_counters_are_reserved_for_one_of_them(server: Server) -> None:
    async with shared(server) as first, shared(server) as second:
        ranges = await asyncio.gather(
            *(SqlCounters(database).reserve_counters("key", 0, 10) for _ in range(10) for database in (first, second))
        )
        values = [value for one in ranges for value in range(*one)]
        assert len(set(values)) == len(values) == 200


async def test_a_store_is_shared_or_one_processs_alone(server: Server, tmp_path: Path) -> None:
    async with shared(server) as database:
        await SqlOwnership(database).owned()
        with pytest.raises(StoreUnusable, match="in use by another head-end system"), hold_store(server, SCHEMA):
            pass
    with hold_store(server, SCHEMA) as held:
        async with Database(held) as database:
            await SqlOwnership(database).owned()
            with pytest.raises(StoreUnusable, match="in use by another head-end system"):
                async with shared(server):
                    pass
    with pytest.raises(StoreUnusable, match="only a database is shared"):
        async with shared(tmp_path / "hes.sqlite"):
            pass


def test_processes_that_start_at_once_on_an_empty_database_make_its_tables_once(postgresql: Cluster) -> None:
    """As two front ends behind a balancer do, and all of them after a new database was given."""

    def opened(server: Server, together: Barrier) -> str:
        async def once() -> str:
            async with shared(server) as database:
                return str(await database.transaction(found_revision))

        together.wait()
        return asyncio.run(once())

    at_once = 6
    with ThreadPoolExecutor(at_once) as threads:
        for _ in range(3):
            server, together = postgresql.new_place(), Barrier(at_once)
            tries = [threads.submit(opened, server, together) for _ in range(at_once)]
            assert [one.result() for one in tries] == [SCHEMA.revision] * at_once
