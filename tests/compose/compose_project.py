"""A running `docker compose` project: commands in it, what its services say, and where they are."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
from patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
METERS = 4
PORTS = {"cis": "8080", "hes": "8081", "meter-1": "8082", "meter-2": "8083", "meters": "8084", "field": "8085"}
CONSOLE_PORTS = ("METER_SIM_PORT", "METER_SIM_2_PORT", "METER_SIM_3_PORT", "FIELD_PORT")
"""Variables that say where those of meters are published."""
T = TypeVar("T")
TERMINAL_CODE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True)
class Project:
    """A project by its file."""

    project: str
    file: Path = ROOT / "docker-compose.yml"
    environment: Mapping[str, str] | None = None

    def command(self, *arguments: str) -> list[str]:
        return ["docker", "compose", "-f", str(self.file), "-p", self.project, *arguments]

    def run(
        self, *arguments: str, check: bool = True, patience_s: float = PATIENCE_S
    ) -> subprocess.CompletedProcess[str]:
        command = self.command(*arguments)
        done = subprocess.run(command, capture_output=True, text=True, timeout=patience_s, env=self.environment)
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done

    @contextmanager
    def up(self, *services: str) -> Iterator[None]:
        """Started one after the other, each once it has said that it is ready; nothing of them is left."""
        try:
            for service in services:
                self.run("up", "--detach", "--no-build", "--pull", "never", service)
                self.until(partial(self._said, service), lambda said: '"event": "ready"' in said)
            yield
        finally:
            print(self.run("logs", "--no-color", "--tail", "40", check=False).stdout)
            self.run("down", "--volumes", "--timeout", "5", check=False)

    def _said(self, service: str) -> str:
        return self.run("logs", "--no-color", service).stdout

    def until(self, look: Callable[[], T], is_there: Callable[[T], bool]) -> T:
        """What is seen once it is there; each look starts a process, so that they are not many."""
        until = time.monotonic() + PATIENCE_S
        while not is_there(found := look()):
            assert time.monotonic() < until, f"it never came: {found}"
        return found


class Compose(Project):
    """The running project of docker-compose.yml."""

    def python(self, service: str, code: str) -> subprocess.CompletedProcess[str]:
        """Run a piece of Python inside a running container."""
        return self.run("exec", "-T", service, "python", "-c", code, check=False)

    def inspect(self, service: str) -> dict[str, Any]:
        number = self.run("ps", "--all", "--quiet", service).stdout.strip()
        done = subprocess.run(["docker", "inspect", number], capture_output=True, text=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout)[0]
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """Of its meters."""
        return tuple(f"M{1001 + index}" for index in range(METERS))

    def client(self, service: str) -> httpx.Client:
        """To what a service publishes, from this machine."""
        where = self.run("port", service, PORTS[service]).stdout.strip()
        return httpx.Client(base_url=f"http://{where}", trust_env=False, timeout=PATIENCE_S)

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


class Secure(Compose):
    """The same with the second file: mutual TLS, and nobody let in but CIS and HES."""

    def command(self, *arguments: str) -> list[str]:
        files = ["-f", str(self.file), "-f", str(ROOT / "docker-compose.secure.yml")]
        return ["docker", "compose", *files, "-p", self.project, *arguments]

    def client(self, service: str) -> httpx.Client:
        """With the certificate of the service itself, whom it does not know as a client: a token has to be shown as well."""
        where = self.run("port", service, PORTS[service]).stdout.strip()
        with tempfile.TemporaryDirectory() as name:
            for file in ("authorities.pem", "certificate.pem", "key.pem"):
                Path(name, file).write_text(self.run("exec", "-T", service, "cat", f"/tls/{service}/{file}").stdout)
            context = ssl.create_default_context(cafile=Path(name, "authorities.pem"))
            context.load_cert_chain(Path(name, "certificate.pem"), Path(name, "key.pem"))
        return httpx.Client(base_url=f"https://{where}", verify=context, trust_env=False, timeout=PATIENCE_S)
