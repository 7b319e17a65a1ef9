"""Two test processes are never given the same port, also when they ask for all that is free at the same time."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from free_ports import free_port

TAKE_MANY = "from free_ports import *; import sys; print(*(p for _ in range(10) for p in free_ports(4)), flush=True); sys.stdin.read()"


def test_processes_at_the_same_time_get_different_ports() -> None:
    here = Path(__file__).parent
    started = [
        subprocess.Popen(
            [sys.executable, "-c", TAKE_MANY], cwd=here, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    given = [free_port() for _ in range(40)]
    for one in started:
        assert one.stdout is not None
        given += map(int, one.stdout.readline().split())
    for one in started:
        one.communicate("")
        assert one.returncode == 0
    assert len(given) == len(set(given)) == 200


def test_threads_at_the_same_time_get_different_ports() -> None:
    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(lambda _: free_port(), range(80)))
    assert len(set(given)) == 80
