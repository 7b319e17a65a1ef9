"""How each meter answered when it was asked last, as `/api/v1/contacts` gives it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from ami_hes.api.values.moments import Moment

Switch = Literal["disconnected", "connected", "ready"]


class ContactEntry(BaseModel):
    """A meter: `ok`, `reason` and `ms` are of the latest command; `switch` is what was read of it last; `dialled_in`: whether it holds a connection that it made."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    meter: str
    heard_at: Moment | None
    asked_at: Moment | None
    operation: str | None
    ok: bool | None
    reply_code: str | None
    reason: str
    ms: float | None
    commands: int
    failures: int
    pushes: int
    switch: Switch | None
    dialled_in: bool


class ContactList(BaseModel):
    """By name; `next` is what to ask for `after` to have more, where there are more."""

    model_config = ConfigDict(frozen=True)

    since: Moment
    contacts: tuple[ContactEntry, ...]
    next: str | None
