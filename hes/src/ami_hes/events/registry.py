"""The registry of meters: how the process found it at its start."""

from dataclasses import dataclass
from typing import ClassVar

from ami_process.events import Event, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryOpened(Event):
    """At the start: the files of the configuration have changed what was kept, or were many meters."""

    severity: ClassVar[Severity | None] = "info"

    meters: int
    """All meters of the registry."""
    changed: int
    """Of these, new or not as they were kept."""
    removed: int
    """Meters that were kept and are in no file of the configuration any more, or displaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryImporting(Event):
    """At the start: a large file is being read."""

    severity: ClassVar[Severity | None] = "info"

    source: str
    """The file, or the meters of the configuration."""
    meters: int
    """Meters of it so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterDataNotWritten(Event):
    """A change of master data makes no valid message, and is not sent to a subscriber."""

    severity: ClassVar[Severity | None] = "error"

    subscriber: str
    """Who would have got it."""
    change: str
    """What it is: a verb, and meter, link or usage-point."""
    reason: str
    """What was wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined(Event):
    """Somebody has called whom no entry of the registry names, for the first time since it was forgotten; nothing of it is proved."""

    severity: ClassVar[Severity | None] = "warning"

    caller: str
    """What it says that it is called: a logical device name, or a system title as hexadecimal digits."""
    peer: str
    """Where it called from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineFailed(Event):
    """A fault of ours keeps callers in quarantine from being written; it is tried again, and said once until it succeeds."""

    severity: ClassVar[Severity | None] = "error"

    exception: str | None = None
    """The traceback of the fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterMoved(Event):
    """A meter has called from another host than its entry says, and has proved its keys over its call and at the new address."""

    severity: ClassVar[Severity | None] = "warning"

    meter: str
    """Its name."""
    before: str
    """The address of the entry."""
    address: str
    """Where it answers."""
    followed: bool
    """Whether the entry says so from now on."""
    reason: str
    """Why not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterDisplaced(Event):
    """At the start: a meter that was imported is gone, since one of the configuration has one of its names."""

    severity: ClassVar[Severity | None] = "warning"

    meter: str
    """What it was called."""
    mrid: str
    """Its mRID."""
    reason: str
    """Which name."""
