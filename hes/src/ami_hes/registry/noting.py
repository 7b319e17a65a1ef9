"""What is to be told of a change of the registry, noted in the transaction that keeps it. Who tells it, and in which words, is above this package."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from ami_hes.meters.meter_index import Table
from ami_hes.store import NotedChange

Describe = Callable[[Table | None, Table | None], Sequence[NotedChange]]
"""An entry as it was (None: there was none) and as it is now (None: it is gone), without secrets."""


def nothing(_: Table | None, __: Table | None) -> Sequence[NotedChange]:
    """Where nobody is told."""
    return ()


@dataclass(slots=True)
class Noting:
    """Notes changes, and says when there are new ones."""

    describe: Describe = nothing
    kept: asyncio.Event = field(default_factory=asyncio.Event)
    told: list[Callable[[], None]] = field(default_factory=list)
    """Called when this process has kept some, for the others."""

    def noted(self, changes: Iterable[tuple[Table | None, Table | None]]) -> list[NotedChange]:
        """Of several entries, in their order."""
        if self.describe is nothing:
            return []
        return [one for before, after in changes for one in self.describe(before, after)]

    def committed(self, noted: Sequence[NotedChange]) -> None:
        """They are in the store."""
        if noted:
            self.kept.set()
            for tell in self.told:
                tell()
