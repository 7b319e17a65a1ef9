"""Requests that have a trace, as `/api/v1/traces` lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict

from ami_hes.api.values.moments import Moment

if TYPE_CHECKING:
    from ami_hes.store.history import RequestLine


class TraceLine(BaseModel):
    """A request that has a trace; `result` is None until it is answered."""

    model_config = ConfigDict(frozen=True)

    message_id: str
    verb: str
    noun: str
    source: str | None
    accepted_at: Moment
    answered_at: Moment | None
    result: str | None
    meters: int
    done: int
    ok: int

    @classmethod
    def of(cls, line: RequestLine) -> Self:
        said = line._asdict()
        return cls(**{name: said[name] for name in cls.model_fields})


class TraceList(BaseModel):
    """Requests, the latest first; `next` is what to ask for `before` to have older ones, where there are."""

    model_config = ConfigDict(frozen=True)

    traces: tuple[TraceLine, ...]
    next: str | None
