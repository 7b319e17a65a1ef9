"""What front ends know in common, on a real server: each claim is one's alone, a session is everybody's, and the audit log is one chain whoever writes it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from postgresql_server import Cluster
from stored_values import NOW
from test_ownership import shared

from ami_hes.audit import AuditEntry, What, follow, parse_entry
from ami_hes.store import Database, SqlAudit, SqlConsoleSessions, SqlSeenMessages, StoredSession
from ami_hes.store.restored import assume_the_worst
from ami_process.replay_memory import MemoryFull
from ami_process.store.postgresql import Server

pytestmark = pytest.mark.needs("postgresql")
ENTRIES = 60


@pytest.fixture
def server(postgresql: Cluster) -> Server:
    return postgresql.new_place()


def seen(database: Database, most: int = 1_000) -> SqlSeenMessages:
    return SqlSeenMessages(database, most, timedelta(minutes=6), lambda: NOW)


async def test_two_processes_write_audit_entries_at_once_and_the_chain_is_whole(server: Server) -> None:
    entry = AuditEntry(what=What.ACCEPTED, at=NOW, principal="CIS", by="header", verb="create", request="r")
    async with shared(server) as first, shared(server) as second:
        await asyncio.gather(
            *(
                SqlAudit(database).append([replace(entry, request=f"{name}{number}")])
                for number in range(ENTRIES)
                for name, database in (("a", first), ("b", second))
            )
        )
        page = await SqlAudit(first).page(0, 3 * ENTRIES)
        assert follow(page.links, page.chain).is_whole
        assert [one.seq for one in page.links] == list(range(1, 2 * ENTRIES + 1))
        written = {parse_entry(one.text)["request"] for one in page.links}
        assert written == {f"{name}{number}" for name in "ab" for number in range(ENTRIES)}


async def test_what_two_front_ends_are_sent_at_once_one_of_them_takes(server: Server) -> None:
    async with shared(server) as first, shared(server) as second:
        a, b = seen(first), seen(second)
        for number in range(20):
            key = bytes([number]) * 32
            assert sorted(await asyncio.gather(a.claim(key), b.claim(key))) == [False, True]
        assert not await a.claim(b"new", b"\0" * 32), "one of two is known"
        assert await b.claim(b"new"), "so nothing was kept of them"


async def test_what_was_seen_is_bounded_and_forgotten_in_its_time(server: Server) -> None:
    async with shared(server) as database:
        small = seen(database, most=2)
        assert await small.claim(b"1", b"2")
        with pytest.raises(MemoryFull):
            await small.claim(b"3")
        later = SqlSeenMessages(database, 2, timedelta(minutes=6), lambda: NOW + timedelta(minutes=7))
        assert await later.claim(b"3")
        assert await later.claim(b"1"), "it could not have come again any more"
        await later.load()
        assert later.complete_since is None
        await database.transaction(assume_the_worst)
        await later.load()
        assert later.complete_since is not None, "messages from before may have been seen"


async def test_a_session_begun_at_one_front_end_is_known_at_the_other_until_it_ends(server: Server) -> None:
    async with shared(server) as first, shared(server) as second:
        a, b = SqlConsoleSessions(first), SqlConsoleSessions(second)
        ada = StoredSession("digest", "Ada", ("operator", "reader"), "token", NOW + timedelta(hours=1))
        await a.begin(ada, NOW, 3)
        assert await b.find("digest", NOW) == ada
        assert await b.find("digest", NOW + timedelta(hours=2)) is None
        for number in range(4):  # who begins many ends own ones
            await b.begin(ada._replace(digest=f"{number}", principal="Bob", ends_at=NOW + timedelta(hours=2)), NOW, 3)
        assert await a.find("digest", NOW) == ada
        assert [await a.find(f"{number}", NOW) is not None for number in range(4)] == [False, False, True, True]
        await b.end("digest")
        assert await a.find("digest", NOW) is None
