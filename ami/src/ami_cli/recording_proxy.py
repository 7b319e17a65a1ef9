"""A TCP proxy on loopback that hands everything on and keeps what passed, for docs that show real traffic."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

import h11

CHUNK = 65536


class Recorder:
    """Listens on `port`, connects to `target` ("host:port"); `chunks` are (forward, octets) in the order they passed."""

    def __init__(self) -> None:
        self.target = ""
        self.chunks: list[tuple[bool, bytes]] = []
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        if self._server is None:
            raise RuntimeError("the recorder does not run")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.target.rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(self._pump(reader, far_writer, True), self._pump(far_reader, writer, False))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, forward: bool) -> None:
        with suppress(ConnectionError):
            while octets := await reader.read(CHUNK):
                self.chunks.append((forward, octets))
                writer.write(octets)
                await writer.drain()
        writer.close()


def http_bodies(chunks: list[tuple[bool, bytes]]) -> tuple[list[bytes], list[bytes]]:
    """The bodies of the POST requests and of their responses, from the chunks of one recorded HTTP/1.1 connection."""
    requests, responses = _messages(chunks, True, h11.SERVER), _messages(chunks, False, h11.CLIENT)
    posts = [index for index, (method, _) in enumerate(requests) if method == b"POST"]
    return [requests[index][1] for index in posts], [responses[index][1] for index in posts]


def _messages(
    chunks: list[tuple[bool, bytes]], forward: bool, role: type[h11.SERVER | h11.CLIENT]
) -> list[tuple[bytes, bytes]]:
    """Method (of a request) and body of every message in one direction."""
    octets = b"".join(chunk for direction, chunk in chunks if direction is forward)
    found: list[tuple[bytes, bytes]] = []
    while octets:
        connection = h11.Connection(our_role=role)
        connection.receive_data(octets)
        method, body = b"", b""
        while isinstance(event := connection.next_event(), h11.Request | h11.Response | h11.Data):
            if isinstance(event, h11.Request):
                method = event.method
            if isinstance(event, h11.Data):
                body += bytes(event.data)
        found.append((method, body))
        octets = bytes(connection.trailing_data[0])
    return found
