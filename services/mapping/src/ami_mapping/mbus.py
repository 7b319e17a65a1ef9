"""M-Bus channels: what the class 72 object of one says of the sub-meter there, and so of its values (table data/mbus_media.csv)."""

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


def format_identification(number: int) -> str:
    """The identification_number of a channel (class 72 attribute 6) as it is printed on the sub-meter: eight digits, in BCD (EN 13757-7).

    Digits above nine, which some devices have, are left as they are: A to F.
    """
    return f"{number:08X}"


def format_manufacturer(number: int) -> str:
    """The manufacturer_id of a channel (attribute 7): three letters of five bits each (EN 13757-7); other numbers in hex."""
    letters = [(number >> shift) & 0x1F for shift in (10, 5, 0)]
    if number >> 15 or not all(1 <= one <= 26 for one in letters):
        return f"{number:04X}"
    return "".join(chr(ord("A") - 1 + one) for one in letters)
