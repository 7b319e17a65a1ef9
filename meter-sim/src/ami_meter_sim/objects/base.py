"""Where a meter's history begins: what all records up to one second came to, after which they are needed no longer.

Strategy: a value, kept like a changed attribute. What computes from the history begins with it, so registers go on as if nothing
had been forgotten; how it is made is in `folding`.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, Self

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.obis import Obis
from ami_meter_sim.clock import ClockStateInMemory, MeterClock
from ami_meter_sim.clock.daylight_saving import DaylightSaving
from ami_meter_sim.objects.memory import Record, RecordKind

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

METER, BASE = Obis(bytes(6)), -3
"""Where the meter itself keeps it; no class has the number 0."""
DATE_TIME_OCTETS = 12


class ClockRules(NamedTuple):
    """What turns a clock's UTC into local time."""

    time_zone_minutes: int
    daylight_saving: DaylightSaving

    @classmethod
    def of(cls, clock: MeterClock) -> Self:
        """Those in force."""
        return cls(clock.time_zone_minutes, clock.daylight_saving)

    def encode(self) -> bytes:
        """28 octets."""
        saving = self.daylight_saving
        zone = self.time_zone_minutes.to_bytes(2, "big", signed=True)
        shift = saving.deviation_minutes.to_bytes(1, "big", signed=True)
        return zone + shift + bytes((saving.enabled,)) + saving.begin.encode() + saving.end.encode()

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """And back."""
        begin, end = (CosemDateTime.decode(octets[place : place + DATE_TIME_OCTETS]) for place in (4, 16))
        saving = DaylightSaving(begin, end, int.from_bytes(octets[2:3], "big", signed=True), bool(octets[3]))
        return cls(int.from_bytes(octets[:2], "big", signed=True), saving)


class Highest(NamedTuple):
    """The highest average of the billing period that runs at a base: watt-seconds, the second at which it ended, and what the clock showed then."""

    ws: int
    end: int
    shown: bytes


class Base(NamedTuple):
    """The meter at `second`, as all records up to and including it left it.

    Energies in watt-seconds: `phases_ws` three of import and three of export, `tariffs_ws` four and four, `added_ws` what flowed in addition
    to the house, import and export. `power_at` and `clock_at` are
    the seconds of the last record of that kind, 0 for none.
    """

    second: int
    phases_ws: tuple[int, ...]
    tariffs_ws: tuple[int, ...]
    added_ws: tuple[int, ...]
    powered: bool
    control_state: int
    watts: int
    tariff: int
    conditions: int
    clock_offset_s: int
    clock_set_at: int
    clock_rules: ClockRules
    power_failures: int
    billing_periods: int
    power_at: int
    clock_at: int
    clock_invalid: bool
    highest: Mapping[Obis, Highest]

    def clock(self, now: MeterClock) -> MeterClock:
        """The meter's clock as it was set and ruled then."""
        zone, saving = self.clock_rules
        state = ClockStateInMemory(self.clock_offset_s, self.clock_set_at, zone)
        return MeterClock(now.at, state, saving, now.drift_ppm)

    def encode(self) -> Data:
        """As the meter keeps it."""
        highest = [
            data.structure(*map(data.octet_string, (bytes(obis), one.shown)), *map(data.long64, (one.ws, one.end)))
            for obis, one in self.highest.items()
        ]
        numbers = (self.second, *self[4:11], *self[12:17])
        return data.structure(
            _long64(self.phases_ws),
            _long64(self.tariffs_ws),
            _long64(self.added_ws),
            _long64([int(one) for one in numbers]),
            data.octet_string(self.clock_rules.encode()),
            data.array(*highest),
        )


def _long64(numbers: Sequence[int]) -> Data:
    return data.array(*map(data.long64, numbers))


@lru_cache(maxsize=256)
def _decoded(kept: Data) -> Base:
    phases, tariffs, added, numbers, rules, highest = (part.value for part in kept.value)
    second, powered, state, watts, tariff, conditions, offset, set_at, *counts = (one.value for one in numbers)
    return Base(
        second=second,
        phases_ws=tuple(one.value for one in phases),
        tariffs_ws=tuple(one.value for one in tariffs),
        added_ws=tuple(one.value for one in added),
        powered=bool(powered),
        control_state=state,
        watts=watts,
        tariff=tariff,
        conditions=conditions,
        clock_offset_s=offset,
        clock_set_at=set_at,
        clock_rules=ClockRules.decode(rules),
        power_failures=counts[0],
        billing_periods=counts[1],
        power_at=counts[2],
        clock_at=counts[3],
        clock_invalid=bool(counts[4]),
        highest=dict(_highest(one) for one in highest),
    )


def _highest(kept: Data) -> tuple[Obis, Highest]:
    obis, shown, ws, end = (part.value for part in kept.value)
    return Obis(obis), Highest(ws, end, shown)


def base_of(device: "Device") -> Base | None:
    """None while the history is complete."""
    kept = device.kept.get(0, METER, BASE)
    return None if kept is None else _decoded(kept)


def keep_base(device: "Device", base: Base) -> None:
    """From now on the history begins with this."""
    device.kept.put(0, METER, BASE, base.encode())


def records_after_base(device: "Device", kind: RecordKind) -> Sequence[Record]:
    """Those of this kind that no base has taken up, the oldest first."""
    base, records = base_of(device), device.history.records(kind)
    return records if base is None else [one for one in records if one.at.timestamp() // 1 > base.second]
