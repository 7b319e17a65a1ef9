"""What flows through a meter, and what its registers make of it: a function of the meter's name and the time, nothing else.

Strategy: a table of 24 hourly powers (the model's) is shifted and scaled by a digest of the meter's name, and its
integral since the epoch has a closed form, so a meter that nobody asks costs nothing. Energy is kept in watt-seconds as
integers; it is counted only while the switch is closed.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from itertools import accumulate

from ami_packs.model import HOURS, LoadTable

DAY_S = 86_400
HOUR_S = 3_600
WS_PER_WH = 3_600
NO_TABLE = LoadTable((250,) * HOURS, (0,) * HOURS)
"""For a model that says nothing of its load."""


class Curve:
    """A day's power by the hour in watts, the same every day; shared by all meters of a model."""

    __slots__ = ("_before", "_watts")

    def __init__(self, watts: tuple[int, ...]) -> None:
        if len(watts) != 24 or min(watts) < 0:
            raise ValueError("a load curve has 24 powers in watts, none of them negative")
        self._watts = watts
        self._before = tuple(accumulate((w * HOUR_S for w in watts), initial=0))

    def power_w(self, second: int) -> int:
        return self._watts[second % DAY_S // HOUR_S]

    def energy_ws(self, second: int) -> int:
        """The integral of the power from second 0."""
        days, rest = divmod(second, DAY_S)
        hour, part = divmod(rest, HOUR_S)
        return days * self._before[24] + self._before[hour] + self._watts[hour] * part


@dataclass(frozen=True, slots=True)
class Load:
    """One meter's flow in one direction: the curve, moved by up to two hours and scaled."""

    curve: Curve
    shift_s: int
    permille: int

    def power_w(self, at: datetime) -> int:
        return self.curve.power_w(int(at.timestamp()) + self.shift_s) * self.permille // 1000

    def energy_ws(self, at: datetime) -> int:
        """Monotonic in `at`; only differences mean anything."""
        return self.energy_ws_at(int(at.timestamp()))

    def energy_ws_at(self, second: int) -> int:
        """The same at a second since the epoch."""
        return self.curve.energy_ws(second + self.shift_s) * self.permille // 1000


@dataclass(frozen=True, slots=True)
class Household:
    """Both directions of one meter, and what its registers showed when it was installed."""

    consumption: Load
    generation: Load
    installed_import_ws: int
    installed_export_ws: int


def household(name: str, consumption: Curve, generation: Curve) -> Household:
    """The household behind the meter of this name; every fourth has a roof that generates."""
    digest = sha256(name.encode()).digest()
    shift_s = (digest[0] % 17 - 8) * 900
    roof = digest[2] % 4 == 0
    return Household(
        Load(consumption, shift_s, 400 + int.from_bytes(digest[4:6], "big") % 2_000),
        Load(generation, 0, 500 + digest[3] * 4 if roof else 0),
        (1_000_000 + int.from_bytes(digest[6:9], "big") % 8_000_000) * WS_PER_WH,
        (100_000 + int.from_bytes(digest[9:12], "big") % 900_000) * WS_PER_WH if roof else 0,
    )


@cache
def curves(table: LoadTable | None) -> tuple[Curve, Curve]:
    """Consumption and generation of a model."""
    table = table or NO_TABLE
    return Curve(table.consumption_w), Curve(table.generation_w)


@dataclass(slots=True)
class Energy:
    """The energy registers: settled up to `settled_at`, growing only while the switch is closed."""

    household: Household
    import_ws: int
    export_ws: int
    settled_at: datetime

    def settle(self, at: datetime, connected: bool) -> None:
        """Count what flowed since the last time; while the machine's clock is behind that, nothing is counted."""
        if at <= self.settled_at:
            return
        if connected:
            house = self.household
            self.import_ws += house.consumption.energy_ws(at) - house.consumption.energy_ws(self.settled_at)
            self.export_ws += house.generation.energy_ws(at) - house.generation.energy_ws(self.settled_at)
        self.settled_at = at

    @property
    def import_wh(self) -> int:
        return self.import_ws // WS_PER_WH

    @property
    def export_wh(self) -> int:
        return self.export_ws // WS_PER_WH
