"""What a pushed message says has happened to its meter: alarm bits, entries of logs, last gasps. Pure.

A DataNotification is recognised by the push setup that it names (M-154): its logical name among the values. Anything else, as readings
that are pushed, says nothing of events.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from ami_dlms.apdu.notify import DataNotification, EventNotificationRequest
from ami_dlms.association import Unsolicited
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataTag
from ami_dlms.errors import DlmsError
from ami_dlms.obis import Obis
from ami_hes.end_device_events.made import Told, alarm_event, alarm_name, log_event, made, time_of
from ami_hes.end_device_events.native_names import NativeNames, SetupMeaning, general_names
from ami_hes.meters import Meter
from ami_hes.store import Happened, StoredDeviceEvent
from ami_mapping.alarms import BITS, log_of_code

OBIS_OCTETS, DATE_TIME_OCTETS = 6, 12
DATA_CLASS, VALUE = 1, 2
HIGHEST = 2**BITS - 1
MOST_NUMBER = 0xFFFF
MOST_BITS = 128
"""Of a status word; a longer bit-string is none."""
Bits = tuple[bool, ...]


def happened_in(
    notification: Unsolicited, meter: Meter, received_at: datetime, names: NativeNames | None = None
) -> Happened | None:
    """What of it is to be kept; None for one that says nothing of events. `names` are the general ones if there are none."""
    names = names or general_names()
    match notification:
        case DataNotification(date_time=sent_at, body=body):
            told = Told(meter, time_of(sent_at, received_at), received_at, names)
            return _pushed(told, body)
        case EventNotificationRequest(time=sent_at, descriptor=descriptor, value=value):
            told = Told(meter, time_of(sent_at, received_at), received_at, names)
            if (descriptor.class_id, descriptor.attribute_id) != (DATA_CLASS, VALUE):
                return None
            return _attribute(told, descriptor.instance_id, value)
    return None


def _attribute(told: Told, name: Obis, value: Data) -> Happened | None:
    register, log, number = told.names.register(name), log_of_code(name), _unsigned(value)
    bits = _bits(value)
    if register is not None and bits is not None:
        return _alarms(told, {register: bits})
    if log is not None and number is not None and number <= MOST_NUMBER:
        return _kept(told, [log_event(told, log, number)])
    return None


def _pushed(told: Told, body: Data) -> Happened | None:
    values = body.value if body.tag == DataTag.STRUCTURE and isinstance(body.value, tuple) else ()
    row = next((found for one in values if (found := _setup_of(one, told.names)) is not None), None)
    if row is None:
        return None
    if row.kind == "alarms":
        bits = [one for one in map(_descriptor, values) if one is not None]
        return _alarms(told, dict(zip(row.registers, bits, strict=False)))
    moment = next((at for one in values if (at := _moment(one)) is not None), None)
    if moment is not None:
        told = replace(told, time=time_of(moment, told.received_at))
    details = [("pushSetup", str(row.setup))]
    return _kept(told, [made(told, "push", str(row.setup), row.code, row.text, details)])


def _alarms(told: Told, registers: dict[Obis, Bits]) -> Happened | None:
    """Those that are set, and all others of these registers, which are not."""
    names = [alarm_name(one, bit) for one, bits in registers.items() for bit, is_set in enumerate(bits) if not is_set]
    events = list(_set(told, registers))
    return _kept(told, events, names) if registers else None


def _set(told: Told, registers: dict[Obis, Bits]) -> Iterator[StoredDeviceEvent]:
    for register, bits in registers.items():
        for bit, is_set in enumerate(bits):
            if is_set:
                yield alarm_event(told, register, bit)


def _kept(told: Told, events: Sequence[StoredDeviceEvent], cleared: Sequence[str] = ()) -> Happened:
    return Happened(mrid=told.meter.mrid, at=told.time.at, events=tuple(events), cleared=tuple(cleared))


def _setup_of(value: Data, names: NativeNames) -> SetupMeaning | None:
    octets = value.value
    if value.tag != DataTag.OCTET_STRING or not isinstance(octets, bytes) or len(octets) != OBIS_OCTETS:
        return None
    return names.setups.get(Obis(octets))


def _descriptor(value: Data) -> Bits | None:
    """A double-long-unsigned, as a descriptor is, or a bit-string, as a status word."""
    return _bits(value) if value.tag in (DataTag.DOUBLE_LONG_UNSIGNED, DataTag.BIT_STRING) else None


def _bits(value: Data) -> Bits | None:
    """Of a number the lowest first; of a bit-string as they come."""
    if value.tag == DataTag.BIT_STRING:
        return value.value if len(value.value) <= MOST_BITS else None
    number = _unsigned(value)
    return None if number is None else tuple(bool(number >> bit & 1) for bit in range(BITS))


def _unsigned(value: Data) -> int | None:
    number = value.value
    return number if isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= HIGHEST else None


def _moment(value: Data) -> CosemDateTime | None:
    """The meter's clock among the values."""
    if value.tag == DataTag.DATE_TIME and isinstance(value.value, CosemDateTime):
        return value.value
    octets = value.value
    if value.tag != DataTag.OCTET_STRING or not isinstance(octets, bytes) or len(octets) != DATE_TIME_OCTETS:
        return None
    try:
        return CosemDateTime.decode(octets)
    except DlmsError:
        return None
