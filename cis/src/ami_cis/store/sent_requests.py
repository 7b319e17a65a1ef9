"""Requests of the CIS with the latest reply to each, to be looked at: nothing here changes anything."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, Select, and_, func, or_, select

from ami_cis.store.tables import REPLIES, REQUESTS


class RequestLine(NamedTuple):
    """A request and how far it is; what follows `reason` is of its latest reply, unset without one. An error has `code`, `reason` and `meter`."""

    message_id: str
    verb: str
    noun: str
    code: str
    meters: tuple[str, ...]
    asynchronous: bool
    sent_at: datetime
    state: str
    reason: str | None
    result: str | None
    errors: tuple[dict[str, str | None], ...]
    replied_at: datetime | None


def list_requests(connection: Connection, limit: int, before: str | None) -> list[RequestLine]:
    """The latest ones, or those sent before this one."""
    newest = REQUESTS.c.sent_at.desc(), REQUESTS.c.message_id.desc()
    query = select(REQUESTS).order_by(*newest).limit(limit)
    if before is not None:
        place = select(REQUESTS.c.sent_at, REQUESTS.c.message_id).where(REQUESTS.c.message_id == before)
        found = connection.execute(place).one_or_none()
        if found is None:
            return []
        same = and_(REQUESTS.c.sent_at == found.sent_at, REQUESTS.c.message_id < found.message_id)
        query = query.where(or_(REQUESTS.c.sent_at < found.sent_at, same))
    return _lines(connection, query)


def some_requests(connection: Connection, message_ids: Sequence[str]) -> list[RequestLine]:
    """Those of these that are kept."""
    return _lines(connection, select(REQUESTS).where(REQUESTS.c.message_id.in_(message_ids)))


def _lines(connection: Connection, query: Select[*tuple[object, ...]]) -> list[RequestLine]:
    found = connection.execute(query).mappings().all()
    ids = [row["message_id"] for row in found]
    latest = select(func.max(REPLIES.c.number)).where(REPLIES.c.request.in_(ids)).group_by(REPLIES.c.request)
    replies = select(REPLIES).where(REPLIES.c.number.in_(latest))
    by_request = {row["request"]: row for row in connection.execute(replies).mappings()} if ids else {}
    lines = []
    for row in found:
        reply = by_request.get(row["message_id"])
        lines.append(
            RequestLine(
                message_id=row["message_id"],
                verb=row["verb"],
                noun=row["noun"],
                code=row["code"],
                meters=tuple(row["meters"]),
                asynchronous=row["asynchronous"],
                sent_at=row["sent_at"],
                state=row["state"],
                reason=row["reason"],
                result=None if reply is None else reply["result"],
                errors=() if reply is None else tuple(reply["errors"]),
                replied_at=None if reply is None else reply["received_at"],
            )
        )
    return lines
