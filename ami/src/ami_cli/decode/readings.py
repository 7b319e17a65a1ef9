"""The readings that a push carries, in short: an OBIS code, a number, and its unit where scaler and unit follow it.

Every manufacturer nests them in another way, so nesting is not looked at: these three follow each other in all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal

from ami_dlms.cosem.obis_names import describe
from ami_dlms.cosem.quantity import ScalerUnit, unit_of, units
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.data import Data
from ami_dlms.enums import DataTag
from ami_dlms.errors import DlmsError
from ami_dlms.obis import Obis

CONTAINERS = (DataTag.ARRAY, DataTag.STRUCTURE)
OBIS_SIZE, CURRENT = 6, 0xFF


def readings(body: Data) -> list[str]:
    """`1-0:1.7.0 368 W` for each; a code without a number behind it is left out."""
    found: list[str] = []
    flat = list(_flat(body))
    for place, item in enumerate(flat[:-1]):
        code, value = _code(item), flat[place + 1]
        if isinstance(code, Obis) and isinstance(value, Data) and type(value.value) is int:
            following = flat[place + 2] if place + 2 < len(flat) else None
            found.append(f"{str(code).removesuffix('*255')} {_scaled(value.value, following)}")
    return found


def _flat(item: Data) -> Iterator[Data | ScalerUnit]:
    """All values in their order; scaler and unit are one, and an object in a list of objects has no reading."""
    if item.tag not in CONTAINERS:
        yield item
    elif (scaled := _scaler_unit(item)) is not None:
        yield scaled
    elif not _is_reference(item):
        for part in item.value:
            yield from _flat(part)


def _scaler_unit(item: Data) -> ScalerUnit | None:
    with suppress(DlmsError):
        scaled = ScalerUnit.decode(item)
        return scaled if scaled.unit in units() else None
    return None


def _is_reference(item: Data) -> bool:
    with suppress(DlmsError):
        CaptureObject.decode(item)
        return True
    return False


def _code(item: Data | ScalerUnit) -> Obis | None:
    if not isinstance(item, Data) or item.tag is not DataTag.OCTET_STRING:
        return None
    octets = item.value
    if not isinstance(octets, bytes) or len(octets) != OBIS_SIZE or octets[-1] != CURRENT:
        return None
    code = Obis(octets)
    return code if describe(code) else None


def _scaled(value: int, unit: Data | ScalerUnit | None) -> str:
    if not isinstance(unit, ScalerUnit):
        return str(value)
    return f"{Decimal(value).scaleb(unit.scaler):f} {unit_of(unit.unit).symbol}".rstrip()
