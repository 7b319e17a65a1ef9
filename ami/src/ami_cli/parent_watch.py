"""Run a module as `python -m` would, but no longer than the process that started it.

`python -m ami_cli.parent_watch ami_hes serve --config F` runs `ami_hes`. Its standard input is a pipe whose other end the starter holds: when the
starter is gone, however it went, the pipe ends and this process asks itself to stop as SIGTERM would, and ends itself
the hard way if that does not help. Nothing here is special to one operating system.
"""

import os
import runpy
import signal
import sys
import threading

GRACE_S = 5.0


def main() -> None:
    """Take the module's name from the command line and become it."""
    module = sys.argv[1]
    sys.argv[:] = sys.argv[1:]
    threading.Thread(target=_watch, args=(sys.stdin.fileno(),), daemon=True, name="parent-watch").start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _watch(descriptor: int) -> None:
    while os.read(descriptor, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(GRACE_S)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
