"""What came from the network and was not believed: counted, and told within bounds, since it costs whoever sends it nothing.

What was thrown away is told one by one as long as it is little; the rest of a minute is a number. What came in the name of a meter and
was not the meter's is told once an hour for each meter and kind: as an event of this process, and as an event of the meter where the
mapping has a code for it (docs/mapping.md, M-154).
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from ami_dlms.errors import ForeignTitleError, SecurityError
from ami_dlms.security import ReplayError
from ami_hes.events import Dropped, DroppedMore, SecurityRefused
from ami_hes.meters.allowance import Allowance
from ami_hes.meters.faults import MeterFault
from ami_hes.meters.registry import Meter
from ami_hes.store import StoreUnavailable
from ami_process.environment import real_time, real_timer
from ami_process.events import Emit
from ami_process.sockets import counted_address

WINDOW_S = 60.0
PER_HOST, IN_ALL = 20, 200
"""Of what was thrown away, that are told one by one in a window."""
REPEAT_S = 3_600.0
"""Of the same meter and the same kind."""
MOST_SUSPICIONS = 100
"""Of different meters in that time; somebody who knows all system titles can send in the name of all of them."""
MOST_HOSTS = 1_000


class Suspicion(StrEnum):
    """What was wrong with something that came in the name of a meter."""

    AUTHENTICATION = "authentication"
    """Who claims to be it did not prove its keys."""
    PROTECTION = "protection"
    """Its tag is wrong, or it is protected by less than was agreed."""
    REPLAY = "replay"
    """Its invocation counter was used before."""
    IDENTITY = "identity"
    """Another system title."""


_OF_FAULTS: Mapping[tuple[str, str], Suspicion] = {
    ("security", "replayed"): Suspicion.REPLAY,
    ("security", "foreign-title"): Suspicion.IDENTITY,
    ("security", "unprotected"): Suspicion.PROTECTION,
    ("security", "not-proved"): Suspicion.AUTHENTICATION,
    ("association", "AUTHENTICATION_FAILURE"): Suspicion.AUTHENTICATION,
}


def suspicion_of(problem: Exception) -> Suspicion | None:
    """Of a fault or an error of the protocol; None where nothing of it speaks of somebody else."""
    match problem:
        case MeterFault():
            return _OF_FAULTS.get((problem.kind, problem.name))
        case ReplayError():
            return Suspicion.REPLAY
        case ForeignTitleError():
            return Suspicion.IDENTITY
        case SecurityError():
            return Suspicion.PROTECTION
    return None


class TakesSuspicions(Protocol):
    """What keeps events of meters (`ami_hes.end_device_events`)."""

    async def take_suspicion(self, meter: Meter, kind: str, number: int, host: str) -> None:
        """Kept when it returns, where the mapping has a code for it; raises StoreUnavailable."""


@dataclass(slots=True)
class _Told:
    """Of one meter and kind."""

    since: float
    untold: int = 0


class Refusals:
    """Counts and tells. `close` at the end."""

    def __init__(self, emit: Emit, taker: TakesSuspicions | None = None) -> None:
        """Without `taker` nothing is kept of what came in the name of a meter."""
        self.counts: Counter[str] = Counter({one.value: 0 for one in Suspicion})
        """Of each kind, told or not."""
        self._emit = emit
        self._taker = taker
        self._one_by_one = Allowance(PER_HOST, IN_ALL, WINDOW_S)
        self._more: Counter[str] = Counter()
        self._hosts: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._told: dict[tuple[str, Suspicion], _Told] = {}
        self._keeping: set[asyncio.Task[None]] = set()

    def drop(self, event: Dropped) -> None:
        """Something was thrown away."""
        host = host_of(event.peer)
        if self._one_by_one.takes(host):
            self._emit(event)
            return
        self._more[event.transport] += 1
        if len(self._hosts) < MOST_HOSTS:
            self._hosts.add(host)
        if self._timer is None:
            self._timer = real_timer(real_time() + WINDOW_S, self._tell_more)

    def suspect(self, meter: Meter, problem: Exception, peer: str, transport: str) -> None:
        """Something came over a connection, or in a datagram, in the name of this meter and was not believed."""
        kind = suspicion_of(problem)
        if kind is None:
            return
        self.counts[kind.value] += 1
        number = self._to_tell(meter, kind)
        if number == 0:
            return
        self._emit(
            SecurityRefused(
                meter=meter.name, kind=kind.value, peer=peer, transport=transport, number=number, reason=str(problem)
            )
        )
        if self._taker is not None:
            task = asyncio.get_running_loop().create_task(self._keep(self._taker, meter, kind, number, host_of(peer)))
            self._keeping.add(task)
            task.add_done_callback(self._keeping.discard)

    async def close(self) -> None:
        """Tell what is not told yet, and wait for what is being kept."""
        if self._timer is not None:
            self._timer.cancel()
            self._tell_more()
        if self._keeping:
            await asyncio.wait(self._keeping)

    def _to_tell(self, meter: Meter, kind: Suspicion) -> int:
        """How many are to be told now: all since the last time that there were; 0: not now."""
        now, key = real_time(), (meter.mrid, kind)
        told = self._told.get(key)
        if told is not None and now - told.since < REPEAT_S:
            told.untold += 1
            return 0
        if told is None and len(self._told) >= MOST_SUSPICIONS:
            self._told = {key: one for key, one in self._told.items() if now - one.since < REPEAT_S}
            if len(self._told) >= MOST_SUSPICIONS:
                return 0
        self._told[key] = _Told(now)
        return 1 + (0 if told is None else told.untold)

    async def _keep(self, taker: TakesSuspicions, meter: Meter, kind: Suspicion, number: int, host: str) -> None:
        try:
            await taker.take_suspicion(meter, kind.value, number, host)
        except StoreUnavailable:
            return  # it is told in the log, and counted

    def _tell_more(self) -> None:
        self._timer = None
        for transport, number in self._more.items():
            self._emit(DroppedMore(transport=transport, number=number, hosts=len(self._hosts)))
        self._more.clear()
        self._hosts.clear()


def host_of(peer: str) -> str:
    """Of `host:port`, as addresses are counted."""
    return counted_address(peer.rpartition(":")[0].strip("[]"))
