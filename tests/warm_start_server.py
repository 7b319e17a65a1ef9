"""Forks processes of ours from one that has imported what they need; `warm_start.py` starts it and says why.

Its arguments are the modules to import. One request for each message on standard input, which is a socket: what to run, and the three descriptors for it. The answer is the
process id. The process is a grandchild whose parent ends at once, so that the system gives it to the test process, which has asked
for orphans; only then the answer goes out.
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import os
import runpy
import signal
import socket
import sys
import time
from typing import Any

LONGEST = 200_000
"""Octets of a request, nearly all of it environment."""


def main() -> None:
    asked = socket.socket(fileno=os.dup(0))
    for module in sys.argv[1:]:
        importlib.import_module(module)
    gc.freeze()
    while True:
        text, descriptors, _, _ = socket.recv_fds(asked, LONGEST, 3)
        if not text:
            return
        reading, writing = os.pipe()
        intermediate = os.fork()
        if not intermediate:
            if not (pid := os.fork()):
                asked.close()
                os.close(reading)
                os.close(writing)
                become(json.loads(text), descriptors)
                return
            os.write(writing, str(pid).encode())
            os._exit(0)
        os.waitpid(intermediate, 0)
        asked.send(os.read(reading, 20))
        for descriptor in (reading, writing, *descriptors):
            os.close(descriptor)


def become(request: dict[str, Any], descriptors: list[int]) -> None:
    """In the new process: be what was asked for; its end is the end of the interpreter."""
    for standard, descriptor in enumerate(descriptors):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    os.chdir(request["directory"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    sys.stdin = io.TextIOWrapper(io.FileIO(0), encoding="utf-8")
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w")), encoding="utf-8", write_through=unbuffered)
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "w"), encoding="utf-8", errors="backslashreplace", write_through=True)
    sys.argv = [request.get("module") or request["script"], *request["arguments"]]
    if "module" in request:
        sys.path[0] = request["directory"]
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
    else:
        sys.path[:1] = [os.path.dirname(request["script"]), *os.environ["PYTHONPATH"].split(os.pathsep)]
        runpy.run_path(request["script"], run_name="__main__")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main()
