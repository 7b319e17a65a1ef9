"""docs/howto/bring-your-own-cis.md as it is printed, beside a running demo; and what the demo then says about it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from patience import PATIENCE_S
from typer.testing import CliRunner

from ami_cim import wire
from ami_cim.schema import Schemas
from ami_cli import configuration
from ami_cli.__main__ import app

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/howto/bring-your-own-cis.md"
COMMANDS = re.findall(r"```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
CIM_MESSAGE = "{http://iec.ch/TC57/2011/schema/message}"


class Demo:
    """A running demo that speaks JSON."""

    def __init__(self, process: subprocess.Popen[str], hes_port: int) -> None:
        self._process = process
        self._hes_port = hes_port

    def heard(self, event: str, number: int = 1) -> list[dict[str, Any]]:
        """Listen until an event was there so often."""
        assert self._process.stdout is not None
        found: list[dict[str, Any]] = []
        for line in self._process.stdout:
            said = json.loads(line)
            found += [said] if said["event"] == event else []
            if len(found) == number:
                return found
        raise AssertionError(f"{event}: {len(found)} of {number}")

    def paste(self, command: str) -> str:
        """A command of the page, at this demo's port; what it prints."""
        command = command.replace("127.0.0.1:8081", f"127.0.0.1:{self._hes_port}")
        command = command.replace("ami sample", f"{sys.executable} -m ami_cli sample")
        command = re.sub("^python ", f"{sys.executable} ", command)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command], cwd=ROOT, capture_output=True, timeout=PATIENCE_S
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    def stop(self) -> dict[str, Any]:
        self._process.send_signal(signal.SIGINT)
        (summary,) = self.heard("summary")
        return summary


@pytest.fixture
def demo(document: dict[str, Any], tmp_path: Path) -> Iterator[Demo]:
    path = tmp_path / "mine.toml"
    configuration.write(document, path)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AMI_")}
    arguments = [sys.executable, "-m", "ami_cli", "demo", "--config", str(path), "--json", "--period", "3600"]
    arguments += ["--meter-sim-port", "0"]
    with subprocess.Popen(arguments, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Demo(process, document["hes"]["port"])
        finally:
            process.terminate()


@pytest.mark.ci
@pytest.mark.needs("curl")
def test_the_page_works_as_it_is_pasted_and_the_demo_shows_it(demo: Demo) -> None:
    _, _, disconnect, connect, refused, read, by_zeep = COMMANDS
    demo.heard("registers_read", 3)
    asked = ((disconnect, "OK"), (connect, "OK"), (disconnect, "OK"), (refused, "FAILED"), (read, "PARTIAL"))
    for command, result in asked:
        assert etree.fromstring(demo.paste(command).encode()).findtext(f".//{CIM_MESSAGE}Result") == result
    shown = demo.paste(by_zeep).splitlines()
    assert [line for line in shown if not line.startswith(" ")] == [
        "import of M1001: OK",
        "disconnect M1001: OK",
        "connect M1001: OK",
        "connect M0: FAILED",
    ]
    value, error = (line.split() for line in shown if line.startswith(" "))
    assert float(value[-2]) > 0 and value[-1] == "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0" and error[:2] == ["2.4", "M0"]
    summary = demo.stop()
    assert summary["others"] == {"OK": 6, "FAILED": 2, "PARTIAL": 1}
    assert (summary["requests"], summary["running"], summary["unfulfilled"]) == (2, 0, 0)


@pytest.mark.parametrize("what", ["disconnect", "connect"])
def test_the_files_are_what_the_command_writes(what: str) -> None:
    written = CliRunner().invoke(app, ["sample", what, "M1001", "--message-id", "MESSAGE-ID"]).stdout
    without_time = [line for line in written.splitlines() if "Timestamp" not in line]
    assert (ROOT / f"docs/samples/{what}.xml").read_text("utf-8").splitlines() == without_time
    wire.read_request((ROOT / f"docs/samples/{what}.xml").read_bytes(), Schemas())


def test_each_sample_has_a_message_id_of_its_own() -> None:
    messages = [
        wire.read_request(CliRunner().invoke(app, ["sample", "connect", "M1", "M2"]).stdout.encode(), Schemas()).message
        for _ in range(2)
    ]
    first, second = (message.header.message_id for message in messages)
    assert first != second
    assert None not in (first, second)
