"""A process whose memory holds keys leaves no image of it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from patience import PATIENCE_S

LOOK = """
import ctypes, resource, sys
from ami_process.core_dumps import forbid_core_dumps
forbid_core_dumps()
print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) if sys.platform == "linux" else 0)
"""


WATCHED = """
import os, sys
from ami_process.core_dumps import PR_SET_DUMPABLE, ctypes, forbid_core_dumps
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # as of a process that has begun so
if sys.argv[1] == "forbidden":
    forbid_core_dumps()

def opened(file):
    try:
        with open(f"/proc/{os.getppid()}/{file}", "rb") as one:
            one.read(0)
        return "open"
    except OSError as problem:
        return type(problem).__name__

if (child := os.fork()) == 0:
    print(os.geteuid(), opened("environ"), opened("mem"), flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


@pytest.mark.needs("linux")
@pytest.mark.parametrize(("how", "seen"), [("forbidden", "PermissionError"), ("allowed", "open")])
def test_another_process_of_the_same_user_reads_neither_memory_nor_environment(how: str, seen: str) -> None:
    """As a user who is not root, whom nothing else keeps out; the second row shows that it is this that does."""
    command = [sys.executable, "-c", WATCHED, how]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    user, environment, memory = done.stdout.split()
    assert user != "0" and (environment, memory) == (seen, seen), done.stdout


def test_no_core_is_written_or_piped_and_nobody_attaches() -> None:
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert done.stdout == "(0, 0) 0\n"
