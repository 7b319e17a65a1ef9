"""`ami bench-security` measures a head-end for each way of sending; no figure of it is judged here."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from ami_cli.__main__ import app


@pytest.mark.ci
@pytest.mark.needs("proc")
def test_each_way_of_sending_has_a_figure() -> None:
    done = CliRunner().invoke(app, ["bench-security", "--requests", "20", "--runs", "2", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["security"]
    assert [one["way"] for one in found] == ["open", "TLS", "TLS, a connection each", "TLS and signatures"]
    assert found[0]["ratio"] == 1.0 and all(one["median_ms"] > 0 for one in found)
