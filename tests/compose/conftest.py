"""One start of docker-compose.yml for all of these tests: four meters, a round every three seconds, and a capture of it.

Host ports are free ones and the project has a name of its own, so a running `docker compose up` is not disturbed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from free_ports import free_port, free_ports

sys.path.insert(0, str(Path(__file__).parent))

from compose_project import CONSOLE_PORTS, METERS, ROOT, Compose, Secure


@pytest.fixture(scope="session")
def captures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("captures")


@pytest.fixture(scope="session")
def docker_compose_project_name() -> str:
    return f"ami-test-{os.getpid()}"


@pytest.fixture(scope="session")
def docker_compose_file() -> str:
    return str(ROOT / "docker-compose.yml")


@pytest.fixture(scope="session")
def docker_setup(captures: Path) -> Iterator[list[str]]:
    settings = {
        "METERS": str(METERS),
        "PERIOD": "3",
        "CONNECT_AFTER": "1",
        "CIS_PORT": str(free_port()),
        "HES_PORT": str(free_port()),
        "DLMS_PORT": str(free_port()),
        **{name: str(free_port()) for name in CONSOLE_PORTS},
        "CAPTURES": str(captures),
        "METER_PORTS": "{0[0]}-{0[9]}".format(free_ports(10)),
        "COMPOSE_PROFILES": "capture,field,town",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        for name in ("SECURITY", "CYCLES", "ASYNCHRONOUS", "LOG_APDUS", "BIND", "DLMS_BIND", "METER_BIND"):
            patch.delenv(name, raising=False)
        yield ["build --quiet", "up --wait"]


@pytest.fixture(scope="session")
def docker_cleanup() -> list[str]:
    return ["logs --no-color --tail 40", "down --volumes --timeout 5"]


@pytest.fixture(scope="session")
def compose(docker_services: object, docker_compose_project_name: str) -> Compose:
    return Compose(docker_compose_project_name)


@pytest.fixture(scope="session")
def secure(compose: Compose) -> Iterator[Secure]:
    """The second profile beside the first, from the images that are built already."""
    plain = {name: value for name, value in os.environ.items() if name != "COMPOSE_PROFILES"}
    ports = {name: str(free_port()) for name in ("CIS_PORT", "HES_PORT", "DLMS_PORT", *CONSOLE_PORTS)}
    one = Secure(f"{compose.project}-secure", environment=plain | ports)
    try:
        one.run("up", "--detach", "--wait", "--no-build", "--pull", "never")
        yield one
    finally:
        print(one.run("logs", "--no-color", "--tail", "40", check=False).stdout)
        one.run("down", "--volumes", "--timeout", "5", check=False)


@pytest.fixture(scope="session", params=["open", pytest.param("secure", marks=pytest.mark.acceptance)])
def each(request: pytest.FixtureRequest) -> Compose:
    """Both profiles, for what has to hold in each of them; what the secure one has of its own, `test_secure.py` tries each time."""
    found: Compose = request.getfixturevalue({"open": "compose"}.get(request.param, request.param))
    return found
