"""What is large goes back to the system when it is dropped, also after others of its size."""

import os
import subprocess
import sys

import pytest

KEPT = """
from pathlib import Path
from ami_process.heap import give_large_pieces_back

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])

give_large_pieces_back()
before = resident()
for _ in range(4):
    pieces = [b"x" * 10_000_000, b"y" * 10_000_000]
    small = bytearray(100_000)
    del pieces
print(resident() - before)
"""


@pytest.mark.needs("glibc")
def test_nothing_of_what_was_large_stays() -> None:
    ran = subprocess.run([sys.executable, "-c", KEPT], check=True, capture_output=True, text=True)
    assert int(ran.stdout) * os.sysconf("SC_PAGE_SIZE") < 5_000_000
