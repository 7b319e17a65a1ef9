"""Our own invocation counters, one a meter and key: reserved in the store before a value is used, so never used twice.

A reservation covers many sessions; what is left of it after a restart is skipped, which is harmless. The meter's own
counter is heeded too: we go on above whichever is higher (docs/mapping.md, M-017).
"""

from dlms.security.counters import COUNTER_END, ReceiveCounter, SendCounter
from hes.meters.faults import MeterFault
from hes.meters.registry import Authentication, Meter
from hes.store.ports import Counters, CountersExhausted

RESERVED_AT_ONCE = 256
LOW = 16


class InvocationCounters:
    """What is reserved and not yet used, by meter and key."""

    def __init__(self, store: Counters) -> None:
        self._store = store
        self._counters: dict[tuple[str, str], SendCounter] = {}
        self._received: dict[tuple[str, str], ReceiveCounter] = {}

    def received(self, meter: Meter) -> ReceiveCounter | None:
        """What the meter has used, over all its connections; None where HLS proves each connection fresh."""
        if meter.authentication is Authentication.HLS_GMAC:
            return None
        return self._received.setdefault((meter.name, meter.key_id), ReceiveCounter())

    async def above(self, meter: Meter, at_least: int) -> SendCounter:
        """A counter whose next value is at least this one, with enough left for a few requests."""
        key = meter.name, meter.key_id
        counter = self._counters.get(key)
        if counter is None or counter.next_value < at_least:
            counter = self._counters[key] = SendCounter(*await self._reserve(meter, at_least))
        else:
            await self.top_up(meter, counter)
        return counter

    async def top_up(self, meter: Meter, counter: SendCounter) -> None:
        """Reserve more when little is left."""
        if counter.remaining >= LOW:
            return
        first, limit = await self._reserve(meter, counter.limit)
        if first != counter.limit:
            self._counters.pop((meter.name, meter.key_id), None)
            raise MeterFault(
                "security", "counter-shared", detail=f"values from {counter.limit} to {first} went elsewhere"
            )
        counter.extend(limit)

    async def _reserve(self, meter: Meter, at_least: int) -> tuple[int, int]:
        if at_least + RESERVED_AT_ONCE > COUNTER_END:
            raise MeterFault("security", "counter-exhausted", detail=f"it has reached {at_least}")
        try:
            return await self._store.reserve_counters(meter.name, meter.key_id, at_least, RESERVED_AT_ONCE)
        except CountersExhausted as error:
            raise MeterFault("security", "counter-exhausted", detail=str(error)) from None
