"""Where meter number `index` of a population is: substation, feeder, transformer, phase, and invented coordinates.

Strategy: meters are counted through the network in order, so a feeder is a range of indexes and an outage of it is one
record. Nothing is drawn by lot: what looks irregular on a map follows from the numbers, its places belong to no real network, and a name
says where it is.
"""

from dataclasses import dataclass
from math import cos, isqrt, pi, radians, sin
from re import compile as compile_pattern

SUBSTATION_GRID_M = 8_000.0
TRANSFORMER_SPACING_M = 350.0
METER_SPACING_M = 36.0
"""Between neighbours on one side of a street."""
STREET_M = 14.0
"""From its middle to a house."""
METERS_A_DEGREE = 111_320.0
STREETS = ("Alder", "Birch", "Cedar", "Elm", "Fir", "Hazel", "Juniper", "Larch", "Maple", "Oak", "Pine", "Rowan")
"""One for each transformer of a feeder, and again from the first one on."""
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
    main_address: str
    """Invented like the coordinates: `12 Alder Street, S1-F1`."""


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
            main_address=self._address(substation, feeder, transformer, position),
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

    @staticmethod
    def _address(substation: int, feeder: int, transformer: int, position: int) -> str:
        """The line of a transformer is a street, which crosses the feeder; its sides have even numbers and odd ones."""
        turn, name = divmod(transformer, len(STREETS))
        street = f"{STREETS[name]} Street{f' {turn + 1}' if turn else ''}"
        return f"{position + 1} {street}, S{substation + 1}-F{feeder + 1}"

    def _coordinates(self, substation: int, feeder: int, transformer: int, position: int) -> tuple[float, float]:
        """Feeders leave their substation like rays and bend, streets cross them at some angle, meters are on both sides of a street."""
        row, column = _on_spiral(substation)
        north, east, angle = (
            row * SUBSTATION_GRID_M,
            column * SUBSTATION_GRID_M,
            2 * pi * feeder / self.feeders_per_substation,
        )
        angle += 0.5 * (_spread(substation, feeder) - 0.5)
        bend = 0.9 * (_spread(feeder, substation + 1) - 0.5) / self.transformers_per_feeder
        for _ in range(transformer + 1):
            north, east = north + TRANSFORMER_SPACING_M * cos(angle), east + TRANSFORMER_SPACING_M * sin(angle)
            angle += bend
        line = substation * self.feeders_per_substation + feeder
        across = angle + pi / 2 + 0.9 * (_spread(line, transformer) - 0.5)
        step = METER_SPACING_M * (0.6 + 0.6 * _spread(transformer, line))
        along = (position // 2 - (self.meters_per_transformer - 1) / 4 + 0.4 * _spread(position, line)) * step
        side = (STREET_M if position % 2 else -STREET_M) * (0.7 + 0.6 * _spread(line + transformer, position))
        north += along * cos(across) - side * sin(across)
        east += along * sin(across) + side * cos(across)
        latitude = self.latitude + north / METERS_A_DEGREE
        longitude = self.longitude + east / (METERS_A_DEGREE * cos(radians(self.latitude)))
        return round(latitude, 6), round(longitude, 6)


def _spread(one: int, other: int) -> float:
    """From 0 to 1, without a pattern that would be seen; the same for the same numbers."""
    mixed = (one * 0x9E3779B1 + other * 0x85EBCA77 + 0x27D4EB2F) & 0xFFFFFFFF
    for shift in (15, 13, 16):
        mixed = ((mixed ^ mixed >> shift) * 0x2C1B3C6D) & 0xFFFFFFFF
    return (mixed ^ mixed >> 16) / 0xFFFFFFFF


def _on_spiral(number: int) -> tuple[int, int]:
    """Row and column of a square of a grid, from the middle outwards, so that however many there are they lie together."""
    if number == 0:
        return 0, 0
    ring = (isqrt(number) + 1) // 2
    side, along = divmod(number - (2 * ring - 1) ** 2, 2 * ring)
    along -= ring - 1
    return ((along, ring), (ring, -along), (-along, -ring), (-ring, along))[side]
