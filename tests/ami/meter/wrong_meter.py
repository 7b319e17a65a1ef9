"""A meter of four objects over the protocol core, whose answers may be other than they should be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from served_meter import Meter

from ami_dlms import data
from ami_dlms.association import AttributeAccess, Get
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataAccessResult
from ami_dlms.obis import Obis

CLOCK = Obis.parse("0-0:1.0.0*255")
ENERGY = Obis.parse("1-0:1.8.0*255")
NAME = Obis.parse("0-0:42.0.0*255")
CURRENT = Obis.parse("0-0:40.0.0*255")
READ, WRITE, NOTHING = 1, 2, 0


def line(class_id: int, version: int, obis: Obis, rights: dict[int, int]) -> Data:
    """A line of an object list."""
    items = [data.structure(data.integer(one), data.enum(mode), data.null()) for one, mode in rights.items()]
    return data.structure(
        data.long_unsigned(class_id),
        data.unsigned(version),
        data.octet_string(obis),
        data.structure(data.array(*items), data.array()),
    )


@dataclass
class Wrong(Meter):
    """A meter whose answers may be other than its values; `falls` counts an energy down."""

    answers: dict[AttributeDescriptor, Any] = field(default_factory=dict)
    falls: bool = False
    read: int = 0

    def attribute(self, descriptor: AttributeDescriptor) -> AttributeAccess | None:
        found = super().attribute(descriptor)
        return None if found is None else AttributeAccess.READ | AttributeAccess.WRITE

    def carry_out(self, item: Any) -> Any:
        if isinstance(item, Get) and item.descriptor in self.answers:
            return self.answers[item.descriptor]
        if isinstance(item, Get) and item.descriptor == AttributeDescriptor(3, ENERGY, 2) and self.falls:
            self.read += 1
            return data.double_long_unsigned(1000 - self.read)
        if isinstance(item, Get) and item.descriptor not in self.values:
            return DataAccessResult.OBJECT_UNDEFINED
        return super().carry_out(item)


def values(**change: Data) -> dict[AttributeDescriptor, Data]:
    """A clock, an energy, a name and the association's own list."""
    lines = {
        "clock": line(8, 0, CLOCK, {1: READ, 2: READ}),
        "energy": line(3, 0, ENERGY, {1: READ, 2: READ, 3: READ}),
        "name": line(1, 0, NAME, {1: READ, 2: READ}),
        "own": line(15, 1, CURRENT, {1: READ, 2: READ}),
    } | change
    shown = CosemDateTime(2026, 6, 1, 1, 12, 0, 0, 0, 0, 0)
    return {
        AttributeDescriptor(15, CURRENT, 2): data.array(*lines.values()),
        AttributeDescriptor(15, CURRENT, 1): data.octet_string(CURRENT),
        AttributeDescriptor(8, CLOCK, 1): data.octet_string(CLOCK),
        AttributeDescriptor(8, CLOCK, 2): data.octet_string(shown.encode()),
        AttributeDescriptor(3, ENERGY, 1): data.octet_string(ENERGY),
        AttributeDescriptor(3, ENERGY, 2): data.double_long_unsigned(12345),
        AttributeDescriptor(3, ENERGY, 3): data.structure(data.integer(0), data.enum(30)),
        AttributeDescriptor(1, NAME, 1): data.octet_string(NAME),
        AttributeDescriptor(1, NAME, 2): data.octet_string(b"AMI0000000000001"),
    }
