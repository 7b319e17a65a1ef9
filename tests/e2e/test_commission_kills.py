"""Meters of a shipment with wrapped default keys are commissioned while the head-end is killed: every one is, and none is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from free_ports import free_port
from harness import system, until
from stranger import CONNECT, Stranger
from test_key_campaigns import campaign, hes_command
from test_population import ship, shipment, town

COUNT, KILLS = 12, 4


@pytest.mark.ci
@pytest.mark.needs("loopback-block")
def test_all_of_a_shipment_are_commissioned_whoever_is_killed(tmp_path: Path) -> None:
    with system(tmp_path) as ami:
        push = {"setup": "0-4:25.9.0", "destination": "127.0.0.1:4059"}
        ami.config["hes"] |= {
            "lanes": {"campaign": {"attempts": 50, "retry_most_s": 1.0}},
            "commissioning": {"push": [push]},
            "max_sessions": 8,
        }
        file = ship(ami, "json", town(free_port(), count=COUNT, model="single-phase"))
        content = json.loads(file.read_text("utf-8"))
        for row in content["meters"]:
            row["default_keys"] = True
        file.write_text(json.dumps(content), "utf-8")
        ami.config["meters"] = []
        ami.start_together()
        ordered = hes_command(ami, "meters", "commission", "--all-new", "--json")
        assert ordered.exit_code == 0, ordered.output
        campaign_id = json.loads(ordered.stdout)["id"]
        for _ in range(KILLS):
            assert ami.hes is not None
            ami.hes.wait_for_some("meter_done", 1)
            ami.hes.kill()
            ami.start_hes()
            if campaign(ami, campaign_id)["done"] == COUNT:
                break
        until(lambda: campaign(ami, campaign_id)["done"] == COUNT, "the end of the campaign", 300.0, every_s=0.5)
        found = campaign(ami, campaign_id)
        assert (found["meters"], found["ok"], found["failures"]) == (COUNT, COUNT, [])
        listed = json.loads(hes_command(ami, "meters", "list", "--state", "commissioned", "--json").stdout)
        assert listed["total"] == COUNT
        shown = json.loads(hes_command(ami, "meters", "show", listed["meters"][0]["name"], "--json").stdout)
        assert [one["step"] for one in shown["commissioning"]["steps"]].count("keys") == 2
        rows = json.loads(shipment(ami.path, "--for", "cis").stdout)["meters"]
        answer = Stranger(ami.hes_url).switch(CONNECT, [{"mRID": row["mrid"]} for row in rows])
        assert (answer.result, answer.failures) == ("OK", []), answer.reasons
