"""What the events of a meter say of its power: dark since when, and how often it was for a moment only. Pure.

A last gasp, or the entry of a log, says that power is lost; communication that is there again, a power-up or a ping that was answered
says that it is back. The alarm bit of a power-down says neither: it leaves when the power is back, with the time at which it leaves (M-153).
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ami_hes.store import StoredDeviceEvent
from ami_mapping.events import POWER_LOST, POWER_RESTORED, VERIFIED

ALARM = "alarm"
LOG = "log"
PING = "ping"
"""Source of what the head-end has found out by asking."""


@dataclass(slots=True)
class Power:
    """Of one meter, within a time."""

    mrid: str
    dark_since: datetime | None = None
    """None where its power is there, as far as is known."""
    restored_at: datetime | None = None
    """The end of its latest interruption, momentary ones included."""
    momentary: int = 0
    sustained: int = 0
    """Interruptions that have ended, by how long they were."""
    verified: bool = False
    """Whether its power was found to be back by a ping."""


def powers(events: Iterable[StoredDeviceEvent], momentary: timedelta) -> dict[str, Power]:
    """By mRID, of each meter that has said anything of its power."""
    told: dict[str, list[StoredDeviceEvent]] = defaultdict(list)
    for event in events:
        told[event.mrid].append(event)
    return {mrid: _power(mrid, of_meter, momentary) for mrid, of_meter in told.items()}


def _power(mrid: str, told: Sequence[StoredDeviceEvent], momentary: timedelta) -> Power:
    one, lost = Power(mrid), None
    for event in _in_order([event for event in told if _says_something(event)]):
        if _is_loss(event):
            if lost is None:  # said again, by its log or another push, it is the same loss
                lost, one.dark_since, one.verified = event, event.created_at, False
            continue
        if lost is not None:
            if _between(lost, event) <= momentary:
                one.momentary += 1
            else:
                one.sustained += 1
            lost, one.dark_since, one.restored_at = None, None, event.created_at
        one.verified = one.verified or _tail(event) == VERIFIED
    return one


def _in_order(told: Sequence[StoredDeviceEvent]) -> list[StoredDeviceEvent]:
    """What has the head-end's time divides, by when all was received, what has the meter's; that is ordered by the meter's clock in between.

    So the two clocks are never compared: a ping ends what was received before it, however slow or fast the meter is.
    """
    ours = sorted((event for event in told if not event.by_meter), key=lambda event: event.received_at)
    own = sorted((event for event in told if event.by_meter), key=lambda event: event.received_at)
    bounds = [event.received_at for event in ours]
    keyed = [((number, True, event.received_at), event) for number, event in enumerate(ours)]
    behind: timedelta | None = None
    for event in own:
        at = event.received_at
        if event.source != LOG:
            behind = at - event.created_at
        elif behind is not None:  # a log may tell long afterwards: by the clock as it was at the latest push
            at = min(at, _moved(event.created_at, behind))
        keyed.append(((bisect_right(bounds, at), False, event.created_at), event))
    return [event for _, event in sorted(keyed, key=lambda one: one[0])]


def _moved(at: datetime, by: timedelta) -> datetime:
    """Within what a datetime can be: the clock of a meter may say anything."""
    try:
        return at + by
    except OverflowError:
        return at


def _between(lost: StoredDeviceEvent, back: StoredDeviceEvent) -> timedelta:
    """By one clock: the meter's, or that of the head-end where one of them has no other."""
    if lost.by_meter is back.by_meter or lost.received_at > back.received_at:
        return back.created_at - lost.created_at
    return back.received_at - lost.received_at


def _says_something(event: StoredDeviceEvent) -> bool:
    return _tail(event) in POWER_RESTORED or (_is_loss(event) and event.source != ALARM)


def _is_loss(event: StoredDeviceEvent) -> bool:
    return _tail(event) in POWER_LOST


def _tail(event: StoredDeviceEvent) -> str:
    return event.code.partition(".")[2]
