"""ReadingType: the 18 numbers of IEC 61968-9 that name a quantity, and their words (`ami_cim.reading_type_words`)."""

from __future__ import annotations

import re
from typing import NamedTuple

from ami_cim.errors import CimError
from ami_cim.reading_type_words import field_words
from ami_mapping.faults import explain

_TEXT = re.compile(r"(?:-?\d{1,6}\.){17}-?\d{1,6}", re.ASCII)
MULTIPLIER, CURRENCY, TOU = 15, 17, 11
"""Places of these fields in the tuple; in the text they are counted from 1."""


class RefusedReadingType(CimError):
    """A ReadingType that is not served: code 2.6 when it is none, 2.10 when it is one that no row answers (M-120)."""


class ReadingType(NamedTuple):
    """The 18 fields in the order of the text; 0 is "not applicable". Compared as numbers, never as text (M-101)."""

    macro_period: int
    aggregate: int
    measuring_period: int
    accumulation: int
    flow_direction: int
    commodity: int
    measurement_kind: int
    interharmonic_numerator: int
    interharmonic_denominator: int
    argument_numerator: int
    argument_denominator: int
    tou: int
    cpp: int
    consumption_tier: int
    phases: int
    multiplier: int
    unit: int
    currency: int

    @classmethod
    def parse(cls, text: str) -> ReadingType:
        """Read the dotted text; RefusedReadingType (2.6) unless it is 18 numbers, none but the multiplier below 0."""
        if len(text) > 160 or _TEXT.fullmatch(text) is None:
            raise _invalid(text, "not 18 numbers with dots between them")
        found = cls(*map(int, text.split(".")))
        if any(field < 0 for place, field in enumerate(found) if place != MULTIPLIER):
            raise _invalid(text, "only field 16, the multiplier, may be negative")
        return found

    def __str__(self) -> str:
        return ".".join(map(str, self))

    def unknown(self) -> list[str]:
        """The fields whose numbers are in none of the standard's lists, as "measurement_kind 901"."""
        words = field_words()
        return [
            f"{name} {field}"
            for name, field in zip(self._fields, self, strict=True)
            if field not in words.get(name, {field})
        ]

    def words(self) -> dict[str, str]:
        """Every field by its name, in words."""
        return {name: _word(name, field) for name, field in zip(self._fields, self, strict=True)}


def refused(code: ReadingType, detail: str) -> RefusedReadingType:
    """The refusal of a well-formed code that no row answers: 2.6 if a number of it is in no list, else 2.10 (M-120)."""
    unknown = code.unknown()
    if unknown:
        return _invalid(str(code), f"no list has {', '.join(unknown)}")
    fault = explain("reading-type", "unsupported", attempted=None, detail=f"{code}: {detail}" if detail else str(code))
    return RefusedReadingType(fault.code, fault.reason)


def _invalid(text: str, why: str) -> RefusedReadingType:
    fault = explain("reading-type", "invalid", attempted=None, detail=f"{text[:64]!r}: {why}")
    return RefusedReadingType(fault.code, fault.reason)


def _word(name: str, field: int) -> str:
    listed = field_words().get(name)
    if listed is not None:
        return listed.get(field, "not listed")
    if not field:
        return "none"
    return f"ISO 4217 number {field}" if name == "currency" else str(field)
