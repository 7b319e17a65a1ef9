"""The upgrade to revision 0005: what was looked up in our own messages until then is in columns, and the counters by meter are gone."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from postgresql_server import Cluster
from sqlalchemy import Connection, inspect, text

from ami_hes.commands import Lane
from ami_hes.jobs.rows import context_of
from ami_hes.nouns import STANDARD, Partner
from ami_hes.store import SCHEMA, Database, SqlCounters, SqlResults
from ami_process.store.opening import ready_store
from ami_process.store.places import Place, engine_of
from ami_process.store.upkeep import migrate_store

HERE = Path(__file__).parent
MESSAGE = "http://iec.ch/TC57/2011/schema/message"
GENERIC = f'<s:Envelope><s:Body><ResponseMessage xmlns="{MESSAGE}"/></s:Body></s:Envelope>'.encode()
TYPED = b'<s:Envelope><s:Body><m:EndDeviceControlsResponseMessage xmlns:m="http://..."/></s:Body></s:Envelope>'


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgresql"))])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "sqlite":
        return Path(shutil.copyfile(HERE / "hes-0003.sqlite", tmp_path / "hes.sqlite"))
    cluster: Cluster = request.getfixturevalue("postgresql")
    return cluster.load(HERE / "hes-0003.sql")


@asynccontextmanager
async def upgraded(place: Place) -> AsyncIterator[Database]:
    migrate_store(place, SCHEMA)
    async with Database(place) as database:
        yield database


@contextmanager
def older(place: Place) -> Iterator[Connection]:
    engine = engine_of(place)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def result(word: str) -> bytes:
    return f"<m:Reply><m:Result>{word}</m:Result></m:Reply>".encode()


async def test_the_form_of_a_late_reply_and_the_result_of_an_answer_are_those_of_the_messages(place: Place) -> None:
    with older(place) as connection:
        ack = text("UPDATE requests SET acknowledgement = :octets WHERE request_id = :name")
        connection.execute(ack, {"octets": TYPED, "name": "open"})
        connection.execute(ack, {"octets": GENERIC, "name": "owed"})
        answer = text("UPDATE requests SET answer = :octets WHERE request_id = :name")
        connection.execute(answer, {"octets": result("PARTIAL"), "name": "owed"})
        connection.execute(answer, {"octets": result("FAILED").replace(b"m:", b""), "name": "answered"})
    async with upgraded(place) as database:
        results = SqlResults(database)
        found = {name: await results.find(name) for name in ("open", "owed", "answered")}
        contexts = {name: context_of(one) for name, one in found.items() if one is not None}
        assert {name: one.partner for name, one in contexts.items()} == {
            "open": Partner(typed_reply=True),
            "owed": STANDARD,
            "answered": STANDARD,
        }
        assert {one.verb for one in contexts.values()} == {"create"}
        assert [one and one.result for one in found.values()] == [None, "PARTIAL", "FAILED"]


async def test_each_command_has_to_end_by_the_deadline_of_its_request(place: Place) -> None:
    async with upgraded(place) as database:
        results = SqlResults(database)
        request = await results.find("open")
        (command,) = await results.open_commands("open")
        assert request is not None and command.job.deadline_at == request.deadline_at
        assert command.job.lane is Lane.CONTROL


async def test_a_counter_by_meter_that_is_higher_counts(place: Place) -> None:
    with older(place) as connection:
        for meter, key, value in (("M1", "another key", 70), ("M2", "another key", 50), ("M3", "third key", 5)):
            connection.execute(text("INSERT INTO counters VALUES (:m, :k, :v)"), {"m": meter, "k": key, "v": value})
    async with upgraded(place) as database:
        counters = SqlCounters(database)
        found = [
            await counters.reserve_counters(key, 0, 1) for key in ("key of two meters", "another key", "third key")
        ]
        assert [one.first for one in found] == [300, 70, 5]


def columns(place: Place) -> set[tuple[str, str, str, bool]]:
    engine = engine_of(place)
    inspector = inspect(engine)
    found = {
        (table, str(column["name"]), str(column["type"]), bool(column["nullable"]))
        for table in SCHEMA.tables.tables
        for column in inspector.get_columns(table)
    }
    engine.dispose()
    return found


@pytest.mark.needs("postgresql")
def test_an_upgraded_database_has_the_columns_of_a_new_one(postgresql: Cluster) -> None:
    older_one, new = postgresql.load(HERE / "hes-0003.sql"), postgresql.new_place()
    migrate_store(older_one, SCHEMA)
    assert ready_store(new, SCHEMA) is None
    assert columns(older_one) == columns(new)
