"""Callers that no registry knows, as `/api/v1/quarantine` gives and takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from ami_hes.api.values.moments import Moment

if TYPE_CHECKING:
    from ami_hes.store import StoredCaller


class Caller(BaseModel):
    """A caller, by what it says that it is called; nothing of it is proved."""

    model_config = ConfigDict(frozen=True)

    name: str
    system_title: str | None
    address: str
    first_seen_at: Moment
    last_seen_at: Moment
    calls: int

    @classmethod
    def of(cls, one: StoredCaller) -> Self:
        fields = {name: getattr(one, name) for name in cls.model_fields}
        return cls.model_validate(fields)


class CallerList(BaseModel):
    """Callers, who was heard last first."""

    model_config = ConfigDict(frozen=True)

    callers: tuple[Caller, ...]


class Acceptance(BaseModel):
    """The columns of a row of a shipment, as for an import; what the caller is called and that it dials in need not be said."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    columns: dict[str, Any] = Field(repr=False)
