"""The tests of the kit's README, run by the kit's wheel outside of the repository; and what a test that fails shows."""

from __future__ import annotations

import subprocess
from pathlib import Path

import kits
from patience import PATIENCE_S

FAILING = """

def test_that_fails(ami_system):
    ami_system.hes.read(["M1001"])
    ami_system.expect.reply(within=0.01)
"""


def test_the_readme_is_true_of_the_wheel(tmp_path: Path) -> None:
    python = kits.installed(tmp_path)
    asked = "import ami_testkit; print(ami_testkit.__file__)"
    where = subprocess.run([python, "-c", asked], capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert where.stdout.startswith(str(tmp_path)), "it is the wheel that is tested"
    first, second = kits.readme_tests()
    assert len([line for line in first.splitlines() if line.strip()]) <= 15
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "test_cis.py").write_text(first + "\n" + second + FAILING)
    done = kits.run_pytest(python, tests)
    assert "2 passed" in done.stdout and "1 failed" in done.stdout, done.stdout + done.stderr
    assert "test_that_fails" in done.stdout and "no reply came within 0.01 s; nothing came" in done.stdout
    assert "messages at the border" in done.stdout and "get MeterReadings" in done.stdout
    assert "meter_done" in done.stdout, "the log of the head-end"
