"""An ASGI application served on a listening socket, inside the event loop of the process."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

from ami_process.http_connections import HttpLimits
from ami_process.http_protocol import LimitedConfig, LimitedProtocol
from ami_process.sockets import BACKLOG
from ami_process.tls import TlsContext
from ami_process.tls_gate import TlsGate

ACCEPTED_AT_ONCE = 100
"""The connections that asyncio accepts before it looks at any that it has."""

GRACE_S = 1
"""How long requests under way may take when the process ends."""

DEFAULTS = HttpLimits()


@asynccontextmanager
async def serving(
    application: ASGIApp, listener: socket.socket, limits: HttpLimits = DEFAULTS, tls: TlsContext | None = None
) -> AsyncIterator[None]:
    """Serve as long as this is entered; over TLS where there is some."""
    config = LimitedConfig(
        application,
        limits,
        tls=tls,
        first=None if tls is None else TlsGate,
        backlog=ACCEPTED_AT_ONCE,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
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
        for listener in sockets or []:
            listener.listen(BACKLOG)  # the queue of the system need not be as short
        self.serving.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End without those who do not take what they are sent."""
        abort = asyncio.get_running_loop().call_later(2 * GRACE_S, self._abort)
        await super().shutdown(sockets)
        abort.cancel()

    def _abort(self) -> None:
        for connection in list(self.server_state.connections):
            if isinstance(connection, LimitedProtocol | TlsGate):
                connection.give_way()
