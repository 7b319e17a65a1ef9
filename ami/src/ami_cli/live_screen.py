"""A view on the terminal's other screen, four pictures a second and one more for each key; what was there comes back at the end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from rich.console import Console
from rich.live import Live

from ami_cli import view
from ami_cli.keyboard import pressed
from ami_cli.looking import Looking
from ami_cli.observed import Observed

FRAMES_PER_SECOND = 4


@contextlib.asynccontextmanager
async def live_screen(console: Console, model: Observed, frame: Callable[[Looking], view.Frame]) -> AsyncIterator[None]:
    """The model is being shown while this is entered; `frame` says what a picture needs besides."""
    looking, woken = Looking(), asyncio.Event()

    def take(key: str) -> None:
        looking.press(key, model)
        woken.set()

    async def draw(live: Live) -> None:
        while True:
            live.update(view.draw(model, frame(looking)), refresh=True)
            woken.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1 / FRAMES_PER_SECOND):
                    await woken.wait()

    with Live(console=console, screen=True, auto_refresh=False) as live, pressed(take) as looking.has_keys:
        drawing = asyncio.create_task(draw(live))
        try:
            yield
        finally:
            drawing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await drawing
