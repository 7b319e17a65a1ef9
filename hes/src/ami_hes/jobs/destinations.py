"""Which reply is posted next, so that a receiver that does not answer takes nothing from the others.

A bulkhead with a place for each receiver (host and port), as plain values without a clock. At most `room` posts are under way,
and at most `per_destination` of them to one receiver. A post that lasts longer than a moment counts as lingering, and so does
every post to a receiver that gave no answer the last time: of these at most `room // 2` are under way, and one that would be
more has to end at once. So half of the room is always in motion: a receiver that has not failed yet waits at most one moment
for each `room // 2` posts that were put before its own, however many others are deaf.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class Post(Generic[T]):
    """An item under way to its destination."""

    destination: str
    item: T
    lingers: bool
    under_way: bool = True


class _Waiting(Generic[T]):
    """Items by rank, of one rank in the order in which they came."""

    def __init__(self) -> None:
        self._ranks: dict[int, deque[T]] = {}

    def __bool__(self) -> bool:
        return bool(self._ranks)

    def __iter__(self) -> Iterator[T]:
        return (item for rank in sorted(self._ranks) for item in self._ranks[rank])

    def append(self, item: T, rank: int) -> None:
        self._ranks.setdefault(rank, deque()).append(item)

    def popleft(self) -> T:
        """The first one of the lowest rank."""
        rank = min(self._ranks)
        item = self._ranks[rank].popleft()
        self._forget_empty(rank)
        return item

    def remove(self, item: T) -> None:
        rank = next(rank for rank, items in self._ranks.items() if item in items)
        self._ranks[rank].remove(item)
        self._forget_empty(rank)

    def _forget_empty(self, rank: int) -> None:
        if not self._ranks[rank]:
            del self._ranks[rank]


@dataclass(slots=True)
class _Destination(Generic[T]):
    waiting: _Waiting[T] = field(default_factory=_Waiting)
    under_way: int = 0
    lingering: int = 0
    failures: int = 0
    """How often in a row it gave no answer; posts that were under way at the same time count once."""
    resting: bool = False

    @property
    def idle(self) -> bool:
        return not (self.waiting or self.under_way or self.resting)


class Destinations(Generic[T]):
    """What waits to be posted, and what is under way."""

    def __init__(self, *, room: int, per_destination: int) -> None:
        self._room = room
        self._per_destination = per_destination
        self._destinations: OrderedDict[str, _Destination[T]] = OrderedDict()
        self.under_way = 0
        self.lingering = 0

    def add(self, destination: str, item: T, rank: int = 0) -> None:
        """Put an item behind those of its destination that have the same rank or a lower one."""
        self._destinations.setdefault(destination, _Destination()).waiting.append(item, rank)

    def next(self) -> Post[T] | None:
        """What to post now; destinations take turns. None if nothing may begin."""
        if self.under_way >= self._room:
            return None
        for name, destination in self._destinations.items():
            if self._may_begin(destination):
                self._destinations.move_to_end(name)
                return self._begin(name, destination)
        return None

    def linger(self, post: Post[T]) -> bool:
        """A post lasts longer than a moment; False if it has to end now, since too many others last as well."""
        if post.lingers:
            return True
        if self.lingering >= self._room // 2:
            return False
        post.lingers = True
        self.lingering += 1
        self._destinations[post.destination].lingering += 1
        return True

    def answered(self, post: Post[T]) -> None:
        """A post has ended with an answer, whatever it says."""
        destination = self._end(post)
        destination.failures = 0
        if destination.idle:
            del self._destinations[post.destination]

    def failed(self, post: Post[T]) -> int | None:
        """A post has ended without an answer, so its destination rests until `wake`.

        How often that was so in a row; None if it rests already, because of another post.
        """
        destination = self._end(post)
        if destination.resting:
            return None
        destination.resting = True
        destination.failures += 1
        return destination.failures

    def wake(self, name: str) -> None:
        """A destination that rests may be tried again, with one post."""
        self._destinations[name].resting = False
        if self._destinations[name].idle:
            del self._destinations[name]

    def waiting(self, name: str) -> Iterator[T]:
        """What waits for this destination."""
        return iter(tuple(self._destinations[name].waiting))

    def remove(self, name: str, item: T) -> None:
        """An item that waits needs no post any more."""
        self._destinations[name].waiting.remove(item)

    def _may_begin(self, destination: _Destination[T]) -> bool:
        if destination.resting or not destination.waiting:
            return False
        if destination.failures:
            return destination.under_way == 0 and self.lingering < self._room // 2
        return destination.under_way < self._per_destination and destination.lingering == 0

    def _begin(self, name: str, destination: _Destination[T]) -> Post[T]:
        post = Post(name, destination.waiting.popleft(), lingers=destination.failures > 0)
        destination.under_way += 1
        destination.lingering += post.lingers
        self.under_way += 1
        self.lingering += post.lingers
        return post

    def _end(self, post: Post[T]) -> _Destination[T]:
        destination = self._destinations[post.destination]
        post.under_way = False
        destination.under_way -= 1
        destination.lingering -= post.lingers
        self.under_way -= 1
        self.lingering -= post.lingers
        return destination
