"""A process whose memory holds keys leaves no image of it."""

from __future__ import annotations

import subprocess
import sys

from patience import PATIENCE_S

LOOK = """
import ctypes, resource, sys
from ami_process.core_dumps import forbid_core_dumps
forbid_core_dumps()
print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) if sys.platform == "linux" else 0)
"""


def test_no_core_is_written_or_piped_and_nobody_attaches() -> None:
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert done.stdout == "(0, 0) 0\n"
