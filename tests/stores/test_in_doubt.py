"""A server that goes away while it commits: what was stored is found out before anything is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from postgresql_server import Cluster, rows
from sqlalchemy import Connection, event

from ami_cis.store import SentRequest, Store
from ami_hes.commands import Command, CommandJob, Lane, MeterId
from ami_hes.store import Database, SqlResults, StoredRequest
from ami_process.store.database import Database as AnyDatabase
from ami_process.store.errors import StoreInDoubt, StoreUnavailable
from ami_process.store.postgresql import Server

pytestmark = pytest.mark.needs("postgresql")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
REQUEST = StoredRequest(
    request_id="r1",
    digest="d",
    verb="create",
    noun="EndDeviceControls",
    correlation_id="c",
    reply_address=None,
    accepted_at=NOW,
    deadline_at=NOW,
    errors="[]",
)
COMMAND = CommandJob(Command("r1", MeterId("M1", "m1"), "disconnect_control", "3.31.0.23"), Lane.CONTROL, NOW)
SENT = SentRequest("m-1", "m-1", "create", "EndDeviceControls", "3.31.0.23", ("M1001",), False, NOW)


def lose_next_commit(database: AnyDatabase, *, stored: bool) -> None:
    """Cut the connection at the next commit: when the server has done it, or before it has."""

    left = [database]

    def cut(connection: Connection) -> None:
        if not left:
            return
        left.pop()
        driver = connection.connection.dbapi_connection
        assert driver is not None
        if stored:
            driver.commit()
        driver.close()

    event.listen(database._engine, "commit", cut)


@pytest.fixture
def server(postgresql: Cluster) -> Server:
    return postgresql.new_place()


@pytest.fixture(params=[True, False], ids=["stored", "not stored"])
def lose(request: pytest.FixtureRequest) -> Callable[[AnyDatabase], None]:
    return lambda database: lose_next_commit(database, stored=request.param)


async def test_a_request_is_accepted_once_and_that_is_known(
    server: Server, lose: Callable[[AnyDatabase], None]
) -> None:
    async with Database(server) as database:
        results = SqlResults(database)
        lose(database)
        assert await results.accept(REQUEST, [COMMAND], "nonce") is None
        assert await results.find("r1") == REQUEST
        assert await results.accept(replace(REQUEST, digest="other"), [COMMAND]) == REQUEST
    assert rows(server, "SELECT request_id, meter_name FROM commands") == [("r1", "M1")]


async def test_a_request_of_the_cis_is_kept_before_it_is_sent(
    server: Server, lose: Callable[[AnyDatabase], None]
) -> None:
    async with Store.opened(server) as store:
        lose(store._database)
        await store.add_request(SENT, b"<request/>")
        assert await store.outgoing() == [(SENT, b"<request/>")]


async def test_what_is_in_doubt_is_said_to_be(server: Server, lose: Callable[[AnyDatabase], None]) -> None:
    async with Database(server) as database:
        lose(database)
        with pytest.raises(StoreInDoubt, match="the store can't be written now: "):
            await database.check()
        await database.check()


async def test_what_fails_before_the_commit_is_not_in_doubt(postgresql: Cluster, server: Server) -> None:
    def broken(connection: Connection) -> None:
        driver = connection.connection.dbapi_connection
        assert driver is not None
        driver.close()
        connection.exec_driver_sql("SELECT 1").close()

    async with Database(server) as database:
        with pytest.raises(StoreUnavailable) as failed:
            await database.transaction(broken)
        assert not isinstance(failed.value, StoreInDoubt)
