"""Ownership of partitions in the database: the Ownership port.

In PostgreSQL each is an advisory lock of the session, and a store has one connection (`ami_process.store.postgresql`). So the
server itself gives a lock back when its process dies, and a transaction that commits on the connection which has the locks had them
until its commit: that is what fences an attempt (`demand_owned`). A file belongs to one process, which so owns everything.
"""

from collections.abc import Collection

from sqlalchemy import Connection, bindparam, text

from ami_hes.store.database import Database
from ami_hes.store.ownership_port import NotOwned

_OWNED = "partitions of this connection"
_PRESENT = -1
"""The number of the lock that every process shares which takes part."""
_KEY = "hashtext('ami hes partitions ' || current_schema())"
_TRY = text(f"SELECT pg_try_advisory_lock({_KEY}, :number)").bindparams(bindparam("number"))
_TRY_SHARED = text(f"SELECT pg_try_advisory_lock_shared({_KEY}, :number)").bindparams(bindparam("number"))
_LEAVE = text(f"SELECT pg_advisory_unlock({_KEY}, :number)").bindparams(bindparam("number"))
_SHARING = text(
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2"  # noqa: S608  # no value is in it
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    f" AND classid::bigint = ({_KEY}::bigint & 4294967295) AND objid::bigint = (CAST(:number AS bigint) & 4294967295)"
)


class SqlOwnership:
    """The Ownership port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def owned(self) -> frozenset[int]:
        return await self._database.transaction(lambda c: frozenset(_of(c)))

    async def take(self, wanted: Collection[int], most: int, holding: Collection[int] = frozenset()) -> frozenset[int]:
        return await self._database.transaction(lambda c: _take(c, wanted, most, holding))

    async def leave(self, partitions: Collection[int]) -> None:
        await self._database.transaction(lambda c: _leave(c, partitions))

    async def sharing(self) -> int:
        return await self._database.transaction(_sharing)


def demand_owned(connection: Connection) -> None:
    """Raises NotOwned on a connection that has no partition, or none any more."""
    if not _of(connection):
        raise NotOwned


def _of(connection: Connection) -> set[int]:
    """Kept beside the connection of the driver, with which it goes."""
    owned: set[int] = connection.info.setdefault(_OWNED, set())
    return owned


def try_lock(connection: Connection, number: int) -> bool:
    """Whether this connection has the lock of this number now."""
    return bool(connection.execute(_TRY, {"number": number}).scalar())


def _take(connection: Connection, wanted: Collection[int], most: int, holding: Collection[int]) -> frozenset[int]:
    owned = _of(connection)
    if not owned.issuperset(holding):  # asked here, since a new connection that took them would look like the old one
        raise NotOwned
    for number in wanted:
        if len(owned) >= most:
            break
        if number not in owned and (is_file(connection) or try_lock(connection, number)):
            owned.add(number)
    return frozenset(owned)


def _leave(connection: Connection, partitions: Collection[int]) -> None:
    owned = _of(connection)
    for number in owned.intersection(partitions):
        if not is_file(connection):
            connection.execute(_LEAVE, {"number": number}).close()
        owned.discard(number)


def _sharing(connection: Connection) -> int:
    if is_file(connection):
        return 1
    if not connection.info.get(_SHARING):
        connection.execute(_TRY_SHARED, {"number": _PRESENT}).close()
        connection.info[_SHARING] = True
    return int(connection.execute(_SHARING, {"number": _PRESENT}).scalar() or 0)


def is_file(connection: Connection) -> bool:
    """Whether it is a file's, which one process has for itself."""
    return connection.dialect.name == "sqlite"
