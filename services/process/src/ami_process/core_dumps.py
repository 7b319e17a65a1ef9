"""No image of a process's memory on a disk: there are keys in it.

A limit of 0 keeps the kernel from writing a core file. Where cores are piped to a program the kernel doesn't look at the limit, so
on Linux the process is marked as one that is never dumped (prctl(2), PR_SET_DUMPABLE), which also keeps processes of the same user
from reading its memory and its environment in /proc, and debuggers from attaching.
"""

import ctypes
import sys
from contextlib import suppress

from ami_process.platforms import NeedsPosix

try:
    import resource
except ModuleNotFoundError as missing:
    raise NeedsPosix(missing) from None

PR_SET_DUMPABLE = 4


def forbid_core_dumps() -> None:
    """From now on, for this process; the limit also for those that it starts."""
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
