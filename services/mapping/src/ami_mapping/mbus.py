"""Media of M-Bus channels: what device_type of a channel's class 72 object says of its values (table data/mbus_media.csv)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from ami_mapping.tables import number, packaged, read_table


@dataclass(frozen=True, slots=True)
class DeviceType:
    """One row; `medium` is the beginning of the names of its contexts."""

    device_type: int
    name: str
    medium: str
    decision: str
    source: str


@cache
def device_types() -> dict[int, DeviceType]:
    """All device types whose medium is known, by number."""

    def one(cells: dict[str, str], line: int) -> DeviceType:
        found = number(cells["device_type"], "device_type", highest=255)
        return DeviceType(found, cells["name"], cells["medium"], cells["decision"], cells["source"])

    file = "mbus_media.csv"
    return {row.device_type: row for row in read_table(packaged(file), file, one, DeviceType.__slots__)}


def medium_of(device_type: int) -> str | None:
    """The medium of a channel (class 72 attribute 9), for `ReadingTable.column`; None when it has none (M-117)."""
    row = device_types().get(device_type)
    return None if row is None else row.medium
