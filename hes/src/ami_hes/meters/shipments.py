"""Shipment files as the head-end reads them: bounded, and with the file named in every refusal."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ami_process.secret_sources import SecretSources
from ami_process.settings import SettingsError
from ami_process.shipment_files import ShipmentFileError, read_rows
from ami_registry import ShipmentError, parse_cell, parse_row, parse_secret


def read_shipments(paths: Iterable[Path], transport_key: str | None) -> Mapping[str, object]:
    """The tables of all meters by the words for their place; SettingsError when a file can't be used."""
    key = transport_key_of(transport_key)
    return {place: table for path in paths for place, table in read_shipment(path, key)}


def read_shipment(path: Path, transport_key: bytes | None) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The words for the place of each meter, and its table; SettingsError as above, as late as when its row is reached."""
    try:
        for number, row in enumerate(read_rows(path, parse_cell), 1):
            place = f"{path}, meter {number}"
            yield place, parse_row(f"meter {number}", row, transport_key)
    except (ShipmentFileError, ShipmentError) as error:
        raise SettingsError(f"hes.shipments: {path}: {error}") from None


def transport_key_of(reference: str | None) -> bytes | None:
    """The key that `hes.transport_key` names; SettingsError when it can't be had."""
    if reference is None:
        return None
    try:
        return parse_secret(reference, SecretSources(os.environ))
    except ValueError as error:
        raise SettingsError(f"hes.transport_key: {error}") from None
