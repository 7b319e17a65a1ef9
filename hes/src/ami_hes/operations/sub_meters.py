"""A meter behind another one, on a channel of its M-Bus: whom it is reached by, and whether it is the one that is meant (docs/mapping.md, M-140)."""

from collections.abc import Callable
from dataclasses import dataclass

from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_dlms.obis import Obis
from ami_hes.meters import GetRefused, Meter, MeterFault, Registry, Session
from ami_hes.operations.identity import read_each_identified
from ami_hes.operations.read_attributes import ABSENT, Objects
from ami_mapping.mbus import format_identification, format_manufacturer, medium_of

MBUS_CLIENT = 72
IDENTIFICATION, MANUFACTURER, DEVICE_TYPE = 6, 7, 9


@dataclass(frozen=True, slots=True)
class Channel:
    """Where the values of a sub-meter are in the meter that it is behind, and of which medium they are."""

    number: int | None
    medium: str

    def objects(self, listed: Objects) -> Objects:
        """Those of the channel among all that the meter has."""
        return listed if self.number is None else [one for one in listed if one[1][1] == self.number]


OWN = Channel(None, "")
"""What a meter measures itself."""


def reached_by(registry: Registry, meter: Meter) -> Meter:
    """The meter that is to be talked to: itself, or the one that it is behind. Raises MeterFault."""
    if not meter.behind:
        return meter
    host = registry.find_by_name(meter.behind)
    if host is None or host.behind:
        raise MeterFault("identity", "no-host", detail=f"behind = {meter.behind}")
    return host


async def check_channel(session: Session, meter: Meter) -> Channel:
    """The channel of this sub-meter, once the meter of the session has said that it is on it. Raises MeterFault."""
    client = Obis(bytes((0, meter.channel, 24, 1, 0, 255)))
    identification, manufacturer, device_type = await read_each_identified(
        session,
        *(AttributeDescriptor(MBUS_CLIENT, client, number) for number in (IDENTIFICATION, MANUFACTURER, DEVICE_TYPE)),
    )
    found = f"{_text(manufacturer, format_manufacturer)} {_text(identification, format_identification)}"
    wanted = f"{meter.manufacturer} {meter.identification}"
    if found != wanted:
        difference = (
            f"on channel {meter.channel} of {session.meter.name} the registry says {wanted}, the meter says {found}"
        )
        raise MeterFault("identity", "sub-meter", detail=difference)
    medium = medium_of(_number(device_type))
    if medium is None:
        detail = f"device type {_number(device_type)} of channel {meter.channel} has no medium of its own"
        raise MeterFault("data-access-result", "unexpected-value", where="reading the M-Bus client", detail=detail)
    return Channel(meter.channel, medium)


def _text(answer: Data | GetRefused, in_words: Callable[[int], str]) -> str:
    return in_words(_number(answer))


def _number(answer: Data | GetRefused) -> int:
    if isinstance(answer, GetRefused):
        if answer.name in ABSENT:
            raise MeterFault("identity", "no-channel", detail=answer.where)
        raise answer
    if isinstance(answer.value, bool) or not isinstance(answer.value, int):
        detail = f"no number but {answer.tag.name.lower().replace('_', '-')}"
        raise MeterFault("data-access-result", "unexpected-value", where="reading the M-Bus client", detail=detail)
    return answer.value
