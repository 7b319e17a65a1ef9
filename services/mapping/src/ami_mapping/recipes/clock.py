"""Clock set: the time of the meter's clock (class 8) is written and read back (M-145)."""

from datetime import UTC, datetime, timedelta

from ami_dlms.data import octet_string
from ami_mapping.recipes.moments import TIME, deviation_of, local_octets, shown_moment
from ami_mapping.recipes.steps import Now, Recipe, done, failed, read, write

TOLERANCE = timedelta(seconds=2)
"""By how much a clock that was set may be beside the span between writing and reading: it shows whole seconds."""


def clock_set(now: Now) -> Recipe:
    """To the present, in the local time that the clock shows, so that its own zone and daylight saving stay."""
    deviation = yield from deviation_of()
    asked_at = now()
    yield from write(TIME, octet_string(local_octets(asked_at, deviation)))
    after = shown_moment((yield from read(TIME))[0])
    read_at = now()
    shown = None if after is None or after.deviation_minutes is None else after.to_datetime()
    seen = f"set at {_text(asked_at)}, it shows {'no time' if shown is None else _text(shown)} at {_text(read_at)}"
    if shown is not None and asked_at - TOLERANCE <= shown <= read_at + TOLERANCE:
        return done(seen)
    return failed("not-as-asked", seen)


def clock_within(now: Now, bound: timedelta) -> Recipe:
    """Set to the present where what it shows is further from it than the bound, and else left as it is (M-155)."""
    asked_at = now()
    shown = shown_moment((yield from read(TIME))[0])
    read_at = now()
    if shown is not None and shown.deviation_minutes is not None:
        moment = shown.to_datetime()
        if asked_at - bound <= moment <= read_at + bound:
            return done(f"left as it is: it shows {_text(moment)} at {_text(read_at)}")
    return (yield from clock_set(now))


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
