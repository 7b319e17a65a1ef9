"""scaler_unit (IEC 62056-6-2, class 3): an exact Decimal and a unit from a raw register value; nothing is rounded."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache

from ami_dlms import data
from ami_dlms.cosem.tables import table
from ami_dlms.data import Data
from ami_dlms.enums import DataTag
from ami_dlms.errors import DecodeError
from ami_dlms.frozen import frozen


@frozen
class Unit:
    """A physical unit: code, symbol, and what it measures."""

    code: int
    symbol: str
    quantity: str


@frozen
class Quantity:
    """A value in its unit, the power of ten applied."""

    value: Decimal
    unit: Unit

    def __str__(self) -> str:
        return f"{self.value:f} {self.unit.symbol}".rstrip()


@frozen
class ScalerUnit:
    """scal_unit_type: the raw value times 10 to the power of `scaler`, in the unit of code `unit`."""

    scaler: int
    unit: int

    def encode(self) -> Data:
        """structure of integer and enum."""
        return data.structure(data.integer(self.scaler), data.enum(self.unit))

    @classmethod
    def decode(cls, value: Data) -> ScalerUnit:
        """Inverse of encode; DecodeError for any other shape."""
        if value.tag is DataTag.STRUCTURE and [item.tag for item in value.value] == [DataTag.INTEGER, DataTag.ENUM]:
            scaler, unit = value.value
            return cls(scaler.value, unit.value)
        raise DecodeError("a structure of integer and enum", value.tag.name.lower(), field="scaler_unit")

    def apply(self, value: Data) -> Quantity:
        """The quantity that a raw value stands for; DecodeError when it is no number."""
        return Quantity(_number(value, self.scaler), unit_of(self.unit))


def _number(value: Data, scaler: int) -> Decimal:
    raw = value.value
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise DecodeError("a number", value.tag.name.lower())
    sign, digits, exponent = Decimal(str(raw)).as_tuple()
    if not isinstance(exponent, int):
        raise DecodeError("a finite number", str(raw))
    return Decimal((sign, digits, exponent + scaler))


@cache
def units() -> Mapping[int, Unit]:
    """Every unit that is known, by its code."""
    rows = table("units")["units"]
    return {int(code): Unit(int(code), symbol, quantity) for code, (symbol, quantity) in rows.items()}


def unit_of(code: int) -> Unit:
    """The unit of a code; one that is not known is called by its number."""
    return units().get(code) or Unit(code, f"unit {code}", "not known")
