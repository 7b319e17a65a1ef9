"""What the CIS keeps: for its owner alone, not for ever, and never more than there is room for."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from postgresql_server import rows

from ami_cis.store import (
    MessageIdUsed,
    Retention,
    SentRequest,
    State,
    Store,
    StoreUnavailable,
    StoreUnusable,
    TakenEvent,
    TakenReply,
)
from ami_process.store.places import Place

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def an_event(number: int, octets: int = 10, at: datetime = NOW) -> TakenEvent:
    return TakenEvent(f"e-{number}", "created", "EndDeviceControls", bytes(octets), at + timedelta(seconds=number))


def a_request(message_id: str, at: datetime) -> SentRequest:
    return SentRequest(message_id, message_id, "create", "EndDeviceControls", "3.31.0.23", ("M1001",), True, at)


def kept_events(place: Place) -> list[object]:
    return [message_id for (message_id,) in rows(place, "SELECT message_id FROM events ORDER BY received_at")]


def on_disk(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.iterdir())


async def test_a_flood_of_events_leaves_the_newest_and_a_file_that_does_not_grow(tmp_path: Path) -> None:
    path = tmp_path / "cis.sqlite"
    async with Store.opened(path, Retention(events=1_000, event_octets=1_000_000)) as store:
        for number in range(400):  # 20 MB
            assert await store.add_event(an_event(number, 50_000))
        assert not await store.add_event(an_event(399, 50_000))
        assert on_disk(tmp_path) < 8_000_000
    kept = kept_events(path)
    assert 18 <= len(kept) <= 22
    assert kept[-1] == "e-399"


async def test_only_so_many_events_are_kept(place: Place) -> None:
    async with Store.opened(place, Retention(events=50)) as store:
        for number in range(300):
            await store.add_event(an_event(number))
    kept = kept_events(place)
    assert 50 <= len(kept) <= 55
    assert kept[-1] == "e-299"


async def test_what_is_too_old_is_forgotten_with_its_replies(place: Place) -> None:
    async with Store.opened(place, Retention(age=timedelta(days=30))) as store:
        for name, age in (("old", 31), ("young", 29)):
            at = NOW - timedelta(days=age)
            await store.add_request(a_request(name, at))
            await store.add_reply(name, TakenReply("d", True, "OK", (), at))
            await store.add_event(an_event(age, at=at))
        assert await store.forget(NOW) == 2
        assert await store.find_request(["old"]) is None
        assert await store.replies("old") == []
        assert await store.find_request(["young"]) is not None
        assert len(await store.replies("young")) == 1
    assert kept_events(place) == ["e-29"]


async def test_another_request_under_a_used_message_id_is_refused_and_the_record_stays(place: Place) -> None:
    async with Store.opened(place) as store:
        await store.add_request(first := a_request("m-1", NOW), b"<first/>")
        for other in ({"code": "3.31.0.18"}, {"meters": ("M1002",)}, {"correlation_id": "c"}, {"asynchronous": False}):
            with pytest.raises(MessageIdUsed, match="m-1"):
                await store.add_request(replace(first, sent_at=NOW + timedelta(hours=1), **other), b"<other/>")
        assert await store.outgoing() == [(first, b"<first/>")]


async def test_the_same_request_once_more_is_on_its_way_again_unless_it_is_answered(place: Place) -> None:
    again = replace(first := a_request("m-1", NOW), sent_at=NOW + timedelta(hours=1))
    async with Store.opened(place) as store:
        await store.add_request(first, b"<first/>")
        await store.move("m-1", State.UNKNOWN, "no answer")
        await store.add_request(again, b"<again/>")
        assert await store.outgoing() == [(again, b"<again/>")]
        await store.add_reply("m-1", TakenReply("d", True, "OK", (), NOW))
        await store.add_request(first, b"<third/>")
        assert await store.find_request(["m-1"]) == replace(again, state=State.ANSWERED)
        assert await store.outgoing() == []


async def test_a_reply_and_an_event_count_once_and_a_final_reply_closes_the_request(place: Place) -> None:
    reply = TakenReply("d", True, "PARTIAL", ({"code": "2.4", "reason": None, "meter": "M1001"},), NOW)
    async with Store.opened(place) as store:
        await store.add_request(a_request("m-1", NOW), b"<request/>")
        part = TakenReply("p", False, "OK", (), NOW)
        assert [await store.add_reply("m-1", one) for one in (part, part, reply, reply)] == [True, False, True, False]
        assert [await store.add_event(an_event(1)) for _ in range(2)] == [True, False]
    async with Store.opened(place) as store:
        assert await store.replies("m-1") == [part, reply]
        assert await store.find_request(["m-1"]) == replace(a_request("m-1", NOW), state=State.ANSWERED)
        assert (await store.count(State.ANSWERED), await store.outgoing()) == (1, [])


async def test_the_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deeper" / "cis.sqlite"
    path.parent.mkdir()
    path.touch(mode=0o644)
    async with Store.opened(path) as store:
        await store.add_event(an_event(1))
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == dict.fromkeys(("cis.sqlite", "cis.sqlite-wal", "cis.sqlite-shm"), 384)


async def test_a_store_that_is_locked_says_so(tmp_path: Path) -> None:
    path = tmp_path / "cis.sqlite"
    async with Store.opened(path) as store:
        await store.check()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable, match="locked"):
                await store.check()
        await store.check()


async def test_a_file_that_is_no_store_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "cis.sqlite"
    path.write_text("this is a shopping list\n" * 100)
    with pytest.raises(StoreUnusable, match=r"cis\.sqlite can't be used as a store"):
        async with Store.opened(path):
            pass
