"""The inside of one meter, as far as its objects need it: identity, clock, energy, switch, logs.

Strategy: what changes lies in the meter's row, which is the only copy, and the objects read and change it here; the meter moves
`clock.at`. The objects themselves are made when they are first asked for, so a meter that is not read has none.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from ami_dlms.data import Data
from ami_dlms.enums import DataAccessResult
from ami_dlms.frozen import frozen
from ami_dlms.obis import Obis
from ami_dlms.security import ReceiveCounter
from ami_meter_sim.clock import MeterClock
from ami_meter_sim.load.houses import House
from ami_meter_sim.load.network import GridConnection
from ami_meter_sim.objects import timed
from ami_meter_sim.objects.communication import Communication
from ami_meter_sim.objects.cosem_object import AccessRefused, CosemObject
from ami_meter_sim.objects.interruptions import Stopped, Totals
from ami_meter_sim.objects.memory import History, HistoryInMemory, Kept, KeptInMemory, Record, RecordKind
from ami_meter_sim.objects.metering import Flowed, Metering
from ami_meter_sim.objects.monitoring import written
from ami_meter_sim.objects.recording import DATA, Notice, bits, data_written, record
from ami_meter_sim.objects.switch import ControlState, Move, Switch
from ami_meter_sim.objects.voltage_supervision import VoltageSupervision, logs_disturbances
from ami_meter_sim.population.row import Row, row_in_memory
from ami_packs.event_list import Occurrence
from ami_packs.model import Model, ObjectDescription


@lru_cache(maxsize=256)
def measures_three_phases(model: Model) -> bool:
    """Whether one of its values is that of L3."""
    return any("_l3_" in one.value for one in model.objects.values())


@frozen
class Identity:
    """Who the meter says it is."""

    name: str
    logical_device_name: bytes
    device_id: bytes
    system_title: bytes | None = None


def _unheard(_device: "Device", _notice: Notice) -> None:
    """Pushes are dropped."""


@dataclass(slots=True, kw_only=True)
class Device:
    """One meter's inside.

    `moves`: of the switch, that have not been reported yet. `due`: when it has to do something next; None while that is not known, which whatever may change it sets. `notice` hears of everything
    that happens, alarms included, for who pushes it.
    """

    identity: Identity
    model: Model
    clock: MeterClock
    behind: Callable[[], House]
    """Draws the house behind it, which not every dialogue asks for."""
    connected: Callable[[], GridConnection]
    """The same of its place in the network."""
    row: Row = field(default_factory=row_in_memory)
    receive_counter: ReceiveCounter | None = None
    second_receive_counter: ReceiveCounter | None = None
    """Of the second security setup."""
    logical_devices: tuple[tuple[int, bytes], ...] = ()
    due: timed.Due | None = None
    stopped: "tuple[int, Stopped] | None" = None
    """When nothing flowed, and of which version of the history that is so."""
    totals: dict[str, Totals] = field(default_factory=dict)
    """Energies at the changes of the tariff, by flow."""
    flowed: Flowed = field(default_factory=Flowed)
    """Energies at single seconds, without any interruption."""
    moves: list[Move] = field(default_factory=list)
    notice: Callable[["Device", Notice], None] = _unheard
    kept: Kept = field(default_factory=KeptInMemory)
    history: History = field(default_factory=HistoryInMemory)
    communication: Communication = field(default_factory=Communication)
    built: dict[tuple[int, Obis], CosemObject] = field(default_factory=dict)
    build: Callable[[ObjectDescription, "Device"], CosemObject]

    @property
    def supervision(self) -> tuple[timed.Timed, ...]:
        """What it watches besides what its objects do."""
        return (VoltageSupervision(self),) if logs_disturbances(self.model) else ()

    def find(self, class_id: int, obis: Obis) -> CosemObject | None:
        """The object of this class and name, made now if need be; None if the model has none."""
        key = (class_id, obis)
        found = self.built.get(key)
        if found is None and (described := self.model.objects.get(key)) is not None:
            found = self.build(described, self)
            self.built[key] = found
        return found

    def write(self, class_id: int, obis: Obis, attribute_id: int, value: Data) -> None:
        """Write an attribute, for a client or a script, and let the monitors see it; AccessRefused with the reason why not."""
        found = self.find(class_id, obis)
        if found is None:
            raise AccessRefused(DataAccessResult.OBJECT_UNDEFINED)
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
        self.row.control_mode, self.row.control_state = after.control_mode, after.control_state

    @property
    def house(self) -> House:
        """What is behind it."""
        return self.behind()

    @property
    def connection(self) -> GridConnection:
        """Where it is connected to the network."""
        return self.connected()

    @property
    def metering(self) -> Metering:
        """What it measures, as things are now."""
        return Metering(self)

    @property
    def three_phases(self) -> bool:
        """Whether its model measures three phases: one of its values is that of L3."""
        return measures_three_phases(self.model)

    @property
    def event_code(self) -> int:
        return self.row.event_code

    @event_code.setter
    def event_code(self, code: int) -> None:
        self.row.event_code = code

    def end_billing_period(self) -> None:
        """A script, or a hand at the button for that, ends the billing period now; rows and maxima follow from the record."""
        self.history.happened(Record(self.clock.at, RecordKind.BILLING))
        record(self, Occurrence.BILLING_RESET)

    def clock_changed(self) -> None:
        """What is due by the clock is due at another instant."""
        self.due = None
