"""The meters' invocation counters: what was accepted once is never accepted again, over restarts too (docs/mapping.md, M-043).

What a recorded frame says is genuine for ever; only its counter shows that it is old. So the highest value is in the store
before anything that came under it counts. An association needs that once, when it opens: every frame in it has to be above
the one that opened it, so a recorded one can't be opened again once its first value is kept.
"""

from enum import StrEnum

from ami_dlms.security import ReceiveCounter
from ami_dlms.security.hls import HLS
from ami_hes.meters.faults import MeterFault
from ami_hes.meters.registry import Meter
from ami_hes.store.ports import ReceivedCounters, ReceivedKey
from ami_process.store.errors import StoreUnavailable


class FrameOrigin(StrEnum):
    """Where a frame is from; those of one are not in order with those of the other, since a push may be overtaken by an answer."""

    ASSOCIATION = "association"
    PUSH = "push"


class ReceiveCounters:
    """The receive counters of all meters. `load` before the first use."""

    def __init__(self, store: ReceivedCounters) -> None:
        self._store = store
        self._counters: dict[ReceivedKey, ReceiveCounter] = {}
        self._kept: dict[ReceivedKey, int] = {}

    async def load(self) -> None:
        """What any process has accepted so far counts from now on."""
        for key, lowest in (await self._store.load()).items():
            self._kept[key] = max(lowest, self._kept.get(key, 0))
            counter = self._counters.setdefault(key, ReceiveCounter(lowest))
            if counter.lowest_acceptable < lowest:
                counter.accept(lowest - 1)

    def of(self, meter: Meter, origin: FrameOrigin) -> ReceiveCounter:
        """What the meter has used, over all its connections."""
        return self._counters.setdefault(_key(meter, origin), ReceiveCounter())

    def of_association(self, meter: Meter) -> ReceiveCounter:
        """The same; where HLS proves each association fresh it begins anew with each."""
        if meter.authentication in HLS:
            return ReceiveCounter()
        return self.of(meter, FrameOrigin.ASSOCIATION)

    async def keep(self, meter: Meter, origin: FrameOrigin, lowest: int | None = None) -> None:
        """What was accepted so far is accepted by no later life and no other process; `lowest`: what the counter stood at behind one frame among others.

        Raises MeterFault when it can't be kept, and when another process has accepted it before.
        """
        key = _key(meter, origin)
        if lowest is None:
            counter = self._counters.get(key)
            if counter is None or counter.lowest_acceptable == self._kept.get(key, 0):
                return
            lowest = counter.lowest_acceptable
        try:
            is_new = await self._store.keep(key, lowest)
        except StoreUnavailable as problem:
            raise MeterFault("internal", "store", detail=str(problem)) from None
        if not is_new:
            detail = f"invocation counter {lowest - 1}, or a higher one, was accepted by another process"
            raise MeterFault("security", "replayed", detail=detail)
        self._kept[key] = max(lowest, self._kept.get(key, 0))


def _key(meter: Meter, origin: FrameOrigin) -> ReceivedKey:
    """The device and not its name in the registry, which may be given to another one."""
    return ReceivedKey(meter.logical_device_name, meter.key_id, origin.value)
