"""How a request to the HES ended, which each answer says beside its own."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel

from ami_cis.api_values.readings import ReadingError

if TYPE_CHECKING:
    from ami_cis.workflows import OrderOutcome


class Ended(BaseModel):
    """How a request to the HES ended; without a final reply `result` is None, and `reason` says why."""

    message_id: str
    result: str | None
    errors: tuple[ReadingError, ...]
    reason: str | None
    unknown: bool
    not_sent: bool = False
    ms: float

    @classmethod
    def of(cls, outcome: OrderOutcome, **more: Any) -> Self:
        return cls.model_validate(asdict(outcome) | more)
