"""Products whose messages are known by what is in them, where their namespaces are the standard's: by name, with what shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ami_cim.xml import Element
from ami_cli.cim.findings import name_of


@dataclass(frozen=True, slots=True)
class KnownDialect:
    """One of them; `shown_by` says what of a message is so there and nowhere in the standard."""

    name: str
    shown_by: str
    source: str
    is_spoken: Callable[[Element], bool]


def _has_meter_first(body: Element) -> bool:
    """A Meter before the values of a MeterReading, which the schema has behind the IntervalBlocks."""
    for element in body.iter("*"):
        if name_of(element) == "MeterReading":
            names = [name_of(child) for child in element.iterchildren("*")]
            if "Meter" in names and "IntervalBlocks" in names[names.index("Meter") :]:
                return True
    return False


def _has(name: str) -> Callable[[Element], bool]:
    return lambda body: any(name_of(element) == name for element in body.iter("*"))


DIALECTS = (
    KnownDialect(
        "Oracle MDM and Smart Grid Gateway (ADK CIM)",
        "Meter stands before IntervalBlocks; there timeStamp is the moment of reading, and the interval is in timePeriod",
        "guides of Oracle Smart Grid Gateway",
        _has_meter_first,
    ),
    KnownDialect(
        "SAP Cloud for Energy",
        "an Operation has a timesliceOperation; there Names come first in every object, and only the code 0.0 is success",
        "the vendor's sample client",
        _has("timesliceOperation"),
    ),
)


def dialects_of(body: Element | None) -> Iterator[KnownDialect]:
    """Those that a message shows."""
    return (one for one in DIALECTS if body is not None and one.is_spoken(body))
