"""A missing tool skips a test and is listed; where it is named as required the test fails; nothing else skips."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from patience import PATIENCE_S
from tools import TOOLS, is_here, required

TESTS = Path(__file__).resolve().parent
SKIPPING = re.compile(r"pytest\.skip\(|mark\.skip|importorskip|mark\.xfail|pytest\.xfail")
CONFTEST = """
import tools
tools.TOOLS["moon"] = tools.Tool(lambda: False, "too far away")
tools.TOOLS["sun"] = tools.Tool(lambda: True, "always")

def pytest_configure(config):
    config.pluginmanager.register(tools)
"""
SOME_TESTS = """
import pytest

@pytest.mark.needs("moon")
def test_one(): ...

@pytest.mark.needs("sun", "moon")
def test_two(): ...

@pytest.mark.needs("sun")
def test_three(): ...
"""


def run(place: Path, need: str) -> subprocess.CompletedProcess[str]:
    (place / "conftest.py").write_text(CONFTEST)
    (place / "test_some.py").write_text(SOME_TESTS)
    (place / "pytest.ini").write_text("[pytest]\nmarkers = needs: tools\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(place), str(place)]
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "AMI_REQUIRE": need}
    return subprocess.run(
        command, cwd=place, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


def test_a_run_ends_with_the_list_of_its_skips(tmp_path: Path) -> None:
    done = run(tmp_path, "")
    assert done.returncode == 0
    assert "    2  moon: too far away" in done.stdout.splitlines()
    assert "1 passed, 2 skipped" in done.stdout


def test_a_required_tool_that_is_missing_is_a_failure(tmp_path: Path) -> None:
    done = run(tmp_path, "sun, moon")
    assert done.returncode == 1
    assert "AMI_REQUIRE names moon: too far away" in done.stdout
    assert "1 passed, 2 errors" in done.stdout


def test_a_tool_that_there_is_not_is_a_mistake() -> None:
    with pytest.raises(pytest.UsageError, match="AMI_REQUIRE: tshrak is none of capinfos, "):
        required("curl,tshrak")
    assert required("curl, docker,") == {"curl", "docker"}
    assert required(None) == set()


def test_tests_are_skipped_for_want_of_a_tool_alone() -> None:
    skipping = [
        str(path.relative_to(TESTS))
        for path in sorted(TESTS.rglob("*.py"))
        if path != Path(__file__) and SKIPPING.search(path.read_text("utf-8"))
    ]
    assert skipping == ["tools.py"]


def test_each_tool_can_be_looked_for() -> None:
    assert all(is_here(name) in (True, False) for name in TOOLS)
