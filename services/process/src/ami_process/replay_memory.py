"""What was seen already and must not come twice, for as long as it could: bounded, and when it is full, it says so and forgets nothing."""

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Protocol


class MemoryFull(Exception):
    """Nothing more can be remembered now."""


class Remembers(Protocol):
    """What was seen, of one process or of several together."""

    @property
    def complete_since(self) -> datetime | None:
        """From before this moment something may have been seen that is not remembered; None: there is no such moment."""

    async def claim(self, *keys: bytes) -> bool:
        """Remember all of these; False, and none is, where one has been seen. Raises MemoryFull, and what a store raises that is away."""


class ReplayMemory:
    """Keys that were used, in the memory of one process: the Remembers port."""

    def __init__(
        self, most: int, keep_s: float, seconds: Callable[[], float], complete_since: datetime | None = None
    ) -> None:
        """`seconds` only grow."""
        self.complete_since = complete_since
        self._most = most
        self._keep_s = keep_s
        self._seconds = seconds
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._until)

    def check(self, key: bytes) -> bool:
        """Whether it is new; it isn't remembered yet."""
        self._forget()
        return key not in self._until

    async def claim(self, *keys: bytes) -> bool:
        if not all(map(self.check, keys)):
            return False
        self.note(*keys)
        return True

    def note(self, *keys: bytes) -> None:
        """Remember all of these or, with MemoryFull, none."""
        self._forget()
        if len(self._until) + len(keys) > self._most:
            raise MemoryFull
        until = self._seconds() + self._keep_s
        self._until.update(dict.fromkeys(keys, until))

    def _forget(self) -> None:
        """Those whose time is over; they were noted in the order in which they end."""
        now = self._seconds()
        while self._until and next(iter(self._until.values())) <= now:
            self._until.popitem(last=False)
