"""Shipment files: what comes along with delivered meters, as tables for `parse_meter`.

JSON is an object with `format` and `meters`, CSV has one line of names and one line per meter. Both have the fields of a
[[meters]] entry, and beside them what an enterprise system wants to know and what clients of other associations need: both are left
out here. Keys may be wrapped by a transport key (RFC 3394); their names then end in `_wrapped`.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ami_dlms.errors import DlmsError
from ami_dlms.security import unwrap_key

FORMAT = 1
WRAPPED = "_wrapped"
"""Behind the name of a key that is wrapped by the transport key."""
OF_ASSOCIATION = "."
"""Between the name of an association and that of a column: what a client other than the head-end needs, as reader.encryption_key."""
SEVERAL = ";"
"""Between several names in one cell of CSV."""
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


def parse_shipment(text: str, transport_key: bytes | None = None) -> list[Mapping[str, object]]:
    """The tables of its meters, in order; ShipmentError as above."""
    rows: Iterable[Mapping[str, object]] = _from_json(text) if text.lstrip()[:1] == "{" else _from_csv(text)
    return [_table(number, row, transport_key) for number, row in enumerate(rows, 1)]


def _from_json(text: str) -> Sequence[Mapping[str, object]]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ShipmentError(f"not JSON: {error}") from None
    if content.get("format") != FORMAT:
        raise ShipmentError(f"format {content.get('format')!r} is not {FORMAT}, the one that is known here")
    rows = content.get("meters")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ShipmentError("meters is not a list of objects")
    return rows


def _from_csv(text: str) -> Iterator[Mapping[str, object]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        names = reader.fieldnames or ()
        if "name" not in names:
            raise ShipmentError("the first line does not name the columns: name is missing")
        for row in reader:
            if None in row or None in row.values():
                raise ShipmentError(f"line {reader.line_num} has not as many cells as the first line has names")
            yield {name: _of_cell(name, cell) for name, cell in row.items() if cell}
    except csv.Error as error:
        raise ShipmentError(f"line {reader.line_num}: {error}") from None


def _of_cell(name: str, cell: str) -> object:
    if name == "usage_points":
        return cell.split(SEVERAL)
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
