"""How far each meter is commissioned: the states in memory, since lists of meters are made by them, the steps in the store."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from ami_cim.identity import mrid_key
from ami_hes.enums import MeterState
from ami_hes.meters.registry import Meter
from ami_hes.store import CommissioningStep, CommissioningStore, StoredCommissioning


class CommissioningBook:
    """The Commissioning port. `load` before the first use."""

    def __init__(self, store: CommissioningStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._states: dict[str, MeterState] = {}

    async def load(self) -> None:
        """What earlier lives have kept."""
        self._states = dict(await self._store.states())

    async def look(self, mrid: str) -> None:
        """Take over what another process has noted of one meter. Raises StoreUnavailable."""
        found = await self._store.find(mrid_key(mrid))
        if found is not None:
            self._states[found.mrid] = found.state

    def state_of(self, mrid: str) -> MeterState:
        return self._states.get(mrid_key(mrid), MeterState.NEW)

    def in_state(self, state: MeterState, mrids: Iterable[str]) -> tuple[str, ...]:
        """Those of these mRIDs, as mRIDs are compared, whose meters are in this state."""
        return tuple(mrid for mrid in mrids if self._states.get(mrid, MeterState.NEW) is state)

    async def find(self, mrid: str) -> StoredCommissioning | None:
        return await self._store.find(mrid_key(mrid))

    async def note(self, meter: Meter, state: MeterState, request_id: str, steps: Sequence[CommissioningStep]) -> None:
        mrid = mrid_key(meter.mrid)
        await self._store.keep(StoredCommissioning(mrid, state, request_id, self._now(), tuple(steps)))
        self._states[mrid] = state
