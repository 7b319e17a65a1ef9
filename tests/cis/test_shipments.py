"""Shipment files in the CIS: names of CIM alone, and a refusal that names the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ami_cis.meters import Meter
from ami_cis.settings import Settings
from ami_cis.shipments import read_shipments
from ami_process.settings import SettingsError

ROWS = [
    {"name": "M1", "mrid": "a", "usage_points": ["UP-1"], "feeder": "S1-F1", "encryption_key": "00"},
    {"name": "M2", "mrid": "b", "usage_points": ["UP-2", "UP-3"], "feeder": "S1-F1", "encryption_key": "00"},
]
METERS = [Meter(name="M1", mrid="a", usage_points=("UP-1",)), Meter(name="M2", mrid="b", usage_points=("UP-2", "UP-3"))]


def test_json_and_csv_name_the_same_meters_and_keep_no_key(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"format": 1, "meters": ROWS}))
    (tmp_path / "a.csv").write_text("name,mrid,usage_points,feeder\nM1,a,UP-1,S1-F1\nM2,b,UP-2;UP-3,S1-F1\n")
    (tmp_path / "marked.csv").write_text((tmp_path / "a.csv").read_text(), "utf-8-sig")  # as spreadsheets write it
    for name in ("a.json", "a.csv", "marked.csv"):
        found = list(read_shipments([tmp_path / name]))
        assert found == METERS
        assert "00" not in repr(found)


def test_meters_of_a_shipment_are_distinct_from_those_of_the_file() -> None:
    settings = Settings(meters=({"name": "M1", "mrid": "x"},))  # type: ignore[arg-type]
    assert len(settings.with_meters(METERS[1:]).meters) == 2
    with pytest.raises(SettingsError, match="two meters have the name 'M1'"):
        settings.with_meters(METERS)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file"),
        (b"\xff", "no text in UTF-8"),
        (b"{", "Expecting property name"),
        (b"{" * 200_000, "a.json: "),
        (b'{"meters": []}', "format None is not 1"),
        (b'{"format": 1, "meters": 1}', "meters is not a list"),
        (b'{"format": 1, "meters": [1]}', "meters is not a list of objects"),
        (b'{"format": 1, "meters": [{"name": ""}]}', "meter 1: name"),
        (b"mrid\nx\n", "name is missing"),
        (b"name,mrid\n,x\n", "meter 1: name"),
        (b"name,mrid\nM1\n", "line 2 has not as many cells"),
        (b'name\n"x\n', "a.json: "),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, content: bytes | None, why: str) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"cis\.shipments: .*") as refused:
        list(read_shipments([path]))
    assert why in str(refused.value)
