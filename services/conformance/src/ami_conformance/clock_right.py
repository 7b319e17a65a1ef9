"""A clock that goes on where it was: what a test has moved is moved back by the time that has gone by since."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from ami_conformance.client import Client
from ami_dlms import data
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataTag
from ami_dlms.errors import DlmsError

SHIFT_TIME, MOST_SHIFTED_S = 6, 900
TOLERANCE_S = 2.0


def date_time(value: Data | None) -> CosemDateTime | None:
    """A date-time as its own type or in 12 octets."""
    if value is None:
        return None
    if isinstance(value.value, CosemDateTime):
        return value.value
    if value.tag is DataTag.OCTET_STRING and len(value.value) == 12:
        return CosemDateTime.decode(value.value)
    return None


def moment(value: Data | None) -> datetime | None:
    """The time in a value, comparable; None where it has none."""
    try:
        found = date_time(value)
        return None if found is None else found.to_datetime(default_deviation=0)
    except DlmsError:
        return None


def set_right(client: Client, clock: AttributeDescriptor, before: Data, gone_s: Callable[[], float]) -> bool:
    """Whether the clock shows what it showed before and the time since: it is set where it does not, and shifted where it takes no SET."""
    then, shown = moment(before), date_time(before)
    if then is None or shown is None:
        return False

    def off() -> float | None:
        now = moment(client.get(clock).value)
        return None if now is None else (now - then).total_seconds() - gone_s()

    def is_right(seconds: float | None) -> bool:
        return seconds is not None and abs(seconds) <= TOLERANCE_S

    if is_right(off()):
        return True
    client.set(clock, data.octet_string(_later(shown, then + timedelta(seconds=gone_s())).encode()))
    seconds = off()
    if seconds is not None and TOLERANCE_S < abs(seconds) <= MOST_SHIFTED_S:
        client.action(MethodDescriptor(8, clock.instance_id, SHIFT_TIME), data.long(round(-seconds)))
        seconds = off()
    return is_right(seconds)


def _later(shown: CosemDateTime, wanted: datetime) -> CosemDateTime:
    """This moment with the deviation and the status that were shown."""
    local = wanted - timedelta(minutes=shown.deviation_minutes or 0)
    return CosemDateTime(
        local.year, local.month, local.day, local.isoweekday(), local.hour, local.minute, local.second, 0,
        shown.deviation_minutes, shown.clock_status,
    )  # fmt: skip
