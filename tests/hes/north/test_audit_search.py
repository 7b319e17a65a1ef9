"""The audit log as the console asks for it: searched, checked as a whole, and with those who sign in."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from north_bench import North, north
from patience import PATIENCE_S
from sqlalchemy import text
from stored_values import NOW, a_request, some_commands

from ami_cli import audit
from ami_hes import audit_checks
from ami_hes.api.values.audit import AuditList
from ami_hes.audit import AuditEntry, MetersOf, What
from ami_hes.audit_checks import AuditCheck
from ami_hes.store import AuditPage, AuditSearch, Database, SqlAudit, SqlResults
from ami_hes.store import audit as audit_store
from ami_process.environment import Environment
from ami_process.store.places import Place

TOKENS = ("a" * 40, "b" * 40)


def an_entry(number: int, **more: Any) -> AuditEntry:
    fields: dict[str, Any] = {"what": What.WRITTEN, "principal": "ann", "at": NOW + timedelta(minutes=number)}
    return AuditEntry(**(fields | more))


async def searched(
    log: SqlAudit, before: int | None = None, limit: int = 9, **search: Any
) -> tuple[list[int], int | None]:
    found = await log.search(AuditSearch(**search), before, limit)
    return [one.seq for one in found.links], found.next


async def test_entries_are_found_by_who_what_when_and_which_meter(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Database(place) as database:
        log = SqlAudit(database)
        await SqlResults(database).accept(a_request("r1", principal="ann"), some_commands("r1", "M1", "M2"))  # 1
        meters = MetersOf.of([("M_1", "1"), ("M2", "2")])
        entries = [
            an_entry(2, principal="Ann", request="r1"),
            an_entry(3, meters=meters, request="r2"),
            an_entry(4, principal='an"n%', what=What.REFUSED),
            an_entry(5, principal="bob", reason="ann"),
        ]
        await log.append(entries)
        assert await searched(log) == ([5, 4, 3, 2, 1], None)
        assert await searched(log, limit=2) == ([5, 4], 4) and await searched(log, 4, limit=2) == ([3, 2], 2)
        assert (await searched(log, principal="ann"))[0] == [3, 1], "no other letters, and nobody's reason"
        assert (await searched(log, principal='an"n%'))[0] == [4] and (await searched(log, what="refused"))[0] == [4]
        assert (await searched(log, request="r1"))[0] == [2, 1]
        assert (await searched(log, meter="M2"))[0] == [3, 2, 1], "listed, or at work for the request"
        assert (await searched(log, meter="M_1"))[0] == [3] and (await searched(log, meter="M1"))[0] == [2, 1]
        later, earlier = NOW + timedelta(minutes=4), NOW + timedelta(minutes=2)
        assert (await searched(log, since=later))[0] == [5, 4] and (await searched(log, until=earlier))[0] == [2, 1]
        assert await searched(log, since=NOW + timedelta(days=1)) == ([], None)
        monkeypatch.setattr(audit_store, "MOST_SEARCHED", 2)
        assert await searched(log, request="r1") == ([], 4), "so many are looked through, and it goes on from there"
        assert await searched(log, 4, request="r1") == ([2], 2) and await searched(log, 2, request="r1") == ([1], None)


async def test_the_whole_chain_is_checked_beside_the_work(tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        address = f"{hes.url}/api/v1/audit/check"
        assert (await hes.client.get(address)).json() == {
            "running": False, "entries": 0, "of": 0, "whole": None,
            "problems": [], "anchor": None, "began_at": None, "ended_at": None,
        }  # fmt: skip
        await hes.client.post(f"{hes.url}/api/v1/guard/stop", json={"reason": "a test"})
        await hes.client.post(f"{hes.url}/api/v1/guard/resume", json={})
        found = await checked(hes)
        entries = (await hes.client.get(f"{hes.url}/api/v1/audit?after=0")).json()["entries"]
        assert found["whole"] and found["entries"] == found["of"] and not found["problems"]
        assert found["anchor"] == f"{found['of']}:{entries[found['of'] - 1]['hash']}"
        (told,) = [one for one in entries if "a test" in one["entry"]]
        forged = told["entry"].replace("a test", "a lie")
        with closing(sqlite3.connect(tmp_path / "hes.sqlite")) as file, file:
            file.execute("UPDATE audit SET entry = ? WHERE seq = ?", [forged, told["seq"]])
        found = await checked(hes)
        assert found["whole"] is False and found["anchor"] is None
        assert f"entry {told['seq']} is not what its hash was made of" in found["problems"][0]


class Forgetting(SqlAudit):
    """Drops what is older than five minutes as soon as the first page was read."""

    async def page(self, after: int, limit: int) -> AuditPage:
        found = await super().page(after, limit)
        if after == 0:
            await self.append([an_entry(8)])
            await self.forget(NOW + timedelta(minutes=5), NOW + timedelta(minutes=9))
        return found


async def test_a_command_that_checks_goes_on_likewise(place: Place) -> None:
    class Source(audit.Source):
        @asynccontextmanager
        async def _reading(self) -> AsyncIterator[Callable[[int], Awaitable[AuditList]]]:
            async def read(after: int) -> AuditList:
                return AuditList.of(await log.page(after, 2))

            yield read

    async with Database(place) as database:
        log = Forgetting(database)
        await log.append([an_entry(number) for number in range(1, 8)])
        report = await audit._checked(Source(None, "", None), [])
        last = (await log.latest(1)).chain
    assert report.problems == [] and report.last == (last.seq, last.hash) and report.entries == 2 + 5


async def test_a_check_goes_on_behind_what_is_dropped_by_age_meanwhile(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_checks, "PAGE", 2)

    async with Database(place) as database:
        log = Forgetting(database)
        await log.append([an_entry(number) for number in range(1, 8)])
        check = AuditCheck(log, Environment(emit=lambda _: None, now=lambda: NOW))
        progress = check.begin()
        while progress.ended_at is None:
            await asyncio.sleep(0)
        last = (await log.latest(1)).chain
        assert progress.whole and progress.problems == []
        assert progress.anchor == (last.seq, last.hash) == (9, last.hash)
        assert (progress.entries, progress.of) == (2 + 5, 2 + 5), "two before, and those that are left"
        await database.transaction(lambda c: c.execute(text("DELETE FROM audit WHERE seq = 7")))
        progress = AuditCheck(SqlAudit(database), check.environment).begin()
        while progress.ended_at is None:
            await asyncio.sleep(0)
        assert progress.whole is False


async def checked(hes: North) -> dict[str, Any]:
    found: dict[str, Any] = (await hes.client.post(f"{hes.url}/api/v1/audit/check", json={})).json()
    while found["running"]:
        found = (await hes.client.get(f"{hes.url}/api/v1/audit/check")).json()
    return found


async def test_who_signs_in_and_who_tries_to_is_in_the_log(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("\n".join(TOKENS) + "\n")
    file.chmod(0o600)
    async with north(tmp_path, token_file=str(file)) as hes:
        async with httpx.AsyncClient(base_url=hes.url, timeout=PATIENCE_S) as browser:
            assert (await browser.post("/session", json={"token": "c" * 40})).status_code == 401
            assert (await browser.post("/session", json={"token": TOKENS[0]})).status_code == 204
            asking = (await browser.get("/api/v1/principal")).json()
            assert (asking["how"], asking["roles"]) == ("token", ["admin"]) and asking["name"].startswith("token ")
            assert {"method": "POST", "path": "/api/v1/guard/stop", "role": "controller", "may": True} in asking[
                "operations"
            ]
            await browser.post("/api/v1/guard/stop", json={})
            assert (await browser.delete("/session")).status_code == 204
        bearer = {"Authorization": f"Bearer {TOKENS[1]}"}
        found = (await hes.client.get(f"{hes.url}/api/v1/audit/search", headers=bearer)).json()["entries"]
        entries = [json.loads(one["entry"]) for one in reversed(found)]
        said = {(one["what"], one["principal"], one["by"]) for one in entries}
        name = asking["name"]
        assert {("signed-in", name, "bearer"), ("signed-out", name, "bearer")} <= said
        assert ("sign-in-refused", "unknown", "nobody") in said and ("written", name, "bearer") in said
        (refused,) = [one for one in entries if one["what"] == "sign-in-refused"]
        assert refused["asked"] == "console, from 127.0.0.1" and "c" * 40 not in json.dumps(entries)
