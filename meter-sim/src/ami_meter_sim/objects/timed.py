"""What a meter does by itself as time goes on: schedules, calendars, limits, monitors, each a function of (state, from, to).

Strategy: an object says when it has to do something next, and does what is due at that very instant; between two such instants
nothing happens. So one jump of a day comes to the same as 1,440 steps of a minute, and a meter that is not moved costs nothing.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ami_dlms.obis import Obis
from ami_meter_sim.objects.functions import switched_off
from ami_meter_sim.objects.kept_object import KeptObject
from ami_packs.model import Model

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

TIMED = (8, 22, 10, 20, 21, 71, 18, 113, 40)
"""Classes with timed behaviour, in the order in which they act at one instant."""
PUSH_SETUP = 40
"""Acts by itself only where the model says how often."""
METER, OFF_SINCE = Obis(bytes(6)), -2
"""Where the meter itself keeps the second at which power went; no class has the number 0."""


class Due(NamedTuple):
    """When a meter has to do something next, None for never."""

    at: datetime | None


class Timed(Protocol):
    """What a meter has to do at times of its own."""

    def next_due(self, after: datetime) -> datetime | None:
        """The first instant after `after` at which there is something to do as things are now; None for never."""

    def advance(self, at: datetime) -> bool:
        """Do what is due at `at`, which `device.clock` shows; whether that may have changed anything of other objects."""

    def clock_moved(self, before: datetime) -> None:
        """The clock was set; `before`: what it showed until then (UTC)."""

    def powered_up(self, off_since: datetime) -> None:
        """Power is back; `off_since`: the instant at which it went."""


class TimedObject(KeptObject):
    """Times are instants of the process (aware, UTC); what the meter's clock shows at them is up to `device.clock`."""

    __slots__ = ()

    def next_due(self, after: datetime) -> datetime | None:
        """The first instant after `after` at which there is something to do as things are now; None for never."""

    def advance(self, at: datetime) -> bool:
        """Do what is due at `at`, which `device.clock` shows; whether that may have changed anything of other objects."""
        return False

    def clock_moved(self, before: datetime) -> None:
        """The clock was set; `before`: what it showed until then (UTC)."""

    def powered_up(self, off_since: datetime) -> None:
        """Power is back; `off_since`: the instant at which it went."""


@lru_cache(maxsize=256)
def _keys(model: Model) -> tuple[tuple[int, Obis], ...]:
    keys = [
        key
        for key, one in model.objects.items()
        if key[0] in TIMED and (key[0] != PUSH_SETUP or "every_s" in one.options)
    ]
    return tuple(sorted(keys, key=lambda key: TIMED.index(key[0])))


def timed_objects(device: "Device") -> list[Timed]:
    """What of a meter acts by itself, in the order in which it acts at one instant: its supervision, then its objects."""
    keys = _keys(device.model)
    off = switched_off(device) if keys else frozenset()
    found = (device.find(*key) for key in keys if key not in off)
    return [*device.supervision, *(one for one in found if isinstance(one, TimedObject))]


def off_since(device: "Device") -> datetime | None:
    """The instant at which power went; None while there is power."""
    kept = device.kept.get(0, METER, OFF_SINCE)
    return None if kept is None else datetime.fromtimestamp(kept.value, UTC)


def next_due(device: "Device", after: datetime) -> datetime | None:
    """When the meter has to do something next, which is worked out once and holds until something changes."""
    if device.due is None:
        _work_out(device, [one.next_due(after) for one in timed_objects(device)])
    return None if device.due is None else device.due.at


def _work_out(device: "Device", due: list[datetime | None]) -> None:
    device.due = Due(min((at for at in due if at is not None), default=None))


def advance(device: "Device", since: datetime, until: datetime) -> None:
    """Do everything that was due after `since` and up to `until`, each at its own instant; without power, nothing."""
    first = next_due(device, since) if since < until and off_since(device) is None else None
    if first is None or first > until:
        device.clock.at = until
        return
    objects = timed_objects(device)
    due = [one.next_due(since) for one in objects]
    while any(due):
        at = min(one for one in due if one is not None)
        if at > until:
            break
        device.clock.at = at
        acting = [number for number, one in enumerate(due) if one == at]
        changed = [objects[number].advance(at) for number in acting]
        for number in range(len(objects)) if any(changed) else acting:
            due[number] = objects[number].next_due(at)
    _work_out(device, due)
    device.clock.at = until


def clock_moved(device: "Device", before: datetime) -> None:
    """Let every object know that the clock was set; `before`: what it showed until then (UTC)."""
    for one in timed_objects(device):
        one.clock_moved(before)


def powered_up(device: "Device", off_since: datetime) -> None:
    """Let every object catch up on what a meter without power has missed."""
    for one in timed_objects(device):
        one.powered_up(off_since)
