"""The command line: options, exit codes, and help that a stranger can act upon."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ami_cli import configuration
from ami_cli.__main__ import app

ALONE = ("--meter-sim-port", "0")


def test_a_taken_port_is_exit_code_98_with_advice(document: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    configuration.write(document, path)
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        result = CliRunner().invoke(app, ["demo", "--config", str(path), "--hes-port", str(port), *ALONE])
    assert result.exit_code == 98
    assert f"127.0.0.1:{port} (TCP) is taken: wanted by hes.port" in result.output
    assert "make demo HES_PORT=" in result.output


def test_a_port_may_come_from_the_environment(document: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    configuration.write(document, path)
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        result = CliRunner().invoke(app, ["demo", "--config", str(path), *ALONE], env={"AMI_CIS__PORT": port})
    assert result.exit_code == 98
    assert "wanted by cis.port" in result.output


def test_when_nobody_reads_any_longer_the_demo_stops_without_a_word(document: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    configuration.write(document, path)
    arguments = [sys.executable, "-m", "ami_cli", "demo", "--config", str(path), *ALONE]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--state", "mine.toml"], "mine.toml: File exists; choose another place"),
        (["--meter-port", "65535", "--meters", "2"], "2 meters from port 65535 on need ports above 65535"),
    ],
)
def test_what_a_demo_cannot_use_is_said_in_words(
    document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    configuration.write(document, Path("mine.toml"))
    result = CliRunner().invoke(app, ["demo", "--config", "mine.toml", *ALONE, *options])
    assert result.exit_code == 1
    assert said in result.output


def test_a_period_without_end_is_refused() -> None:
    result = CliRunner().invoke(app, ["demo", "--period", "inf"])
    assert result.exit_code == 2 and "--period" in result.output


def test_a_missing_configuration_is_named() -> None:
    result = CliRunner().invoke(app, ["demo", "--config", "nowhere.toml"])
    assert result.exit_code == 1
    assert "nowhere.toml" in result.output


def test_the_fleet_goes_to_the_screen_too(document: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    configuration.write(document, path)
    result = CliRunner().invoke(app, ["fleet", "--base", str(path), "--count", "3", "--address", "127.0.0.1:5000"])
    assert result.exit_code == 0
    assert result.output.count("[[meters]]") == 3
    assert 'address = "127.0.0.1:5002"' in result.output
