"""Messages that wait for being carried out, in the database: the KeptMessages port."""

from sqlalchemy import Connection, delete, exists, func, select, text

from ami_hes.store.database import Database
from ami_hes.store.kept_messages_port import KeptMessage, WaitingMessage
from ami_hes.store.tables import kept_messages, requests

_KEEP = text(
    "INSERT INTO kept_messages (request_id, octets, in_question) VALUES (:request_id, :octets, :in_question)"
    " ON CONFLICT (request_id) DO NOTHING"
)
"""The same in SQLite and in PostgreSQL."""


class SqlKeptMessages:
    """The KeptMessages port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, request_id: str, octets: bytes) -> None:
        row = {"request_id": request_id, "octets": octets, "in_question": False}
        await self._database.transaction(lambda c: c.execute(_KEEP, row).close())

    async def read(self, request_id: str) -> KeptMessage | None:
        columns = (kept_messages.c.octets, kept_messages.c.in_question)
        query = select(*columns).where(kept_messages.c.request_id == request_id)
        row = await self._database.transaction(lambda c: c.execute(query).one_or_none())
        return None if row is None else KeptMessage(*row)

    async def drop(self, request_id: str) -> None:
        this = delete(kept_messages).where(kept_messages.c.request_id == request_id)
        await self._database.transaction(lambda c: c.execute(this).close())

    async def waiting(self) -> list[WaitingMessage]:
        return await self._database.transaction(_waiting)


def _waiting(connection: Connection) -> list[WaitingMessage]:
    unanswered = exists().where(requests.c.request_id == kept_messages.c.request_id, requests.c.answered_at.is_(None))
    connection.execute(delete(kept_messages).where(~unanswered))
    who = (requests.c.principal, requests.c.principal_by)
    columns = (kept_messages.c.request_id, requests.c.source, func.length(kept_messages.c.octets), *who)
    joined = kept_messages.join(requests, requests.c.request_id == kept_messages.c.request_id)
    query = select(*columns).select_from(joined).order_by(requests.c.accepted_at, requests.c.request_id)
    return [WaitingMessage(*row) for row in connection.execute(query)]
