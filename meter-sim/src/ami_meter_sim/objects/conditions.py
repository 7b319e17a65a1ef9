"""What is done to a meter from outside: covers, magnets, batteries, phases, a hand on its button, and power that goes and comes back.

Strategy: functions on a meter's inside at the instant that its clock shows, for what plays the world around it. A condition is there
or not, and only its change is an event; which ones are there is kept, and so is the instant at which power went.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum, unique
from typing import TYPE_CHECKING, NamedTuple

from ami_dlms import data
from ami_dlms.data import Data
from ami_meter_sim.objects import timed
from ami_meter_sim.objects.clock import invalidate
from ami_meter_sim.objects.disconnect_control import DisconnectControl
from ami_meter_sim.objects.memory import Record, RecordKind
from ami_meter_sim.objects.recording import Notice, record
from ami_meter_sim.objects.switch import ControlState, Trigger
from ami_packs.event_list import Occurrence

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

CONDITIONS = -1
"""Which conditions are there, a bit for each in their order; kept by the meter itself, as `timed.OFF_SINCE` is."""
KEPT_AT = (0, bytes(timed.METER), CONDITIONS)
"""Where they lie in the store."""
LONG_FAILURE = timedelta(minutes=3)
CLOCK_RESERVE = timedelta(days=7)
"""How long the clock goes on without power; after that it is invalid until it is set."""


class Signs(NamedTuple):
    """What happens when a condition begins, and when it ends."""

    begins: Occurrence
    ends: Occurrence | None = None


@unique
class Condition(StrEnum):
    """What can be wrong at a meter. Their order is on disk: a new one comes last."""

    TERMINAL_COVER = "terminal_cover"
    METER_COVER = "meter_cover"
    MAGNET = "magnet"
    BATTERY_LOW = "battery_low"
    CURRENT_REVERSED = "current_reversed"
    PHASE_SEQUENCE = "phase_sequence"
    NEUTRAL_MISSING = "neutral_missing"
    ASYMMETRY = "asymmetry"
    UNDERVOLTAGE_L1 = "undervoltage_l1"
    UNDERVOLTAGE_L2 = "undervoltage_l2"
    UNDERVOLTAGE_L3 = "undervoltage_l3"
    OVERVOLTAGE_L1 = "overvoltage_l1"
    OVERVOLTAGE_L2 = "overvoltage_l2"
    OVERVOLTAGE_L3 = "overvoltage_l3"
    VOLTAGE_MISSING_L1 = "voltage_missing_l1"
    VOLTAGE_MISSING_L2 = "voltage_missing_l2"
    VOLTAGE_MISSING_L3 = "voltage_missing_l3"
    SIGNAL_LOW = "signal_low"


SIGNS: Mapping[Condition, Signs] = {
    Condition.TERMINAL_COVER: Signs(Occurrence.TERMINAL_COVER_OPENED, Occurrence.TERMINAL_COVER_CLOSED),
    Condition.METER_COVER: Signs(Occurrence.METER_COVER_OPENED, Occurrence.METER_COVER_CLOSED),
    Condition.MAGNET: Signs(Occurrence.MAGNET_ON, Occurrence.MAGNET_OFF),
    Condition.BATTERY_LOW: Signs(Occurrence.BATTERY_LOW),
    Condition.CURRENT_REVERSED: Signs(Occurrence.CURRENT_REVERSED),
    Condition.PHASE_SEQUENCE: Signs(Occurrence.PHASE_SEQUENCE_REVERSED),
    Condition.NEUTRAL_MISSING: Signs(Occurrence.NEUTRAL_MISSING),
    Condition.ASYMMETRY: Signs(Occurrence.ASYMMETRY),
    Condition.UNDERVOLTAGE_L1: Signs(Occurrence.UNDERVOLTAGE_L1, Occurrence.VOLTAGE_NORMAL_L1),
    Condition.UNDERVOLTAGE_L2: Signs(Occurrence.UNDERVOLTAGE_L2, Occurrence.VOLTAGE_NORMAL_L2),
    Condition.UNDERVOLTAGE_L3: Signs(Occurrence.UNDERVOLTAGE_L3, Occurrence.VOLTAGE_NORMAL_L3),
    Condition.OVERVOLTAGE_L1: Signs(Occurrence.OVERVOLTAGE_L1, Occurrence.VOLTAGE_NORMAL_L1),
    Condition.OVERVOLTAGE_L2: Signs(Occurrence.OVERVOLTAGE_L2, Occurrence.VOLTAGE_NORMAL_L2),
    Condition.OVERVOLTAGE_L3: Signs(Occurrence.OVERVOLTAGE_L3, Occurrence.VOLTAGE_NORMAL_L3),
    Condition.VOLTAGE_MISSING_L1: Signs(Occurrence.VOLTAGE_MISSING_L1, Occurrence.VOLTAGE_NORMAL_L1),
    Condition.VOLTAGE_MISSING_L2: Signs(Occurrence.VOLTAGE_MISSING_L2, Occurrence.VOLTAGE_NORMAL_L2),
    Condition.VOLTAGE_MISSING_L3: Signs(Occurrence.VOLTAGE_MISSING_L3, Occurrence.VOLTAGE_NORMAL_L3),
    Condition.SIGNAL_LOW: Signs(Occurrence.SIGNAL_LOW),
}


CONDITION_BITS: Mapping[Condition, int] = {one: 1 << number for number, one in enumerate(Condition)}
UNDERVOLTAGE = Condition.UNDERVOLTAGE_L1, Condition.UNDERVOLTAGE_L2, Condition.UNDERVOLTAGE_L3
OVERVOLTAGE = Condition.OVERVOLTAGE_L1, Condition.OVERVOLTAGE_L2, Condition.OVERVOLTAGE_L3
VOLTAGE_MISSING = Condition.VOLTAGE_MISSING_L1, Condition.VOLTAGE_MISSING_L2, Condition.VOLTAGE_MISSING_L3
OF_NETWORK = frozenset((Condition.NEUTRAL_MISSING, *UNDERVOLTAGE, *OVERVOLTAGE, *VOLTAGE_MISSING))
"""What decides voltages and energies, now and in the past."""


def conditions_of(mask: int) -> frozenset[Condition]:
    """Those whose bits are set."""
    return frozenset(one for one, bit in CONDITION_BITS.items() if mask & bit)


def conditions(device: "Device") -> frozenset[Condition]:
    """What is wrong at a meter now."""
    return read(device.kept.get(0, timed.METER, CONDITIONS))


def read(kept: Data | None) -> frozenset[Condition]:
    """What the kept value says."""
    mask: int = 0 if kept is None else kept.value
    return conditions_of(mask)


def end_all(device: "Device") -> frozenset[Condition]:
    """Let everything that is wrong end, which a meter without power does not notice; what it was."""
    found = conditions(device)
    for one in sorted(found):
        set_condition(device, one, there=False)
    _keep(device, frozenset())
    return found


def set_condition(device: "Device", condition: Condition, there: bool) -> bool:
    """Let a condition begin or end; False if it was so already. A meter without power notices nothing."""
    before = conditions(device)
    if there == (condition in before) or timed.off_since(device) is not None:
        return False
    after = before | {condition} if there else before - {condition}
    _keep(device, after)
    sign = SIGNS[condition].begins if there else SIGNS[condition].ends
    if sign is not None:
        record(device, sign)
    return True


def _keep(device: "Device", after: frozenset[Condition]) -> None:
    before, mask = conditions(device), _mask(after)
    device.kept.put(0, timed.METER, CONDITIONS, data.double_long_unsigned(mask) if mask else None)
    if (before ^ after) & OF_NETWORK:
        device.history.happened(Record(device.clock.at, RecordKind.CONDITIONS, number=_mask(after & OF_NETWORK)))


def _mask(found: frozenset[Condition]) -> int:
    return sum(CONDITION_BITS[one] for one in found)


def add_load(device: "Device", watts: int) -> None:
    """So much flows from here on in addition to what is behind the meter, in place of what did so before; below 0 it is fed in."""
    device.history.happened(Record(device.clock.at, RecordKind.LOAD, number=watts))
    device.due = None


def press_button(device: "Device") -> bool:
    """A hand at the meter: closes a switch that is ready for reconnection, opens a closed one; False where the mode forbids it."""
    trigger = {
        ControlState.READY_FOR_RECONNECTION: Trigger.MANUAL_RECONNECT,
        ControlState.CONNECTED: Trigger.MANUAL_DISCONNECT,
    }.get(device.switch.control_state)
    found = [device.find(*key) for key in device.model.objects if key[0] == DisconnectControl.class_id]
    switches = [one for one in found if isinstance(one, DisconnectControl)]
    if trigger is None or not switches or timed.off_since(device) is not None:
        return False
    before = device.switch
    return switches[0].pull(trigger) and device.switch != before


def press_billing_button(device: "Device") -> bool:
    """A hand at the meter ends the billing period; False for a meter that has none, or no power."""
    bills = any(one.options.get("months") is True for one in device.model.profiles)
    if not bills or timed.off_since(device) is not None:
        return False
    device.end_billing_period()
    return True


def power_down(device: "Device") -> bool:
    """Power goes; False if it was gone already."""
    if timed.off_since(device) is not None:
        return False
    _note_power_down(device)
    _keep_off_since(device, data.double_long_unsigned(int(device.clock.at.timestamp())))
    return True


def _note_power_down(device: "Device") -> None:
    record(device, Occurrence.POWER_DOWN)
    device.history.happened(Record(device.clock.at, RecordKind.POWER_DOWN))


def was_off(device: "Device", since: datetime, until: datetime) -> None:
    """Power was gone between two instants, which is found out at the second: noted, caught up on, and no gasp of it leaves any more."""
    notice, device.notice = device.notice, _unheard
    device.clock.at = since
    _note_power_down(device)
    device.clock.at = max(since, until)
    _come_back(device, since)
    device.notice = notice


def _unheard(_device: "Device", _notice: Notice) -> None:
    """For what is past."""


def power_up(device: "Device") -> bool:
    """Power is back, and the meter catches up on what it has to do; False if it was there."""
    since = timed.off_since(device)
    if since is None:
        return False
    _keep_off_since(device, None)
    _come_back(device, since)
    return True


def _come_back(device: "Device", since: datetime) -> None:
    """Everything that a meter does when its power is back after this instant."""
    device.due = None
    at = device.clock.at
    device.history.happened(Record(at, RecordKind.POWER_UP))
    if at - since > CLOCK_RESERVE:
        invalidate(device)
    record(device, Occurrence.POWER_UP)
    if at - since >= LONG_FAILURE:
        record(device, Occurrence.LONG_POWER_FAILURE)
    timed.powered_up(device, since)


def _keep_off_since(device: "Device", value: Data | None) -> None:
    device.kept.put(0, timed.METER, timed.OFF_SINCE, value)
    device.due = None
