"""What a meter does when too much has happened to it: the older half of its history becomes the base that the rest begins with.

Strategy: first every row that the profiles would compute from that half is captured, then the base takes up registers, tariffs, switch,
clock and maxima as they were at its second, and the records go. So no register and no interval of the past is another one afterwards.
The base lies on the end of a quarter of an hour where there is one, so that averages over quarter hours stay whole.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ami_dlms.obis import Obis
from ami_meter_sim.objects.activity_calendar import tariff_timeline
from ami_meter_sim.objects.base import Base, ClockRules, Highest, base_of, keep_base, records_after_base
from ami_meter_sim.objects.billing import billing_count
from ami_meter_sim.objects.data_and_register import ExtendedRegister
from ami_meter_sim.objects.interruptions import condition_masks
from ami_meter_sim.objects.memory import Record, RecordKind
from ami_meter_sim.objects.metering import FLOWS, PHASES, TARIFFS
from ami_meter_sim.objects.periods import ends_between, every
from ami_meter_sim.objects.profile_generic import ProfileGeneric
from ami_meter_sim.objects.switch import ControlState
from ami_meter_sim.objects.timeline import clock_invalid, clock_settings, second_of, without_power

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

MOST_RECORDS = 4_096
LOOK_EVERY = 512
"""How many records a meter may make before its history is counted again."""
QUARTER_S = 900
HURRIED_FROM = 4
"""Times as many records, and they are folded within a quarter of an hour: a mean that reaches over that second begins there."""
FOLDED = (
    RecordKind.SWITCH,
    RecordKind.CLOCK,
    RecordKind.CLOCK_RULES,
    RecordKind.POWER_DOWN,
    RecordKind.POWER_UP,
    RecordKind.RESET,
    RecordKind.TARIFF,
    RecordKind.BILLING,
    RecordKind.LOAD,
    RecordKind.CONDITIONS,
    RecordKind.CLOCK_INVALID,
)
NEWEST_STAYS = frozenset((RecordKind.RESET,))
"""The newest at or before the base stays: registers, and rows up to the next reset, count from it, however long ago it was."""


def fold(device: "Device", most: int = MOST_RECORDS) -> bool:
    """Fold the older half if there are more than `most` records; whether there were."""
    records = _records(device)
    if len(records) <= most:
        return False
    middle = second_of(records[len(records) // 2].at)
    second = _second_of_base(device, middle, hurried=len(records) > HURRIED_FROM * most)
    if second is None:
        return False
    _fold_until(device, second, records)
    return True


def fold_all(device: "Device") -> None:
    """Fold everything up to now, within a quarter of an hour too: a mean that reaches over this second begins there."""
    _fold_until(device, second_of(device.clock.at), _records(device))


def _records(device: "Device") -> list[Record]:
    return sorted((one for kind in FOLDED for one in records_after_base(device, kind)), key=lambda one: one.at)


def _fold_until(device: "Device", second: int, records: list[Record]) -> None:
    for one in _profiles(device):
        one.settle(second)
    base = _base_at(device, second)
    keep_base(device, base)
    for kind in FOLDED:
        _forget(device, kind, records, second)


def _second_of_base(device: "Device", middle: int, hurried: bool) -> int | None:
    """The end of a quarter hour beside the middle, so that no mean of a minute or a quarter hour reaches over it; None if there is none yet.

    `hurried`: so much has happened within one quarter hour that the middle itself is taken.
    """
    base = base_of(device)
    first = middle - 2 * QUARTER_S if base is None else max(base.second, middle - 2 * QUARTER_S)
    now = second_of(device.clock.at)
    ends = ends_between(device, every(QUARTER_S), first, min(middle + 2 * QUARTER_S, now - 1))
    if len(ends):
        return int(ends[max(int(np.searchsorted(ends, middle, "right")) - 1, 0)])
    return middle if hurried and first < middle < now else None


def _profiles(device: "Device") -> Iterator[ProfileGeneric]:
    for described in device.model.profiles:
        found = device.find(described.class_id, described.obis)
        if isinstance(found, ProfileGeneric):
            yield found


def _forget(device: "Device", kind: RecordKind, records: list[Record], second: int) -> None:
    ours = [one for one in records if one.kind is kind]
    for source in {one.source for one in ours}:
        later = sum(one.source == source and second_of(one.at) > second for one in ours)
        device.history.forget(kind, source, later + int(kind in NEWEST_STAYS))


def _base_at(device: "Device", second: int) -> Base:
    metering = device.metering
    clock = next(one.clock for one in reversed(clock_settings(device)) if one.since <= second)
    newest = _Newest(device, second)
    return Base(
        second=second,
        phases_ws=tuple(int(metering.phase_ws(flow, phase, second)) for flow in FLOWS for phase in PHASES),
        tariffs_ws=tuple(int(metering.tariff_ws(flow, tariff, second)) for flow in FLOWS for tariff in TARIFFS),
        added_ws=tuple(int(metering.added_ws(flow, second)) for flow in FLOWS),
        powered=not without_power(device).cover(np.array([second]))[0],
        control_state=newest.number(RecordKind.SWITCH, "control_state", ControlState.CONNECTED),
        watts=newest.number(RecordKind.LOAD, "watts", 0),
        tariff=_tariff_at(device, second),
        conditions=int(condition_masks(device).at(int(second))[0]),
        clock_offset_s=clock.offset_s,
        clock_set_at=second_of(clock.set_at),
        clock_rules=ClockRules.of(clock),
        power_failures=newest.count(RecordKind.POWER_DOWN, "power_failures"),
        billing_periods=billing_count(device, second),
        power_at=max(newest.second(kind, "power_at") for kind in (RecordKind.POWER_DOWN, RecordKind.POWER_UP)),
        clock_at=newest.second(RecordKind.CLOCK, "clock_at"),
        clock_invalid=bool(clock_invalid(device).cover(np.array([second]))[0]),
        highest=dict(_highest(device, second)),
    )


class _Newest:
    """The newest records up to a second, and what the base before holds in place of those that there are none of."""

    def __init__(self, device: "Device", second: int) -> None:
        self._device = device
        self._second = second
        self._before = base_of(device)

    def number(self, kind: RecordKind, field: str, at_first: int) -> int:
        found = self._until(kind)
        return found[-1].number if found else self._held(field, at_first)

    def second(self, kind: RecordKind, field: str) -> int:
        found = self._until(kind)
        return second_of(found[-1].at) if found else self._held(field, 0)

    def count(self, kind: RecordKind, field: str) -> int:
        return len(self._until(kind)) + self._held(field, 0)

    def _held(self, field: str, at_first: int) -> int:
        held: int = at_first if self._before is None else getattr(self._before, field)
        return held

    def _until(self, kind: RecordKind) -> list[Record]:
        return [one for one in records_after_base(self._device, kind) if second_of(one.at) <= self._second]


def _tariff_at(device: "Device", second: int) -> int:
    seconds, tariffs = tariff_timeline(device, second)
    number = int(np.searchsorted(seconds, second, "right"))
    before = base_of(device)
    return int(tariffs[number - 1]) if number else 1 if before is None else before.tariff


def _highest(device: "Device", second: int) -> Iterator[tuple[Obis, Highest]]:
    """The maxima of the billing period that runs, by register."""
    for (class_id, obis), described in device.model.objects.items():
        found = device.find(class_id, obis) if class_id == ExtendedRegister.class_id and described.value else None
        if not isinstance(found, ExtendedRegister) or found.quantity is None:
            continue
        highest = None if found.demand is None else found.demand.complete(second)
        if highest is not None:
            yield obis, Highest(*highest, found.shown_at(np.array([highest.end], np.int64))[0])
