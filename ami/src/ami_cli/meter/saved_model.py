"""A scan as a meter model that meter-sim can serve (`[meters.simulated] model = "FILE.toml"`).

What meter-sim brings to life stays alive: clock, disconnect control, security setup, SAP assignment, the association that
asks, profiles (which begin with the scanned rows), and the few values that make a meter who it is. Everything else is
served as it was scanned, with the rights, and the refusals, of the meter that was asked.
"""

from dataclasses import replace
from typing import Any

import tomli_w

from ami_cli.meter.objects import AttributeRight, ListedObject
from ami_cli.meter.options import ASSOCIATION_LN, MeterTarget
from ami_cli.meter.reading import BUFFER, HIDDEN, PROFILE_GENERIC, AttributeReading
from ami_cli.meter.scan import DeviceScan
from ami_dlms import data
from ami_dlms.association.client.session import PUBLIC_CLIENT
from ami_dlms.cosem.classes import class_name
from ami_dlms.cosem.profile import decode_rows
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.data import Data
from ami_dlms.enums import DataAccessResult, DataTag
from ami_dlms.errors import DecodeError
from ami_dlms.obis import Obis
from ami_packs.document import MAX_TEXT
from ami_packs.model import MANAGEMENT, PUBLIC

DATA = 1
OBJECT_LIST = 2
READ = 1
VALUE = 2
ALIVE = {(8, 0), (17, 0), (64, 0), (70, 0)}
"""Classes and versions whose behaviour meter-sim has, whatever was scanned."""
LOGICAL_DEVICE_NAME = Obis.parse("0-0:42.0.0*255")
DEVICE_ID = Obis.parse("0-0:96.1.0*255")
CAPTURE_OBJECTS, CAPTURE_PERIOD, SORT_METHOD, SORT_OBJECT, PROFILE_ENTRIES = 3, 4, 5, 6, 8
REFUSALS = {one.name.lower().replace("_", "-") for one in DataAccessResult}

HEADING = """\
# A meter model for meter-sim, saved by `ami meter scan --save-model` from {target}.
# Serve it with  [meters.simulated] model = "this file's path"  and the keys, name and address of your choice.
# Attributes are A-XDR in hexadecimal digits and are served as they are; objects without `static = true` are alive.
# To bring a register to life put  value = "import_energy_wh"  in place of static and attributes.

"""
Row = dict[str, Any]


def model_text(device: DeviceScan, target: MeterTarget) -> str:
    """The TOML file."""
    shows_public = device.public is not None or target.identity.client == PUBLIC_CLIENT
    public: list[Row] = [{"name": PUBLIC, "client_wport": PUBLIC_CLIENT}] if shows_public else []
    document = {
        "model": {"title": f"Scanned: {target}"[:MAX_TEXT]},
        "associations": [*public, {"name": MANAGEMENT}],
        "objects": [_object(device, one, target) for one in device.objects],
    }
    return HEADING.format(target=target) + tomli_w.dumps(document)


def _readable(one: ListedObject, target: MeterTarget) -> ListedObject:
    """The list of this object can be read, whatever it says of itself: it was read."""
    if (one.class_id, one.obis) != (ASSOCIATION_LN, target.identity.association_object):
        return one
    right = one.attributes.get(OBJECT_LIST)
    if right is not None and right.readable:
        return one
    return replace(one, attributes={**one.attributes, OBJECT_LIST: AttributeRight(READ)})


def _object(device: DeviceScan, scanned: ListedObject, target: MeterTarget) -> Row:
    one = _readable(scanned, target)
    readings = {reading.descriptor.attribute_id: reading for reading in device.readings_of(one)}
    row: Row = {
        "obis": str(one.obis),
        "class_id": one.class_id,
        "version": one.version,
        "name": class_name(one.class_id),
        "source": "scanned",
    }
    row |= _content(device, one, readings, target)
    row["listed"] = {"attributes": list(one.attributes) or sorted(readings), "methods": list(one.methods)}
    if selectors := {str(number): list(right.selectors) for number, right in one.attributes.items() if right.selectors}:
        row["selectors"] = selectors
    if target.identity.client == PUBLIC_CLIENT:
        return row | {PUBLIC: _rights(one), MANAGEMENT: _rights(one)}
    row[MANAGEMENT] = _rights(one)
    public = [other for other in device.public or () if (other.class_id, other.obis) == (one.class_id, one.obis)]
    return row | ({PUBLIC: _rights(public[0])} if public else {})


def _content(device: DeviceScan, one: ListedObject, readings: dict[int, AttributeReading], target: MeterTarget) -> Row:
    if (one.class_id, one.version) in ALIVE:
        return {}
    if (one.class_id, one.obis) == (ASSOCIATION_LN, target.identity.association_object):
        return _fixed(readings, {number for number in readings if number > 9})
    if one.class_id == DATA and (value := _identity_value(device, one, readings, target)):
        return {"value": value}
    if (one.class_id, one.version) == (PROFILE_GENERIC, 1) and (profile := _profile(readings)) is not None:
        return profile | _fixed(readings, {SORT_METHOD, SORT_OBJECT})
    return {"static": True} | _fixed(readings, set(readings))


def _identity_value(
    device: DeviceScan, one: ListedObject, readings: dict[int, AttributeReading], target: MeterTarget
) -> str:
    """The name of the live value behind an object that says who the meter is; empty for every other."""
    if one.obis[:4] == bytes((0, 0, 43, 1)) or one.obis == target.identity.counter_object:
        return "invocation_counter"
    mine = readings.get(VALUE)
    if mine is None or mine.value is None:
        return ""
    for obis, name in ((LOGICAL_DEVICE_NAME, "logical_device_name"), (DEVICE_ID, "device_id")):
        source = (reading for reading in device.readings if _is_value_of(reading, obis))
        if any(reading.value == mine.value for reading in source):
            return name
    return ""


def _is_value_of(reading: AttributeReading, obis: Obis) -> bool:
    descriptor = reading.descriptor
    return (descriptor.class_id, descriptor.instance_id, descriptor.attribute_id) == (DATA, obis, VALUE)


def _fixed(readings: dict[int, AttributeReading], numbers: set[int]) -> Row:
    attributes, errors = {}, {}
    for number in sorted(numbers & set(readings)):
        reading = readings[number]
        if reading.value is not None:
            attributes[str(number)] = data.encode(reading.value).hex().upper()
        elif reading.error:
            errors[str(number)] = reading.error if reading.error in REFUSALS else "other-reason"
        elif reading.note == HIDDEN:
            errors[str(number)] = "read-write-denied"  # a model holds no secret
    return {name: content for name, content in (("attributes", attributes), ("errors", errors)) if content}


def _profile(readings: dict[int, AttributeReading]) -> Row | None:
    """A profile that captures on, beginning with the scanned rows; None when it can't be understood."""
    captured, period = _value(readings, CAPTURE_OBJECTS), _number(readings, CAPTURE_PERIOD)
    entries = _number(readings, PROFILE_ENTRIES)
    if captured is None or captured.tag is not DataTag.ARRAY or period is None or not entries:
        return None
    try:
        columns = [CaptureObject.decode(column) for column in captured.value]
        buffer = _value(readings, BUFFER)
        rows = () if buffer is None else decode_rows(buffer, columns, period)
    except DecodeError:
        return None
    return {
        "capture_period": period,
        "profile_entries": entries,
        "columns": [
            {
                "class_id": column.class_id,
                "obis": str(column.logical_name),
                "attribute": column.attribute_index,
                "data_index": column.data_index,
            }
            for column in columns
        ],
        "rows": [data.encode(data.structure(*row.values)).hex().upper() for row in rows],
    }


def _value(readings: dict[int, AttributeReading], number: int) -> Data | None:
    reading = readings.get(number)
    return None if reading is None else reading.value


def _number(readings: dict[int, AttributeReading], number: int) -> int | None:
    value = _value(readings, number)
    is_number = value is not None and isinstance(value.value, int) and not isinstance(value.value, bool)
    return int(value.value) if value is not None and is_number else None


def _rights(one: ListedObject) -> Row:
    """read, write and methods; the meter's own codes where these three would not give them again."""
    rights: Row = {
        "read": sorted(number for number, right in one.attributes.items() if right.readable),
        "write": sorted(number for number, right in one.attributes.items() if right.writable),
        "methods": sorted(number for number, right in one.methods.items() if right.callable),
    }
    modes = {str(number): right.mode for number, right in one.attributes.items() if right.mode != _plain_mode(right)}
    method_modes = {str(n): right.mode for n, right in one.methods.items() if right.mode != int(right.callable)}
    return rights | ({"modes": modes} if modes else {}) | ({"method_modes": method_modes} if method_modes else {})


def _plain_mode(right: AttributeRight) -> int:
    return right.readable + 2 * right.writable
