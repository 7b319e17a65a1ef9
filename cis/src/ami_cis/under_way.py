"""What has been asked over the API and has no end yet: each MessageID once, and no more at once than there is room for."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeVar
from zoneinfo import ZoneInfo

from ami_cis.meters import Meter
from ami_process.api import ApiRefused

AT_ONCE = 100
"""Requests of one kind that may be under way by this API."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asking:
    """What all routes that ask the HES go by."""

    meters: Sequence[Meter]
    """Those whose mRID goes along with their name."""
    zone: ZoneInfo
    """Of times without an offset."""
    can_be_replied_to: bool
    new_id: Callable[[], str]
    """A MessageID for an order that has none."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the process is about to stop."""

    def demand_replies(self, *, asynchronous: bool) -> None:
        """Raises ApiRefused where a late reply is wanted and there is no address for it."""
        if asynchronous and not self.can_be_replied_to:
            reason = "cis.host is no address to reply to; set cis.reply_address"
            raise ApiRefused(HTTPStatus.UNPROCESSABLE_ENTITY, reason)


class UnderWay:
    """Those of one kind, `what` in a word; `stopping` is set when the process is about to stop."""

    def __init__(self, what: str, stopping: asyncio.Event) -> None:
        self._what = what
        self._stopping = stopping
        self._keys: set[str | object] = set()

    async def end_of(self, message_id: str | None, work: Callable[[], Awaitable[T]]) -> T:
        """What the work comes to. Raises ApiRefused where it is not begun, or where the process stops before its end."""
        with self._entered(message_id):
            working = asyncio.ensure_future(work())
            stopping = asyncio.ensure_future(self._stopping.wait())
            try:
                await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if working.done():
                    return working.result()
            finally:
                working.cancel()
                stopping.cancel()
                await asyncio.wait({working, stopping})
        raise ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, self._stopped(message_id), undecided=True)

    @contextmanager
    def _entered(self, message_id: str | None) -> Iterator[None]:
        """One of those that are; raises ApiRefused where there is no room, or the same one is under way."""
        key = message_id or object()
        if key in self._keys:
            raise ApiRefused(HTTPStatus.CONFLICT, f"a {self._what} with this MessageID is under way")
        if len(self._keys) >= AT_ONCE:
            raise ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, f"{AT_ONCE} {self._what}s are under way; ask again later")
        self._keys.add(key)
        try:
            yield
        finally:
            self._keys.discard(key)

    def _stopped(self, message_id: str | None) -> str:
        again = "with its MessageID" if message_id is None else f"with the MessageID {message_id}"
        return (
            f"the CIS is stopping; what was sent of this {self._what} is seen through when it runs again: "
            f"ask again then {again}, which does nothing twice"
        )
