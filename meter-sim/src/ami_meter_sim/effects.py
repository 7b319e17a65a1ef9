"""What has to happen outside of a session with meters: values, in order, that who drives the session carries out."""

from dataclasses import dataclass

from ami_process.events import Event


@dataclass(frozen=True, slots=True)
class Send:
    """Write these octets."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for this time."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """Write this event."""

    event: Event


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the connection; `abrupt`: reset it, and what is on its way is lost."""

    abrupt: bool = False


@dataclass(frozen=True, slots=True)
class Die:
    """End the process at once."""


Effect = Send | Wait | Report | HangUp | Die
