"""The events of the simulated meters, one line each on standard output."""

from dataclasses import dataclass
from typing import Literal

from ami_process.events import Event


@dataclass(frozen=True, slots=True)
class SwitchState:
    """What the disconnect control (class 70) shows, in the words that all services use."""

    output_state: bool
    control_state: int
    control_mode: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Association(Event):
    """A client's association with a meter was opened, refused or released."""

    meter: str
    """Its name; empty where no meter has the server wrapper port."""
    client_wport: int
    """Wrapper port of the client."""
    what: Literal["opened", "refused", "released"]
    """What happened."""
    reason: str | None = None
    """Why it was refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switched(Event):
    """The disconnect control of a meter has moved: by order of a client, by a hand, or by the meter itself."""

    meter: str
    """Its name."""
    method: str
    """`remote_disconnect` or `remote_reconnect` of a client or a schedule, `manual_` of a hand, `local_` of a limiter or monitor."""
    before: SwitchState
    """The three attributes before."""
    after: SwitchState
    """And after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedOut(Event):
    """A meter leaves its management client without an answer, after too many wrong keys."""

    meter: str
    """Its name; empty where several share the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discarded(Event):
    """A meter threw away what a client sent."""

    meter: str
    """Its name; empty where several share the connection."""
    reason: str
    """What was wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultHappened(Event):
    """A meter does something wrong because a fault was set; what it does is in the list of `meter-sim faults`."""

    meter: str
    """Its name."""
    fault: str
    """Name of the fault."""
    rule: int
    """Number of the rule that says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLost(Event):
    """A meter has no power any more."""

    meter: str
    """Its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerBack(Event):
    """A meter has power again."""

    meter: str
    """Its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionChanged(Event):
    """Something is wrong at a meter from now on, or no longer, because a hand on the process or a scenario wants it so."""

    meter: str
    """Its name."""
    condition: str
    """What: a cover that is open, a magnet, a phase that is missing."""
    there: bool
    """Whether it has begun or ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateError(Event):
    """What a meter has to keep can't be kept or read."""

    meter: str | None = None
    """Its name, where one alone is concerned."""
    reason: str
    """Which file, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FewOpenFiles(Event):
    """The system lets the process open fewer files than its connections may need: raise the hard limit (`ulimit -Hn`)."""

    wanted: int
    """Connections that the settings allow."""
    possible: int
    """Connections that there can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed(Event):
    """A DataNotification has left."""

    meter: str
    """Its sender."""
    transport: str
    """`tcp`, `udp` or `hdlc`."""
    address: str
    """Where it went."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushConfirmed(Event):
    """The receiver of a push has confirmed it."""

    meter: str
    """Its sender."""
    transport: str
    """`tcp`, `udp` or `hdlc`."""
    address: str
    """Where it went."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushFailed(Event):
    """A DataNotification could not be sent, and is dropped."""

    meter: str
    """Its sender."""
    transport: str
    """`tcp`, `udp` or `hdlc`."""
    address: str
    """Where it should have gone."""
    reason: str
    """What went wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialled(Event):
    """A meter that dials in has a connection to the head-end system."""

    meter: str
    """Its name."""
    address: str
    """Whom it called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DialFailed(Event):
    """A meter that dials in got no connection, and calls again later."""

    meter: str
    """Its name."""
    address: str
    """Whom it called."""
    reason: str
    """Of the operating system."""
