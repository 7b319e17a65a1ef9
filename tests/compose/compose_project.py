"""A running `docker compose` project: commands in it, what its services say, and where they are."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
METERS = 4
TERMINAL_CODE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True)
class Compose:
    """The running project."""

    project: str

    def command(self, *arguments: str) -> list[str]:
        return ["docker", "compose", "-f", str(ROOT / "docker-compose.yml"), "-p", self.project, *arguments]

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
