"""What a meter says of itself to the public client (wrapper port 16, no security), which anybody may answer."""

from ami_dlms.association import ClientSettings
from ami_dlms.association.client.session import LOGICAL_DEVICE_NAME, PUBLIC_CLIENT
from ami_dlms.data import CompactArray, Data
from ami_dlms.enums import Mechanism
from ami_hes.meters.association import Association, Timeouts
from ami_hes.meters.link import Link
from ami_hes.meters.push import Notifications
from ami_hes.meters.registry import Meter

MAX_PUBLIC_OCTETS = 4096  # of what anybody may answer to the public client: a name and a counter
MAX_TEXT = 128  # of a name; more is nonsense, and a stranger shall not fill our log


def as_text(data: Data) -> str:
    """A name or number that a meter gives of itself: octets that are printable ASCII as text, others as hex."""
    value = data.value
    if isinstance(value, bytes):
        value = value[:MAX_TEXT]
        text = value.rstrip(b"\0 ")
        return text.decode("ascii") if text.isascii() and text.decode("ascii").isprintable() else value.hex().upper()
    if isinstance(value, tuple | CompactArray):
        return f"no text but {data.tag.name.lower().replace('_', '-')}"
    return str(value)[:MAX_TEXT].rstrip("\0 ")


async def public_association(
    link: Link, meter: Meter | int, notifications: Notifications, timeouts: Timeouts
) -> Association:
    """The public client's association, opened: with a meter, or with the logical device of a caller that is not known yet."""
    known = meter if isinstance(meter, Meter) else None
    settings = ClientSettings(
        client_wport=PUBLIC_CLIENT,
        server_wport=meter.server_wport if isinstance(meter, Meter) else meter,
        mechanism=Mechanism.LOWEST,
        max_result_octets=MAX_PUBLIC_OCTETS,
    )
    association = Association(link, settings, notifications, timeouts, meter=known)
    await association.open("opening the public association")
    return association


async def read_device_name(association: Association) -> str:
    """The meter's logical device name."""
    return as_text(await association.get(LOGICAL_DEVICE_NAME, None, "reading the logical device name"))
