"""Moments as a meter's clock shows them: local time, with the deviation that it shows (M-145)."""

from collections.abc import Generator
from datetime import datetime, timedelta, timezone
from typing import Any

from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataTag
from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.obis import Obis
from ami_mapping.recipes.steps import Refusal, Step, needed, read, unsuitable

MOST_DEVIATION = 14 * 60
"""Minutes; zones are between UTC-12 and UTC+14."""
TIME = AttributeDescriptor(8, Obis.parse("0-0:1.0.0"), 2)


def deviation_of() -> Generator[Step, Any, int]:
    """Minutes from the clock's local time to UTC; Stopped for a clock that shows none."""
    shown = shown_moment(needed((yield from read(TIME))[0], TIME))
    if shown is None or shown.deviation_minutes is None:
        raise unsuitable("its clock shows no deviation from UTC, so that its local time is not known")
    if abs(shown.deviation_minutes) > MOST_DEVIATION:
        raise unsuitable(
            f"its clock shows a deviation of {shown.deviation_minutes} min from UTC, which is that of no zone"
        )
    return shown.deviation_minutes


def local_octets(moment: datetime, deviation_minutes: int) -> bytes:
    """A date-time in whole seconds, without a status: the meter knows its own. Stopped for a moment beyond the calendar."""
    try:
        local = moment.astimezone(timezone(timedelta(minutes=-deviation_minutes))).replace(microsecond=0)
    except OverflowError:
        raise unsuitable(f"{moment.isoformat()} is no time in its zone") from None
    made = CosemDateTime.from_datetime(local, clock_status=0)
    parts = (made.year, made.month, made.day, made.day_of_week, made.hour, made.minute, made.second, 0)
    return CosemDateTime(*parts, deviation_minutes, None).encode()


def shown_moment(value: Data | Refusal) -> CosemDateTime | None:
    """The date-time of an attribute, whichever of both ways it is encoded; None for no moment."""
    if isinstance(value, Refusal):
        return None
    try:
        shown = value.value
        if value.tag == DataTag.OCTET_STRING and isinstance(shown, bytes):
            shown = CosemDateTime.decode(shown)
        if not isinstance(shown, CosemDateTime):
            return None
        shown.to_datetime(0)
    except (DecodeError, LocalError):
        return None
    return shown
