"""The inside of one meter, as far as its objects need it: identity, clock, energy, switch, logs.

Strategy: what changes lies in the meter's row, which is the only copy, and the objects read and change it here; the meter moves
`clock.at`. The objects themselves are made when they are first asked for, so a meter that nobody reads holds none.
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
from ami_meter_sim.load.daily import Energy, Household, Load
from ami_meter_sim.objects import timed
from ami_meter_sim.objects.communication import Communication
from ami_meter_sim.objects.cosem_object import CosemObject, Refused
from ami_meter_sim.objects.memory import History, HistoryInMemory, Kept, KeptInMemory
from ami_meter_sim.objects.monitoring import written
from ami_meter_sim.objects.recording import DATA, Notice, bits, data_written
from ami_meter_sim.objects.switch import ControlState, Move, Switch
from ami_meter_sim.population.row import Row, row_in_memory
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

    `moves`: of the switch, that have not been reported yet. `due`: when it has to do something next; None while that is not known, which whatever may change it sets. `notice` hears of everything
    that happens, alarms included, for who pushes it.
    """

    identity: Identity
    model: Model
    clock: MeterClock
    energy: Energy
    row: Row = field(default_factory=row_in_memory)
    rows: Callable[[ObjectDescription], Rows]
    receive_counter: ReceiveCounter | None = None
    logical_devices: tuple[tuple[int, bytes], ...] = ()
    due: timed.Due | None = None
    moves: list[Move] = field(default_factory=list)
    notice: Callable[[Notice], None] = _unheard
    kept: Kept = field(default_factory=KeptInMemory)
    history: History = field(default_factory=HistoryInMemory)
    communication: Communication = field(default_factory=Communication)
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
        before = bits(self, obis) if class_id == DATA else 0
        found.write(attribute_id, value)
        if class_id == DATA:
            data_written(self, obis, before)
        written(self, class_id, obis, attribute_id, value)

    @property
    def switch(self) -> Switch:
        return Switch(self.row.control_mode, ControlState(self.row.control_state))

    @switch.setter
    def switch(self, after: Switch) -> None:
        if after.output_state is not self.switch.output_state:
            self._supplied(after.output_state)
        self.row.control_mode, self.row.control_state = after.control_mode, after.control_state

    def _supplied(self, connected: bool) -> None:
        """The supply comes back or goes, at this instant: what would have flowed in the meantime is lost."""
        second = int(self.clock.at.timestamp())
        if connected:
            self._lose(self.row.off_since, second)
        self.row.off_since = 0 if connected else second

    def was_off(self, since: int, until: int) -> None:
        """The meter had no power between these seconds."""
        if not self.row.off_since:
            self._lose(since, until)
        self.profile_status |= POWER_DOWN
        self.energy = energy_of(self.row, self.energy.household, self.clock.at)

    def install(self, second: int) -> None:
        """A new meter: its registers show what they were installed with."""
        for flow, name in self._flows():
            setattr(self.row, name, flow.energy_ws_at(second))
        self.energy = energy_of(self.row, self.energy.household, self.clock.at)

    def _lose(self, since: int, until: int) -> None:
        """Nothing flowed between these seconds."""
        for flow, name in self._flows():
            lost = flow.energy_ws_at(until) - flow.energy_ws_at(since)
            setattr(self.row, name, getattr(self.row, name) + lost)

    def _flows(self) -> tuple[tuple[Load, str], tuple[Load, str]]:
        """What flows in each direction, and where the row has what did not flow."""
        house = self.energy.household
        return (house.consumption, "lost_import_ws"), (house.generation, "lost_export_ws")

    @property
    def event_code(self) -> int:
        return self.row.event_code

    @event_code.setter
    def event_code(self, code: int) -> None:
        self.row.event_code = code

    @property
    def profile_status(self) -> int:
        return self.row.profile_status

    @profile_status.setter
    def profile_status(self, status: int) -> None:
        self.row.profile_status = status

    def settle(self) -> None:
        """Count the energy up to the clock's instant, with the switch as it stands."""
        self.energy.settle(self.clock.at, self.switch.output_state and timed.off_since(self) is None)

    @property
    def import_power_w(self) -> int:
        return self.energy.household.consumption.power_w(self.clock.at) if self.switch.output_state else 0

    @property
    def export_power_w(self) -> int:
        return self.energy.household.generation.power_w(self.clock.at) if self.switch.output_state else 0

    def clock_changed(self) -> None:
        """Mark the running capture period; what is due by the clock is due at another instant."""
        self.due = None
        self.profile_status |= CLOCK_ADJUSTED


def energy_of(row: Row, house: Household, at: datetime) -> Energy:
    """The registers: what flowed since ever, without what the row says did not flow."""
    second = row.off_since or int(at.timestamp())
    return Energy(
        house,
        house.installed_import_ws + house.consumption.energy_ws_at(second) - row.lost_import_ws,
        house.installed_export_ws + house.generation.energy_ws_at(second) - row.lost_export_ws,
        at,
    )
