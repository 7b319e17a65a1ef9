"""Our own invocation counters, one per key: reserved in the store before a value is used, so never used twice.

A reservation covers many sessions; what is left of it after a restart is skipped, which is harmless. A meter may say that it
wants higher values: in an object that anybody may read and forge, or in an exception that anybody may send. Such a claim is
believed within bounds only, and at first with a few values that count as used while the counter itself stays where it is.
When the secured association opens with them the meter has taken them, and then the counter goes on above
(docs/mapping.md, M-017, M-041 and M-042).
"""

from dataclasses import dataclass

from ami_dlms.security import SendCounter
from ami_hes.meters.faults import MeterFault
from ami_hes.meters.registry import Meter
from ami_hes.store.ports import ClaimTooHigh, CounterRange, Counters, CountersExhausted
from ami_process.store.errors import StoreUnavailable

RESERVED_AT_ONCE = 256
TRIED_AT_ONCE = 8  # an association opens with three of them at most
LOW = 16


@dataclass(slots=True)
class CounterSource:
    """Where one association takes its values from. `doubt` says why a claim of the meter was not followed."""

    meter: Meter
    counters: "InvocationCounters"
    counter: SendCounter
    tried: bool = False
    """The values follow a claim that is not proved yet: there are no more of them."""
    doubt: str = ""

    @property
    def is_low(self) -> bool:
        """Whether more are needed before the next request."""
        return not self.tried and self.counter.remaining < LOW

    async def top_up(self) -> None:
        """Have enough for the next request."""
        if self.is_low:
            await self.counters.top_up(self.meter, self.counter)

    async def confirm(self) -> None:
        """The secured association is open: the meter has taken the values that were tried."""
        if self.tried:
            await self.counters.go_on_above(self.meter, self.counter)
            self.tried = False
        self.counters.confirmed(self.meter)


class InvocationCounters:
    """What is reserved and not yet used, by key. `max_jump`: how far above ours a claim may be to be believed."""

    def __init__(self, store: Counters, max_jump: int) -> None:
        self._store = store
        self._max_jump = max_jump
        self._counters: dict[str, SendCounter] = {}
        self._confirmed: set[tuple[str, str]] = set()

    def forget(self) -> None:
        """Reserve anew for whatever opens next: another process may have used higher values meanwhile."""
        self._counters.clear()

    def forget_key(self, meter: Meter) -> None:
        """The same for the key of one meter."""
        self._counters.pop(meter.key_id, None)

    async def source(self, meter: Meter, at_least: int) -> CounterSource:
        """Values for a meter that claims to take none below `at_least`."""
        counter = self._counters.get(meter.key_id)
        if counter is not None and counter.next_value >= at_least:
            await self.top_up(meter, counter)
            return CounterSource(meter, self, counter)
        try:
            tried = await self._try(meter, at_least)
        except ClaimTooHigh as claim:
            return CounterSource(
                meter, self, await self._ours(meter, 0), doubt=f"{claim}; hes.max_counter_jump is the bound"
            )
        if tried is None:
            return CounterSource(meter, self, await self._ours(meter, at_least))
        return CounterSource(meter, self, SendCounter(*tried), tried=True)

    async def next_ones(self, meter: Meter) -> SendCounter:
        """Values for what is sent outside any association; the first of a key is 1, since a meter that has taken none refuses 0."""
        return await self._ours(meter, 1)

    def confirmed(self, meter: Meter) -> None:
        """The meter has opened an association with this key's counter."""
        self._confirmed.add((meter.name, meter.key_id))

    def knows(self, meter: Meter) -> bool:
        """Whether it has done so in this life of the process, so that the next value is most likely right."""
        return (meter.name, meter.key_id) in self._confirmed

    async def top_up(self, meter: Meter, counter: SendCounter) -> None:
        """Reserve more when little is left."""
        if counter.remaining < LOW:
            _move(counter, await self._reserve(meter, counter.limit))

    async def go_on_above(self, meter: Meter, counter: SendCounter) -> None:
        """This is the key's counter from now on."""
        _move(counter, await self._reserve(meter, counter.limit))
        self._counters[meter.key_id] = counter

    async def _ours(self, meter: Meter, at_least: int) -> SendCounter:
        counter = self._counters.get(meter.key_id)
        if counter is None:
            counter = self._counters[meter.key_id] = SendCounter(*await self._reserve(meter, at_least))
        elif counter.next_value < at_least:
            _move(counter, await self._reserve(meter, at_least))
        await self.top_up(meter, counter)
        return counter

    async def _try(self, meter: Meter, at_least: int) -> CounterRange | None:
        try:
            return await self._store.try_counters(meter.key_id, at_least, TRIED_AT_ONCE, max_jump=self._max_jump)
        except CountersExhausted as error:
            raise _exhausted(meter, error) from None
        except StoreUnavailable as problem:
            raise MeterFault("internal", "store", detail=str(problem)) from None

    async def _reserve(self, meter: Meter, at_least: int) -> CounterRange:
        try:
            return await self._store.reserve_counters(meter.key_id, at_least, RESERVED_AT_ONCE)
        except CountersExhausted as error:
            raise _exhausted(meter, error) from None
        except StoreUnavailable as problem:
            raise MeterFault("internal", "store", detail=str(problem)) from None


def _move(counter: SendCounter, reserved: CounterRange) -> None:
    """Go on in this range, unless another session under the same key has moved the counter beyond it meanwhile."""
    if reserved.first >= counter.limit:
        counter.go_on(*reserved)


def _exhausted(meter: Meter, error: CountersExhausted) -> MeterFault:
    return MeterFault("security", "counter-exhausted", detail=f"meter {meter.name}: {error}")
