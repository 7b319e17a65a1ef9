"""Which meters are behind an address of this machine: those of one socket, or of each address of a range that one socket serves."""

import socket
from collections.abc import Callable, Mapping
from typing import Protocol

from ami_meter_sim.meter.simulated_meter import Meter

Behind = Mapping[int, Meter]
"""The meters behind one address by server wrapper port."""


class Addresses(Protocol):
    """The addresses that a socket answers at."""

    def serves(self, host: str) -> bool:
        """Whether there are meters at this address of ours."""

    def behind(self, host: str) -> Behind:
        """Them; only asked for addresses that are served."""


class OneAddress:
    """A socket of its own for these meters: whatever address a client took, it is theirs."""

    def __init__(self, meters: Behind) -> None:
        self._meters = meters

    def serves(self, host: str) -> bool:
        """Always."""
        return True

    def behind(self, host: str) -> Behind:
        """The same."""
        return self._meters


class AddressRange:
    """`count` addresses from `first` on, one for each meter; `meters_of` makes or finds what is behind the nth, from 0."""

    def __init__(self, first: str, count: int, meters_of: Callable[[int], Behind]) -> None:
        self._family = socket.AF_INET6 if ":" in first else socket.AF_INET
        self._first = int.from_bytes(socket.inet_pton(self._family, first), "big")
        self._count = count
        self._meters_of = meters_of

    def index(self, host: str) -> int | None:
        """Which meter has this address; None when it is outside of the range."""
        try:
            index = int.from_bytes(socket.inet_pton(self._family, host), "big") - self._first
        except OSError:
            return None
        return index if 0 <= index < self._count else None

    def address(self, index: int) -> str:
        """The inverse of `index`."""
        size = 16 if self._family == socket.AF_INET6 else 4
        return socket.inet_ntop(self._family, (self._first + index).to_bytes(size, "big"))

    def serves(self, host: str) -> bool:
        """Whether it is one of the range."""
        return self.index(host) is not None

    def behind(self, host: str) -> Behind:
        """The meter of this address."""
        index = self.index(host)
        return {} if index is None else self._meters_of(index)
