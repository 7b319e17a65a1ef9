"""Schemas of a database that are there as long as something is measured in them."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from ami_cli.bench import BenchError
from ami_process.store.errors import StoreUnusable, reason_of
from ami_process.store.postgresql import Server


@contextmanager
def empty_schema(store: str) -> Iterator[Server]:
    """A new one, by its place; it is dropped at the end with all that is in it. BenchError where none can be made."""
    name = f"ami_bench_{uuid4().hex[:12]}"
    url = make_url(store)
    run(Server(url), f"CREATE SCHEMA {name}")
    try:
        yield Server(url.update_query_dict({"options": f"-csearch_path={name}"}))
    finally:
        run(Server(url), f"DROP SCHEMA {name} CASCADE")


def run(place: Server, statement: str) -> list[tuple[object, ...]]:
    """In a transaction and on a connection of its own; its rows. BenchError."""
    try:
        engine = place.engine()
        try:
            with engine.begin() as connection:
                done = connection.exec_driver_sql(statement)
                return [tuple(row) for row in done] if done.returns_rows else []
        finally:
            engine.dispose()
    except (DBAPIError, StoreUnusable) as problem:
        raise BenchError(f"{place}: {reason_of(problem)}") from None


def version(place: Server) -> str:
    """That of the server, with what decides how safe and how fast a commit is."""
    ((number, synchronous, buffers),) = run(
        place,
        "SELECT current_setting('server_version'), current_setting('fsync'), current_setting('shared_buffers')",
    )
    return f"PostgreSQL {number}, fsync {synchronous}, shared_buffers {buffers}"
