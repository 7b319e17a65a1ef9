"""`python -m chaos.points ami_hes serve ...`: the same as `python -m ami_hes serve ...`, with a hand on its death and on its clock.

The hand is a file that the environment names: on SIGUSR2 the process reads from it at which point it is to die, at how many passes of
it from now on, and how far its clock is off the machine's. The clock is read from it at the start as well, as a machine's would
still be wrong after a restart.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import os
import signal
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from chaos.points.table import Point, of_process

ORDERS = "CHAOS_ORDERS"
"""The variable that names the file."""


@dataclass
class Hand:
    """What was ordered last."""

    file: Path
    point: str = ""
    passes: int = 0
    clock_s: float = 0.0

    def read(self, *_: object) -> None:
        orders = json.loads(self.file.read_text("utf-8"))
        self.point, self.passes, self.clock_s = orders["point"], orders["passes"], orders["clock_s"]

    def passed(self, point: str) -> None:
        """Die, if it is time."""
        if point == self.point:
            self.passes -= 1
            if self.passes <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def now(self, zone: tzinfo) -> datetime:
        return datetime.now(zone) + timedelta(seconds=self.clock_s)


def watch(point: Point, hand: Hand) -> None:
    """Have the hand told each time that the process comes to the point."""
    owner = getattr(importlib.import_module(point.module), point.owner)
    original = getattr(owner, point.method)

    @functools.wraps(original)
    async def later(*arguments: Any, **options: Any) -> Any:
        if point.before:
            hand.passed(point.name)
        done = await original(*arguments, **options)
        if not point.before:
            hand.passed(point.name)
        return done

    @functools.wraps(original)
    def at_once(*arguments: Any, **options: Any) -> Any:
        if point.before:
            hand.passed(point.name)
        done = original(*arguments, **options)
        if not point.before:
            hand.passed(point.name)
        return done

    setattr(owner, point.method, later if inspect.iscoroutinefunction(original) else at_once)


def main(module: str, *arguments: str) -> int:
    """Be that process."""
    clocks = importlib.import_module("ami_process.clocks")
    hand = Hand(Path(os.environ[ORDERS]))
    hand.read()
    for point in of_process(module):
        watch(point, hand)
    clocks.datetime = hand  # type: ignore[attr-defined]  # of the real clock, which asks it what time it is
    signal.signal(signal.SIGUSR2, hand.read)
    code: int = importlib.import_module(f"{module}.__main__").main(arguments)
    return code


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
