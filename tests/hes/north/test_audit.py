"""The audit log: what is written, that it is a chain, and that every way of tampering with it is found."""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from north_bench import north
from reported import ignore
from sqlalchemy import text
from stored_values import NOW, a_request, a_result, an_answer, some_commands

from ami_hes.audit import (
    BEGINNING,
    Anchor,
    AuditEntry,
    Chain,
    Link,
    MetersOf,
    What,
    canonical,
    follow,
    format_json_line,
    format_syslog,
    hash_of,
    parse_anchor,
)
from ami_hes.auditing import MOST_REFUSED, Auditor
from ami_hes.store import Database, NonceUsed, SqlAudit, SqlResults, StoreUnavailable
from ami_process.environment import Environment
from ami_process.store.places import Place, engine_of

ENTRY = AuditEntry(what=What.ACCEPTED, at=NOW, principal="CIS", by="header", verb="create", request="r1")


def some_links(number: int) -> tuple[list[Link], Chain]:
    previous, links = BEGINNING, []
    for seq in range(1, number + 1):
        entry = canonical(seq, replace(ENTRY, request=f"r{seq}"))
        previous = hash_of(previous, entry)
        links.append(Link(seq, entry, previous))
    return links, Chain(0, BEGINNING, number, previous)


def edited(links: list[Link]) -> list[Link]:
    return [one if one.seq != 4 else one._replace(text=one.text.replace("r4", "r9")) for one in links]


def edited_with_its_hash(links: list[Link]) -> list[Link]:
    changed = links[3].text.replace("r4", "r9")
    return [*links[:3], Link(4, changed, hash_of(links[2].hash, changed)), *links[4:]]


def put_in(links: list[Link]) -> list[Link]:
    forged = canonical(4, replace(ENTRY, request="forged"))
    return [*links[:3], Link(4, forged, hash_of(links[2].hash, forged)), *links[3:]]


def renumbered(links: list[Link]) -> list[Link]:
    """One is taken out, and the others close the gap."""
    return [*links[:3], *(one._replace(seq=one.seq - 1) for one in links[4:])]


TAMPERING: dict[str, Callable[[list[Link]], list[Link]]] = {
    "edited": edited,
    "edited, and hashed anew": edited_with_its_hash,
    "taken out": lambda links: links[:3] + links[4:],
    "taken out, and renumbered": renumbered,
    "put in": put_in,
    "moved": lambda links: [*links[:2], links[3], links[2], *links[4:]],
    "written twice": lambda links: [*links[:3], links[2], *links[3:]],
    "the beginning taken off": lambda links: links[2:],
    "the end cut off": lambda links: links[:-2],
    "everything gone": lambda links: [],
}


def test_a_chain_that_nobody_touched_is_whole() -> None:
    links, chain = some_links(7)
    report = follow(links, chain, [Anchor(3, links[2].hash), Anchor(7, links[6].hash)])
    assert report.is_whole and report.entries == 7 and report.last == Anchor(7, links[6].hash)


@pytest.mark.parametrize("how", TAMPERING)
def test_each_way_of_tampering_is_found(how: str) -> None:
    links, chain = some_links(7)
    assert not follow(TAMPERING[how](links), chain).is_whole


def test_an_end_that_is_cut_off_with_what_the_store_says_of_it_is_found_by_an_anchor_alone() -> None:
    links, _ = some_links(7)
    shorter = Chain(0, BEGINNING, 5, links[4].hash)
    assert follow(links[:5], shorter).is_whole
    (problem,) = follow(links[:5], shorter, [Anchor(7, links[6].hash)]).problems
    assert "is not there: the end was cut off" in problem
    other, chain = some_links(7)
    assert follow(other, chain, [Anchor(5, "1" * 64)]).problems == [
        f"entry 5 is not the one of the anchor 5:{'1' * 64}"
    ]


def test_the_canonical_form_is_what_the_page_says() -> None:
    """Computed here from json and hashlib alone, as somebody else would."""
    meters = MetersOf.of([("M2", "b"), ("M1", "a"), ("M2", "b")])
    entry = replace(ENTRY, noun="Zähler", meters=meters, at=datetime(2026, 3, 29, 3, 30, tzinfo=UTC))
    said = canonical(1, entry)
    assert json.loads(said) == {
        "at": "2026-03-29T03:30:00.000000+00:00",
        "by": "header",
        "meters": 2,
        "meters_listed": ["M1", "M2"],
        "meters_sha256": hashlib.sha256(b"a\nb\n").hexdigest(),
        "noun": "Zähler",
        "principal": "CIS",
        "request": "r1",
        "seq": 1,
        "verb": "create",
        "what": "accepted",
    }
    assert said.isascii() and " " not in said and list(json.loads(said)) == sorted(json.loads(said))
    assert hash_of(BEGINNING, said) == hashlib.sha256(b"0" * 64 + b"\n" + said.encode("ascii")).hexdigest()


def test_an_entry_is_bounded_whatever_it_was_made_of() -> None:
    meters = MetersOf.of((f"M{number:05}" * 200, str(number)) for number in range(10_000))
    assert len(canonical(1, replace(ENTRY, principal="x" * 10_000, reason="y" * 10_000, meters=meters))) < 15_000


def test_entries_are_exported_as_json_lines_and_as_syslog() -> None:
    text = canonical(7, replace(ENTRY, what=What.REFUSED, principal='a"]\\b', outcome="5.2"))
    link = Link(7, text, "f" * 64)
    assert json.loads(format_json_line(link)) == json.loads(text) | {"hash": "f" * 64}
    message = format_syslog(link, host="a host")
    head = "<108>1 2026-11-20T12:00:00.000000Z a-host hes - refused [audit@32473 "
    assert message.startswith(head) and message.endswith(text)
    assert r'principal="a\"\]\\b"' in message and 'seq="7"' in message and "\n" not in message


@pytest.mark.parametrize("text", ["", "7", "7:ff", "x:" + "f" * 64, "7:" + "F" * 64, "1" * 19 + ":" + "f" * 64])
def test_what_is_no_anchor_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="NUMBER:HASH"):
        parse_anchor(text)
    assert parse_anchor(f" 7:{'f' * 64}\n") == Anchor(7, "f" * 64)


async def checked(log: SqlAudit, *anchors: Anchor) -> list[str]:
    page = await log.page(0, 1_000)
    return follow(page.links, page.chain, anchors).problems


async def test_a_request_that_somebody_asked_for_is_audited_with_what_became_of_it(place: Place) -> None:
    async with Database(place) as database:
        results, log = SqlResults(database), SqlAudit(database)
        asked = a_request("r1", principal="CIS", principal_by="header")
        await results.accept(asked, some_commands("r1", "M1", "M2"))
        await results.accept(asked, some_commands("r1", "M1", "M2"))  # it comes again
        await results.accept(a_request("by the clock"), some_commands("by the clock", "M1"))
        await results.accept(replace(asked, request_id="a look", verb="get"), some_commands("a look", "M1"))
        await results.save([a_result("r1", "M1"), a_result("r1", "M2", ok=False)])
        await results.answer({one: an_answer(b"<a/>", "PARTIAL") for one in ("r1", "by the clock", "a look")}, NOW)
        await results.answer({"r1": an_answer(b"<a/>", "OK")}, NOW)  # by another worker: the first one stays
        page = await log.page(0, 9)
        entries = [json.loads(one.text) for one in page.links]
        assert [(one["what"], one["request"], one.get("outcome")) for one in entries] == [
            ("accepted", "r1", None),
            ("ended", "r1", "PARTIAL"),
        ]
        assert (entries[0]["asked"], entries[0]["meters"]) == ("disconnect_control 3.31.0.23", 2)
        assert entries[1]["reason"] == "1 of 2 meters OK"
        assert await checked(log) == [] and page.chain.seq == 2
        assert [json.loads(one.text)["seq"] for one in (await log.of_request("r1", 0, 9)).links] == [1, 2]
        assert [one.seq for one in (await log.of_request("r1", 1, 9)).links] == [2]
        assert [one.seq for one in (await log.of_request("r1", 0, 1)).links] == [1]
        assert [one.seq for one in (await log.latest(1)).links] == [2]


async def test_what_is_not_kept_is_not_audited(place: Place) -> None:
    """The entry and the request are one transaction."""
    async with Database(place) as database:
        results, log = SqlResults(database), SqlAudit(database)
        asked = a_request("r1", principal="CIS")
        await results.accept(asked, [], nonce="once")
        with pytest.raises(NonceUsed):
            await results.accept(replace(asked, request_id="r2"), [], nonce="once")
        assert [json.loads(one.text)["request"] for one in (await log.page(0, 9)).links] == ["r1"]


MADE_OLD = "2001-01-01 00:00:00.000000"
STATEMENTS = {
    "edited": "UPDATE audit SET entry = replace(entry, 'CIS', 'SIC') WHERE seq = 2",
    "taken out": "DELETE FROM audit WHERE seq = 2",
    "put in": "INSERT INTO audit (seq, at, entry, hash) SELECT 9, at, entry, hash FROM audit WHERE seq = 2",
    "moved": "UPDATE audit SET seq = CASE seq WHEN 2 THEN -3 ELSE -2 END WHERE seq IN (2, 3)",
    "the beginning taken off": "DELETE FROM audit WHERE seq = 1",
    "the end cut off": "DELETE FROM audit WHERE seq = 4",
    "filed under another time": f"UPDATE audit SET at = '{MADE_OLD}' WHERE seq = 2",
    "filed under another request": "UPDATE audit SET request_id = 'another' WHERE seq = 2",
    "filed under no request": "UPDATE audit SET request_id = NULL WHERE seq = 2",
}


@pytest.mark.parametrize("how", STATEMENTS)
async def test_a_store_that_was_tampered_with_is_found_out(place: Place, how: str) -> None:
    async with Database(place) as database:
        log = SqlAudit(database)
        await log.append([replace(ENTRY, request=f"r{number}") for number in range(4)])
        assert await checked(log) == []
        await database.transaction(lambda c: c.execute(text(STATEMENTS[how])).close())
        if how == "moved":
            await database.transaction(lambda c: c.execute(text("UPDATE audit SET seq = -seq WHERE seq < 0")).close())
        assert await checked(log) != []


async def test_what_was_made_to_look_old_is_not_dropped_by_age(place: Place) -> None:
    """Else the head-end itself would do away with it, and say that it was its time."""
    async with Database(place) as database:
        log = SqlAudit(database)
        await log.append([replace(ENTRY, request=f"r{number}") for number in range(4)])
        made_old = f"UPDATE audit SET at = '{MADE_OLD}' WHERE seq <= 3"
        await database.transaction(lambda c: c.execute(text(made_old)).close())
        assert await log.forget(NOW - timedelta(days=1), NOW) == 0
        assert len((await log.page(0, 9)).links) == 4
        assert len(await checked(log)) == 3


async def test_what_is_dropped_by_age_leaves_a_chain_that_says_so(place: Place) -> None:
    async with Database(place) as database:
        log = SqlAudit(database)
        await log.append([replace(ENTRY, at=NOW + timedelta(days=day)) for day in range(6)])
        before = (await log.page(0, 9)).links
        assert await log.forget(NOW, NOW) == 0
        assert await log.forget(NOW + timedelta(days=3), NOW + timedelta(days=9)) == 3
        page = await log.page(0, 9)
        assert [one.seq for one in page.links] == [4, 5, 6, 7] and page.chain.base_seq == 3
        cut = json.loads(page.links[-1].text)
        assert (cut["what"], cut["number"], cut["asked"]) == ("cut", 3, f"3:{before[2].hash}")
        old, kept = Anchor(2, before[1].hash), Anchor(5, before[4].hash)
        report = follow(page.links, page.chain, [old, kept, Anchor(3, before[2].hash)])
        assert report.is_whole and report.unproved == [old]
        await database.transaction(lambda c: c.execute(text("DELETE FROM audit WHERE seq = 4")).close())
        forged = f"UPDATE audit_chain SET base_seq = 4, base_hash = '{before[3].hash}'"
        await database.transaction(lambda c: c.execute(text(forged)).close())
        assert any("no entry says that they were dropped" in one for one in await checked(log))
        assert await log.forget(NOW + timedelta(days=99), NOW + timedelta(days=99)) == 2
        assert [one.seq for one in (await log.page(0, 9)).links] == [7, 8]


@pytest.mark.needs("postgresql")
async def test_several_processes_write_one_chain(postgresql) -> None:  # type: ignore[no-untyped-def]
    """Each with connections of its own; the one that comes second waits for the first one's end."""
    place = postgresql.new_place()
    async with Database(place) as database:
        from ami_hes.store.audit import write

        engines = [engine_of(place) for _ in range(3)]

        def writing(number: int) -> None:
            for turn in range(8):
                with engines[number].begin() as connection:
                    write(connection, [replace(ENTRY, request=f"{number}-{turn}"), ENTRY])

        await asyncio.gather(*(asyncio.to_thread(writing, number) for number in range(3)))
        for one in engines:
            one.dispose()
        log = SqlAudit(database)
        page = await log.page(0, 99)
        assert len(page.links) == 48 and await checked(log) == []


WRITER = """
import asyncio, sys
from datetime import UTC, datetime
from sqlalchemy import make_url
from ami_hes.audit import AuditEntry, What
from ami_hes.store import Database, SqlAudit
from ami_process.store.postgresql import Server

async def write(url, name, number):
    async with Database(Server(make_url(url))) as database:
        log = SqlAudit(database)
        print("open", flush=True)
        sys.stdin.readline()
        for turn in range(number):
            at = datetime(2026, 11, 1, tzinfo=UTC)
            entry = AuditEntry(what=What.REFUSED, at=at, principal=name, by="token", request=f"{name}-{turn}")
            await log.append([entry])
            print(turn, flush=True)

asyncio.run(write(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


@pytest.mark.needs("postgresql")
async def test_two_processes_of_the_system_write_one_chain_and_one_may_be_killed(postgresql) -> None:  # type: ignore[no-untyped-def]
    """Each is a process of its own, which both begin at once; one is killed with an entry in its hand, and the other goes on."""
    place = postgresql.new_place()
    url = place.url.render_as_string(hide_password=False)
    async with Database(place) as database:
        each = 40
        writers = {
            name: await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", WRITER, url, name, str(number)), stdin=PIPE, stdout=PIPE
            )
            for name, number in (("ada", each), ("grace", 100_000))
        }
        for one in writers.values():
            assert one.stdout is not None and await one.stdout.readline() == b"open\n"
        for one in writers.values():
            assert one.stdin is not None
            one.stdin.write(b"go\n")
        ada, grace = writers.values()
        assert grace.stdout is not None and ada.stdout is not None
        for _ in range(10):
            said = await grace.stdout.readline()
        grace.kill()
        said = (await grace.communicate())[0] or said
        await ada.communicate()
        assert (ada.returncode, grace.returncode) == (0, -signal.SIGKILL)
        page = await SqlAudit(database).page(0, 100_000)
        assert follow(page.links, page.chain).problems == []
        asked = [json.loads(one.text)["request"] for one in page.links]
        assert [one for one in asked if one.startswith("ada")] == [f"ada-{turn}" for turn in range(each)]
        theirs = [one for one in asked if one.startswith("grace")]
        told = int(said.split()[-1]) + 1
        assert theirs == [f"grace-{turn}" for turn in range(len(theirs))] and told <= len(theirs) <= told + 1


class Away(SqlAudit):
    """A log whose store is away as long as the test wants."""

    away = True

    async def append(self, entries) -> None:  # type: ignore[no-untyped-def]
        if self.away:
            raise StoreUnavailable("locked")
        await super().append(entries)


async def test_refused_attempts_are_bounded_and_counted(tmp_path: Path) -> None:
    async with Database(tmp_path / "hes.sqlite") as database:
        log = SqlAudit(database)
        auditor = Auditor(log, Environment(emit=ignore))
        for number in range(500):
            auditor.refused(replace(ENTRY, what=What.REFUSED, request=f"r{number}"))
        auditor.refused(replace(ENTRY, what=What.REFUSED, principal="another"))
        work = asyncio.create_task(auditor.work())
        await asyncio.sleep(0)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        entries = [json.loads(one.text) for one in (await log.page(0, 1_000)).links]
        assert len(entries) == MOST_REFUSED + 2
        more = [(one["principal"], one["number"]) for one in entries if one["what"] == "more-refused"]
        assert more == [("CIS", 500 - MOST_REFUSED)]
        assert await checked(log) == []


async def test_an_entry_waits_for_a_store_that_is_away_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    async with Database(tmp_path / "hes.sqlite") as database:
        log = Away(database)
        auditor = Auditor(log, Environment(emit=ignore))
        await auditor.write(ENTRY)
        log.away = False
        work = asyncio.create_task(auditor.work())
        while not (await log.page(0, 9)).links:
            await asyncio.sleep(0)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        assert await checked(log) == []


async def test_a_message_that_nobody_can_read_is_audited(tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        assert (await hes.post(b"<no message/>")).status_code == 500
        entries: list[dict[str, object]] = []
        while not entries:
            given = (await hes.client.get(f"{hes.url}/api/v1/audit?after=0")).json()
            entries = [json.loads(one["entry"]) for one in given["entries"]]
        assert [(one["what"], one["principal"], one["outcome"]) for one in entries] == [("refused", "unknown", "1.8")]


async def test_every_write_by_the_api_is_audited_and_no_secret_is_in_the_log(tmp_path: Path) -> None:
    key = "5A3C" * 8
    row = {
        "name": "M7",
        "mrid": "00000000-0000-0000-0000-000000000007",
        "address": "127.0.0.1:7",
        "logical_device_name": "LDN7",
        "device_id": "7",
        "authentication": "hls-gmac",
        "encryption_key": key,
        "authentication_key": key[::-1],
        "system_title": "414D490000000007",
    }
    async with north(tmp_path) as hes:
        api = f"{hes.url}/api/v1"
        body = {"rows": [{"place": "line 2", "columns": row}, {"place": "line 3", "columns": row | {"suite": 9}}]}
        assert (await hes.client.post(f"{api}/meters", json=body)).status_code == 200
        assert (await hes.client.get(f"{api}/meters")).status_code == 200
        assert (await hes.client.delete(f"{api}/meters/M7")).status_code == 200
        assert (await hes.client.delete(f"{api}/meters/none")).status_code == 404
        given = (await hes.client.get(f"{api}/audit?after=0")).json()
        while len(given["entries"]) < 3:
            given = (await hes.client.get(f"{api}/audit?after=0")).json()
        entries = [json.loads(one["entry"]) for one in given["entries"]]
        assert [(one["what"], one["verb"], one["noun"], one["outcome"]) for one in entries] == [
            ("written", "POST", "/api/v1/meters", "200"),
            ("written", "DELETE", "/api/v1/meters/M7", "200"),
            ("refused", "DELETE", "/api/v1/meters/none", "404"),
        ]
        assert (entries[0]["asked"], entries[0]["meters_listed"]) == ("1 accepted, 1 refused", ["M7"])
        assert {(one["principal"], one["by"]) for one in entries} == {("local", "loopback")}
        assert key not in str(given) and key[::-1] not in str(given)
        links = [Link(one["seq"], one["entry"], one["hash"]) for one in given["entries"]]
        assert follow(links, Chain(**given["chain"])).is_whole
