"""What every operation begins with: that the meter behind the secured association is the one that is meant."""

from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_hes.meters import MeterFault, Session
from ami_hes.meters.session import as_text


async def check_identity(session: Session) -> None:
    """M-010: the device id that the secured association gives is the registry's, or nothing is done. Raises MeterFault."""
    found = as_text(await session.get(AttributeDescriptor(1, session.meter.device_id_object, 2)))
    if found != session.meter.device_id:
        told = f"the registry says {session.meter.device_id}, the meter says {found}"
        raise MeterFault("identity", "device-id", detail=told)
