"""What every operation begins with: that the meter behind the secured association is the one that is meant."""

from functools import lru_cache

from ami_dlms.association import Get
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_dlms.obis import Obis
from ami_hes.meters import GetRefused, MeterFault, Session
from ami_hes.meters.public_client import as_text


async def check_identity(session: Session) -> None:
    """M-010: the device id that the secured association gives is the registry's, or nothing is done. Raises MeterFault."""
    _compare(session, await session.get(_device_id(session)))


async def read_identified(session: Session, *attributes: AttributeDescriptor) -> list[Data]:
    """The same, and attributes that are wanted of no other meter, all in one request where the meter takes lists."""
    try:
        device_id, *values = await session.get_many(_device_id(session), *attributes)
    except MeterFault as fault:
        if fault.kind == "data-access-result":  # whose refusal that is comes before what was refused
            await check_identity(session)
        raise
    _compare(session, device_id)
    return values


async def read_each_identified(
    session: Session, *attributes: AttributeDescriptor, last: Get | None = None
) -> list[Data | GetRefused]:
    """As `read_identified`, but what the meter refuses of these is in the place of its value; `last` comes behind them."""
    device_id, *values = await session.get_each(_device_id(session), *attributes, last=last)
    if isinstance(device_id, GetRefused):
        raise device_id
    _compare(session, device_id)
    return values


def _device_id(session: Session) -> AttributeDescriptor:
    return _value_of(session.meter.device_id_object)


@lru_cache(maxsize=64)
def _value_of(obis: Obis) -> AttributeDescriptor:
    return AttributeDescriptor(1, obis, 2)


def _compare(session: Session, device_id: Data) -> None:
    found = as_text(device_id)
    if found != session.meter.device_id:
        difference = f"the registry says {session.meter.device_id}, the meter says {found}"
        raise MeterFault("identity", "device-id", detail=difference)
