"""Event log reset: method reset of the standard event log (class 7, 0-0:99.98.0), proved by what is left in it (M-144)."""

from ami_dlms.cosem.descriptors import MethodDescriptor
from ami_dlms.data import integer
from ami_mapping.recipes.steps import (
    Recipe,
    Values,
    attribute,
    done,
    failed,
    invoke,
    needed,
    number_in,
    read,
    settled,
    unsuitable,
)

BUFFER, ENTRIES = attribute(7, "0-0:99.98.0", 2), attribute(7, "0-0:99.98.0", 7)
RESET = MethodDescriptor(7, ENTRIES.instance_id, 1)
LEFT = 1
"""Entries of a log that was reset: that of the reset itself, in meters that log it."""


def event_log_reset() -> Recipe:
    """Where there was but one entry before, it has to be another one."""
    had = number_in(needed((yield from read(ENTRIES))[0], ENTRIES))
    if had is None:
        raise unsuitable("its event log 0-0:99.98.0 doesn't say how many entries it has")
    shown = (ENTRIES, BUFFER) if had == LEFT else (ENTRIES,)
    before = yield from read(*shown)
    yield from invoke(RESET, integer(0))
    after, proved = yield from settled(shown, lambda values: _is_reset(before, values))
    seen = f"{had} entries before, {number_in(after[0])} after"
    return done(seen) if proved else failed("not-as-asked", seen)


def _is_reset(before: Values, after: Values) -> bool:
    left = number_in(after[0])
    return left == 0 or (left == LEFT and after != before)
