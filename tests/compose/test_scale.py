"""The head-end as many processes, in containers: the CIS goes on through its balancer while a worker and the front end that it waits for are killed, and every round is confirmed.

Half of the meters are called, the others dial in. The rounds are judged as those of docker-compose.yml are: by what CIS and meters say themselves.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
import pytest
from compose_project import ROOT, TERMINAL_CODE, Project
from free_ports import free_port
from patience import PATIENCE_S

from ami_cli.demo_state import DemoState

pytestmark = [pytest.mark.compose, pytest.mark.needs("docker"), pytest.mark.timeout(600)]
METERS = 20
NAMES = tuple(f"M{1001 + index}" for index in range(METERS))
ROLES = {"cis": "cis", "front": "hes", "worker": "hes", "listener": "hes", "called": "meter", "dialling": "meter"}
AFTER = 2
"""Rounds that are confirmed after the kills, and one before them."""


@pytest.fixture(scope="module")
def scale(compose: Project) -> Iterator[Project]:
    """From the images that `compose` has built, and the two of its own."""
    plain = {name: value for name, value in os.environ.items() if name != "COMPOSE_PROFILES"}
    ports = {name: str(free_port()) for name in ("CIS_PORT", "HES_PORT", "DLMS_PORT", "PROMETHEUS_PORT")}
    settings = {"PERIOD": "3", "CYCLES": "0"}
    one = Project(f"{compose.project}-scale", ROOT / "docker-compose.scale.yml", plain | ports | settings)
    try:
        one.run("build", "--quiet", "haproxy", "prometheus", patience_s=3 * PATIENCE_S)
        one.run("up", "--detach", "--wait", "--no-build", patience_s=3 * PATIENCE_S)  # fifteen containers
        yield one
    finally:
        print(one.run("logs", "--no-color", "--tail", "30", check=False).stdout)
        one.run("down", "--volumes", "--timeout", "2", check=False)


def said(scale: Project) -> Iterator[tuple[str, dict[str, Any]]]:
    """Container by container, with its number."""
    line = scale.command("logs", "--follow", "--no-color", *ROLES)
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=scale.environment) as following:
        assert following.stdout is not None
        watchdog = threading.Timer(PATIENCE_S, following.terminate)
        watchdog.start()
        try:
            for text in following.stdout:
                origin, _, event = TERMINAL_CODE.sub("", text).partition(" | ")
                if event.startswith("{"):
                    yield origin.strip(), json.loads(event)
        finally:
            watchdog.cancel()
            following.terminate()


def kill(scale: Project, container: str) -> None:
    subprocess.run(["docker", "kill", f"{scale.project}-{container}"], check=True, capture_output=True)


@pytest.fixture(scope="module")
def rounds(scale: Project) -> tuple[DemoState, list[str]]:
    """What CIS and meters said, and who was killed meanwhile: the worker that is the last to have worked, and the front end that has just accepted a control."""
    model, killed = DemoState(meters=NAMES, started_at=datetime.now(UTC)), list[str]()
    worker, wanted = "", 0
    for container, event in said(scale):
        service = container.rpartition("-")[0]
        if service in ROLES:
            model.apply(ROLES[service], event, datetime.now(UTC))
        if service == "worker" and event["event"] == "meter_done":
            worker = container
        total = model.summary()
        if not killed and worker and total.cycles and _is_control(service, event):
            killed, wanted = [worker, container], total.cycles + AFTER
            for one in killed:
                kill(scale, one)
        if killed and total.cycles >= wanted and not total.unfulfilled:
            break
    return model, killed


def _is_control(service: str, event: dict[str, Any]) -> bool:
    return service == "front" and event["event"] == "request_accepted" and event["noun"] == "EndDeviceControls"


def test_every_round_is_confirmed_by_every_meter_whoever_is_killed(rounds: tuple[DemoState, list[str]]) -> None:
    model, killed = rounds
    total = model.summary()
    assert [one.rpartition("-")[0] for one in killed] == ["worker", "front"]
    assert total.cycles >= 1 + AFTER and total.unfulfilled == 0, [
        (one.code, one.result, one.reasons) for one in model.newest_first
    ]
    switched = {one.who for one in model.happenings if one.text in ("connected", "disconnected")}
    assert switched == set(NAMES), "those that are called and those that dial in say so too"


def test_prometheus_measures_every_role_and_understands_the_dashboard(
    scale: Project, rounds: tuple[DemoState, list[str]]
) -> None:
    where = scale.run("port", "prometheus", "9090").stdout.strip()
    with httpx.Client(base_url=f"http://{where}/api/v1", trust_env=False, timeout=PATIENCE_S) as prometheus:
        up = partial(_asked, prometheus, "sum by (job) (up)")
        found = scale.until(up, lambda rows: {row["metric"]["job"]: row["value"][1] for row in rows} == LEFT)
        assert len(found) == len(LEFT)
        dashboard = json.loads((ROOT / "docker/scale/dashboards/head-end.json").read_text("utf-8"))
        known = set(prometheus.get("/metadata").json()["data"])
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                _asked(prometheus, target["expr"])
                names = set(re.findall(r"\b(?:hes|process)_\w+", target["expr"]))
                assert {name.removesuffix("_bucket") for name in names} <= known, panel["title"]
        (depth,) = _asked(prometheus, 'max(hes_lane_depth{lane="control"})')
        assert float(depth["value"][1]) >= 0


LEFT = {"front": "1", "worker": "2", "listener": "2"}
"""Of each role, after the kills."""


def _asked(prometheus: httpx.Client, question: str) -> list[dict[str, Any]]:
    answer = prometheus.get("/query", params={"query": question}).json()
    assert answer["status"] == "success", (question, answer)
    rows: list[dict[str, Any]] = answer["data"]["result"]
    return rows
