"""A process that is forked from the one that has imported is like one that was started by its command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import warm_start

pytestmark = pytest.mark.needs("warm-start")
LINE = [sys.executable, "-m", "ami_meter_sim"]


def started(*arguments: str, kind: type[subprocess.Popen[bytes]], **options: object) -> tuple[int, bytes, bytes]:
    with kind([*LINE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) as process:  # type: ignore[call-overload]
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err


@pytest.mark.parametrize(
    "arguments", [["--version"], ["faults", "--help"], ["serve"], ["serve", "--config", "no.toml"]]
)
def test_it_says_and_ends_as_one_that_was_started(arguments: list[str], tmp_path: Path) -> None:
    warm, cold = (
        started(*arguments, kind=kind, cwd=tmp_path, env=os.environ | {"COLUMNS": "90"})
        for kind in (warm_start.Warm, warm_start.Cold)
    )
    assert warm == cold


@pytest.mark.needs("proc")
def test_it_is_a_child_of_this_process_and_ends_by_a_signal(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "meters.toml")  # to be waited for: nothing is ever written
    with warm_start.Warm([*LINE, "serve", "--config", "meters.toml"], cwd=tmp_path) as process:
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert f"PPid:\t{os.getpid()}\n" in status
        process.kill()
        assert process.wait(60) == -signal.SIGKILL


def test_it_begins_where_it_is_told_to(tmp_path: Path) -> None:
    (tmp_path / "meters.toml").write_text("[meter_sim]\nno_such_key = 1\n")
    code, _, err = started("serve", "--config", "meters.toml", kind=warm_start.Warm, cwd=tmp_path)
    assert (code, b"no_such_key: unknown key" in err) == (2, True), err


def test_modules_from_elsewhere_are_those_of_the_process(tmp_path: Path) -> None:
    (tmp_path / "ami_meter_sim").mkdir()
    (tmp_path / "ami_meter_sim/__init__.py").touch()
    (tmp_path / "ami_meter_sim/__main__.py").write_text("print('mine')")
    code, out, _ = started(kind=warm_start.Warm, env=os.environ | {"PYTHONPATH": str(tmp_path)})
    assert (code, out) == (0, b"mine\n")
