"""Where a module of POSIX is missing, as on Windows, each program ends with a sentence that says where it runs."""

from __future__ import annotations

import subprocess
import sys

import pytest

WITHOUT = """
import runpy, sys
sys.modules[{missing!r}] = None
sys.argv = [{program!r}, "--help"]
runpy.run_module({program!r}, run_name="__main__")
"""


@pytest.mark.parametrize("missing", ["fcntl", "resource"])
@pytest.mark.parametrize("program", ["ami_cis", "ami_hes", "ami_meter_sim"])
def test_a_process_says_where_it_runs(program: str, missing: str) -> None:
    source = WITHOUT.format(missing=missing, program=program)
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and f"{missing} of the standard library is missing" in last
    assert "Docker" in last and "WSL2" in last


@pytest.mark.parametrize(
    ("module", "missing"),
    [("ami_cli.demo", "fcntl"), ("ami_cli.meter.link", "termios"), ("ami_process.worker_main", "resource")],
)
def test_a_module_says_where_it_runs(module: str, missing: str) -> None:
    source = f"import sys\nsys.modules[{missing!r}] = None\nimport {module}\n"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and f"{missing} of the standard library is missing" in last and "WSL2" in last


def test_nothing_else_is_hidden() -> None:
    source = 'import sys\nsys.modules["pydantic"] = None\nimport ami_process.settings\n'
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "WSL2" not in done.stderr


BOUNDS_NO_MEMORY = """
import resource
from ami_process import worker_main

def refuse(which, limits, limit=resource.setrlimit):
    if which == resource.RLIMIT_AS:
        raise ValueError("current limit exceeds maximum limit")
    limit(which, limits)

resource.setrlimit = refuse
worker_main.main("binascii:crc_hqx", "5", "256000000")
"""


def test_a_system_that_bounds_no_address_space_has_workers_all_the_same() -> None:
    """As macOS, whose kernel refuses RLIMIT_AS."""
    done = subprocess.run(
        [sys.executable, "-c", BOUNDS_NO_MEMORY], input=b"", capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
