"""The event loop of a process: uvloop's where it is installed, which it is not on every system, else asyncio's own."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

try:
    import uvloop
except ModuleNotFoundError:
    _factory: Callable[[], asyncio.AbstractEventLoop] | None = None
else:
    _factory = uvloop.new_event_loop

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """As asyncio.run does."""
    with asyncio.Runner(loop_factory=_factory) as runner:
        return runner.run(main)
