"""HES, CIS and simulated meters that a test starts as processes begin in a hundredth of a second instead of one.

A run starts several hundred of them, and nearly all that such a start costs is importing the same modules again. So each test
process keeps one server (`warm_start_server.py`) that has imported them and forks. Everything else about a process is its own, as
if it had been started by its command line: id, memory, sockets, files, signals, exit code, and its parent, which is the test
process. `COLD_STARTS=1` turns it off; so do systems that can't give an orphan to a chosen process (Linux can), and
`--size acceptance`.
"""

from __future__ import annotations

import ctypes
import inspect
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SERVER = Path(__file__).with_name("warm_start_server.py")
TESTS = str(Path(__file__).parent)
PACKAGES = ("ami_cis", "ami_hes", "ami_meter_sim")
SCRIPTS = tuple(str(Path(TESTS, name)) for name in ("hes/north/dying_hes.py",))
"""Processes of tests that are one of ours with something beside it; their PYTHONPATH is the folder of tests."""
IMPORTED = (
    "ami_cis.app",
    "ami_cis.store_commands",
    "ami_hes.app",
    "ami_hes.store_commands",
    "ami_meter_sim.app",
    "ami_meter_sim.offline_commands",
    "ami_process.event_loop",
    "httpcore",
    "anyio",
)
"""What `serve` and `store` of these import when they are called, and a client of httpx when it is made."""
PR_SET_CHILD_SUBREAPER = 36
"""Of prctl(2): orphans among the descendants of this process become its children."""


def possible() -> bool:
    return sys.platform == "linux" and not os.environ.get("COLD_STARTS")


class Server:
    """The process that forks, and the way to ask it."""

    def __init__(self) -> None:
        self._asked, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._prctl = ctypes.CDLL(None, use_errno=True).prctl
        with theirs:
            self._process = Cold([sys.executable, str(SERVER), *IMPORTED], stdin=theirs.fileno())

    def start(self, request: dict[str, Any], descriptors: list[int]) -> int:
        """The id of the new process, which is a child of this one."""
        self._prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # for this one, not for all that tests leave behind
        try:
            socket.send_fds(self._asked, [json.dumps(request).encode()], descriptors)
            return int(self._asked.recv(20))
        finally:
            self._prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)

    def end(self) -> None:
        self._asked.close()
        self._process.wait()


def _imports(environment: Mapping[str, str]) -> str:
    return environment.get("PYTHONPATH", "")


IMPORTS = _imports(os.environ)
"""What is to be imported from elsewhere can't have been imported before."""
Cold = subprocess.Popen
_one_at_a_time = threading.Lock()
_server: Server | None = None


def _started(request: dict[str, Any], descriptors: list[int]) -> int:
    global _server
    with _one_at_a_time:
        if _server is None:
            _server = Server()
        return _server.start(request, descriptors)


class Warm(Cold):  # type: ignore[type-arg]
    """`subprocess.Popen`, but `python -m` of our processes is forked; whatever is asked for beyond that is started as ever."""

    def _execute_child(self, *arguments: Any) -> None:
        given = inspect.signature(Cold._execute_child).bind(self, *arguments).arguments  # type: ignore[attr-defined]
        line = [os.fspath(word) for word in given["args"]] if isinstance(given["args"], list | tuple) else []
        environment = dict(os.environ if given["env"] is None else given["env"])
        usual = not any(given[name] for name in ("pass_fds", "preexec_fn", "start_new_session", "shell"))
        of_ours = line[:2] == [sys.executable, "-m"] and line[2] in PACKAGES and _imports(environment) == IMPORTS
        of_tests = line[:1] == [sys.executable] and line[1] in SCRIPTS and _imports(environment) == TESTS
        if not usual or not (of_ours or of_tests):
            super()._execute_child(*arguments)  # type: ignore[misc]
            return
        what = {"script": line[1], "arguments": line[2:]} if of_tests else {"module": line[2], "arguments": line[3:]}
        request = what | {
            "directory": os.path.abspath(given["cwd"] or "."),
            "environment": environment,
        }
        ends = (given["p2cread"], given["c2pwrite"], given["errwrite"])
        descriptors = [standard if end == -1 else end for standard, end in enumerate(ends)]
        self.pid = _started(request, descriptors)
        self._child_created = True
        self._close_pipe_fds(*(given[name] for name in PIPES))  # type: ignore[attr-defined]


PIPES = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")


def begin() -> None:
    subprocess.Popen = Warm  # type: ignore[misc]


def end() -> None:
    global _server
    subprocess.Popen = Cold  # type: ignore[misc]
    if _server is not None:
        _server.end()
        _server = None
