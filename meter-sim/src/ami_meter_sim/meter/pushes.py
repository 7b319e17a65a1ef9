"""Which push setup (class 40) of a meter is for what, and what lets it push.

The names are those of the DLMS UA companion profiles in the field (IDIS): 0-b:25.9.0, where b says what the push is for. A model that
has no such object does not push for that reason; one that has an alarm monitor, a schedule and a script pushes by them as well.
"""

from ami_dlms.obis import Obis
from ami_meter_sim.faults import pushes as faults
from ami_meter_sim.objects.device import Device
from ami_meter_sim.objects.push_setup import PushSetupV0
from ami_meter_sim.objects.recording import Notice
from ami_packs.event_list import Occurrence

CONNECTIVITY, ALARM, POWER_DOWN, INSTALLATION = (Obis(bytes((0, b, 25, 9, 0, 255))) for b in (0, 4, 5, 7))
POWER_UP = "power-up"
REASONS = {CONNECTIVITY: POWER_UP, ALARM: "alarm", POWER_DOWN: faults.POWER_DOWN, INSTALLATION: "installation"}
INTERVAL = "interval"
FOLLOWING = {Occurrence.POWER_DOWN: POWER_DOWN, Occurrence.POWER_UP: CONNECTIVITY}


def reason_of(setup: Obis) -> str:
    """Why a push setup pushes, in the words of events and faults."""
    return REASONS.get(setup, INTERVAL)


def push_what_follows(device: Device, notice: Notice) -> None:
    """An alarm, a power-down and a power-up want the push that the model has for them."""
    following = None if notice.occurrence is None else FOLLOWING.get(notice.occurrence)
    if following is not None:
        want(device, following)
    if notice.alarms:
        want(device, ALARM)


def want(device: Device, setup: Obis) -> None:
    """This push, if the model has it."""
    if (PushSetupV0.class_id, setup) in device.model.objects:
        device.communication.want_push(setup)
