"""Numbers in the event logs of IDIS-like meters <-> EndDeviceEventType (table data/events.csv, M-130).

A code is "type.domain.subDomain.event". The rows have type 0, any device; a partner may send 3 (electricity meter) or another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from ami_dlms.obis import Obis
from ami_mapping.tables import number, packaged, read_table

POWER_LOST = ("26.38.85", "26.0.85")
"""Codes without their device type (M-158)."""
VERIFIED = "26.0.216"
"""Power is back, as the head-end has found out by asking."""
POWER_RESTORED = ("1.0.49", "26.38.49", VERIFIED)
IMPORTANCE = (("26.", "1.0.49"), ("12.",))
"""What is told before what else: power and its return, then security; a name that ends in a dot is a whole domain (M-158)."""

_CODE = re.compile(r"\d{1,4}(?:\.\d{1,4}){3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class EventRow:
    """One row: a number in a log (the OBIS code of its profile) and its code."""

    log: Obis
    number: int
    code: str
    meaning: str
    confidence: str
    decision: str
    source: str


@cache
def event_rows() -> dict[tuple[Obis, int], EventRow]:
    """All rows by log and number."""
    file = "events.csv"
    return {(row.log, row.number): row for row in read_table(packaged(file), file, _row, EventRow.__slots__)}


def event_type(log: Obis, native: int, device_type: int = 0) -> str | None:
    """The code of an entry of a log; None when there is no row, and then the entry is reported by log and number alone."""
    row = event_rows().get((log, native))
    return None if row is None else f"{device_type}.{row.code.partition('.')[2]}"


def rank_of(code: str) -> int:
    """Its place in `IMPORTANCE`; the number of its places for all others."""
    tail = code.partition(".")[2]
    for rank, names in enumerate(IMPORTANCE):
        if any(tail.startswith(one) if one.endswith(".") else tail == one for one in names):
            return rank
    return len(IMPORTANCE)


def native_events(code: str) -> tuple[EventRow, ...]:
    """The entries that a code may mean, whatever device type it has; empty when there is none."""
    if _CODE.fullmatch(code) is None:
        return ()
    wanted = [int(part) for part in code.split(".")[1:]]
    return tuple(row for row in event_rows().values() if [int(part) for part in row.code.split(".")[1:]] == wanted)


def _row(cells: dict[str, str], line: int) -> EventRow:
    if _CODE.fullmatch(cells["code"]) is None:
        raise ValueError(f"code is {cells['code'][:40]!r} and not four numbers")
    native = number(cells["number"], "number")
    return EventRow(
        *(Obis.parse(cells["log"]), native, cells["code"], cells["meaning"]),
        *(cells["confidence"], cells["decision"], cells["source"]),
    )
