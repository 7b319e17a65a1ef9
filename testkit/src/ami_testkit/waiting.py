"""What comes while a test waits: a list that grows on the kit's thread and is looked at on the test's."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Arrivals(Generic[T]):
    """The last `most` that came, in order, of `octets` octets together at most."""

    def __init__(self, size: Callable[[T], int], most: int = 10_000, octets: int = 256_000_000) -> None:
        self._size, self._most, self._octets = size, most, octets
        self._came: deque[T] = deque()
        self._held = 0
        self._changes = 0
        self._changed = threading.Condition()

    def add(self, one: T) -> None:
        """One more; the oldest ones go where there are too many."""
        with self._changed:
            self._came.append(one)
            self._held += self._size(one)
            while len(self._came) > self._most or (self._held > self._octets and len(self._came) > 1):
                self._held -= self._size(self._came.popleft())
            self._changes += 1
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget all."""
        with self._changed:
            self._came.clear()
            self._held = 0
            self._changes += 1
            self._changed.notify_all()

    def all(self) -> list[T]:
        """Those that came, the oldest first."""
        with self._changed:
            return list(self._came)

    def __iter__(self) -> Iterator[T]:
        return iter(self.all())

    def __len__(self) -> int:
        with self._changed:
            return len(self._came)

    def wait(self, find: Callable[[list[T]], R | None], seconds: float) -> R | None:
        """What `find` finds in all that has come, as soon as it does; None after so long.

        It may take its time: what comes meanwhile is taken, and looked at next.
        """
        end = time.monotonic() + seconds
        while True:
            with self._changed:
                came, seen = list(self._came), self._changes
            found = find(came)
            left = end - time.monotonic()
            if found is not None or left <= 0:
                return found
            with self._changed:
                if not self._changed.wait_for(lambda seen=seen: self._changes != seen, left):  # type: ignore[misc]
                    return None
