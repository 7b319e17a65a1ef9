"""What a meter pushes: the octets of each attempt, and when the next one is made."""

from collections.abc import Iterator
from datetime import datetime

from ami_dlms.apdu.notify import DataNotification, EventNotificationRequest
from ami_dlms.association import AssociationProfile
from ami_dlms.errors import LocalError
from ami_meter_sim.faults.dice import Dice
from ami_meter_sim.meter.notifications import Sending, notification_frames, protected_as
from ami_meter_sim.meter.simulated_meter import Meter
from ami_meter_sim.objects.push_setup import PushPlan, PushSetupV0


def wanted_pushes(meter: Meter, at: datetime) -> tuple[PushPlan, ...]:
    """Those whose method was called since the last time, and that have a destination.

    When a randomised one begins follows from the seed, the meter, the setup and the instant at which it was wanted.
    """
    meter.advance(at)
    wanted = list(meter.communication.pushes_wanted.items())
    meter.communication.pushes_wanted.clear()
    plans = (_plan(meter, meter.device.find(PushSetupV0.class_id, obis), since) for obis, since in wanted)
    return tuple([one for one in plans if one is not None])


def _plan(meter: Meter, found: object, wanted_at: datetime) -> PushPlan | None:
    if not isinstance(found, PushSetupV0) or not found.addressed:
        return None
    dice = Dice(meter.setup.push_seed, "push", meter.name, str(found.described.obis), wanted_at.isoformat())
    return found.plan(dice.fraction, wanted_at)


def push_frames(meter: Meter, plan: PushPlan, at: datetime) -> tuple[bytes, ...]:
    """The wrapper PDUs of one attempt, protected as the push setup says or else as its client's association.

    A client without an association of its own gets what the management association would send. LocalError where a protection
    is wanted that the keys can't give.
    """
    meter.advance(at)
    meter.reserve_counters()
    client = meter.setup.management.client_wport if plan.client_wport is None else plan.client_wport
    profile = _of_client(meter, client)
    security = protected_as(profile.security, plan.protection)
    sending = Sending(profile.server_wport, client, security, profile.send_counter, plan.max_pdu_size)
    return _frames(meter, sending, plan)


def push_retry_at(meter: Meter, plan: PushPlan, retry: int, failed_at: datetime) -> datetime | None:
    """When retry number `retry`, from 1, is made after an attempt that failed; None for no more."""
    found = meter.device.find(PushSetupV0.class_id, plan.setup)
    return found.retry_at(retry, failed_at) if isinstance(found, PushSetupV0) else None


def _of_client(meter: Meter, client_wport: int) -> AssociationProfile:
    """What is offered to a client, or else to the management client."""
    found = meter.association(client_wport) or meter.association(meter.setup.management.client_wport)
    if found is None:
        raise LocalError("this meter offers no association to push by")
    return found.profile


def _frames(meter: Meter, sending: Sending, plan: PushPlan) -> tuple[bytes, ...]:
    frames = [one for what in _notifications(meter, plan) for one in notification_frames(sending, what)]
    meter.reserve_counters()  # the meter may be gone before the next one: its row has to know what was used
    return tuple(frames)


def _notifications(meter: Meter, plan: PushPlan) -> Iterator[DataNotification | EventNotificationRequest]:
    """All values in one, or each in one of its own where the plan names what they are values of."""
    at = meter.device.clock.date_time
    if not plan.attributes:
        yield DataNotification(meter.next_invoke_id(), at, plan.body)
        return
    for descriptor, value in zip(plan.attributes, plan.body.value, strict=True):
        yield EventNotificationRequest(at, descriptor, value)
