"""`/healthz` of HES and CIS tells when their store takes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from harness import Process, System, system, until
from patience import PATIENCE_S
from test_store_faults import full, locked


def health(ami: System, role: str) -> tuple[int, dict[str, Any]]:
    answer = httpx.get(f"http://127.0.0.1:{ami.config[role]['port']}/healthz", timeout=PATIENCE_S, trust_env=False)
    return answer.status_code, answer.json()


@pytest.fixture
def ami(tmp_path: Path) -> Iterator[System]:
    with system(tmp_path, meters=1) as one:
        yield one


def started(ami: System, role: str) -> tuple[Process, tuple[int, dict[str, Any]]]:
    if role == "hes":
        return ami.start_hes(), (200, {"status": "ok"})
    cis = ami.start_cis("--no-loop")
    cis.wait_for("ready")
    return cis, (200, {"status": "ok", "role": "cis"})


@pytest.mark.parametrize("role", ["hes", "cis"])
def test_a_locked_store_is_told(ami: System, role: str) -> None:
    _, well = started(ami, role)
    assert health(ami, role) == well
    with locked(ami.config[role]["store"]):
        until(lambda: health(ami, role)[0] == 503, "healthz says that the store is locked")
        assert set(health(ami, role)[1]["failed"]) == {"store"}
    until(lambda: health(ami, role) == well, "healthz says ok again")


@pytest.mark.parametrize("role", ["hes", "cis"])
def test_a_full_disk_is_told(ami: System, role: str) -> None:
    process, well = started(ami, role)
    assert health(ami, role) == well
    with full(process):
        until(lambda: health(ami, role)[0] == 503, "healthz says that the disk is full")
        assert set(health(ami, role)[1]["failed"]) == {"store"}
    until(lambda: health(ami, role) == well, "healthz says ok again")
