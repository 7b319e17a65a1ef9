"""An electric car at home: it arrives on most days in the evening and charges at full power until it has what it needs.

Strategy: slots from noon to noon. Whether a slot has a charge follows from a count that moves by 0 or 1 a slot and is known at any slot
without the others, and so is the energy of all charges before it.
"""

from typing import Any, NamedTuple

import numpy as np

from ami_meter_sim.load.noise import Integers, bell, draw
from ami_meter_sim.load.table import DAY_S

NOON_S = 11 * 3600
"""In UTC, for Central European Time."""
ARRIVAL_S = 6 * 3600
"""After noon; between noon and midnight, with a standard deviation of 1.7 hours."""
SPREAD_PERCENT = 70
PERMILLE = 1000


class Charging(NamedTuple):
    """Fields are integers for one car, or arrays for many."""

    days: Any
    needs: Any
    arrivals: Any
    """Keys of three streams of noise."""
    chance: Any
    """Charges in 1,000 days, from 500 to 999."""
    mean_ws: Any
    """Of a charge; one lies within SPREAD_PERCENT of it."""
    power_w: Any

    def energy(self, second: int) -> int:
        """Watt-seconds up to a second; only differences mean anything."""
        slot, part = divmod(second - NOON_S, DAY_S)
        before, after = self._before(slot), self._before(slot + 1)
        return int(before + min(max(part - self._arrival(slot), 0) * self.power_w, after - before))

    def energies(self, seconds: "int | Integers") -> Integers:
        """As `energy`, at each second of one car, or of each car at one second."""
        slot, part = np.divmod(np.atleast_1d(np.asarray(seconds, np.int64)) - NOON_S, DAY_S)
        before, after = self._before(slot), self._before(slot + 1)
        energies: Integers = before + np.minimum(
            np.maximum(part - self._arrival(slot), 0) * self.power_w, after - before
        )
        return energies

    def _before(self, slot: Any) -> Any:
        """Energy of all charges before a slot."""
        charges = (slot * self.chance + draw(self.days, slot, PERMILLE - self.chance)) // PERMILLE
        return charges * self.mean_ws + draw(self.needs, charges, self.mean_ws * SPREAD_PERCENT // 100)

    def _arrival(self, slot: Any) -> Any:
        return bell(self.arrivals, slot, ARRIVAL_S, ARRIVAL_S)
