"""A second noun, the reading of one register, as it would be added to the packages: what is in `second_noun`, and the rows here.

It is added to copies of the packages, so that a process which finds these first serves the noun by code that has never heard of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from patience import PATIENCE_S

import ami_cim
import ami_hes

ADDED = Path(__file__).parent / "second_noun"
PACKAGES = {package.__name__: Path(package.__file__ or "").parent for package in (ami_cim, ami_hes)}
CIM_ROW = """\
    Noun(
        name="MeterAssetReading",
        payload=meter_asset_reading.PAYLOAD,
        query=meter_asset_reading.QUERY,
        verbs=(),
    ),
"""
ROWS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "ami_cim/nouns.py": (
        ("from ami_cim.payloads import (\n    Payload,\n", "    meter_asset_reading,\n"),
        ("\n        repair=end_device_controls.reorder,\n    ),\n", CIM_ROW),
    ),
    "ami_hes/served.py": (
        (
            "from ami_hes import operation_sets\n",
            "from ami_hes.nouns import meter_asset_reading\nfrom ami_hes.operations import read_register\n",
        ),
        (
            '    "EndDeviceControls": OnMeters(end_device_controls, end_device_controls),\n',
            '    "MeterAssetReading": OnMeters(meter_asset_reading),\n',
        ),
        ("    contactor.NAME: contactor.OPERATION,\n", "    read_register.NAME: read_register.OPERATION,\n"),
    ),
}
"""For each table, behind what its rows are added, and the rows."""
GENERATED = {
    "ami_cim/schemas/xsd/MeterAssetReadingMessage.xsd",
    "ami_cim/schemas/xsd/GetMeterAssetReadingMessage.xsd",
    "ami_cim/schemas/wsdl/GetMeterAssetReading.wsdl",
    "ami_cim/schemas/wsdl/ReplyMeterAssetReading.wsdl",
    "ami_cim/schemas/xsd/MeterAssetReadingOperationSetMessage.xsd",
    "ami_cim/schemas/wsdl/ExecuteMeterAssetReadingOperationSet.wsdl",
}
"""Written by `python -m ami_cim.templates` from the row."""


def build(directory: Path) -> Path:
    """The directory with copies of the packages, and the noun in them."""
    for name, package in PACKAGES.items():
        shutil.copytree(package, directory / name, ignore=shutil.ignore_patterns("*.pyc"))
    for path in added():
        shutil.copy(ADDED / path, directory / path)
    for name, rows in ROWS.items():
        text = (directory / name).read_text()
        for behind, row in rows:
            assert text.count(behind) == 1, behind
            text = text.replace(behind, behind + row)
        (directory / name).write_text(text)
    run(directory, "-m", "ami_cim.templates")
    return directory


def added() -> list[str]:
    """The files of the noun, as paths inside the directory."""
    return sorted(str(path.relative_to(ADDED)) for path in ADDED.rglob("*") if path.suffix in (".py", ".xsd"))


def run(directory: Path, *arguments: str) -> str:
    """What a Python prints that finds these packages first."""
    command = [sys.executable, "-W", "error", *arguments]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(directory), str(Path(__file__).parent)))}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def changed(directory: Path) -> set[str]:
    """All files that are not as the packages have them."""
    written = {
        str(path.relative_to(directory))
        for name in PACKAGES
        for path in (directory / name).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    return {
        path
        for path in written
        if not (original := _original(path)).is_file() or original.read_bytes() != (directory / path).read_bytes()
    }


def lines(path: str) -> int:
    """How many lines a file or the rows of a table cost."""
    if path in ROWS:
        return sum(max(1, len(row.splitlines())) for _, row in ROWS[path])
    return len([line for line in (ADDED / path).read_text().splitlines() if line])


def _original(path: str) -> Path:
    package, _, rest = path.partition("/")
    return PACKAGES[package] / rest
