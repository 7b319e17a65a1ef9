"""Which events a model puts into which log under which number, and which alarm bits they raise: data of a model.

Strategy: what happens in a meter has a name of ours (`Occurrence`), whatever a companion standard calls it; an event list says under which
number it is logged. A name that a list does not have is not logged.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique

from ami_dlms.obis import Obis


@unique
class Occurrence(StrEnum):
    """What can happen to a meter; the words stand in model files."""

    POWER_DOWN = "power_down"
    POWER_UP = "power_up"
    LONG_POWER_FAILURE = "long_power_failure"
    DAYLIGHT_SAVING_CHANGED = "daylight_saving_changed"
    CLOCK_ADJUSTED_OLD = "clock_adjusted_old"
    CLOCK_ADJUSTED_NEW = "clock_adjusted_new"
    CLOCK_INVALID = "clock_invalid"
    REPLACE_BATTERY = "replace_battery"
    BATTERY_LOW = "battery_low"
    CALENDAR_ACTIVATED = "calendar_activated"
    CALENDAR_WRITTEN = "calendar_written"
    ERROR_REGISTER_CLEARED = "error_register_cleared"
    ALARM_REGISTER_CLEARED = "alarm_register_cleared"
    WATCHDOG_RESET = "watchdog_reset"
    MEASUREMENT_ERROR = "measurement_error"
    MEMORY_ERROR = "memory_error"
    PARAMETERS_CHANGED = "parameters_changed"
    PROFILE_CLEARED = "profile_cleared"
    LOG_CLEARED = "log_cleared"
    BILLING_RESET = "billing_reset"
    IMAGE_VERIFIED = "image_verified"
    IMAGE_VERIFICATION_FAILED = "image_verification_failed"
    IMAGE_ACTIVATED = "image_activated"
    IMAGE_ACTIVATION_FAILED = "image_activation_failed"
    TERMINAL_COVER_OPENED = "terminal_cover_opened"
    TERMINAL_COVER_CLOSED = "terminal_cover_closed"
    METER_COVER_OPENED = "meter_cover_opened"
    METER_COVER_CLOSED = "meter_cover_closed"
    MAGNET_ON = "magnet_on"
    MAGNET_OFF = "magnet_off"
    AUTHENTICATION_FAILED = "authentication_failed"
    DECRYPTION_FAILED = "decryption_failed"
    REPLAY = "replay"
    CURRENT_REVERSED = "current_reversed"
    PHASE_SEQUENCE_REVERSED = "phase_sequence_reversed"
    NEUTRAL_MISSING = "neutral_missing"
    UNEXPECTED_CONSUMPTION = "unexpected_consumption"
    KEYS_CHANGED = "keys_changed"
    SECURITY_CHANGED = "security_changed"
    SIGNATURE_INVALID = "signature_invalid"
    PORT_LOCKED = "port_locked"
    READY_FOR_RECONNECTION = "ready_for_reconnection"
    MANUAL_DISCONNECT = "manual_disconnect"
    MANUAL_RECONNECT = "manual_reconnect"
    REMOTE_DISCONNECT = "remote_disconnect"
    REMOTE_RECONNECT = "remote_reconnect"
    LOCAL_DISCONNECT = "local_disconnect"
    LOCAL_RECONNECT = "local_reconnect"
    SWITCH_FAILED = "switch_failed"
    LIMITER_EXCEEDED = "limiter_exceeded"
    LIMITER_OK = "limiter_ok"
    LIMITER_CHANGED = "limiter_changed"
    EMERGENCY_ON = "emergency_on"
    EMERGENCY_OFF = "emergency_off"
    UNDERVOLTAGE_L1 = "undervoltage_l1"
    UNDERVOLTAGE_L2 = "undervoltage_l2"
    UNDERVOLTAGE_L3 = "undervoltage_l3"
    OVERVOLTAGE_L1 = "overvoltage_l1"
    OVERVOLTAGE_L2 = "overvoltage_l2"
    OVERVOLTAGE_L3 = "overvoltage_l3"
    VOLTAGE_MISSING_L1 = "voltage_missing_l1"
    VOLTAGE_MISSING_L2 = "voltage_missing_l2"
    VOLTAGE_MISSING_L3 = "voltage_missing_l3"
    VOLTAGE_NORMAL_L1 = "voltage_normal_l1"
    VOLTAGE_NORMAL_L2 = "voltage_normal_l2"
    VOLTAGE_NORMAL_L3 = "voltage_normal_l3"
    ASYMMETRY = "asymmetry"
    NO_COMMUNICATION = "no_communication"
    MODEM_RESET = "modem_reset"
    SIGNAL_LOW = "signal_low"
    LOCAL_COMMUNICATION = "local_communication"
    SESSION_OPENED = "session_opened"
    SESSION_CLOSED = "session_closed"


@dataclass(frozen=True, slots=True)
class AlarmBit:
    """A bit of an alarm register, the lowest being 0; filter and descriptor have the same bit."""

    register: Obis
    bit: int


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One event of a list: where it is logged, under which number, and which alarm it raises."""

    log: Obis
    number: int
    alarm: AlarmBit | None = None
    meaning: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class EventList:
    """The events of a model by what happens; one occurrence may go into several logs."""

    events: Mapping[Occurrence, tuple[LoggedEvent, ...]] = field(default_factory=dict)

    def of(self, occurrence: Occurrence) -> tuple[LoggedEvent, ...]:
        """Where an occurrence is logged."""
        return self.events.get(occurrence, ())

    def of_number(self, log: Obis, number: int) -> LoggedEvent:
        """The event of this number in this log; without an alarm when the list does not have it."""
        for events in self.events.values():
            for one in events:
                if (one.log, one.number) == (log, number):
                    return one
        return LoggedEvent(log, number)


NO_EVENTS = EventList()


def event_list(rows: Iterable[tuple[str, LoggedEvent]]) -> EventList:
    """The list of these events; ValueError for an occurrence that is not known."""
    found: dict[Occurrence, tuple[LoggedEvent, ...]] = {}
    for name, event in rows:
        occurrence = Occurrence(name)
        found[occurrence] = (*found.get(occurrence, ()), event)
    return EventList(found)
