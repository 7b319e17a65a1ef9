"""The first part of a TLS connection: counted from its first octet on, with an end, and with a report of why a handshake failed.

asyncio can open TLS by itself, but then a client that never finishes its handshake is counted nowhere, and no one learns the address
of a client that is refused. So a connection begins here, and goes on as an HTTP connection once its handshake is done.
"""

import asyncio
import ssl
from typing import Any, cast

from uvicorn.server import ServerState

from ami_process.http_protocol import LimitedConfig, LimitedProtocol
from ami_process.sockets import counted_address, format_address
from ami_process.tls import Handshake, TlsContext, describe
from ami_process.tls_events import HandshakeFailed


class TlsGate(asyncio.Protocol):
    """One connection until its handshake is done."""

    def __init__(
        self, config: LimitedConfig, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None
    ) -> None:
        self.loop = _loop or asyncio.get_running_loop()
        self.address = ""
        self.at_work = False
        self._config = config
        self._state = server_state
        self._inside = LimitedProtocol(config, server_state, app_state, self.loop)
        self._came = bytearray()
        self._lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._peer = format_address(*peer[:2]) if peer else ""
        self.address = counted_address(peer[0]) if peer else ""
        if not self._config.crowd.add(self):
            self._config.crowd.remove(self)
            self._transport.abort()
            return
        self._state.connections.add(cast(Any, self))
        task = self.loop.create_task(self._open())
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)

    def give_way(self) -> None:
        """End for the sake of another connection."""
        self.shutdown()

    def shutdown(self) -> None:
        """End with the server."""
        self._leave()
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """What comes before its handshake has begun, and with the end of it."""
        self._came += data

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True

    async def _open(self) -> None:
        tls = self._config.tls
        assert tls is not None
        if self._lost or self._transport.is_closing():
            self._leave()
            return
        handshake = Handshake.of(tls, self._came)
        try:
            secure = await self.loop.start_tls(
                self._transport, self, handshake, server_side=True, ssl_handshake_timeout=self._config.limits.head_s
            )
        except (OSError, asyncio.CancelledError) as problem:
            self._failed(handshake.problem or problem, tls)
            return
        finally:
            self._leave()
        if secure is None or self._lost or secure.is_closing():
            return
        secure.set_protocol(self._inside)
        self._inside.connection_made(secure)
        if self._came:
            self._inside.data_received(bytes(self._came))

    def _failed(self, problem: BaseException, tls: TlsContext) -> None:
        """A peer that only looks whether somebody listens, as health checks do, is not worth a line."""
        if isinstance(problem, ssl.SSLError):
            tls.emit(HandshakeFailed(peer=self._peer, reason=describe(problem)))
        self._transport.abort()

    def _leave(self) -> None:
        self._config.crowd.remove(self)
        self._state.connections.discard(cast(Any, self))
