"""Events for subscribers, and what is owed again, in the database: the Outgoing port."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, delete, exists, insert, or_, select, update

from ami_hes.store.database import Database
from ami_hes.store.outgoing_port import Owed
from ami_hes.store.ports import StoredRequest
from ami_hes.store.tables import deliveries, owed_again, published, replies, requests, spent_ids

_GIVEN_UP = exists().where(deliveries.c.request_id == replies.c.request_id, deliveries.c.given_up_at.is_not(None))


class SqlOutgoing:
    """The Outgoing port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def publish(self, event: StoredRequest, subscriber: str) -> bool:
        return await self._database.transaction(lambda c: _publish(c, event, subscriber))

    async def published(self, subscriber: str, since: datetime, until: datetime) -> list[str]:
        this = (published.c.subscriber == subscriber, published.c.published_at >= since)
        query = select(published.c.request_id).where(*this, published.c.published_at < until)
        ordered = query.order_by(published.c.published_at, published.c.request_id)
        return await self._database.transaction(lambda c: list(c.execute(ordered).scalars()))

    async def dead_letters(self) -> list[str]:
        query = select(deliveries.c.request_id).where(deliveries.c.given_up_at.is_not(None))
        ordered = query.order_by(deliveries.c.given_up_at, deliveries.c.request_id)
        return await self._database.transaction(lambda c: list(c.execute(ordered).scalars()))

    async def owe_again(
        self, request_ids: Sequence[str], since: datetime, *, whole: bool, addresses: Mapping[str, str]
    ) -> list[Owed]:
        def work(connection: Connection) -> list[Owed]:
            _move(connection, request_ids, addresses)
            return _owe_again(connection, request_ids, since, whole=whole)

        return await self._database.transaction(work)


def _publish(connection: Connection, event: StoredRequest, subscriber: str) -> bool:
    this = event.request_id
    if connection.execute(select(spent_ids.c.number).where(spent_ids.c.request_id == this)).first() is not None:
        return False
    if connection.execute(select(requests.c.request_id).where(requests.c.request_id == this)).first() is None:
        connection.execute(insert(requests), asdict(event) | {"answered_at": event.accepted_at})
        connection.execute(insert(replies).values(request_id=this, parts_taken=0))
        row = {"request_id": this, "subscriber": subscriber, "published_at": event.accepted_at}
        connection.execute(insert(published).values(row))
    owed = select(replies.c.request_id).where(replies.c.request_id == this, replies.c.taken_at.is_(None), ~_GIVEN_UP)
    return connection.execute(owed).first() is not None


def _move(connection: Connection, request_ids: Sequence[str], addresses: Mapping[str, str]) -> None:
    """A subscriber that is elsewhere by now is posted to where it is."""
    for subscriber, address in addresses.items():
        theirs = select(published.c.request_id).where(
            published.c.subscriber == subscriber, published.c.request_id.in_(request_ids)
        )
        elsewhere = (requests.c.request_id.in_(theirs), requests.c.reply_address != address)
        connection.execute(update(requests).where(*elsewhere).values(reply_address=address))


def _owe_again(connection: Connection, request_ids: Sequence[str], since: datetime, *, whole: bool) -> list[Owed]:
    over = (replies.c.request_id.in_(request_ids), or_(replies.c.taken_at.is_not(None), _GIVEN_UP))
    joined = replies.join(requests, requests.c.request_id == replies.c.request_id)
    query = select(replies.c.request_id, requests.c.reply_address).select_from(joined).where(*over)
    owed = [Owed(*row) for row in connection.execute(query.order_by(requests.c.accepted_at, requests.c.request_id))]
    ids = [one.request_id for one in owed]
    again: dict[str, object] = {"taken_at": None} | ({"parts_taken": 0} if whole else {})
    connection.execute(update(replies).where(replies.c.request_id.in_(ids)).values(again))
    for table in (deliveries, owed_again):
        connection.execute(delete(table).where(table.c.request_id.in_(ids)))
    if ids:
        connection.execute(insert(owed_again), [{"request_id": one, "since": since} for one in ids])
    return owed
