"""What is behind a meter, where a hand has put something else there than its seed says.

Strategy: the kind is kept like a changed attribute. Registers are closed forms of what is behind the meter, so everything up to the
change becomes a base (`folding`) before another form counts: no register jumps, and no row of the past is another one afterwards.
"""

from typing import TYPE_CHECKING

from ami_dlms import data
from ami_meter_sim.load.houses import HouseKind
from ami_meter_sim.objects.base import METER
from ami_meter_sim.objects.folding import fold_all
from ami_meter_sim.objects.memory import Kept

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

HOUSEHOLD = -4
"""Where the meter itself keeps the kind."""


def household_of(kept: Kept) -> HouseKind | None:
    """The kind that was put behind a meter; None for what its seed says."""
    found = None if kept.empty else kept.get(0, METER, HOUSEHOLD)
    return None if found is None else HouseKind(found.value)


def change_household(device: "Device", kind: HouseKind) -> None:
    """From here on this is behind the meter, drawn by the same seed."""
    if device.house.kind is kind:
        return
    fold_all(device)
    device.kept.put(0, METER, HOUSEHOLD, data.enum(kind))
    device.totals.clear()
    device.stopped = device.due = None
