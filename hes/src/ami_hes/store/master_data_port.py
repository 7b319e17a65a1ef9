"""The narrow ports to usage points that are kept by themselves, and to changes of master data that were not handed on yet. What they say is not for the store."""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol


class NotedChange(NamedTuple):
    """Something about master data that is another way now, to be told to who follows it."""

    change_id: str
    subject: str
    """What has changed: a word of who notes it."""
    verb: str
    document: str
    """What it is now, or was before it went; JSON."""


class WaitingChange(NamedTuple):
    """A change and its place among all others."""

    number: int
    change: NotedChange


class MasterDataChanges(Protocol):
    """What waits to be handed on. Every method raises StoreUnavailable."""

    async def waiting(self, limit: int) -> list[WaitingChange]:
        """The first ones."""

    async def handed_on(self, numbers: Sequence[int]) -> None:
        """They are not told again; committed when it returns."""


class StoredUsagePoint(NamedTuple):
    """A usage point: what it is called, by which it is sorted, and what is said of it."""

    point_id: str
    name: str
    document: str
    """JSON."""


class UsagePoints(Protocol):
    """Usage points by their keys, which no two share. Every method has committed when it returns, or raises StoreUnavailable."""

    async def find(self, keys: Collection[str]) -> list[StoredUsagePoint]:
        """Those that have one of these keys."""

    async def page(self, offset: int, limit: int) -> list[StoredUsagePoint]:
        """Some of them by name."""

    async def keys(self) -> list[str]:
        """All keys."""

    async def count(self) -> int: ...

    async def put(self, point: StoredUsagePoint, keys: Collection[str], noted: Sequence[NotedChange]) -> None:
        """Keep it, with these keys and no others, and the change of it; raises KeyTaken."""

    async def remove(self, point_id: str, noted: Sequence[NotedChange]) -> None: ...


class KeyTaken(Exception):
    """Another usage point has this key."""
