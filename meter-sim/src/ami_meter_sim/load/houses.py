"""What is behind a meter: a household, one with a solar roof, a heat pump or an electric car, or a shop; all of it follows from a seed.

Strategy: the parameters are drawn by the same code for one seed and for arrays of seeds. Registers count from what they showed at the
first second of the tables; before that they would show less.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum, unique
from typing import Any, NamedTuple

import numpy as np

from ami_meter_sim.load import tables
from ami_meter_sim.load.charging import Charging
from ami_meter_sim.load.noise import Integers, Keys, bell, below, draw, key
from ami_meter_sim.load.part import SHARE_BITS, Appliance, Part
from ami_meter_sim.load.table import QUARTER_S, Table
from ami_meter_sim.load.weather import REGIONS

KWH_WS = 3_600_000


@unique
class HouseKind(IntEnum):
    """The numbers may be kept by a population."""

    HOUSEHOLD = 0
    SOLAR = 1
    HEAT_PUMP = 2
    CAR = 3
    SHOP = 4


MIXED = {HouseKind.HOUSEHOLD: 55, HouseKind.SOLAR: 25, HouseKind.HEAT_PUMP: 10, HouseKind.CAR: 7, HouseKind.SHOP: 3}
"""Shares of a population that says nothing of them."""


class Use(NamedTuple):
    """What is known of an appliance in general: seconds, watts in the middle, permille of the year's energy."""

    duration_s: int
    power_w: int
    permille: int


HOUSEHOLD_USES = (
    Use(360, 2000, 60),  # kettle
    Use(2700, 1800, 130),  # stove
    Use(3600, 700, 60),  # washing machine
    Use(3600, 900, 70),  # dishwasher
    Use(2700, 1800, 50),  # dryer
    Use(3600, 150, 80),  # television
)
SHOP_USES = (Use(1800, 3000, 100), Use(600, 6000, 80))
HEAT_USES = (Use(1200, 2200, 600),)


@unique
class Stream(IntEnum):
    """Streams of a seed; the numbers never change, or every meter's past would."""

    PARAMETERS = 0
    LOAD = 1
    HEAT = 2
    EXPORT = 3
    CAR = 4
    NETWORK = 5


class House(NamedTuple):
    """One house, or with arrays as fields many of one kind, region and size of roof."""

    kind: HouseKind
    imports: tuple[Part | Charging, ...]
    exports: tuple[Part, ...]
    installed_import_ws: Any
    installed_export_ws: Any
    phase_permille: tuple[Any, Any, Any]
    """How the load is divided among three phases; the sum is 1,000."""
    tangent_permille: Any
    """Reactive over active energy of the import, negative where it is capacitive."""

    def import_ws(self, second: int) -> int:
        """What would have been imported up to a second, in watt-seconds, if nothing had ever been interrupted."""
        energy: int = self.installed_import_ws
        for part in self.imports:
            energy += part.energy(second)
        return energy

    def export_ws(self, second: int) -> int:
        """As `import_ws`."""
        energy: int = self.installed_export_ws
        for part in self.exports:
            energy += part.energy(second)
        return energy

    def imports_ws(self, seconds: "int | Integers") -> Integers:
        """As `import_ws`, at each second, or of each house."""
        return _sum(self.imports, self.installed_import_ws, seconds)

    def exports_ws(self, seconds: "int | Integers") -> Integers:
        """As `export_ws`, at each second, or of each house; one zero where nothing is exported."""
        return _sum(self.exports, self.installed_export_ws, seconds)


def _sum(parts: Sequence[Part | Charging], installed_ws: Any, seconds: "int | Integers") -> Integers:
    energies: Integers
    if not parts:
        energies = np.zeros(np.shape(np.atleast_1d(seconds)), np.int64) + installed_ws
        return energies
    first, *others = parts
    energies = first.energies(seconds) + installed_ws
    for part in others:
        energies = energies + part.energies(seconds)
    return energies


def kind_of(seed: int, shares: Mapping[HouseKind, int] = MIXED) -> HouseKind:
    """Which kind of house a seed has, in a population with these shares of each kind; shares are relative, in any unit."""
    place = below(key(seed, Stream.PARAMETERS), 0, sum(shares.values()))
    for kind, share in shares.items():
        place -= share
        if place < 0:
            return kind
    raise ValueError("shares of kinds are positive numbers")


def weather_of(seed: int) -> tuple[int, int]:
    """Region and size of roof (a number of `tables.ROOFS`) of a seed; whole neighbourhoods may be given one region instead."""
    parameters = key(seed, Stream.PARAMETERS)
    return below(parameters, 1, REGIONS), below(parameters, 2, len(tables.ROOFS))


def house(seed: "int | Keys", kind: HouseKind, region: int = 0, roof: int = 0) -> House:
    """The house that belongs to a seed, or to each seed of an array, given its kind, region and size of roof."""
    parameters = key(seed, Stream.PARAMETERS)
    solar, drawn = kind is HouseKind.SOLAR, _draw_for(seed)
    first, second = 200 + drawn(parameters, 20, 400), 100 + drawn(parameters, 21, 300)
    capacitive = drawn(parameters, 22, 5) == 0
    tangent = 100 + drawn(parameters, 23, 300)
    return House(
        kind,
        _imports(seed, parameters, kind, region, roof),
        (_part(key(seed, Stream.EXPORT), tables.grid_export(region, roof), _annual(parameters, kind), ()),)
        if solar
        else (),
        (1_000 + drawn(parameters, 24, 8_000)) * KWH_WS,
        (100 + drawn(parameters, 25, 900)) * KWH_WS if solar else 0,
        (first, second, 1000 - first - second),
        tangent - 2 * tangent * capacitive,
    )


def _draw_for(seed: "int | Keys") -> Callable[[Any, int, Any], Any]:
    """As `draw` for one seed or for arrays, which is found out once."""
    return below if isinstance(seed, int) else draw


def _annual(parameters: Any, kind: HouseKind) -> Any:
    """Yearly consumption of the house, without what its roof gives, in kWh."""
    return bell(parameters, 1, 12_000, 9_000) if kind is HouseKind.SHOP else bell(parameters, 1, 3_600, 2_200)


def _imports(seed: Any, parameters: Any, kind: HouseKind, region: int, roof: int) -> tuple[Part | Charging, ...]:
    load = key(seed, Stream.LOAD)
    annual = _annual(parameters, kind)
    if kind is HouseKind.SHOP:
        return (_part(load, tables.shop(), annual, SHOP_USES),)
    table = tables.grid_import(region, roof) if kind is HouseKind.SOLAR else tables.household()
    home = _part(load, table, annual, HOUSEHOLD_USES)
    if kind is HouseKind.HEAT_PUMP:
        heat = bell(parameters, 2, 4_500, 2_000)
        return home, _part(key(seed, Stream.HEAT), tables.heat_pump(region), heat, HEAT_USES)
    if kind is HouseKind.CAR:
        return home, _charging(key(seed, Stream.CAR))
    return (home,)


def _part(stream: Any, table: Table, annual_kwh: Any, uses: tuple[Use, ...]) -> Part:
    """A part that takes `annual_kwh` of a table that is normed to 1,000 kWh; what appliances don't use is the base's."""
    appliances = tuple(_appliance(key(stream, 16 + n), table, annual_kwh, use) for n, use in enumerate(uses))
    share = (annual_kwh << SHARE_BITS) // 1000
    for one in appliances:
        share = share - (one.power_w * one.duration_s << SHARE_BITS) // one.slot
    parameters = key(stream, 0)
    phase = draw(parameters, 0, 7 * table.mean_day)
    return Part(table, key(stream, 1), key(stream, 2), key(stream, 3), phase, share, appliances)


def _appliance(stream: Any, table: Table, annual_kwh: Any, use: Use) -> Appliance:
    power = bell(stream, 1 << 40, use.power_w, use.power_w * 3 // 10)
    longest = table.peak * use.duration_s // QUARTER_S + 2
    energy = power * use.duration_s * 1_000_000
    shortest = longest * 5 // 4
    if isinstance(stream, int):
        slot = max(energy // (annual_kwh * use.permille), shortest)
        return Appliance(stream, slot, slot - longest, below(stream, 1 << 41, slot), power, use.duration_s)
    slot = np.maximum(energy // (annual_kwh * use.permille), shortest)
    return Appliance(stream, slot, slot - longest, draw(stream, 1 << 41, slot), power, use.duration_s)


def _charging(stream: Any) -> Charging:
    parameters = key(stream, 0)
    power = 3_700 + 7_300 * (draw(parameters, 0, 3) == 0)
    mean = 6 * KWH_WS + draw(parameters, 1, 5 * KWH_WS)
    return Charging(key(stream, 1), key(stream, 2), key(stream, 3), 600 + draw(parameters, 2, 200), mean, power)
