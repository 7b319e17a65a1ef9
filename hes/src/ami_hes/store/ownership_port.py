"""The port by which processes that share a store agree on who has sessions with which meters.

Meters are in partitions, and a partition is one process's at a time. Nothing here is renewed and nothing expires: what a process
owns it owns as long as its connection to the store lives, and no longer.
"""

from collections.abc import Collection
from typing import Protocol


class NotOwned(Exception):
    """This process has lost its partitions, with the connection that had them."""


class Ownership(Protocol):
    """Which partitions are this process's. Every method raises StoreUnavailable."""

    async def owned(self) -> frozenset[int]:
        """Those that are its own by the connection that the store has now."""

    async def take(self, wanted: Collection[int], most: int, holding: Collection[int] = frozenset()) -> frozenset[int]:
        """Try these until it owns so many; all that it owns then. What another process owns is left there.

        Raises NotOwned, and takes nothing, where the connection that had those of `holding` is not the one of now.
        """

    async def leave(self, partitions: Collection[int]) -> None:
        """They are anybody's again."""

    async def sharing(self) -> int:
        """How many processes share the partitions of the workers; the first call of a process counts it in."""
