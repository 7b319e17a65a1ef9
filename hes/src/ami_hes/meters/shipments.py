"""Shipment files as the head-end reads them: bounded, and with the file named in every refusal."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from ami_process.secret_sources import SecretSources
from ami_process.settings import SettingsError
from ami_process.shipment_files import ShipmentFileError, read_rows
from ami_registry import ShipmentError, parse_cell, parse_secret, parse_shipment


def read_shipments(paths: Iterable[Path], transport_key: str | None) -> Mapping[str, object]:
    """The tables of all meters by the words for their place; SettingsError when a file can't be used."""
    key = None if transport_key is None else _key(transport_key)
    found: dict[str, object] = {}
    for path in paths:
        try:
            tables = parse_shipment(read_rows(path, parse_cell), key)
        except (ShipmentFileError, ShipmentError) as error:
            raise SettingsError(f"hes.shipments: {path}: {error}") from None
        found |= {f"{path}, meter {number}": table for number, table in enumerate(tables, 1)}
    return found


def _key(reference: str) -> bytes:
    try:
        return parse_secret(reference, SecretSources(os.environ))
    except ValueError as error:
        raise SettingsError(f"hes.transport_key: {error}") from None
