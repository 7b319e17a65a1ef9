"""HTTP/1.1 at both ends with the octets in hand: a server whose answers, and a client whose requests, may be slow, cut off or lost.

Bodies are taken whole, up to `MOST_OCTETS`; who sends more is answered 413 and hung up on.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import h11

from ami_testkit.errors import KitError

MOST_OCTETS = 16_000_000
CHUNK = 65_536
HEAD_S = 60.0
CONNECT_S = 10.0
PORTS = {"http": 80, "https": 443}
_HOP = {
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "host",
    "expect",
}
"""Headers of one connection, which a proxy makes itself."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How octets leave: all at once unless it says so."""

    cut: bool = False
    """The connection ends behind half of the body."""
    octets_at_once: int | None = None
    """Of the body, with a pause behind each part."""
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a response is to be, or was."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    manner: Manner = Manner()


class NoAnswer(Exception):
    """The connection is to end without a response, or has ended without one."""


Handler = Callable[[Asked], Awaitable[Answer]]
Secure = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bool]]


def passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    """Those that a proxy hands on."""
    return {name: value for name, value in headers.items() if name.lower() not in _HOP}


class Server:
    """Listens at a free port of 127.0.0.1; `secure` makes TLS of a connection, and says whether it could."""

    def __init__(self, handler: Handler, secure: Secure | None = None) -> None:
        self._handler, self._secure = handler, secure
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self) -> None:
        """Listen from now on."""
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0, limit=CHUNK)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listen no more, and end all connections."""
        if self._server is not None:
            self._server.close()
        await self.hang_up()

    async def hang_up(self) -> None:
        """End all connections."""
        for one in tuple(self._connections):
            one.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            if self._secure is None or await self._secure(reader, writer):
                await _serve(reader, writer, self._handler)
        except (OSError, TimeoutError, h11.ProtocolError, NoAnswer, ssl.SSLError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._connections.discard(task)
            with contextlib.suppress(OSError, RuntimeError):
                writer.close()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler) -> None:
    connection = h11.Connection(our_role=h11.SERVER)
    while True:
        asked = await _request(connection, reader, writer)
        if asked is None:
            return
        too_much = len(asked.body) > MOST_OCTETS
        answer = Answer(413, {"Connection": "close"}, b"too much\n") if too_much else await handler(asked)
        head = h11.Response(status_code=answer.status, headers=_with_length(answer.headers, answer.body))
        await _send(connection, writer, head, answer.body, answer.manner)
        if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
            return
        connection.start_next_cycle()


async def _request(
    connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Asked | None:
    head: h11.Request | None = None
    body = bytearray()
    while True:
        if connection.they_are_waiting_for_100_continue:
            writer.write(connection.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
        event = connection.next_event()
        if event is h11.NEED_DATA:
            async with asyncio.timeout(HEAD_S):
                connection.receive_data(await reader.read(CHUNK))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MOST_OCTETS:
                break
        elif isinstance(event, h11.EndOfMessage):
            break
        else:
            return None
    if head is None:
        return None
    return Asked(head.method.decode(), head.target.decode(), _texts(head.headers), bytes(body))


def place_of(url: str) -> tuple[str, int]:
    """Host and port of an http or https URL. Raises KitError."""
    try:
        split = urlsplit(url)
        if split.scheme in PORTS and split.hostname:
            return split.hostname, split.port or PORTS[split.scheme]
    except ValueError:
        pass  # a port that is none
    raise KitError(f"{url!r} is no URL of http or https, as http://127.0.0.1:9000/cim")


async def ask(url: str, asked: Asked, manner: Manner = Manner(), seconds: float = HEAD_S) -> Answer:
    """Send a request to scheme, host and port of `url` and take the response. Raises OSError, NoAnswer."""
    host, port = place_of(url)
    secure = _trusting() if url.startswith("https:") else None
    async with asyncio.timeout(CONNECT_S):
        reader, writer = await asyncio.open_connection(host, port, ssl=secure, limit=CHUNK)
    try:
        connection = h11.Connection(our_role=h11.CLIENT)
        headers = _with_length(
            {"Host": urlsplit(url).netloc, "Connection": "close"} | passed_on(asked.headers), asked.body
        )
        await _send(
            connection,
            writer,
            h11.Request(method=asked.method, target=asked.target, headers=headers),
            asked.body,
            manner,
        )
        if manner.cut:
            raise NoAnswer
        async with asyncio.timeout(seconds):
            return await _response(connection, reader)
    except h11.ProtocolError as problem:
        raise NoAnswer(str(problem)) from None
    finally:
        with contextlib.suppress(OSError):
            writer.close()


async def _response(connection: h11.Connection, reader: asyncio.StreamReader) -> Answer:
    head: h11.Response | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(CHUNK))
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MOST_OCTETS:
                raise NoAnswer(f"a response of more than {MOST_OCTETS:,} octets")
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            return Answer(head.status_code, _texts(head.headers), bytes(body))
        elif isinstance(event, h11.ConnectionClosed):
            raise NoAnswer


async def _send(
    connection: h11.Connection,
    writer: asyncio.StreamWriter,
    head: h11.Request | h11.Response,
    body: bytes,
    manner: Manner,
) -> None:
    writer.write(connection.send(head) or b"")
    sent = body[: len(body) // 2] if manner.cut else body
    size = manner.octets_at_once or max(len(sent), 1)
    for start in range(0, len(sent), size):
        writer.write(connection.send(h11.Data(data=sent[start : start + size])) or b"")
        await writer.drain()
        if manner.octets_at_once:
            await asyncio.sleep(manner.pause_s)
    if manner.cut:
        await writer.drain()
        writer.close()
        raise NoAnswer
    writer.write(connection.send(h11.EndOfMessage()) or b"")
    await writer.drain()


def _with_length(headers: Mapping[str, str], body: bytes) -> list[tuple[str, str]]:
    kept = {
        name: value for name, value in headers.items() if name.lower() not in ("content-length", "transfer-encoding")
    }
    return [*kept.items(), ("Content-Length", str(len(body)))]


def _texts(headers: h11._headers.Headers) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}


def _trusting() -> ssl.SSLContext:
    """To a system under test, whose certificate is its own affair."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
