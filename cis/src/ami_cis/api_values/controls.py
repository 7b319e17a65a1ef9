"""Controls and what came of them, as `/api/v1/controls` takes and gives them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from ami_cim.control_names import named_control
from ami_cim.control_parameters import FirmwareImage, KeyChange, Limiter, LimiterEmergency, TimeOfUse
from ami_cis.api_values.readings import Text

if TYPE_CHECKING:
    from ami_cis.workflows import Order, OrderOutcome


CONTROLS = "/api/v1/controls"
CONTROL = f"{CONTROLS}/{{name:path}}"
"""By its MessageID."""
MAX_TARGETS = 10_000
MAX_GROUPS = 100


Verb = Literal["create", "change", "cancel", "close", "delete"]


def _code(text: str) -> str:
    return named_control(text)


class ControlOrder(BaseModel):
    """One EndDeviceControl for some meters, named by Names.name, by mRID, by the name of their usage point or by groups."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: Annotated[Text, AfterValidator(_code)]
    """An EndDeviceControlType, or a name such as demand-reset."""
    meters: tuple[Text, ...] = Field(default=(), max_length=MAX_TARGETS)
    mrids: tuple[Text, ...] = Field(default=(), max_length=MAX_TARGETS)
    usage_points: tuple[Text, ...] = Field(default=(), max_length=MAX_TARGETS)
    groups: tuple[Text, ...] = Field(default=(), max_length=MAX_GROUPS)
    """VALUE or TAG=VALUE of the registry of the HES."""
    usage_point_groups: tuple[Text, ...] = Field(default=(), max_length=MAX_GROUPS)
    limiter: Limiter | None = None
    limiter_emergency: LimiterEmergency | None = None
    time_of_use: TimeOfUse | None = None
    key_change: KeyChange | None = None
    firmware_image: FirmwareImage | None = None
    text: Annotated[str, Field(min_length=1, max_length=1_000)] | None = None
    """For the display."""
    start_at: AwareDatetime | None = None
    """When it is to begin: then the HES acknowledges it, and what comes of it comes later."""
    end_at: AwareDatetime | None = None
    """Until when it may be done."""
    changes: Text | None = None
    """The MessageID of a control for later, whose place this one takes; the verb is change then."""
    verb: Verb = "create"
    asynchronous: bool = False
    until_acknowledged: bool = False
    """Answer once the HES has acknowledged it, as one that waits for a second person: what comes of it comes later."""
    message_id: Text | None = None
    correlation_id: Text | None = None

    @model_validator(mode="after")
    def _has_a_target(self) -> Self:
        if not (self.meters or self.mrids or self.usage_points or self.groups or self.usage_point_groups):
            raise ValueError("name at least one of meters, mrids, usage_points, groups and usage_point_groups")
        if self.start_at is not None and not self.asynchronous:
            raise ValueError("a control for later is asynchronous")
        if self.until_acknowledged and not self.asynchronous:
            raise ValueError("what is answered once it is acknowledged is asynchronous")
        if self.changes is not None and self.start_at is None:
            raise ValueError("what changes a control for later has a start_at")
        return self


class ControlError(BaseModel):
    """One Reply/Error; `meter` is the name by which the order named it, where it is about one of them."""

    code: str
    reason: str | None
    meter: str | None
    level: str | None

    @property
    def is_failure(self) -> bool:
        """Codes 0.* say that nothing is wrong and may still say something."""
        return not self.code.startswith("0.")


class ControlOutcome(BaseModel):
    """How a control ended; without a final reply `result` is None, and `reason` says why."""

    code: str
    verb: str
    meters: tuple[str, ...]
    message_id: str
    result: str | None
    errors: tuple[ControlError, ...]
    reason: str | None
    unknown: bool
    not_sent: bool = False
    accepted: bool = False
    """Only acknowledged: it is for later."""
    ms: float
    confirmed: bool

    @classmethod
    def of(cls, order: Order, outcome: OrderOutcome) -> Self:
        labels = [target.label for target in order.targets]
        document = {"code": order.code, "verb": order.verb, "meters": labels, "confirmed": outcome.confirmed}
        return cls.model_validate(document | asdict(outcome))
