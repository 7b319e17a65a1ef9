"""Head-end and simulator as processes: started by the starter of this process, watched through their logs, stopped in order."""

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ami_testkit.errors import KitError

START_S = 120.0
"""Until a process is ready; a busy machine takes long, and a process that ends by itself is noticed at once."""
STOP_S = 20.0
LOOK_S = 0.01
LAST_LINES = 30
LONGEST_LINE = 300
PORT_TROUBLE = frozenset({"port_taken", "cannot_listen"})


class PortTaken(Exception):
    """Somebody else was faster: other ports have to be chosen."""


class StarterOfThisProcess:
    """The one process that forks all others."""

    def __init__(self) -> None:
        # -P: modules that lie beside the tests are none of ours
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AMI_")}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "ami_testkit.starter"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=kept | {"PYTHONUNBUFFERED": "1"},
        )
        self.owner = os.getpid()
        self._said = threading.Condition()
        self._writing = threading.Lock()
        self._pids: dict[str, int] = {}
        self._codes: dict[int, int] = {}
        self._gone = False
        self._listener = threading.Thread(target=self._listen, daemon=True, name="ami-testkit-starter")
        self._listener.start()

    def start(self, name: str, module: str, arguments: Sequence[str], log: Path) -> int:
        """The id of the new process. Raises KitError."""
        self._order({"name": name, "module": module, "arguments": list(arguments), "log": str(log)})
        with self._said:
            self._said.wait_for(lambda: name in self._pids or self._gone, START_S)
            if name not in self._pids:
                raise KitError(f"{name} could not be started: the process that starts others said nothing, or ended")
            return self._pids[name]

    def signal(self, pid: int, number: int) -> None:
        """Send it, if the process is still there."""
        self._order({"pid": pid, "signal": number})

    def code(self, pid: int) -> int | None:
        """The exit code of a process that has ended."""
        with self._said:
            return -1 if self._gone and pid not in self._codes else self._codes.get(pid)

    def wait(self, pid: int, seconds: float) -> int | None:
        """The same, after so long at most."""
        with self._said:
            self._said.wait_for(lambda: pid in self._codes or self._gone, seconds)
        return self.code(pid)

    def end(self) -> None:
        """Stop it, and with it what it has started."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(STOP_S)
        self._listener.join(STOP_S)
        if self._process.stdout is not None:
            self._process.stdout.close()

    @property
    def alive(self) -> bool:
        """Whether it can start anything, for this process."""
        return not self._gone and self.owner == os.getpid()

    def _order(self, what: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            with self._writing:
                self._process.stdin.write(json.dumps(what).encode() + b"\n")
                self._process.stdin.flush()
        except OSError:
            with self._said:
                self._gone = True

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            with self._said:
                if "started" in told:
                    self._pids[told["started"]] = told["pid"]
                else:
                    self._codes[told["ended"]] = told["code"]
                self._said.notify_all()
        with self._said:
            self._gone = True
            self._said.notify_all()


_starting = threading.Lock()
_starter: StarterOfThisProcess | None = None
_number = 0


def starter() -> StarterOfThisProcess:
    """That of this process, which begins when it is first asked for and ends with it."""
    global _starter
    with _starting:
        if _starter is None or not _starter.alive:
            _starter = StarterOfThisProcess()
            atexit.register(_starter.end)
        return _starter


class Process:
    """One of ours; what it says is in its log, a JSON object a line."""

    def __init__(self, role: str, module: str, arguments: Sequence[str], log: Path) -> None:
        global _number
        with _starting:
            _number += 1
            name = f"{role}-{_number}"
        self.role, self.log = role, log
        self._starter = starter()
        self.pid = self._starter.start(name, module, arguments, log)

    def wait_ready(self) -> None:
        """Returns when it listens. Raises PortTaken, and KitError with the end of the log when it ends or takes too long."""
        end = time.monotonic() + START_S
        while True:
            code = self._starter.code(self.pid)
            said = {event.get("event") for event in self.events()}
            if "ready" in said:
                return
            if code is not None or time.monotonic() > end:
                if said & PORT_TROUBLE:
                    raise PortTaken
                why = f"ended with exit code {code}" if code is not None else f"was not ready after {START_S:.0f} s"
                raise KitError(f"{self.role} {why} ({self.log}):\n{self.last_words()}")
            time.sleep(LOOK_S)

    def events(self) -> list[dict[str, Any]]:
        """What it has said so far."""
        try:
            lines = self.log.read_text("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return []
        return [event for line in lines if (event := _event(line)) is not None]

    def last_words(self, lines: int = LAST_LINES) -> str:
        """The end of its log."""
        try:
            found = self.log.read_text("utf-8", "replace").splitlines()[-lines:]
        except FileNotFoundError:
            return "(it has written nothing)"
        return "\n".join(line[:LONGEST_LINE] for line in found)

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._starter.code(self.pid) is None

    def kill(self) -> None:
        """End it as a machine that fails does."""
        self._starter.signal(self.pid, signal.SIGKILL)
        self._starter.wait(self.pid, STOP_S)

    def stop(self) -> int | None:
        """Ask it to stop; its exit code."""
        if self.alive:
            self._starter.signal(self.pid, signal.SIGTERM)
            if self._starter.wait(self.pid, STOP_S) is None:
                self.kill()
        return self._starter.code(self.pid)


def _event(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def wait_until(condition: Callable[[], bool], what: str, seconds: float = START_S) -> None:
    """Look until it holds; KitError if it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise KitError(f"{what}: not after {seconds:.0f} s")
        time.sleep(LOOK_S)
