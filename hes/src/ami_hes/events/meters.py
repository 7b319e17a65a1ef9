"""Meters and their connections. `message_id` is the MessageID of the request that is worked on."""

from dataclasses import dataclass
from typing import Any, ClassVar

from ami_process.events import Event, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Apdu(Event):
    """A framed APDU, sent to a meter or received from one; only if hes.log_apdus is true."""

    severity: ClassVar[Severity | None] = "info"

    message_id: str | None
    """Of the request that is worked on; null: of none."""
    meter: str
    """Name of the meter; `unknown` as long as a caller has not said who it is."""
    direction: str
    """`request` or `response`."""
    name: str
    """Of the APDU: its tag."""
    hex: str
    """The frame; a password that goes over the wire unencrypted is masked."""
    ms: float
    """Of a response: milliseconds since the request before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification(Event):
    """A meter has sent an unsolicited message."""

    severity: ClassVar[Severity | None] = "info"

    message_id: str | None
    """Of the request that is worked on over the same connection; null: of none."""
    transport: str
    """`tcp` or `udp`."""
    peer: str
    """Where it came from."""
    system_title: str | None
    """Hex; of the sender of a protected one."""
    meter: str | None
    """Name of the meter, where its keys vouch for it."""
    secured: bool
    """Whether its protection was checked."""
    service: str
    """`data-notification`, `event-notification` or `information-report`."""
    sent_at: str | None
    """The meter's own date and time."""
    body: Any
    """What it says: values of JSON, octets as hex."""
    class_id: int | None = None
    """Of an event-notification: the class that it is about."""
    obis: str | None = None
    """The object."""
    attribute: int | None = None
    """The attribute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationConfirmed(Event):
    """A DataNotification that asked for it has been confirmed; the event `notification` has what it said."""

    severity: ClassVar[Severity | None] = "info"

    meter: str | None
    """Name of the meter, where its keys vouch for it."""
    peer: str
    """Where it came from."""
    transport: str
    """`tcp` or `udp`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationNotConfirmed(Event):
    """A DataNotification that asked for it was reported and could not be confirmed: its sender may send it again."""

    severity: ClassVar[Severity | None] = "warning"

    meter: str | None
    """Name of the meter, where its keys vouch for it."""
    peer: str
    """Where it came from."""
    transport: str
    """`tcp`, `udp` or `serial`."""
    reason: str
    """Why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped(Event):
    """Something from the network was thrown away."""

    severity: ClassVar[Severity | None] = "warning"

    peer: str
    """Where it came from."""
    transport: str
    """`tcp` or `udp`."""
    reason: str
    """Why."""
    hex: str
    """Its first octets."""
    looks_like: str | None
    """A guess at what they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedMore(Event):
    """More was thrown away within a minute than is told one by one."""

    severity: ClassVar[Severity | None] = "warning"

    transport: str
    """`tcp` or `udp`."""
    number: int
    """How many, beside those that were told."""
    hosts: int
    """From how many addresses, over all transports; 1000: so many or more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityRefused(Event):
    """What came in the name of a meter was not believed; told once an hour for each meter and kind."""

    severity: ClassVar[Severity | None] = "warning"

    meter: str
    """Whose name it came in."""
    kind: str
    """`authentication`: keys that were not proved; `protection`: a wrong tag, or less protection than agreed; `replay`: a counter that was used before; `identity`: another system title."""
    peer: str
    """Where it came from."""
    transport: str
    """`tcp`, `udp` or `serial`."""
    number: int
    """With those of the same meter and kind since this was told the last time."""
    reason: str
    """What was wrong with this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatagramsLost(Event):
    """Datagrams that meters have pushed found the receive buffer of the socket full: nobody knows what was in them."""

    severity: ClassVar[Severity | None] = "warning"

    number: int
    """Since this was reported the last time; Linux counts them."""
    granted_octets: int
    """Of the buffer."""
    limited_by: str | None
    """The sysctl that keeps it smaller than `hes.datagram_buffer_octets`; null where it is as large as that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DialledIn(Event):
    """A meter has called, and has said who it is."""

    severity: ClassVar[Severity | None] = "info"

    meter: str
    """Its name."""
    peer: str
    """Where it called from."""
    standing: str
    """`proved` by its keys, `claimed`, or `refuted`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotProved(Event):
    """A caller claims to be a meter, and did not prove its keys."""

    severity: ClassVar[Severity | None] = "warning"

    meter: str
    """Whom it claims to be."""
    peer: str
    """Where it called from."""
    reason: str
    """What went wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced(Event):
    """A waiting connection was closed, because the meter has a newer one."""

    severity: ClassVar[Severity | None] = "info"

    meter: str
    """Its name."""
    peer: str
    """The older one."""
    standing: str
    """As of `dialled_in`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HungUp(Event):
    """A waiting connection has ended."""

    severity: ClassVar[Severity | None] = "info"

    meter: str
    """Its name."""
    peer: str
    """Where it had called from."""
    reason: str
    """How it ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedAway(Event):
    """A meter that had dialled in here has dialled in at another process, which works it from now on."""

    severity: ClassVar[Severity | None] = "info"

    meter: str
    """Its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalerDiffers(Event):
    """A meter gives another scaler_unit than it gave first, twice; its values are reported as suspect."""

    severity: ClassVar[Severity | None] = "warning"

    meter: str
    """Its name."""
    attribute: str
    """Which scaler_unit."""
    kept: str
    """The one that it gave first, which is the right one until it is forgotten."""
    given: str
    """The one that it gives now."""
