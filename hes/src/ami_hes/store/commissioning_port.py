"""The port to what is kept of the commissioning of meters, and the plain values that pass through it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from ami_hes.enums import MeterState, StepResult


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
