"""What the events of a meter say of its power: dark since when, and how often it was for a moment only. Pure.

A last gasp, or the entry of a log, says that power is lost; communication that is there again, a power-up or a ping that was answered
says that it is back. The alarm bit of a power-down says neither: it leaves when the power is back, with the time at which it leaves (M-153).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ami_hes.store import StoredDeviceEvent
from ami_mapping.events import POWER_LOST, POWER_RESTORED, VERIFIED

ALARM = "alarm"
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
    """By mRID, of each meter that has said anything of its power; `events` in the order of their time."""
    found: dict[str, Power] = {}
    for event in events:
        tail = event.code.partition(".")[2]
        one = found.setdefault(event.mrid, Power(event.mrid))
        if tail in POWER_LOST and event.source != ALARM:
            _lost(one, event.created_at)
        elif tail in POWER_RESTORED:
            _restored(one, event.created_at, momentary)
            one.verified = one.verified or tail == VERIFIED
    return found


def _lost(one: Power, at: datetime) -> None:
    """Said again, by its log or another push, it is the same loss."""
    if one.dark_since is None:
        one.dark_since, one.verified = at, False


def _restored(one: Power, at: datetime, momentary: timedelta) -> None:
    if one.dark_since is None:
        return
    if at - one.dark_since <= momentary:
        one.momentary += 1
    else:
        one.sustained += 1
    one.dark_since, one.restored_at = None, at
