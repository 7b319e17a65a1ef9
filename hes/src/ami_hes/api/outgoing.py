"""`/api/v1/dead-letters` and `/api/v1/subscribers`: what was not taken, and what is sent again."""

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from http import HTTPStatus
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_hes.api import paths, query
from ami_hes.api.moments import given
from ami_hes.api.values.outgoing import (
    Again,
    Chosen,
    DeadLetter,
    DeadLetterList,
    Dropped,
    Replay,
    SubscriberEntry,
    SubscriberList,
)
from ami_hes.store.history import SqlHistory, SubscriberLine
from ami_process.api import ApiRefused, answer_of, read_body
from ami_process.query_parameters import check_known

DEFAULT_LISTED, MAX_LISTED = 100, 1_000


class Redelivering(Protocol):
    """What is done with what was posted or given up; raises StoreUnavailable."""

    async def retry(self, message_ids: Sequence[str] | None = None) -> int: ...

    async def replay(self, subscriber: str, since: datetime, until: datetime) -> int: ...

    async def drop(self, message_ids: Sequence[str] | None = None) -> int: ...


def outgoing_routes(
    history: SqlHistory, redelivery: Redelivering, targets: Mapping[str, str], zone: tzinfo
) -> list[Route]:
    """GET lists, POST sends again, DELETE drops; `targets` are those of the subscribers of the configuration, `zone` is that of times."""
    return _dead_letter_routes(history, redelivery, zone) + _subscriber_routes(history, redelivery, targets, zone)


def _dead_letter_routes(history: SqlHistory, redelivery: Redelivering, zone: tzinfo) -> list[Route]:
    async def list_dead_letters(request: Request) -> Response:
        check_known(request, ("limit",))
        limit = query.number(request, "limit", DEFAULT_LISTED, MAX_LISTED)
        with query.looking():
            lines, backlog = await history.dead_letters(limit), await history.backlog()
        return given(DeadLetterList(dead_letters=tuple(map(DeadLetter.of, lines)), total=backlog.dead_letters), zone)

    async def retry(request: Request) -> Response:
        chosen = await read_body(request, Chosen)
        with query.looking():
            return answer_of(Again(messages=await redelivery.retry(chosen.ids)))

    async def drop(request: Request) -> Response:
        chosen = await read_body(request, Chosen)
        with query.looking():
            return answer_of(Dropped(messages=await redelivery.drop(chosen.ids)))

    return [
        Route(paths.DEAD_LETTERS, list_dead_letters, methods=["GET"]),
        Route(paths.DEAD_LETTERS, retry, methods=["POST"]),
        Route(paths.DEAD_LETTERS, drop, methods=["DELETE"]),
    ]


def _subscriber_routes(
    history: SqlHistory, redelivery: Redelivering, targets: Mapping[str, str], zone: tzinfo
) -> list[Route]:
    async def list_subscribers(request: Request) -> Response:
        check_known(request, ())
        with query.looking():
            lines = {one.subscriber: one for one in await history.subscribers()}
        names = sorted({*targets, *lines})
        entries = tuple(_entry(name, targets.get(name), lines.get(name)) for name in names)
        return given(SubscriberList(subscribers=entries), zone)

    async def replay(request: Request) -> Response:
        name, wanted = request.path_params["name"], await read_body(request, Replay)
        if name not in targets:
            raise ApiRefused(HTTPStatus.NOT_FOUND, f"there is no subscriber {name[:100]} in hes.subscribers")
        with query.looking():
            return answer_of(Again(messages=await redelivery.replay(name, wanted.since, wanted.until)))

    return [
        Route(paths.SUBSCRIBERS, list_subscribers, methods=["GET"]),
        Route(paths.REPLAY, replay, methods=["POST"]),
    ]


def _entry(name: str, target: str | None, line: SubscriberLine | None) -> SubscriberEntry:
    counts: dict[str, Any] = {"events": 0, "taken": 0, "dead_letters": 0, "last_taken_at": None}
    known = counts if line is None else {key: getattr(line, key) for key in counts}
    return SubscriberEntry(name=name, target=target, **known)
