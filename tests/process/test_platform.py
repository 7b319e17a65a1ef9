"""Where the system is not POSIX, a sentence says so before any import of what it lacks fails."""

from __future__ import annotations

import subprocess
import sys

import pytest

AS_ON_WINDOWS = """
import os, sys
os.name = "nt"
sys.modules |= dict.fromkeys(("fcntl", "resource", "termios"))  # they cannot be imported
import {module}
"""


@pytest.mark.parametrize("module", ["ami_process.sockets", "ami_process.ownership", "ami_cli.demo"])
def test_what_is_wrong_is_said(module: str) -> None:
    command = [sys.executable, "-c", AS_ON_WINDOWS.format(module=module)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ImportError: the processes of the AMI reference system need POSIX")
    assert "Docker or WSL2" in done.stderr
