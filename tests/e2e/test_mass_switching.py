"""A mass disconnect is stopped by the guard, approved by a second person, executed; and all of it is in an audit log that is whole.

Meters are simulated ones behind their sockets. It comes by CIM, as controls by REST, and as a campaign of keys by REST; who approves is
another principal by REST. In between the head-end is killed. The same in the browser: `tests/console/test_guard_pages.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import secured
from click.testing import Result
from free_ports import free_port
from harness import Receiver, System, system, until
from patience import PATIENCE_S
from stranger import CONNECT, DISCONNECT, Stranger
from test_population import ship, shipment, town
from typer.testing import CliRunner

from ami_cli.audit import app as audit_app
from ami_hes.__main__ import app

TOKENS = ("operator-" + "a" * 32, "officer-" + "b" * 32)


class Person:
    """Somebody with a token."""

    def __init__(self, ami: System, number: int) -> None:
        self.at = ("--url", ami.hes_url, "--token-file", str(ami.directory / f"token-{number}"))
        self.api = f"{ami.hes_url}/api/v1"
        self.headers = {"Authorization": f"Bearer {TOKENS[number]}"}

    def hes(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments, *self.at])

    def audit(self, *arguments: str) -> Result:
        return CliRunner().invoke(audit_app, [*arguments, *self.at])

    def get(self, path: str) -> dict[str, Any]:
        with httpx.Client(headers=self.headers, trust_env=False, timeout=PATIENCE_S) as client:
            found: dict[str, Any] = client.get(f"{self.api}/{path}").raise_for_status().json()
        return found

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        with httpx.Client(headers=self.headers, trust_env=False, timeout=PATIENCE_S) as client:
            found: dict[str, Any] = client.post(f"{self.api}/{path}", json=body).raise_for_status().json()
        return found


def prepared(ami: System, count: int) -> list[dict[str, Any]]:
    """The system at work, with two tokens and the limits that are there where nobody names others."""
    del ami.config["hes"]["guard"]
    ami.config["hes"] |= {
        "token_file": str(ami.directory / "tokens"),
        "max_meters_per_request": count,
        "deadline_s": max(60.0, count / 10),
        "apdu_timeout_s": 60.0,  # the question is whom the guard lets, and not how fast a busy machine's meters are
    }
    for name, text in (("tokens", "\n".join(TOKENS)), ("token-0", TOKENS[0]), ("token-1", TOKENS[1])):
        (ami.directory / name).write_text(text)
        (ami.directory / name).chmod(0o600)
    ship(ami, "json", town(free_port(), count=count, model="single-phase"))
    ami.start_meters()
    ami.start_hes()
    rows: list[dict[str, Any]] = json.loads(shipment(ami.path, "--for", "cis").stdout)["meters"]
    return rows


@pytest.mark.needs("loopback-block")
@pytest.mark.parametrize(
    "count", [60, pytest.param(10_000, marks=[pytest.mark.acceptance, pytest.mark.timeout(3_600)])]
)
def test_a_mass_disconnect_by_cim_waits_for_a_second_person(tmp_path: Path, count: int) -> None:
    receiver = Receiver()
    patience = max(PATIENCE_S, count / 5)
    with system(tmp_path) as ami:
        rows = prepared(ami, count)
        meters = [{"mRID": row["mrid"]} for row in rows]
        operator, officer = Person(ami, 0), Person(ami, 1)
        stranger = Stranger(ami.hes_url)
        refused = stranger.switch(DISCONNECT, meters)
        assert (refused.result, refused.codes) == ("FAILED", ["5.2"])
        assert f"{count:,} disconnects beside 0 in the last hour would be more than the 50" in refused.reasons
        late = {"AsyncReplyFlag": True, "ReplyAddress": receiver.url, "Source": "CIS"}
        accepted = stranger.switch(DISCONNECT, meters, message_id="blackout", **late)
        assert accepted.codes == ["0.3"] and "approval of a second person" in accepted.reasons
        assert ami.hes is not None
        ami.hes.kill()
        ami.start_hes()
        shown = officer.hes("approvals", "show", "blackout")
        who = "tests" if secured.chosen else "CIS"  # the principal that was proved, or what the message says of itself
        assert f"{count:,} meters" in shown.stdout and f"asked by {who}" in shown.stdout
        assert not receiver.bodies
        approved = officer.hes("approvals", "approve", "blackout", "--note", "the dam breaks")
        assert approved.exit_code == 0, approved.output
        until(lambda: receiver.bodies, "the reply", patience)
        assert b">OK</" in receiver.bodies[0]
        simulator = next(one for one in ami.processes if one.name.startswith("ami_meter_sim"))
        switched = {one["meter"] for one in simulator.seen("switched")}
        assert switched == {row["name"] for row in rows}
        entries = whole_log(operator)
        of_it = [one for one in entries if one.get("meters") == count]
        assert [one["what"] for one in of_it] == ["approval-wanted", "approved", "accepted"]
        assert of_it[1]["principal"] == of_it[2]["approved_by"] and of_it[1]["principal"].startswith("token ")
        assert len({one["meters_sha256"] for one in of_it}) == 1
        ended = [one for one in entries if one["what"] == "ended"]
        assert f"{count} of {count} meters OK" in {one.get("reason") for one in ended}
        assert any(one["what"] == "refused" and "would be more than" in one["reason"] for one in entries)
        assert stranger.switch(CONNECT, meters[:50]).result == "OK"  # a connect has no limit
    receiver.close()


@pytest.mark.needs("loopback-block")
@pytest.mark.parametrize(
    "count", [60, pytest.param(10_000, marks=[pytest.mark.acceptance, pytest.mark.timeout(3_600)])]
)
def test_a_mass_disconnect_by_rest_waits_for_a_second_person(tmp_path: Path, count: int) -> None:
    order = {"control": "disconnect", "groups": ["model=single-phase"]}
    with system(tmp_path) as ami:
        rows = prepared(ami, count)
        operator, officer = Person(ami, 0), Person(ami, 1)
        refused = operator.post("controls", order)
        assert (refused["result"], refused["accepted"]) == ("FAILED", False)
        assert [one["code"] for one in refused["errors"]] == ["5.2"]
        assert f"{count:,} disconnects beside 0 in the last hour would be more than" in refused["errors"][0]["reason"]
        late = order | {"asynchronous": True, "message_id": "blackout"}
        accepted = operator.post("controls", late)
        assert accepted["accepted"] and "approval of a second person" in accepted["errors"][0]["reason"]
        assert ami.hes is not None
        ami.hes.kill()
        ami.start_hes()
        assert operator.post("controls", late)["accepted"]  # the same again counts once
        own = operator.hes("approvals", "approve", "blackout")
        assert own.exit_code == 2 and "somebody else" in own.output, own.output
        shown = officer.hes("approvals", "show", "blackout")
        assert f"{count:,} meters" in shown.stdout and "asked by token " in shown.stdout
        simulator = next(one for one in ami.processes if one.name.startswith("ami_meter_sim"))
        assert simulator.seen("switched") == []
        approved = officer.hes("approvals", "approve", "blackout", "--note", "the dam breaks")
        assert approved.exit_code == 0, approved.output
        until(lambda: operator.get("requests/blackout")["request"]["result"], "an end", max(PATIENCE_S, count / 5))
        assert operator.get("requests/blackout")["request"]["result"] == "OK"
        assert {one["meter"] for one in simulator.seen("switched")} == {row["name"] for row in rows}
        assert len(simulator.seen("switched")) == count
        entries = whole_log(operator)
        of_it = [one for one in entries if one.get("meters") == count]
        assert [one["what"] for one in of_it] == ["approval-wanted", "approved", "accepted"]
        assert of_it[0]["principal"] != of_it[1]["principal"] == of_it[2]["approved_by"]
        assert of_it[2]["principal"] == of_it[0]["principal"] and of_it[0]["by"] == "bearer"
        assert len({one["meters_sha256"] for one in of_it}) == 1
        assert f"{count} of {count} meters OK" in {one.get("reason") for one in entries if one["what"] == "ended"}
        assert any(one["what"] == "refused" and "would be more than" in one["reason"] for one in entries)


@pytest.mark.needs("loopback-block")
@pytest.mark.parametrize(
    "count",
    [
        pytest.param(12, marks=pytest.mark.ci),
        pytest.param(10_000, marks=[pytest.mark.acceptance, pytest.mark.timeout(3_600)]),
    ],
)
def test_a_campaign_by_rest_waits_for_a_second_person(tmp_path: Path, count: int) -> None:
    patience = max(PATIENCE_S, count / 5)
    with system(tmp_path) as ami:
        ami.config["hes"]["guard"] = {}
        rows = prepared(ami, count)
        assert ami.hes is not None
        ami.hes.stop()
        ami.config["hes"]["guard"] = {"keys": {"per_principal": 5}}
        ami.start_hes()
        operator, officer = Person(ami, 0), Person(ami, 1)
        group = "model=single-phase"
        dry = operator.hes("keys", "roll", "--group", group, "--dry-run")
        assert dry.exit_code == 1 and "would wait for a second person's approval" in dry.stdout, dry.output
        ordered = json.loads(operator.hes("keys", "roll", "--group", group, "--json").stdout)
        assert ordered["state"] == "waiting for approval" and ordered["meters"] == len(rows)
        assert operator.hes("approvals", "approve", ordered["id"]).exit_code == 2
        assert officer.hes("approvals", "approve", ordered["id"]).exit_code == 0
        until(lambda: operator.get(f"campaigns/{ordered['id']}")["done"] == count, "the campaign", patience)
        assert operator.get(f"campaigns/{ordered['id']}")["ok"] == count
        # the last meter is done a moment before the campaign is
        until(
            lambda: "ended" in words_of(ordered["id"], operator), "the end of the campaign in the audit log", patience
        )
        assert words_of(ordered["id"], operator) == ["accepted", "approval-wanted", "approved", "ended"]


def words_of(request: str, person: Person) -> list[str]:
    """What became of a request, without what was written to each meter."""
    of_it = [one["what"] for one in whole_log(person) if one.get("request") == request]
    return [what for what in of_it if what not in ("written", "refused")]


def whole_log(person: Person) -> list[dict[str, Any]]:
    """Checked by the command, and then as it is exported."""
    checked = person.audit("verify")
    assert checked.exit_code == 0, checked.output
    return [json.loads(line) for line in person.audit("export", "--format", "jsonl").stdout.splitlines()]
