"""What a meter pushes: the octets of each attempt, and when the next one is made."""

from collections.abc import Callable
from datetime import datetime

from ami_dlms import data
from ami_dlms.association import AssociationProfile
from ami_dlms.data import Data
from ami_dlms.errors import LocalError
from ami_meter_sim.meter.notifications import Sending, notification_frames, protected_as
from ami_meter_sim.meter.simulated_meter import Meter
from ami_meter_sim.objects.push_setup import PushPlan, PushSetupV0


def notification(meter: Meter, at: datetime) -> bytes:
    """A framed DataNotification: clock, device id, control state; protected as the management association is."""
    meter.advance(at)
    meter.reserve_counters()
    device = meter.device
    body = data.structure(
        data.octet_string(device.clock.date_time.encode()),
        data.octet_string(device.identity.device_id),
        data.enum(device.switch.control_state),
    )
    wanted = meter.setup.push is not None and meter.setup.push.protected
    profile = _of_client(meter, meter.setup.management.client_wport)
    security = protected_as(profile.security, None) if wanted else None
    sending = Sending(profile.server_wport, profile.client_wport, security, profile.send_counter)
    return b"".join(_frames(meter, sending, body))


def wanted_pushes(meter: Meter, at: datetime, draw: Callable[[], float]) -> tuple[PushPlan, ...]:
    """Those whose method was called since the last time, and that have a destination; `draw` gives a number from 0 to below 1."""
    meter.advance(at)
    wanted = meter.communication.pushes_wanted
    found = [meter.device.find(PushSetupV0.class_id, obis) for obis in wanted]
    wanted.clear()
    return tuple([one.plan(draw) for one in found if isinstance(one, PushSetupV0) and one.addressed])


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
    return _frames(meter, sending, plan.body)


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


def _frames(meter: Meter, sending: Sending, body: Data) -> tuple[bytes, ...]:
    frames = notification_frames(sending, meter.next_invoke_id(), meter.device.clock.date_time, body)
    meter.reserve_counters()  # the meter may be gone before the next one: its row has to know what was used
    return frames
