"""The inside of one meter, as far as its objects need it: identity, clock, energy, switch, logs.

Strategy: plain fields that the objects read and change; the meter loads them, saves them and moves `clock.at`. The
objects themselves are made when they are first asked for, so a meter that nobody reads holds none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ami_dlms.data import Data
from ami_dlms.enums import DataAccessResult
from ami_dlms.obis import Obis
from ami_dlms.security import ReceiveCounter
from ami_meter_sim.clock import MeterClock
from ami_meter_sim.load import Energy
from ami_meter_sim.objects.cosem_object import CosemObject, Refused
from ami_meter_sim.objects.memory import History, HistoryInMemory, Kept, KeptInMemory
from ami_meter_sim.objects.monitoring import written
from ami_meter_sim.objects.recording import Notice
from ami_meter_sim.objects.switch import Switch
from ami_packs.model import Model, ObjectDescription

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


def _unheard(_: Notice) -> None:
    """Nobody pushes."""


@dataclass(slots=True, kw_only=True)
class Device:
    """One meter's inside. `profile_status` follows IDIS: 0x80 power down, 0x20 clock adjusted since the last capture.

    `off_since`: the instant at which power went, None while there is power. `notice` hears of everything that happens, alarms included,
    for who pushes it.
    """

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
    off_since: datetime | None = None
    notice: Callable[[Notice], None] = _unheard
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

    def write(self, class_id: int, obis: Obis, attribute_id: int, value: Data) -> None:
        """Write an attribute, for a client or a script, and let the monitors see it; Refused with the reason why not."""
        found = self.find(class_id, obis)
        if found is None:
            raise Refused(DataAccessResult.OBJECT_UNDEFINED)
        found.write(attribute_id, value)
        written(self, class_id, obis, attribute_id, value)

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
