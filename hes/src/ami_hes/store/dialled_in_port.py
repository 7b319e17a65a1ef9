"""The port by which processes that listen agree on which of them has the connection of a meter that dials in.

A process that listens has a number for as long as its connection to the store lives, as with partitions (`Ownership`). A meter belongs to
the number that has claimed it last: what changes the meter leaves from there, and from nowhere else (`Results.attempt`).
"""

from typing import Protocol

LISTENERS = range(1_000, 1_200)
"""The numbers that there are; apart from those of partitions."""


class DialledIn(Protocol):
    """Whose connection of a meter counts. Every method raises StoreUnavailable."""

    async def take_number(self, before: int | None = None) -> int:
        """This process's number from now on, which no other living one has: `before`, with the meters that nobody else has claimed meanwhile, if it is free, else a new one without any.

        Raises LookupError when all are taken.
        """

    async def number(self) -> int | None:
        """That of this process by the connection that the store has now; None where it was lost with the one before."""

    async def claim(self, mrid: str) -> int | None:
        """This meter (by `mrid_key`) has proved itself over a connection to this process, and is its own from now on; the number of who had it before, if another one.

        Raises NotOwned for a process that has no number on the connection of now.
        """

    async def holder(self, mrid: str) -> int | None:
        """Who has claimed this meter last; it may be gone since."""

    async def claimed(self) -> frozenset[str]:
        """All meters that somebody has claimed."""
