"""A connection that is reset as soon as it is taken is a broken one, of whatever event loop: httpx's own errors and no other."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import httpx
import pytest
import uvloop
from httpcore._backends.auto import AutoBackend

from ami_process.http_sending import SendingTransport


class GoneAtOnce(AutoBackend):
    """Connects, and gives the connection away when it is closed already, as by a peer that was quicker than this end."""

    async def connect_tcp(self, *arguments: Any, **options: Any) -> Any:
        stream = await super().connect_tcp(*arguments, **options)
        transport = stream._stream._transport  # type: ignore[attr-defined]
        transport.abort()
        for _ in range(5):
            await asyncio.sleep(0)
        return stream


async def sent(transport: httpx.AsyncHTTPTransport) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    transport._pool._network_backend = GoneAtOnce()  # type: ignore[attr-defined]
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/cim"
    async with server, transport:
        await transport.handle_async_request(httpx.Request("POST", url, content=b"a message"))


@pytest.mark.needs("linux")
@pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def test_a_connection_that_is_gone_at_once_is_a_broken_one(loop: Any) -> None:
    with asyncio.Runner(loop_factory=loop) as runner, pytest.raises(httpx.TransportError):
        runner.run(sent(SendingTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust_env=False)))


@pytest.mark.needs("linux")
def test_httpx_alone_still_says_something_else() -> None:
    """If this fails, httpx or anyio has been mended, and the transport of ours can go."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, pytest.raises(AttributeError):
        runner.run(sent(httpx.AsyncHTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust_env=False)))
