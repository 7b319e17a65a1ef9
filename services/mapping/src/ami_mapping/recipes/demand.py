"""Demand reset: the script that ends a billing period (class 9, 0-0:10.0.1, script 1), proved by a billing period more (M-144)."""

from ami_dlms.cosem.descriptors import MethodDescriptor
from ami_dlms.data import long_unsigned
from ami_dlms.obis import Obis
from ami_mapping.controls import Verdict
from ami_mapping.recipes.steps import Recipe, Values, attribute, done, failed, invoke, number_in, read, settled

SCRIPT_TABLE = MethodDescriptor(9, Obis.parse("0-0:10.0.1"), 1)
END_OF_PERIOD = 1
COUNTER = attribute(1, "1-0:0.1.0", 2)
ENTRIES = attribute(7, "0-0:98.1.0", 7)
SHOWS = (COUNTER, ENTRIES)
_WORDS = ("number of billing periods", "entries of the billing profile")


def demand_reset() -> Recipe:
    """A counter that has moved is proof; where there is none, a billing profile with more entries."""
    before = yield from read(*SHOWS)
    yield from invoke(SCRIPT_TABLE, long_unsigned(END_OF_PERIOD))
    after, proved = yield from settled(SHOWS, lambda values: _has_moved(before, values))
    seen = _seen(before, after)
    return done(seen) if proved else _unproved(before, seen)


def _has_moved(before: Values, after: Values) -> bool:
    """The counter of some meters goes back to 0 after 99; a full profile has no entry more."""
    counted, counts = number_in(before[0]), number_in(after[0])
    if counted is not None and counts is not None:
        return counts != counted
    had, has = number_in(before[1]), number_in(after[1])
    return had is not None and has is not None and has > had


def _unproved(before: Values, seen: str) -> Verdict:
    name = "unproven" if number_in(before[0]) is None else "not-as-asked"
    return failed(name, seen)


def _seen(before: Values, after: Values) -> str:
    shown = [
        f"{word} {number_in(was)}, then {number_in(now)}"
        for word, was, now in zip(_WORDS, before, after, strict=True)
        if number_in(was) is not None and number_in(now) is not None
    ]
    return "; ".join(shown) or "the meter shows neither a number of billing periods nor a billing profile"
