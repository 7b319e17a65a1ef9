"""The process that starts head-ends and simulators: it has imported what they need and forks, so that each begins in a moment.

Orders are JSON lines on standard input, what became of them JSON lines on standard output. When standard input ends, as it does
when the process that tests is gone however it went, everything that was started here is asked to stop and, if that does not help, killed.
"""

import gc
import importlib
import json
import os
import runpy
import select
import signal
import sys
import warnings
from typing import Any

IMPORTED = (
    "ami_hes.app",
    "ami_hes.configured",
    "ami_meter_sim.app",
    "ami_process.event_loop",
    "ami_process.worker_main",
)
GRACE_S = 5.0
LONGEST = 65_536


class Starter:
    """What runs, and the two lines to who asked for it."""

    def __init__(self) -> None:
        self._running: set[int] = set()
        self._heard = b""
        self._awake, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def run(self) -> None:
        """Until nobody asks any more."""
        while True:
            ready, _, _ = select.select([0, self._awake], [], [])
            if self._awake in ready:
                os.read(self._awake, LONGEST)
                self._reap()
            if 0 in ready:
                octets = os.read(0, LONGEST)
                if not octets:
                    self._end()
                    return
                *lines, self._heard = (self._heard + octets).split(b"\n")
                for line in lines:
                    self._obey(json.loads(line))

    def _obey(self, order: dict[str, Any]) -> None:
        if "signal" in order:
            if order["pid"] in self._running:
                os.kill(order["pid"], order["signal"])
            return
        pid = os.fork()
        if not pid:
            os.close(self._awake)
            _become(order)
        self._running.add(pid)
        _say({"started": order["name"], "pid": pid})

    def _reap(self) -> None:
        for pid in list(self._running):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._running.remove(pid)
                _say({"ended": pid, "code": os.waitstatus_to_exitcode(status)})

    def _end(self) -> None:
        """Nobody is there to be told."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self._running:
                os.kill(pid, number)
            signal.signal(signal.SIGALRM, lambda *_: None)
            signal.setitimer(signal.ITIMER_REAL, GRACE_S)
            while self._running and signal.getitimer(signal.ITIMER_REAL)[0]:
                self._running -= {pid for pid in list(self._running) if os.waitpid(pid, os.WNOHANG)[0]}
                select.select([], [], [], 0.01)


def _say(what: dict[str, Any]) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


def _become(order: dict[str, Any]) -> None:
    """In the new process: be what was asked for, with a log in place of standard output; never returns."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for standard, descriptor in ((0, nothing), (1, log), (2, log)):
            os.dup2(descriptor, standard)
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        sys.argv = [order["module"], *order["arguments"]]
        runpy.run_module(order["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - told in the log, and by the exit code; nothing of this may go on in the parent's name
        sys.excepthook(*sys.exc_info())
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code & 0xFF)


def main() -> None:
    """Import, then obey."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # numpy's own threads wait for work and take no lock of ours; Python 3.12 and newer warn of any thread there is
    warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*multi-threaded.*fork")
    for module in IMPORTED:
        importlib.import_module(module)
    gc.freeze()
    Starter().run()


if __name__ == "__main__":
    main()
