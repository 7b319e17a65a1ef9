"""The live meters behind an address of this machine: those of a socket of their own, or of a population's."""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, TypeVar

from ami_meter_sim.meter.simulated_meter import Meter
from ami_meter_sim.population.addressing import Door

T = TypeVar("T")
Behind = Mapping[int, Meter]
"""The meters behind one address by server wrapper port."""
MOST_LIVE = 256
"""Meters that one connection can keep alive."""


class Addresses(Protocol):
    """The addresses that a socket answers at."""

    def serves(self, host: str) -> bool:
        """Whether there are meters at this address of ours."""

    def behind(self, host: str) -> Behind:
        """Them, for one connection; only asked for addresses that are served."""


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


class OfPopulation:
    """A door of a population; `live` finds or makes the meter with an index, and may raise StateError."""

    def __init__(self, door: Door, live: Callable[[int], Meter]) -> None:
        self._door = door
        self._live = live

    def serves(self, host: str) -> bool:
        """Whether it is one of the population's."""
        return self._door.serves(host)

    def behind(self, host: str) -> Behind:
        """Its meters, none of which is made yet."""
        return LiveMeters(self._door, host, self._live)


class LiveMeters(Behind):
    """Meters that are made when they are asked for, and kept alive as long as this connection is."""

    __slots__ = ("_door", "_host", "_live", "_made")

    def __init__(self, door: Door, host: str, live: Callable[[int], Meter]) -> None:
        self._door = door
        self._host = host
        self._live = live
        self._made: dict[int, Meter] = {}

    def __getitem__(self, server_wport: int) -> Meter:
        found = self._made.get(server_wport)
        if found is None:
            index = self._door.index(self._host, server_wport)
            if index is None or len(self._made) >= MOST_LIVE:
                raise KeyError(server_wport)
            found = self._made[server_wport] = self._live(index)
        return found

    def get(self, server_wport: int, default: T | None = None) -> Meter | T | None:  # type: ignore[override]
        """The same, or the default; of what is made without a call through the abstract class, since sessions ask often."""
        found = self._made.get(server_wport)
        return super().get(server_wport, default) if found is None else found

    def __iter__(self) -> Iterator[int]:
        return iter(self._door.wports(self._host))

    def __len__(self) -> int:
        return self._door.devices
