"""HTTP/1.1 connections with an end: uvicorn's own protocol (h11), and the bounds that it leaves to a proxy in front.

A request has to be complete in time, head and body each; a response has to be read in time; a connection that waits for its
next request is closed after a while. How many there may be is the affair of `http_connections`.

A client may close its sending side after its request, as RFC 9112, 9.6 lets it, and still gets its answer.

Where a request ends is said once: one that gives a length and chunks is refused (RFC 9112, 6.1), and so is one with chunks from a client
of HTTP/1.0. A proxy in front that reads the other of the two would take the rest for a request of somebody else (smuggling).
"""

import asyncio
import ssl
from collections.abc import Callable
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, cast

import h11
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from ami_process.http_connections import Connections, HttpLimits
from ami_process.sockets import counted_address
from ami_process.tls import PeerCertificate, TlsContext

MAX_HEAD = 16_384
"""Octets of a request head that has not come in whole yet; what is full of small headers costs 8 ms then."""
FREE_CHUNKS = 1_000
"""Chunks of a body that may be as small as they like."""
SMALLEST_CHUNK = 64
"""Octets that the others have on average."""


_CLOSE = (b"connection", b"close")


class LimitedConfig(uvicorn.Config):
    """uvicorn's configuration with limits for its connections."""

    def __init__(
        self,
        application: Any,
        limits: HttpLimits,
        *,
        first: type[asyncio.Protocol] | None = None,
        tls: TlsContext | None = None,
        **options: Any,
    ) -> None:
        """`first`: what a connection begins as, where that is no HTTP."""
        super().__init__(application, http=first or LimitedProtocol, **options)
        self.timeout_keep_alive = limits.idle_s
        self.limits = limits
        self.crowd = Connections(limits)
        self.tls = tls


class _Connection(h11.Connection):
    """h11's connection of a server that takes one way to say where a body ends, and has an end to its chunks: each costs a few microseconds, however small it is."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, MAX_HEAD)
        self.complaint: str | None = None
        self._chunks = 0
        self._octets = 0

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """What comes next; RemoteProtocolError, with `complaint`, if the body has two ends, or comes in too many too small chunks."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._chunks = self._octets = 0
            self.complaint = _ambiguous_end(event)
            if self.complaint is not None:
                raise h11.RemoteProtocolError(self.complaint)
        elif isinstance(event, h11.Data):
            self._chunks += 1
            self._octets += len(event.data)
            if event.chunk_end and self._chunks > FREE_CHUNKS + self._octets // SMALLEST_CHUNK:
                self.complaint = f"More than {FREE_CHUNKS} chunks, of less than {SMALLEST_CHUNK} octets on average"
                raise h11.RemoteProtocolError(self.complaint)
        return event


def _ambiguous_end(request: h11.Request) -> str | None:
    """Why two readers could differ on where this request ends; None where they can't."""
    names = {name for name, _ in request.headers}
    if b"transfer-encoding" not in names:
        return None
    if b"content-length" in names:
        return "A body has a Content-Length or comes in chunks, not both"
    if request.http_version < b"1.1":
        return "HTTP/1.0 has no chunks"
    return None


class _Phase(Enum):
    """What a connection is waited for."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()


_PHASES = {h11.IDLE: _Phase.HEAD, h11.SEND_BODY: _Phase.BODY}


class LimitedProtocol(H11Protocol):
    """One connection."""

    config: LimitedConfig

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.conn: _Connection = _Connection()
        self.limits = self.config.limits
        self.crowd = self.config.crowd
        self.address = ""
        self._tls: ssl.SSLObject | None = None
        self._phase = _Phase.NOTHING
        self._said_something = False
        self._ended = False
        self._discarded = 0
        self._receiving = _Timer(self.loop)
        self._sending = _Timer(self.loop)

    @property
    def at_work(self) -> bool:
        """Whether a complete request is being answered."""
        answering = self.cycle is not None and not self.cycle.response_complete
        return answering and self.conn.their_state is not h11.SEND_BODY

    @property
    def _lingering(self) -> bool:
        """Whether the request is answered, but has not come in whole."""
        return self.conn.their_state is h11.SEND_BODY and self.cycle.response_complete

    def _is_outdated(self) -> bool:
        """Whether its handshake was one of other files: a peer that is newly revoked gets no further than this request."""
        tls = self.config.tls
        return tls is not None and self._tls is not None and not tls.is_current(self._tls)

    def give_way(self) -> None:
        """End for the sake of another connection."""
        self.crowd.remove(self)
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        super().connection_made(cast(asyncio.Transport, _Closing(transport, self._may_close)))
        self._tls = transport.get_extra_info("ssl_object")
        peer = PeerCertificate.of(self._tls)
        if peer is not None:
            self.app = _WithPeer(self.app, peer, lambda: not self._is_outdated())
        self.address = counted_address(self.client[0]) if self.client else ""
        if self.crowd.add(self):
            self._expect(_Phase.HEAD)
        else:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "Too many requests at once; try again later")

    def data_received(self, data: bytes) -> None:
        self._said_something = True
        if self._ended or self._lingering:
            self._discarded += len(data)
        if self._discarded > self.limits.linger_octets:
            self.transport.abort()
        if self._ended or self.transport.is_closing():
            return
        super().data_received(data)
        if self.at_work and self._is_outdated():
            self.cycle.scope["headers"] = [*self.cycle.scope["headers"], _CLOSE]  # uvicorn repeats it in the response
            self.cycle.keep_alive = False
        self._expect(_PHASES.get(self.conn.their_state, _Phase.NOTHING))

    def eof_received(self) -> bool | None:  # type: ignore[override] # uvicorn has no use for the answer
        if self._ended or not self.at_work:
            return None
        self.cycle.keep_alive = False
        return None if self._tls is not None else True  # TLS has no half-closed connection

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._abort_unless_read()
        elif self._lingering:
            self._receiving.start(self.limits.linger_s, self.transport.abort)
        elif not self.at_work:
            self._expect(_Phase.HEAD if self.conn.trailing_data[0] else _Phase.NOTHING)

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._abort_unless_read()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._abort_unless_read()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._sending.stop()

    def connection_lost(self, exc: Exception | None) -> None:
        self._receiving.stop()
        self._sending.stop()
        self.crowd.remove(self)
        super().connection_lost(exc)

    def shutdown(self) -> None:
        if self._ended:
            self.transport.abort()
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """uvicorn's answer to what is no HTTP; that may come in the middle of a message, when there is nothing more to say."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._refuse(HTTPStatus.BAD_REQUEST, self.conn.complaint or msg)
        else:
            self.transport.abort()

    def _expect(self, phase: _Phase) -> None:
        """The time of a phase begins when the phase does, however many octets come meanwhile."""
        if phase is self._phase or self._ended:
            return
        self._phase = phase
        self._receiving.stop()
        if phase is _Phase.HEAD:
            self._receiving.start(self.limits.head_s, self._head_is_late)
        elif phase is _Phase.BODY:
            self._receiving.start(self.limits.body_s, self.transport.abort)

    def _head_is_late(self) -> None:
        if self._said_something:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"No complete request within {self.limits.head_s:g} s")
        else:
            self.transport.abort()

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        """Answer without a request that could be read, and look at nothing more."""
        headers = [("content-type", "text/plain; charset=utf-8"), ("connection", "close")]
        response = h11.Response(status_code=status, headers=headers, reason=status.phrase.encode())
        for event in (response, h11.Data(data=text.encode()), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._end()

    def _may_close(self) -> bool:
        """Whether nothing is on its way any more; if something is, the end comes later."""
        if self.conn.their_state is not h11.SEND_BODY:
            return True
        self._end()
        return False

    def _end(self) -> None:
        """Say that this was all, and let what still comes pass for a while."""
        if not self._ended and self.transport.can_write_eof():
            self.transport.write_eof()
        self._ended = True
        self._receiving.start(self.limits.linger_s, self.transport.abort)

    def _abort_unless_read(self) -> None:
        self._sending.start(self.limits.unread_s, self.transport.abort)


class _WithPeer:
    """The application, which learns whose certificate was verified, and whether by the files as they are now: `scope["peer_certificate"]`, `scope["peer_is_current"]`."""

    def __init__(self, application: ASGIApp, peer: PeerCertificate, is_current: Callable[[], bool]) -> None:
        self._application = application
        self._peer = peer
        self._is_current = is_current

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["peer_certificate"] = self._peer
        scope["peer_is_current"] = self._is_current
        await self._application(scope, receive, send)


class _Closing:
    """A transport that asks before it closes: with octets unread, closing would take away what was sent last."""

    def __init__(self, transport: asyncio.Transport, may_close: Callable[[], bool]) -> None:
        self._transport = transport
        self._may_close = may_close

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        """Close now, or later."""
        if self._transport.is_closing() or self._may_close():
            self._transport.close()


class _Timer:
    """One thing that may be due."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handle: asyncio.TimerHandle | None = None

    def start(self, after_s: float, action: Callable[[], None]) -> None:
        """Do it later, instead of what was due before."""
        self.stop()
        self._handle = self._loop.call_later(after_s, action)

    def stop(self) -> None:
        """Do nothing."""
        if self._handle is not None:
            self._handle.cancel()
