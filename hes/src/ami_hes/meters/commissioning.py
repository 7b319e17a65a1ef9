"""The port to what is kept of the commissioning of meters: how far each is, step by step, over restarts (docs/adr/0029)."""

from collections.abc import Sequence
from typing import Protocol

from ami_hes.enums import MeterState
from ami_hes.meters.registry import Meter
from ami_hes.store.commissioning_port import CommissioningStep, StoredCommissioning


class Commissioning(Protocol):
    """How far meters are."""

    def state_of(self, mrid: str) -> MeterState:
        """Of the meter with this mRID, as mRIDs are compared; of one of which nothing is kept: NEW."""

    async def find(self, mrid: str) -> StoredCommissioning | None:
        """What is kept of it. Raises StoreUnavailable."""

    async def note(self, meter: Meter, state: MeterState, request_id: str, steps: Sequence[CommissioningStep]) -> None:
        """What came of it so far; committed when it returns. Raises StoreUnavailable."""


class NothingCommissioned:
    """Where nothing is kept."""

    def state_of(self, _: str) -> MeterState:
        return MeterState.NEW

    async def find(self, _: str) -> StoredCommissioning | None:
        return None

    async def note(self, _: Meter, __: MeterState, ___: str, ____: Sequence[CommissioningStep]) -> None:
        """Nobody asks."""
