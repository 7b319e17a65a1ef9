"""Shipment files: rows of what comes along with delivered meters, as tables for `parse_meter`.

Rows have the fields of a [[meters]] entry, and beside them what an enterprise system wants to know and what clients of other
associations need: both are left out here. Keys may be wrapped by a transport key (RFC 3394); their names then end in `_wrapped`.
The format of the files is read elsewhere (`ami_process.shipment_files`), since a CIS reads it too and has nothing of a head-end.
"""

from collections.abc import Iterable, Mapping

from ami_dlms.errors import DlmsError
from ami_dlms.security import unwrap_key

WRAPPED = "_wrapped"
"""Behind the name of a key that is wrapped by the transport key."""
OF_ASSOCIATION = "."
"""Between the name of an association and that of a column: what a client other than the head-end needs, as reader.encryption_key."""
INFORMATION = frozenset(
    {"model", "time_zone_minutes", "substation", "feeder", "transformer", "phase", "latitude", "longitude"}
)
"""Columns that say nothing of the way to the meter."""
USAGE_POINT_MRID = "usage_point_mrid"
_NUMBERS = frozenset(
    {"client_wport", "server_wport", "suite", "physical_address", "address_size", "disconnect_version"}
)
_TRUTHS = frozenset({"public_client"})
_TRUTH = {"true": True, "false": False}


class ShipmentError(ValueError):
    """A shipment can't be used; the text says where and why, and never holds a key."""


def parse_shipment(
    rows: Iterable[Mapping[str, object]], transport_key: bytes | None = None
) -> list[Mapping[str, object]]:
    """The tables of its meters, in order, from the rows of a file (those of CSV with `parse_cell`); ShipmentError as above."""
    return [_table(number, row, transport_key) for number, row in enumerate(rows, 1)]


def parse_cell(name: str, cell: str) -> object:
    """The value of a cell of CSV, which has no types, by the name of its column."""
    if name in _NUMBERS and cell.isascii() and cell.isdecimal():
        return int(cell)
    return _TRUTH.get(cell, cell) if name in _TRUTHS else cell


def _table(number: int, row: Mapping[str, object], transport_key: bytes | None) -> Mapping[str, object]:
    row = {name: value for name, value in row.items() if OF_ASSOCIATION not in name}
    table = {name: value for name, value in row.items() if name not in INFORMATION and not name.endswith(WRAPPED)}
    mrid = table.pop(USAGE_POINT_MRID, None)
    points = table.get("usage_points", [])
    if isinstance(mrid, str) and isinstance(points, list):
        table["usage_points"] = [*points, mrid]
    unwrapped = {
        name.removesuffix(WRAPPED): _unwrapped(number, name, value, transport_key)
        for name, value in row.items()
        if name.endswith(WRAPPED)
    }
    return table | unwrapped


def _unwrapped(number: int, name: str, value: object, transport_key: bytes | None) -> str:
    def refused(why: str) -> ShipmentError:
        return ShipmentError(f"meter {number}, {name}: {why}")

    if transport_key is None:
        raise refused("is wrapped, and no transport key is given to unwrap it")
    if not isinstance(value, str):
        raise refused("hexadecimal digits were expected")
    try:
        return unwrap_key(transport_key, bytes.fromhex(value)).hex()
    except ValueError:
        raise refused("is not an even number of hexadecimal digits") from None
    except DlmsError:
        raise refused("can't be unwrapped: another transport key, or a damaged file") from None
