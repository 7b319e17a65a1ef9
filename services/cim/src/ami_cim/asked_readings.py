"""What a get of MeterReadings asks for, whichever way it says so.

Beside the query profile there is an older get without one: IDs in the Request name devices, usage points and reading types. In both
the Request may have StartTime and EndTime."""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from ami_cim.errors import InvalidMessage
from ami_cim.identity import EndDevice, Identified, Identifier, Name, UsagePoint, is_uuid
from ami_cim.message import RequestMessage
from ami_cim.payloads.get_meter_readings import AskedSchedule, GetMeterReadings
from ami_cim.periods import Period

_OBJECT_TYPES: Final = {
    "enddevice": "end_devices",
    "meter": "end_devices",
    "enddevicegroup": "end_device_groups",
    "usagepoint": "usage_points",
    "usagepointgroup": "usage_point_groups",
    "readingtype": "reading_types",
}
"""ID@objectType in lower case, and the list of the profile that it belongs to."""
_KINDS: Final = {"end_devices": EndDevice, "usage_points": UsagePoint}
_CODE = re.compile(r"(?:-?\d{1,9}\.){17}-?\d{1,9}", re.ASCII)


def asked_readings(message: RequestMessage) -> GetMeterReadings | None:
    """The query, with the period of the Request where it has one of its own; None if the message asks for nothing.

    InvalidMessage 2.15 for an ID of something that is not read, 1.6 for a profile and IDs side by side."""
    query = message.query
    if query is None and message.request_identifiers:
        query = _older_query(message.request_identifiers)
    elif message.request_identifiers:
        raise InvalidMessage("1.6", "A Request holds GetMeterReadings or IDs, not both")
    if not isinstance(query, GetMeterReadings):
        return None
    if message.start_at is None and message.end_at is None:
        return query
    period = AskedSchedule(Period(start=message.start_at, end=message.end_at))
    return replace(query, schedules=(*query.schedules, period))


def _older_query(identifiers: Iterable[Identifier]) -> GetMeterReadings:
    found: dict[str, tuple[object, ...]] = {}
    for one in identifiers:
        place = _place(one)
        kind = _KINDS.get(place, Identified)
        by_name = one.kind == "name" or (one.kind != "uuid" and place != "reading_types" and not is_uuid(one.value))
        thing = kind(names=(Name(name=one.value),)) if by_name else kind(mrid=one.value)
        found[place] = (*found.get(place, ()), thing)
    return GetMeterReadings(**found)  # type: ignore[arg-type]


def _place(one: Identifier) -> str:
    if one.object_type is None:
        return "reading_types" if _CODE.fullmatch(one.value) else "end_devices"
    place = _OBJECT_TYPES.get(one.object_type.lower())
    if place is None:
        raise InvalidMessage("2.15", "An ID of the Request is of something that has no readings", one.object_type[:80])
    return place
