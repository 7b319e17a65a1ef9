"""Simulated meters as a process, and `ami meter` called as a person calls it, but inside the test's process."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import tomli_w
from free_ports import free_port
from typer.testing import CliRunner

from ami_cli.__main__ import app

ROOT = Path(__file__).parents[3]
EK, AK = "9B785F51767FA3192281C83EA0D0BB6F", "D322ADF6A2C591117D2571D13FCBA386"
PASSWORD = "12345678"


def meter(name: str, number: int, port: int, **change: Any) -> dict[str, Any]:
    """A [[meters]] entry."""
    simulated = {"model": "residential"} | change.pop("simulated", {})
    found = {
        "name": name,
        "mrid": f"00000000-0000-0000-0000-{number:012d}",
        "address": f"127.0.0.1:{port}",
        "encryption_key": EK,
        "authentication_key": AK,
        "system_title": f"414D49{number:010X}",
        "logical_device_name": f"AMI{number:013d}",
        "device_id": str(number),
    }
    return found | change | {"simulated": simulated}


class Fleet:
    """`python -m ami_meter_sim` with these entries; `config` is the file that both it and `--registry` read."""

    def __init__(
        self, directory: Path, entries: list[dict[str, Any]], faults: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        self.directory = directory
        self.entries = {entry["name"]: entry for entry in entries}
        self.config = directory / "ami.toml"
        document = {"meter_sim": {"state": str(directory / "meters")}, "meters": entries, "faults": list(faults)}
        self.config.write_text(tomli_w.dumps(document))
        self._process: subprocess.Popen[str] | None = None
        self._drain: threading.Thread | None = None

    @classmethod
    def of_every_kind(cls, directory: Path) -> Fleet:
        ports = [free_port() for _ in range(8)]
        secret = PASSWORD.encode().hex()
        lls = {"authentication": "lls", "secret": secret}
        return cls(
            directory,
            [
                meter("GMAC", 1001, ports[0]),
                meter("SPECIFIC", 1002, ports[1], ciphering="service-specific"),
                meter("LLS", 1003, ports[2], ciphering="none", **lls),
                meter("LLS-CIPHERED", 1004, ports[3], **lls),
                meter("CLEAR", 1005, ports[4], authentication="none"),
                meter("LIES", 1006, ports[5], simulated={"lie_about_action": True}),
                meter("DIES", 1007, ports[6], simulated={"kill_after_action": True}),
                meter("FIRST", 1008, ports[7], authentication="none"),
                meter("SECOND", 1009, ports[7], authentication="none", server_wport=2),
                meter("ARMS", 1010, free_port(), authentication="none", simulated={"control_mode": 3}),
                meter("MD5", 1012, free_port(), authentication="hls-md5", ciphering="none", secret=secret),
                meter("SHA1", 1013, free_port(), authentication="hls-sha1", secret=secret),
                meter("SHA256", 1014, free_port(), authentication="hls-sha256", ciphering="none", secret=secret),
                meter("SHA256-CIPHERED", 1015, free_port(), authentication="hls-sha256", secret=secret),
                meter("GMAC-UDP", 1016, free_port(), transport="udp"),
                meter("LLS-UDP", 1017, free_port(), transport="udp", ciphering="none", **lls),
                meter("CLEAR-UDP", 1018, free_port(), transport="udp", authentication="none"),
                meter("GMAC-HDLC", 1019, free_port(), transport="hdlc", physical_address=17),
                meter("LLS-CIPHERED-HDLC", 1020, free_port(), transport="hdlc", **lls),
                meter("CLEAR-HDLC", 1021, free_port(), transport="hdlc", authentication="none"),
                meter("FIXED", 1011, free_port(), authentication="none", simulated={"control_mode": 0}),
            ],
        )

    def port(self, name: str) -> int:
        return int(self.entries[name]["address"].rpartition(":")[2])

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "ami_meter_sim", "serve", "--config", str(self.config)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=self.directory)
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        if not said or json.loads(said)["event"] != "ready":
            self.__exit__(None, None, None)
            raise AssertionError(f"the meters did not start: {said}")
        self._drain = threading.Thread(
            target=self._process.stdout.read, daemon=True
        )  # a full pipe would stop the meters
        self._drain.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(20)
        if self._drain is not None:
            self._drain.join(20)
        assert self._process.stdout is not None
        self._process.stdout.close()


@dataclass(frozen=True)
class Result:
    """What a command ended with."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def csv(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.out)))

    def ok(self) -> Result:
        assert self.code == 0, f"{self.code}\n{self.out}\n{self.err}"
        return self


class Ami:
    """The command line; `on` takes a meter of the fleet from the registry, `run` takes everything as it is given."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet

    def run(self, *arguments: object) -> Result:
        result = CliRunner().invoke(app, ["meter", *map(str, arguments)], terminal_width=200)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Result(result.exit_code, result.stdout, result.stderr)

    def on(self, name: str, *arguments: object) -> Result:
        return self.run(*arguments, "--registry", self.fleet.config, "--meter", name)

    def at(self, name: str, *arguments: object) -> Result:
        return self.run(*arguments, "--host", "127.0.0.1", "--port", self.fleet.port(name))
