"""Clock set: the time of the meter's clock (class 8) is written and read back (M-145)."""

from datetime import UTC, datetime, timedelta, timezone

from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data, octet_string
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataTag
from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.obis import Obis
from ami_mapping.recipes.steps import Now, Recipe, Refusal, done, failed, needed, read, unsuitable, write

TIME = AttributeDescriptor(8, Obis.parse("0-0:1.0.0"), 2)
TOLERANCE = timedelta(seconds=2)
"""By how much a clock that was set may be beside the span between writing and reading: it shows whole seconds."""


def clock_set(now: Now) -> Recipe:
    """To the present, in the local time that the clock shows, so that its own zone and daylight saving stay."""
    before = _shown(needed((yield from read(TIME))[0], TIME))
    if before is None or before.deviation_minutes is None:
        raise unsuitable("its clock shows no deviation from UTC, so that its local time is not known")
    was, asked_at = before.to_datetime(), now()
    yield from write(TIME, octet_string(_local(asked_at, before.deviation_minutes).encode()))
    after = _shown((yield from read(TIME))[0])
    read_at = now()
    shown = None if after is None or after.deviation_minutes is None else after.to_datetime()
    seen = f"{_text(was)} at {_text(asked_at)}, then {'no time' if shown is None else _text(shown)} at {_text(read_at)}"
    if shown is not None and asked_at - TOLERANCE <= shown <= read_at + TOLERANCE:
        return done(f"the clock showed {seen}")
    return failed("not-as-asked", f"the clock showed {seen}")


def _local(moment: datetime, deviation_minutes: int) -> CosemDateTime:
    """Whole seconds, without a status: the meter knows its own."""
    local = moment.astimezone(timezone(timedelta(minutes=-deviation_minutes))).replace(microsecond=0)
    made = CosemDateTime.from_datetime(local, clock_status=0)
    return CosemDateTime(
        *(made.year, made.month, made.day, made.day_of_week, made.hour, made.minute, made.second, 0),
        deviation_minutes,
        None,
    )


def _shown(value: Data | Refusal) -> CosemDateTime | None:
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


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
