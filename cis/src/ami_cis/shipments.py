"""Shipment files as the CIS reads them: meters by the names of CIM alone, from what was written for a CIS.

Of a file that has keys and addresses as well, as those for a head-end do, nothing but the names is kept.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from ami_cis.meters import Meter
from ami_process.settings import SettingsError
from ami_process.shipment_files import ShipmentFileError, read_rows


def read_shipments(paths: Iterable[Path]) -> Iterator[Meter]:
    """All meters of these files, in order; SettingsError when one can't be used."""
    for path in paths:
        try:
            for number, row in enumerate(read_rows(path), 1):
                yield _meter(path, number, row)
        except ShipmentFileError as error:
            raise SettingsError(f"cis.shipments: {path}: {error}") from None


def _meter(path: Path, number: int, row: Mapping[str, object]) -> Meter:
    try:
        return Meter.model_validate(row)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "entry"
        raise SettingsError(f"cis.shipments: {path}: meter {number}: {where}: {error.errors()[0]['msg']}") from None
