"""Status words of load profiles, as IDIS has them: what happened since the row before.

Strategy: computed from the history, for a row as for the period that is running.
"""

from typing import TYPE_CHECKING

import numpy as np

from ami_meter_sim.load.noise import Integers
from ami_meter_sim.objects.base import base_of, records_after_base
from ami_meter_sim.objects.memory import Kind
from ami_meter_sim.objects.periods import ends_between, every
from ami_meter_sim.objects.timeline import second_of

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

POWER_DOWN = 0x80
CLOCK_ADJUSTED = 0x20
QUARTER_S = 900


def statuses(device: "Device", seconds: Integers, before: int) -> Integers:
    """What happened between each of these seconds and the one before; `before`: the one before the first."""
    return _marked(device, np.concatenate(([before], seconds))[:-1], seconds)


def running_status(device: "Device") -> int:
    """What happened since the last end of the shortest capture period."""
    now = second_of(device.clock.at)
    period_s = min((one.capture_period for one in device.model.profiles if one.capture_period), default=QUARTER_S)
    ends = ends_between(device, every(period_s), now - 2 * period_s, now)
    before = ends[-1:] if len(ends) else np.array([now - period_s], np.int64)
    return int(_marked(device, before, np.array([now + 1], np.int64))[0])


def _marked(device: "Device", before: Integers, seconds: Integers) -> Integers:
    """The bits of what happened in before <= second < seconds."""
    marked = np.zeros(len(seconds), np.int64)
    base = base_of(device)
    power, clock = (0, 0) if base is None else (base.power_at, base.clock_at)
    for kinds, last, bit in (
        ((Kind.POWER_DOWN, Kind.POWER_UP), power, POWER_DOWN),
        ((Kind.CLOCK,), clock, CLOCK_ADJUSTED),
    ):
        later = (second_of(one.at) for kind in kinds for one in records_after_base(device, kind))
        at = np.array(sorted((*((last,) if last else ()), *later)), np.int64)
        happened = np.searchsorted(at, seconds, "left") > np.searchsorted(at, before, "left")
        marked |= happened * bit
    return marked
