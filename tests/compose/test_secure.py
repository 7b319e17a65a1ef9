"""The containers with mutual TLS: the same rounds, confirmed by every meter, and nobody let in but CIS and HES."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from compose_project import ROOT, TERMINAL_CODE, Compose
from free_ports import free_port
from patience import PATIENCE_S

pytestmark = [pytest.mark.compose, pytest.mark.needs("docker"), pytest.mark.timeout(600)]
PORTS = {name: str(free_port()) for name in ("CIS_PORT", "HES_PORT", "DLMS_PORT")}


@dataclass(frozen=True)
class Secure(Compose):
    """With the second file."""

    def command(self, *arguments: str) -> list[str]:
        files = ["-f", str(self.file), "-f", str(ROOT / "docker-compose.secure.yml")]
        return ["docker", "compose", *files, "-p", self.project, *arguments]


@pytest.fixture(scope="module")
def secure(compose: Compose) -> Iterator[Secure]:
    """From the images that are built already."""
    plain = {name: value for name, value in os.environ.items() if name != "COMPOSE_PROFILES"}
    environment = plain | PORTS | {"METERS": "2", "PERIOD": "2", "CONNECT_AFTER": "1", "CYCLES": "1"}
    one = Secure(f"{compose.project}-secure", environment=environment)
    with one.up("hes", "cis"):
        yield one


def test_a_round_over_tls_is_confirmed_by_every_meter(secure: Secure) -> None:
    def done() -> list[dict[str, Any]]:
        printed = secure.run("logs", "--no-color", "--no-log-prefix", "cis").stdout
        said = TERMINAL_CODE.sub("", printed).splitlines()
        events = [json.loads(line) for line in said if line.startswith("{")]
        return [event for event in events if event["event"] == "done"]

    end = secure.until(done, bool)[0]
    assert (end["cycles"], end["failed"]) == (1, 0)
    assert end["confirmed"] == end["commands"] > 0


def test_who_shows_no_certificate_gets_no_answer(secure: Secure) -> None:
    port = PORTS["HES_PORT"]
    with pytest.raises(httpx.TransportError):
        httpx.get(f"https://127.0.0.1:{port}/healthz", verify=False, trust_env=False, timeout=PATIENCE_S)
    plain = httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False, timeout=PATIENCE_S)
    assert (plain.status_code, "https://" in plain.text) == (400, True)
