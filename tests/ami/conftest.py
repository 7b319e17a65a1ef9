from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from free_ports import APART, PORTS, free_port

sys.path.insert(0, str(Path(__file__).parent))

ROOT = Path(__file__).parents[2]


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    """The demo's configuration on free ports, with its state in a directory of the test's own, patient with a busy machine."""
    return _document(tmp_path, PORTS)


@pytest.fixture
def document_apart(tmp_path: Path) -> dict[str, Any]:
    """The same where the ports beside are free too, for demos that choose some of them."""
    return _document(tmp_path, APART)


def _document(tmp_path: Path, ports: range) -> dict[str, Any]:
    found = tomllib.loads((ROOT / "config/demo.toml").read_text("utf-8"))
    found["cis"] |= {"port": free_port(ports), "store": str(tmp_path / "cis.sqlite")}
    found["hes"] |= {"port": free_port(ports), "dlms_port": free_port(ports), "store": str(tmp_path / "hes.sqlite")}
    found["hes"] |= {"apdu_timeout_s": 60.0, "deadline_s": 120.0}
    found["cis"]["request_timeout_s"] = 150.0
    found["cis"]["hes_url"] = f"http://127.0.0.1:{found['hes']['port']}"
    found["meter_sim"]["state"] = str(tmp_path / "meters")
    for meter in found["meters"]:
        meter["address"] = f"127.0.0.1:{free_port(ports)}"
    return found
