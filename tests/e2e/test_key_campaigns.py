"""Keys of a group are rolled while head-end and meters are killed: every meter is changed once, none is lost, no key is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import Result
from free_ports import free_port
from harness import System, system, until
from stranger import CONNECT, Stranger
from test_population import ship_and_start, shipment, town
from typer.testing import CliRunner

from ami_hes.__main__ import app

KILLS = 6
"""Of the head-end; after half of them the meters are killed as well."""


def hes_command(ami: System, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--url", ami.hes_url])


def campaign(ami: System, campaign_id: str) -> dict[str, Any]:
    shown = hes_command(ami, "campaigns", "show", campaign_id, "--json")
    assert shown.exit_code == 0, shown.output
    found: dict[str, Any] = json.loads(shown.stdout)
    return found


@pytest.mark.needs("loopback-block")
@pytest.mark.parametrize(
    "count",
    [
        pytest.param(12, marks=pytest.mark.ci),
        pytest.param(100, marks=[pytest.mark.acceptance, pytest.mark.timeout(900)]),
    ],
)
@pytest.mark.parametrize(
    ("key", "model", "suite"),
    [
        ("encryption", "single-phase", 0),
        *(
            pytest.param(*one, marks=pytest.mark.acceptance)
            for one in (
                ("authentication", "single-phase", 0),
                ("encryption", "three-phase", 1),
                ("authentication", "three-phase", 2),
                ("master", "three-phase", 0),
                ("master", "three-phase", 2),
            )
        ),
    ],
)
def test_the_keys_of_a_group_are_rolled_whoever_is_killed(
    tmp_path: Any, count: int, key: str, model: str, suite: int
) -> None:
    """A master key is transferred by version 1 of the security setup alone."""
    with system(tmp_path) as ami:
        ami.config["hes"]["lanes"] = {"campaign": {"attempts": 50, "retry_most_s": 1.0}}
        ami.config["hes"]["max_sessions"] = 8
        ship_and_start(ami, "json", town(free_port(), count=count, model=model, suite=suite))
        rows = json.loads(shipment(ami.path, "--for", "cis").stdout)["meters"]
        meters = [name for row in rows for name in ("--meter", row["name"])]
        ordered = hes_command(ami, "keys", "roll", "--key", key, "--json", *meters)
        assert ordered.exit_code == 0, ordered.output
        campaign_id = json.loads(ordered.stdout)["id"]
        for kill in range(1, KILLS + 1):
            assert ami.hes is not None
            ami.hes.wait_for_some("meter_done", 1)
            ami.hes.kill()
            if kill == KILLS // 2:
                simulator = next(one for one in ami.processes if one.name.startswith("ami_meter_sim"))
                simulator.kill()
                ami.start_meters()
            ami.start_hes()
            if campaign(ami, campaign_id)["done"] == count:
                break
        until(lambda: campaign(ami, campaign_id)["done"] == count, "the end of the campaign", 300.0, every_s=0.5)
        found = campaign(ami, campaign_id)
        assert (found["ok"], found["failures"], found["state"]) == (count, [], "ended")
        assert ami.hes is not None
        ami.hes.kill()
        ami.start_hes()
        answer = Stranger(ami.hes_url).switch(CONNECT, [{"mRID": row["mrid"]} for row in rows])
        assert (answer.result, answer.failures) == ("OK", []), answer.reasons
