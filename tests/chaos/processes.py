"""A process of the system over all of its lives: started, killed, stopped for a while, told when to die; what it prints goes to a file for each life."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from patience import PATIENCE_S

from chaos.points.__main__ import ORDERS

ROOT = Path(__file__).parents[2]
LOOK_S = 0.01
READY = re.compile(rb'"event": ?"ready"')


class Died(Exception):
    """It has ended by itself, which nobody has ordered; the text has what it said last."""


class Service:
    """`name` is that of its files, `module` the package that is run."""

    def __init__(self, name: str, module: str, directory: Path, *arguments: str) -> None:
        self.name, self.module, self.lives = name, module, 0
        self._arguments = arguments
        self._logs = directory / "logs"
        self._logs.mkdir(exist_ok=True)
        self._orders = directory / f"{name}.orders"
        self._orders_are: dict[str, Any] = {"point": "", "passes": 0, "clock_s": 0.0}
        self._write_orders()
        self._popen: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    @property
    def log(self) -> Path:
        """What its present life prints."""
        return self._logs / f"{self.name}-{self.lives:04}.log"

    @property
    def pid(self) -> int:
        assert self._popen is not None
        return self._popen.pid

    @property
    def alive(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    @property
    def clock_s(self) -> float:
        """How far its clock is off."""
        return float(self._orders_are["clock_s"])

    def start(self) -> None:
        self.lives += 1
        self._log = self.log.open("wb")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AMI_")}
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "chaos.points", self.module, *self._arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=environment | {"PYTHONUNBUFFERED": "1", ORDERS: str(self._orders)},
        )

    async def ready(self) -> None:
        """Wait until it says so. Raises Died."""
        end = time.monotonic() + PATIENCE_S
        while not READY.search(self.log.read_bytes()):
            if not self.alive or time.monotonic() > end:
                raise Died(f"{self.name}, life {self.lives}: {self.last_words()}")
            await asyncio.sleep(LOOK_S)

    def last_words(self) -> str:
        """What its log ends with."""
        lines = self.log.read_text("utf-8", "replace").splitlines()
        return f"{self.log}: " + " / ".join(lines[-3:])[-2_000:]

    def kill(self) -> None:
        """As `kill -9`."""
        assert self._popen is not None
        self._popen.kill()
        self.bury()

    def bury(self) -> None:
        """Of one that is dead or about to be."""
        assert self._popen is not None and self._log is not None
        self._popen.wait(PATIENCE_S)
        self._log.close()

    def send(self, signal_number: signal.Signals) -> None:
        os.kill(self.pid, signal_number)

    def order(self, **orders: Any) -> None:
        """When to die, or what time it is from now on; to one that is ready, or is yet to be started."""
        self._orders_are |= orders
        self._write_orders()
        if self.alive:
            self.send(signal.SIGUSR2)

    def _write_orders(self) -> None:
        new = self._orders.with_suffix(".new")
        new.write_text(json.dumps(self._orders_are))
        new.rename(self._orders)

    async def dies(self, within_s: float) -> bool:
        """Whether it has died by what was ordered; if not, the order is taken back."""
        end = time.monotonic() + within_s
        while self.alive and time.monotonic() < end:
            await asyncio.sleep(LOOK_S)
        died = not self.alive
        self.order(point="", passes=0)
        if died:
            self.bury()
        return died

    @contextmanager
    def cannot_write(self) -> Iterator[None]:
        """No file of the process can grow, as on a full disk."""
        before = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (0, before[1]))
        try:
            yield
        finally:
            resource.prlimit(self.pid, resource.RLIMIT_FSIZE, before)

    def stop(self) -> int:
        """Ask it to stop; its exit code."""
        if self.alive:
            self.send(signal.SIGTERM)
            try:
                assert self._popen is not None
                self._popen.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.kill()
        if self._popen is None:
            return 0
        self.bury()
        return int(self._popen.returncode)
