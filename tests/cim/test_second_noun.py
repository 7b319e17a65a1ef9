"""A second noun costs a payload module, the schema of its payload (and of its query) and one row: the test adds them and counts.

It adds them to a copy of the package, as production code would be added, and a process of its own speaks the noun with it: the
inbox of the HES, both boxes of the CIS, zeep, the worker that reads large messages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ami_cim

HERE = Path(__file__).parent / "second_noun"
MODULE, SCHEMAS = "meter_readings.py", ("MeterReadings.xsd", "GetMeterReadings.xsd")
ROW = """\
    Noun(
        name="MeterReadings",
        payload=meter_readings.PAYLOAD,
        query=meter_readings.QUERY,
        verbs=(),
    ),
"""
IMPORT = "from ami_cim.payloads import Payload, end_device_controls"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a package `ami_cim` that has the noun."""
    directory = tmp_path_factory.mktemp("second_noun")
    package = shutil.copytree(
        Path(ami_cim.__file__).parent, directory / "ami_cim", ignore=shutil.ignore_patterns("*.pyc")
    )
    shutil.copy(HERE / MODULE, package / "payloads")
    for schema in SCHEMAS:
        shutil.copy(HERE / schema, package / "schemas/xsd")
    nouns = package / "nouns.py"
    before = nouns.read_text()
    assert before.count(IMPORT) == before.count("\n)\n\nBY_NAME") == 1
    after = before.replace(IMPORT, f"{IMPORT}, meter_readings").replace("\n)\n\nBY_NAME", f"\n{ROW})\n\nBY_NAME")
    nouns.write_text(after)
    _run(directory, "-m", "ami_cim.templates")
    return directory


def _run(directory: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(directory)}
    command = [sys.executable, "-W", "error", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_asked_for_read_and_delivered(tree: Path) -> None:
    *_, last = _run(tree, str(HERE / "exchange.py")).splitlines()
    seen = json.loads(last)
    assert seen == {
        "package": str(tree / "ami_cim/__init__.py"),
        "answer": "{http://iec.ch/TC57/2011/GetMeterReadingsMessage}MeterReadingsResponseMessage",
        "operations": ["GetMeterReadings"],
        "a wrong element": 500,
        "unsupported": ["isCoincidentTrigger"],
        "events": ["EventReceived"],
    }


def test_nothing_else_of_the_package_was_touched(tree: Path) -> None:
    theirs, ours = tree / "ami_cim", Path(ami_cim.__file__).parent
    written = {str(path.relative_to(theirs)) for path in theirs.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    changed = {
        name
        for name in written
        if not (ours / name).is_file() or (ours / name).read_bytes() != (theirs / name).read_bytes()
    }
    by_hand = {f"payloads/{MODULE}", *(f"schemas/xsd/{schema}" for schema in SCHEMAS), "nouns.py"}
    generated = {
        "schemas/xsd/MeterReadingsMessage.xsd",
        "schemas/xsd/GetMeterReadingsMessage.xsd",
        "schemas/wsdl/GetMeterReadings.wsdl",
        "schemas/wsdl/ReplyMeterReadings.wsdl",
    }
    assert changed == by_hand | generated


def test_it_costs_sixty_lines_at_most_and_one_row() -> None:
    payload = [line for line in (HERE / MODULE).read_text().splitlines() if line]
    assert len(payload) <= 60
    assert len(ROW.splitlines()) <= 6
    for word in ("MeterReadings", "meter_readings"):
        assert not [path for path in Path(ami_cim.__file__).parent.rglob("*.py") if word in _code(path)]


def _code(path: Path) -> str:
    """Without docstrings and comments, where a noun may be an example."""
    lines = path.read_text().splitlines()
    return "\n".join(line for line in lines if '"""' not in line and not line.lstrip().startswith("#"))
