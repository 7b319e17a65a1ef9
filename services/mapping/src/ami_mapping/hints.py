"""What somebody may have meant who asks for a code that is not there: rows and controls that differ in little."""

from __future__ import annotations

from ami_dlms.obis import Obis
from ami_mapping.controls import CONTROLS, Control
from ami_mapping.lookup import ReadingTable
from ami_mapping.reading_types import MULTIPLIER, ReadingType
from ami_mapping.readings import ReadingRow

FEW = 3


def near_codes(table: ReadingTable, code: ReadingType) -> list[tuple[ReadingRow, str]]:
    """The rows whose code differs least, at most in two fields, each with how: "accumulation 6, there 1"."""
    found: list[tuple[int, ReadingRow, str]] = []
    names = ReadingType._fields
    for row in table.rows:
        different = [
            f"{names[place]} {mine}, there {its}"
            for place, (mine, its) in enumerate(zip(code, row.code.fields, strict=True))
            if place != MULTIPLIER and mine != its and not isinstance(its, str)
        ]
        if 0 < len(different) <= 2:
            found.append((len(different), row, "; ".join(different)))
    found.sort(key=lambda one: one[0])
    return [(row, how) for _, row, how in found[:FEW]]


def near_obis(table: ReadingTable, obis: Obis) -> list[ReadingRow]:
    """Rows of the same medium with the same groups C and D, or with the same group C, the first ones of each."""
    a, _, c, d, _, _ = obis
    rows = [row for row in table.rows if row.obis is not None and row.obis.groups[0] == a and row.obis.groups[2] == c]
    same = [row for row in rows if row.obis is not None and row.obis.groups[3] == d]
    return (same or rows)[:FEW]


def near_controls(code: str) -> list[Control]:
    """Controls that share three of the four parts of a code."""
    parts = code.split(".")
    return [
        one
        for one in CONTROLS.values()
        if len(parts) == 4 and sum(mine == its for mine, its in zip(parts, one.code.split("."), strict=True)) == 3
    ]
