"""A second noun over the sockets of the boxes that read and write CIM, by code that has never heard of it.

A process of its own speaks it: the inbox of the HES, both boxes of the CIS, zeep, the worker that reads large messages. The whole
way of the noun, and what it costs, are in tests/e2e/test_second_noun.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from second_noun_tree import ADDED, CIM_ROW, build, run

import ami_cim


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of packages that have the noun."""
    return build(tmp_path_factory.mktemp("second_noun"))


@pytest.mark.ci
def test_it_is_asked_for_read_and_delivered(tree: Path) -> None:
    *_, last = run(tree, str(Path(__file__).parent / "second_noun_exchange.py")).splitlines()
    seen = json.loads(last)
    assert seen == {
        "package": str(tree / "ami_cim/__init__.py"),
        "answer": "{http://iec.ch/TC57/2011/GetMeterAssetReadingMessage}MeterAssetReadingResponseMessage",
        "operations": ["GetMeterAssetReading"],
        "a wrong element": 500,
        "unsupported": ["isCoincidentTrigger"],
        "events": ["EventReceived"],
    }


def test_it_costs_sixty_lines_at_most_and_one_row() -> None:
    payload = [line for line in (ADDED / "ami_cim/payloads/meter_asset_reading.py").read_text().splitlines() if line]
    assert len(payload) <= 60
    assert len(CIM_ROW.splitlines()) <= 6
    for word in ("MeterAssetReading", "meter_asset_reading"):
        assert not [path for path in Path(ami_cim.__file__).parent.rglob("*.py") if word in _code(path)]


def _code(path: Path) -> str:
    """Without docstrings and comments, where a noun may be an example."""
    lines = path.read_text().splitlines()
    return "\n".join(line for line in lines if '"""' not in line and not line.lstrip().startswith("#"))
