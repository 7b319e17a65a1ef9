"""Two ways to carry octets between ends and sockets: asyncio protocols, and a bare loop over selectors.

The first is what a service would use, the second what remains when only the system calls and `dlms` are left. The asking
end counts for a while after a warm-up: round trips, seconds, and CPU seconds of this process.
"""

from __future__ import annotations

import asyncio
import selectors
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter, process_time

from ami_cli.bench_dlms.ends import Answering, Asking, DlmsBenchError

READ_SIZE = 65536
READY_S = 30.0


@dataclass(frozen=True, slots=True)
class Load:
    """How much is asked, and for how long."""

    port: int
    connections: int
    warm_up_s: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Counted:
    """What one run of one contender counted."""

    round_trips: int
    seconds: float
    cpu_s: float

    @property
    def per_second(self) -> float:
        return self.round_trips / self.seconds


class _Protocol(asyncio.Protocol):
    """One connection: whatever comes is given to `receive`, whatever that returns is written."""

    def __init__(self, receive: Callable[[bytes], bytes], first: bytes = b"") -> None:
        self._receive = receive
        self._first = first
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._write = transport.write
        if self._first:
            transport.write(self._first)

    def data_received(self, octets: bytes) -> None:
        answer = self._receive(octets)
        if answer:
            self._write(answer)

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set_result(error)


async def _serve_asyncio(listener: socket.socket, make: Callable[[], Answering], connections: int) -> None:
    loop = asyncio.get_running_loop()
    protocols: list[_Protocol] = []
    everyone = asyncio.Event()

    def factory() -> _Protocol:
        protocols.append(_Protocol(make().receive))
        if len(protocols) == connections:
            everyone.set()
        return protocols[-1]

    async with await loop.create_server(factory, sock=listener):
        await everyone.wait()
        await asyncio.gather(*(protocol.lost for protocol in protocols))


async def _ask_asyncio(make: Callable[[], Asking], load: Load) -> Counted:
    loop = asyncio.get_running_loop()
    ends = [make() for _ in range(load.connections)]
    transports = []
    for end in ends:
        factory = partial(_Protocol, end.receive, end.first())
        transport, _ = await loop.create_connection(factory, "127.0.0.1", load.port)
        transports.append(transport)
    await asyncio.sleep(load.warm_up_s)
    before, started, cpu = _answered(ends), perf_counter(), process_time()
    await asyncio.sleep(load.seconds)
    counted = Counted(_answered(ends) - before, perf_counter() - started, process_time() - cpu)
    for transport in transports:
        transport.abort()
    return counted


def _answered(ends: list[Asking]) -> int:
    return sum(end.answered for end in ends)


def _turn(selector: selectors.BaseSelector) -> bool:
    """Serve all that is readable; False when a connection ended. Answers are small: they always fit into the socket."""
    going_on = True
    for key, _ in selector.select(READY_S):
        read, write, receive = key.data
        try:
            octets = read(READ_SIZE)
        except ConnectionResetError:
            octets = b""
        if not octets:
            selector.unregister(key.fileobj)
            going_on = False
        elif answer := receive(octets):
            write(answer)
    return going_on


def _register(selector: selectors.BaseSelector, link: socket.socket, receive: Callable[[bytes], bytes]) -> None:
    link.setblocking(False)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    selector.register(link, selectors.EVENT_READ, (link.recv, link.send, receive))


def _serve_selectors(listener: socket.socket, make: Callable[[], Answering], connections: int) -> None:
    with selectors.DefaultSelector() as selector:
        links = []
        for _ in range(connections):
            links.append(listener.accept()[0])
            _register(selector, links[-1], make().receive)
        while selector.get_map():
            _turn(selector)


def _ask_selectors(make: Callable[[], Asking], load: Load) -> Counted:
    with selectors.DefaultSelector() as selector:
        ends, links = [make() for _ in range(load.connections)], []
        for end in ends:
            links.append(socket.create_connection(("127.0.0.1", load.port)))
            _register(selector, links[-1], end.receive)
        for end, link in zip(ends, links, strict=True):
            link.send(end.first())
        _ask_for(selector, load.warm_up_s)
        before, started, cpu = _answered(ends), perf_counter(), process_time()
        _ask_for(selector, load.seconds)
        counted = Counted(_answered(ends) - before, perf_counter() - started, process_time() - cpu)
        for link in links:
            link.close()
        return counted


def _ask_for(selector: selectors.BaseSelector, seconds: float) -> None:
    end = perf_counter() + seconds
    while perf_counter() < end:
        if not _turn(selector):
            raise DlmsBenchError("a connection ended before its time")


def serve(driver: str, listener: socket.socket, make: Callable[[], Answering], connections: int) -> None:
    """Serve a number of connections until each of them has ended."""
    if driver == "asyncio":
        asyncio.run(_serve_asyncio(listener, make, connections))
    else:
        _serve_selectors(listener, make, connections)


def ask(driver: str, make: Callable[[], Asking], load: Load) -> Counted:
    """Send requests over a number of connections at once, the next one on each as soon as it has an answer."""
    if driver == "asyncio":
        return asyncio.run(_ask_asyncio(make, load))
    return _ask_selectors(make, load)
