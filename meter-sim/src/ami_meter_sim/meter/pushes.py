"""Which push setup (class 40) of a meter is for what, and what lets it push.

The names are those of the DLMS UA companion profiles in the field (IDIS): 0-b:25.9.0, where b says what the push is for. A model that
has no such object does not push for that reason; one that has an alarm monitor, a schedule and a script pushes by them as well.
"""

from ami_dlms.obis import Obis
from ami_meter_sim.faults.pushes import POWER_DOWN
from ami_meter_sim.objects.device import Device
from ami_meter_sim.objects.push_setup import PushSetupV0
from ami_meter_sim.objects.recording import Notice
from ami_meter_sim.objects.switch import Trigger
from ami_packs.event_list import Occurrence
from ami_packs.model import Model

POWER_UP, INTERVAL, ALARM, INSTALLATION, SWITCH = "power-up", "interval", "alarm", "installation", "switch"
SETUPS = {
    reason: Obis(bytes((0, b, 25, 9, 0, 255)))
    for reason, b in {POWER_UP: 0, INTERVAL: 1, ALARM: 4, POWER_DOWN: 5, INSTALLATION: 7, SWITCH: 8}.items()
}
"""Why a meter pushes, in the words of events, faults and settings -> the push setup for it. The one for a switching is our own."""
REASONS = {setup: reason for reason, setup in SETUPS.items()}
FOLLOWING = {
    Occurrence.POWER_DOWN: POWER_DOWN,
    Occurrence.POWER_UP: POWER_UP,
    **dict.fromkeys((Occurrence(trigger) for trigger in Trigger), SWITCH),
    Occurrence.READY_FOR_RECONNECTION: SWITCH,
}


def reason_of(setup: Obis) -> str:
    """Why a push setup pushes; for all that are not listed the reason is the interval."""
    return REASONS.get(setup, INTERVAL)


def setup_for(model: Model, reason: str) -> Obis:
    """The one that the model says is for this reason, or the usual one."""
    named = (one.obis for one in model.objects.values() if one.options.get("reason") == reason)
    return next(named, SETUPS[reason])


def push_what_follows(device: Device, notice: Notice) -> None:
    """An alarm, a power-down, a power-up and a switching want the push that the model has for them."""
    following = None if notice.occurrence is None else FOLLOWING.get(notice.occurrence)
    if following is not None:
        want(device, following)
    if notice.alarms:
        want(device, ALARM)


def want(device: Device, reason: str) -> None:
    """The push for this reason, if the model has it."""
    found = device.find(PushSetupV0.class_id, setup_for(device.model, reason))
    if isinstance(found, PushSetupV0):
        found.want()
