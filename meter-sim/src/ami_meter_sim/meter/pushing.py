"""What a meter pushes: the octets of each attempt, and when the next one is made."""

from collections.abc import Iterator
from datetime import datetime

from ami_dlms.apdu.access import CONFIRMED
from ami_dlms.apdu.notify import DataNotification, EventNotificationRequest
from ami_dlms.association import AssociationProfile, Sender, unprotect_confirmation
from ami_dlms.errors import LocalError
from ami_dlms.obis import Obis
from ami_dlms.security import ProtectionFlags
from ami_meter_sim.faults.dice import Dice
from ami_meter_sim.meter.notifications import Sending, notification_frames, protected_as
from ami_meter_sim.meter.simulated_meter import INVOKE_ID_BITS, Meter
from ami_meter_sim.objects.device import Device
from ami_meter_sim.objects.push_setup import PushPlan, PushSetupV0, PushSetupV2


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


def confirms(meter: Meter, plan: PushPlan, octets: bytes, invoke_id: int) -> bool:
    """Whether an APDU confirms the push of this invoke id; it has to be protected as its client's association wants requests.

    Raises DlmsError for one that can't be read or is not genuine; a counter that was taken is in the row.
    """
    client = meter.setup.management.client_wport if plan.client_wport is None else plan.client_wport
    profile = _of_client(meter, client)
    security = protected_as(profile.security, plan.protection)
    wanted = ProtectionFlags.NOTHING if security is None else security.required.request
    sender = None
    if security is not None and wanted and profile.receive_counter is not None:
        sender = Sender(security.keys, profile.receive_counter, security.asymmetric.peer_signing, wanted=wanted)
    found = unprotect_confirmation(octets, sender)
    meter.reserve_counters()
    return (found.long_invoke_id_and_priority ^ invoke_id) & INVOKE_ID_BITS == 0


def note_confirmation(device: Device, setup: Obis, at: datetime) -> None:
    """A push setup of version 2 shows when it was confirmed last."""
    found = device.find(PushSetupV0.class_id, setup)
    if isinstance(found, PushSetupV2):
        found.confirmed(at)


def _notifications(meter: Meter, plan: PushPlan) -> Iterator[DataNotification | EventNotificationRequest]:
    """All values in one, or each in one of its own where the plan names what they are values of."""
    at = meter.device.clock.date_time
    if not plan.attributes:
        invoke_id = meter.next_invoke_id() | (CONFIRMED if plan.confirmed else 0)
        yield DataNotification(invoke_id, at, plan.body)
        return
    for descriptor, value in zip(plan.attributes, plan.body.value, strict=True):
        yield EventNotificationRequest(at, descriptor, value)
