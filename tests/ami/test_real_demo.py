"""`ami demo` as a stranger starts it, with the real CIS, HES and meters in their own processes."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from free_ports import free_ports

from ami_cli import configuration

PATIENCE_S = 200
"""Four processes start, each of them with much to import, and the machine may be busy."""
WITHOUT_CONSOLES = ("--meter-sim-port", "0")
CONSOLES = free_ports(2)
pytestmark = pytest.mark.timeout(3 * PATIENCE_S)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("--meter-sim-port", str(CONSOLES[0])), marks=pytest.mark.ci),
        pytest.param(("--security", "none"), marks=pytest.mark.ci),
        ("--mode", "dial-in", "--asynchronous"),
        pytest.param(("--meters", "3"), marks=pytest.mark.ci),
        pytest.param(("--meters", "150", "--meter-port", str(free_ports(3)[0])), marks=pytest.mark.ci),
    ],
    ids=[
        "default, with consoles",
        "unencrypted",
        "dial-in and asynchronous",
        "three meters",
        "a population beside its own two",
    ],
)
def test_every_command_is_confirmed_by_every_meter(
    document: dict[str, Any], tmp_path: Path, options: tuple[str, ...]
) -> None:
    path = tmp_path / "mine.toml"
    configuration.write(document, path)
    arguments = (
        "demo",
        "--config",
        str(path),
        "--cycles",
        "1",
        "--period",
        "0.2",
        "--json",
        *WITHOUT_CONSOLES,
        *options,
    )
    done = subprocess.run(
        [sys.executable, "-m", "ami_cli", *arguments],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("AMI_")},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    confirms_every_command(done.stdout, document, meters=int(options[1]) if "--meters" in options else 2)
    ready = [json.loads(line) for line in done.stdout.splitlines() if '"role": "meter"' in line]
    served = {one["process"]: one["listen"][1:] for one in ready if one["process"] in ("M1001", "M1002")}
    consoles = [f"127.0.0.1:{port}" for port in CONSOLES] if "--meter-sim-port" in options else []
    assert served == {name: consoles[index : index + 1] for index, name in enumerate(("M1001", "M1002"))}
    assert list((tmp_path / "var").glob("demo-*")) == [], "nothing is left of a demo that went well"


def confirms_every_command(said: str, document: dict[str, Any], meters: int) -> None:
    """What a demo of one cycle says when all went well, and no key is in it."""
    lines = [json.loads(line) for line in said.splitlines()]
    summary = lines[-1]
    assert (summary["event"], summary["cycles"], summary["trouble"]) == ("summary", 1, [])
    assert summary["confirmed_commands"] == summary["commands"] == 2 * meters
    read = [line for line in lines if line["event"] == "registers_read"]
    assert [len(one["registers"]) + one["more"] for one in read] == [meters] * 3, "before, between and after"
    assert (summary["reads"], summary["reads_ok"]) == (3, 3)
    switched = Counter(line["method"] for line in lines if line["event"] == "switched")
    assert switched == {"remote_disconnect": meters, "remote_reconnect": meters}, "the meters themselves say so too"
    keys = {meter[key] for meter in document["meters"] for key in ("encryption_key", "authentication_key")}
    assert not any(key.lower() in said.lower() for key in keys)


@pytest.mark.ci
def test_a_second_demo_beside_the_first_by_the_options_that_it_is_told(
    document: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "mine.toml"
    configuration.write(document, path)
    console = ["--meter-sim-port", str(free_ports(2)[0])]
    command = [sys.executable, "-m", "ami_cli", "demo", "--config", str(path), "--json", *console, "--period"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AMI_")}
    started: dict[str, Any] = {"cwd": tmp_path, "env": environment, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, "3600"], **started) as first:
        try:
            assert first.stdout is not None
            said = list(itertools.takewhile(lambda line: '"reply_received"' not in line, first.stdout))
            assert first.poll() is None, said
            command += ["0.2", "--cycles", "1"]
            refused = subprocess.run(command, **started, stderr=subprocess.PIPE, timeout=PATIENCE_S)
            assert refused.returncode == 98
            options = refused.stderr.rpartition("ami demo ")[2].partition(")")[0].split()
            assert "--meter-sim-port" in options
            second = subprocess.run([*command, *options], **started, timeout=PATIENCE_S)
            assert second.returncode == 0, second.stdout
            confirms_every_command(second.stdout, document, meters=2)
            assert (tmp_path / "var/second/hes.sqlite").exists()
        finally:
            first.terminate()
