"""Status words of profiles <-> ReadingQualities (table data/profile_status.csv): one status, several qualities (M-126).

A quality is "system.category.index"; system 1 is what the meter says of its value, 2 what the head-end system says of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from ami_mapping.tables import number, packaged, read_table

VALID = "1.0.0"
MISSING = "2.5.259"
"""There is no row of the profile for this interval."""
DERIVED = "2.11.0"
"""The head-end system computed the value from others."""
SUSPECT = "2.5.258"
"""The status has a bit that no row explains."""
SYSTEMS = {
    0: "not applicable",
    1: "end device",
    2: "metering system network (head-end)",
    3: "meter data management",
    4: "other system",
    5: "externally specified",
}
CATEGORIES = {
    0: "valid",
    1: "diagnostics",
    2: "power quality",
    3: "tamper, revenue protection",
    4: "data collection",
    5: "reasonability",
    6: "validation failed",
    7: "edited",
    8: "estimated",
    9: "obsolete",
    10: "questionable",
    11: "derived",
    12: "projected",
}
_CODE = re.compile(r"(?:0|[1-9]\d{0,4})(?:\.(?:0|[1-9]\d{0,4})){2}", re.ASCII)


class UnknownQuality(ValueError):
    """What is no ReadingQualityType; the message says why. `is_well_formed` if it has the form of one."""

    def __init__(self, reason: str, *, is_well_formed: bool) -> None:
        super().__init__(reason)
        self.is_well_formed = is_well_formed


def parse_quality(code: str) -> tuple[int, int, int]:
    """System, category and index of a ReadingQualityType; UnknownQuality where it is not one of the lists'.

    Indices are not checked: the standard leaves room in their lists, and makers use it.
    """
    if _CODE.fullmatch(code) is None:
        reason = f"ReadingQualityType {code[:40]!r} is not three numbers with dots between them"
        raise UnknownQuality(reason, is_well_formed=False)
    system, category, index = map(int, code.split("."))
    unknown = [
        f"{name} {number}"
        for name, number, known in (("system", system, SYSTEMS), ("category", category, CATEGORIES))
        if number not in known
    ]
    if unknown:
        raise UnknownQuality(f"ReadingQualityType {code}: no list has {', '.join(unknown)}", is_well_formed=True)
    return system, category, index


@dataclass(frozen=True, slots=True)
class StatusBit:
    """One row: a bit of the status, counted from the lowest, and the quality that it is reported as."""

    bit: int
    name: str
    quality: str
    decision: str
    source: str


@cache
def status_bits() -> tuple[StatusBit, ...]:
    """All rows in the order of the bits."""

    def one(cells: dict[str, str], line: int) -> StatusBit:
        return StatusBit(
            number(cells["bit"], "bit", highest=31), cells["name"], cells["quality"], cells["decision"], cells["source"]
        )

    file = "profile_status.csv"
    return tuple(
        sorted(read_table(packaged(file), file, one, ("bit", *StatusBit.__slots__[1:])), key=lambda row: row.bit)
    )


def qualities(status: int | None) -> tuple[str, ...]:
    """The qualities of a value whose row has this status word; None is a row that is not there.

    No bit is VALID; daylight saving alone stays VALID with its remark. A bit that no row explains adds SUSPECT: a value is
    never reported as good because it is not known what was meant.
    """
    if status is None:
        return (MISSING,)
    found = [row.quality for row in status_bits() if status >> row.bit & 1]
    if unexplained(status):
        found.append(SUSPECT)
    doubtful = [quality for quality in found if quality not in _REMARKS]
    return tuple(found) if doubtful else (VALID, *found)


_REMARKS = frozenset({"1.4.16"})
"""Qualities that leave a value as good as it was."""


def unexplained(status: int) -> int:
    """The bits of a status word that no row explains; they belong into the comment of the quality."""
    for row in status_bits():
        status &= ~(1 << row.bit)
    return status


def status_of(found: Iterable[str]) -> int:
    """The status word of these qualities, of those that a meter gives; the others have no bit."""
    bits = {row.quality: 1 << row.bit for row in status_bits()}
    return sum({bits[quality] for quality in found if quality in bits})
