"""OBIS codes and ReadingTypes with places left open: what a row of the table of readings has in its two key columns.

In an OBIS code `t` is a tariff (group E, 1 to 63), `c` a channel or instance (group B or E, 0 to 63) and `f` a billing period
(group F, all but 255). In a ReadingType `t` is the same tariff in field 12, `m` the multiplier, `cur` the currency.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from ami_dlms.obis import Obis
from ami_mapping.reading_types import CURRENCY, MULTIPLIER, TOU, ReadingType

Field = int | str
TARIFF, CHANNEL, PERIOD, FREE_MULTIPLIER, FREE_CURRENCY = "t", "c", "f", "m", "cur"
NO_PERIOD = 255
_OBIS = re.compile(r"(\d{1,3})-(\d{1,3}|c):(\d{1,3})\.(\d{1,3})\.(\d{1,3}|t|c)\*(\d{1,3}|f)", re.ASCII)
_CODE = re.compile(
    r"(?:\d{1,6}\.){11}(?:\d{1,6}|t)\.(?:\d{1,6}\.){3}(?:-?\d{1,2}|m)\.\d{1,6}\.(?:\d{1,6}|cur)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Bindings:
    """What the open places of a row are in one case."""

    tariff: int = 0
    channel: int = 0
    period: int = NO_PERIOD


@dataclass(frozen=True, slots=True)
class ObisPattern:
    """Six groups, some of them open."""

    groups: tuple[Field, ...]

    @classmethod
    def parse(cls, text: str) -> ObisPattern:
        """Read "1-0:1.8.t*255"; ValueError for anything else."""
        match = _OBIS.fullmatch(text)
        if match is None:
            raise ValueError(f"obis is {text[:40]!r} and not of the form A-B:C.D.E*F with t, c or f for what is open")
        groups = tuple(_field(group) for group in match.groups())
        if any(isinstance(group, int) and group > 255 for group in groups):
            raise ValueError(f"a group of {text!r} is above 255")
        return cls(groups)

    def fill(self, bindings: Bindings) -> Obis:
        """The OBIS code with its open places filled."""
        values = {TARIFF: bindings.tariff, CHANNEL: bindings.channel, PERIOD: bindings.period}
        return Obis(bytes(values[group] if isinstance(group, str) else group for group in self.groups))

    def bindings(self, obis: Obis) -> Bindings:
        """What the open places are in an OBIS code that was found by one of `candidates`."""
        found = {str(group): octet for group, octet in zip(self.groups, obis, strict=True)}
        return Bindings(found.get(TARIFF, 0), found.get(CHANNEL, 0), found.get(PERIOD, NO_PERIOD))

    def __str__(self) -> str:
        a, b, c, d, e, f = self.groups
        return f"{a}-{b}:{c}.{d}.{e}*{f}"


def candidates(obis: Obis) -> Iterator[tuple[Field, ...]]:
    """The groups of every pattern that may mean this OBIS code, the closest first.

    A channel of an electricity meter (B 1 to 63) is the meter itself, so its codes are also those of B 0 (M-121).
    """
    a, b, c, d, e, f = obis
    channels: list[Field] = [b, *([0] if a == 1 and 0 < b < 64 else []), *([CHANNEL] if b < 64 else [])]
    instances: list[Field] = [e, *([TARIFF] if 0 < e < 64 else []), *([CHANNEL] if e < 64 else [])]
    periods: list[Field] = [f] if f == NO_PERIOD else [f, PERIOD]
    for channel, instance, period in product(channels, instances, periods):
        yield a, channel, c, d, instance, period


@dataclass(frozen=True, slots=True)
class CodePattern:
    """The 18 fields of a ReadingType, some of them open."""

    fields: tuple[Field, ...]

    @classmethod
    def parse(cls, text: str) -> CodePattern:
        """Read the dotted text with `t`, `m` and `cur` for what is open; ValueError for anything else."""
        if _CODE.fullmatch(text) is None:
            raise ValueError(f"a ReadingType is {text[:80]!r} and not 18 numbers with t, m or cur for what is open")
        return cls(tuple(_field(field) for field in text.split(".")))

    def fill(self, bindings: Bindings, multiplier: int, currency: int) -> ReadingType:
        """The code; a multiplier or currency that the row has itself is kept."""
        values = {TARIFF: bindings.tariff, FREE_MULTIPLIER: multiplier, FREE_CURRENCY: currency}
        return ReadingType(*(values[field] if isinstance(field, str) else field for field in self.fields))

    def changed(self, **fields: int) -> CodePattern:
        """The same with these fields, by their names."""
        names = ReadingType._fields
        return CodePattern(tuple(fields.get(name, old) for name, old in zip(names, self.fields, strict=True)))

    def without_multiplier(self) -> CodePattern:
        """The same with the multiplier open."""
        return CodePattern((*self.fields[:MULTIPLIER], FREE_MULTIPLIER, *self.fields[MULTIPLIER + 1 :]))

    def field(self, name: str) -> Field:
        """A field by its name: a number, or the letter of what is open."""
        return self.fields[ReadingType._fields.index(name)]

    @property
    def known(self) -> ReadingType:
        """The code with 0 in its open places, to look into its other fields."""
        return self.fill(Bindings(), 0, 0)

    def __str__(self) -> str:
        return ".".join(map(str, self.fields))


def code_candidates(code: ReadingType) -> Iterator[tuple[Field, ...]]:
    """The fields of every pattern that may mean this code, the closest first."""
    tariffs: list[Field] = [code.tou, *([TARIFF] if 0 < code.tou < 64 else [])]
    currencies: list[Field] = [code.currency, *([FREE_CURRENCY] if code.currency else [])]
    multipliers: list[Field] = [FREE_MULTIPLIER, code.multiplier]
    for tariff, multiplier, currency in product(tariffs, multipliers, currencies):
        fields: list[Field] = list(code)
        fields[TOU], fields[MULTIPLIER], fields[CURRENCY] = tariff, multiplier, currency
        yield tuple(fields)


def _field(text: str) -> Field:
    return int(text) if text.lstrip("-").isdigit() else text
