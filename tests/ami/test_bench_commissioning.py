"""`ami bench-commissioning` commissions real meters of real processes; no figure of it is judged here."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from ami_cli.__main__ import app


@pytest.mark.ci
@pytest.mark.needs("proc")
@pytest.mark.needs("loopback-block")
def test_each_campaign_has_a_figure_if_every_meter_is_commissioned() -> None:
    done = CliRunner().invoke(app, ["bench-commissioning", "--meters", "3", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["campaigns"]
    assert [(one["meters"], one["keys"]) for one in found] == [(3, False), (3, True)]
    assert all(one["seconds"] > 0 and one["meters_per_second"] > 0 for one in found)
