"""Shipment files as the CIS reads them: meters by the names of CIM alone, from what was written for a CIS.

JSON is an object with `meters`, CSV has a line of names first. Of a file that has keys and addresses as well, as those for a
head-end do, nothing but the names is kept.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ami_cis.meters import Meter
from ami_process.settings import SettingsError
from ami_process.text_files import UnreadableText, read_text

MOST_CHARACTERS = 1 << 30
"""About a million meters."""
SEVERAL = ";"
"""Between several usage points in one cell of CSV."""


def read_shipments(paths: Iterable[Path]) -> Iterator[Meter]:
    """All meters of these files, in order; SettingsError when one can't be used."""
    for path in paths:
        try:
            text = read_text(path, MOST_CHARACTERS)
            rows = _json_rows(text) if text.lstrip()[:1] == "{" else csv.DictReader(io.StringIO(text), strict=True)
            for number, row in enumerate(rows, 1):
                yield _meter(path, number, row)
        except (UnreadableText, ValueError, RecursionError, csv.Error) as error:
            raise SettingsError(f"cis.shipments: {path}: {error}") from None


def _json_rows(text: str) -> list[Any]:
    rows = json.loads(text).get("meters")
    if not isinstance(rows, list):
        raise ValueError("meters is not a list")
    return rows


def _meter(path: Path, number: int, row: Any) -> Meter:
    if isinstance(row, dict) and isinstance(points := row.get("usage_points"), str):
        row = row | {"usage_points": points.split(SEVERAL)}
    try:
        return Meter.model_validate(row)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "entry"
        raise SettingsError(f"cis.shipments: {path}: meter {number}: {where}: {error.errors()[0]['msg']}") from None
