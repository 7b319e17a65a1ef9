"""Invocation counters (Green Book 9.2.3.3.7.3): no value is sent twice under a key, no value is accepted twice.

A sender works inside a reservation: the owner writes down a limit first and may then hand out values below it. After a
crash it goes on at the limit, so values are skipped but never used again.
"""

from __future__ import annotations

from ami_dlms.errors import LocalError, SecurityError

COUNTER_END = 2**32


class ReplayError(SecurityError):
    """A frame whose invocation counter was used before; `lowest_acceptable` is the first value that would pass."""

    def __init__(self, value: int, lowest_acceptable: int) -> None:
        super().__init__(f"invocation counter {value} was used before: the lowest acceptable is {lowest_acceptable}")
        self.value = value
        self.lowest_acceptable = lowest_acceptable


class SendCounter:
    """Counter values for our own frames: `next_value` up to, not including, `limit`."""

    __slots__ = ("_limit", "_next_value")

    def __init__(self, next_value: int, limit: int = COUNTER_END) -> None:
        if not 0 <= next_value <= limit <= COUNTER_END:
            raise LocalError(f"invocation counter from {next_value} to {limit} does not fit into 0..{COUNTER_END}")
        self._next_value = next_value
        self._limit = limit

    @property
    def next_value(self) -> int:
        return self._next_value

    @property
    def limit(self) -> int:
        return self._limit

    @property
    def remaining(self) -> int:
        """How many values may still be taken."""
        return self._limit - self._next_value

    def take(self) -> int:
        """A value that was never given out before; LocalError when the reservation is used up."""
        value = self._next_value
        if value >= self._limit:
            raise LocalError(
                f"no invocation counter left below {self._limit}: reserve more, or change the key at {COUNTER_END}"
            )
        self._next_value = value + 1
        return value

    def extend(self, limit: int) -> None:
        """Move the limit up, after it has been written down where it survives a crash."""
        if not self._limit <= limit <= COUNTER_END:
            raise LocalError(f"the limit can't go from {self._limit} to {limit}")
        self._limit = limit

    def go_on(self, next_value: int, limit: int) -> None:
        """Go on in another reservation above this one; what is left of this one is given up."""
        if not self._limit <= next_value <= limit <= COUNTER_END:
            raise LocalError(f"no reservation above {self._limit} goes from {next_value} to {limit}")
        self._next_value, self._limit = next_value, limit

    def __repr__(self) -> str:
        return f"SendCounter(next_value={self._next_value}, limit={self._limit})"


class ReceiveCounter:
    """Counter values of the peer's frames: each has to be at least `lowest_acceptable`."""

    __slots__ = ("_lowest_acceptable",)

    def __init__(self, lowest_acceptable: int = 0) -> None:
        if not 0 <= lowest_acceptable <= COUNTER_END:
            raise LocalError(f"lowest acceptable invocation counter {lowest_acceptable} is not in 0..{COUNTER_END}")
        self._lowest_acceptable = lowest_acceptable

    @property
    def lowest_acceptable(self) -> int:
        return self._lowest_acceptable

    def check(self, value: int) -> None:
        """Raise ReplayError when the value was used before; changes nothing."""
        if value < self._lowest_acceptable:
            raise ReplayError(value, self._lowest_acceptable)

    def accept(self, value: int) -> None:
        """Note the value of a frame that has been verified; it and all below are refused from now on."""
        self.check(value)
        self._lowest_acceptable = value + 1

    def accepts(self, value: int) -> bool:
        """The same, with an answer instead of an error: False for a value that was used before, and nothing has moved."""
        if value < self._lowest_acceptable:
            return False
        self._lowest_acceptable = value + 1
        return True

    def __repr__(self) -> str:
        return f"ReceiveCounter(lowest_acceptable={self._lowest_acceptable})"
