"""One start of compose.yaml for all of these tests: four meters, a round every three seconds, and a capture of it.

Host ports are free ones and the project has a name of its own, so a running `docker compose up` is not disturbed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from free_ports import free_port

sys.path.insert(0, str(Path(__file__).parent))

ROOT = Path(__file__).parents[2]
METERS = 4
PATIENCE_S = 120.0
TERMINAL_CODE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@pytest.fixture(scope="session")
def captures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("captures")


@pytest.fixture(scope="session")
def docker_compose_project_name() -> str:
    return f"ami-test-{os.getpid()}"


@pytest.fixture(scope="session")
def docker_compose_file() -> str:
    return str(ROOT / "compose.yaml")


@pytest.fixture(scope="session")
def docker_setup(captures: Path) -> Iterator[list[str]]:
    settings = {
        "METERS": str(METERS),
        "PERIOD": "3",
        "CONNECT_AFTER": "1",
        "CIS_PORT": str(free_port()),
        "HES_PORT": str(free_port()),
        "DLMS_PORT": str(free_port()),
        "CAPTURES": str(captures),
        "COMPOSE_PROFILES": "capture",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        for name in ("SECURITY", "CYCLES", "ASYNCHRONOUS", "LOG_APDUS", "BIND", "DLMS_BIND"):
            patch.delenv(name, raising=False)
        yield ["build --quiet", "up --wait"]


@pytest.fixture(scope="session")
def docker_cleanup() -> list[str]:
    return ["logs --no-color --tail 40", "down --volumes --timeout 5"]


@dataclass(frozen=True)
class Compose:
    """The running project."""

    project: str

    def command(self, *arguments: str) -> list[str]:
        return ["docker", "compose", "-f", str(ROOT / "compose.yaml"), "-p", self.project, *arguments]

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=PATIENCE_S)
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done

    def python(self, service: str, code: str) -> subprocess.CompletedProcess[str]:
        """Run a piece of Python inside a running container."""
        return self.run("exec", "-T", service, "python", "-c", code, check=False)

    def inspect(self, service: str) -> dict[str, Any]:
        number = self.run("ps", "--all", "--quiet", service).stdout.strip()
        done = subprocess.run(["docker", "inspect", number], capture_output=True, text=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout)[0]
        return found

    def address(self, service: str, network: str) -> str:
        found: str = self.inspect(service)["NetworkSettings"]["Networks"][f"{self.project}_{network}"]["IPAddress"]
        return found

    def events(self, *services: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """What the services have said and go on saying, service by service; ends when patience does."""
        arguments = self.command("logs", "--follow", "--no-color", *services)
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as following:
            assert following.stdout is not None
            try:
                for line in following.stdout:
                    origin, _, said = TERMINAL_CODE.sub("", line).partition(" | ")
                    if said.startswith("{"):
                        yield origin.strip().rpartition("-")[0], json.loads(said)
            finally:
                following.terminate()


@pytest.fixture(scope="session")
def compose(docker_services: object, docker_compose_project_name: str) -> Compose:
    return Compose(docker_compose_project_name)
