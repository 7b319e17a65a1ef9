"""Replies that their receivers did not take: how often that was tried, and which of them were given up (dead letters)."""

from datetime import datetime

from sqlalchemy import Connection, Row, func, insert, select, update

from ami_hes.store.database import Database
from ami_hes.store.ports import FailedDelivery
from ami_hes.store.tables import deliveries, owed_again


class SqlDeliveries:
    """The Deliveries port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def failed(self, request_id: str, reason: str, failed_at: datetime) -> FailedDelivery:
        return await self._database.record(lambda c: _failed(c, request_id, reason, failed_at))

    async def give_up(self, request_id: str, reason: str, given_up_at: datetime) -> None:
        await self._database.record(lambda c: _give_up(c, request_id, reason, given_up_at))

    async def find(self, request_id: str) -> FailedDelivery | None:
        return await self._database.transaction(lambda c: _find(c, request_id))

    async def owed_since(self, request_id: str) -> datetime | None:
        query = select(owed_again.c.since).where(owed_again.c.request_id == request_id)
        return await self._database.transaction(lambda c: c.execute(query).scalar())

    async def dead_letters(self) -> int:
        query = select(func.count()).select_from(deliveries).where(deliveries.c.given_up_at.is_not(None))
        return await self._database.transaction(lambda c: c.execute(query).scalar_one())


def _find(connection: Connection, request_id: str) -> FailedDelivery | None:
    row = connection.execute(select(deliveries).where(deliveries.c.request_id == request_id)).first()
    return None if row is None else _delivery(row)


def _failed(connection: Connection, request_id: str, reason: str, failed_at: datetime) -> FailedDelivery:
    kept = _find(connection, request_id)
    if kept is None:
        kept = FailedDelivery(request_id, 1, failed_at, reason)
        values = {"attempts": 1, "first_failed_at": failed_at, "last_reason": reason}
        connection.execute(insert(deliveries).values(request_id=request_id, **values))
        return kept
    again = update(deliveries).where(deliveries.c.request_id == request_id)
    connection.execute(again.values(attempts=kept.attempts + 1, last_reason=reason))
    return FailedDelivery(request_id, kept.attempts + 1, kept.first_failed_at, reason, kept.given_up_at)


def _give_up(connection: Connection, request_id: str, reason: str, given_up_at: datetime) -> None:
    """Also for a reply that was never tried, because its receiver did not answer to others."""
    values = {"last_reason": reason, "given_up_at": given_up_at}
    if _find(connection, request_id) is None:
        never = {"attempts": 0, "first_failed_at": given_up_at}
        connection.execute(insert(deliveries).values(request_id=request_id, **never, **values))
    else:
        connection.execute(update(deliveries).where(deliveries.c.request_id == request_id).values(values))


def _delivery(row: Row[*tuple[object, ...]]) -> FailedDelivery:
    return FailedDelivery(**row._mapping)
