"""Events of meters, as `/api/v1/events` gives them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict

from ami_hes.api.values.moments import Moment

if TYPE_CHECKING:
    from ami_hes.meters.registry import Registry
    from ami_hes.store import StoredDeviceEvent


class DeviceEvent(BaseModel):
    """Something that has happened to a meter; `clock` says whose `at` is, `details` what the meter calls it."""

    model_config = ConfigDict(frozen=True)

    event_id: str
    meter: str
    mrid: str
    type: str
    at: Moment
    clock: str
    source: str
    reason: str
    details: dict[str, str]
    issuer_tracking_id: str | None
    received_at: Moment
    closed_at: Moment | None

    @classmethod
    def of(cls, one: StoredDeviceEvent, registry: Registry) -> Self:
        """The meter as it is called now, or was then if it has left."""
        details = {name: value for name, value in json.loads(one.details) if name != "clock"}
        return cls(
            event_id=one.event_id,
            meter=registry.name_of(one.mrid) or one.meter_name,
            mrid=one.mrid,
            type=one.code,
            at=one.created_at,
            clock="meter" if one.by_meter else "head-end",
            source=one.source,
            reason=one.reason,
            details=details,
            issuer_tracking_id=one.issuer_tracking_id,
            received_at=one.received_at,
            closed_at=one.closed_at,
        )


class DeviceEventList(BaseModel):
    """The latest first; `more` are behind them."""

    model_config = ConfigDict(frozen=True)

    events: tuple[DeviceEvent, ...]
    more: bool
