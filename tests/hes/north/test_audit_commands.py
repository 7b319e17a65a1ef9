"""`ami audit` asks a running head-end or opens a store that nobody has open, and checks what it is given itself."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from north_bench import north
from typer.testing import CliRunner, Result

from ami_cli.audit import app
from ami_hes.audit import AuditEntry, What
from ami_hes.store import Database, SqlAudit

ENTRY = AuditEntry(what=What.WRITTEN, at=datetime(2026, 11, 20, tzinfo=UTC), principal="local", outcome="200")


def audit(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


async def test_the_log_of_a_running_head_end_is_checked_shown_and_exported(tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        read = {"meters": ["M1"], "within_hours": 1}
        answer = await hes.client.post(f"{hes.url}/api/v1/campaigns/event-logs", json=read)
        campaign = answer.json()["id"]
        at = ("--url", hes.url)
        whole = await asyncio.to_thread(audit, "verify", *at)
        assert whole.exit_code == 0 and "each follows from the one before it" in whole.stdout
        anchor = whole.stdout.split("anchor: ")[1].strip()
        assert (await asyncio.to_thread(audit, "verify", "--anchor", anchor, *at)).exit_code == 0
        other = await asyncio.to_thread(audit, "verify", "--anchor", f"99:{'a' * 64}", *at)
        assert other.exit_code == 1 and "the end was cut off" in other.stdout
        assert (await asyncio.to_thread(audit, "verify", "--anchor", "7", *at)).exit_code == 2
        shown = await asyncio.to_thread(audit, "show", "--request", campaign, *at)
        assert "read event logs of 1 named" in shown.stdout and "local (loopback)" in shown.stdout
        lines = (await asyncio.to_thread(audit, "export", "--format", "jsonl", *at)).stdout.splitlines()
        entries = [json.loads(line) for line in lines]
        assert [one["seq"] for one in entries] == list(range(1, len(entries) + 1))
        assert {"accepted", "written"} <= {one["what"] for one in entries}
        later = (await asyncio.to_thread(audit, "export", "--format", "syslog", "--after", "1", *at)).stdout
        assert later.startswith("<10") and ' seq="2"' in later and ' seq="1"' not in later


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "ami.toml"
    path.write_text(f'[hes]\nstore = "{tmp_path / "hes.sqlite"}"\n')
    return path


def test_a_closed_store_is_checked_and_tampering_is_told(config: Path) -> None:
    async def written() -> None:
        async with Database(config.with_name("hes.sqlite")) as database:
            await SqlAudit(database).append([ENTRY] * 2_500)

    asyncio.run(written())
    whole = audit("verify", "--config", str(config))
    assert whole.exit_code == 0 and whole.stdout.startswith("2,500 entries"), whole.output
    anchor = whole.stdout.split("anchor: ")[1].strip()
    with closing(sqlite3.connect(config.with_name("hes.sqlite"))) as connection, connection:
        connection.execute("DELETE FROM audit WHERE seq > 2400")
        found = connection.execute("SELECT hash FROM audit WHERE seq = 2400").fetchone()
        connection.execute("UPDATE audit_chain SET seq = 2400, hash = ?", found)
    assert audit("verify", "--config", str(config)).exit_code == 0
    cut = audit("verify", "--config", str(config), "--anchor", anchor)
    assert cut.exit_code == 1 and "the end was cut off" in cut.stdout


def test_an_empty_log_is_whole(config: Path) -> None:
    async def made() -> None:
        async with Database(config.with_name("hes.sqlite")):
            pass

    asyncio.run(made())
    assert "0 entries" in audit("verify", "--config", str(config)).stdout
