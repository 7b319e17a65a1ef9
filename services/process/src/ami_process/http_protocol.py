"""HTTP/1.1 connections with an end: uvicorn's own protocol (h11), and the bounds that it leaves to a proxy in front.

A request has to be complete in time, head and body each; a response has to be read in time; a connection that waits for its
next request is closed after a while. There are so many connections at once, and so many from one address (of IPv6: from one
/64). When there are more, the oldest ones that have no complete request are closed, first those of the same address, then of the
address that has the most: a moment later, so that what has been sent already counts. So whoever says nothing keeps nobody
else out.

A client may close its sending side after its request, as RFC 9112, 9.6 lets it, and still gets its answer.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from itertools import islice
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

IPV6_HOST_BITS = 64
BURST = 1_000
"""So many more connections than allowed are taken for a moment."""
SETTLE_S = 0.25
"""That moment: a request that was sent with the connection has been read by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """Connections at once, and seconds until one of them has to have done something."""

    connections: int = 1_000
    connections_per_address: int = 500
    head_s: float = 10.0
    body_s: float = 60.0
    idle_s: int = 60
    unread_s: float = 30.0
    """So long a response may wait for a client that does not read it."""
    linger_s: float = 3.0
    linger_octets: int = 32_000_000
    """So long, and so far, the rest of a refused request is let pass: closing at once would take the refusal away from the client."""

    @property
    def at_most(self) -> int:
        """Connections in a moment when many come at once."""
        return self.connections + BURST


class Connections:
    """All connections of a server, by address, oldest first."""

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._by_address: dict[str, dict[LimitedProtocol, None]] = {}
        self._count = 0
        self._trimming: asyncio.TimerHandle | None = None

    def add(self, new: "LimitedProtocol") -> bool:
        """Count a connection; False when there is no room and none could be made."""
        neighbours = self._by_address.setdefault(new.address, {})
        neighbours[new] = None
        self._count += 1
        if self._count <= self._limits.connections and len(neighbours) <= self._limits.connections_per_address:
            return True
        crowd = neighbours if self._count <= self._limits.connections else self._crowded_first()
        if self._count > self._limits.at_most or next(_can_give_way(crowd, new), None) is None:
            return False
        if self._trimming is None:
            self._trimming = new.loop.call_later(SETTLE_S, self._trim)
        return True

    def remove(self, one: "LimitedProtocol") -> None:
        """Count it no more; it may be removed already."""
        neighbours = self._by_address.get(one.address, {})
        if one in neighbours:
            del neighbours[one]
            self._count -= 1
            if not neighbours:
                del self._by_address[one.address]

    def _trim(self) -> None:
        self._trimming = None
        for neighbours in list(self._by_address.values()):
            _close(neighbours, len(neighbours) - self._limits.connections_per_address)
        while self._count > self._limits.connections and _close(self._crowded_first(), 1):
            continue

    def _crowded_first(self) -> Iterator["LimitedProtocol"]:
        for neighbours in sorted(self._by_address.values(), key=len, reverse=True):
            yield from neighbours


def _can_give_way(
    candidates: Iterable["LimitedProtocol"], new: "LimitedProtocol | None" = None
) -> Iterator["LimitedProtocol"]:
    return (one for one in candidates if one is not new and not one.at_work)


def _close(candidates: Iterable["LimitedProtocol"], count: int) -> int:
    """Close so many of those that have no complete request; how many there were."""
    leaving = list(islice(_can_give_way(candidates), max(count, 0)))
    for one in leaving:
        one.give_way()
    return len(leaving)


class LimitedConfig(uvicorn.Config):
    """uvicorn's configuration with limits for its connections."""

    def __init__(self, application: Any, limits: HttpLimits, **options: Any) -> None:
        super().__init__(application, http=LimitedProtocol, **options)
        self.timeout_keep_alive = limits.idle_s
        self.limits = limits
        self.crowd = Connections(limits)


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
        self.limits = self.config.limits
        self.crowd = self.config.crowd
        self.address = ""
        self._phase = _Phase.NOTHING
        self._said_something = False
        self._refused = False
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

    def give_way(self) -> None:
        """End for the sake of another connection."""
        self.crowd.remove(self)
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        super().connection_made(transport)
        self.address = _address(self.client)
        if self.crowd.add(self):
            self._expect(_Phase.HEAD)
        else:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "Too many requests at once; try again later")

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._said_something = True
        if self._lingering:
            self._discarded += len(data)
            if self._discarded > self.limits.linger_octets:
                self.transport.abort()
                return
        super().data_received(data)
        self._expect(_PHASES.get(self.conn.their_state, _Phase.NOTHING))

    def eof_received(self) -> bool | None:  # type: ignore[override] # uvicorn has no use for the answer
        if self._refused or not self.at_work:
            return None
        self.cycle.keep_alive = False
        return True

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
        if self._refused:
            self.transport.abort()
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """uvicorn's answer to what is no HTTP; that may come in the middle of a message, when there is nothing more to say."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._refuse(HTTPStatus.BAD_REQUEST, msg)
        else:
            self.transport.abort()

    def _expect(self, phase: _Phase) -> None:
        """The time of a phase begins when the phase does, however many octets come meanwhile."""
        if phase is self._phase or self._refused:
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
        """Answer without a request that could be read, and listen no more."""
        self._refused = True
        headers = [("content-type", "text/plain; charset=utf-8"), ("connection", "close")]
        response = h11.Response(status_code=status, headers=headers, reason=status.phrase.encode())
        for event in (response, h11.Data(data=text.encode()), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        if self.transport.can_write_eof():
            self.transport.write_eof()
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._receiving.start(self.limits.linger_s, self.transport.abort)

    def _abort_unless_read(self) -> None:
        self._sending.start(self.limits.unread_s, self.transport.abort)


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


def _address(client: tuple[str, int] | None) -> str:
    """What counts as one address."""
    if client is None:
        return ""
    try:
        address = ip_address(client[0].partition("%")[0])
    except ValueError:
        return client[0]
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or int(address) >> IPV6_HOST_BITS)
    return str(address)
