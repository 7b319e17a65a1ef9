"""The port to what is kept of the commissioning of meters, and the plain values that pass through it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol


class MeterState(StrEnum):
    """How far a meter is. The store keeps the word; of one that is NEW it keeps nothing."""

    NEW = "new"
    """Nothing was ever begun."""
    COMMISSIONING = "commissioning"
    """Begun, and not at its end."""
    FAILED = "failed"
    """The last attempt ended with a step that failed."""
    COMMISSIONED = "commissioned"
    """Every step was seen done."""


class StepResult(StrEnum):
    """How a step ended."""

    DONE = "done"
    LEFT = "left"
    """There was nothing to do."""
    FAILED = "failed"


class CommissioningStep(NamedTuple):
    """One step of a meter's commissioning and what was seen."""

    step: str
    result: StepResult
    reason: str


@dataclass(frozen=True, slots=True)
class StoredCommissioning:
    """What came of the latest commissioning of a meter so far."""

    mrid: str
    """As mRIDs are compared."""
    state: MeterState
    request_id: str
    """The campaign."""
    changed_at: datetime
    steps: tuple[CommissioningStep, ...] = ()


class CommissioningStore(Protocol):
    """One row per meter. All methods raise StoreUnavailable."""

    async def states(self) -> Mapping[str, MeterState]:
        """By mRID, of all meters of which something is kept."""

    async def find(self, mrid: str) -> StoredCommissioning | None: ...

    async def keep(self, one: StoredCommissioning) -> None:
        """In the place of what is kept of the meter; committed when it returns."""
