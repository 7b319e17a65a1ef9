"""What `make test-wheels` runs is the block of the README, and it notices what is not installed from the wheels."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import wheels


def test_the_block_of_the_readme_is_run_elsewhere(tmp_path: Path) -> None:
    lines = wheels.block(tmp_path).splitlines()
    assert lines[0] == "make dist"
    assert f"{tmp_path}/ami/bin/pip install --require-hashes -r dist/requirements.txt" in lines
    assert f"{tmp_path}/ami/bin/pip install --no-index --find-links dist ami-reference" in lines
    assert lines[-2] == f"cd {tmp_path}/ami"
    assert lines[-1].startswith("bin/ami demo --cycles 1 --plain --cis-port ")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One with a wheel of each distribution, and the environment of these tests, which has none of them, in the place of the new one."""
    (tmp_path / "VERSION").write_text((wheels.ROOT / "VERSION").read_text("utf-8"))
    names = [
        "cim",
        "cis",
        "conformance",
        "console",
        "dlms",
        "hes",
        "mapping",
        "meter_sim",
        "packs",
        "process",
        "reference",
        "registry",
        "testkit",
        "trace",
    ]
    (tmp_path / "dist").mkdir()
    for name in names:
        (tmp_path / "dist" / f"ami_{name}-0-py3-none-any.whl").touch()
    (tmp_path / "ami/bin").mkdir(parents=True)
    python = tmp_path / "ami/bin/python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(wheels, "ROOT", tmp_path)
    return tmp_path


def test_packages_of_the_repository_itself_are_noticed(repository: Path) -> None:
    assert [line.partition(" is not of the environment: ")[0] for line in wheels.wrong(repository, "ami")] == [
        *("ami_cim", "ami_cis", "ami_cli", "ami_conformance", "ami_console", "ami_dlms", "ami_hes"),
        *("ami_mapping", "ami_meter_sim", "ami_packs", "ami_process", "ami_registry"),
        *("ami_testkit", "ami_trace"),
    ]


def test_a_wheel_that_was_not_installed_is_noticed(repository: Path) -> None:
    (repository / "dist/ami_absent-0-py3-none-any.whl").touch()
    (line,) = wheels.wrong(repository, "ami")
    assert "ami-absent" in line


def test_another_version_is_noticed(repository: Path) -> None:
    (repository / "VERSION").write_text("9.9.9")
    (line,) = wheels.wrong(repository, "ami")
    assert "version 9.9.9" in line
