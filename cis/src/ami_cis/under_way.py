"""What has been asked over the API and has no end yet: each MessageID once, and no more at once than there is room for."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from ami_process.api import Refused

AT_ONCE = 100
"""Requests of one kind that may be under way by this API."""


class UnderWay:
    """Those of one kind, `what` in a word."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._keys: set[str | object] = set()

    @contextmanager
    def entered(self, message_id: str | None) -> Iterator[None]:
        """One of those that are; raises Refused where there is no room, or the same one is under way."""
        key = message_id or object()
        if key in self._keys:
            raise Refused(HTTPStatus.CONFLICT, f"a {self._what} with this MessageID is under way")
        if len(self._keys) >= AT_ONCE:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, f"{AT_ONCE} {self._what}s are under way; ask again later")
        self._keys.add(key)
        try:
            yield
        finally:
            self._keys.discard(key)
