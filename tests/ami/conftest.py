from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from free_ports import free_port, free_ports

sys.path.insert(0, str(Path(__file__).parent))

ROOT = Path(__file__).parents[2]


MORE_METERS = 2
"""Ports behind those of the file's meters, for a demo that is told to start more."""


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    """The demo's configuration on free ports, with its state in a directory of the test's own, patient with a busy machine."""
    found = tomllib.loads((ROOT / "config/demo.toml").read_text("utf-8"))
    found["cis"] |= {"port": free_port(), "store": str(tmp_path / "cis.sqlite")}
    found["hes"] |= {"port": free_port(), "dlms_port": free_port(), "store": str(tmp_path / "hes.sqlite")}
    found["hes"] |= {"apdu_timeout_s": 60.0, "deadline_s": 120.0}
    found["cis"]["request_timeout_s"] = 150.0
    found["cis"]["hes_url"] = f"http://127.0.0.1:{found['hes']['port']}"
    found["meter_sim"]["state"] = str(tmp_path / "meters")
    ports = free_ports(len(found["meters"]) + MORE_METERS)
    for meter, port in zip(found["meters"], ports, strict=False):
        meter["address"] = f"127.0.0.1:{port}"
    return found
