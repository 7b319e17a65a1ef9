"""What a process that listens asks of the others before a meter that dials in is its own: the registry's entry of now, counters that nobody has used, and the claim.

A process that is alone asks nothing.
"""

from collections.abc import Awaitable, Callable

from ami_cim.identity import mrid_key
from ami_hes.engine.dialled_in_port import Claims
from ami_hes.meters.counters import InvocationCounters
from ami_hes.meters.dialled_in import DialledInConnections, Standing
from ami_hes.meters.faults import MeterFault
from ami_hes.meters.registry import Meter, Registry

Look = Callable[[str], Awaitable[None]]
"""Have the registry take over what another process has changed of the meter of this mRID."""


class SharedMeters:
    """For the listener. `share` before it listens, where others listen as well."""

    def __init__(self, registry: Registry, dialled_in: DialledInConnections, counters: InvocationCounters) -> None:
        self._registry = registry
        self._dialled_in = dialled_in
        self._counters = counters
        self._look: Look | None = None

    def share(self, claims: Claims, look: Look) -> None:
        """From now on others may have any meter."""
        self._dialled_in.claims = claims
        self._look = look

    async def look(self, meter: Meter | None) -> Meter | None:
        """The same meter as it is in the store. Raises StoreUnavailable."""
        if meter is None or self._look is None:
            return meter
        await self._look(meter.mrid)
        return self._registry.find_by_mrid(meter.mrid)

    async def prepare(self, meter: Meter) -> None:
        """Have it prove itself by counters above those that others have used. Raises StoreUnavailable."""
        if meter.keyed and not await self._dialled_in.claims.is_ours(mrid_key(meter.mrid)):
            self._counters.forget_key(meter)

    async def claim(self, meter: Meter, standing: Standing) -> None:
        """Have it be this process's; MeterFault where another one has a connection over which it has proved more, StoreUnavailable."""
        if standing is Standing.CLAIMED and meter.proves_itself:  # beside one over which it is proved, which is here
            return
        proved = standing is Standing.PROVED or not meter.proves_itself
        if not await self._dialled_in.claims.claim(mrid_key(meter.mrid), proved=proved):
            raise MeterFault("identity", "elsewhere", detail=meter.name)
