"""What the fuzzer feeds to the edges of the processes: HTTP, bearer tokens, addresses of replies.

Our own classes run in an event loop, over a transport in memory; nothing may come out of them but refusals. What a loop is told of an error
that nobody caught is a finding.
"""

from __future__ import annotations

import asyncio
import atexit
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from ami_hes.reply_hosts import LOOPBACK, NotAllowed, ReplyHosts
from ami_process.bodies import Bodies, BodyLate, BodyTooLarge, NoRoom
from ami_process.doors import Doors
from ami_process.http_connections import HttpLimits
from ami_process.http_entrance import Entrance, Rules
from ami_process.http_protocol import LimitedConfig, LimitedProtocol
from ami_process.principals import Principal, Principals, Refusal
from ami_process.tokens import Tokens

MOST = 1 << 20
"""Octets that one small input may make an end say."""
TURNS = 30
"""Of the loop, in which everything is done that waits for nothing from outside."""
TOKEN = "a" * 40
SOCKET = socket.socket()
"""What options are set on; nothing is sent over it."""


class Transport(asyncio.Transport):
    """A connection in memory that takes everything."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 5), "sockname": ("127.0.0.1", 6), "socket": SOCKET})
        self.said = 0
        self.ended = False
        self.written: Callable[[], None] | None = None
        """Called in the next turn of the loop after something was written."""

    def write(self, octets: bytes | bytearray | memoryview) -> None:
        self.said += len(octets)
        if self.written is not None:
            asyncio.get_running_loop().call_soon(self.written)

    def is_closing(self) -> bool:
        return self.ended

    def close(self) -> None:
        self.ended = True

    def abort(self) -> None:
        self.ended = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        return

    def pause_reading(self) -> None:
        return

    def resume_reading(self) -> None:
        return

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        return


class Looping:
    """An event loop that is kept from one input to the next; what nobody caught in it is raised."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(self._note)
        self._wrong: list[dict[str, Any]] = []

    def _note(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._wrong.append(context)

    def run(self, work: Awaitable[None]) -> None:
        self._wrong.clear()
        self.loop.run_until_complete(work)  # type: ignore[arg-type]
        if self._wrong:
            raise AssertionError(self._wrong[0]["message"]) from self._wrong[0].get("exception")


LOOPING = Looping()
atexit.register(LOOPING.loop.close)


async def turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


# --- HTTP

_BODIES = Bodies(octets=100_000, seconds=5.0)


async def _application(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body, as every route does that takes one."""
    request = Request(scope, receive)
    response: Response = PlainTextResponse(request.url.path)
    try:
        await _BODIES.read(request)
    except (BodyTooLarge, NoRoom, BodyLate):
        response = PlainTextResponse("refused", 413)
    await response(scope, receive, send)


_RULES = Rules(
    names=("hes.example",), names_setting="x", media_types=("text/xml", "application/json"), max_octets=100_000
)
_ENTRANCE = Entrance(_application, _RULES, lambda status, text: PlainTextResponse(text, status))
_HTTP = LimitedConfig(_ENTRANCE, HttpLimits(), lifespan="off", log_config=None, ws="none", server_header=False)
_HTTP.load()


def http(octets: bytes) -> None:
    """A connection to a server, its octets in any pieces: requests are answered or refused, and it says no more than it may."""

    async def serve() -> None:
        protocol = LimitedProtocol(
            config=_HTTP, server_state=ServerState(), app_state={}, _loop=asyncio.get_running_loop()
        )
        transport = Transport()
        protocol.connection_made(transport)
        for start in range(0, len(octets), 200):
            protocol.data_received(octets[start : start + 200])
            await asyncio.sleep(0)
        protocol.eof_received()
        await turns()
        assert transport.said < MOST
        protocol.connection_lost(None)
        await turns()

    LOOPING.run(serve())


# --- who asks

_DOORS = Doors(Tokens([TOKEN], "x"), Principals(()), None, "x", lambda: 0.0)


def bearer(octets: bytes) -> None:
    """An Authorization header: nobody is let in but by the token."""
    scope = {"type": "http", "headers": [(b"authorization", octets)], "client": (f"10.0.0.{len(octets) % 250}", 1)}
    admitted = _DOORS.admit(scope)
    assert isinstance(admitted, Principal | Refusal)
    if isinstance(admitted, Principal):
        assert octets.decode("latin-1").partition(" ")[2].strip() == TOKEN


_HOSTS = ReplyHosts(LOOPBACK, frozenset({"cis.example", "https://mdm.example"}))


def reply_address(octets: bytes) -> None:
    """A ReplyAddress: one that is named, or refused."""
    try:
        url = _HOSTS.check(octets.decode("utf-8", "replace"))
    except NotAllowed:
        return
    assert url.scheme in ("http", "https") and url.host
    assert not (url.host == "mdm.example" and url.scheme == "http")
