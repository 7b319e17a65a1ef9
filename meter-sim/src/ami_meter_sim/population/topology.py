"""Where meter number `index` of a population is: substation, feeder, transformer, phase, and invented coordinates.

Strategy: meters are counted through the network in order, so a feeder is a range of indexes and an outage of it is one
record. Nothing is drawn by lot: the map is regular, its places belong to no real network, and a name says where it is.
"""

from dataclasses import dataclass
from math import cos, pi, radians, sin
from re import compile as compile_pattern

SUBSTATION_GRID_M = 8_000.0
TRANSFORMER_SPACING_M = 350.0
METER_SPACING_M = 18.0
METERS_A_DEGREE = 111_320.0
GRID_WIDTH = 10
PHASES = ("A", "B", "C")
NAME = compile_pattern(r"S(\d{1,9})(?:-F(\d{1,9})(?:-T(\d{1,9}))?)?")


class TopologyError(ValueError):
    """There is no such place; the text says what was asked for."""


@dataclass(frozen=True, slots=True)
class Place:
    """Numbers count from 1, `position` from 0 along the transformer's line. Coordinates are degrees of WGS 84."""

    substation: str
    feeder: str
    transformer: str
    position: int
    phase: str
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Topology:
    """Sizes of a network that is filled from its first substation on."""

    meters_per_transformer: int = 40
    transformers_per_feeder: int = 12
    feeders_per_substation: int = 8
    latitude: float = 0.0
    longitude: float = 0.0
    """Of the first substation. 0, 0 is in the Gulf of Guinea, so that the map is not taken for a real one."""

    def __post_init__(self) -> None:
        if min(self.meters_per_transformer, self.transformers_per_feeder, self.feeders_per_substation) < 1:
            raise TopologyError("a transformer, a feeder and a substation have at least one of what they feed")

    @property
    def meters_per_feeder(self) -> int:
        return self.meters_per_transformer * self.transformers_per_feeder

    @property
    def meters_per_substation(self) -> int:
        return self.meters_per_feeder * self.feeders_per_substation

    def on_feeder(self, index: int) -> tuple[str, int]:
        """The name of a meter's feeder, and its position along the transformer's line, from 0."""
        substation, in_substation = divmod(index, self.meters_per_substation)
        feeder, in_feeder = divmod(in_substation, self.meters_per_feeder)
        return f"S{substation + 1}-F{feeder + 1}", in_feeder % self.meters_per_transformer

    def place(self, index: int, *, three_phase: bool = False) -> Place:
        """Where a meter is; a single-phase meter is on one of the phases in turn."""
        substation, in_substation = divmod(index, self.meters_per_substation)
        feeder, in_feeder = divmod(in_substation, self.meters_per_feeder)
        transformer, position = divmod(in_feeder, self.meters_per_transformer)
        latitude, longitude = self._coordinates(substation, feeder, transformer, position)
        return Place(
            substation=f"S{substation + 1}",
            feeder=f"S{substation + 1}-F{feeder + 1}",
            transformer=f"S{substation + 1}-F{feeder + 1}-T{transformer + 1}",
            position=position,
            phase="ABC" if three_phase else PHASES[position % len(PHASES)],
            latitude=latitude,
            longitude=longitude,
        )

    def fed_by(self, name: str, count: int) -> range:
        """Indexes of the meters behind a substation, feeder or transformer; TopologyError where a population of `count` has none."""
        found = NAME.fullmatch(name)
        if found is None:
            raise TopologyError(f"{name!r} is no place: S1 is a substation, S1-F2 a feeder, S1-F2-T3 a transformer")
        sizes = (self.meters_per_substation, self.meters_per_feeder, self.meters_per_transformer)
        most = (None, self.feeders_per_substation, self.transformers_per_feeder)
        start = size = 0
        for number, each, limit in zip(found.groups(), sizes, most, strict=True):
            if number is None:
                break
            if not 1 <= int(number) <= (limit or int(number)):
                raise TopologyError(f"{name} does not exist: there are {limit} of them, counted from 1")
            start, size = start + (int(number) - 1) * each, each
        if start >= count:
            raise TopologyError(f"{name} feeds no meter: the population has {count} meters")
        return range(start, min(start + size, count))

    def _coordinates(self, substation: int, feeder: int, transformer: int, position: int) -> tuple[float, float]:
        """Feeders leave their substation like rays, meters sit on both sides of the line."""
        row, column = divmod(substation, GRID_WIDTH)
        angle = 2 * pi * feeder / self.feeders_per_substation
        along = (transformer + 1) * TRANSFORMER_SPACING_M
        side = (position // 2 + 1) * METER_SPACING_M * (1 if position % 2 else -1)
        north = row * SUBSTATION_GRID_M + along * cos(angle) - side * sin(angle)
        east = column * SUBSTATION_GRID_M + along * sin(angle) + side * cos(angle)
        latitude = self.latitude + north / METERS_A_DEGREE
        longitude = self.longitude + east / (METERS_A_DEGREE * cos(radians(self.latitude)))
        return round(latitude, 6), round(longitude, 6)
