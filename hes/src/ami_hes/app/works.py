"""Work that goes on as long as the HES does."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

Task = Callable[[], Coroutine[None, None, None]]


@asynccontextmanager
async def at_work(*work: Task) -> AsyncIterator[None]:
    """Let work go on; if any of it ends with a fault, everything ends."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one()) for one in work]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
