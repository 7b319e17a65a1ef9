"""What happens in a meter becomes an event: a row in its log, the event code, alarm bits, and a notice to who pushes alarms.

Strategy: one function for all of it, `record`, at the instant that the meter's clock shows: everything that follows from one
occurrence has one time stamp. A row is captured whole and kept as the record's detail, so a log is nothing but its records.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ami_dlms import data
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.data import Data
from ami_dlms.enums import DataTag
from ami_dlms.obis import Obis
from ami_meter_sim.objects.memory import Record, RecordKind
from ami_meter_sim.objects.monitoring import value_changed
from ami_packs.event_list import AlarmBit, LoggedEvent, Occurrence
from ami_packs.model import ObjectDescription

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

DATA = 1
PROFILE_GENERIC = 7
VALUE = 2
EVENT_CODES = bytes((96, 11))
"""Value groups C and D of the objects that show the last event of a log."""
CLEARED = 255
"""The event that a log has as its first entry after it was cleared."""
FILTER_E = 10
DESCRIPTOR_E = 20
LARGEST_CODE = 0xFF
"""Of an event code that is an unsigned."""
HIGHEST, EVERYTHING = 2**32 - 1, 2**128 - 1
"""Of a number, and of the longest status word."""
"""Where filter and descriptor of an alarm register are: value group E plus this."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something has happened to a meter. `alarms`: bits of a descriptor that were not set before, by its name."""

    at: datetime
    occurrence: Occurrence
    alarms: tuple[tuple[Obis, int], ...] = ()


def record(device: "Device", occurrence: Occurrence) -> None:
    """Something has happened: log it, as the model's event list says, and raise its alarms."""
    raised = tuple([one for event in device.model.events.of(occurrence) for one in _enter(device, event)])
    device.notice(device, Notice(device.clock.at, occurrence, raised))


def has_occurred(device: "Device", occurrence: Occurrence, since: datetime) -> bool:
    """Whether an occurrence has been logged since then."""
    return any(
        one.number == event.number
        for event in device.model.events.of(occurrence)
        for one in device.history.records(RecordKind.EVENT, since, source=event.log)
    )


def record_number(device: "Device", log: Obis, number: int, occurrence: Occurrence) -> None:
    """The same for an event whose log and number an object of the model names itself."""
    raised = tuple(_enter(device, device.model.events.of_number(log, number)))
    device.notice(device, Notice(device.clock.at, occurrence, raised))


def record_cleared(device: "Device", profile: Obis) -> None:
    """A profile was cleared; that of a log is the first entry of the log itself."""
    logs = {one.log for events in device.model.events.events.values() for one in events}
    if profile in logs:
        record_number(device, profile, CLEARED, Occurrence.LOG_CLEARED)
    else:
        record(device, Occurrence.PROFILE_CLEARED)


def _enter(device: "Device", event: LoggedEvent) -> Iterator[tuple[Obis, int]]:
    log = device.model.objects.get((PROFILE_GENERIC, event.log))
    if log is not None:
        _log(device, event, log)
    if event.alarm is not None and (DATA, event.alarm.register) in device.model.objects:
        yield from _raise(device, event.alarm)


def _log(device: "Device", event: LoggedEvent, log: ObjectDescription) -> None:
    device.event_code = min(event.number, LARGEST_CODE)
    for one in filter(_is_event_code, log.columns):
        device.kept.put(DATA, one.logical_name, VALUE, _code(device, one.logical_name, event.number))
    row = data.encode(data.structure(*(_cell(device, one) for one in log.columns)))
    device.history.happened(Record(device.clock.at, RecordKind.EVENT, event.log, event.number, row))
    device.history.forget(RecordKind.EVENT, event.log, log.profile_entries)


def _code(device: "Device", name: Obis, number: int) -> Data:
    """In the type that the model gives the object; of most meters an unsigned."""
    described = device.model.objects.get((DATA, name))
    is_long = number > LARGEST_CODE or (described is not None and described.options.get("type") == "long-unsigned")
    return data.long_unsigned(number) if is_long else data.unsigned(number)


def _is_event_code(column: CaptureObject) -> bool:
    return column.class_id == DATA and column.logical_name[2:4] == EVENT_CODES


def _cell(device: "Device", column: CaptureObject) -> Data:
    found = device.find(column.class_id, column.logical_name)
    return data.null() if found is None else found.read(column.attribute_index)


def _raise(device: "Device", alarm: AlarmBit) -> Iterator[tuple[Obis, int]]:
    """Set the bit in the register, and in the descriptor as far as the filter lets it through."""
    bit = 1 << alarm.bit
    before_it = bits(device, alarm.register)
    put_bits(device, alarm.register, before_it | bit)
    descriptor = beside(alarm.register, DESCRIPTOR_E)
    passed = bits(device, filter_of(device, alarm.register), everything=True) & bit
    has_descriptor = (DATA, descriptor) in device.model.objects
    shown = descriptor if has_descriptor else alarm.register
    before = bits(device, descriptor) if has_descriptor else before_it
    if passed and not before & bit:
        if has_descriptor:
            put_bits(device, descriptor, before | bit)
        yield shown, bit
        value_changed(device, DATA, shown)


def filter_of(device: "Device", register: Obis) -> Obis:
    """The one that the model names, or the one beside it."""
    described = device.model.objects.get((DATA, register))
    named = "" if described is None else described.options.get("filter", "")
    return Obis.parse(str(named)) if named else beside(register, FILTER_E)


def beside(register: Obis, e: int) -> Obis:
    """The object whose value group E is so much higher."""
    octets = bytearray(bytes(register))
    octets[4] += e
    return Obis(bytes(octets))


def data_written(device: "Device", obis: Obis, before: int) -> None:
    """An object of class 1 that had these bits was written: an alarm register may have none left."""
    registers = {one.alarm.register for events in device.model.events.events.values() for one in events if one.alarm}
    if before and obis in registers and not bits(device, obis):
        record(device, Occurrence.ALARM_REGISTER_CLEARED)


def bits(device: "Device", obis: Obis, everything: bool = False) -> int:
    """The bits of an alarm object; an object that the model does not have has none, or all."""
    kept = device.kept.get(DATA, obis, VALUE) or _first(device, obis)
    if kept is not None and kept.tag is DataTag.BIT_STRING:
        return sum(1 << place for place, is_set in enumerate(kept.value) if is_set)
    if kept is None or not isinstance(kept.value, int):
        return EVERYTHING if everything else 0
    return kept.value


def _first(device: "Device", obis: Obis) -> Data | None:
    """What the model says of it."""
    described = device.model.objects.get((DATA, obis))
    return None if described is None else described.attributes.get(VALUE)


def put_bits(device: "Device", obis: Obis, value: int) -> None:
    """Keep the bits of an alarm object: a number, or a bit-string whose first bit is bit 0."""
    first = _first(device, obis)
    kept = data.double_long_unsigned(value & HIGHEST)
    if first is not None and first.tag is DataTag.BIT_STRING:
        kept = data.bit_string(tuple([bool(value >> place & 1) for place in range(len(first.value))]))
    device.kept.put(DATA, obis, VALUE, kept)
