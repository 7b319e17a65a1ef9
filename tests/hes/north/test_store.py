"""The contract of the store's ports, on each kind of store: Results, Deliveries, Counters, ReceivedCounters."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from hypothesis import given, settings
from hypothesis import strategies as st
from postgresql_server import rows
from sizes import examples
from sqlalchemy import create_engine, select
from stored_values import NOW, a_request, a_result, an_answer, some_commands

from ami_hes.commands import CommandJob
from ami_hes.store import (
    ClaimTooHigh,
    CountersExhausted,
    Database,
    FailedDelivery,
    KeptMessage,
    NonceUsed,
    ReceivedKey,
    SpentId,
    SqlCounters,
    SqlDeliveries,
    SqlKeptMessages,
    SqlOutgoing,
    SqlReceivedCounters,
    SqlResults,
    StoredAnswer,
    StoredCommand,
    StoredRequest,
    StoreUnavailable,
    WaitingMessage,
    assume_the_worst,
)
from ami_hes.store.tables import SCHEMA, requests
from ami_process.store.migration import upgrade
from ami_process.store.places import Place


@asynccontextmanager
async def opened(place: Place) -> AsyncIterator[tuple[SqlResults, SqlCounters]]:
    async with Database(place) as database:
        yield SqlResults(database), SqlCounters(database)


def counted(database: Database) -> list[object]:
    """The transactions of this store from now on."""
    transactions: list[object] = []
    transaction = database.transaction

    async def counting(work: Any) -> Any:
        transactions.append(work)
        return await transaction(work)

    database.transaction = counting  # type: ignore[method-assign]
    return transactions


def first_schema(directory: Path) -> sqlite3.Connection:
    """An empty store as the first version made it, to be filled."""
    path = directory / "deeper" / "hes.sqlite"
    path.parent.mkdir()
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        scripts = ScriptDirectory(SCHEMA.migrations, version_locations=[str(SCHEMA.migrations)])
        upgrade(connection, scripts, "0001")
    engine.dispose()
    return sqlite3.connect(path)


async def open_commands(results: SqlResults) -> list[StoredCommand]:
    """Those of all requests."""
    query = select(requests.c.request_id).order_by(requests.c.request_id)
    ids = await results._database.transaction(lambda c: list(c.execute(query).scalars()))
    return [one for request_id in ids for one in await results.open_commands(request_id)]


def kept(*jobs: CommandJob) -> list[StoredCommand]:
    return [StoredCommand(job) for job in jobs]


async def test_what_is_accepted_is_there_as_it_was_given(place: Place) -> None:
    request = a_request(
        reply_address="http://127.0.0.1/cim",
        acknowledgement=b"<ack/>",
        source="CIS",
        partner='{"typed_reply": true}',
        query="what was asked",
    )
    async with opened(place) as (results, _):
        assert await results.find("r1") is None
        assert await results.accept(request, some_commands("r1", "M2", "M1")) is None
    async with opened(place) as (results, _):
        assert await results.find("r1") == request
        assert await open_commands(results) == kept(*some_commands("r1", "M2", "M1"))
        assert await results.unanswered() == ["r1"]
        assert await results.owed() == []


async def test_the_same_request_is_accepted_once(place: Place) -> None:
    async with opened(place) as (results, _):
        offers = [results.accept(a_request(digest=str(n)), some_commands("r1", "M1")) for n in range(5)]
        twins = [answer for answer in await asyncio.gather(*offers) if answer is not None]
        assert len(twins) == 4
        assert len({one.digest for one in twins}) == 1
        assert len(await open_commands(results)) == 1


async def test_nothing_is_accepted_by_half(place: Place) -> None:
    async with opened(place) as (results, _):
        with pytest.raises(Exception, match=r"(?i)unique"):
            await results.accept(a_request(), some_commands("r1", "M1", "M1"))
        assert await results.find("r1") is None


async def test_a_request_is_complete_with_its_last_result(place: Place) -> None:
    async with opened(place) as (results, _):
        await results.accept(a_request("r1"), some_commands("r1", "M1", "M2"))
        await results.accept(a_request("r2"), some_commands("r2", "M1"))
        assert await results.save([]) == []
        assert await results.save([a_result("r1", "M1")]) == []
        assert await open_commands(results) == kept(*some_commands("r1", "M2"), *some_commands("r2", "M1"))
        assert await results.completed(["r1", "r2"]) == []
        done = await results.save([a_result("r1", "M2"), a_result("r2", "M1")])
        assert sorted(one.request.request_id for one in done) == ["r1", "r2"]
        assert await open_commands(results) == []
        (one,) = [one for one in done if one.request.request_id == "r1"]
        assert [c.result for c in one.commands] == [a_result("r1", "M1"), a_result("r1", "M2")]
        assert await results.completed(["r1"]) == [one]
        await results.answer({"r1": an_answer(b"")}, NOW)
        assert [c.request.request_id for c in await results.completed(["r1", "r2"])] == ["r2"]


async def test_the_first_result_stays(place: Place) -> None:
    async with opened(place) as (results, _):
        await results.accept(a_request(), some_commands("r1", "M1"))
        await results.save([a_result("r1", "M1")])
        (one,) = await results.save([a_result("r1", "M1", ok=False, reason="later")])
        assert [c.result for c in one.commands] == [a_result("r1", "M1")]


async def test_an_answer_in_the_http_response_is_owed_to_nobody(place: Place) -> None:
    async with opened(place) as (results, _):
        await results.accept(a_request(), some_commands("r1", "M1"))
        await results.save([a_result("r1", "M1")])
        await results.answer({"r1": an_answer(b"<answer/>")}, NOW)
        assert (await results.find("r1")) == a_request(answer=b"<answer/>", result="OK")
        assert (await results.unanswered(), await results.owed()) == ([], [])


async def test_an_answer_to_a_reply_address_is_owed_until_it_is_taken(place: Place) -> None:
    async with opened(place) as (results, _):
        await results.accept(a_request(reply_address="http://127.0.0.1/"), some_commands("r1", "M1"))
        await results.save([a_result("r1", "M1")])
        await results.answer({"r1": an_answer(b"<answer/>")}, NOW)
        await results.answer({"r1": an_answer(b"<second/>", "FAILED")}, NOW)
    async with opened(place) as (results, _):
        assert await results.owed() == ["r1"]
        assert await results.find("r1") == a_request(
            reply_address="http://127.0.0.1/", answer=b"<answer/>", result="OK"
        )
        await results.replied("r1", NOW)
        assert await results.owed() == []


async def test_what_is_noted_with_a_request_counts_unless_it_was_refused(place: Place) -> None:
    async with Database(place) as database:
        results = SqlResults(database)
        noun = a_request("r1").noun
        for name in ("r1", "r2"):
            await results.accept(a_request(name), [])
            assert not await results.has_noted(noun, f"note of {name}")
            await results.note(name, f"note of {name}")
        assert await results.has_noted(noun, "note of r1") and not await results.has_noted("another", "note of r1")
        await results.answer({"r1": an_answer(b"<a/>"), "r2": an_answer(b"<b/>", "FAILED")}, NOW)
        assert [await results.has_noted(noun, f"note of {name}") for name in ("r1", "r2")] == [True, False]


async def test_requests_are_found_by_the_meters_that_they_are_for(place: Place) -> None:
    async with opened(place) as (results, _):
        for number, (name, meters) in enumerate([("r1", ("M1", "M2")), ("r2", ("M2",)), ("r3", ("M1",))]):
            await results.accept(
                a_request(name, accepted_at=NOW + timedelta(seconds=number)), some_commands(name, *meters)
            )
        await results.accept(a_request("other", noun="MeterReadings"), some_commands("other", "M1"))
        await results.accept(a_request("campaign", verb="created"), some_commands("campaign", "M1"))
        await results.save([a_result("r1", "M1"), a_result("r2", "M2")])

        async def found(*mrids: str, limit: int = 10, is_open: bool = False) -> list[str]:
            at = await results.requests_at("EndDeviceControls", {"create", "change"}, mrids, limit, is_open=is_open)
            return [one.request_id for one in at]

        assert await found("m1") == ["r3", "r1"] and await found("m1", "m2") == ["r3", "r2", "r1"]
        assert await found("m1", "m2", limit=2) == ["r3", "r2"] and await found("m9") == []
        assert await found("m1", is_open=True) == ["r3"] and await found("m2", is_open=True) == ["r1"]


async def test_what_is_about_to_leave_is_known_to_the_next_life(place: Place) -> None:
    async with opened(place) as (results, _):
        await results.accept(a_request("r1"), some_commands("r1", *(f"M{n}" for n in range(200))))
        await results.accept(a_request("r2"), some_commands("r2", "M1", "M300"))
        await asyncio.gather(*(results.attempt("r1", f"M{n}", NOW) for n in range(100)))
        await results.attempt("r1", "M1", NOW)
        await results.attempt("r2", "M300", NOW)
    async with opened(place) as (results, _):
        known = {
            (one.command.request_id, one.command.meter.name): one.attempted for one in await open_commands(results)
        }
        assert known == {("r1", f"M{n}"): n < 100 for n in range(200)} | {("r2", "M1"): False, ("r2", "M300"): True}
        await results.answer({"r1": an_answer(b"<a/>")}, NOW)
        assert await results.forget(NOW + timedelta(days=1), ids_kept=9) == 1
    assert rows(place, "SELECT request_id, meter_name FROM attempts") == [("r2", "M300")]


async def test_attempts_of_many_meters_share_their_commits(place: Place) -> None:
    async with Database(place) as database:
        results = SqlResults(database)
        await results.accept(a_request("r1"), some_commands("r1", *(f"M{n}" for n in range(1000))))
        transactions = counted(database)
        await asyncio.gather(*(results.attempt("r1", f"M{n}", NOW) for n in range(1000)))
        assert len(transactions) <= 2
        assert all(one.attempted for one in await open_commands(results))


async def test_a_store_that_is_locked_refuses_all_attempts_that_wait_and_takes_the_next(tmp_path: Path) -> None:
    async with Database(tmp_path / "hes.sqlite") as database:
        results = SqlResults(database)
        await results.accept(a_request("r1"), some_commands("r1", "M1", "M2"))
        await database.transaction(lambda c: c.exec_driver_sql("PRAGMA busy_timeout=0").close())
        other = sqlite3.connect(tmp_path / "hes.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        waiting = (results.attempt("r1", name, NOW) for name in ("M1", "M2"))
        refused = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(one) for one in refused] == [StoreUnavailable] * 2
        other.execute("ROLLBACK")
        other.close()
        await results.attempt("r1", "M2", NOW)
        assert [one.attempted for one in await open_commands(results)] == [False, True]


async def test_what_an_older_version_left_open_counts_as_attempted(tmp_path: Path) -> None:
    """Its store had no such table, so nothing there says that a control was not sent."""
    store = first_schema(tmp_path)
    with store:
        store.execute(
            "INSERT INTO requests (request_id, digest, noun, correlation_id, accepted_at, deadline_at, errors)"
            " VALUES ('r1', 'd', 'EndDeviceControls', 'c', '2026-11-20 12:00:00', '2026-11-20 12:00:30', '[]')"
        )
        store.executemany(
            "INSERT INTO commands (request_id, meter_name, position, mrid, control_code, finished_at)"
            " VALUES ('r1', ?, ?, ?, '3.31.0.23', ?)",
            [("M1", 0, "m1", "2026-11-20 12:00:01"), ("M2", 1, "m2", None)],
        )
    store.close()
    async with opened(tmp_path / "deeper/hes.sqlite") as (results, _):
        assert [(one.command.meter.name, one.attempted) for one in await open_commands(results)] == [("M2", True)]


async def test_old_answers_are_forgotten_and_debts_are_not(place: Place) -> None:
    async with opened(place) as (results, _):
        for request_id, address in (("old", None), ("new", None), ("owed", "http://127.0.0.1/"), ("open", None)):
            await results.accept(a_request(request_id, reply_address=address), some_commands(request_id, "M1"))
        for request_id, days in (("old", 0), ("new", 9), ("owed", 0)):
            await results.answer({request_id: an_answer(b"<a/>")}, NOW + timedelta(days=days))
        assert await results.forget(NOW + timedelta(days=5), ids_kept=9) == 1
        assert await results.find("old") is None
        assert [one.command.request_id for one in await open_commands(results)] == ["new", "open", "owed"]
        assert None not in [await results.find(one) for one in ("new", "owed", "open")]


async def test_ids_of_forgotten_requests_are_spent_and_their_number_is_bounded(place: Place) -> None:
    async with opened(place) as (results, _):
        for number in range(5):
            request = a_request(f"r{number}", accepted_at=NOW + timedelta(seconds=number))
            await results.accept(request, some_commands(request.request_id, "M1"))
            await results.answer({request.request_id: an_answer(b"<a/>")}, NOW)
        assert await results.forget(NOW + timedelta(days=1), ids_kept=3) == 5
    async with opened(place) as (results, _):
        for number in (2, 3, 4):
            with pytest.raises(SpentId) as spent:
                await results.accept(a_request(f"r{number}"), some_commands(f"r{number}", "M1"))
            assert spent.value.accepted_at == NOW + timedelta(seconds=number)
        assert await results.accept(a_request("r1"), some_commands("r1", "M1")) is None


async def test_counters_are_never_handed_out_twice(place: Place) -> None:
    async with opened(place) as (_, counters):
        reserve = counters.reserve_counters
        ranges = await asyncio.gather(*(reserve("k", 0, 10) for _ in range(20)))
        values = [value for first, limit in ranges for value in range(first, limit)]
        assert sorted(values) == list(range(200))
    async with opened(place) as (_, counters):
        assert await counters.reserve_counters("k", 0, 5) == (200, 205)


async def test_counters_of_many_keys_share_their_commits(place: Place) -> None:
    async with Database(place) as database:
        counters, transactions = SqlCounters(database), counted(database)
        ranges = await asyncio.gather(*(counters.reserve_counters(f"k{n}", n, 5) for n in range(1000)))
        assert ranges == [(n, n + 5) for n in range(1000)]
        assert len(transactions) <= 2


async def test_a_key_without_values_fails_alone_among_those_that_share_a_commit(place: Place) -> None:
    async with opened(place) as (_, counters):
        asked = (
            counters.reserve_counters("k", 7, 5),
            counters.reserve_counters("used up", 2**32, 5),
            counters.try_counters("claimed", 2**31 + 1, 8, max_jump=1),
            counters.reserve_counters("l", 9, 5),
        )
        first, used_up, claimed, last = await asyncio.gather(*asked, return_exceptions=True)
    assert (first, last) == ((7, 12), (9, 14))
    assert isinstance(used_up, CountersExhausted) and isinstance(claimed, ClaimTooHigh)


async def test_counters_go_above_what_the_meter_has_seen_and_never_back(place: Place) -> None:
    async with opened(place) as (_, counters):
        assert await counters.reserve_counters("k", 1_000, 5) == (1_000, 1_005)
        assert await counters.reserve_counters("k", 3, 5) == (1_005, 1_010)
        assert await counters.reserve_counters("another key", 3, 5) == (3, 8)


async def test_values_that_were_tried_are_spent_and_the_counter_stays_where_it_is(place: Place) -> None:
    async with opened(place) as (_, counters):
        assert await counters.reserve_counters("k", 0, 5) == (0, 5)
        assert await counters.try_counters("k", 3, 8, max_jump=100) is None, "we are there already"
        assert await counters.try_counters("k", 20, 8, max_jump=100) == (20, 28)
        assert await counters.try_counters("k", 20, 8, max_jump=100) == (28, 36)
        assert await counters.reserve_counters("k", 0, 5) == (5, 10)
        assert await counters.reserve_counters("k", 0, 10) == (10, 20)
        with pytest.raises(ClaimTooHigh, match=r"121.*20.*120"):
            await counters.try_counters("k", 121, 8, max_jump=100)
        assert await counters.reserve_counters("k", 0, 5) == (36, 41)
        assert await counters.try_counters("k", 120, 8, max_jump=100) == (120, 128)
        assert await counters.reserve_counters("k", 128, 5) == (128, 133), "confirmed"


async def test_claims_that_are_tried_in_vain_again_and_again_come_to_an_end(place: Place) -> None:
    async with opened(place) as (_, counters):
        assert await counters.reserve_counters("k", 0, 5) == (0, 5)
        tried: list[Any] = []
        with pytest.raises(ClaimTooHigh):
            while True:
                tried.append(await counters.try_counters("k", 20, 8, max_jump=100))
        assert max(limit for _, limit in tried) <= 5 + 2 * 100 + 8
        assert await counters.reserve_counters("k", 0, 5) == (5, 10), "ours goes on all the same"


@settings(max_examples=examples(30), deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 60), st.integers(1, 8)), max_size=25))
def test_no_order_of_claims_and_reservations_hands_a_value_out_twice(asked: list[tuple[bool, int, int]]) -> None:
    async def work(directory: Path) -> None:
        seen: set[int] = set()
        async with opened(directory / "hes.sqlite") as (_, counters):
            for claimed, at_least, count in asked:
                handed = None
                if claimed:
                    with suppress(ClaimTooHigh):
                        handed = await counters.try_counters("k", at_least, count, max_jump=20)
                else:
                    handed = await counters.reserve_counters("k", at_least // 8, count)
                if handed is not None:
                    values = set(range(*handed))
                    assert not values & seen
                    seen |= values

    with TemporaryDirectory() as directory:
        asyncio.run(work(Path(directory)))


async def test_counters_of_an_older_store_go_on_by_their_keys(tmp_path: Path) -> None:
    store = first_schema(tmp_path)
    with store:
        store.executemany("INSERT INTO counters VALUES (?, ?, ?)", [("M1", "k", 100), ("M2", "k", 300), ("M3", "l", 7)])
    store.close()
    async with opened(tmp_path / "deeper/hes.sqlite") as (_, counters):
        assert await counters.reserve_counters("k", 0, 5) == (300, 305)
        assert await counters.reserve_counters("l", 0, 5) == (7, 12)


async def test_counters_end_with_32_bits(place: Place) -> None:
    async with opened(place) as (_, counters):
        assert await counters.reserve_counters("k", 2**32 - 3, 10) == (2**32 - 3, 2**32)
        with pytest.raises(CountersExhausted):
            await counters.reserve_counters("k", 0, 1)
        with pytest.raises(CountersExhausted):
            await counters.try_counters("another", 2**32 - 3, 10, max_jump=2**32)
        with pytest.raises(ValueError, match="negative"):
            await counters.reserve_counters("k", -1, 1)


async def test_what_was_received_is_kept_and_never_goes_back(place: Place) -> None:
    one, other = ReceivedKey("LDN1", "k", "association"), ReceivedKey("LDN1", "k", "push")
    async with Database(place) as database:
        received = SqlReceivedCounters(database)
        assert await received.load() == {}
        await asyncio.gather(*(received.keep(one, lowest) for lowest in (5, 9, 7)), received.keep(other, 3))
        await received.keep(one, 8)
    async with Database(place) as database:
        assert await SqlReceivedCounters(database).load() == {one: 9, other: 3}


async def test_deliveries_that_fail_are_counted_over_lives_until_they_are_given_up(place: Place) -> None:
    later = NOW + timedelta(hours=1)
    async with Database(place) as database:
        results, deliveries = SqlResults(database), SqlDeliveries(database)
        for request_id in ("r1", "r2"):
            await results.accept(a_request(request_id, reply_address="http://127.0.0.1/"), [])
            await results.answer({request_id: an_answer(b"<a/>")}, NOW)
        assert await deliveries.find("r1") is None
        assert await deliveries.failed("r1", "refused", NOW) == FailedDelivery("r1", 1, NOW, "refused")
    async with Database(place) as database:
        results, deliveries = SqlResults(database), SqlDeliveries(database)
        assert await deliveries.failed("r1", "timed out", later) == FailedDelivery("r1", 2, NOW, "timed out")
        assert (await results.owed(), await deliveries.dead_letters()) == (["r1", "r2"], 0)
        await deliveries.give_up("r1", "too often", later)
        await deliveries.give_up("r2", "never tried", later)
        assert await deliveries.find("r1") == FailedDelivery("r1", 2, NOW, "too often", later)
        assert await deliveries.find("r2") == FailedDelivery("r2", 0, later, "never tried", later)
        assert (await results.owed(), await deliveries.dead_letters()) == ([], 2)
        assert await results.forget(later, ids_kept=9) == 2
        assert (await deliveries.find("r1"), await deliveries.dead_letters()) == (None, 0)


async def test_what_was_taken_or_given_up_is_owed_again(place: Place) -> None:
    later, address = NOW + timedelta(hours=1), "http://127.0.0.1/"
    async with Database(place) as database:
        results, deliveries, outgoing = SqlResults(database), SqlDeliveries(database), SqlOutgoing(database)
        for request_id in ("taken", "dead", "owed"):
            await results.accept(a_request(request_id, reply_address=address), [])
            await results.answer({request_id: StoredAnswer("OK", b"<1/>", (b"<2/>",))}, NOW)
            await results.part_taken(request_id, 1)
        await results.replied("taken", NOW)
        await deliveries.give_up("dead", "too often", NOW)
        assert await outgoing.dead_letters() == ["dead"]
        ids = ["taken", "dead", "owed", "unknown"]
        again = await outgoing.owe_again(ids, later, whole=False, addresses={"mdm": "http://127.0.0.2/"})
        assert again == [("dead", address), ("taken", address)]
        assert await results.owed() == ["dead", "owed", "taken"]
        assert [await deliveries.owed_since(one) for one in ids] == [later, later, None, None]
        assert (await deliveries.find("dead"), await outgoing.dead_letters()) == (None, [])
        part = await results.next_part("dead")
        assert part is not None and part.number == 2
        await deliveries.give_up("dead", "too often", NOW)
        await outgoing.owe_again(["dead"], later, whole=True, addresses={})
        part = await results.next_part("dead")
        assert part is not None and part.number == 1
        await deliveries.give_up("dead", "too often", NOW)
        assert await results.drop(ids, ids_kept=9) == 1
        assert await results.owed() == ["owed", "taken"]
        with pytest.raises(SpentId):
            await results.accept(a_request("dead"), [])


async def test_an_event_is_published_once_and_found_by_its_subscriber_and_its_time(place: Place) -> None:
    def event(name: str, hours: int) -> StoredRequest:
        at = NOW + timedelta(hours=hours)
        more = {"verb": "created", "reply_address": "http://127.0.0.1/", "accepted_at": at, "answer": b"<a/>"}
        return a_request(name, result="OK", **more)

    async with Database(place) as database:
        results, outgoing = SqlResults(database), SqlOutgoing(database)
        for name, hours in (("e1", 0), ("e2", 1), ("e3", 2)):
            assert await outgoing.publish(event(name, hours), "mdm" if name != "e2" else "other") is True
        assert await outgoing.publish(event("e1", 5), "mdm") is True, "it is owed still"
        assert await results.owed() == ["e1", "e2", "e3"]
        assert await results.next_part("e1") == (1, b"<a/>", True)
        await results.replied("e1", NOW)
        assert await outgoing.publish(event("e1", 5), "mdm") is False
        week = NOW + timedelta(days=7)
        assert await outgoing.published("mdm", NOW, week) == ["e1", "e3"]
        assert await outgoing.published("mdm", NOW + timedelta(seconds=1), week) == ["e3"]
        assert await outgoing.published("mdm", NOW, NOW + timedelta(hours=2)) == ["e1"]
        moved = await outgoing.owe_again(["e1", "e3"], NOW, whole=True, addresses={"mdm": "http://127.0.0.2/"})
        assert moved == [("e1", "http://127.0.0.2/")]
        found = [await results.find(name) for name in ("e2", "e3")]
        assert [one and one.reply_address for one in found] == ["http://127.0.0.1/", "http://127.0.0.2/"]
        await results.replied("e1", NOW)
        assert await results.forget(NOW + timedelta(minutes=1), ids_kept=9) == 1
        assert await outgoing.publish(event("e1", 5), "mdm") is False, "it is forgotten, and was taken"


async def test_messages_wait_until_their_request_is_answered(place: Place) -> None:
    async with Database(place) as database:
        results, messages = SqlResults(database), SqlKeptMessages(database)
        for name, source in (("late", "MDM"), ("early", None), ("done", "MDM")):
            accepted_at = NOW - timedelta(hours=name == "early")
            await results.accept(a_request(name, source=source, accepted_at=accepted_at), [])
            await messages.keep(name, f"<{name}/>".encode())
        await messages.keep("late", b"<other/>")
        await results.answer({"done": an_answer(b"<answer/>")}, NOW)
        assert await messages.waiting() == [WaitingMessage("early", None, 8), WaitingMessage("late", "MDM", 7)]
        assert [await messages.read(name) for name in ("late", "early", "done")] == [
            KeptMessage(b"<late/>", False),
            KeptMessage(b"<early/>", False),
            None,
        ]
        said = await database.transaction(assume_the_worst)
        assert "2 messages that were acknowledged" in said
        assert await messages.read("late") == KeptMessage(b"<late/>", True), (
            "its operations may have been done since the copy"
        )
        await messages.drop("late")
        assert await messages.waiting() == [WaitingMessage("early", None, 8)]


async def test_a_nonce_is_taken_once_and_goes_with_its_request(place: Place) -> None:
    async with opened(place) as (results, _):
        assert await results.accept(a_request("r1"), [], "nonce") is None
        with pytest.raises(NonceUsed):
            await results.accept(a_request("r2"), [], "nonce")
        assert await results.find("r2") is None
        await results.answer({"r1": an_answer(b"<a/>")}, NOW)
        assert await results.forget(NOW + timedelta(days=1), ids_kept=9) == 1
        assert await results.accept(a_request("r2"), [], "nonce") is None


async def test_a_commit_is_on_the_disk_and_not_only_promised(tmp_path: Path) -> None:
    """Another connection sees it although the first is still open; WAL, and every commit synchronous."""
    async with opened(tmp_path / "deeper/hes.sqlite") as (results, counters):
        await results.accept(a_request(), some_commands("r1", "M1"))
        await counters.reserve_counters("k", 0, 10)
        other = sqlite3.connect(tmp_path / "deeper" / "hes.sqlite")
        assert other.execute("SELECT next_value FROM key_counters").fetchall() == [(10,)]
        assert other.execute("SELECT request_id FROM requests").fetchall() == [("r1",)]
        assert other.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
        other.close()
