"""The port to connections that meters have opened to this process, and how a process asks for a meter to be its own."""

from collections.abc import Collection
from typing import Protocol


class Connections(Protocol):
    """What faces the meters. They are named by `mrid_key`."""

    def has(self, mrid: str) -> bool:
        """Whether a connection of this meter is here, in use or not."""

    def let_go(self, mrid: str) -> None:
        """It has dialled in at another process: its connections here are closed, and what is asked of it here ends with NotOwned."""

    def forget_counters(self, mrid: str) -> None:
        """Another process has used higher invocation counters for this meter."""

    def close_all(self) -> None:
        """Whether this process may have its meters is not known any more: they have to dial in again."""


class Claims(Protocol):
    """Told of meters that dial in, before anything is asked of them for a requester."""

    async def claim(self, mrid: str, *, proved: bool) -> bool:
        """Whether the meter is this process's now, and nothing of it is in hand anywhere else. Raises StoreUnavailable.

        `proved`: it is certain to be this meter, or there is nothing by which it could be; else who has it keeps it.
        """

    async def is_ours(self, mrid: str) -> bool:
        """Whether this process has claimed it last. Raises StoreUnavailable."""

    def arrived(self, mrid: str) -> None:
        """A connection of it waits here for work."""

    def left(self, mrid: str) -> None:
        """No connection of it is here any more."""


class AloneHere:
    """The Claims port of a process that shares its meters with none."""

    async def claim(self, mrid: str, *, proved: bool) -> bool:
        return True

    async def is_ours(self, mrid: str) -> bool:
        return True

    def arrived(self, mrid: str) -> None:
        pass

    def left(self, mrid: str) -> None:
        pass


class NoConnections:
    """The Connections port of a process that does not listen."""

    def has(self, mrid: str) -> bool:
        return False

    def let_go(self, mrid: str) -> None:
        pass

    def forget_counters(self, mrid: str) -> None:
        pass

    def close_all(self) -> None:
        pass


Names = Collection[tuple[str, str]]
"""Commands, by request and by what their meter was called in it."""
