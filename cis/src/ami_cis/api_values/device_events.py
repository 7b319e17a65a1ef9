"""Events of meters, as `/api/v1/device-events` takes and gives them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ami_cim.event_type_names import event_type_of
from ami_cis.api_values.readings import PeriodQuery, ReadingError, Text

if TYPE_CHECKING:
    from ami_cis.store import KeptDeviceEvent
    from ami_cis.workflows import EventsOutcome


DEVICE_EVENTS = "/api/v1/device-events"
ACKNOWLEDGE = f"{DEVICE_EVENTS}/acknowledge"
MAX_TARGETS = 1_000


class DeviceEvent(BaseModel):
    """One event; `details` has what the meter calls it, and whose clock `at` is of."""

    event_id: str
    meter: str
    code: str
    at: datetime
    reason: str | None
    issuer_tracking_id: str | None
    details: dict[str, str]
    closed_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None

    @classmethod
    def of(cls, kept: KeptDeviceEvent, zone: ZoneInfo) -> Self:
        """The same in a zone."""
        return cls(
            event_id=kept.event_id,
            meter=kept.meter,
            code=kept.code,
            at=kept.at.astimezone(zone),
            reason=kept.reason,
            issuer_tracking_id=kept.issuer_tracking_id,
            details=dict(kept.details),
            closed_at=None if kept.closed_at is None else kept.closed_at.astimezone(zone),
            acknowledged_at=None if kept.acknowledged_at is None else kept.acknowledged_at.astimezone(zone),
            acknowledged_by=kept.acknowledged_by,
        )


class DeviceEventList(BaseModel):
    """What the CIS has; `complete` is False where there is more than is given at once, `unlisted` are types that were asked for and that no list here has."""

    events: tuple[DeviceEvent, ...]
    complete: bool
    unlisted: tuple[str, ...] = ()


class Acknowledgement(BaseModel):
    """That somebody has seen these events."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    event_ids: tuple[Text, ...] = Field(min_length=1, max_length=MAX_TARGETS)


class Acknowledged(BaseModel):
    """How many of them nobody had acknowledged before; one that is acknowledged stays so by who was first."""

    events: int


class EventsOrder(PeriodQuery):
    """Which events the HES is asked for: of meters and groups (none: of all), of types by code or name, of a time."""

    meters: tuple[Text, ...] = Field(default=(), max_length=MAX_TARGETS)
    groups: tuple[Text, ...] = Field(default=(), max_length=MAX_TARGETS)
    """VALUE or TAG=VALUE of the registry of the HES."""
    types: tuple[Annotated[Text, AfterValidator(event_type_of)], ...] = Field(default=(), max_length=MAX_TARGETS)


class EventsFetched(BaseModel):
    """How asking ended, and how many events came, those that were known already included; not `complete` where the HES has more."""

    message_id: str
    result: str | None
    errors: tuple[ReadingError, ...]
    reason: str | None
    unknown: bool
    not_sent: bool = False
    ms: float
    came: int
    complete: bool

    @classmethod
    def of(cls, fetched: EventsOutcome) -> Self:
        """The same for a program."""
        return cls.model_validate(asdict(fetched.outcome) | {"came": fetched.came, "complete": fetched.complete})
