"""Where a meter is and what is behind it, as far as the physics needs it: a value, from which everything else follows."""

from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from ami_meter_sim.load.houses import MIXED, House, HouseKind, Stream, house, kind_of, weather_of
from ami_meter_sim.load.network import GridConnection
from ami_meter_sim.load.noise import draw, key

HOUSES_KEPT = 16_384
"""Each takes 2.3 kB, and 40 us to draw: a twentieth of a reading."""


class Site(NamedTuple):
    """`seed`: 64 bits of the meter's own. `region` and `roof`: see `tables`; meters with one weather have one region."""

    seed: int
    kind: HouseKind
    region: int
    roof: int
    connection: GridConnection

    @property
    def house(self) -> House:
        """What is behind the meter; kept for the meters that were asked last."""
        return _house(self.seed, self.kind, self.region, self.roof)


@lru_cache(HOUSES_KEPT)
def _house(seed: int, kind: HouseKind, region: int, roof: int) -> House:
    return house(seed, kind, region, roof)


def site_of(seed: int, shares: Mapping[HouseKind, int] = MIXED, connection: GridConnection | None = None) -> Site:
    """The site of a seed: its kind by the shares of a population, and a place on a feeder of its own if none is given."""
    region, roof = weather_of(seed)
    if connection is None:
        network = key(seed, Stream.NETWORK)
        connection = GridConnection(network, draw(network, 0, 1001))
    return Site(seed, kind_of(seed, shares), region, roof, connection)


def seed_of_name(name: str) -> int:
    """The seed of a meter that belongs to no population."""
    return int.from_bytes(sha256(name.encode()).digest()[:8], "big")
