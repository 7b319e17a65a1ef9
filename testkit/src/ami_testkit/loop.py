"""The event loop on which border and inboxes of this process live: a thread of its own, beside tests that wait and compute."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_beginning = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def loop() -> asyncio.AbstractEventLoop:
    """It begins when it is first asked for, and ends with the process."""
    global _loop
    with _beginning:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, daemon=True, name="ami-testkit-loop").start()
        return _loop


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Have it run there, and wait for its end."""
    return asyncio.run_coroutine_threadsafe(coroutine, loop()).result()
