"""An order and how it ended: one IEC 61968-9 EndDeviceControl for some meters, and what was said about each of them."""

from dataclasses import dataclass
from datetime import datetime

from ami_cim.control_names import known_controls
from ami_cim.identity import EndDevice, Identified, Identifier, Name, UsagePoint, mrid_key
from ami_cim.payloads.control_parameters import ControlParameters

DISCONNECT = "3.31.0.23"
CONNECT = "3.31.0.18"
CONTROL_WORDS = {row.code: row.name for row in known_controls()}


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is for, and the label by which the operator knows it."""

    label: str
    device: EndDevice | None = None
    usage_point: UsagePoint | None = None
    group: Identified | None = None
    """Of devices."""
    usage_point_group: Identified | None = None

    @classmethod
    def meter(cls, name: str, mrid: str | None = None) -> "Target":
        """A meter by its name, and its mRID where we know it."""
        return cls(name, device=EndDevice(mrid=mrid, names=(Name(name=name),)))

    @classmethod
    def mrid(cls, mrid: str) -> "Target":
        """A meter by its mRID alone."""
        return cls(mrid, device=EndDevice(mrid=mrid))

    @classmethod
    def point(cls, name: str) -> "Target":
        """A usage point by its name; the HES knows its meter."""
        return cls(name, usage_point=UsagePoint(names=(Name(name=name),)))

    @classmethod
    def group_of(cls, text: str) -> "Target":
        """A group of devices, as VALUE or TAG=VALUE of the registry of the HES."""
        return cls(text, group=_group(text))

    @classmethod
    def point_group_of(cls, text: str) -> "Target":
        """A group of usage points, likewise."""
        return cls(text, usage_point_group=_group(text))

    @property
    def is_group(self) -> bool:
        """Whether it may be several meters."""
        return self.group is not None or self.usage_point_group is not None

    @property
    def has_mrid(self) -> bool:
        """Whether it is asked for by an mRID."""
        return any(one is not None and one.mrid is not None for one in (self.device, self.usage_point))

    def is_meant_by(self, identifier: Identifier) -> bool:
        """Whether a Reply/Error/ID points at this target."""
        known = self.device or self.usage_point or self.group or self.usage_point_group or EndDevice()
        values = {self.label, *(name.name for name in known.names)}
        return identifier.value in values or mrid_key(identifier.value) == mrid_key(known.mrid or "") != ""


def _group(text: str) -> Identified:
    tag, has_tag, value = text.partition("=")
    return Identified(names=(Name(name=value, name_type=tag) if has_tag else Name(name=text),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One control for some targets."""

    code: str
    targets: tuple[Target, ...]
    verb: str = "create"
    asynchronous: bool = False
    message_id: str | None = None
    correlation_id: str | None = None
    parameters: ControlParameters | None = None
    text: str | None = None
    """For the display."""
    start_at: datetime | None = None
    """When it is to begin; None: at once."""
    end_at: datetime | None = None
    """Until when it may be done."""
    changes: str | None = None
    """The MessageID of a control for later, whose place this one takes."""
    until_acknowledged: bool = False
    """Whether its acknowledgement is the end for who waits here."""


@dataclass(frozen=True, slots=True)
class MeterReplyError:
    """One Reply/Error, with the label of the meter that it is about."""

    code: str
    reason: str | None
    meter: str | None
    level: str | None = None

    @property
    def is_failure(self) -> bool:
        """Codes 0.* say that nothing is wrong and may still tell something."""
        return not self.code.startswith("0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderOutcome:
    """How an order ended; `result` is None if there was no final reply, and `reason` then says why.

    `unknown` is True where the HES may have carried it out all the same, `not_sent` where nothing was sent.
    """

    message_id: str
    result: str | None
    errors: tuple[MeterReplyError, ...] = ()
    reason: str | None = None
    unknown: bool = False
    not_sent: bool = False
    accepted: bool = False
    """Only acknowledged: what comes of it comes later."""
    ms: float

    @property
    def confirmed(self) -> bool:
        """Only a final OK is a success."""
        return self.result == "OK" and not self.accepted
