"""Which listening process has the connection of which meter, in the database: the DialledIn port, one row per meter.

A number is an advisory lock as those of partitions are (`ami_hes.store.ownership`), kept beside the connection that has it. A row that names a
number which nobody has any more says nothing; who takes the number next has none of its meters.
"""

from collections.abc import Collection

from sqlalchemy import Connection, bindparam, delete, select, text

from ami_hes.store.database import Database
from ami_hes.store.dialled_in_port import LISTENERS
from ami_hes.store.ownership import is_file, try_lock
from ami_hes.store.ownership_port import NotOwned
from ami_hes.store.tables import dialled_in
from ami_process.store.shared_transaction import SharedTransaction

_NUMBER = "number of this listener"
_HOLDER = select(dialled_in.c.listener).where(dialled_in.c.mrid == bindparam("of_mrid"))
_FORGET = delete(dialled_in).where(dialled_in.c.listener == bindparam("of_listener"))
_CLAIM = text(
    "INSERT INTO dialled_in (mrid, listener) VALUES (:mrid, :listener)"
    " ON CONFLICT (mrid) DO UPDATE SET listener = excluded.listener"
)
"""The same in SQLite and in PostgreSQL."""


class SqlDialledIn:
    """The DialledIn port."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._claims = SharedTransaction(database, (NotOwned,))

    async def take_number(self, before: int | None = None) -> int:
        number = await self._database.transaction(lambda c: _take_number(c, before))
        if number != before:  # nobody claims anything in its name before this returns
            await self._database.transaction(lambda c: c.execute(_FORGET, {"of_listener": number}).close())
        return number

    async def number(self) -> int | None:
        return await self._database.transaction(number_of)

    async def claim(self, mrid: str) -> int | None:
        return await self._claims.run(lambda connection: _claim(connection, mrid))

    async def holder(self, mrid: str) -> int | None:
        return await self._database.transaction(lambda c: c.execute(_HOLDER, {"of_mrid": mrid}).scalar())

    async def claimed(self) -> frozenset[str]:
        query = select(dialled_in.c.mrid)
        return await self._database.transaction(lambda c: frozenset(c.execute(query).scalars()))


def number_of(connection: Connection) -> int | None:
    """That of the process whose connection this is; None for one that does not listen, or has lost the connection that had it."""
    number: int | None = connection.info.get(_NUMBER)
    return number


def demand_held(connection: Connection, mrids: Collection[str]) -> None:
    """Raises NotOwned where one of these meters has dialled in at another process meanwhile."""
    number = number_of(connection)
    elsewhere = select(dialled_in.c.mrid).where(dialled_in.c.mrid.in_(mrids), dialled_in.c.listener != number).limit(1)
    if number is None or connection.execute(elsewhere).first() is not None:
        raise NotOwned


def _take_number(connection: Connection, before: int | None) -> int:
    number = number_of(connection)
    if number is None:
        numbers = LISTENERS if before is None else (before, *LISTENERS)
        number = next((one for one in numbers if is_file(connection) or try_lock(connection, one)), None)
    if number is None:
        raise LookupError(f"{len(LISTENERS)} processes listen already")
    connection.info[_NUMBER] = number
    return number


def _claim(connection: Connection, mrid: str) -> int | None:
    number = number_of(connection)
    if number is None:
        raise NotOwned
    before = connection.execute(_HOLDER, {"of_mrid": mrid}).scalar()
    if before == number:
        return None
    connection.execute(_CLAIM, {"mrid": mrid, "listener": number})
    return before
