"""Status words of load profiles, as IDIS has them: how the clock was at a row, and what happened since the row before.

Strategy: computed from the history, for a row as for the period that is running.
"""

from typing import TYPE_CHECKING

import numpy as np

from ami_dlms.datetimes import DAYLIGHT_SAVING_ACTIVE
from ami_meter_sim.load.noise import Integers
from ami_meter_sim.objects.base import base_of, records_after_base
from ami_meter_sim.objects.clock import INVALID
from ami_meter_sim.objects.memory import RecordKind
from ami_meter_sim.objects.periods import ends_between, every, local_at
from ami_meter_sim.objects.timeline import clock_invalid, clock_settings, second_of, shown

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

POWER_DOWN = 0x80
CLOCK_ADJUSTED = 0x20
DAYLIGHT_SAVING = 0x08
CLOCK_INVALID = 0x02
QUARTER_S = 900


def statuses(device: "Device", seconds: Integers, before: Integers) -> Integers:
    """Of the rows at these seconds; `before`: the second of the row before each."""
    settings = clock_settings(device)
    _, saving = local_at(settings, seconds, np.atleast_1d(shown(settings, seconds)))
    invalid = clock_invalid(device).cover_before(seconds)
    happened = _marked(device, before, seconds)
    return happened | saving * DAYLIGHT_SAVING | invalid * CLOCK_INVALID


def running_status(device: "Device") -> int:
    """How the clock is, and what happened since the last end of the shortest capture period."""
    now = second_of(device.clock.at)
    period_s = min((one.capture_period for one in device.model.profiles if one.capture_period), default=QUARTER_S)
    ends = ends_between(device, every(period_s), now - 2 * period_s, now)
    before = ends[-1:] if len(ends) else np.array([now - period_s], np.int64)
    clock = device.clock.status
    saving, invalid = bool(clock & DAYLIGHT_SAVING_ACTIVE), bool(clock & INVALID)
    happened = int(_marked(device, before, np.array([now + 1], np.int64))[0])
    return happened | saving * DAYLIGHT_SAVING | invalid * CLOCK_INVALID


def _marked(device: "Device", before: Integers, seconds: Integers) -> Integers:
    """The bits of what happened in before <= second < seconds."""
    marked = np.zeros(len(seconds), np.int64)
    base = base_of(device)
    power, clock = (0, 0) if base is None else (base.power_at, base.clock_at)
    for kinds, last, bit in (
        ((RecordKind.POWER_DOWN, RecordKind.POWER_UP), power, POWER_DOWN),
        ((RecordKind.CLOCK,), clock, CLOCK_ADJUSTED),
    ):
        later = (second_of(one.at) for kind in kinds for one in records_after_base(device, kind))
        found = sorted((*((last,) if last else ()), *later))
        if not found:
            continue
        at = np.array(found, np.int64)
        happened = np.searchsorted(at, seconds, "left") > np.searchsorted(at, before, "left")
        marked |= happened * bit
    return marked
