"""An ASGI application served on a listening socket, inside the event loop of the process."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

CONNECTIONS = 1_000

GRACE_S = 1
"""How long requests under way may take when the process ends."""


@asynccontextmanager
async def serving(
    application: ASGIApp, listener: socket.socket, *, connections: int = CONNECTIONS
) -> AsyncIterator[None]:
    """Serve as long as this is entered; more than `connections` at once are answered with 503."""
    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        limit_concurrency=connections,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await server.serving.wait()
        yield
    finally:
        server.should_exit = True
        await task


class _Server(uvicorn.Server):
    """uvicorn that leaves signals to the process and says when it serves."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serving.set()
