"""Stores of every schema that there was are opened by this version, with everything that is in them; others are refused."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from postgresql_server import Cluster, rows
from sqlalchemy import create_engine, select

from ami_cis.store import ReadingQuery, State, Store, TakenEvent, TakenReply
from ami_cis.store.tables import SCHEMA as CIS
from ami_hes.audit import follow, parse_entry
from ami_hes.commands import Command, CommandJob, Lane, MeterId, Outcome
from ami_hes.enums import ApprovalState
from ami_hes.store import (
    Database,
    EventQuery,
    Extract,
    SpentId,
    SqlAudit,
    SqlCampaigns,
    SqlCommissioning,
    SqlConsoleSessions,
    SqlCounters,
    SqlDeliveries,
    SqlDeviceEvents,
    SqlDialledIn,
    SqlFirmware,
    SqlGuard,
    SqlKeptMessages,
    SqlMasterDataChanges,
    SqlOutgoing,
    SqlQuarantine,
    SqlReadings,
    SqlReceivedCounters,
    SqlRegistry,
    SqlResults,
    SqlScalerUnits,
    SqlSchedules,
    SqlSeenMessages,
    SqlTraces,
    SqlUsagePoints,
    StoredCommand,
)
from ami_hes.store.tables import SCHEMA as HES
from ami_hes.store.tables import counter_mark
from ami_process.store.errors import StoreUnavailable, StoreUnusable
from ami_process.store.events import StoreMigrated
from ami_process.store.migration import upgrade
from ami_process.store.opening import ready_store
from ami_process.store.places import Place
from ami_process.store.schema import create
from ami_process.store.upkeep import migrate_store

HERE = Path(__file__).parent
VERSIONS = {
    "hes": (
        "0001",
        "0002-unversioned",
        "0002",
        "0003",
        "0004",
        "0005",
        "0006",
        "0007",
        "0008",
        "0009",
        "0010",
        "0011",
        "0012",
        "0013",
        "0014",
        "0015",
        "0016",
        "0017",
        "0020",
        "0021",
        "0022",
        "0023",
        "0024",
        "0025",
        "0026",
    ),
    "cis": ("0001", "0002-unversioned", "0002", "0003", "0004", "0005", "0006", "0007"),
}
DATABASES = {
    "hes": (
        "0003.sql",
        "0004.sql",
        "0005.sql",
        "0006.sql",
        "0007.sql",
        "0008.sql",
        "0009.sql",
        "0010.sql",
        "0011.sql",
        "0012.sql",
        "0013.sql",
        "0014.sql",
        "0015.sql",
        "0016.sql",
        "0017.sql",
        "0020.sql",
        "0021.sql",
        "0022.sql",
        "0023.sql",
        "0024.sql",
        "0025.sql",
        "0026.sql",
    ),
    "cis": ("0003.sql", "0004.sql", "0005.sql", "0006.sql", "0007.sql"),
}
"""Dumps; those before 0003 have been on files alone."""
EACH = [(role, version) for role, versions in VERSIONS.items() for version in versions]
SCHEMAS = {"hes": HES, "cis": CIS}


def a_copy(role: str, version: str, directory: Path) -> Path:
    return Path(shutil.copyfile(HERE / f"{role}-{version}.sqlite", directory / f"{role}.sqlite"))


def dump(store: Path) -> list[str]:
    with closing(sqlite3.connect(store)) as connection:
        return list(connection.iterdump())


def tables_of(store: Path) -> set[str]:
    """Every table and index as SQLite knows it, whatever the spaces."""
    found = rows(store, "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {" ".join(str(sql).split()).replace("( ", "(").replace(" )", ")").replace(" ,", ",") for (sql,) in found}


@pytest.fixture
def a_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str, str], Place]:
    """Opens the store of a role and a version: a copy of the file, or a database that is loaded from it and upgraded."""

    def made(role: str, version: str) -> Place:
        if version in VERSIONS[role]:
            return a_copy(role, version, tmp_path)
        cluster: Cluster = request.getfixturevalue("postgresql")
        place = cluster.load(HERE / f"{role}-{version}")
        if version.removesuffix(".sql") != SCHEMAS[role].revision:
            migrate_store(place, SCHEMAS[role])
        return place

    return made


def and_databases(role: str) -> list[Any]:
    """The files of SQLite, and those of databases."""
    needed = pytest.mark.needs("postgresql")
    return [*VERSIONS[role], *(pytest.param(version, marks=needed) for version in DATABASES[role])]


@pytest.mark.parametrize("version", and_databases("hes"))
async def test_a_store_of_the_hes_is_opened_with_all_that_is_in_it(
    a_store: Callable[[str, str], Place], version: str
) -> None:
    async with Database(a_store("hes", version)) as database:
        results = SqlResults(database)
        answered = await results.find("answered")
        assert answered is not None and answered.answer == b"<answer of='answered'/>"
        assert await results.owed() == ["owed"]
        owed = await results.find("owed")
        assert owed is not None and (owed.request_id, owed.answer, owed.reply_address) == (
            "owed",
            b"<answer of='owed'/>",
            "http://127.0.0.1:9/cim",
        )
        assert await results.unanswered() == ["open"]
        left = await results.find("open")
        assert left is not None and (left.request_id, left.accepted_at.isoformat()) == (
            "open",
            "2026-11-20T12:00:02+00:00",
        )
        (command,) = await results.open_commands("open")
        meter = MeterId("M1001", "00000000-0000-4000-8000-000000001001")
        asked = Command("open", meter, "disconnect_control", "3.31.0.23")
        assert command == StoredCommand(CommandJob(asked, Lane.CONTROL, left.deadline_at), attempted=True)
        finished = await results.command("owed", "M1002")
        assert finished is not None and finished.result is not None
        outcome = Outcome(True, reason="disconnected", payload='{"before": "connected"}', attempted=True)
        assert (finished.result.outcome, finished.result.took_ms) == (outcome, 12.5)
        counters = SqlCounters(database)
        assert await counters.reserve_counters("key of two meters", 0, 5) == (300, 305)
        assert await counters.reserve_counters("another key", 0, 5) == (8, 13)
        if version != "0001":
            assert list((await SqlReceivedCounters(database).load()).values()) == [17]
            failed = await SqlDeliveries(database).find("owed")
            assert failed is not None and (failed.attempts, failed.last_reason) == (1, "connection refused")
            with pytest.raises(SpentId):
                await results.accept(replace(left, request_id="old"), [])
        part = await results.next_part("owed")
        assert part == (1, b"<answer of='owed'/>", version < "0007")
        registry = await SqlRegistry(database).load()
        names = ["M1001", "M1002"] if version >= "0004" else []
        assert [meter.name for meter in registry.meters] == names
        if names:
            assert [key.purpose for key in registry.meters[0].keys] == ["encryption_key", "secret"]
            assert [source.digest.octets for source in registry.sources] == [bytes(range(60))]
        read = [part async for part in SqlReadings(database).everything(Extract(after=0, until=2**62))]
        values = [(one.time, one.value, one.qualities, one.by_meter) for part in read for one in part]
        known = [(900_000, "4711.10", "1.0.0 1.4.16", True), (1_800_000, None, "2.5.259", True)]
        assert values == (known if version >= "0006" else [])
        schedules = SqlSchedules(database)
        runs = [(one.run_id[-4:], one.meters, one.delivered) for one in await schedules.open_runs()]
        assert [one.name for one in await schedules.everything()] == (["daily"] if version >= "0008" else [])
        assert runs == ([("6001", 2, None)] if version >= "0008" else [])
        events = await SqlOutgoing(database).published("mdm", left.accepted_at - timedelta(days=1), left.accepted_at)
        assert events == (["event"] if version >= "0010" else [])
        event = b"<event>" + b"<value>1.000</value>" * 500 + b"</event>" if version >= "0011" else b"<event/>"
        assert [one.answer for one in [await results.find("event")] if one] == [event] * len(events)
        owed_since = await SqlDeliveries(database).owed_since("event")
        assert (owed_since is not None) == (version >= "0010")
        scalers = {"LDN1": "3 1-0:1.8.0*255 3 0 30; 3 1-0:2.8.0*255 3 0 30"} if version >= "0009" else {}
        assert await SqlScalerUnits(database).load() == scalers
        waiting = await SqlKeptMessages(database).waiting()
        assert [(one.request_id, one.octets) for one in waiting] == ([("open", 20)] if version >= "0012" else [])
        changed = [(one.purpose, len(one.octets)) for keys in registry.changed_keys.values() for one in keys]
        assert changed == ([("sent encryption_key", 44)] if version >= "0013" else [])
        campaigns = [(one.campaign.state, one.meters, one.done) for one in await SqlCampaigns(database).lines(9)]
        assert campaigns == ([("paused", 2, 1)] if version >= "0013" else [])
        firmware = SqlFirmware(database)
        images = [(one.image.identifier, one.octets, one.image.complete) for one in await firmware.images()]
        assert images == ([("fw-2", 100, True)] if version >= "0016" else [])
        transfers = [(name, one.there, one.blocks) for name, one in await firmware.under_way("open", 9)]
        assert transfers == ([("M1001", 3, 4)] if version >= "0016" else [])
        at_once = [one.campaign.at_once for one in await SqlCampaigns(database).lines(9)]
        assert at_once == ([7] if version >= "0016" else [None] * len(campaigns))
        happened = [(one.code, one.reason) for one in await SqlDeviceEvents(database).find(EventQuery())]
        assert happened == ([("0.12.0.257", "fraud attempt")] if version >= "0014" else [])
        device_events = SqlDeviceEvents(database)
        waiting_changes = [(one.verb, one.event.alarm) for one in await device_events.changes(9)]
        assert waiting_changes == ([("created", "0-0:97.98.0*255/13")] if version >= "0014" else [])
        assert len(await device_events.changes_after(0, 9)) == (version >= "0017")
        marks = await device_events.log_marks("00000000-0000-4000-8000-000000001001")
        assert list(marks) == (["0-0:99.98.1*255"] if version >= "0017" else [])
        traces = SqlTraces(database)
        kept = [one.octets for one in await traces.attempts("answered", 9)]
        assert kept == ([b"packed"] if version >= "0020" else [])
        assert (await traces.arrival("answered") is not None) == (version >= "0020")
        commissioning = [(state, mrid[-4:]) for mrid, state in (await SqlCommissioning(database).states()).items()]
        assert commissioning == ([("failed", "1001")] if version >= "0015" else [])
        points = [(one.name, one.point_id[-4:]) for one in await SqlUsagePoints(database).find(["house 5"])]
        assert points == ([("House 5", "9001")] if version >= "0021" else [])
        noted = [(one.change.subject, one.change.verb) for one in await SqlMasterDataChanges(database).waiting(9)]
        assert noted == ([("usage-point", "created")] if version >= "0021" else [])
        named = [one.named for _, one in await firmware.under_way("open", 9)]
        assert named == ([] if version < "0016" else [None] if version < "0021" else ["5632"])
        callers = [(one.name, one.calls) for one in await SqlQuarantine(database).load()]
        assert callers == ([("XYZ0000000007001", 3)] if version >= "0015" else [])
        audited = await SqlAudit(database).page(0, 99)
        assert [one["what"] for one in map(parse_entry, (link.text for link in audited.links))] == (
            [
                *(["accepted"] * 3),
                "ended",
                "ended",
                "accepted",
                "ended",
                "approval-wanted",
                "controls-stopped",
                "controls-resumed",
            ]
            if version >= "0022"
            else []
        )
        assert follow(audited.links, audited.chain).is_whole
        waiting_approvals = [one.request_id for one in await SqlGuard(database).approvals((ApprovalState.WAITING,), 9)]
        assert waiting_approvals == (["open"] if version >= "0022" else [])
        marked = await database.transaction(lambda c: c.execute(select(counter_mark)).all())
        steps_then = [(one.steps, one.highest) for one in marked]
        assert steps_then == ([(3, 65536)] if version >= "0023" else [])
        dialled_in = await SqlDialledIn(database).claimed()
        assert dialled_in == ({"00000000-0000-4000-8000-000000001001"} if version >= "0025" else frozenset())
        seen_at = datetime(2026, 11, 20, 12, tzinfo=UTC)
        session = await SqlConsoleSessions(database).find("d" * 64, seen_at)
        assert (None if session is None else session.principal) == ("Ada" if version >= "0026" else None)
        seen = SqlSeenMessages(database, 9, timedelta(minutes=6), lambda: seen_at)
        assert await seen.claim(bytes(range(32))) == (version < "0026")


@pytest.mark.parametrize("version", and_databases("cis"))
async def test_a_store_of_the_cis_is_opened_with_all_that_is_in_it(
    a_store: Callable[[str, str], Place], version: str
) -> None:
    async with Store.opened(place := a_store("cis", version)) as store:
        assert [reply.result for reply in await store.replies("answered")] == ["OK"]
        found = {name: await store.find_request([f"{name}-correlation"]) for name in ("acknowledged", "failed", "sent")}
        states = {name: one.state for name, one in found.items() if one}
        outgoing = [octets for _, octets in await store.outgoing()]
        if version == "0001":
            assert states == {"acknowledged": State.ACKNOWLEDGED, "failed": State.UNKNOWN, "sent": State.UNKNOWN}
            assert found["failed"] and str(found["failed"].reason).endswith("have carried out: no answer within 10 s")
            assert found["sent"] and "which the HES may have carried out" in str(found["sent"].reason)
            assert outgoing == []
        else:
            assert states == {"acknowledged": State.ACKNOWLEDGED, "failed": State.FAILED, "sent": State.SENT}
            assert outgoing == [f"<request of='{name}'/>".encode() for name in ("acknowledged", "unknown", "sent")]
        assert await store.add_reply("acknowledged", TakenReply("late", True, "OK", (), found["sent"].sent_at))  # type: ignore[union-attr]
        assert await store.count(State.ANSWERED) == 2
        assert [one.value for one in await store.readings(ReadingQuery())] == (
            ["1234.5670"] if version >= "0004" else []
        )
        there = [] if version < "0007" else [("UP-1001", 0.003144, -0.000162, "1 Alder Street, S1-F1")]
        assert [one[:4] for one in await store.places()] == there
        kept = TakenEvent("event", "created", "EndDeviceEvents", b"<event/>", datetime(2026, 11, 20, tzinfo=UTC))
        assert [await store.add_event(event) for event in (kept, replace(kept, message_id="new"))] == [False, True]
    assert rows(place, "SELECT message_id, octets FROM events ORDER BY message_id") == [
        ("event", b"<event/>"),
        ("new", b"<event/>"),
    ]


@pytest.mark.parametrize(("role", "version"), EACH)
def test_an_upgrade_leaves_the_tables_of_a_new_store_and_a_copy_of_the_old_one(
    tmp_path: Path, role: str, version: str
) -> None:
    store = a_copy(role, version, tmp_path)
    before = dump(store)
    migrated = ready_store(store, SCHEMAS[role])
    new = tmp_path / "new.sqlite"
    assert ready_store(new, SCHEMAS[role]) is None
    assert tables_of(store) == tables_of(new)
    assert rows(store, "SELECT version_num FROM alembic_version") == [(SCHEMAS[role].revision,)]
    if version == "0001":
        copy = store.with_name(f"{store.name}.schema-0001")
        assert migrated == StoreMigrated(store=str(store), found="0001", now=SCHEMAS[role].revision, copy=str(copy))
        assert [line for line in dump(copy) if "alembic_version" not in line] == before
        assert copy.stat().st_mode & 0o777 == 0o600
    assert ready_store(store, SCHEMAS[role]) is None


@pytest.mark.parametrize("role", SCHEMAS)
def test_the_revision_of_the_tables_is_the_last_of_the_migrations(role: str) -> None:
    scripts = ScriptDirectory(SCHEMAS[role].migrations, version_locations=[str(SCHEMAS[role].migrations)])
    assert scripts.get_heads() == [SCHEMAS[role].revision]


@pytest.mark.parametrize("role", SCHEMAS)
def test_a_newer_schema_is_refused_with_both_versions_and_the_command(tmp_path: Path, role: str) -> None:
    store = a_copy(role, "0002", tmp_path)
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
    before = dump(store)
    with pytest.raises(StoreUnusable) as refused:
        ready_store(store, SCHEMAS[role])
    for word in (str(store), "schema 0999", f"0001 to {SCHEMAS[role].revision}", f"{role} store restore"):
        assert word in str(refused.value)
    assert dump(store) == before


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE recipes (name TEXT)",
        "ALTER TABLE replies ADD COLUMN colour TEXT",
        "DROP TABLE replies",
        "CREATE TABLE alembic_version (version_num TEXT)",
    ],
)
@pytest.mark.parametrize("role", SCHEMAS)
def test_tables_that_were_never_ours_are_refused(tmp_path: Path, role: str, change: str) -> None:
    store = a_copy(role, "0001", tmp_path)
    with closing(sqlite3.connect(store)) as connection:
        connection.execute(change)
    before = dump(store)
    with pytest.raises(StoreUnusable, match=rf"{role}\.sqlite can't be used: .*(no schema version|0 rows)"):
        ready_store(store, SCHEMAS[role])
    assert dump(store) == before


@pytest.mark.parametrize("role", SCHEMAS)
def test_a_store_that_has_lost_a_table_is_refused(tmp_path: Path, role: str) -> None:
    store = a_copy(role, "0002", tmp_path)
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("DROP TABLE replies")
    with pytest.raises(StoreUnusable, match="no table replies"):
        ready_store(store, SCHEMAS[role])


@pytest.mark.parametrize("role", SCHEMAS)
def test_a_locked_store_is_not_upgraded_and_says_so(tmp_path: Path, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ami_process.store.sqlite.BUSY_MS", 0)
    store = a_copy(role, "0001", tmp_path)
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            ready_store(store, SCHEMAS[role])
    assert ready_store(store, SCHEMAS[role]) is not None


FULL = """
import resource, sys
from importlib import import_module
from pathlib import Path
from ami_process.store.opening import ready_store
schema = import_module(f"ami_{sys.argv[1]}.store.tables").SCHEMA
import ami_process.store.migration
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    ready_store(Path(sys.argv[2]), schema)
except Exception as problem:
    print(type(problem).__name__, problem)
"""


@pytest.mark.parametrize("room", [0, 40_000, 60_000])
def test_a_full_disk_leaves_the_store_as_it_was(tmp_path: Path, room: int) -> None:
    """First no room for anything, then not for the copy, then not for the new tables."""
    store = a_copy("hes", "0001", tmp_path)
    before = dump(store)
    command = [sys.executable, "-c", FULL, "hes", str(store), str(room)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.startswith("StoreUnavailable the store can't be written now: "), said
    assert dump(store) == before
    assert ready_store(store, HES) is not None


@pytest.mark.ci
@pytest.mark.parametrize("role", SCHEMAS)
def test_an_upgrade_that_is_killed_has_happened_or_not(tmp_path: Path, role: str) -> None:
    """A process of its own kills its children, each at another statement, and opens what they left."""
    command = [sys.executable, HERE / "kill_upgrades.py", role, tmp_path]
    lives = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert [life["killed"] for life in lives] == [True] * (len(lives) - 1) + [False]
    assert len(lives) > 15, "the upgrade has fewer steps than it should"
    old = [line for line in dump(HERE / f"{role}-0001.sqlite") if line.startswith("INSERT")]
    for life in lives[:-1]:
        assert life["rows"] == old
        assert life["found"] == "0001"
    assert {life["revision"] for life in lives} == {SCHEMAS[role].revision}


@pytest.mark.parametrize("role", SCHEMAS)
def test_every_step_of_the_migrations_leads_from_nothing_to_the_tables(tmp_path: Path, role: str) -> None:
    scripts = ScriptDirectory(SCHEMAS[role].migrations, version_locations=[str(SCHEMAS[role].migrations)])
    for name in ("migrated", "created"):
        engine = create_engine(f"sqlite:///{tmp_path / name}")
        with engine.begin() as connection:
            if name == "migrated":
                upgrade(connection, scripts, SCHEMAS[role].revision)
            else:
                create(connection, SCHEMAS[role])
        engine.dispose()
    assert tables_of(tmp_path / "migrated") == tables_of(tmp_path / "created")
