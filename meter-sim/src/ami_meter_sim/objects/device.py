"""The inside of one meter, as far as its objects need it: identity, clock, energy, switch, logs.

Strategy: plain fields that the objects read and change; the meter loads them, saves them and moves `clock.at`. The
objects themselves are made when they are first asked for, so a meter that nobody reads holds none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ami_dlms.obis import Obis
from ami_dlms.security import ReceiveCounter
from ami_meter_sim.clock import MeterClock
from ami_meter_sim.load import Energy
from ami_meter_sim.objects.cosem_object import CosemObject
from ami_meter_sim.objects.disconnect_control import Switch
from ami_meter_sim.objects.memory import History, HistoryInMemory, Kept, KeptInMemory
from ami_packs.model import PROFILE_GENERIC, Model, ObjectDescription

POWER_DOWN = 0x80
CLOCK_ADJUSTED = 0x20


class Rows(Protocol):
    """Where a profile's buffer lies; each row is an encoded structure."""

    def read(self) -> Sequence[bytes]:
        """All rows, the oldest first."""

    def append(self, row: bytes) -> None:
        """Add the newest row; the oldest one goes when the buffer is full."""

    def clear(self) -> None:
        """Forget all rows."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the meter says it is."""

    name: str
    logical_device_name: bytes
    device_id: bytes
    system_title: bytes | None = None


@dataclass(slots=True, kw_only=True)
class Device:
    """One meter's inside. `profile_status` follows IDIS: 0x80 power down, 0x20 clock adjusted since the last capture."""

    identity: Identity
    model: Model
    clock: MeterClock
    energy: Energy
    switch: Switch
    rows: Callable[[ObjectDescription], Rows]
    receive_counter: ReceiveCounter | None = None
    logical_devices: tuple[tuple[int, bytes], ...] = ()
    event_code: int = 0
    profile_status: int = 0
    kept: Kept = field(default_factory=KeptInMemory)
    history: History = field(default_factory=HistoryInMemory)
    built: dict[tuple[int, Obis], CosemObject] = field(default_factory=dict)
    build: Callable[[ObjectDescription, "Device"], CosemObject]

    def find(self, class_id: int, obis: Obis) -> CosemObject | None:
        """The object of this class and name, made now if need be; None if the model has none."""
        key = (class_id, obis)
        found = self.built.get(key)
        if found is None and (described := self.model.objects.get(key)) is not None:
            found = self.build(described, self)
            self.built[key] = found
        return found

    def settle(self) -> None:
        """Count the energy up to the clock's instant, with the switch as it stands."""
        self.energy.settle(self.clock.at, self.switch.output_state)

    @property
    def import_power_w(self) -> int:
        return self.energy.household.consumption.power_w(self.clock.at) if self.switch.output_state else 0

    @property
    def export_power_w(self) -> int:
        return self.energy.household.generation.power_w(self.clock.at) if self.switch.output_state else 0

    def clock_changed(self) -> None:
        """Mark the running capture period."""
        self.profile_status |= CLOCK_ADJUSTED

    def record_event(self, log: Obis, number: int) -> None:
        """Set the event code and capture the log."""
        self.event_code = number
        profile = self.find(PROFILE_GENERIC, log)
        if profile is not None:
            profile.call("capture")
