"""What has to happen outside of a session with meters: values, in order, that who drives the session carries out."""

from ami_dlms.frozen import frozen
from ami_process.events import Event


@frozen
class Send:
    """Write these octets."""

    octets: bytes


@frozen
class Wait:
    """Do nothing for this time."""

    seconds: float


@frozen
class Report:
    """Write this event."""

    event: Event


@frozen
class HangUp:
    """Close the connection; `abrupt`: reset it, and what is on its way is lost."""

    abrupt: bool = False


@frozen
class Die:
    """End the process at once."""


Effect = Send | Wait | Report | HangUp | Die
