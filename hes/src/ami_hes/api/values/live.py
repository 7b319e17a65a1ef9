"""A frame of `/api/v1/live`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from ami_hes.api.values.contacts import ContactEntry
from ami_hes.api.values.device_events import DeviceEvent
from ami_hes.api.values.guard import StopState
from ami_hes.api.values.moments import Moment
from ami_hes.api.values.requests import RequestEntry


class GuardNews(BaseModel):
    """How many requests wait for approval, and whether controls are stopped: told when either has changed."""

    model_config = ConfigDict(frozen=True)

    waiting: int
    stop: StopState


class RefusedMessage(BaseModel):
    """A message of which nothing was done; `message_id` is None where it was not read so far, `code` where the HTTP status says it."""

    model_config = ConfigDict(frozen=True)

    message_id: str | None
    code: str | None
    reason: str
    at: Moment


class ChangesFrame(BaseModel):
    """What has changed since the frame before."""

    model_config = ConfigDict(frozen=True)

    requests: tuple[RequestEntry, ...] = ()
    contacts: tuple[ContactEntry, ...] = ()
    events: tuple[DeviceEvent, ...] = ()
    more_events: bool = False
    guard: GuardNews | None = None
    refused: tuple[RefusedMessage, ...] = ()
    pushes: int = 0
    """How many pushes of meters were taken or dropped; `/api/v1/pushes` has what is kept of them."""
