"""Shipment files: rows of what comes along with delivered meters, as tables for `parse_meter`.

Rows have the fields of a [[meters]] entry. Beside them are columns that say where and what the meter is, which become its tags,
columns of which a head-end has no use, and what clients of other associations need; the last two are left out here. Keys may be wrapped by a transport key (RFC 3394); their names then end in `_wrapped`.
The format of the files is read elsewhere (`ami_process.shipment_files`), since a CIS reads it too and has nothing of a head-end.
"""

from collections.abc import Iterable, Mapping

from ami_dlms.errors import DlmsError
from ami_dlms.security import unwrap_key
from ami_dlms.security.keywrap import SHIPPED_LENGTHS

WRAPPED = "_wrapped"
"""Behind the name of a key that is wrapped by the transport key."""
OF_ASSOCIATION = "."
"""Between the name of an association and that of a column: what a client other than the head-end needs, as reader.encryption_key."""
CERTIFICATES = frozenset({"meter_signing_certificate", "meter_agreement_certificate", "issuer_certificate"})
PLACE = ("latitude", "longitude", "main_address")
"""Of the usage point, which a CIS alone knows."""
INFORMATION = CERTIFICATES | {"time_zone_minutes", *PLACE}
"""Columns that a head-end has no use for; it goes by the meter's public key itself."""
TAGS = ("model", "substation", "feeder", "transformer", "phase")
"""Columns that are tags of the meter."""
TAG_COLUMN = "tag_"
"""In front of the name of any other tag."""
USAGE_POINT_MRID = "usage_point_mrid"
_NUMBERS = frozenset(
    {
        "client_wport",
        "server_wport",
        "suite",
        "physical_address",
        "address_size",
        "baud",
        "channel",
    }
)
_TRUTHS = frozenset({"public_client", "mode_e", "default_keys"})
_TRUTH = {"true": True, "false": False}


class ShipmentError(ValueError):
    """A shipment can't be used; the text says where and why, and never holds a key."""


def parse_shipment(
    rows: Iterable[Mapping[str, object]], transport_key: bytes | None = None
) -> list[Mapping[str, object]]:
    """The tables of its meters, in order, from the rows of a file (those of CSV with `parse_cell`); ShipmentError as above."""
    return [parse_row(f"meter {number}", row, transport_key) for number, row in enumerate(rows, 1)]


def parse_row(place: str, row: Mapping[str, object], transport_key: bytes | None = None) -> Mapping[str, object]:
    """The table of one meter; a ShipmentError names the `place`."""
    row = {name: value for name, value in row.items() if OF_ASSOCIATION not in name}
    return _table(place, row, transport_key)


def parse_cell(name: str, cell: str) -> object:
    """The value of a cell of CSV, which has no types, by the name of its column."""
    if name in _NUMBERS and cell.isascii() and cell.isdecimal():
        return int(cell)
    return _TRUTH.get(cell, cell) if name in _TRUTHS else cell


def _table(place: str, row: Mapping[str, object], transport_key: bytes | None) -> Mapping[str, object]:
    tags = {name.removeprefix(TAG_COLUMN): _tag(value) for name, value in row.items() if _is_tag(name)}
    table = {
        name: value
        for name, value in row.items()
        if name not in INFORMATION and not _is_tag(name) and not name.endswith(WRAPPED)
    }
    if tags:
        further = table.get("tags", {})
        table["tags"] = tags | further if isinstance(further, dict) else further
    mrid = table.pop(USAGE_POINT_MRID, None)
    points = table.get("usage_points", [])
    if isinstance(mrid, str) and isinstance(points, list):
        table["usage_points"] = [*points, mrid]
    unwrapped = {
        name.removesuffix(WRAPPED): _unwrapped(place, name, value, transport_key)
        for name, value in row.items()
        if name.endswith(WRAPPED)
    }
    return table | unwrapped


def _is_tag(column: str) -> bool:
    return column in TAGS or column.startswith(TAG_COLUMN)


def _tag(value: object) -> object:
    """JSON may have a number there."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _unwrapped(place: str, name: str, value: object, transport_key: bytes | None) -> str:
    def refused(why: str) -> ShipmentError:
        return ShipmentError(f"{place}, {name}: {why}")

    if transport_key is None:
        raise refused("is wrapped, and no transport key is given to unwrap it")
    if not isinstance(value, str):
        raise refused("hexadecimal digits were expected")
    try:
        return unwrap_key(transport_key, bytes.fromhex(value), SHIPPED_LENGTHS).hex()
    except ValueError:
        raise refused("is not an even number of hexadecimal digits") from None
    except DlmsError:
        raise refused("can't be unwrapped: another transport key, or a damaged file") from None
